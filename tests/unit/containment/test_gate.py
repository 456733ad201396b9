"""The gate before every change: what closes it, for how long it stays open, what it records."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from guardduty_response.containment.gate import LEASE_SECONDS, VALID_SECONDS, Gate
from guardduty_response.errors import GateClosed
from guardduty_response.incident.statuses import Status

from tests.support.patience import PATIENCE
from tests.unit.containment.gates import PLAN, Clock, Lab
from tests.unit.fake_playbook import ARN
from tests.unit.function_calls import EXECUTION, target

GROUPS = {"eni-1": ["sg-web"]}
ACCOUNT = "222222222222"


def refused(gate: Gate, said: str) -> None:
    """Asserts that the gate lets nothing pass, and says why."""
    with pytest.raises(GateClosed, match=said) as closed:
        gate.permit()
    assert gate.refusal == str(closed.value)


def refused_and_unrecorded(lab: Lab, gate: Gate, said: str) -> None:
    """Asserts that what the gate refuses leaves no state before either."""
    with pytest.raises(GateClosed, match=said):
        gate.write_before("network", GROUPS)
    assert lab.befores() == {}
    refused(gate, said)


# -- what it lets pass -----------------------------------------------------------------------------


def test_an_open_gate_renews_the_lease_and_records_the_state_before(lab: Lab) -> None:
    gate = lab.gate()
    gate.write_before("network", GROUPS)
    gate.permit()
    assert lab.befores() == {"network": GROUPS}
    assert (lab.lease()["owner"], gate.refusal) == (EXECUTION, "")
    assert int(lab.lease()["expires"]) > time.time() + LEASE_SECONDS - 60


def test_what_was_recorded_first_stands(lab: Lab) -> None:
    lab.gate().write_before("network", GROUPS)
    lab.gate().write_before("network", {"eni-1": ["sg-quarantine"]})
    assert lab.befores() == {"network": GROUPS}


def test_an_expired_lease_that_nobody_took_is_still_ours(lab: Lab) -> None:
    lab.record.leases.acquire(ARN, EXECUTION, lab.incident_id, -5)
    lab.gate().permit()
    assert int(lab.lease()["expires"]) > time.time()


# -- pause -----------------------------------------------------------------------------------------


def test_paused_by_terraform(lab: Lab) -> None:
    lab.control("TERRAFORM", paused=True, config_sha256="0" * 64)
    refused(lab.gate(), r"paused \(paused = true in Terraform\)")


def test_paused_in_the_configuration_that_the_function_was_deployed_with(lab: Lab) -> None:
    lab.deployment.configure({"paused": True})
    refused_and_unrecorded(lab, lab.gate(), "paused = true")


def test_paused_by_a_person_who_is_named(lab: Lab) -> None:
    lab.control("TERRAFORM", paused=False)
    lab.control(
        "OPERATOR",
        paused=True,
        by="ada@example.com",
        reason="game day",
    )
    refused(lab.gate(), r"paused by ada@example\.com \(game day\): item CONTROL/OPERATOR")


@pytest.mark.parametrize(
    "values",
    [
        {"paused": "false"},
        {"paused": "no"},
        {"paused": 0},
        {"paused": None},
        {"paused": {"by": "ada"}},
        {"pause": True},
        {},
        {"paused": True, "by": {"name": 7}, "reason": ["x"]},
    ],
)
def test_a_control_item_that_cannot_be_understood_pauses(lab: Lab, values: Any) -> None:
    """It was written to stop something: only a plain false lets changes pass."""
    lab.control("OPERATOR", **values)
    refused(lab.gate(), "paused by somebody who did not say who they are .no reason given")


def test_who_pauses_says_it_in_one_line(lab: Lab) -> None:
    lab.control(
        "OPERATOR",
        paused=True,
        by="a\nDONE: forged",
        reason="x" * 9000,
    )
    refused(lab.gate(), "paused by a DONE: forged ")
    gate = lab.gate()
    with pytest.raises(GateClosed):
        gate.permit()
    assert "\n" not in gate.refusal and len(gate.refusal) < 800


def test_a_pause_that_was_lifted_lets_changes_pass(lab: Lab) -> None:
    lab.control("TERRAFORM", paused=False)
    lab.control("OPERATOR", paused=False, by="ada@example.com")
    lab.gate().permit()


# -- policy and exemptions of now ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guardrails.exempt_accounts": [ACCOUNT]}, f"account {ACCOUNT} is exempt"),
        ({"guardrails.exempt_resources": ["*:instance/i-1"]}, "i-1 is exempt"),
        ({"guardrails.exempt_principals": ["*role/web"]}, "role/web on i-1 is exempt"),
        ({"guardrails.management_account_id": ACCOUNT}, "is the organization's management account"),
        ({"responder.own_roles": ["*:role/web"]}, "role/web is a role of the response itself"),
        ({"remediations": {}}, "the policy says notify now .*: nothing may act"),
        ({"account_remediations": {ACCOUNT: {"*": "off"}}}, "the policy says off now"),
        ({"remediations": {"*": "dry_run"}}, "the policy says dry_run now"),
        ({"minimum_severity": {"auto": 9.5}}, "says approve now .*below the minimum 9.5"),
        ({"remediations": {"*": "approve"}}, "says approve now .*: a person has to approve it"),
    ],
)
def test_the_policy_of_now_counts(lab: Lab, changes: Any, said: str) -> None:
    lab.deployment.configure(changes)
    gate = lab.gate(principals=["arn:aws:iam::222222222222:role/web"])
    refused_and_unrecorded(lab, gate, said)


def test_an_approval_is_good_for_the_plan_that_was_approved(lab: Lab) -> None:
    lab.deployment.configure({"remediations": {"*": "approve"}})
    lab.record.note(lab.incident_id, approved_digest="plan-0", approved_by="ada")
    refused_and_unrecorded(lab, lab.gate(), "a person has to approve it")
    lab.record.note(lab.incident_id, approved_digest=PLAN)
    lab.gate().permit()


def test_what_may_be_the_victim_is_changed_with_an_approval_alone(lab: Lab) -> None:
    lab.deployment.configure({"remediations": {"*": "auto"}})
    lab.record.note(lab.incident_id, in_doubt="it may be the victim")
    refused_and_unrecorded(lab, lab.gate(), "it may be the victim.*a person has to approve it")
    lab.record.note(lab.incident_id, approved_digest=PLAN, approved_by="ada")
    lab.gate().permit()


def test_an_incident_of_an_earlier_release_came_here_by_an_approval(lab: Lab) -> None:
    lab.deployment.configure({"remediations": {"*": "approve"}})
    lab.record.note(lab.incident_id, plan_digest="", decision="approve")
    lab.gate(plan_digest="").permit()


def test_an_incident_of_an_earlier_release_that_asked_nobody_is_not_approved(lab: Lab) -> None:
    lab.deployment.configure({"remediations": {"*": "approve"}})
    lab.record.note(lab.incident_id, plan_digest="", decision="act")
    refused_and_unrecorded(lab, lab.gate(plan_digest=""), "a person has to approve it")


# -- lease, generation, plan -----------------------------------------------------------------------


def test_the_lease_of_somebody_else_closes_it(lab: Lab) -> None:
    lab.record.leases.release(ARN, EXECUTION)
    lab.record.leases.acquire(ARN, "restore-1", "inc-2", 900)
    refused_and_unrecorded(lab, lab.gate(), "no longer has the lease on i-1")
    assert lab.lease()["owner"] == "restore-1"


def test_an_expired_lease_that_another_has_taken_closes_it(lab: Lab) -> None:
    lab.record.leases.acquire(ARN, EXECUTION, lab.incident_id, -5)
    assert lab.record.leases.acquire(ARN, "other", "inc-2", 900) is None
    refused_and_unrecorded(lab, lab.gate(), "no longer has the lease on i-1")
    assert (lab.lease()["owner"], lab.lease()["incident_id"]) == ("other", "inc-2")


def test_without_a_lease_nothing_is_changed(lab: Lab) -> None:
    lab.record.leases.release(ARN, EXECUTION)
    refused_and_unrecorded(lab, lab.gate(), "no longer has the lease on i-1")
    assert lab.deployment.items(f"RESOURCE#{ARN}") == [], "and none is made"


def test_a_record_of_an_earlier_release_is_guarded_by_its_lease(lab: Lab) -> None:
    lab.gate(generation=0).permit()
    lab.record.leases.release(ARN, EXECUTION)
    refused(lab.gate(generation=0), "no longer has the lease on i-1")


def test_a_newer_containment_closes_it(lab: Lab) -> None:
    lab.record.containments.set(*lab.place, status=Status.RESTORED)
    joined = lab.record.containments.join(target(), "inc-2", "ec2_instance")
    assert joined.generation == 2
    refused_and_unrecorded(lab, lab.gate(), "i-1 has a newer containment")
    refused(lab.gate("restore"), "i-1 has a newer containment")


@pytest.mark.parametrize("status", [Status.RESTORED, Status.RESTORE_PARTIAL])
def test_restored_meanwhile(lab: Lab, status: Status) -> None:
    lab.record.containments.set(*lab.place, status=status)
    refused_and_unrecorded(lab, lab.gate(), "i-1 was restored meanwhile")


def test_restored_by_somebody_who_took_the_lease_is_over(lab: Lab) -> None:
    """That it is over counts more than that the lease is gone: the incident may join anew."""
    lab.record.leases.release(ARN, EXECUTION)
    lab.record.containments.set(*lab.place, status=Status.RESTORED)
    gate = lab.gate()
    refused(gate, "i-1 was restored meanwhile")
    assert gate.is_over


def test_planned_anew_meanwhile(lab: Lab) -> None:
    stale = lab.record.meta(lab.incident_id)
    lab.record.note(lab.incident_id, plan_digest="plan-2")
    refused_and_unrecorded(lab, lab.gate(meta=lambda: stale), "it was planned anew meanwhile")


# -- purposes --------------------------------------------------------------------------------------


def test_a_restore_passes_pause_policy_and_exemptions(lab: Lab) -> None:
    lab.deployment.configure(
        {"paused": True, "remediations": {}, "guardrails.exempt_resources": ["i-1"]}
    )
    lab.control("TERRAFORM", paused=True)
    lab.control("OPERATOR", paused=True)
    lab.gate("restore").permit()
    assert int(lab.lease()["expires"]) > time.time() + LEASE_SECONDS - 60
    lab.record.containments.set(*lab.place, status=Status.RESTORE_PARTIAL)
    lab.gate("restore").permit()


def test_a_restore_needs_the_lease(lab: Lab) -> None:
    lab.record.leases.release(ARN, EXECUTION)
    refused(lab.gate("restore"), "no longer has the lease on i-1")


def test_evidence_needs_no_lease_and_no_policy_that_acts(lab: Lab) -> None:
    lab.record.leases.release(ARN, EXECUTION)
    lab.deployment.configure({"remediations": {}})
    lab.gate("evidence").permit()
    assert lab.deployment.items(f"RESOURCE#{ARN}") == []


def test_evidence_respects_pause_and_exemptions(lab: Lab) -> None:
    lab.control("OPERATOR", paused=True, by="ada")
    paused = lab.gate("evidence")
    refused(paused, "paused by ada")
    assert paused.is_paused
    lab.no_control("OPERATOR")
    lab.deployment.configure({"guardrails.exempt_accounts": [ACCOUNT]})
    exempt = lab.gate("evidence")
    refused(exempt, "is exempt")
    assert not exempt.is_paused


# -- time ------------------------------------------------------------------------------------------


def test_permission_is_good_for_five_seconds(lab: Lab, clock: Clock) -> None:
    gate = lab.gate()
    gate.permit()
    lab.control("OPERATOR", paused=True)
    clock.now += VALID_SECONDS - 0.1
    gate.permit()
    clock.now += 0.2
    refused(gate, "paused")
    assert VALID_SECONDS == 5


def test_a_refusal_stands_for_the_step(lab: Lab, clock: Clock) -> None:
    gate = lab.gate()
    lab.control("OPERATOR", paused=True)
    refused(gate, "paused")
    lab.no_control("OPERATOR")
    clock.now += 3600
    refused_and_unrecorded(lab, gate, "paused")
    lab.gate().permit()


def test_the_time_it_takes_to_ask_counts(lab: Lab, clock: Clock) -> None:
    """What was read five seconds ago permits nothing, however long the reading took."""

    def slow() -> Any:
        clock.now += 6
        return lab.record.meta(lab.incident_id)

    gate = lab.gate(meta=slow)
    gate.permit()
    lab.control("OPERATOR", paused=True)
    refused(gate, "paused")


def test_a_session_that_is_opened_while_the_gate_asks_does_not_wait(lab: Lab) -> None:
    """Else AssumeRole would begin when the gate has its answer, and not beside it."""
    asking, let_answer = threading.Event(), threading.Event()

    def meta() -> Any:
        asking.set()
        assert let_answer.wait(2 * PATIENCE)
        return lab.record.meta(lab.incident_id)

    gate = lab.gate(meta=meta)
    gate.open()
    assert asking.wait(PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        opened_again = pool.submit(gate.open)
        try:
            opened_again.result(timeout=PATIENCE)
        finally:
            let_answer.set()
    gate.permit()
    assert gate.refusal == ""


# -- the table cannot be asked ---------------------------------------------------------------------


def failing(lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str, error: Exception) -> None:
    def fail(**_: Any) -> Any:
        raise error

    monkeypatch.setattr(lab.record.table.client, operation, fail)


def answer(code: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "Query")


@pytest.mark.parametrize("operation", ["query", "transact_write_items"])
@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://dynamodb"),
        answer("InternalServerError", 500),
        answer("ThrottlingException", 400),
    ],
)
def test_nothing_is_permitted_while_the_table_cannot_be_reached(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str, error: Exception
) -> None:
    gate = lab.gate()
    with monkeypatch.context() as broken:
        failing(lab, broken, operation, error)
        for _ in range(2):
            with pytest.raises(type(error)):
                gate.permit()
    gate.permit()
    assert gate.refusal == "", "it can pass: the machine repeats the step"


@pytest.mark.parametrize("operation", ["query", "transact_write_items"])
def test_a_table_that_may_not_be_read_closes_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    failing(
        lab,
        monkeypatch,
        operation,
        answer("AccessDeniedException", 400),
    )
    refused(lab.gate(), "could not be read .*AccessDeniedException")


def test_a_batch_that_was_begun_is_finished(lab: Lab, clock: Clock) -> None:
    """By the thread that began it, and by no other."""
    gate = lab.gate()
    with gate.batch():
        lab.control("OPERATOR", paused=True)
        clock.now += VALID_SECONDS + 1
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(gate.permit).exception(), GateClosed)
        gate.permit()
    refused(gate, "paused")
    with pytest.raises(GateClosed, match="paused"), gate.batch():
        raise AssertionError("begun although it is paused")
