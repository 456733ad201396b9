"""A member account, a principal that acts in it, and the record of an incident: eradication and its
restoring, on moto.

The principal's calls are made for real (``EradicationLab.does``) and written down as CloudTrail
would, in the form the collector stores. Every session of the response is refused what its session
policy does not allow; other clients read the state (``EradicationLab.see``).
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment import restoration
from guardduty_response.containment.contract import (
    Context,
    RestoreResult,
    StepResult,
    Target,
    load_eradicator,
)
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision import configuration
from guardduty_response.decision.finding import Finding, parse
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.iam_principal import restore_reversals
from guardduty_response.playbooks.iam_principal.eradicate import revert
from moto.core.botocore_stubber import BotocoreStubber
from moto.iam.models import AWSManagedPolicy, iam_backends

from tests.support.repository import load_finding
from tests.unit.deployment import BUCKET, MEMBER, PREFIX, REGION, TABLE, Deployment, onlooker
from tests.unit.playbooks.iam_principal.cloudtrail_format import NAMES, as_cloudtrail
from tests.unit.playbooks.iam_principal.permissions_boundaries import extend_boundaries
from tests.unit.playbooks.iam_principal.session_policy import refusal
from tests.unit.playbooks.own_aws import one_at_a_time
from tests.unit.playbooks.watched_session import WatchedSession, acting, store_restored

Json = dict[str, Any]
INCIDENT, USER = "inc-0123456789abcdef", "alice"
KEY, THIEF = "AKIAEXAMPLE", "198.51.100.7"  # of the finding: its access key and address
FIRST_EVENT = "2026-01-01T10:00:00.000Z"
WHO = f"arn:aws:iam::{MEMBER}:user/{USER}"
KINDS = [
    "access_keys",
    "users",
    "login_profiles",
    "roles",
    "policies",
    "trust",
    "instances",
    "security_groups",
    "buckets",
    "trails",
    "detectors",
    "functions",
    "sharing",
]
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
NOTHING: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}],
}
_FULL = botocore.loaders.create_loader()


@dataclass
class Fault:
    operation: str
    error: str
    times: int


@dataclass
class EradicationLab:
    deployment: Deployment
    monkeypatch: pytest.MonkeyPatch
    job: str = "remediator"  # whose member role is assumed
    options: Json = field(
        default_factory=lambda: {"remediate": list(KINDS), "rotate_key": None, "restore": True}
    )
    kind: str = "iam_user"
    name: str = USER
    account: str = MEMBER
    region: str = REGION  # of the finding
    events: list[Json] = field(default_factory=list)
    bucket: str = BUCKET
    # (operation, parameters) of the response's own calls
    calls: list[tuple[str, Json]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    policies: list[Json] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    made: list[Json] = field(default_factory=list)  # access keys, with their secret part
    # operation -> called before it
    hooks: dict[str, Callable[[Json], None]] = field(default_factory=dict)
    boundaries: dict[str, str | None] = field(default_factory=dict)
    finding_key: str = KEY
    service: Json = field(default_factory=dict)  # of the finding: what differs
    handed_out: list[Json] = field(default_factory=list)  # as the collector lists it
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The function's zip has no trimmed models: it uses those of the runtime.
        self.monkeypatch.setattr(clients, "_loader", lambda: _FULL)
        self.monkeypatch.setattr(revert, "PAUSE_SECONDS", 0)
        self.monkeypatch.setattr(restoration, "PAUSE_SECONDS", 0)
        self.monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time())
        clients.client.cache_clear()
        clients._own.cache_clear()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            self.monkeypatch.setenv(name, "testing")
        self.record.put_target(
            INCIDENT, {"kind": self.kind, "id": self.name, "arn": self.target.arn}
        )
        self.see("iam").create_user(UserName=USER)
        # moto has no managed policies of AWS's own unless it loads all of them, which takes long.
        deny = AWSManagedPolicy(  # type: ignore[abstract]  # moto leaves CloudFormation open
            "AWSDenyAll",
            account_id=MEMBER,
            region="us-east-1",
            path="/",
            document=json.dumps(NOTHING),
        )
        iam_backends[MEMBER]["aws"].managed_policies[DENY_ALL] = deny

    @property
    def finding(self) -> Finding:
        """A finding about the principal's key."""
        event = load_finding("unauthorizedaccess_iamuser_unusualasncaller")
        details = {"accessKeyId": self.finding_key, "userType": "IAMUser", "userName": USER}
        event["detail"]["resource"]["accessKeyDetails"] = details
        call = {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": THIEF}}}
        event["detail"]["service"] = {"eventFirstSeen": FIRST_EVENT, "action": call, **self.service}
        return parse(event)

    # -- looking with other eyes -------------------------------------------------------------------

    def see(self, service: str, region: str = REGION) -> Any:
        if (service, region) not in self.seen:
            self.seen[service, region] = self._client(service, region)
        return self.seen[service, region]

    def _client(self, service: str, region: str) -> Any:
        client = onlooker(service, region)
        extend_boundaries(client, self.boundaries)
        return client

    @property
    def record(self) -> IncidentRepository:
        return IncidentRepository(TABLE, clients.client("dynamodb"))

    @property
    def target(self) -> Target:
        return Target(
            self.kind, self.name, f"arn:aws:iam::{MEMBER}:user/{self.name}", MEMBER, self.region
        )

    def stored_record(self) -> Json:
        return {**self.record.target(INCIDENT, self.kind, self.name)}

    def kept(self, part: str = "remediation") -> Json:
        return dict(self.stored_record()["evidence"].get(part) or {})

    @property
    def left(self) -> list[str]:
        return list(self.kept()["state"]["left"])

    def lines(self) -> dict[str, str]:
        """Event name -> status of its ledger line."""
        found = self.stored_record()["actions"].items()
        return {
            name.split("/")[1]: entry["status"]
            for name, entry in found
            if name.startswith("revert/")
        }

    def said(self) -> str:
        """Everything that people or logs may ever see of it."""
        stored = [
            self.deployment.s3.get_object(Bucket=BUCKET, Key=entry["key"])["Body"].read().decode()
            for part in self.stored_record()["evidence"].values()
            for entry in part.get("objects") or []
        ]
        return json.dumps(self.stored_record(), default=str) + "".join(stored)

    def changed(self) -> list[str]:
        """Operations of the response that change something."""
        return [name for name, _ in self.calls if not name.startswith(("Get", "List", "Describe"))]

    # -- what the principal does -------------------------------------------------------------------

    def does(
        self,
        service: str,
        operation: str,
        region: str = REGION,
        also: Json | None = None,
        **request: Any,
    ) -> Json:
        """Make the call as the principal does, and write its event.

        ``also``: fields of the event that differ.
        """
        answer = getattr(self.see(service, region), operation)(**request)
        answer = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        name = "".join(word.capitalize() for word in operation.split("_"))
        event = self._event(
            service,
            NAMES.get(name, name),
            region=region,
            parameters=as_cloudtrail(service, request),
            response=as_cloudtrail(service, answer),
        )
        self.events.append(json.loads(json.dumps(event | (also or {}), default=str)))
        return dict(answer)

    def happened(
        self, source: str, name: str, parameters: Json, response: Json | None = None, **also: Any
    ) -> Json:
        """Write an event that nothing in moto stands behind."""
        event = self._event(source, name, parameters=parameters, response=response or {}) | also
        self.events.append(event)
        return event

    def _event(self, service: str, name: str, **fields: Any) -> Json:
        return {
            "id": str(uuid.uuid4()),
            "at": f"2026-01-01T10:{len(self.events):02}:00Z",
            "name": name,
            "source": f"{service}.amazonaws.com",
            "region": REGION,
            "account": self.account,
            "who": WHO,
            "key": KEY,
            "session": "",
            "from": THIEF,
            "agent": "aws-cli/2",
            **fields,
        }

    # -- running -----------------------------------------------------------------------------------

    def list(self, more: bool = False) -> None:
        """What the collector keeps of a round: the changes since the last one. ``more``: another
        round is to come.
        """
        before = self.kept("actions").get("state") or {"changes": [], "listed": 0}
        name = f"{USER}/changes-{before['listed'] + 1}.json"
        stored = evidence_store.put(INCIDENT, name, json.dumps(self.events).encode())
        self.events = []
        state = {
            "round": before["listed"] + 1,
            "listed": before["listed"] + 1,
            "changes": [*before["changes"], stored["key"]],
            "handed_out": self.handed_out,
        }
        entry = {
            "outcome": "RUNNING" if more else "COMPLETE",
            "detail": "",
            "objects": [stored],
            "task": "",
            "state": state,
        }
        self.record.evidence(INCIDENT, self.kind, self.name, "actions", entry)

    def context(self, step_name: str = "remediate") -> Context:
        return Context(
            config=configuration.load(),
            options=self.options,
            finding=self.finding,
            incident_id=INCIDENT,
            execution="exec",
            record=self.record,
            assume=self.assume,
            put_evidence=partial(evidence_store.put, INCIDENT),
        )

    def once(self) -> StepResult:
        return load_eradicator("iam_principal").eradicate(self.context(), self.target)

    def eradicate(self, more: bool = False, most: int = 20) -> StepResult:
        """Lists what happened, then as the machine does: again and again, until the phase is
        done.
        """
        self.list(more)
        for _ in range(most):
            step = self.once()
            if step.done:
                assert self.refused == [], (
                    "every session policy must allow what its session asks for"
                )
                assert all(
                    len(json.dumps(document, separators=(",", ":"))) <= 2048
                    for document in self.policies
                )
                return step
            assert step.wait_seconds > 0
        raise AssertionError("remediate never ends")

    def restore(self) -> RestoreResult:
        """The reverts' share of a restore, as restoration.py does it: from the ledger alone."""
        principal = TargetContext(self.context("restore"), self.target)
        principal.stored = principal.read_stored()
        with acting(self, "restorer"):
            result = restoration.restore(
                principal, lambda: (True, restore_reversals.parts(principal))
            )
        assert self.refused == [], "every session policy must allow what its session asks for"
        store_restored(self.record, INCIDENT, self.kind, self.name, result)
        return result

    # -- the response's own sessions ---------------------------------------------------------------

    def fail(self, operation: str, error: str, times: int = 10**6) -> None:
        self.faults.append(Fault(operation, error, times))

    def error(self, name: str, operation: str) -> ClientError:
        status = 500 if name.startswith("Internal") else 400
        answer: Any = {
            "Error": {"Code": name, "Message": "injected"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        return ClientError(answer, operation)

    def assume(self, account: str, region: str, policy: Json) -> clients.Session:
        assert account == MEMBER
        self.policies.append(policy)
        role = f"arn:aws:iam::{account}:role/{PREFIX}-{self.job}-iam-principal"
        return WatchedSession(lambda client: self._hook(client, policy), role, region, policy)

    def _hook(self, client: Any, policy: Json) -> None:
        def before(params: Json, model: Any, **_: Any) -> None:
            service = client.meta.service_model.service_name
            self.calls.append((model.name, params))
            for fault in self.faults:
                if fault.operation == model.name and fault.times > 0:
                    fault.times -= 1
                    raise self.error(fault.error, model.name)
            if model.name in self.hooks:
                self.hooks[model.name](params)
            if missing := refusal(service, client.meta.region_name, model.name, params, policy):
                self.refused.append(missing)
                raise ClientError(
                    {"Error": {"Code": "AccessDenied", "Message": missing}}, model.name
                )

        client.meta.events.register_first("before-parameter-build", before)
        client.meta.events.register(
            "after-call.iam.CreateAccessKey",
            lambda parsed, **_: self.made.append(parsed["AccessKey"]),
        )
        extend_boundaries(client, self.boundaries)


def code() -> bytes:
    """Return a function's code."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): ...")
    return content.getvalue()
