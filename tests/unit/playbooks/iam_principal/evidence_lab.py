"""A member account whose CloudTrail can be asked in every Region, an incident record and an
evidence bucket, on moto.

moto has neither LookupEvents nor ListRegions: they are answered where botocore's Stubber answers,
after botocore validated and serialized the request, with CloudTrail's own rules for ``Username`` (a
user's name, or the session's) and ``AccessKeyId``.
"""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import ModuleType
from typing import Any

import boto3
import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.cloudtrail import query
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config
from guardduty_response.evidence import store as evidence_store
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.incident.repository import IncidentRepository
from moto.core.botocore_stubber import BotocoreStubber

from tests.unit.background import drain
from tests.unit.deployment import CONFIG, onlooker
from tests.unit.playbooks.config_stand_in import ConfigStandIn
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    KEY,
    MEMBER,
    ROLE_ID,
    USER_ID,
    user,
)
from tests.unit.playbooks.iam_principal.cloudtrail_stand_in import CloudTrailStandIn, list_regions
from tests.unit.playbooks.own_aws import create_incident_table, empty_aws, one_at_a_time
from tests.unit.playbooks.watched_session import WatchedSession

Json = dict[str, Any]
REGION, PREFIX = "eu-west-1", "guardduty-response"
INCIDENT, BUCKET = "inc-0123456789abcdef", "evidence"
HOME, OTHER = "us-east-1", "ap-southeast-2"
OPTIONS: Json = {
    "list_actions": True,
    "lookup_hours": 24,
    "lookup_regions": [OTHER],
    "repeat_minutes": 0,
    "remediate": [],
    "rotate_key": None,
    "trail_query": None,
}
_FULL = botocore.loaders.create_loader()


@dataclass
class EvidenceLab(CloudTrailStandIn):
    options: Json = field(default_factory=lambda: dict(OPTIONS))
    faults: list[tuple[str, str, Callable[[Json], bool], list[int]]] = field(default_factory=list)
    policies: list[Json] = field(default_factory=list)
    # what a session asked for beyond its policy: no test may see any
    refused: list[str] = field(default_factory=list)
    notified: list[str] = field(default_factory=list)
    enabled: list[str] = field(
        default_factory=lambda: ["eu-central-1", "us-west-2", HOME, REGION, "sa-east-1"]
    )
    kind: str = "iam_user"
    id: str = "alice"
    details: Json = field(
        default_factory=lambda: {
            "accessKeyId": KEY,
            "principalId": USER_ID,
            "userType": "IAMUser",
            "userName": "alice",
        }
    )
    first_seen: float = 600.0  # seconds ago
    ahead: float = 0.0  # how far the clock was put forward
    attempt: int = 1
    execution: str = "exec"
    sample: bool = False  # whether the finding is GuardDuty's sample
    config: ConfigStandIn = field(default_factory=ConfigStandIn)

    # -- what there is -----------------------------------------------------------------------------

    def build(self) -> EvidenceLab:
        create_incident_table(REGION)
        location: Any = {"LocationConstraint": REGION}
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        return self.build_record()

    def build_record(self) -> EvidenceLab:
        """Puts the target into the incident record, once more where it is another by now."""
        self.record.put_target(INCIDENT, self.target.reference())
        return self

    def stolen(
        self, role: str = "app", name: str = "i-0123456789abcdef0", unique_id: str = ROLE_ID
    ) -> EvidenceLab:
        """The finding is about a role's session instead of the user alice."""
        self.kind, self.id = "role_session", f"{role}/{name}"
        self.details = {
            "accessKeyId": "ASIAAPP",
            "principalId": f"{unique_id}:{name}" if unique_id else "",
            "userType": "AssumedRole",
            "userName": role,
        }
        return self

    def happened(
        self, name: str, ago: float = 60, region: str = REGION, who: Json | None = None, **more: Any
    ) -> Json:
        """An event of ``ago`` seconds ago; ``more``: fields of the record. Reading calls are
        told by their names.
        """
        at = time.time() - ago
        record = {
            "eventVersion": "1.11",
            "eventID": str(uuid.uuid4()),
            "eventName": name,
            "eventSource": "iam.amazonaws.com",
            "awsRegion": region,
            "recipientAccountId": MEMBER,
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2",
            "userIdentity": who or user(),
            "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "readOnly": name.startswith(("Get", "List", "Describe", "Assume")),
            "requestParameters": None,
            "responseElements": None,
            **more,
        }
        self.trail.append({"at": at, "region": region, "record": record})
        return record

    def assumed(
        self,
        key: str,
        role: str = f"arn:aws:iam::{MEMBER}:role/admin",
        who: Json | None = None,
        **more: Any,
    ) -> Json:
        answer = {
            "credentials": {
                "accessKeyId": key,
                "sessionToken": "TOKEN-IN-CLEAR",
                "expiration": "now_rounded_up",
            }
        }
        return self.happened(
            "AssumeRole",
            who=who,
            eventSource="sts.amazonaws.com",
            responseElements=answer,
            requestParameters={"roleArn": role, "roleSessionName": "s"},
            **more,
        )

    # -- running -----------------------------------------------------------------------------------

    @property
    def target(self) -> Target:
        return Target(self.kind, self.id, f"arn:aws:iam::{MEMBER}:user/{self.id}", MEMBER, REGION)

    @property
    def record(self) -> IncidentRepository:
        return IncidentRepository("incidents")

    def context(self) -> Context:
        seen = datetime.fromtimestamp(time.time() - self.first_seen, UTC).strftime(
            "%Y-%m-%dT%H:%M:%S.000Z"
        )
        detail = {
            "resource": {"accessKeyDetails": self.details},
            "service": {"eventFirstSeen": seen},
        }
        found = finding.Finding(
            id="f1",
            type="UnauthorizedAccess:IAMUser/MaliciousIPCaller",
            account_id=MEMBER,
            region=REGION,
            partition="aws",
            severity=8.0,
            title="t",
            resource_type="AccessKey",
            sample=self.sample,
            archived=False,
            count=1,
            detail=detail,
        )
        document = dict.fromkeys(Config._fields) | {
            "name_prefix": PREFIX,
            "partition": "aws",
            "playbooks": {"iam_principal": self.options},
            "evidence": {},
            "responder": CONFIG["responder"],
        }
        config = Config(**document)  # type: ignore[arg-type]
        put = partial(evidence_store.put, INCIDENT)
        return Context(
            config,
            self.options,
            found,
            INCIDENT,
            self.execution,
            self.record,
            self.assume,
            put,
            self.attempt,
        )

    def target_context(self) -> TargetContext:
        principal = TargetContext(self.context(), self.target)
        principal.stored = principal.read_stored()
        return principal

    def once(self, module: ModuleType, keep: bool = True) -> EvidenceItem:
        """One call of a part; ``keep``: whether its answer reaches the ledger, as it does unless
        the function dies.
        """
        principal = self.target_context()
        before = dict(principal.stored["evidence"].get(module.NAME) or {})
        part: EvidenceItem = module.run(principal, before)
        if keep:
            principal.record_evidence(module.NAME, json.loads(json.dumps(part.__dict__)))
        self.notified.append(f"{module.NAME} {part.outcome}: {part.detail} TASK {part.task}")
        return part

    def collect(self, module: ModuleType, most: int = 20) -> list[EvidenceItem]:
        """Every answer of a part up to its end; what it waits for is let pass."""
        parts = [self.once(module)]
        while parts[-1].outcome == "RUNNING":
            assert len(parts) < most, "the part never ends"
            self.ahead += parts[-1].wait_seconds
            parts.append(self.once(module))
        return parts

    def kept(self, name: str) -> Json:
        return dict(self.record.target(INCIDENT, self.kind, self.id)["evidence"].get(name) or {})

    def assume(self, account: str, region: str, policy: Json) -> clients.Session:
        assert account == MEMBER
        assert len(json.dumps(policy, separators=(",", ":"))) <= 2048
        self.policies.append(policy)
        role = f"arn:aws:iam::{account}:role/{PREFIX}-collector-iam-principal"
        return WatchedSession(lambda client: self._hook(client, policy), role, region, policy)

    def fail(
        self,
        operation: str,
        error: str,
        when: Callable[[Json], bool] = lambda _: True,
        times: int = 10**6,
    ) -> None:
        self.faults.append((operation, error, when, [times]))

    def _hook(self, client: Any, policy: Json) -> None:
        service, region = client.meta.service_model.service_name, client.meta.region_name

        def before(params: Json, model: Any, **_: Any) -> None:
            # what is answered here is never signed
            client._request_signer._credentials.get_frozen_credentials()
            action = f"{service}:{model.name}"
            if not any(action in statement["Action"] for statement in policy["Statement"]):
                self.refused.append(action)
                raise ClientError(
                    {"Error": {"Code": "AccessDenied", "Message": f"session policy: {action}"}},
                    model.name,
                )
            for operation, error, when, left in self.faults:
                if operation == model.name and left[0] > 0 and when({**params, "region": region}):
                    left[0] -= 1
                    answer: Any = {
                        "Error": {"Code": error, "Message": "injected"},
                        "ResponseMetadata": {"HTTPStatusCode": 400},
                    }
                    raise ClientError(answer, model.name)

        client.meta.events.register_first("before-parameter-build", before)
        self.config.watch(client)
        if service == "cloudtrail":
            client.meta.events.register(
                "before-call.cloudtrail.LookupEvents", partial(self.lookup_events, region)
            )
        if service == "account":
            client.meta.events.register(
                "before-call.account.ListRegions", list_regions(self.enabled)
            )

    # -- looking with other eyes -------------------------------------------------------------------

    def see(self, service: str) -> Any:
        return onlooker(service, REGION)

    def stored(self) -> dict[str, bytes]:
        """Name below the target's folder -> content, of everything in the evidence bucket."""
        s3, prefix = boto3.client("s3", region_name=REGION), f"incidents/{INCIDENT}/{self.id}/"
        keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {
            key.removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }

    def events(self, place: str = "", round: int = 1) -> list[Json]:
        """Records kept of one round and place, by time."""
        found = [
            json.loads(line)
            for name, content in self.stored().items()
            if name.startswith(f"actions/round-{round}/{place}")
            for line in gzip.decompress(content).decode().splitlines()
        ]
        return sorted(found, key=lambda event: event["eventTime"])

    def changes(self) -> list[list[Json]]:
        """As remediation reads them: by the keys in the ledger."""
        return [
            list(evidence_store.get_event(key)) for key in self.kept("actions")["state"]["changes"]
        ]

    def summary(self) -> Json:
        return dict(json.loads(self.stored()["actions/summary.json"]))


def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    """An empty AWS and no pause between calls. moto is not safe for threads: it answers one
    request at a time.
    """
    monkeypatch.setenv("GDR_BUCKET", BUCKET)
    # The collector's zip has no trimmed models.
    monkeypatch.setattr(clients, "_loader", lambda: _FULL)
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0)
    clock = time.time
    monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time())
    with empty_aws(monkeypatch, REGION):
        made = EvidenceLab()
        monkeypatch.setattr(time, "time", lambda: clock() + made.ahead)
        yield made
        drain()
        for line in made.notified:  # shown when the test failed
            print(line)
        assert made.refused == [], "every session policy must allow what its session asks for"
