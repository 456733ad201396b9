"""Declares what the monitor function is asked for: containments that are checked together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.decision import finding
from guardduty_response.errors import ResponseError

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent, DueRecord

SCHEDULE, CHANGE = "schedule", "change"


class ToCheck(TypedDict):
    """Names a containment to the monitor function."""

    arn: str
    generation: int
    incident_id: str


class Batch(TypedDict):
    """Declares the payload's key ``monitor``. ``why``: schedule, change, or what a person gave."""

    batch: str
    account_id: str
    region: str
    why: str
    containments: list[ToCheck]
    seen: ChangeEvent | None


def of(batch: str, claimed: list[DueRecord], seen: ChangeEvent | None) -> Batch:
    """Returns the batch of these containments. ``seen``: the change because of which."""
    return {
        "batch": batch,
        "account_id": claimed[0]["account_id"],
        "region": claimed[0]["region"],
        "why": CHANGE if seen else SCHEDULE,
        "containments": [
            {
                "arn": found["arn"],
                "generation": found["generation"],
                "incident_id": found["incident_id"],
            }
            for found in claimed
        ],
        "seen": seen,
    }


def parse(event: object) -> Batch:
    """Returns the batch that the monitor function was given. Raises ResponseError."""
    given = finding.get(event, "monitor")
    try:
        return {
            "batch": str(given["batch"]),
            "account_id": str(given["account_id"]),
            "region": str(given["region"]),
            "why": finding.text(given.get("why"), 40) or SCHEDULE,
            "containments": [
                {
                    "arn": str(named["arn"]),
                    "generation": int(named["generation"]),
                    "incident_id": str(named.get("incident_id") or ""),
                }
                for named in given["containments"]
            ],
            "seen": cloudtrail_event.parse_change(given.get("seen")),
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ResponseError(
            'the monitor function is given {"monitor": {"batch": "…", "account_id": "…",'
            ' "region": "…", "why": "a person",'
            ' "containments": [{"arn": "…", "generation": 1}]}}, not'
            f" {event!r:.300} ({error!r})"
        ) from error
