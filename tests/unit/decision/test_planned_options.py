"""Which options an incident goes on with when an apply changed them after its plan."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.decision.configuration import Config
from guardduty_response.decision.planned_options import (
    ContainedWith,
    as_contained,
    contained_with,
    in_flight,
    of_containment,
)

ROTATE = {"reader_arns": ["arn:aws:iam::222222222222:role/app"]}


@pytest.mark.parametrize(
    ("planned", "present", "expected"),
    [
        ({"snapshot": True}, {"snapshot": False}, {"snapshot": True}),
        ({"lookup_hours": 24}, {"lookup_hours": 1}, {"lookup_hours": 24}),
        ({"finish": "none"}, {"finish": "terminate"}, {"finish": "none"}),
        ({"finish": "terminate"}, {"finish": "stop"}, {"finish": "stop"}),
        ({"terminate_keeps_volumes": True}, {"terminate_keeps_volumes": False}, True),
        ({"terminate_keeps_volumes": False}, {"terminate_keeps_volumes": True}, True),
        ({"remediate": []}, {"remediate": ["ec2"]}, {"remediate": []}),
        ({"remediate": ["ec2", "iam"]}, {"remediate": ["iam"]}, {"remediate": ["iam"]}),
        ({"rotate_key": None}, {"rotate_key": ROTATE}, {"rotate_key": None}),
        ({"rotate_key": ROTATE}, {"rotate_key": None}, {"rotate_key": None}),
        ({"rotate_key": ROTATE}, {"rotate_key": ROTATE}, {"rotate_key": ROTATE}),
    ],
)
def test_what_changes_something_is_the_milder_of_both(
    planned: dict[str, Any], present: dict[str, Any], expected: Any
) -> None:
    if isinstance(expected, bool):
        expected = dict.fromkeys(planned, expected)
    assert in_flight(planned, present) == expected


def test_an_option_that_a_later_release_added_has_its_present_value() -> None:
    assert in_flight({"snapshot": True}, {"snapshot": True, "new": 1})["new"] == 1


def test_records_without_options_go_on_with_those_of_now() -> None:
    assert in_flight(None, {"finish": "stop"}) == {"finish": "stop"}


def test_the_switches_that_a_plan_did_not_know_are_off() -> None:
    found = of_containment(None, {"snapshot": True}, {"snapshot": True, "new": True, "hours": 4})
    assert found == {"options": {"snapshot": True, "new": False, "hours": 4}}


def test_what_the_verdict_went_by_counts_before_the_newest_plan() -> None:
    stored: ContainedWith = {
        "options": {"profile": True},
        "forensics_when": "after",
        "log_window_minutes": 30,
    }
    found = of_containment(stored, {"profile": False}, {"profile": False})
    assert found == {**stored, "options": {"profile": True}}
    assert of_containment(found, None, {"profile": False}) == found, "safe to repeat"


def test_what_restoring_does_is_decided_now() -> None:
    stored: ContainedWith = {"options": {"restore": False, "reattach_auto_scaling": False}}
    present = {"restore": True, "reattach_auto_scaling": True}
    assert of_containment(stored, None, present) == {"options": present}


def test_a_containment_gets_nothing_that_changes_more_by_an_apply() -> None:
    stored: ContainedWith = {"options": {"finish": "none", "remediate": []}}
    present = {"finish": "terminate", "remediate": ["iam"]}
    assert of_containment(stored, None, present) == stored


def test_the_policy_is_that_of_now() -> None:
    document = dict.fromkeys(Config._fields) | {
        "paused": True,
        "forensics": {"when": "off", "timeout_minutes": 30},
        "evidence": {"log_window_minutes": 600, "forensics_account": None},
    }
    now = Config(**document)  # type: ignore[arg-type]
    then = now._replace(
        paused=False,
        forensics={**now.forensics, "when": "after"},
        evidence={**now.evidence, "log_window_minutes": 60},
    )
    assert as_contained(now, contained_with(then, {})) == then._replace(paused=True)
    assert as_contained(now, {"options": {}}) == now
