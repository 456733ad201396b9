"""What releases before 0.2 kept in META about messages counts as told."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.functions import failed_executions
from guardduty_response.incident import notifications
from guardduty_response.incident.outbox.history import history_of
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import recheck, schedule

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import call, notified, recurrence
from tests.unit.old_records import load_old_records

TOLD = {
    "contained": "CONTAINED",
    "breached": "BREACHED",
    "restored": "RESTORED",
    "failed": "FAILED",
    "partial": "PARTIAL",
    "dry_run": "DRY_RUN",
}
Json = dict[str, Any]


@pytest.fixture
def old(deployment: Deployment, fake: FakePlaybook) -> dict[str, str]:
    """The incidents' IDs by what they are."""
    return load_old_records(deployment)


@pytest.mark.parametrize("name", TOLD)
def test_the_status_that_was_told_is_known(
    record: IncidentRepository, old: dict[str, str], name: str
) -> None:
    history = record.history(record.meta(old[name]))
    assert (history.status, history.has_ended) == (TOLD[name], True)


def test_a_loss_that_was_told_is_no_news(record: IncidentRepository, old: dict[str, str]) -> None:
    meta, [target], _ = record.read(old["breached"])
    history = record.history(meta)
    assert target["breach"]["checks"]
    assert recheck.news(history, target) == []
    worse: Any = {**target, "breach": {**target["breach"], "checks": ["another"]}}
    assert recheck.news(history, worse) == [f"{target['id']} another"]
    assert history_of({}, []).known_losses == set()


def test_the_end_that_was_told_is_not_told_again(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    """A recurrence only verified it, and found nothing new."""
    call(
        "close",
        incident_id=old["contained"],
        decision="act",
        execution="another",
    )
    assert notified(deployment) == ([], [])
    record.note(old["contained"], closed_once=False)
    call(
        "close",
        incident_id=old["contained"],
        decision="act",
        execution="another",
    )
    assert notified(deployment) == (["closing"], [])


def test_a_new_run_of_an_old_incident_tells_anew(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    incident_id = old["failed"]
    assert recurrence(record, incident_id, "another") == "start"
    history = record.history(record.meta(incident_id))
    assert (history.status, history.has_ended) == ("", False)
    record.note(incident_id, held="")
    call(
        "close",
        incident_id=incident_id,
        decision="failed",
        error="x",
        execution="another",
    )
    assert notified(deployment) == (["FAILED"], ["FAILED"])


@pytest.mark.parametrize("severity", [0.0, 1.0])
def test_an_old_answer_is_told_again_only_where_it_differs(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str], severity: float
) -> None:
    incident_id = old["dry_run"]
    before = record.meta(incident_id)
    changed: Any = {
        **{name: before[name] for name in ("incident_id", "mode", "reasons", "finding_type")},
        "severity": float(before["severity"]) + severity,
        "config_sha256": "another",
        "execution": "another",
        "account_id": before["account_id"],
    }
    assert record.open(changed).outcome == "start"
    call(
        "close",
        incident_id=incident_id,
        decision="dry_run",
        execution="another",
    )
    sent = ["DRY_RUN"] if severity else []
    assert notified(deployment) == (sent, [])
    assert ("decided as before" in deployment.timeline(incident_id)) is not bool(severity)


def test_a_failure_that_was_told_is_not_told_again(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    incident_id = old["contained"]
    execution = record.meta(incident_id)["execution"]
    record.note(incident_id, death_told=execution)
    failed_executions.fail(record, incident_id, "it died")
    assert notified(deployment) == ([], [])
    record.note(incident_id, death_told="another")
    failed_executions.fail(record, incident_id, "it died")
    assert notified(deployment) == (["problem"], ["problem"])


@pytest.mark.parametrize("known", [True, False])
def test_why_a_loss_was_left_to_people_is_told_once(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str], known: bool
) -> None:
    incident_id = old["breached"]
    record.note(
        incident_id,
        left_breached="exempt",
        left_told="exempt" if known else "",
    )
    meta = record.meta(incident_id)
    recheck.close_recheck(record, meta, "another", "none", "")
    assert notified(deployment) == (([], []) if known else (["problem"], ["problem"]))


def test_what_was_told_to_be_unreadable_is_not_told_again(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    incident_id = old["contained"]
    record.note(incident_id, unverified="cannot assume the role")
    meta, targets, _ = record.read(incident_id)
    notifications.notify_unverified(record, meta, targets, "cannot assume the role")
    assert notified(deployment) == ([], [])
    record.note(incident_id, unverified="")
    for _ in range(2):
        meta = record.meta(incident_id)
        notifications.notify_unverified(record, meta, targets, "cannot assume the role")
    assert notified(deployment) == (["problem"], ["problem"])


def test_what_was_told_to_be_unmonitored_is_not_told_again(
    deployment: Deployment, record: IncidentRepository, old: dict[str, str]
) -> None:
    for incident_id in old.values():
        record.note(incident_id, unwatched="yes", playbook="another")
    assert schedule.notify_unmonitored(record, record.watched()) == []
    record.note(old["contained"], unwatched="")
    assert schedule.notify_unmonitored(record, record.watched()) == [old["contained"]]
    assert schedule.notify_unmonitored(record, record.watched()) == []
    assert Status(record.meta(old["contained"])["status"]) is Status.CONTAINED
