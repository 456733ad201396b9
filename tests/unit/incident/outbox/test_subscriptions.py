"""Topics are asked who is subscribed: nobody, too few, pending or unreadable is an alarm."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from guardduty_response.aws import clients
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import report
from guardduty_response.incident.moments import iso
from guardduty_response.incident.outbox import subscriptions
from guardduty_response.incident.repository import IncidentRepository

from tests.unit.deployment import Deployment
from tests.unit.function_calls import EXECUTION, OUTBOX, call, watch
from tests.unit.incident.outbox.outbox_lab import messages, write
from tests.unit.publishing import down, publishing

EMAIL = "person@example.com"


def _look(deployment: Deployment, again: bool = False) -> list[str]:
    if again:
        for topic in ("notifications", "escalations"):
            key = {"pk": {"S": f"OUTBOX#{topic}"}, "sk": {"S": "SUBSCRIPTIONS"}}
            deployment.dynamodb.delete_item(TableName="guardduty-response-incidents", Key=key)
    return list(watch(OUTBOX)["problems"])


def _stored(deployment: Deployment, topic: str = "notifications") -> dict[str, Any]:
    items = deployment.items(f"OUTBOX#{topic}")
    [found] = [item for item in items if item["sk"] == "SUBSCRIPTIONS"]
    return found


def _unsubscribe(deployment: Deployment, topic: str = "notifications") -> None:
    arn = deployment.topics[topic]
    for found in deployment.sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]:
        deployment.sns.unsubscribe(SubscriptionArn=found["SubscriptionArn"])


def _metrics(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["topic"] for line in lines if line.get("TopicsWithoutSubscribers") == 1]


def test_a_confirmed_subscription_is_enough(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (_look(deployment), _metrics(capsys)) == ([], [])
    found = _stored(deployment)
    assert (found["confirmed"], found["pending"], found["expected"]) == (1, 0, 1)


def test_nobody_is_subscribed(
    deployment: Deployment, record: IncidentRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    _unsubscribe(deployment)
    [problem] = _look(deployment)
    assert deployment.topics["notifications"] in problem
    assert "0 confirmed subscriptions where 1 are expected" in problem
    assert _metrics(capsys) == ["notifications"]
    assert _stored(deployment)["problem"] == problem
    sent = write(record, "FAILED", escalate=True)
    assert (sent.sent, sent.nobody, sent.reached) == (True, True, False)
    nobody = {message["topic"]: message["nobody"] for message in messages(deployment)}
    assert nobody == {"notifications": True, "escalations": False}
    assert deployment.timeline("inc-1") == ["published to nobody"]


def test_the_timeline_and_the_report_say_that_nobody_was_told(
    deployment: Deployment, incident: Any, record: IncidentRepository
) -> None:
    _unsubscribe(deployment)
    _look(deployment)
    incident_id = incident()
    call("announce", incident_id=incident_id, execution=EXECUTION)
    timeline = deployment.timeline(incident_id)
    assert "published to nobody" in timeline and "announced" not in timeline
    report.write(record, incident_id, evidence_store.put)
    page = deployment.evidence(incident_id)["report.html"].decode()
    assert "published to nobody: no confirmed subscription" in page
    stored = json.loads(deployment.evidence(incident_id)["record.json"])
    assert [message["nobody"] for message in stored["messages"]] == [True]


def test_a_digest_to_nobody_says_so_too(deployment: Deployment, record: IncidentRepository) -> None:
    with publishing(before=down):
        for number in range(8):
            write(record, number=number)
    _unsubscribe(deployment)
    watch(OUTBOX)
    for number in range(8):
        assert messages(deployment, number)[0]["nobody"]
        assert deployment.timeline(f"inc-{number}")[-1] == "published to nobody"


def test_a_subscription_that_waits_for_its_confirmation_is_a_problem(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending = {"SubscriptionArn": "PendingConfirmation", "Endpoint": EMAIL}
    deleted = {"SubscriptionArn": "Deleted", "Endpoint": EMAIL}
    confirmed = {"SubscriptionArn": "arn:aws:sns:x", "Endpoint": EMAIL}
    pages = {
        "": {"Subscriptions": [pending, deleted], "NextToken": "2"},
        "2": {"Subscriptions": [confirmed, confirmed]},
    }

    class Sns:
        def list_subscriptions_by_topic(self, TopicArn: str, NextToken: str = "") -> Any:
            assert TopicArn
            return pages[NextToken]

    real = clients.client
    monkeypatch.setattr(
        clients,
        "client",
        lambda name: Sns() if name == "sns" else real(name),
    )
    problems = _look(deployment)
    assert len(problems) == 2
    assert "2 confirmed subscriptions where 1 are expected" in problems[0]
    assert "1 that wait for a confirmation" in problems[0]
    found = _stored(deployment)
    assert (found["confirmed"], found["pending"]) == (2, 1)


def test_fewer_than_expected_is_a_problem(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {"notifications": 2, "escalations": 0}
    monkeypatch.setenv("GDR_EXPECTED_SUBSCRIPTIONS", json.dumps(expected))
    _unsubscribe(deployment, "escalations")
    [problem] = _look(deployment)
    assert "1 confirmed subscriptions where 2 are expected" in problem
    assert "SUBSCRIPTIONS" not in [item["sk"] for item in deployment.items("OUTBOX#escalations")]


def test_what_cannot_be_read_is_no_success(
    deployment: Deployment, record: IncidentRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    with publishing(before=down, operation="ListSubscriptionsByTopic"):
        problems = _look(deployment)
    assert len(problems) == 2
    assert "could not be read (ClientError" in problems[0] and "nobody knows" in problems[0]
    assert _metrics(capsys) == ["escalations", "notifications"]
    assert "confirmed" not in _stored(deployment)
    assert write(record).reached, "whether somebody is there is not known"


def test_a_problem_that_is_mended_is_soon_known(
    deployment: Deployment, record: IncidentRepository
) -> None:
    """Somebody confirms the subscription minutes after the first apply."""
    _unsubscribe(deployment)
    assert len(_look(deployment)) == 1
    topics, sns = deployment.topics, deployment.sns
    [other] = sns.list_subscriptions_by_topic(TopicArn=topics["escalations"])["Subscriptions"]
    queue = other["Endpoint"]
    sns.subscribe(
        TopicArn=topics["notifications"],
        Protocol="sqs",
        Endpoint=queue,
    )
    assert _look(deployment) == []
    assert write(record).reached


def test_topics_are_not_looked_at_again_before_the_interval_ends(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _look(deployment) == []
    _unsubscribe(deployment)
    assert _look(deployment) == []
    monkeypatch.setattr(subscriptions, "LOOK_SECONDS", 0)
    assert len(_look(deployment)) == 1
    assert len(_look(deployment, again=True)) == 1


def test_a_topic_that_is_not_looked_at_any_more_is_not_known_to_reach_nobody(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    _unsubscribe(deployment)
    assert _look(deployment)
    counts = {"notifications": 0, "escalations": 1}
    monkeypatch.setenv("GDR_EXPECTED_SUBSCRIPTIONS", json.dumps(counts))
    assert _look(deployment) == []
    assert not write(record).nobody


def test_that_nobody_could_look_is_alarmed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GDR_EXPECTED_SUBSCRIPTIONS", "{")
    watch(OUTBOX)
    assert _metrics(capsys) == ["unknown"]


# -- whether anybody is subscribed is not known ----------------------------------------------------


def _not_looked_at(_: Deployment) -> None:
    """The watchdog has not run yet."""


def _unreadable(deployment: Deployment) -> None:
    with publishing(before=down, operation="ListSubscriptionsByTopic"):
        _look(deployment)


def _seen_long_ago(deployment: Deployment) -> None:
    """The watchdog has not run for hours."""
    _look(deployment)
    for topic in ("notifications", "escalations"):
        seen = _stored(deployment, topic)
        before = datetime.fromisoformat(seen["checked_at"]) - timedelta(hours=2)
        key = {"pk": {"S": f"OUTBOX#{topic}"}, "sk": {"S": "SUBSCRIPTIONS"}}
        deployment.dynamodb.update_item(
            TableName="guardduty-response-incidents",
            Key=key,
            UpdateExpression="SET checked_at = :before",
            ExpressionAttributeValues={":before": {"S": iso(before)}},
        )


@pytest.mark.parametrize("prepare", [_not_looked_at, _unreadable, _seen_long_ago])
def test_what_is_not_known_of_the_subscribers_is_not_said_to_have_reached_people(
    deployment: Deployment,
    incident: Any,
    record: IncidentRepository,
    prepare: Callable[[Deployment], None],
) -> None:
    prepare(deployment)
    incident_id = incident()
    call("announce", incident_id=incident_id, execution=EXECUTION)
    [announced] = [event for event in record.read(incident_id)[2] if event["event"] == "announced"]
    assert announced["detail"].endswith("whether anybody is subscribed is not known")
    report.write(record, incident_id, evidence_store.put)
    page = deployment.evidence(incident_id)["report.html"].decode()
    assert "taken by Amazon SNS: whether anybody is subscribed was not known" in page
    assert "published to nobody" not in page
    stored = json.loads(deployment.evidence(incident_id)["record.json"])
    assert [message["subscribers"] for message in stored["messages"]] == ["unknown"]


def test_what_is_known_of_the_subscribers_is_recorded(
    deployment: Deployment, record: IncidentRepository
) -> None:
    assert _look(deployment) == []
    assert write(record).doubt == ""
    assert [message["subscribers"] for message in messages(deployment)] == ["some"]
    with publishing(before=down):
        write(record, number=2)
    watch(OUTBOX)
    assert [message["subscribers"] for message in messages(deployment, 2)] == ["some"]
