"""Listed twice, because events come late: the cut-off, the wait, and what one call leaves to the
next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.cloudtrail import query
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.playbooks.iam_principal.evidence import actions

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    admin,
    names,
)
from tests.unit.playbooks.iam_principal.evidence_lab import (
    OTHER,
    EvidenceLab,
)

Json = dict[str, Any]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


# -- two passes ------------------------------------------------------------------------------------


def test_listed_once_more_for_what_came_late(lab: EvidenceLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.happened("CreateUser", 120)
    first = lab.once(actions)
    assert (first.outcome, first.state["round"], first.state["listed"]) == ("RUNNING", 1, 1)
    assert 1190 <= first.wait_seconds <= 1200, "one long wait"
    assert first.state["due"] == first.state["window"][1] + 1200
    assert first.state["cut_off"] == iso(first.state["window"][1])
    assert first.state["cut_off"] in first.detail
    late = lab.happened("CreateRole", 90)  # recorded meanwhile, made before
    lab.ahead = 600
    new = lab.happened("DeleteRole", 5)
    waiting = lab.once(actions)
    assert waiting.outcome == "RUNNING" and 590 <= waiting.wait_seconds <= 600
    assert len(lab.asked) == 6, "nothing is asked while it waits"
    lab.ahead = 1201
    last = lab.once(actions)
    assert (last.outcome, last.state["round"], last.state["listed"]) == ("COMPLETE", 2, 2)
    assert [names(changes) for changes in lab.changes()] == [
        ["CreateUser"],
        ["CreateRole", "DeleteRole"],
    ]
    assert lab.events(round=2) == [late, new]
    assert last.state["cut_off"] > first.state["cut_off"]
    assert lab.summary()["cut_off"] == last.state["cut_off"]
    assert sum(call["count"] for call in lab.summary()["calls"]) == last.state["events"] == 3
    again = lab.asked[6:]
    assert {request["start"] for request in again} == {first.state["window"][1] - query.LAG_SECONDS}


def test_a_session_met_in_the_second_pass_is_asked_for_from_the_start(lab: EvidenceLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.once(actions)
    lab.assumed("ASIALATE", ago=60)
    lab.happened(
        "CreateUser",
        3000,
        who=admin("ASIALATE"),
    )
    lab.ahead = 1201
    assert lab.once(actions).outcome == "COMPLETE"
    assert names(lab.changes()[0]) == ["CreateUser"]


def test_a_task_stays_while_the_second_list_is_waited_for(lab: EvidenceLab) -> None:
    lab.build().options["repeat_minutes"] = 20
    lab.fail(
        "LookupEvents",
        "AccessDeniedException",
        lambda asked: asked["region"] == OTHER,
    )
    task = lab.once(actions).task
    lab.ahead = 60
    assert task and lab.once(actions).task == task
    assert lab.kept("actions")["task"] == task


def test_the_ledger_is_small_whatever_was_found(lab: EvidenceLab) -> None:
    lab.build().options |= {"lookup_regions": [], "repeat_minutes": 20}
    for index in range(400):
        lab.happened(
            "CreateUser",
            60 + index,
            requestParameters={"userName": f"u{index}" * 20},
        )
    lab.once(actions)
    assert len(json.dumps(lab.kept("actions")["state"])) < 4000
    assert len(lab.changes()[0]) == 400


def test_a_call_that_died_loses_and_repeats_nothing(lab: EvidenceLab) -> None:
    """What it had stored is written again by the next one, which knows only what the ledger
    says.
    """
    lab.build().page = 5
    for index in range(12):
        lab.happened("CreateUser", 60 + index)
    lab.fail(
        "LookupEvents", "ThrottlingException", lambda asked: asked.get("NextToken") == "5", times=1
    )
    assert lab.once(actions).outcome == "RUNNING"
    assert lab.once(actions, keep=False).outcome == "COMPLETE"
    assert lab.once(actions).outcome == "COMPLETE"
    assert len({change["id"] for change in lab.changes()[0]}) == len(lab.changes()[0]) == 12
    assert len({event["eventID"] for event in lab.events()}) == len(lab.events()) == 12
