"""A finding from a file is moved to now when it is sent."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sandbox import demo, demo_credential, findings
from sandbox.clients import Aws

NOW = datetime(2031, 2, 3, 4, 5, 6, 789000, UTC)
NOWHERE = Aws("http://127.0.0.1:1")


def test_every_time_moves_by_one_offset_and_it_was_last_seen_now() -> None:
    event: dict[str, Any] = {
        "detail-type": "GuardDuty Finding",
        "time": "2026-11-24T09:15:05Z",
        "detail": {
            "resource": {"instanceDetails": {"launchTime": "2026-11-20T07:41:12.000Z"}},
            "service": {
                "action": {"lastSeenAt": "2026-11-24T10:04:31+01:00"},
                "eventFirstSeen": "2026-11-24T08:52:47.000Z",
                "eventLastSeen": "2026-11-24T09:04:31.000Z",
            },
            "createdAt": "2026-11-24T09:07:12.318Z",
            "updatedAt": "2026-11-24T09:12:58.907Z",
        },
    }
    untouched = copy.deepcopy(event)
    moved = findings.moved_to_now(event, NOW)
    assert event == untouched
    detail = moved["detail"]
    service = moved["detail"]["service"]
    assert service["eventLastSeen"] == "2031-02-03T04:05:06.000Z"
    assert service["eventFirstSeen"] == "2031-02-03T03:53:22.000Z"
    assert service["action"]["lastSeenAt"] == "2031-02-03T05:05:06+01:00"
    assert detail["createdAt"] == "2031-02-03T04:07:47.318Z"
    assert detail["updatedAt"] == "2031-02-03T04:13:33.907Z"
    assert moved["time"] == "2031-02-03T04:15:40Z"
    launched = detail["resource"]["instanceDetails"]["launchTime"]
    assert launched == "2031-01-30T02:41:47.000Z"


def test_what_only_looks_like_a_time_stays() -> None:
    event = {
        "createdAt": "2026-01-01T00:00:00Z",
        "id": "2026-01-01T00:00:00Z",
        "updatedAt": "yesterday",
        "launchTime": None,
        "startTime": "2026-13-01T00:00:00Z",
        "tags": [{"key": "backup", "value": "2026-01-01T00:00:00Z"}],
        "count": 3,
    }
    moved = findings.moved_to_now(event, NOW)
    assert moved == {**event, "createdAt": "2031-02-03T04:05:06Z"}


def test_without_last_seen_the_newest_time_is_now() -> None:
    moved = findings.moved_to_now(
        {"createdAt": "2026-01-01T00:00:00.5Z", "time": "2026-01-01T00:01:00Z"}, NOW
    )
    assert moved == {"createdAt": "2031-02-03T04:04:06.5Z", "time": "2031-02-03T04:05:06Z"}


@pytest.mark.parametrize("document", [{}, {"what": "ever"}, {"createdAt": 5}, {"detail": "text"}])
def test_a_document_without_times_is_copied(document: dict[str, Any]) -> None:
    moved = findings.moved_to_now(document)
    assert moved == document
    assert moved is not document


def test_the_shape_of_the_api_is_moved_as_well() -> None:
    shown = {
        "Findings": [
            {
                "Type": "t",
                "AccountId": "1",
                "UpdatedAt": "2026-01-01T00:02:00Z",
                "Service": {"EventLastSeen": "2026-01-01T00:00:00Z"},
            }
        ]
    }
    event = findings.recognise(findings.moved_to_now(shown, NOW), "f")
    assert event.detail["service"] == {"eventLastSeen": "2031-02-03T04:05:06Z"}
    assert event.detail["updatedAt"] == "2031-02-03T04:07:06Z"


def test_an_older_now_moves_back_and_another_zone_is_understood() -> None:
    berlin = datetime(2020, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    moved = findings.moved_to_now({"updatedAt": "2026-01-01T00:00:00Z"}, berlin)
    assert moved == {"updatedAt": "2020-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "path", [demo.FINDING, demo_credential.FINDING], ids=["instance", "credential"]
)
def test_what_is_sent_was_seen_just_now_unless_its_times_are_kept(path: Path) -> None:
    data = findings.read(path)
    kept = findings.prepare(NOWHERE, data, path.name, keep_id=True, keep_times=True)
    assert kept.detail == json.loads(path.read_text())["detail"]
    sent = findings.prepare(NOWHERE, data, path.name, keep_id=True)
    age = datetime.now(UTC) - datetime.fromisoformat(sent.detail["service"]["eventLastSeen"])
    assert timedelta(0) <= age < timedelta(minutes=1)
