"""Walks through the incident machine with functions that answer what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.asl_walker import Failed, Json, Walk


class Functions:
    """Answers by verb: a value, a list of values one by one, or an error to raise. Unnamed verbs
    answer {}.
    """

    def __init__(self, **answers: Any) -> None:
        target = {"kind": "ec2_instance", "id": "i-1", "arn": "arn:i-1", "attach": ""}
        step = {"done": True, "wait_seconds": 0, "again": "", "status": None, "detail": ""}
        self.answers: Json = {
            "open": {
                "incident_id": "inc-1",
                "playbook": "ec2_instance",
                "next": "triage",
                "verify_only": False,
            },
            "plan": {
                "decision": "act",
                "error": "",
                "targets": [target],
                "collect_first_seconds": 0,
            },
            "contain": step,
            "verify": {**step, "status": "CONTAINED"},
            "evidence": step,
            "first": step,
            "collect": _phase(),
            "finish": _phase(),
            "terminate": _phase(),
            "remediate": _phase(),
            "close": {"status": "CONTAINED"},
            **answers,
        }
        self.calls: list[tuple[str, Json]] = []

    def __call__(self, function: str, payload: Json) -> Any:
        step_name = payload["verb"]
        self.calls.append((step_name, payload))
        assert function == FUNCTIONS.get(step_name, "incident")
        answer = self.answers.get(step_name, {})
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def asked(self, step_name: str) -> list[Json]:
        return [payload for name, payload in self.calls if name == step_name]


FUNCTIONS = {
    **dict.fromkeys(("plan", "contain", "verify", "finish"), "playbook"),
    "terminate": "terminator",
    "start": "states",
    **dict.fromkeys(("first", "evidence", "collect"), "collector"),
    "remediate": "remediator",
}


def _phase(**more: Any) -> Json:
    return {"done": True, "wait_seconds": 0, "next": "close", **more}


Go = Callable[..., tuple[Walk, Functions]]


def _go(token: Any = None, **answers: Any) -> tuple[Walk, Functions]:
    functions = Functions(**answers)
    walk = Walk("incident", functions, token=token)
    walk.run({"detail": {"secret": "s3cret"}})
    return walk, functions


def _step(**more: Any) -> Json:
    return {"done": True, "wait_seconds": 0, "again": "", "status": None, "detail": "", **more}


def test_the_happy_path_is_short() -> None:
    walk, functions = _go()
    assert len(walk.entered) <= 18, walk.entered
    assert [step_name for step_name, _ in functions.calls] == [
        "open",
        "announce",
        "plan",
        "contain",
        "verify",
        "verdict",
        "evidence",
        "collect",
        "close",
    ]
    assert (
        functions.asked("close")[0] | {"decision": "act", "error": ""}
        == functions.asked("close")[0]
    )
    assert walk.waited == [0]


def test_only_open_sees_the_finding() -> None:
    _, functions = _go()
    for step_name, payload in functions.calls:
        assert ("s3cret" in json.dumps(payload)) == (step_name == "open")
        assert payload["execution"] == "arn:execution"


def test_what_is_left_to_the_notice_machine_ends_at_once() -> None:
    walk, _ = _go(
        open={
            "incident_id": "",
            "playbook": "",
            "verify_only": False,
            "next": "done",
            "why": "mode notify",
        }
    )
    assert walk.entered == ["Open", "Route", "NothingToDo"]


@pytest.mark.parametrize("decision", ["skip", "dry_run", "gone", "failed"])
def test_a_decision_not_to_act_goes_to_close(decision: str) -> None:
    walk, functions = _go(plan={"decision": decision, "error": "why", "targets": []})
    assert walk.entered[-2:] == ["Decide", "Close"]
    assert (
        functions.asked("close")[0] | {"decision": decision, "error": "why"}
        == functions.asked("close")[0]
    )


def test_a_lost_announcement_holds_nothing_up() -> None:
    walk, functions = _go(announce=RuntimeError("topic gone"))
    assert "AnnounceFailed" in walk.entered
    assert functions.asked("contain")


def test_a_failed_triage_closes_as_failed_with_its_cause() -> None:
    _, functions = _go(plan=RuntimeError("no table"))
    [close] = functions.asked("close")
    assert close["decision"] == "failed"
    assert close["error"].startswith("RuntimeError: ")
    assert "no table" in close["error"]


def test_a_failed_containment_is_read_back_all_the_same() -> None:
    _, functions = _go(contain=RuntimeError("lost"), verify=_step(status="PARTIAL"))
    assert "lost" in functions.asked("verify")[0]["error"]
    assert "lost" in functions.asked("verdict")[0]["error"]
    assert functions.asked("close")[0]["decision"] == "act"


def test_a_failed_reading_is_a_verdict_of_its_own() -> None:
    _, functions = _go(verify=RuntimeError("lost"))
    assert functions.asked("verdict")[0]["error"].startswith("the read-back failed: RuntimeError")


def test_verify_may_wait_and_may_ask_for_containment_again() -> None:
    verify = [
        _step(done=False, wait_seconds=7),
        _step(done=False, again="contain"),
        _step(status="CONTAINED"),
    ]
    walk, functions = _go(verify=verify)
    assert walk.waited == [7, 0]
    assert [payload["attempt"] for payload in functions.asked("verify")] == [1, 2, 3]
    assert [payload["attempt"] for payload in functions.asked("contain")] == [1, 3]


def test_evidence_is_started_beside_containment_and_polled_for_after_it() -> None:
    collect = [_phase(done=False, wait_seconds=5), _phase(done=False, wait_seconds=9), _phase()]
    walk, functions = _go(evidence=_step(done=False, wait_seconds=3), collect=collect)
    assert walk.waited == [3, 5, 9]
    assert len(functions.asked("evidence")) == 1
    assert [payload["attempt"] for payload in functions.asked("collect")] == [1, 2, 3]
    assert {payload["verify_only"] for payload in functions.asked("collect")} == {False}


@pytest.mark.parametrize("phase", ["finish", "terminate"])
def test_what_finishes_comes_after_all_evidence_each_phase_polled_from_its_own_start(
    phase: str,
) -> None:
    collect = [_phase(done=False, wait_seconds=5, next=phase), _phase(next=phase)]
    walk, functions = _go(
        collect=collect, **{phase: [_phase(done=False, wait_seconds=15), _phase()]}
    )
    after = [
        (step_name, payload["attempt"])
        for step_name, payload in functions.calls
        if step_name in ("collect", "finish", "terminate")
    ]
    assert after == [("collect", 1), ("collect", 2), (phase, 1), (phase, 2)]
    assert walk.waited == [0, 5, 15]
    assert walk.entered[-1] == "Close"


# -- forensics before containment ------------------------------------------------------------------


def _first(seconds: int = 60, **answers: Any) -> tuple[Walk, Functions]:
    target = {"kind": "ec2_instance", "id": "i-1", "arn": "arn:i-1", "attach": ""}
    plan = {"decision": "act", "error": "", "targets": [target], "collect_first_seconds": seconds}
    return _go(plan=plan, **answers)


def _step_names(functions: Functions) -> list[str]:
    return [step_name for step_name, _ in functions.calls]


def test_what_is_collected_first_is_polled_and_then_contained() -> None:
    walk, functions = _first(
        first=[_step(done=False, wait_seconds=2), _step(done=False, wait_seconds=2), _step()]
    )
    assert [payload["attempt"] for payload in functions.asked("first")] == [1, 2, 3]
    assert _step_names(functions).index("contain") > max(
        n for n, step_name in enumerate(_step_names(functions)) if step_name == "first"
    )
    assert walk.waited[:2] == [2, 2]
    assert all(1 <= seconds <= 60 for step_name, seconds in walk.timeouts if step_name == "first")


def test_a_deadline_that_has_passed_delays_containment_no_further() -> None:
    """No second of it left: asked once at most, whatever it answers, and never waited for."""
    walk, functions = _first(seconds=1, first=_step(done=False, wait_seconds=600))
    assert len(functions.asked("first")) == 1 and functions.asked("contain")
    assert "WaitForFirst" not in walk.entered


def test_no_wait_is_longer_than_what_is_left_of_the_deadline() -> None:
    walk, _ = _first(seconds=20, first=[_step(done=False, wait_seconds=600), _step()])
    assert 1 <= walk.waited[0] <= 20


def test_failing_forensics_lets_containment_go_on() -> None:
    """Failures are asked again while there is time; the function is not retried past the
    deadline.
    """
    _, functions = _first(first=[RuntimeError("no SSM"), RuntimeError("no SSM"), _step()])
    assert len(functions.asked("first")) == 3
    assert functions.asked("contain")


def test_an_approved_containment_collects_first_too() -> None:
    target = {"kind": "ec2_instance", "id": "i-1", "arn": "arn:i-1", "attach": ""}
    plan = {
        "decision": "approve",
        "error": "",
        "targets": [target],
        "collect_first_seconds": 30,
        "approval_timeout_seconds": 60,
    }
    _, functions = _go(token=lambda: {"approved": True}, plan=plan)
    assert functions.asked("first")[0]["seconds_left"] in (29, 30)
    assert functions.asked("contain")


def test_a_further_emission_is_a_verification_in_every_verb_that_could_act() -> None:
    opened = {
        "incident_id": "inc-1",
        "playbook": "ec2_instance",
        "next": "triage",
        "verify_only": True,
    }
    _, functions = _go(open=opened)
    for step_name in ("announce", "plan", "finish"):
        assert functions.asked(step_name)[0]["verify_only"] is True
    assert not functions.asked("collect")


def test_lost_evidence_is_reported_and_blocks_nothing() -> None:
    _, functions = _go(evidence=RuntimeError("limit"), evidence_failed=RuntimeError("down too"))
    assert "limit" in functions.asked("evidence_failed")[0]["error"]
    assert functions.asked("collect")
    assert functions.asked("close")[0]["decision"] == "act"


def test_a_failed_finish_is_told_at_the_end() -> None:
    _, functions = _go(collect=_phase(next="finish"), finish=RuntimeError("no"))
    assert functions.asked("close")[0]["error"].startswith("finish failed: RuntimeError")
    _, functions = _go(collect=RuntimeError("no"))
    assert functions.asked("close")[0]["error"].startswith("collect failed: RuntimeError")


def test_an_untold_verdict_is_left_to_close() -> None:
    walk, functions = _go(verdict=RuntimeError("topic gone"))
    assert "VerdictUntold" in walk.entered
    assert functions.asked("close")[0]["decision"] == "act"


def test_several_targets_each_go_their_way() -> None:
    targets = [{"kind": "ec2_instance", "id": f"i-{n}"} for n in range(3)]
    _, functions = _go(
        plan={"decision": "act", "error": "", "targets": targets, "collect_first_seconds": 0}
    )
    for step_name in ("contain", "verify", "verdict", "evidence"):
        assert [payload["target"]["id"] for payload in functions.asked(step_name)] == [
            "i-0",
            "i-1",
            "i-2",
        ]
    assert len(functions.asked("collect")) == 1


def test_an_answer_no_choice_understands_closes_as_failed() -> None:
    _, functions = _go(verify={"status": "CONTAINED"})
    assert functions.asked("close")[0]["decision"] == "failed"


@pytest.mark.parametrize("failing", ["open", "close"])
def test_where_nobody_is_left_to_tell_the_execution_fails(failing: str) -> None:
    with pytest.raises(Failed, match="down"):
        _go(**{failing: RuntimeError("down")})


# -- approval --------------------------------------------------------------------------------------

ASKED: Json = {
    "decision": "approve",
    "error": "",
    "approval_timeout_seconds": 3600,
    "collect_first_seconds": 0,
    "targets": [{"kind": "ec2_instance", "id": "i-1"}],
}


def _raise(error: str) -> Any:
    def token() -> Any:
        raise Failed(error, "x")

    return token


@pytest.mark.parametrize(
    ("token", "acts", "decision"),
    [
        (lambda: {"approved": True}, True, "act"),
        (lambda: {"approved": False}, False, "rejected"),
        (lambda: {}, False, "rejected"),
        (_raise("States.Timeout"), False, "approval_timed_out"),
        (_raise("Somebody.Failed"), False, "failed"),
    ],
)
def test_what_a_person_answers(token: Any, acts: bool, decision: str) -> None:
    _, functions = _go(token=token, plan=ASKED)
    assert functions.asked("ask")[0]["task_token"] == "token"
    assert bool(functions.asked("contain")) == acts
    assert functions.asked("close")[0]["decision"] == decision
