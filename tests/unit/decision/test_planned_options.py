"""Which options an incident goes on with when an apply changed them after its plan."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.decision.planned_options import in_flight

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
