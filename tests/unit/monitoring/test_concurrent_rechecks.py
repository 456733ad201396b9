"""Rechecks while others work on the same resource, and what ends monitoring."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.functions import contain_step, finish_step, respond
from guardduty_response.incident import outcome
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import later, load_finding
from tests.unit.deployment import EXECUTIONS
from tests.unit.fake_playbook import ARN, configure
from tests.unit.function_calls import EXECUTION, call, notified
from tests.unit.monitoring.contained_incident import BOB, OPEN, TAGGED, Case

SCHEDULES = f"{EXECUTIONS}incident:schedule"


def _mode(case: Case, mode: str, **more: Any) -> None:
    configure(
        case.deployment,
        remediations={"CryptoCurrency:EC2/*": mode},
        **more,
    )


def hold_lease(record: IncidentRepository, monkeypatch: Any, owner: str, incident_id: str) -> None:
    """Gives the lease of i-1 to ``owner``, an execution that goes on."""
    monkeypatch.setattr("guardduty_response.aws.clients.execution_ended", lambda _: False)
    assert (
        record.leases.acquire(
            ARN,
            owner,
            incident_id,
            900,
        )
        is None
    )


def begin_recheck(case: Case) -> None:
    """Opens the incident for a recheck, in the execution EXECUTION."""
    event = {"watch": {"incident_id": case.incident_id}}
    call("open", event=event, execution=EXECUTION)


def plan(case: Case, execution: str = EXECUTION, **more: Any) -> Any:
    event = {
        "verb": "plan",
        "incident_id": case.incident_id,
        "execution": execution,
    }
    return respond.handler({**event, **more}, None)


def close_unplanned(case: Case) -> None:
    """Closes the recheck, of which plan has decided nothing."""
    call(
        "close",
        incident_id=case.incident_id,
        decision="none",
        execution=EXECUTION,
    )


# -- others at work --------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["restore-inc-1-ab", f"{EXECUTIONS}incident:other"])
def test_while_somebody_else_is_at_work_nothing_is_read(
    case: Case, record: IncidentRepository, owner: str, monkeypatch: Any
) -> None:
    other = "inc-other" if ":execution:" in owner else case.incident_id
    hold_lease(record, monkeypatch, owner, other)
    case.see(OPEN, TAGGED)
    walk = case.check()
    assert "Verify" not in walk.entered
    assert (case.meta["status"], notified(case.deployment)) == ("CONTAINED", ([], []))
    assert [item["owner"] for item in case.deployment.items(f"RESOURCE#{ARN}")] == [owner]


def test_while_its_own_execution_waits_for_evidence_it_is_watched(
    case: Case, record: IncidentRepository, monkeypatch: Any
) -> None:
    """Snapshots take an hour; an attacker does not wait that long."""
    first = case.meta["execution"]
    hold_lease(record, monkeypatch, first, case.incident_id)
    case.see(OPEN, TAGGED)
    case.check(BOB)
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert case.meta["execution"] != first


def test_a_recurrence_that_finds_it_undone_takes_over_from_the_execution_that_waits(
    case: Case, record: IncidentRepository, monkeypatch: Any
) -> None:
    """The message says "contained again at once": the first execution still polls for evidence."""
    first = case.meta["execution"]
    hold_lease(record, monkeypatch, first, case.incident_id)
    case.see(OPEN, TAGGED)
    case.run(later(load_finding()))
    assert "contained again at once" in case.deployment.messages("escalations")[0]["Message"]
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert case.meta["execution"] != first
    attached = [entry.attach for step_name, entry in case.fake.calls if step_name == "contain"]
    assert attached[-1] == "", "a linked target is not contained"
    assert case.target["breach"]["ended"]


def test_a_promise_that_a_switch_breaks_meanwhile_is_taken_back(
    case: Case, record: IncidentRepository
) -> None:
    """Between the message and triage, the response was paused."""
    begin_recheck(case)
    record.move(
        case.incident_id,
        Status.CONTAINED,
        Status.CONTAINMENT_LOST,
    )
    record.note(case.incident_id, contained_again=EXECUTION)
    configure(case.deployment, paused=True)
    assert plan(case)["decision"] == "none"
    close_unplanned(case)
    [escalation] = case.deployment.messages("escalations")
    assert "Not contained again automatically: " in escalation["Message"]
    assert "paused = true" in escalation["Message"]


@pytest.mark.parametrize("status", [Status.CONTAINMENT_LOST, Status.CONTAINING])
def test_of_two_checks_that_see_it_undone_one_contains(
    case: Case, record: IncidentRepository, monkeypatch: Any, status: Status
) -> None:
    hold_lease(record, monkeypatch, f"{EXECUTIONS}incident:first", case.incident_id)
    record.move(case.incident_id, Status.CONTAINED, status)
    before = case.meta["targets"]
    assert plan(case, f"{EXECUTIONS}incident:second")["decision"] == "none"
    assert (case.meta["status"], case.meta["targets"]) == (status, before)


def test_a_restore_that_ended_just_before_is_respected(
    case: Case, record: IncidentRepository
) -> None:
    begin_recheck(case)
    record.transition(case.incident_id, "restored")  # type: ignore[arg-type]
    assert plan(case, verify_only=True)["decision"] == "none"
    close_unplanned(case)
    assert case.deployment.items(f"RESOURCE#{ARN}") == []
    assert case.meta["status"] == "RESTORED"


@pytest.mark.parametrize("event", ["restored", "closed", "gone"])
def test_what_ends_the_watch(case: Case, record: IncidentRepository, event: str) -> None:
    assert [entry["incident_id"] for entry in record.watched()] == [case.incident_id]
    record.transition(case.incident_id, event)  # type: ignore[arg-type]
    assert record.watched() == []


def test_a_further_emission_that_finds_it_undone_contains_it_again_too(
    case: Case, record: IncidentRepository
) -> None:
    case.see(OPEN, TAGGED)
    case.run(later(load_finding()))
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert notified(case.deployment)[1] == ["BREACHED"]


def test_the_command_of_the_message_asks_a_person_and_contains_again(
    case: Case, record: IncidentRepository
) -> None:
    record.before(
        case.incident_id,
        "ec2_instance",
        "i-1",
        "network",
        {"groups": ["sg-web"]},
    )
    _mode(case, "approve")
    case.see(OPEN, TAGGED)
    case.check()
    [escalation] = case.deployment.messages("escalations")
    given = re.search(r"start-execution .*--input '({.*?})'", escalation["Message"])
    assert given
    walk = case.run(json.loads(given[1]), token=lambda: {"approved": True})
    assert "Approve" in walk.entered
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert case.target["before"] == {"network": {"groups": ["sg-web"]}}
    assert case.target["breach"]["ended"]


def found_beside_the_schedules_recheck(
    case: Case,
    record: IncidentRepository,
    monkeypatch: Any,
    after_asking: Callable[[int], None],
) -> list[bool]:
    """CloudTrail's recheck finds a loss while the schedule's holds the lease.

    Returns whether it was done, each time it asked. ``after_asking``: what happens then; takes how
    often it has asked.
    """
    hold_lease(record, monkeypatch, SCHEDULES, case.incident_id)
    done, contain_again = list[bool](), finish_step._contain_again

    def asked(*of_the_loss: Any) -> Any:
        result = contain_again(*of_the_loss)
        done.append(result.done)
        after_asking(len(done))
        return result

    monkeypatch.setattr(finish_step, "_contain_again", asked)
    case.see(OPEN, TAGGED)
    case.check(BOB)
    return done


def test_a_loss_that_the_other_recheck_did_not_see_is_contained_when_that_has_ended(
    case: Case, record: IncidentRepository, monkeypatch: Any
) -> None:
    """The schedule's recheck has read before the loss."""

    def end(times: int) -> None:
        if times == 2:
            record.leases.release(ARN, SCHEDULES)

    done = found_beside_the_schedules_recheck(case, record, monkeypatch, end)
    assert done == [False, False, True]
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert case.target["breach"]["ended"]


def test_a_recheck_that_waits_for_one_that_contains_contains_nothing(
    case: Case, record: IncidentRepository, monkeypatch: Any
) -> None:
    def contain(times: int) -> None:
        if times == 1:
            record.containments.set(
                ARN,
                1,
                status=Status.CONTAINED,
            )
            record.move(
                case.incident_id,
                Status.CONTAINMENT_LOST,
                Status.CONTAINED,
            )

    done = found_beside_the_schedules_recheck(case, record, monkeypatch, contain)
    assert done == [False, True]
    assert (case.meta["status"], case.contained()) == ("CONTAINED", 1)


def test_a_recheck_does_not_wait_for_ever(
    case: Case, record: IncidentRepository, monkeypatch: Any
) -> None:
    hold_lease(record, monkeypatch, SCHEDULES, case.incident_id)
    case.see(OPEN, TAGGED)
    walk = case.check(BOB)
    assert walk.entered.count("Finish") == contain_step.BUSY_ATTEMPTS
    assert (case.meta["status"], case.contained()) == ("BREACHED", 1), "the next recheck answers"


def test_of_two_checks_that_read_it_undone_at_once_people_hear_once(
    case: Case, record: IncidentRepository, monkeypatch: Any
) -> None:
    """Two API calls undo it within a second; the second recheck reads what people know before the
    first has written its message.
    """
    _mode(case, "approve")
    case.see(OPEN, TAGGED)
    settle, inside = outcome.settle, list[bool]()

    def settle_beside(*incident: Any) -> Any:
        settled = settle(*incident)
        if not inside:
            inside.append(True)
            case.check()
        return settled

    monkeypatch.setattr(outcome, "settle", settle_beside)
    case.check()
    assert inside
    assert case.meta["status"] == "BREACHED"
    assert notified(case.deployment) == (["BREACHED"], ["BREACHED"])
