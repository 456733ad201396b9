"""Tests what the monitor function makes of what it reads: held, lost, unread, put off, ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from guardduty_response.containment.contract import StepResult
from guardduty_response.errors import ResponseError, TargetGone
from guardduty_response.functions import monitor
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import due, executions, slots

from tests.unit.checks import SCHEDULE, counts, make_due, run_invoked
from tests.unit.deployment import EXECUTIONS
from tests.unit.fake_playbook import ARN, configure
from tests.unit.function_calls import OUTBOX, notified, watch
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, UNREAD, UNTAGGED, Case
from tests.unit.monitoring.watchdog_events import change_event, started_checks

Json = dict[str, Any]
EVENT = change_event(parameters={"networkInterfaceId": "eni-1"})


def minutes_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds() / 60


# -- quiet -----------------------------------------------------------------------------------------


def test_a_quiet_check_starts_nothing_and_writes_when_the_next_is_due(case: Case) -> None:
    timeline, meta = case.deployment.timeline(case.incident_id), case.meta
    for _ in range(3):
        assert case.check_all() == counts(held=1)
    assert started_checks(case.deployment) == {}
    assert case.deployment.timeline(case.incident_id) == timeline
    assert case.meta == meta
    assert notified(case.deployment) == ([], [])
    assert 14.9 < minutes_until(case.due["due_at"]) <= 15
    assert case.due["checked_at"] > meta["updated_at"]
    assert {"claim", "claimed_until"}.isdisjoint(case.due)
    assert case.deployment.items(f"RESOURCE#{ARN}") == [], "it takes no lease"


def test_a_quiet_check_writes_its_claim_and_the_next_time(case: Case, api_calls: list[str]) -> None:
    make_due(case.deployment)
    watch(SCHEDULE)
    api_calls.clear()
    assert run_invoked(case.deployment) == [counts(held=1)]
    changing = [call for call in api_calls if not call.startswith(("Get", "Query", "AssumeRole"))]
    assert changing == ["UpdateItem", "DeleteItem"], "when it is due next, and the slot"


def test_a_check_reads_in_a_session_that_can_only_read(case: Case) -> None:
    case.check_all()
    context = case.fake.seen[-1]
    assert context.gate is None
    with pytest.raises(ResponseError, match="no role in place of GDR_OTHER_ROLE"):
        context.assume(
            "222222222222",
            "us-east-1",
            {"Statement": []},
            role="GDR_OTHER_ROLE",
        )


def test_a_second_delivery_to_the_monitor_checks_nothing(case: Case) -> None:
    make_due(case.deployment)
    watch(SCHEDULE)
    payloads = list(case.deployment.invoked)
    assert run_invoked(case.deployment) == [counts(held=1)]
    case.deployment.invoked += payloads
    assert run_invoked(case.deployment) == [counts()]


def test_a_person_invokes_the_monitor_by_hand(case: Case) -> None:
    named = {"arn": ARN, "generation": 1}
    batch = {
        "batch": "by-hand",
        "account_id": "222222222222",
        "region": "us-east-1",
        "why": "a person",
        "containments": [named],
    }
    assert monitor.handler({"monitor": batch}) == counts(held=1)


@pytest.mark.parametrize("bad", [None, {}, {"batch": "b"}, {"batch": "b", "containments": [1]}])
def test_what_names_no_batch_is_refused(case: Case, bad: Any) -> None:
    with pytest.raises(ResponseError, match="the monitor function is given"):
        monitor.handler({"monitor": bad})


# -- lost ------------------------------------------------------------------------------------------


def test_what_the_schedule_finds_lost_is_contained_again_by_the_machine(case: Case) -> None:
    case.see(OPEN, TAGGED)
    assert case.check_all() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"] == {"incident_id": case.incident_id, "why": "schedule", "seen": None}
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert minutes_until(case.due["due_at"]) <= executions.SLOT_SECONDS / 60 + 0.1
    assert notified(case.deployment) == (["BREACHED", "CONTAINED"], ["BREACHED"])


def test_what_an_event_tells_of_is_contained_again_at_once(case: Case) -> None:
    case.see(OPEN, TAGGED)
    assert case.change(EVENT) == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["why"] == "change"
    assert request["watch"]["seen"]["event_id"] == "ev-1"
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)


def test_what_fails_once_and_not_again_is_no_loss(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS is eventually consistent: it is read twice."""
    readings = iter([[OPEN, TAGGED], [GOOD, TAGGED]])

    def verify(*_: Any) -> Any:
        return StepResult(status=Status.CONTAINED, detail="closed"), next(readings)

    monkeypatch.setattr(case.fake, "verify", verify)
    assert case.check_all() == counts(held=1)
    assert started_checks(case.deployment) == {}


def test_losses_of_one_slot_share_an_execution_and_the_next_slot_answers(case: Case) -> None:
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        clock.move_to(datetime.fromisoformat(due.next_slot()))
        case.see(OPEN, TAGGED)
        case.check_all()
        case.see(OPEN, TAGGED)
        case.check_all()
        assert case.contained() == 2, "the slot's execution has ended"
        assert "lost again" in case.deployment.timeline(case.incident_id)
        clock.shift(executions.SLOT_SECONDS + 2)
        case.check_due()
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 3)
    assert len(started_checks(case.deployment)) == 2


def test_what_is_left_to_people_is_looked_at_by_the_interval(case: Case) -> None:
    """As before this release: who did it may become known, and a guardrail may end."""
    case.fake.find_actors = lambda *_: [  # type: ignore[attr-defined]
        {"who": "bob", "what": "X", "when": "t", "from": "f", "agent": "a", "event_id": "e"}
    ]
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    case.see(OPEN, TAGGED)
    case.check_all()
    assert case.meta["status"] == "BREACHED"
    later = datetime.now(UTC) + timedelta(minutes=5)
    with time_machine.travel(later, tick=False):
        assert case.check_all() == counts(lost=1)
        assert 14.9 < minutes_until(case.due["due_at"]) <= 15
    assert notified(case.deployment) == (["BREACHED"], ["BREACHED"])


def test_a_loss_whose_actor_nobody_finds_is_looked_at_by_the_interval_in_the_end(
    case: Case,
) -> None:
    """While CloudTrail may still tell who did it, at once; then as rarely as any other."""
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    case.see(OPEN, TAGGED)
    case.check_all()
    assert (case.meta["status"], case.target["breach"]["by"]) == ("BREACHED", [])
    for passed, seconds in ((10, executions.SLOT_SECONDS), (25, 15 * 60)):
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=passed), tick=False):
            assert case.check_all() == counts(lost=1)
            # A slot's check is due a second after the slot has ended.
            assert seconds - 120 < 60 * minutes_until(case.due["due_at"]) <= seconds + 1


def test_what_a_person_mended_is_told_as_contained(case: Case) -> None:
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    case.see(OPEN, TAGGED)
    case.check_all()
    case.see(GOOD, TAGGED)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=False):
        assert case.check_all() == counts(held=1)
    assert case.meta["status"] == "CONTAINED"
    assert case.target["breach"]["ended"]
    started = len(started_checks(case.deployment))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10), tick=False):
        case.check_all()
    assert len(started_checks(case.deployment)) == started


def test_a_check_that_failed_at_the_verdict_is_no_loss(case: Case, record: Any) -> None:
    record.containments.set(
        ARN,
        1,
        weak=["profile"],
        status=Status.PARTIAL,
    )
    case.see(GOOD, UNTAGGED)
    assert case.check_all() == counts(held=1)
    assert started_checks(case.deployment) == {}


# -- not read --------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_counted_and_told_once_by_the_watchdog(case: Case) -> None:
    case.see(GOOD, UNREAD)
    assert case.check_all() == counts(not_read=1)
    assert started_checks(case.deployment) == {}
    assert case.meta["status"] == "CONTAINED"
    since = case.due["unread"]
    watch(SCHEDULE)
    assert notified(case.deployment) == (["problem"], ["problem"])
    assert run_invoked(case.deployment) == [], "it is told of, not checked again at once"
    assert 14.9 < minutes_until(case.due["due_at"]) <= 15
    for _ in range(2):
        assert case.check_all() == counts(not_read=1)
        watch(SCHEDULE)
    assert notified(case.deployment) == ([], [])
    assert case.due["unread"] == since
    case.see(GOOD, TAGGED)
    assert case.check_all() == counts(held=1)
    assert not case.meta["unverified"]
    assert "unread" not in case.due
    assert "verified again" in case.deployment.timeline(case.incident_id)
    case.see(GOOD, UNREAD)
    case.check_all()
    watch(SCHEDULE)
    assert notified(case.deployment) == (["problem"], ["problem"]), "once more"


def test_a_check_that_raises_is_unread_and_told(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(*_: Any) -> Any:
        raise ValueError("a defect")

    monkeypatch.setattr(case.fake, "verify", verify)
    assert case.check_all() == counts(not_read=1)
    watch(SCHEDULE)
    [message] = case.deployment.messages("escalations")
    assert "could not be verified: ValueError: a defect" in message["Message"]


def test_what_is_lost_besides_what_cannot_be_read_is_lost(case: Case) -> None:
    case.see(OPEN, UNREAD)
    assert case.check_all() == counts(lost=1)


# -- put off and ended -----------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["restore-inc-1-ab", f"{EXECUTIONS}incident:other"])
def test_while_somebody_works_on_it_the_check_is_put_off(
    case: Case, record: IncidentRepository, owner: str
) -> None:
    assert record.leases.acquire(ARN, owner, "inc-other", 900) is None
    case.see(OPEN, TAGGED)
    assert case.check_all() == counts()
    assert started_checks(case.deployment) == {}
    assert 1.9 < minutes_until(case.due["due_at"]) <= 2
    assert [item["owner"] for item in case.deployment.items(f"RESOURCE#{ARN}")] == [owner]
    record.leases.release(ARN, owner)
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=3), tick=False):
        assert case.check_due() == counts(lost=1)


def test_while_its_own_execution_waits_for_evidence_it_is_checked(
    case: Case, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = f"{EXECUTIONS}incident:own"
    assert record.leases.acquire(ARN, owner, case.incident_id, 900) is None
    assert case.check_all() == counts(held=1)


def test_a_lease_whose_owner_died_puts_nothing_off_for_ever(
    case: Case, record: IncidentRepository
) -> None:
    record.leases.acquire(ARN, "restore-inc-1-ab", "inc-1", 900)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=901), tick=False):
        assert case.check_all() == counts(held=1)


def test_near_its_end_the_function_leaves_the_rest_due(case: Case) -> None:
    make_due(case.deployment)
    watch(SCHEDULE)
    [(_, payload)] = case.deployment.invoked
    case.deployment.invoked.clear()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 40_000)
    assert monitor.handler(payload, context) == counts()
    assert minutes_until(case.due["due_at"]) <= 0
    assert "claim" not in case.due
    assert case.check_due() == counts(held=1)


def test_near_its_end_the_function_leaves_a_change_to_the_next_batch(case: Case) -> None:
    watch(EVENT)
    [(_, payload)] = case.deployment.invoked
    case.deployment.invoked.clear()
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 40_000)
    monitor.handler(payload, context)
    case.see(OPEN, TAGGED)
    assert case.check_due() == counts(lost=1)
    [request] = started_checks(case.deployment).values()
    assert request["watch"]["seen"]["event_id"] == "ev-1"


def test_a_batch_gives_its_slot_back(case: Case, record: IncidentRepository) -> None:
    for _ in range(5):
        assert case.check_all() == counts(held=1)
    assert slots.take(record.table, "schedule") and slots.take(record.table, "schedule")


def test_what_is_gone_is_told_by_the_machine_and_not_checked_again(case: Case) -> None:
    case.fake.error = TargetGone("i-1 is terminated")
    assert case.check_all() == counts()
    assert case.meta["status"] == "GONE"
    assert case.due is None
    assert case.deployment.items("WATCHED#222222222222#eni-1") == []


def test_what_no_incident_is_monitored_for_is_forgotten(
    case: Case, record: IncidentRepository
) -> None:
    record.move(case.incident_id, Status.CONTAINED, Status.FAILED)
    assert case.check_all() == counts()
    assert case.due is None
    assert started_checks(case.deployment) == {}


def test_while_its_incident_is_at_work_the_check_is_put_off(
    case: Case, record: IncidentRepository
) -> None:
    record.move(case.incident_id, Status.CONTAINED, Status.CONTAINING)
    assert case.check_all() == counts()
    assert case.due is not None


def test_messages_that_wait_are_sent_beside_it(case: Case) -> None:
    case.see(OPEN, TAGGED)
    case.check_all()
    assert watch(OUTBOX)["waiting"] == 0
