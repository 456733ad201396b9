"""The lab with an evidence bucket and a Systems Manager of its own: moto has no
DescribeInstanceInformation, and its SendCommand answers Success at once. Calls go through
botocore's own parameter validation, then to ``Agent``.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import boto3
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.gate import Gate
from guardduty_response.decision.configuration import Forensics
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.incident.model import EvidenceEntry
from guardduty_response.playbooks.ec2_instance.evidence import forensics
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab
from tests.unit.playbooks.watched_session import acting

Json = dict[str, Any]
BUCKET = "evidence"
DOCUMENT = f"arn:aws:ssm:{REGION}:111111111111:document/{PREFIX}-forensics"
SECTIONS = ("processes.txt", "network.txt", "users.txt", "modules.txt", "jobs.txt")


@dataclass
class Agent:
    """Systems Manager as the instance's account sees it. ``answers``: statuses of successive
    GetCommandInvocation calls.
    """

    ping: str | None = "Online"
    platform: str = "Linux"
    answers: list[str] = field(default_factory=lambda: ["InProgress", "Success"])
    errors: dict[str, str] = field(default_factory=dict)
    die_after_sending: bool = False
    on_send: Callable[[Json], None] = lambda _: None
    calls: list[str] = field(default_factory=list)
    commands: list[Json] = field(default_factory=list)
    listed: bool = True

    def answer(self, operation: str, params: Json) -> Json:
        self.calls.append(operation)
        if operation in self.errors:
            # As AWS does, the message quotes what it complains of.
            message = f"refused {json.dumps(params)}"
            error: Any = {
                "Error": {"Code": self.errors[operation], "Message": message},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, operation)
        return dict(getattr(self, operation)(params))

    def DescribeInstanceInformation(self, params: Json) -> Json:
        [wanted] = [
            condition["Values"]
            for condition in params["Filters"]
            if condition["Key"] == "InstanceIds"
        ]
        shown = {
            "InstanceId": wanted[0],
            "PingStatus": self.ping,
            "PlatformType": self.platform,
            "LastPingDateTime": 1.0,
        }
        return {"InstanceInformationList": [shown] if self.ping else []}

    def SendCommand(self, params: Json) -> Json:
        command = {
            **params,
            "CommandId": str(uuid.uuid4()),
            "Comment": params.get("Comment", ""),
        }
        self.commands.append(command)
        self.on_send(command)
        if self.die_after_sending:
            raise TimeoutError("the function was ended here")
        return {"Command": command, "ResponseMetadata": {"RequestId": "r-1", "HTTPStatusCode": 200}}

    def GetCommandInvocation(self, _: Json) -> Json:
        return {"Status": self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]}

    def ListCommands(self, _: Json) -> Json:
        return {"Commands": self.commands if self.listed else []}

    def CancelCommand(self, _: Json) -> Json:
        return {}


@dataclass
class ForensicsLab(Lab):
    agent: Agent = field(default_factory=Agent)
    settings: Json = field(
        default_factory=lambda: {
            "when": "before",
            "deadline_seconds": 60,
            "deadlines": {},
            "timeout_minutes": 30,
            "packet_capture_seconds": 0,
            "memory": {"linux": None, "windows": None},
            "commands": {"linux": 0, "windows": 0},
        }
    )
    clock: float = field(default_factory=time.time)
    before: Json = field(default_factory=dict)

    def build(self, **traits: Any) -> ForensicsLab:  # type: ignore[override]
        super().build(**traits)
        os.environ["GDR_BUCKET"] = BUCKET
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
        id = self.ids["instance"]
        arn = f"arn:aws:ec2:{self.region}:{MEMBER}:instance/{id}"
        self.record.put_target(
            INCIDENT,
            {
                "kind": "ec2_instance",
                "id": id,
                "arn": arn,
            },
        )
        return self

    @property
    def target_context(self) -> InstanceContext:
        context = self.context()
        context.config = context.config._replace(
            forensics=cast("Forensics", self.settings), security_account=DOCUMENT.split(":")[4]
        )
        arn = f"arn:aws:ec2:{self.region}:{MEMBER}:instance/{self.ids['instance']}"
        instance = InstanceContext(
            context,
            Target(
                "ec2_instance",
                self.ids["instance"],
                arn,
                MEMBER,
                self.region,
            ),
        )
        instance.stored = self.stored_record()  # as run.py does
        return instance

    def context(self, attempt: int = 1, incident: str = INCIDENT) -> Context:
        context = super().context(attempt, incident)
        context.put_evidence = lambda name, content: evidence_store.put(
            incident,
            name,
            content,
        )
        return context

    def step(self) -> EvidenceItem:
        """One call as the orchestrator makes it: with what the ledger holds of the last one, and
        what it is kept as.
        """
        stored: dict[str, EvidenceEntry] = self.stored_record()["evidence"]
        before: EvidenceEntry = stored.get(forensics.NAME) or {}
        with acting(self, "collector"):
            part = forensics.run(self.target_context, before)
        self.record.evidence(
            INCIDENT, "ec2_instance", self.ids["instance"], forensics.NAME, asdict(part)
        )
        return part

    def finish(self, most: int = 60) -> EvidenceItem:
        """Step by step to the end; the clock goes on by what each step asks to wait."""
        for _ in range(most):
            part = self.step()
            if part.outcome != "RUNNING":
                return part
            assert part.wait_seconds > 0
            self.clock += part.wait_seconds
        raise AssertionError("it never ends")

    def assume(
        self, account: str, region: str, policy: Json, gate: Gate | None = None
    ) -> clients.Session:
        assert len(json.dumps(policy, separators=(",", ":"))) <= 2048
        session = super().assume(account, region, policy)
        inner = session.client

        def client(service: str, region: str = region) -> Any:
            if service != "ssm":
                return inner(service, region)
            made = boto3.client("ssm", region_name=region)

            def answer(model: Any, params: Json, **_: Any) -> Any:
                sent = json.loads(params["body"])
                allowed(model.name, sent, policy)
                return SimpleNamespace(status_code=200), self.agent.answer(model.name, sent)

            made.meta.events.register("before-call.ssm", answer)
            return made

        session.client = client  # type: ignore[method-assign]
        return session

    # -- the bucket --------------------------------------------------------------------------------

    @property
    def s3(self) -> Any:
        return boto3.client("s3", region_name=REGION)

    def stored(self) -> list[str]:
        return [
            listed["Key"] for listed in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        ]

    def plan_lines(self) -> list[list[str]]:
        [key] = [key for key in self.stored() if key.endswith("plan.txt")]
        text = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
        return [line.split("\t") for line in text.splitlines()]

    def upload(
        self, names: tuple[str, ...] = SECTIONS, index: bool = True, **states: str
    ) -> Callable[[Json], None]:
        """What the instance does when the command comes: writes to the keys of the plan's URLs."""

        def deliver(_: Json) -> None:
            keys = {
                line[0]: key_of(line[2])
                for line in self.plan_lines()
                if not line[0].startswith("@")
            }
            lines = []
            for name in names:
                body, state = f"content of {name}".encode(), states.get(name.split(".")[0], "ok")
                there = state not in ("absent", "skipped", "failed", "lost")
                if there:
                    self.s3.put_object(
                        Bucket=BUCKET,
                        Key=keys[name],
                        Body=body,
                    )
                sha = hashlib.sha256(body).hexdigest() if there else "-"
                lines.append(f"{name}\t{len(body) if there else 0}\t{sha}\t{int(there)}\t{state}")
            if index:
                self.s3.put_object(
                    Bucket=BUCKET, Key=keys["index.tsv"], Body="\n".join(lines).encode()
                )

        return deliver


def key_of(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    path = urllib.parse.unquote(parts.path).lstrip("/")
    return path.removeprefix(f"{BUCKET}/")


def allowed(operation: str, params: Json, policy: Json) -> None:
    """Raises AccessDenied unless the session policy allows the call; SendCommand needs the
    instance and the document.
    """
    action = f"ssm:{operation}"
    named = ["*"]
    if operation == "SendCommand":
        region = params["DocumentName"].split(":")[3]
        named = [
            params["DocumentName"],
            *(f"arn:aws:ec2:{region}:{MEMBER}:instance/{id}" for id in params["InstanceIds"]),
        ]
    patterns = [
        pattern
        for statement in policy["Statement"]
        if action in statement["Action"]
        for pattern in (
            [statement["Resource"]]
            if isinstance(statement["Resource"], str)
            else statement["Resource"]
        )
    ]
    for arn in named:
        if not any(fnmatch.fnmatchcase(arn, pattern) for pattern in patterns):
            raise AssertionError(f"the session policy does not allow {action} on {arn}")
