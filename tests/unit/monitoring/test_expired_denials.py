"""When the watchdog has denials taken out of a role, how often it tries, and whom it tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from guardduty_response.aws.dynamodb_types import item
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.session_denials import document, look_at
from guardduty_response.functions import closing, respond
from guardduty_response.incident import shared_settings
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import expiry, upkeep
from guardduty_response.playbooks.ec2_instance import gone

from tests.unit.deployment import MEMBER, PREFIX, TABLE, Deployment, onlooker
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


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        yield traveller


@pytest.fixture
def role(
    deployment: Deployment,
    record: IncidentRepository,
    incident: Callable[..., str],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Role:
    monkeypatch.setenv(expiry.FUNCTIONS, json.dumps({"ec2_instance": FUNCTION}))
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    return Role(
        deployment,
        record,
        incident("i-1", status="CONTAINED"),
    )


@pytest.fixture
def instance() -> str:
    """An instance that exists, in the Region of the incident's target."""
    ec2 = onlooker("ec2", REGION)
    [image] = ec2.describe_images(Owners=["amazon"])["Images"][:1]
    found = ec2.run_instances(
        ImageId=image["ImageId"],
        MinCount=1,
        MaxCount=1,
    )["Instances"]
    return str(found[0]["InstanceId"])


@pytest.fixture
def closed(
    deployment: Deployment,
    record: IncidentRepository,
    incident: Callable[..., str],
    clock: Any,
    instance: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Role:
    """The role of an instance that exists, and whose incident was closed with it contained."""
    monkeypatch.setenv(expiry.FUNCTIONS, json.dumps({"ec2_instance": FUNCTION}))
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    found = Role(
        deployment,
        record,
        incident(instance, status="CONTAINED"),
        instance,
    )
    found.close()
    return found


def on(clock: Any, **of: float) -> None:
    clock.shift(timedelta(**of))


def test_nothing_is_looked_at_before_a_session_can_be_over(role: Role, clock: Any) -> None:
    role.goes()
    assert 12 * 60 < role.minutes() < 12 * 60 + 6
    on(clock, hours=12)
    assert role.reconcile() == [] and role.is_denied()


def test_what_is_over_is_taken_out_and_the_role_is_looked_at_no_more(
    role: Role, clock: Any
) -> None:
    role.goes()
    on(clock, hours=12.2)
    [request] = role.reconcile()
    assert (request["verb"], request["role"]) == ("expire", ROLE)
    assert role.reconcile() == [], "it is handed out once"
    assert respond.handler(request) == {"next": "", "error": ""}
    assert role.iam.list_role_policies(RoleName="app")["PolicyNames"] == []
    assert role.iam.list_role_tags(RoleName="app")["Tags"] == []
    assert "due_at" not in role.due
    assert "denial taken out" in " ".join(role.deployment.timeline(role.incident))
    on(clock, days=2)
    assert role.reconcile() == [] and role.problems() == []


def test_while_it_is_contained_it_is_looked_at_again(role: Role, clock: Any) -> None:
    for _ in range(3):
        on(clock, hours=12.2)
        assert role.reconcile() == [] and role.is_denied()
        assert 300 < role.minutes() <= 360
    role.goes()
    on(clock, hours=12.2)
    [request] = role.reconcile()
    respond.handler(request)
    assert not role.is_denied()


def test_of_a_closed_containment_it_leaves_when_the_instance_is_gone(
    closed: Role, instance: str, clock: Any
) -> None:
    """Nobody verifies it any more: EC2 is asked, every six hours, while the instance exists."""
    for _ in range(2):
        on(clock, hours=12.2)
        [request] = closed.reconcile()
        assert respond.handler(request)["error"] == ""
        assert closed.is_denied() and 300 < closed.minutes() <= 360
    onlooker("ec2", REGION).terminate_instances(InstanceIds=[instance])
    on(clock, hours=6.1)
    [request] = closed.reconcile()
    assert respond.handler(request)["error"] == ""
    assert closed.is_denied(), "credentials that it had may live for 12 hours"
    assert 12 * 60 < closed.minutes() < 12 * 60 + 6
    assert closed.deployment.timeline(closed.incident)[-1] == "gone"
    on(clock, hours=12.2)
    [request] = closed.reconcile()
    assert respond.handler(request) == {"next": "", "error": ""}
    assert closed.iam.list_role_policies(RoleName="app")["PolicyNames"] == []
    assert closed.iam.list_role_tags(RoleName="app")["Tags"] == []
    assert "due_at" not in closed.due and closed.problems() == []
    assert closed.record.meta(closed.incident)["status"] == Status.CLOSED


def test_while_ec2_does_not_answer_it_stays_and_people_are_told(
    closed: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")

    def refuse(*_: Any) -> str:
        raise refused

    monkeypatch.setattr(gone, "why_gone", refuse)
    on(clock, hours=12.2)
    for _ in range(expiry.ATTEMPTS + 3):
        [request] = closed.reconcile()
        assert "UnauthorizedOperation" in respond.handler(request)["error"]
        assert closed.is_denied()
        assert 300 < closed.minutes() <= 360
        on(clock, hours=6.1)
    [told] = closed.problems()
    assert "It is tried again" in told and "UnauthorizedOperation" in told
    assert "whether it does could not be found out" in told and "over by now" not in told
    state = closed.record.containments.state(*closed.place)
    assert state is not None and state["status"] == Status.CONTAINED
    assert closed.is_denied()


def test_what_cannot_be_asked_about_keeps_no_other_entry_from_leaving(
    closed: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking fails for days; then the instance of another entry is gone."""

    def refuse(*_: Any) -> str:
        raise ClientError({"Error": {"Code": "UnauthorizedOperation"}}, "DescribeInstances")

    other = closed.deny_another("i-2")
    closed.record.containments.set(*other, status=Status.CONTAINED)
    monkeypatch.setattr(gone, "why_gone", refuse)
    for _ in range(expiry.ATTEMPTS + 3):
        on(clock, hours=12.2)
        [request] = closed.reconcile()
        respond.handler(request)
    closed.record.containments.set(*other, status=Status.GONE)
    for _ in range(2):
        on(clock, hours=12.2)
        [request] = closed.reconcile()
        respond.handler(request)
    known = closed.record.shared.read(ROLE, OLDER).known
    assert set(known) == {closed.place}
    assert closed.is_denied()


def test_what_the_function_did_not_live_to_ask_is_asked_again(closed: Role, clock: Any) -> None:
    on(clock, hours=12.2)
    for _ in range(expiry.ATTEMPTS + 3):
        assert closed.reconcile(), "its function dies each time"
        on(clock, minutes=closed.minutes() + 1)
    [told] = closed.problems()
    assert "the function did not answer" in told


def test_of_a_closed_containment_whose_playbook_is_switched_off_nobody_asks(
    closed: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is switched on: nothing is known to be over, and people are told nothing."""
    monkeypatch.setenv(expiry.FUNCTIONS, "{}")
    for _ in range(expiry.TOLD_AFTER + 1):
        on(clock, hours=12.2)
        assert closed.reconcile() == []
    assert closed.problems() == [] and 300 < closed.minutes() <= 360
    monkeypatch.setenv(expiry.FUNCTIONS, json.dumps({"ec2_instance": FUNCTION}))
    on(clock, hours=6.1)
    assert closed.reconcile()


def test_a_pause_is_respected_and_ends_nothing(role: Role, clock: Any) -> None:
    pause = {"pk": "CONTROL", "sk": "OPERATOR", "paused": True, "by": "ada", "reason": "a drill"}
    role.deployment.dynamodb.put_item(TableName=TABLE, Item=item(pause))
    role.goes()
    on(clock, hours=12.2)
    for _ in range(expiry.ATTEMPTS + 3):
        [request] = role.reconcile()
        assert "paused by ada" in respond.handler(request)["error"]
        assert role.is_denied()
        assert 59 < role.minutes() <= 60
        on(clock, hours=1.1)
    assert role.problems() == []
    role.deployment.dynamodb.delete_item(
        TableName=TABLE, Key=item({"pk": "CONTROL", "sk": "OPERATOR"})
    )
    [request] = role.reconcile()
    respond.handler(request)
    assert not role.is_denied()


def test_what_fails_is_tried_again_and_told_and_ends(role: Role, clock: Any) -> None:
    """Less and less often; people are told once while it goes on, and once when it ends."""
    role.goes()
    on(clock, hours=12.2)
    waits = []
    for _ in range(expiry.ATTEMPTS):
        [_request] = role.reconcile()  # which dies each time
        waits.append(role.minutes())
        on(clock, minutes=waits[-1] + 1)
    waits = [round(minutes) for minutes in waits]
    assert waits == sorted(waits) and (waits[0], waits[-1]) == (15, 360)
    assert role.reconcile() == []
    messages = role.problems()
    assert len(messages) == 2
    assert "It is tried again" in messages[0] and "the function did not answer" in messages[0]
    assert "It is not tried again" in messages[1]
    assert "due_at" not in role.due and role.is_denied()
    on(clock, days=2)
    assert role.reconcile() == [] and role.problems() == []


def test_a_failure_says_why(role: Role, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease of the role's setting is respected."""
    monkeypatch.setattr(
        shared_settings,
        "WAIT_SECONDS",
        0.0,
    )
    role.goes()
    on(clock, hours=12.2)
    role.record.leases.acquire(
        f"{ROLE}#{OLDER}",
        "somebody",
        "inc-1",
        3600,
    )
    [request] = role.reconcile()
    assert "is being written by somebody" in respond.handler(request)["error"]
    assert role.is_denied()
    assert "is being written by somebody" in role.due["why"]
    assert role.due["attempts"] == 1


def test_who_is_denied_meanwhile_is_looked_at_later(role: Role, clock: Any) -> None:
    """The step's answer does not settle an item that a containment has written since."""
    role.goes()
    on(clock, hours=12.2)
    [request] = role.reconcile()
    role.deny_another("i-2")
    respond.handler(request)
    assert 12 * 60 < role.minutes() < 12 * 60 + 6


def test_a_playbook_that_is_switched_off_writes_nothing(
    role: Role, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(expiry.FUNCTIONS, "{}")
    role.goes()
    on(clock, hours=12.2)
    assert role.reconcile() == []
    assert role.due["why"] == "playbook ec2_instance is switched off"
    assert role.is_denied()


def test_where_no_playbook_is_in_use_the_index_is_not_asked(
    role: Role, clock: Any, monkeypatch: pytest.MonkeyPatch, api_calls: list[str]
) -> None:
    """Its role may not, and the watchdog would fail every five minutes."""
    monkeypatch.delenv(expiry.FUNCTIONS)
    role.goes()
    on(clock, hours=12.2)
    api_calls.clear()
    assert expiry.dispatch(role.record) == []
    assert api_calls == []
