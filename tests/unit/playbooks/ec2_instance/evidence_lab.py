"""The lab with a bucket for evidence and a collector that asks one part after the other, as the
project's own does.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.evidence.items import EvidenceItem
from guardduty_response.incident.model import EvidenceEntry, StoredObject
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from sandbox.emulator import moto_evidence  # patches moto: what it lacks is restored there
from tests.unit.deployment import onlooker
from tests.unit.playbooks.config_stand_in import ConfigStandIn
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, REGION, Lab
from tests.unit.playbooks.watched_session import acting

Json = dict[str, Any]
VAULT = "333333333333"
KEY = f"arn:aws:kms:{REGION}:{VAULT}:key/11111111-2222-3333-4444-555555555555"
assert moto_evidence.SCREEN


@dataclass
class EvidenceLab(Lab):
    """``stored``: name below the incident's prefix -> content. ``evidence``: the configuration's
    part of that name.
    """

    job: str = "collector"
    stored: dict[str, bytes] = field(default_factory=dict)
    evidence: Json = field(
        default_factory=lambda: {"log_window_minutes": 60, "forensics_account": None}
    )
    role_path: str = "/"
    trail: list[Json] = field(default_factory=list)  # what CloudTrail has: records
    page: int = 50
    config: ConfigStandIn = field(default_factory=ConfigStandIn)
    execution: str = (
        "arn:aws:states:us-east-1:123456789012:execution:guardduty-response-incident:run-1"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        del self.answers["LookupEvents"]  # ``trail`` answers instead

    def context(self, attempt: int = 1, incident: str = INCIDENT) -> Context:
        made = super().context(attempt, incident)
        responder = {**made.config.responder, "role_path": self.role_path}
        settings: Json = {
            "evidence": self.evidence,
            "forensics": {"when": "off"},
            "responder": responder,
        }
        made.config = made.config._replace(**settings)
        made.put_evidence, made.execution = self.put, self.execution
        return made

    def plan(self) -> Target:
        with acting(self, "responder"):
            return super().plan()

    def respond(self, target: Target | None = None) -> StepResult:
        with acting(self, "responder"):
            return super().respond(target)

    def put(self, name: str, content: bytes) -> StoredObject:
        assert isinstance(content, bytes)
        self.stored[name] = content
        return {
            "key": f"incidents/{INCIDENT}/{name}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }

    def hook(self, client: Any, policy: Json | None, session: int) -> None:
        super().hook(client, policy, session)
        self.config.watch(client)
        if client.meta.service_model.service_name == "cloudtrail":
            client.meta.events.register("before-call.cloudtrail.LookupEvents", self._look_up)
            client.meta.events.register_first(
                "before-parameter-build.cloudtrail.LookupEvents", self._asked
            )

    def _asked(self, params: Json, **_: Any) -> None:
        self.ids["asked"] = dict(params)

    def _look_up(self, **_: Any) -> Any:
        """moto has no LookupEvents. Answered where botocore's Stubber answers: after botocore
        validated the parameters.
        """
        asked = self.ids["asked"]
        (attribute,) = asked["LookupAttributes"]
        key, value = attribute["AttributeKey"], attribute["AttributeValue"]
        assert key in ("ResourceName", "Username", "AccessKeyId")
        found = [event for event in self.trail if event["match"].get(key) == value]
        found = [event for event in found if asked["StartTime"] <= event["at"] <= asked["EndTime"]]
        found.sort(key=lambda event: -event["at"])
        start = int(asked.get("NextToken") or 0)
        events = [
            {
                "EventId": event["id"],
                "EventName": event["record"]["eventName"],
                "Username": event["match"].get("Username", ""),
                "EventTime": datetime.fromtimestamp(event["at"], UTC),
                "CloudTrailEvent": json.dumps(event["record"]),
            }
            for event in found[start : start + self.page]
        ]
        more = {"NextToken": str(start + self.page)} if len(found) > start + self.page else {}
        return AWSResponse(
            "",
            200,
            HTTPHeaders(),
            None,
        ), {
            "Events": events,
            **more,
            "ResponseMetadata": {"RequestId": "r"},
        }

    def happened(
        self,
        name: str,
        ago: float = 60,
        error: str = "",
        source: str = "198.51.100.7",
        **match: str,
    ) -> Json:
        """An event of ``ago`` seconds ago that LookupEvents finds by ``match``."""
        at = time.time() - ago
        who = f"arn:aws:sts::222222222222:assumed-role/app/{match.get('Username', 'admin')}"
        record = {
            "eventName": name,
            "eventSource": "ec2.amazonaws.com",
            "sourceIPAddress": source,
            "userIdentity": {"arn": who},
            "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if error:
            record["errorCode"] = error
        self.trail.append(
            {
                "id": str(uuid.uuid4()),
                "at": at,
                "record": record,
                "match": match,
            }
        )
        return record

    def attach_encrypted_volume(self) -> Json:
        """Attaches a volume under the AWS managed key; returns it."""
        ec2 = self.see("ec2")
        [subnet] = ec2.describe_subnets(SubnetIds=[self.ids["subnet"]])["Subnets"]
        zone = subnet["AvailabilityZone"]
        volume: Json = ec2.create_volume(
            AvailabilityZone=zone,
            Size=1,
            Encrypted=True,
        )
        self.attach_volume(volume["VolumeId"])
        return volume

    def attach_volume(self, volume: str) -> None:
        instance = self.ids["instance"]
        self.see("ec2").attach_volume(
            VolumeId=volume,
            InstanceId=instance,
            Device="/dev/sdc",
        )

    def lines(self, name: str) -> list[str]:
        return gzip.decompress(self.stored[name]).decode().splitlines()

    def once(self, module: ModuleType, target: Target) -> EvidenceItem:
        """One call of a part with the ledger as it is, and its answer into the ledger."""
        instance = InstanceContext(self.context(), target)
        instance.stored = instance.read_stored()
        before = instance.stored["evidence"].get(module.NAME) or EvidenceEntry()
        part: EvidenceItem = module.run(instance, before)
        requests = [*before.get("request_ids", []), *part.request_ids]
        instance.record_evidence(
            module.NAME, json.loads(json.dumps({**part.__dict__, "request_ids": requests}))
        )
        self.notified.append(f"{module.NAME} {part.outcome}: {part.detail}")
        return part

    def collect(self, module: ModuleType, target: Target, most: int = 60) -> list[EvidenceItem]:
        """Every answer of a part, up to its end."""
        parts = [self.once(module, target)]
        while parts[-1].outcome == "RUNNING":
            assert len(parts) < most, "the part never ends"
            parts.append(self.once(module, target))
        assert all(len(item.detail) < 4000 for item in parts)
        return parts

    def kept(self, name: str) -> Json:
        return dict(self.stored_record()["evidence"].get(name) or {})

    def in_account(self, service: str, account: str, region: str = REGION) -> Any:
        return onlooker(service, region, account)


def put_clock_forward(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + seconds)


def short(policies: list[Json]) -> bool:
    """Every session policy fits into AWS STS."""
    return all(len(json.dumps(policy, separators=(",", ":"))) <= 2048 for policy in policies)


__all__ = ["KEY", "VAULT", "EvidenceLab", "short"]
