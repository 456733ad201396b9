"""What a plan begins while its playbook reads: nothing of it counts that was not decided about."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, Planned, Target
from guardduty_response.errors import RoleUnavailable, TargetGone
from guardduty_response.evidence import store
from guardduty_response.functions import ahead, steps
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import Table

from tests.support.patience import PATIENCE
from tests.unit.deployment import MEMBER, Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import EXECUTION
from tests.unit.functions.respond_steps import open_incident, run_step

READS: Any = {"Version": "2012-10-17", "Statement": []}
PLANNING = {"execution": EXECUTION, "targets": [], "finding_key": ""}
PLACE = {"account_id": MEMBER, "region": "us-east-1"}


class Expecting:
    """Lets the fake playbook expect its target, as the real one of instances does."""

    def __init__(self, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> None:
        self.target = Target(
            "ec2_instance",
            "i-1",
            ARN,
            MEMBER,
            "us-east-1",
        )
        self.error: Exception | None = None
        self.role_error: Exception | None = None
        plan = fake.plan

        def expecting(context: Context) -> list[Planned]:
            assert context.expect is not None
            context.expect(self.target, self.session())
            if self.error:
                raise self.error
            return plan(context)

        monkeypatch.setattr(fake, "plan", expecting)

    def session(self) -> clients.Session:
        found = object.__new__(clients.Session)
        answer: Any = Future()
        if self.role_error:
            answer.set_exception(self.role_error)
        else:
            answer.set_result(None)
        found._future = answer
        return found


@pytest.fixture
def expecting(fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> Expecting:
    return Expecting(fake, monkeypatch)


def _counted(record: IncidentRepository) -> int:
    """Returns how many resources count, apart from the one that is asked about here."""
    counts = record.circuit_breaker.count_targets(
        "fake",
        "1",
        ["another"],
        60,
    )
    return counts.in_all - 1


def _marks(deployment: Deployment) -> list[dict[str, Any]]:
    return deployment.items("BREAKER")


def test_what_is_contained_is_counted_once(
    deployment: Deployment, expecting: Expecting, record: IncidentRepository
) -> None:
    answer = run_step("plan", open_incident())
    assert answer["decision"] == "act"
    assert [mark["arn"] for mark in _marks(deployment)] == [ARN]
    assert _counted(record) == 1


def test_one_too_many_is_asked_about(
    deployment: Deployment, expecting: Expecting, record: IncidentRepository
) -> None:
    configure(deployment, **{"guardrails.circuit_breaker": {"targets": 1, "minutes": 60}})
    record.circuit_breaker.count_targets(
        "fake",
        "1",
        ["first"],
        60,
    )
    assert run_step("plan", open_incident())["decision"] == "approve"


def test_what_turns_out_gone_is_not_counted(
    deployment: Deployment, expecting: Expecting, record: IncidentRepository
) -> None:
    expecting.error = TargetGone("instance i-1 is terminated")
    assert run_step("plan", open_incident())["decision"] == "gone"
    [mark] = _marks(deployment)
    assert mark["withdrawn"] is True
    assert _counted(record) == 0


def test_without_a_role_nothing_is_counted(deployment: Deployment, expecting: Expecting) -> None:
    """Thousands of findings of an account without one leave those of the others alone."""
    expecting.error = expecting.role_error = RoleUnavailable("cannot assume")
    assert run_step("plan", open_incident())["decision"] == "failed"
    assert _marks(deployment) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"guardrails.exempt_resources": ["i-1"]},
        {"guardrails.exempt_principals": ["role/scanner"]},
        {"remediations": {"*": "approve"}},
        {"paused": True},
    ],
)
def test_what_may_be_left_alone_is_not_counted_ahead(
    deployment: Deployment, expecting: Expecting, changes: Any
) -> None:
    configure(deployment, **changes)
    expecting.error = TargetGone("gone")
    run_step("plan", open_incident())
    assert _marks(deployment) == []


def test_another_plan_than_expected_counts_what_it_names(
    deployment: Deployment, fake: FakePlaybook, expecting: Expecting, record: IncidentRepository
) -> None:
    fake.ids = ["i-1", "i-2"]
    assert run_step("plan", open_incident())["decision"] == "act"
    assert _counted(record) == 2
    counting = [mark["arn"] for mark in _marks(deployment) if not mark.get("withdrawn")]
    assert sorted(counting) == sorted([ARN, ARN.replace("i-1", "i-2"), "another"])


def test_what_several_events_expect_is_each_taken_back(
    deployment: Deployment, expecting: Expecting, record: IncidentRepository
) -> None:
    """Containing again plans each event, and one of them may name what is gone."""
    context = steps.make_context({"verb": "plan", "incident_id": open_incident(), **PLANNING})
    begun = ahead.Ahead(context)
    for name in ("i-1", "i-2"):
        target = expecting.target._replace(id=name, arn=ARN.replace("i-1", name))
        begun.expect(target, expecting.session())
    assert begun.exceeded([{"id": "i-2", "arn": ARN.replace("i-1", "i-2")}]) == []
    begun.end()
    assert _counted(record) == 1
    withdrawn = [mark["arn"] for mark in _marks(deployment) if mark.get("withdrawn")]
    assert withdrawn == [ARN]


# -- the role is assumed while the finding is read -------------------------------------------------


def _prepared(fake: FakePlaybook, assumed: threading.Event) -> list[tuple[Any, ...]]:
    """Lets the fake playbook open a session ahead; returns whose role it asked for."""
    asked: list[tuple[Any, ...]] = []

    def prepare(context: Context, account_id: str, region: str) -> None:
        asked.append((account_id, region))
        assumed.set()

    fake.prepare = prepare  # type: ignore[attr-defined]
    return asked


def test_the_role_is_asked_for_before_the_finding_is_read(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id, assumed = open_incident(), threading.Event()
    asked, read = _prepared(fake, assumed), store.get_event

    def reading(key: str) -> object:
        assert assumed.wait(PATIENCE)
        return read(key)

    monkeypatch.setattr(store, "get_event", reading)
    assert (
        run_step(
            "plan",
            incident_id,
            place=PLACE,
            verify_only=False,
        )["decision"]
        == "act"
    )
    assert asked == [(MEMBER, "us-east-1")]


@pytest.mark.parametrize("event", [{}, {"place": {}}, {"place": PLACE, "verify_only": True}])
def test_nobody_is_asked_where_the_place_is_not_known(
    deployment: Deployment, fake: FakePlaybook, event: Any
) -> None:
    """A definition of an earlier release names none, and a recheck has sessions of its own."""
    incident_id = open_incident()
    asked = _prepared(fake, threading.Event())
    run_step("plan", incident_id, **event)
    assert asked == []


def test_the_same_session_is_opened_once() -> None:
    opened: list[tuple[Any, ...]] = []
    failures: list[str] = []

    def assume(*arguments: Any, **more: Any) -> Any:
        opened.append(arguments)
        return SimpleNamespace(failed_in_passing=lambda: bool(failures))

    once = ahead.remembering(assume)
    first = once(MEMBER, "us-east-1", READS)
    assert once(MEMBER, "us-east-1", {**READS}) is first
    assert once("999999999999", "us-east-1", READS) is not first
    failures.append("throttled")
    assert once(MEMBER, "us-east-1", READS) is not first
    assert len(opened) == 3


# -- status and targets in one transaction ---------------------------------------------------------


def test_a_new_incident_is_contained_with_its_targets_or_not_at_all(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_id, transact = open_incident(), Table.transact

    def failing(table: Table, writes: Any) -> Any:
        if "Update" in writes[0]:
            raise RuntimeError("ended here")
        return transact(table, writes)

    monkeypatch.setattr(Table, "transact", failing)
    with pytest.raises(RuntimeError):
        run_step("plan", incident_id)
    assert deployment.meta(incident_id)["status"] == "OPEN"
    assert deployment.targets(incident_id) == []
    monkeypatch.setattr(Table, "transact", transact)
    assert run_step("plan", incident_id)["decision"] == "act"
    assert deployment.meta(incident_id)["status"] == "CONTAINING"


def test_a_status_that_changed_meanwhile_is_read_anew(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, monkeypatch: Any
) -> None:
    """Somebody answers between the plan's reading and its writing."""
    incident_id, transact = open_incident(), Table.transact

    def asked_meanwhile(table: Table, writes: Any) -> Any:
        if "Update" in writes[0]:
            key = {"pk": f"INCIDENT#{incident_id}", "sk": "META"}
            table.update(
                key["pk"],
                key["sk"],
                {"status": "AWAITING_APPROVAL"},
            )
        return transact(table, writes)

    monkeypatch.setattr(
        Table,
        "transact",
        asked_meanwhile,
    )
    assert run_step("plan", incident_id)["decision"] == "act"
    assert deployment.meta(incident_id)["status"] == "CONTAINING"
    assert [target["id"] for target in deployment.targets(incident_id)] == ["i-1"]
