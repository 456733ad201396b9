"""Messages are written first, then sent: once, whoever repeats what, and never lost."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.incident.moments import from_now
from guardduty_response.incident.outbox import sender, waiting
from guardduty_response.incident.outbox.sender import Sent
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment
from tests.unit.function_calls import OUTBOX, notified, watch
from tests.unit.incident.outbox.outbox_lab import messages, write
from tests.unit.publishing import SenderDied, down, publishing


def test_a_message_is_recorded_as_sent(deployment: Deployment, record: IncidentRepository) -> None:
    assert write(
        record,
        "FAILED",
        escalate=True,
    ) == Sent(new=True, sent=True, unknown=True)
    assert notified(deployment) == (["FAILED"], ["FAILED"])
    found = messages(deployment)
    assert sorted(message["topic"] for message in found) == ["escalations", "notifications"]
    for message in found:
        assert message["sent_at"] >= message["written_at"]
        assert message["message_id"] and message["tries"] == 1
        assert not {"outbox", "sending_until"} & set(message), "nothing waits"


def test_for_the_same_reason_nobody_is_told_twice(
    deployment: Deployment, record: IncidentRepository
) -> None:
    assert write(
        record,
        escalate=True,
        entry=("verdict", "closed"),
    ).new
    assert not write(
        record,
        escalate=True,
        entry=("verdict", "closed"),
    ).new
    assert notified(deployment) == (["CONTAINED"], ["CONTAINED"])
    assert deployment.timeline("inc-1") == ["verdict"], "the timeline says it once, too"


@pytest.mark.parametrize("threads", [2, 8])
def test_of_two_that_write_at_once_a_single_message_goes_out(
    deployment: Deployment, record: IncidentRepository, atomic: None, threads: int
) -> None:
    written: list[bool] = []
    workers = [
        threading.Thread(target=lambda: written.append(write(record).new)) for _ in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(written) == [False] * (threads - 1) + [True]
    assert notified(deployment) == (["CONTAINED"], [])


def test_while_the_topic_is_down_messages_wait_and_go_out_once_in_order(
    deployment: Deployment, record: IncidentRepository
) -> None:
    events = ["started", "CONTAINED", "BREACHED", "CONTAINED", "closing"]
    with publishing(before=down):
        for number, event in enumerate(events):
            sent = write(
                record,
                event,
                meta={"mode": str(number)},
                note=str(number),
                target="",
            )
            assert sent == Sent(new=number != 3), "the second CONTAINED has the same reason"
        assert watch(OUTBOX) == {
            "sent": 0,
            "publications": 0,
            "waiting": 4,
            "problems": [],
        }
    assert notified(deployment) == ([], [])
    assert {message["error"] for message in messages(deployment)} != {""}
    assert deployment.timeline("inc-1") == ["message waits"] * 4
    assert watch(OUTBOX) == {
        "sent": 4,
        "publications": 4,
        "waiting": 0,
        "problems": [],
    }
    assert notified(deployment) == (["started", "CONTAINED", "BREACHED", "closing"], [])
    assert deployment.timeline("inc-1")[4:] == ["message sent"] * 4
    assert watch(OUTBOX)["sent"] == 0
    assert notified(deployment) == ([], [])


def test_the_text_that_waited_is_the_text_that_goes_out(
    deployment: Deployment, record: IncidentRepository
) -> None:
    with publishing(before=down):
        write(
            record,
            "FAILED",
            1,
            note="see the runbook",
        )
        write(
            record,
            "FAILED",
            2,
            meta={"title": "ü" * 100_000},
        )
    watch(OUTBOX)
    short, long = sorted(deployment.messages(), key=lambda message: len(message["Message"]))
    assert "see the runbook" in short["Message"]
    assert short["Subject"].startswith("[FAILED] CryptoCurrency")
    assert short["MessageAttributes"]["incident_id"]["Value"] == "inc-1"
    assert long["Message"].count("ü") > 90_000, "larger than an item should be: it is in S3"
    assert [name for name in deployment.evidence("inc-2") if name.startswith("message-")]


def test_who_dies_after_publishing_leaves_a_claim_that_ends(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: Any) -> None:
        raise SenderDied

    with publishing(after=die), pytest.raises(SenderDied):
        write(record)
    assert notified(deployment) == (["CONTAINED"], [])
    assert watch(OUTBOX)["sent"] == 0, "somebody may still be sending"
    [message] = messages(deployment)
    assert message["sending_until"] > from_now(120), "longer than a function may run"
    monkeypatch.setattr(
        waiting,
        "now",
        lambda: from_now(sender.CLAIM_SECONDS + 1),
    )
    monkeypatch.setattr(
        sender,
        "now",
        lambda: from_now(sender.CLAIM_SECONDS + 1),
    )
    assert watch(OUTBOX)["sent"] == 1
    assert notified(deployment) == (["CONTAINED"], []), "at least once"
    assert watch(OUTBOX)["sent"] == 0


def test_a_message_that_was_sent_and_not_marked_keeps_its_claim(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> bool:
        raise ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, "UpdateItem")

    with monkeypatch.context() as broken:
        broken.setattr(
            record.table,
            "update",
            refuse,
        )
        assert write(record).sent
    assert watch(OUTBOX)["sent"] == 0
    assert notified(deployment) == (["CONTAINED"], [])


def test_two_schedules_at_once_send_each_message_once(
    deployment: Deployment, record: IncidentRepository, atomic: None
) -> None:
    with publishing(before=down):
        for number in range(5):
            write(record, number=number)
    runs = [threading.Thread(target=watch, args=(OUTBOX,)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    text = "\n".join(message["Message"] for message in deployment.messages())
    named = re.findall(r"inc-\d  |Incident  inc-\d", text)
    assert sorted(name.strip()[-5:] for name in named) == [f"inc-{number}" for number in range(5)]
    for number in range(5):
        [message] = messages(deployment, number)
        assert message["sent_at"] and "outbox" not in message


def test_what_cannot_be_paced_is_sent(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "UpdateItem")

    monkeypatch.setattr(
        record.table,
        "count",
        refuse,
    )
    assert write(record).sent
    assert notified(deployment) == (["CONTAINED"], [])


def test_an_escalation_topic_that_was_taken_away_loses_nothing(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(before=down):
        write(
            record,
            "FAILED",
            escalate=True,
        )
    monkeypatch.setenv("GDR_ESCALATION_TOPIC_ARN", deployment.topics["notifications"])
    assert watch(OUTBOX)["sent"] == 2
    assert notified(deployment) == (["FAILED", "FAILED"], [])
