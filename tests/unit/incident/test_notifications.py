"""Tests messages: correct, complete, and harmless whatever the sender of a finding wrote."""

from __future__ import annotations

import os
from typing import Any

import pytest
from guardduty_response.incident import notifications, summary
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, Status

from tests.unit.deployment import Deployment
from tests.unit.function_calls import notified, tell
from tests.unit.incident.records import (
    META,
    TARGET,
    compose,
    incident_record,
)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "[CONTAINED] CryptoCurrency:EC2/BitcoinTool.B!DNS i-1 in 222222222222"),
        ({"targets": []}, "[CONTAINED] CryptoCurrency:EC2/BitcoinTool.B!DNS in 222222222222"),
        (
            {"targets": [{"id": "a"}, {"id": "b"}]},
            "[CONTAINED] CryptoCurrency:EC2/BitcoinTool.B!DNS 2 resources in 222222222222",
        ),
        (
            {"finding_type": "A\nBcc: x@example.com\r\n"},
            "[CONTAINED] A Bcc: x@example.com i-1 in 222222222222",
        ),
        ({"finding_type": "Köln"}, "[CONTAINED] K?ln i-1 in 222222222222"),
    ],
)
def test_subjects(changes: Any, subject: str) -> None:
    assert compose("CONTAINED", **changes)[0] == subject


def test_subjects_obey_sns() -> None:
    for kind in ("x" * 300, "\ud800\u2028\x00\t", ""):
        found = compose(Status.FAILED, finding_type=kind)[0]
        assert found.isascii()
        assert len(found) <= 100
        assert found.isprintable()
        assert found[0] == "["


def test_a_subject_names_the_target_the_message_is_about() -> None:
    meta = incident_record(targets=[{"id": "i-1"}, {"id": "i-2"}])
    assert " i-1 in " in notifications.compose("PARTIAL", meta, [TARGET])[0]


def test_a_verdict_says_what_was_seen_and_what_is_left() -> None:
    _, body = compose(Status.PARTIAL, [TARGET], status="PARTIAL")
    assert body.startswith("Partially contained. A person must finish it.")
    for line in (
        "Finding   CryptoCurrency:EC2/BitcoinTool.B!DNS (severity 8)",
        "Account   222222222222   Region us-east-1",
        "Incident  inc-1   status PARTIAL",
        "Resource  ec2_instance i-1: PARTIAL",
        "1 of 2 interfaces closed",
        "PASS     eni-1: closed",
        "FAIL     eni-2: still in sg-web",
        "FAILED   detach: denied; detach it by hand",
    ):
        assert line in body
    left = body.split("Open tasks")[1]
    assert "i-1: detach failed: denied; detach it by hand" in left
    assert "i-1: eni-2: still in sg-web" in left
    assert "network" not in left


@pytest.mark.parametrize("status", sorted(ESCALATE))
def test_what_is_escalated_always_names_a_task(status: Status) -> None:
    assert summary.open_tasks({**META, "status": status}, [])
    assert summary.open_tasks({**META, "status": status, "reasons": []}, []) == [
        "look at the incident record"
    ]


def test_what_is_well_has_no_tasks() -> None:
    assert summary.open_tasks(META, []) == []
    assert "Open tasks" not in compose(Status.CONTAINED)[1]


@pytest.mark.parametrize("what", ["started", "approval", "notice"])
def test_before_acting_nothing_is_called_left(what: str) -> None:
    assert "Open tasks" not in compose(what, [TARGET])[1]


def test_every_status_that_is_told_has_a_headline() -> None:
    for status in set(Status) - {
        Status.OPEN,
        Status.AWAITING_APPROVAL,
        Status.CONTAINING,
        Status.NOTIFIED,
        Status.CLOSED,
    }:
        # told by restore, which does not exist yet
        if status not in (Status.RESTORED, Status.RESTORE_PARTIAL):
            assert compose(status)[1].splitlines()[0] != status


# -- publishing ------------------------------------------------------------------------------------


def test_attributes_serve_filter_policies(
    deployment: Deployment, record: IncidentRepository
) -> None:
    tell(record, "CONTAINED", META, [TARGET])
    [got] = deployment.messages()
    assert {name: item["Value"] for name, item in got["MessageAttributes"].items()} == {
        "event": "CONTAINED",
        "status": "CONTAINED",
        "overall": "CONTAINED",
        "finding_type": META["finding_type"],
        "account_id": "222222222222",
        "incident_id": "inc-1",
        "sample": "false",
        "severity": "8",
    }
    assert got["MessageAttributes"]["severity"]["Type"] == "Number"
    assert notified(deployment) == ([], [])


def test_a_message_without_a_finding_has_its_attributes_too(
    deployment: Deployment, record: IncidentRepository
) -> None:
    empty = {"incident_id": "inc-1", "status": "SKIPPED", "finding_type": "", "account_id": ""}
    tell(record, "SKIPPED", empty)
    assert deployment.messages()[0]["MessageAttributes"]["finding_type"]["Value"] == "unknown"


def test_a_huge_message_is_cut_below_the_limit(
    deployment: Deployment, record: IncidentRepository
) -> None:
    tell(record, "FAILED", {**META, "title": "ü" * 500_000}, [TARGET])
    [got] = deployment.messages()
    assert 190_000 < len(got["Message"].encode()) <= 200_000


@pytest.mark.parametrize("broken", ["GDR_TOPIC_ARN", "GDR_ESCALATION_TOPIC_ARN"])
def test_one_broken_topic_does_not_silence_the_other(
    deployment: Deployment,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    monkeypatch.setenv(broken, "arn:aws:sns:eu-central-1:111111111111:deleted")
    assert not tell(record, "FAILED", META, escalate=True).sent
    assert sorted(notified(deployment)) == [[], ["FAILED"]]
    assert deployment.timeline("inc-1") == ["message waits"]


def test_one_topic_for_both_is_told_once(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDR_ESCALATION_TOPIC_ARN", os.environ["GDR_TOPIC_ARN"])
    tell(record, "FAILED", META, escalate=True)
    assert notified(deployment) == (["FAILED"], [])


# -- samples ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["started", "notice", "problem", *map(str, Status)])
def test_every_message_about_a_sample_says_so_and_escalates_nothing(
    deployment: Deployment, record: IncidentRepository, event: str
) -> None:
    sample: Any = {**META, "status": "DRY_RUN", "sample": True}
    tell(record, event, sample, [TARGET], escalate=True)
    [message] = deployment.messages()
    assert deployment.messages("escalations") == []
    assert message["Subject"].startswith("[SAMPLE ")
    first, second = message["Message"].splitlines()[:2]
    assert first == "Sample finding. Nothing was attacked, and nobody has to act at once."
    assert "must act" not in second
    assert message["MessageAttributes"]["sample"]["Value"] == "true"
