"""What waits goes out: by itself where that is few, in digests where it is many."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.incident.moments import from_now
from guardduty_response.incident.outbox import digest, pace, sender, waiting
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import BUCKET, Deployment
from tests.unit.function_calls import OUTBOX, kinds, notified, watch
from tests.unit.incident.outbox.outbox_lab import at_minute, burst, messages, write
from tests.unit.publishing import down, publishing

LIMIT = pace.MESSAGES_A_MINUTE


def test_beyond_the_limit_of_a_minute_messages_go_out_in_a_digest(
    deployment: Deployment, record: IncidentRepository
) -> None:
    with at_minute(0):
        burst(record, LIMIT + 10)
    assert notified(deployment) == (["CONTAINED"] * LIMIT, [])
    with at_minute(1):
        assert watch(OUTBOX)["publications"] == 1
    [found] = deployment.messages()
    assert found["Subject"] == "[DIGEST] 10 messages about 10 incidents: 10 CONTAINED"
    for number in range(LIMIT, LIMIT + 10):
        assert f"  inc-{number}  CONTAINED; status CONTAINED" in found["Message"]
        [message] = messages(deployment, number)
        assert message["digest"] and message["sent_at"] and "outbox" not in message
    assert "TEXT#<incident>" in found["Message"]
    assert "digest" not in messages(deployment, 0)[0]


def test_a_burst_stays_in_digests_until_there_was_a_quiet_minute(
    deployment: Deployment, record: IncidentRepository
) -> None:
    with at_minute(0):
        burst(record, LIMIT + 1)
    with at_minute(1):
        write(record, "PARTIAL", 1)
        assert len(notified(deployment)[0]) == LIMIT
    with at_minute(3):
        write(record, "PARTIAL", 2)
        assert notified(deployment) == (["PARTIAL"], [])


def test_a_busy_hour_is_told_in_digests(deployment: Deployment, record: IncidentRepository) -> None:
    """What ends a burst is spread over an hour: each minute is within its limit."""
    for minute in range(0, 58, 2):
        with at_minute(minute):
            burst(record, LIMIT, first=100 * minute)
            watch(OUTBOX)
    single, digests = _counted(deployment)
    assert single == LIMIT * pace.BUSY_MINUTES
    assert 0 < digests < 20
    with at_minute(57 + pace.DIGEST_MINUTES):
        assert watch(OUTBOX)["waiting"] == 0
    with at_minute(120):
        write(record, "PARTIAL", 1)
        assert _counted(deployment)[0] == 1, "an hour later messages are single again"


def test_a_burst_that_does_not_end_makes_few_digests(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "PROMPT_DIGESTS", 3)
    minutes = 3 + 3 * pace.DIGEST_MINUTES
    for minute in range(minutes):
        with at_minute(minute):
            burst(record, LIMIT - 2, first=100 * minute)
            watch(OUTBOX)
    assert 3 < _counted(deployment)[1] <= 3 + 3
    with at_minute(minutes + pace.DIGEST_MINUTES):
        assert watch(OUTBOX)["waiting"] == 0


def test_a_digest_of_one_is_the_message_and_counts_as_a_digest(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "PROMPT_DIGESTS", 1)
    with at_minute(0):
        burst(record, LIMIT * 10 + 1)
    for minute, numbers in ((1, [901]), (3, [902])):
        with at_minute(minute):
            for number in numbers:
                write(record, "FAILED", number)
            watch(OUTBOX)
    _counted(deployment)
    with at_minute(6):
        assert watch(OUTBOX) == {
            "sent": 1,
            "publications": 1,
            "waiting": 0,
            "problems": [],
        }
    [found] = deployment.messages()
    assert found["Subject"].startswith("[FAILED]") and "inc-902" in found["Message"]
    with at_minute(8):
        write(record, "FAILED", 903)
        assert watch(OUTBOX)["waiting"] == 1


def _counted(deployment: Deployment) -> tuple[int, int]:
    """Returns how many single messages and digests the notification topic got since."""
    subjects = [message["Subject"] for message in deployment.messages()]
    digests = sum(subject.startswith("[DIGEST]") for subject in subjects)
    return len(subjects) - digests, digests


def test_the_limit_is_each_topics_own(deployment: Deployment, record: IncidentRepository) -> None:
    """A question is not delayed behind notices."""
    with at_minute(0):
        burst(record, LIMIT + 10)
        write(record, "approval", 99, escalate=True)
    assert notified(deployment) == (["CONTAINED"] * LIMIT, ["approval"])
    with at_minute(1):
        watch(OUTBOX)
    [found] = deployment.messages()
    body = found["Message"]
    assert body.index("A person is needed") < body.index("inc-99") < body.index("inc-10")


def test_a_digest_passes_the_filters_of_what_is_in_it(
    deployment: Deployment, record: IncidentRepository
) -> None:
    """A subscription to FAILED alone gets it."""
    policy = json.dumps({"status": ["FAILED"], "severity": [{"numeric": [">=", 7]}]})
    [subscription] = deployment.sns.list_subscriptions_by_topic(
        TopicArn=deployment.topics["notifications"]
    )["Subscriptions"]
    deployment.sns.set_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=policy,
    )
    with at_minute(0):
        burst(record, LIMIT + 3)
        write(record, "FAILED", 50)
    with at_minute(1):
        watch(OUTBOX)
    [found] = deployment.messages()
    attributes = {name: value["Value"] for name, value in found["MessageAttributes"].items()}
    assert json.loads(attributes["status"]) == ["CONTAINED", "FAILED"]
    assert json.loads(attributes["event"]) == ["CONTAINED", "FAILED", "digest"]
    assert attributes["severity"] == "8"


def test_a_digest_is_cut_where_the_topic_takes_no_more(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "MESSAGE_BYTES", 3_000)
    with at_minute(0):
        burst(record, LIMIT + 30)
        notified(deployment)
    with at_minute(1):
        publications = watch(OUTBOX)["publications"]
    found = deployment.messages()
    assert len(found) == publications > 1
    for number in range(LIMIT, LIMIT + 30):
        assert sum(f"  inc-{number}  " in message["Message"] for message in found) == 1
    assert max(len(message["Message"].encode()) for message in found) <= 3_000
    ids = {messages(deployment, number)[0]["digest"] for number in range(LIMIT, LIMIT + 30)}
    assert len(ids) == publications


def test_two_schedules_at_once_name_each_incident_once(
    deployment: Deployment, record: IncidentRepository, atomic: None
) -> None:
    with at_minute(0):
        burst(record, LIMIT + 12)
        notified(deployment)
    with at_minute(1):
        runs = [threading.Thread(target=watch, args=(OUTBOX,)) for _ in range(2)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    found = deployment.messages()
    for number in range(LIMIT, LIMIT + 12):
        named = [message for message in found if f"  inc-{number}  " in message["Message"]]
        assert len(named) == 1, number


def test_what_a_broken_digest_leaves_is_sent_by_the_next_run(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "MESSAGE_BYTES", 3_000)
    with at_minute(0):
        burst(record, LIMIT + 30)
        notified(deployment)
    published: list[Any] = []

    def second_fails(request: Any) -> None:
        published.append(request)
        if len(published) == 2:
            down(request)

    with at_minute(1), publishing(before=second_fails):
        first = watch(OUTBOX)
    assert first["publications"] == 1 and first["waiting"] == 30 - first["sent"]
    with at_minute(2):
        assert watch(OUTBOX)["waiting"] == 0
    found = deployment.messages()
    for number in range(LIMIT, LIMIT + 30):
        assert sum(f"  inc-{number}  " in message["Message"] for message in found) == 1


def test_a_topic_that_takes_nothing_delays_no_other(
    deployment: Deployment, record: IncidentRepository
) -> None:
    escalations = deployment.topics["escalations"]

    def broken(request: Any) -> None:
        if request["TopicArn"] == escalations:
            down(request)

    with publishing(before=down):
        for number in range(3):
            write(record, "FAILED", number, escalate=True)
    with publishing(before=broken):
        assert watch(OUTBOX) == {
            "sent": 3,
            "publications": 3,
            "waiting": 3,
            "problems": [],
        }
    assert notified(deployment) == (["FAILED"] * 3, [])
    tries = [message["tries"] for number in range(3) for message in messages(deployment, number)]
    assert sorted(tries) == [1, 1, 2, 2, 2, 2], "one try of a run shows that the topic is down"
    watch(OUTBOX)
    assert notified(deployment) == ([], ["FAILED"] * 3)


@pytest.mark.parametrize(("minutes", "alarmed"), [(9, False), (11, True)])
def test_what_waits_for_long_is_alarmed(
    deployment: Deployment,
    record: IncidentRepository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    minutes: int,
    alarmed: bool,
) -> None:
    with publishing(before=down):
        write(record)
        monkeypatch.setattr(waiting, "LATE_MINUTES", 10 - minutes)
        watch(OUTBOX)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = [line for line in lines if "_aws" in line]
    assert bool(metrics) is alarmed
    for metric in metrics:
        [definition] = metric["_aws"]["CloudWatchMetrics"]
        assert definition["Namespace"] == "GuardDutyResponse"
        [dimensions], [named] = definition["Dimensions"], definition["Metrics"]
        assert (metric[dimensions[0]], metric[named["Name"]]) == ("guardduty-response", 1)
        assert named["Name"] == "MessagesWaiting"


def test_a_held_message_waits_for_its_time(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        record,
        "BREACHED",
        1,
        held_for="i-1",
        losses=["i-1 eni-1"],
    )
    write(record, "CONTAINED", 1, held_for="i-1")
    assert watch(OUTBOX)["sent"] == 0
    assert notified(deployment) == ([], [])
    monkeypatch.setattr(
        waiting,
        "now",
        lambda: from_now(3_600),
    )
    assert watch(OUTBOX) == {
        "sent": 2,
        "publications": 1,
        "waiting": 0,
        "problems": [],
    }
    [found] = deployment.messages()
    assert kinds([found]) == ['["BREACHED", "CONTAINED", "digest"]']
    assert len({message["digest"] for message in messages(deployment)}) == 1


def test_a_text_that_somebody_changed_delays_no_message(
    deployment: Deployment, record: IncidentRepository
) -> None:
    with publishing(before=down):
        write(
            record,
            "FAILED",
            1,
            meta={"title": "x" * 100_000},
        )
        write(record, "FAILED", 2)
    [name] = [name for name in deployment.evidence("inc-1") if name.startswith("message-")]
    deployment.s3.put_object(
        Bucket=BUCKET,
        Key=f"incidents/inc-1/{name}",
        Body=b"forged",
    )
    assert watch(OUTBOX)["sent"] == 2
    forged, good = deployment.messages()
    assert "could not be read (ResponseError" in forged["Message"] and "inc-1" in forged["Message"]
    assert good["Message"].startswith("NOT contained")


def test_a_topic_whose_messages_cannot_be_claimed_delays_no_other(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(before=down):
        write(record, "FAILED", escalate=True)
    claim = sender.claim

    def refuse(table: Any, message: Any) -> Any:
        if message["topic"] == "escalations":
            raise OSError("no answer")
        return claim(table, message)

    with monkeypatch.context() as broken:
        broken.setattr(sender, "claim", refuse)
        assert watch(OUTBOX)["sent"] == 1
    assert notified(deployment) == (["FAILED"], [])
    watch(OUTBOX)
    assert notified(deployment) == ([], ["FAILED"])


@pytest.mark.parametrize("code", ["InvalidParameter", "ValidationException"])
def test_a_message_that_is_refused_for_its_content_delays_no_other(
    deployment: Deployment, record: IncidentRepository, code: str
) -> None:
    def refuse(request: Any) -> None:
        if "poison" in request["Message"]:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "Publish")

    with publishing(before=down):
        write(record, "FAILED", 1, note="poison")
        write(record, "FAILED", 2)
    with publishing(before=refuse):
        with at_minute(1):
            assert watch(OUTBOX)["sent"] == 1
        with at_minute(2):
            assert watch(OUTBOX)["waiting"] == 0
    whole, lines = deployment.messages()
    assert "inc-2" in whole["Message"] and whole["Subject"].startswith("[FAILED]")
    assert "  inc-1  FAILED; status FAILED" in lines["Message"]
