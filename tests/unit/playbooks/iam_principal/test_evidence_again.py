"""A later run contains a principal again: what it did in between is listed and handed over to
eradication, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.cloudtrail import query
from guardduty_response.containment.contract import StepResult
from guardduty_response.evidence import renewal
from guardduty_response.playbooks.iam_principal import evidence

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import KEY, names
from tests.unit.playbooks.iam_principal.evidence_lab import INCIDENT, EvidenceLab

Json = dict[str, Any]
HOUR = 3600


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    for made in evidence_lab.account(monkeypatch):
        made.build()
        made.see("iam").create_user(UserName="alice")
        made.options |= {"lookup_regions": [evidence_lab.HOME], "config_history_days": 0}
        yield made


def asked(lab: EvidenceLab) -> StepResult:
    return evidence.collect(lab.context(), lab.target)


def collected(lab: EvidenceLab) -> StepResult:
    """Asks until the phase is done, as the machine does."""
    for _ in range(10):
        step = asked(lab)
        if step.done:
            return step
        lab.ahead += step.wait_seconds
    raise AssertionError("the phase never ends")


def again(lab: EvidenceLab, run: str = "later", after: float = HOUR) -> None:
    """Another run contains the principal, which was active until then."""
    lab.ahead += after
    lab.execution = run


def manifest(lab: EvidenceLab) -> Json:
    return dict(json.loads(lab.stored()["manifest.json"]))


@pytest.mark.parametrize("repeat_minutes", [0, 20])
def test_what_was_done_since_is_listed_from_the_last_cut_off(
    lab: EvidenceLab, repeat_minutes: int
) -> None:
    lab.options["repeat_minutes"] = repeat_minutes
    lab.happened("CreateUser", 120)
    collected(lab)
    before = lab.kept("actions")
    again(lab)
    lab.happened("CreateRole", 60)
    lab.asked.clear()
    collected(lab)
    after = lab.kept("actions")
    assert after["outcome"] == "COMPLETE"
    assert after["state"]["cut_off"] > before["state"]["cut_off"]
    assert [names(changes) for changes in lab.changes()] == [["CreateUser"], ["CreateRole"]]
    assert "2 events" in after["detail"]
    starts = {request["start"] for request in lab.asked}
    assert min(starts) >= before["state"]["window"][1] - query.LAG_SECONDS
    listed = [entry["key"] for entry in manifest(lab)["parts"]["actions"]["objects"]]
    assert any(key.endswith("changes-3.json") for key in listed), "the manifest has it"
    calls = len(lab.asked)
    assert asked(lab).done and len(lab.asked) == calls, "once for each run"


def test_eradication_has_another_turn(lab: EvidenceLab) -> None:
    lab.options |= {"remediate": ["users"], "repeat_minutes": 0}
    lab.happened("CreateUser", 120)
    assert collected(lab).next_step == "remediate"
    handled = {"outcome": "COMPLETE", "detail": "", "state": {"handled": 1, "keys": 1}}
    lab.record.evidence(INCIDENT, lab.kind, lab.id, "remediation", handled)
    assert collected(lab).next_step == ""
    again(lab)
    lab.happened("CreateRole", 60)
    assert collected(lab).next_step == "remediate"
    assert lab.kept("actions")["state"]["listed"] > 1


def test_a_run_that_comes_while_the_second_list_is_waited_for_needs_no_list_of_its_own(
    lab: EvidenceLab,
) -> None:
    lab.options["repeat_minutes"] = 20
    assert not asked(lab).done
    first, lab.execution, lab.ahead = lab.execution, "other", 600
    lab.happened("CreateRole", 60)
    assert not asked(lab).done
    lab.ahead = 1201
    assert asked(lab).done
    for lab.execution in (first, "other"):
        assert asked(lab).done
    assert names(lab.changes()[0]) == ["CreateRole"]
    assert lab.kept("actions")["state"]["round"] == 2


def test_two_runs_at_once_do_not_begin_again_by_turns(lab: EvidenceLab) -> None:
    collected(lab)
    for lab.execution in ("exec", "two", "three") * 3:
        assert asked(lab).done
    assert lab.kept("actions")["runs"] == ["exec", "two", "three"]


def test_another_key_of_the_principal_is_asked_for_from_the_start(lab: EvidenceLab) -> None:
    lab.happened("CreateUser", 300)
    collected(lab)
    again(lab)
    lab.details = {**lab.details, "accessKeyId": "AKIASECOND"}
    lab.asked.clear()
    collected(lab)
    start = lab.kept("actions")["state"]["window"][0]
    keys = {request["value"]: request["start"] for request in lab.asked}
    assert keys["AKIASECOND"] == start and KEY in keys


def test_what_a_failed_list_lacks_is_listed_by_the_next_run(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.happened("CreateUser", 120)
    with monkeypatch.context() as broken:
        broken.setattr(query, "run", lambda *_: 1 / 0)
        collected(lab)
    again(lab)
    collected(lab)
    assert names(lab.changes()[-1]) == ["CreateUser"]


def test_beyond_so_many_runs_it_says_what_is_not_listed(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "MOST_RUNS", 2)
    for number in range(4):
        collected(lab)
        again(lab, f"run-{number}")
    kept = lab.kept("actions")
    assert kept["outcome"] == "PARTIAL" and kept["runs"] == ["exec", "run-0"]
    assert kept["detail"].startswith("what happened after ")
    assert kept["detail"].count("what happened after") == 1
    assert "what happened after" in kept["task"]


def test_what_there_is_once_stays(lab: EvidenceLab) -> None:
    collected(lab)
    before = lab.kept("principal")
    again(lab)
    collected(lab)
    assert lab.kept("principal") == before
