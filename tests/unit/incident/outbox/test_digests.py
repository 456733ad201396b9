"""Tests what a digest says, how large it is, and that what SNS refuses keeps nothing else back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.incident.model import MessageRecord
from guardduty_response.incident.outbox import digest, pace, sender
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment
from tests.unit.function_calls import OUTBOX, notified, watch
from tests.unit.incident.outbox.outbox_lab import at_minute, burst, messages, write
from tests.unit.publishing import down, publishing

LIMIT = pace.MESSAGES_A_MINUTE
# Amazon SNS API reference, Publish: 256 KiB, attributes included.
SNS_BYTES = 262_144
_SAMPLE = {"sample": True}


def _message(number: int) -> MessageRecord:
    """A message as large as they get, about an account of its own."""
    texts = {
        "event": "CONTAINED",
        "status": "CONTAINED",
        "finding_type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        "account_id": f"{number:012d}",
        "incident_id": f"inc-{number:016x}",
        "sample": "false",
    }
    attributes: Any = {
        name: {"DataType": "String", "StringValue": text} for name, text in texts.items()
    }
    attributes["severity"] = {"DataType": "Number", "StringValue": "8"}
    return {
        "incident_id": texts["incident_id"],
        "event": "CONTAINED",
        "status": "CONTAINED",
        "subject": "s" * 20,
        "attributes": attributes,
        "written_at": f"{number:08d}",
    }


def test_a_digest_and_its_attributes_fit_into_a_message() -> None:
    records = [_message(number) for number in range(4_000)]
    digests = digest.compose(records)
    for inside, text in digests:
        attributes = digest.attributes_of(inside)
        size = len(text.body.encode()) + sum(
            len(name) + len(attribute["DataType"]) + len(attribute["StringValue"].encode())
            for name, attribute in attributes.items()
        )
        assert size < SNS_BYTES
        assert json.loads(attributes["incident_id"]["StringValue"])
    assert sum(len(inside) for inside, _ in digests) == len(records)


def test_a_sample_among_others_is_called_one_and_asks_nothing_of_people(
    deployment: Deployment, record: IncidentRepository
) -> None:
    with at_minute(0):
        burst(record, LIMIT + 1)
        write(record, "FAILED", 90, meta=_SAMPLE)
        write(record, "FAILED", 91)
        notified(deployment)
    with at_minute(1):
        watch(OUTBOX)
    [found] = deployment.messages()
    counts = "1 FAILED, 1 CONTAINED, 1 sample FAILED"
    assert found["Subject"] == f"[DIGEST] 3 messages about 3 incidents: {counts}"
    body = found["Message"]
    places = ["A person is needed", "inc-91", "For your information", "Samples, of", "inc-90"]
    assert sorted(places, key=body.index) == places


def test_a_sample_whose_text_is_lost_is_called_one(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(before=down):
        write(record, "FAILED", 1, meta=_SAMPLE)

    def lost(*_: Any) -> str:
        raise OSError("no answer")

    monkeypatch.setattr(sender, "body_of", lost)
    watch(OUTBOX)
    [found] = deployment.messages()
    assert found["Message"].startswith("Sample finding. The text of this message could not be read")


def test_a_refused_digest_keeps_no_other_back(
    deployment: Deployment, record: IncidentRepository
) -> None:
    """What was refused goes out apart, and last."""

    def refuse(request: Any) -> None:
        if "poison" in request["Message"] or "inc-1 " in request["Message"]:
            error: Any = {"Error": {"Code": "InvalidParameter", "Message": "no"}}
            raise ClientError(error, "Publish")

    with publishing(before=down):
        write(record, "FAILED", 1, note="poison")
    with publishing(before=refuse):
        with at_minute(1):
            watch(OUTBOX)
        with at_minute(3):
            burst(record, LIMIT + 3, first=10)
        with at_minute(4):
            assert watch(OUTBOX)["waiting"] == 1
    for number in range(10, LIMIT + 13):
        assert messages(deployment, number)[0]["sent_at"]
    with at_minute(6):
        assert watch(OUTBOX)["waiting"] == 0


def test_a_claim_that_fails_keeps_no_other_back(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(before=down):
        burst(record, LIMIT + 3)
    claim = sender.claim

    def throttled(table: Any, message: Any) -> Any:
        if message["incident_id"] == "inc-2":
            raise OSError("no answer")
        return claim(table, message)

    with monkeypatch.context() as patch, at_minute(5):
        patch.setattr(sender, "claim", throttled)
        assert watch(OUTBOX)["waiting"] == 1
    with at_minute(8):
        assert watch(OUTBOX)["waiting"] == 0


def test_the_end_of_a_minute_lets_no_more_through(
    deployment: Deployment, record: IncidentRepository
) -> None:
    """Amazon SNS: more than ten e-mails a second suspend a subscription."""
    for minute in (0, 1):
        with at_minute(minute):
            burst(record, LIMIT, first=100 * minute)
    assert len(notified(deployment)[0]) == LIMIT


def test_a_digest_that_is_refused_keeps_no_later_digest_back(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "MESSAGE_BYTES", 3_000)
    last = LIMIT + 29
    with at_minute(0):
        burst(record, last + 1)

    def refuse(request: Any) -> None:
        if f"  inc-{LIMIT}  " in request["Message"]:
            raise ClientError({"Error": {"Code": "InvalidParameter", "Message": "no"}}, "Publish")

    with at_minute(1), publishing(before=refuse):
        assert watch(OUTBOX)["publications"] >= 1
    assert messages(deployment, last)[0]["sent_at"]
    assert "sent_at" not in messages(deployment, LIMIT)[0]
