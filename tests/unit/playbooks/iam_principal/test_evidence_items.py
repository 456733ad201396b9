"""Evidence of a principal in its order: beside containment, after the verdict, and in turns with
remediation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.containment.contract import StepResult, load_collector
from guardduty_response.playbooks.iam_principal import evidence
from guardduty_response.playbooks.iam_principal.evidence import regional_lookup

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.evidence_lab import HOME, INCIDENT, OTHER, EvidenceLab

Json = dict[str, Any]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


@pytest.fixture
def started(lab: EvidenceLab) -> EvidenceLab:
    lab.build()
    lab.see("iam").create_user(UserName="alice")
    lab.options |= {"repeat_minutes": 20, "remediate": ["users"]}
    lab.happened("CreateUser", 60)
    return lab


def asked(lab: EvidenceLab) -> StepResult:
    return evidence.collect(lab.context(), lab.target)


def eradicated(lab: EvidenceLab, handled: int) -> None:
    lab.record.evidence(
        INCIDENT,
        lab.kind,
        lab.id,
        "remediation",
        {
            "outcome": "RUNNING",
            "detail": "",
            "state": {"handled": handled},
        },
    )


def test_the_package_is_a_collector() -> None:
    assert load_collector("iam_principal") is evidence


def test_nothing_is_collected_before_containment(lab: EvidenceLab) -> None:
    lab.build()
    assert evidence.first(
        lab.context(),
        lab.target,
        60,
    ).done
    assert (lab.asked, lab.stored(), lab.kept("actions")) == ([], {}, {})


def test_beside_containment_only_what_it_could_do(started: EvidenceLab) -> None:
    step = evidence.evidence(started.context(), started.target)
    assert not step.done
    assert set(started.stored()) == {"principal.json"}
    assert started.asked == []


def test_in_turns_with_remediation(started: EvidenceLab) -> None:
    first = asked(started)
    assert (first.done, first.next_step) == (True, "remediate")
    assert started.kept("actions")["state"]["listed"] == 1
    eradicated(started, 1)
    started.ahead = 300
    waiting = asked(started)
    assert (waiting.done, waiting.next_step) == (False, "")
    assert 890 <= waiting.wait_seconds <= 900, "one long wait up to the second list"
    assert started.kept("manifest") == {}
    started.ahead = 1201
    second = asked(started)
    assert (second.done, second.next_step) == (True, "remediate")
    assert started.kept("actions")["outcome"] == "COMPLETE"
    eradicated(started, 2)
    assert asked(started).next_step == "", "nothing is left to hand over"


def test_when_there_is_no_second_list(started: EvidenceLab) -> None:
    started.options["repeat_minutes"] = 0
    assert (asked(started).next_step, started.kept("actions")["state"]["due"]) == ("remediate", 0)
    eradicated(started, 1)
    assert (asked(started).done, asked(started).next_step) == (True, "")


def test_without_remediation_it_waits_and_closes(started: EvidenceLab) -> None:
    started.options |= {"remediate": [], "rotate_key": None}
    first = asked(started)
    assert (first.done, first.next_step) == (False, "")
    assert first.wait_seconds > 1100
    started.ahead = 1201
    last = asked(started)
    assert (last.done, last.next_step) == (True, "")


def test_the_wait_is_long_at_any_attempt(started: EvidenceLab) -> None:
    """Polls cost state transitions: the pace of polling must not shorten the wait, nor stretch
    it.
    """
    started.options["remediate"] = []
    for attempt in (1, 4, 9):
        started.attempt = attempt
        assert 1180 <= asked(started).wait_seconds <= 1200


def test_a_list_that_takes_long_is_handed_over_when_complete(started: EvidenceLab) -> None:
    started.page = 1
    started.happened("CreateRole", 30)
    started.fail(
        "LookupEvents", "ThrottlingException", lambda asked: asked.get("NextToken") == "1", times=1
    )
    first = asked(started)
    assert (first.done, first.next_step) == (False, "")
    assert asked(started).next_step == "remediate"


def test_switched_off_there_is_nothing_to_remediate(started: EvidenceLab) -> None:
    started.options["list_actions"] = False
    step = asked(started)
    assert (step.done, step.next_step) == (True, "")
    assert started.kept("actions")["outcome"] == "SKIPPED"


def test_a_key_is_replaced_also_without_a_list(started: EvidenceLab) -> None:
    started.options |= {
        "list_actions": False,
        "remediate": [],
        "rotate_key": {"reader_arns": []},
    }
    assert asked(started).next_step == "remediate"
    eradicated(started, 0)
    assert asked(started).next_step == ""


def test_refused_everywhere_remediation_still_has_its_turn(started: EvidenceLab) -> None:
    started.fail("LookupEvents", "AccessDeniedException")
    assert asked(started).next_step == "remediate"
    assert started.kept("actions")["outcome"] == "FAILED"


def test_an_error_nobody_thought_of_keeps_what_was_found(
    started: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(started)
    before = started.kept("actions")["state"]
    started.ahead = 1201
    monkeypatch.setattr(
        regional_lookup,
        "repeat",
        lambda *_: 1 / 0,
    )
    asked(started)
    kept = started.kept("actions")
    assert kept["outcome"] == "FAILED" and "division by zero" in kept["detail"]
    assert kept["state"]["changes"] == before["changes"] and kept["state"]["listed"] == 1


def test_the_manifest_lists_what_is_evidence_with_its_hash(started: EvidenceLab) -> None:
    started.options["remediate"] = []
    asked(started)
    started.happened("DeleteUser", 30, HOME)
    started.ahead = 1201
    asked(started)
    stored = started.stored()
    manifest = json.loads(stored.pop("manifest.json"))
    listed = {
        entry["key"].split("/", 3)[-1]: entry["sha256"]
        for part in manifest["parts"].values()
        for entry in part["objects"]
    }
    working = {name for name in stored if name.startswith("actions/progress-")}
    assert listed == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in stored.items()
        if name not in working
    }
    assert {
        "principal.json",
        "actions/summary.json",
        "actions/changes-1.json",
        "actions/changes-2.json",
    } <= listed.keys()
    assert len(working) == 2


def test_a_region_that_refuses_reaches_the_ledger_as_a_task(started: EvidenceLab) -> None:
    started.options["remediate"] = []
    started.fail(
        "LookupEvents",
        "AccessDeniedException",
        lambda asked: asked["region"] == OTHER,
    )
    asked(started)
    started.ahead = 1201
    asked(started)
    found = started.record.target(
        INCIDENT,
        started.kind,
        started.id,
    )
    assert found["actions"]["actions"]["status"] == "FAILED"
    assert f"--region {OTHER}" in found["evidence"]["actions"]["task"]
    assert found["actions"]["principal"]["status"] == "DONE"
