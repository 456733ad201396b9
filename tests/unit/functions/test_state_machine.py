"""Walks through the incident machine with functions that answer what a test wants."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.asl_walker import Failed, Json, Walk
from tests.unit.functions.machine_walk import Functions, phase_answer, step, walk_incident

ACTING: Json = {
    "decision": "act",
    "error": "",
    "collect_first_seconds": 0,
    "targets": [
        {
            "kind": "ec2_instance",
            "id": "i-1",
            "arn": "arn:i-1",
            "attach": "",
        }
    ],
}
ASKED = {**ACTING, "decision": "approve", "approval_timeout_seconds": 3600}


def _step_names(functions: Functions) -> list[str]:
    return [step_name for step_name, _ in functions.calls]


def test_the_happy_path_is_short() -> None:
    walk, functions = walk_incident()
    assert " ".join(walk.entered) == (
        "Claim Begin Open Warm Opened? Triage Decide Respond Announce Contain Verified? Verdict"
        " Evidence Collect Phase? Close"
    )
    assert " ".join(_step_names(functions)) == (
        "open plan announce contain verdict evidence collect close"
    )
    [close] = functions.asked("close")
    assert (close["decision"], close["error"]) == ("act", "")
    assert walk.waited == []


LATE = phase_answer(done=False, wait_seconds=1200)  # until CloudTrail has its late events


@pytest.mark.parametrize(
    ("answers", "states"),
    [
        pytest.param({"collect": phase_answer()}, 16, id="instance"),
        pytest.param({"collect": phase_answer(next="finish")}, 18, id="instance, stop"),
        pytest.param(
            {
                "collect": phase_answer(next="finish"),
                "finish": [LATE, phase_answer(next="terminate")],
            },
            24,
            id="instance, terminate",
        ),
        pytest.param(
            {"collect": phase_answer(next="finish"), "finish": [LATE, phase_answer()]},
            22,
            id="principal",
        ),
        pytest.param(
            {
                "collect": phase_answer(next="eradicate"),
                "remediate": phase_answer(next="finish"),
                "finish": [LATE, phase_answer()],
            },
            24,
            id="principal, eradicate",
        ),
    ],
)
def test_how_many_states_a_path_takes(answers: Json, states: int) -> None:
    """docs/costs.md says the same: each state that is entered is a transition that is paid for."""
    walk, _ = walk_incident(**answers)
    assert len(walk.entered) == states, walk.entered


def test_only_open_sees_the_finding() -> None:
    _, functions = walk_incident()
    for step_name, payload in functions.calls:
        assert ("s3cret" in json.dumps(payload)) == (step_name == "open")
        assert payload["execution"] == "arn:execution"


def test_what_is_left_to_the_notice_machine_ends_at_once() -> None:
    opened = {
        "incident_id": "",
        "playbook": "",
        "verify_only": False,
        "next": "done",
    }
    walk, _ = walk_incident(open={**opened, "why": "mode notify"})
    assert walk.entered == ["Claim", "Begin", "Open", "Warm", "Opened?", "NothingToDo"]


@pytest.mark.parametrize("decision", ["skip", "dry_run", "gone", "failed"])
def test_a_decision_not_to_act_goes_to_close(decision: str) -> None:
    plan = {
        "decision": decision,
        "error": "why",
        "targets": [],
    }
    walk, functions = walk_incident(plan=plan)
    assert walk.entered[-2:] == ["Decide", "Close"]
    [close] = functions.asked("close")
    assert (close["decision"], close["error"]) == (decision, "why")


def test_a_lost_announcement_holds_nothing_up() -> None:
    walk, functions = walk_incident(announce=RuntimeError("topic gone"))
    assert "AnnounceFailed" in walk.entered
    assert functions.asked("contain")


def test_a_failed_triage_closes_as_failed_with_its_cause() -> None:
    _, functions = walk_incident(plan=RuntimeError("no table"))
    [close] = functions.asked("close")
    assert close["decision"] == "failed"
    assert close["error"].startswith("triage failed: RuntimeError: ")
    assert "no table" in close["error"]


def test_a_failed_containment_is_read_back_all_the_same() -> None:
    _, functions = walk_incident(contain=RuntimeError("lost"), verify=step(status="PARTIAL"))
    assert "lost" in functions.asked("verify")[0]["error"]
    assert "lost" in functions.asked("verdict")[0]["error"]
    assert functions.asked("close")[0]["decision"] == "act"


def test_a_failed_reading_is_a_verdict_of_its_own() -> None:
    _, functions = walk_incident(contain=step(done=False), verify=RuntimeError("lost"))
    assert functions.asked("verdict")[0]["error"].startswith("verify failed: RuntimeError")


def test_verify_may_wait_and_may_ask_for_containment_again() -> None:
    contain = [step(done=False, wait_seconds=7), step(status="CONTAINED")]
    verify = step(
        done=False,
        again="contain",
        wait_seconds=3,
    )
    walk, functions = walk_incident(contain=contain, verify=verify)
    assert walk.waited == [7, 3]
    assert [payload["attempt"] for payload in functions.asked("contain")] == [1, 3]
    assert [payload["attempt"] for payload in functions.asked("verify")] == [2]
    assert "Verdict" in walk.entered


def test_a_wait_for_another_incident_is_no_try() -> None:
    """What tries something is told how often it was only waited."""
    waiting = step(
        done=False,
        again="contain",
        wait_seconds=5,
        waited=True,
    )
    contain = [waiting, waiting, step(done=False)]
    verify = [step(done=False, wait_seconds=5, waited=True), step(status="CONTAINED")]
    _, functions = walk_incident(contain=contain, verify=verify)
    contained, verified = functions.asked("contain"), functions.asked("verify")
    assert [(call["attempt"], call["waits"]) for call in contained] == [(1, 0), (2, 1), (3, 2)]
    assert [(call["attempt"], call["waits"]) for call in verified] == [(4, 2), (5, 3)]


def test_evidence_is_started_beside_containment_and_polled_for_after_it() -> None:
    collect = [
        phase_answer(done=False, wait_seconds=5),
        phase_answer(done=False, wait_seconds=9),
        phase_answer(),
    ]
    walk, functions = walk_incident(evidence=step(done=False, wait_seconds=3), collect=collect)
    assert walk.waited == [5, 9], "nothing waits for what evidence answers"
    assert len(functions.asked("evidence")) == 1
    assert [payload["attempt"] for payload in functions.asked("collect")] == [1, 2, 3]
    assert {payload["verify_only"] for payload in functions.asked("collect")} == {False}


@pytest.mark.parametrize("phase", ["finish", "terminate"])
def test_what_finishes_comes_after_all_evidence_each_phase_polled_from_its_own_start(
    phase: str,
) -> None:
    collect = [
        phase_answer(
            done=False,
            wait_seconds=5,
            next=phase,
        ),
        phase_answer(next=phase),
    ]
    polled = [phase_answer(done=False, wait_seconds=15), phase_answer()]
    walk, functions = walk_incident(collect=collect, **{phase: polled})
    after = [
        (step_name, payload["attempt"])
        for step_name, payload in functions.calls
        if step_name in ("collect", "finish", "terminate")
    ]
    assert after == [("collect", 1), ("collect", 2), (phase, 1), (phase, 2)]
    assert walk.waited == [5, 15]
    assert walk.entered[-1] == "Close"


# -- forensics before containment ------------------------------------------------------------------


def _first(seconds: int = 60, **answers: Any) -> tuple[Walk, Functions]:
    return walk_incident(plan={**ACTING, "collect_first_seconds": seconds}, **answers)


def test_what_is_collected_first_is_polled_and_then_contained() -> None:
    running = step(done=False, wait_seconds=2)
    walk, functions = _first(first=[running, running, step()])
    assert [payload["attempt"] for payload in functions.asked("first")] == [1, 2, 3]
    steps = _step_names(functions)
    assert "first" not in steps[steps.index("contain") :]
    assert walk.waited[:2] == [2, 2]
    assert all(1 <= seconds <= 60 for step_name, seconds in walk.timeouts if step_name == "first")


def test_a_deadline_that_has_passed_delays_containment_no_further() -> None:
    """No second of it left: asked once at most, whatever it answers, and never waited for."""
    walk, functions = _first(seconds=1, first=step(done=False, wait_seconds=600))
    assert len(functions.asked("first")) == 1 and functions.asked("contain")
    assert "WaitForFirst" not in walk.entered


def test_no_wait_is_longer_than_what_is_left_of_the_deadline() -> None:
    walk, _ = _first(seconds=20, first=[step(done=False, wait_seconds=600), step()])
    assert 1 <= walk.waited[0] <= 20


def test_failing_forensics_lets_containment_go_on() -> None:
    """Failures are asked again while there is time; the function is not retried past the
    deadline.
    """
    _, functions = _first(first=[RuntimeError("no SSM"), RuntimeError("no SSM"), step()])
    assert len(functions.asked("first")) == 3
    assert functions.asked("contain")


def test_an_approved_containment_collects_first_too() -> None:
    plans = [{**plan, "collect_first_seconds": 30} for plan in (ASKED, ACTING)]
    _, functions = walk_incident(token=lambda: {"approved": True}, plan=plans)
    assert functions.asked("first")[0]["seconds_left"] in (29, 30)
    assert functions.asked("contain")


def test_a_further_emission_is_a_verification_in_every_verb_that_could_act() -> None:
    opened = {
        "incident_id": "inc-1",
        "playbook": "ec2_instance",
        "next": "triage",
    }
    _, functions = walk_incident(open={**opened, "verify_only": True})
    for step_name in ("plan", "finish"):
        assert functions.asked(step_name)[0]["verify_only"] is True
    for step_name in ("announce", "contain", "evidence", "collect"):
        assert not functions.asked(step_name), step_name
    assert functions.asked("verify") and functions.asked("verdict")


def test_lost_evidence_is_reported_and_blocks_nothing() -> None:
    _, functions = walk_incident(
        evidence=RuntimeError("limit"), evidence_failed=RuntimeError("down too")
    )
    assert "limit" in functions.asked("evidence_failed")[0]["error"]
    assert functions.asked("collect")
    assert functions.asked("close")[0]["decision"] == "act"


def test_a_failed_finish_is_told_at_the_end() -> None:
    _, functions = walk_incident(collect=phase_answer(next="finish"), finish=RuntimeError("no"))
    assert functions.asked("close")[0]["error"].startswith("finish failed: RuntimeError")
    _, functions = walk_incident(collect=RuntimeError("no"))
    assert functions.asked("close")[0]["error"].startswith("collect failed: RuntimeError")


def test_an_untold_verdict_is_left_to_close() -> None:
    walk, functions = walk_incident(verdict=RuntimeError("topic gone"))
    assert "VerdictUntold" in walk.entered
    assert functions.asked("close")[0]["decision"] == "act"


def test_several_targets_each_go_their_way() -> None:
    targets = [{"kind": "ec2_instance", "id": f"i-{n}"} for n in range(3)]
    _, functions = walk_incident(plan={**ACTING, "targets": targets})
    for step_name in ("contain", "verdict", "evidence"):
        [payload] = functions.asked(step_name)
        assert [target["id"] for target in payload["targets"]] == ["i-0", "i-1", "i-2"]
    assert len(functions.asked("collect")) == 1


def test_an_answer_no_choice_understands_closes_as_failed() -> None:
    _, functions = walk_incident(contain={"status": "CONTAINED"})
    assert functions.asked("close")[0]["decision"] == "failed"


@pytest.mark.parametrize("failing", ["open", "close"])
def test_where_nobody_is_left_to_tell_the_execution_fails(failing: str) -> None:
    with pytest.raises(Failed, match="down"):
        walk_incident(**{failing: RuntimeError("down")})


# -- approval --------------------------------------------------------------------------------------


def _raise(error: str) -> Any:
    def token() -> Any:
        raise Failed(error, "x")

    return token


@pytest.mark.parametrize(
    ("token", "decided", "acts", "decision"),
    [
        (lambda: {"approved": True}, {"next": "triage"}, True, "act"),
        (lambda: {"approved": False}, {"next": "close", "decision": "rejected"}, False, "rejected"),
        (lambda: {"approved": True}, RuntimeError("no table"), False, "failed"),
        (_raise("States.Timeout"), {}, False, "approval_timed_out"),
        (_raise("Somebody.Failed"), {}, False, "failed"),
    ],
)
def test_what_a_person_answers(token: Any, decided: Any, acts: bool, decision: str) -> None:
    """The answer goes to the record first. Only then, triage runs anew and may act."""
    _, functions = walk_incident(
        token=token,
        plan=[ASKED, ACTING],
        decide=decided,
    )
    assert functions.asked("ask")[0]["task_token"] == "token"
    assert [payload["approved"] for payload in functions.asked("plan")] == [False, True][: 1 + acts]
    assert bool(functions.asked("contain")) == acts
    assert functions.asked("close")[0]["decision"] == decision
    given = [payload["answer"] for payload in functions.asked("decide")]
    assert given == ([] if decided == {} else [token()])


def test_a_target_that_changed_meanwhile_is_asked_about_again() -> None:
    _, functions = walk_incident(token=lambda: {"approved": True}, plan=[ASKED, ASKED, ACTING])
    assert len(functions.asked("ask")) == 2
    assert len(functions.asked("contain")) == 1
