"""A role on which the sessions of an instance are denied, as the watchdog has it looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.session_denials import document, look_at
from guardduty_response.functions import closing
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import upkeep

from tests.unit.deployment import MEMBER, PREFIX, Deployment, onlooker
from tests.unit.function_calls import watch

Json = dict[str, Any]
ROLE = f"arn:aws:iam::{MEMBER}:role/app"
SWEEPER = {"source": "guardduty-response.sweeper"}
PLAYBOOK = f"arn:aws:lambda:eu-central-1:123456789012:function:{PREFIX}-playbook-ec2-instance"
FUNCTION = f"{PLAYBOOK}:expire"  # an alias
REGION = "us-east-1"  # of the incident's target
POLICY = f"{PREFIX}-sessions"


class Role:
    """A role on which the sessions of an instance are denied, which is monitored."""

    def __init__(
        self, deployment: Deployment, record: IncidentRepository, incident: str, id: str = "i-1"
    ) -> None:
        self.deployment, self.record, self.incident = deployment, record, incident
        self.iam = onlooker("iam")
        self.iam.create_role(RoleName="app", AssumeRolePolicyDocument="{}")
        target = record.target(
            incident,
            "ec2_instance",
            id,
        )
        self.place = (str(target["arn"]), int(target["generation"]))
        with record.shared.hold(ROLE, OLDER, "tests") as held:
            held.change_entry(
                self.place,
                {"denials": {"own": {"instance": id}}},
                look_at=look_at(),
            )
        self.iam.put_role_policy(
            RoleName="app",
            PolicyName=POLICY,
            PolicyDocument=json.dumps(document([{"instance": id}])),
        )
        self.iam.tag_role(RoleName="app", Tags=[{"Key": POLICY, "Value": "denied"}])
        record.set_target(
            incident,
            "ec2_instance",
            id,
            status=Status.CONTAINED,
        )
        before = {"role": ROLE, "policies": {POLICY: None}}
        record.before(
            incident,
            "ec2_instance",
            id,
            "sessions",
            before,
        )
        upkeep.take_up(record, [record.meta(incident)])

    def deny_another(self, id: str) -> tuple[str, int]:
        """Denies the sessions of another instance on the role, which is not monitored."""
        other = (f"{self.place[0].rpartition('/')[0]}/{id}", 1)
        reference: Any = {"arn": other[0], "kind": "ec2_instance", "id": id}
        reference |= {"account_id": MEMBER, "region": REGION}
        self.record.containments.join(
            reference,
            self.incident,
            "ec2_instance",
            id,
        )
        with self.record.shared.hold(ROLE, OLDER, "tests") as held:
            held.change_entry(
                other,
                {"denials": {"own": {"instance": id}}},
                look_at=look_at(),
            )
        return other

    def close(self) -> None:
        answer = closing.close(
            self.record,
            self.incident,
            "ada",
            "it is kept for the police",
        )
        assert answer["status"] == Status.CLOSED
        messages = str(self.deployment.messages())
        assert "12 hours after the instance was seen to be gone" in messages

    def goes(self) -> None:
        self.record.containments.set(*self.place, status=Status.GONE)

    @property
    def due(self) -> Json:
        [found] = [
            each
            for each in self.deployment.items(f"RESOURCE#{ROLE}#{OLDER}")
            if each["sk"] == "DUE"
        ]
        return found

    def minutes(self) -> float:
        due_at = datetime.fromisoformat(self.due["due_at"])
        return (due_at - datetime.now(UTC)).total_seconds() / 60

    def is_denied(self) -> bool:
        names = self.iam.list_role_policies(RoleName="app")["PolicyNames"]
        return bool(names == [POLICY] and self.iam.list_role_tags(RoleName="app")["Tags"])

    def asked(self) -> list[Json]:
        """What the playbook's function was invoked with, since last asked."""
        found = [payload for name, payload in self.deployment.invoked if name == FUNCTION]
        self.deployment.invoked.clear()
        return found

    def reconcile(self) -> list[Json]:
        watch(SWEEPER)
        return self.asked()

    def problems(self) -> list[str]:
        return [
            str(message)
            for message in self.deployment.messages()
            if "are denied on role app" in str(message)
        ]


def on(clock: Any, **of: float) -> None:
    clock.shift(timedelta(**of))
