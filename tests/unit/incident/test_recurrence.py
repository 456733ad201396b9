"""What a recurrence does to an incident that has ended, or of which people were only notified."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import OnFinding, Status
from guardduty_response.incident.table import incident_key

from tests.unit.deployment import Deployment

ID = "inc-0123456789abcdef"


def _meta(**changes: Any) -> IncidentRecord:
    fields = {
        "incident_id": ID,
        "execution": "one",
        "mode": "auto",
        "severity": 8.0,
        "config_sha256": "c0",
        **changes,
    }
    return cast(IncidentRecord, fields)


def _at(record: IncidentRepository, status: Status) -> None:
    """An incident that has come to ``status``."""
    record.open(_meta())
    assert record.move(ID, Status.OPEN, status)


@pytest.mark.parametrize(
    ("status", "changes", "outcome"),
    [
        (Status.NOTIFIED, {"config_sha256": "c1"}, OnFinding.COUNT),
        (Status.NOTIFIED, {"config_sha256": "c1", "reasons": ["key"]}, OnFinding.START),
        (Status.DRY_RUN, {"config_sha256": "c1"}, OnFinding.START),
        (Status.SKIPPED, {"config_sha256": "c1"}, OnFinding.START),
    ],
)
def test_another_switch_is_no_news_about_a_finding_that_was_only_notified(
    record: IncidentRepository, status: Status, changes: dict[str, Any], outcome: OnFinding
) -> None:
    """Where guardrails have decided too, any change may change the answer."""
    _at(record, status)
    assert record.open(_meta(execution="two", **changes)).outcome is outcome


ENDINGS = [
    Status.RESTORED,
    Status.RESTORE_PARTIAL,
    Status.CLOSED,
    Status.TIMED_OUT,
    Status.REJECTED,
    Status.GONE,
]


@pytest.mark.parametrize("status", ENDINGS, ids=str)
@pytest.mark.parametrize(
    ("minutes", "outcome"),
    [(-1, OnFinding.COUNT), (1, OnFinding.START), (None, OnFinding.COUNT)],
)
def test_what_has_ended_starts_again_only_by_later_activity(
    deployment: Deployment,
    record: IncidentRepository,
    status: Status,
    minutes: int | None,
    outcome: OnFinding,
) -> None:
    """GuardDuty's own update of an old finding arrives hours later and says nothing new."""
    _at(record, status)
    ended = datetime.fromisoformat(deployment.meta(ID)["ended_at"])
    last_seen = "" if minutes is None else iso(ended + timedelta(minutes=minutes))
    opened = record.open(_meta(execution="two", last_seen=last_seen))
    assert opened.outcome is outcome
    stored = deployment.meta(ID)
    assert (stored["status"] == "OPEN") == (outcome is OnFinding.START)
    assert stored["emissions"] == 2, "counted either way"


def test_a_record_of_an_older_version_ended_with_its_last_change(
    deployment: Deployment, record: IncidentRepository
) -> None:
    _at(record, Status.RESTORED)
    ended = deployment.meta(ID)["ended_at"]
    record.table.update(incident_key(ID), "META", {"updated_at": ended}, remove=["ended_at"])
    before = iso(datetime.fromisoformat(ended) - timedelta(seconds=1))
    assert record.open(_meta(last_seen=before)).outcome is OnFinding.COUNT
    assert deployment.meta(ID)["ended_at"] == ended, "counting must not move it"
    after = iso(datetime.fromisoformat(ended) + timedelta(seconds=1))
    assert record.open(_meta(last_seen=after)).outcome is OnFinding.START
