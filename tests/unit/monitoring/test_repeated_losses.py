"""Somebody undoes a containment again and again: it is contained each time, and people hear of it
in a bounded number of messages that name the actor.
"""

from __future__ import annotations

import pytest
from guardduty_response.incident.moments import from_now
from guardduty_response.incident.outbox import waiting
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import later, load_finding
from tests.unit.deployment import TABLE
from tests.unit.fake_playbook import configure
from tests.unit.function_calls import OUTBOX, kinds, notified, watch
from tests.unit.incident.outbox.outbox_lab import at_minute, write
from tests.unit.monitoring.contained_incident import BOB, OPEN, TAGGED, Case


def _undo(case: Case, number: int) -> None:
    """Undoes the containment, and lets a recheck find it."""
    case.see(OPEN, TAGGED)
    change = {**BOB, "event_id": f"ev-{number}"}
    case.fake.find_actors = lambda *_: [change]  # type: ignore[attr-defined]
    with at_minute(number * 3):
        case.check(change)


@pytest.mark.parametrize("times", [7, pytest.param(20, marks=pytest.mark.proof)])
def test_a_fight_is_bounded_in_messages_and_not_in_containing(
    case: Case, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    for number in range(times):
        _undo(case, number)
        assert (case.meta["status"], case.contained()) == ("CONTAINED", number + 2)
    messages, escalated = case.deployment.messages(), case.deployment.messages("escalations")
    # The last one says, once, that the response cannot win by itself (test_fights.py).
    assert kinds(messages) == ["BREACHED", "CONTAINED"] * 2 + ["BREACHED", "problem"]
    assert kinds(escalated) == ["BREACHED"] * 3 + ["problem"]
    assert "further losses are told of in one message an hour" in escalated[2]["Message"]
    assert "further losses" not in escalated[1]["Message"]

    monkeypatch.setattr(
        waiting,
        "now",
        lambda: from_now(7_200),
    )
    with at_minute(100):
        assert watch(OUTBOX)["waiting"] == 0
    digests, paged = case.deployment.messages(), case.deployment.messages("escalations")
    assert 1 <= len(paged) <= 2, "one an hour; the test may have begun in another"
    assert 1 <= len(digests) <= 2
    last = paged[-1]
    assert last["Subject"].startswith(f"[BREACHED] {times} times in 24 h")
    assert f"  - {BOB['who']} ({times} times)" in last["Message"]
    assert f"was lost {times} times in the last 24 hours" in last["Message"]
    assert digests[-1]["Subject"].startswith(f"[BREACHED] {times} times in 24 h, now CONTAINED:")
    timeline = case.deployment.timeline(case.incident_id)
    assert timeline.count("verdict BREACHED") == times, "the record has each loss"


def test_a_loss_that_people_must_act_on_is_never_held_back(case: Case) -> None:
    """Nothing contains it again automatically."""
    for number in range(4):
        _undo(case, number)
    notified(case.deployment)
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    _undo(case, 5)
    assert case.meta["status"] == "BREACHED"
    assert notified(case.deployment) == (["BREACHED"], ["BREACHED"])


def test_what_a_guardrail_leaves_to_people_is_told_at_once(case: Case) -> None:
    for number in range(4):
        _undo(case, number)
    notified(case.deployment)
    configure(case.deployment, **{"guardrails.exempt_accounts": ["222222222222"]})
    _undo(case, 5)
    assert case.meta["status"] == "BREACHED"
    [message] = case.deployment.messages("escalations")
    assert "exempt_accounts" in message["Message"]


def test_a_fight_in_a_burst_is_named_in_the_digest(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        _undo(case, number)
    notified(case.deployment)
    incidents = IncidentRepository(TABLE)
    with at_minute(200):
        for number in range(20):
            write(
                incidents,
                "FAILED",
                number,
                escalate=True,
            )
    notified(case.deployment)
    monkeypatch.setattr(
        waiting,
        "now",
        lambda: from_now(7_200),
    )
    with at_minute(201):
        watch(OUTBOX)
    [message] = case.deployment.messages("escalations")
    assert f"{case.incident_id}  BREACHED, BREACHED" in message["Message"]
    assert f"Changed by {BOB['who']} (2 times)" in message["Message"]


def test_a_new_finding_about_a_contested_resource_is_told_at_once(case: Case) -> None:
    """Its verdict is none of the repeated losses."""
    for number in range(4):
        _undo(case, number)
    notified(case.deployment)
    incidents = IncidentRepository(TABLE)
    incidents.move(
        case.incident_id,
        Status.CONTAINED,
        Status.FAILED,
    )
    with at_minute(300):
        case.run(later(load_finding()))
    assert case.meta["status"] == "CONTAINED"
    assert "CONTAINED" in notified(case.deployment)[0]


# -- an incident that has changed since the messages were held -------------------------------------


def _an_hour_later(monkeypatch: pytest.MonkeyPatch, minute: int) -> None:
    monkeypatch.setattr(
        waiting,
        "now",
        lambda: from_now(7_200),
    )
    with at_minute(minute):
        assert watch(OUTBOX)["waiting"] == 0


def _fight_then(case: Case, status: Status) -> None:
    for number in range(5):
        _undo(case, number)
    notified(case.deployment)
    assert IncidentRepository(TABLE).move(case.incident_id, Status.CONTAINED, status)


@pytest.mark.parametrize(
    "status",
    [
        Status.RESTORED,
        pytest.param(Status.CLOSED, marks=pytest.mark.proof),
        pytest.param(Status.FAILED, marks=pytest.mark.proof),
    ],
)
def test_what_was_held_says_the_status_of_now(
    case: Case, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    """A person restores it, or closes it, before the hour is over."""
    _fight_then(case, status)
    _an_hour_later(monkeypatch, 100)
    for topic in ("notifications", "escalations"):
        message = case.deployment.messages(topic)[-1]
        assert f"now {status}:" in message["Subject"]
        assert f"Its incident is now {status}." in message["Message"]
        assert "goes on to contain" not in message["Message"]
        assert message["MessageAttributes"]["status"]["Value"] == f'["{status}"]'


@pytest.mark.parametrize(
    "status", [Status.CONTAINMENT_LOST, pytest.param(Status.PARTIAL, marks=pytest.mark.proof)]
)
def test_what_is_still_monitored_goes_on_to_be_contained(
    case: Case, monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    _fight_then(case, status)
    _an_hour_later(monkeypatch, 100)
    message = case.deployment.messages("escalations")[-1]
    assert f"now {status}:" in message["Subject"]
    assert "goes on to contain" in message["Message"]


def test_a_digest_names_the_status_of_now_of_what_was_held(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fight_then(case, Status.RESTORED)
    incidents = IncidentRepository(TABLE)
    with at_minute(200):
        for number in range(20):
            write(
                incidents,
                "FAILED",
                number,
                escalate=True,
            )
    notified(case.deployment)
    _an_hour_later(monkeypatch, 201)
    [message] = case.deployment.messages("escalations")
    assert f"{case.incident_id}  BREACHED, BREACHED; status RESTORED" in message["Message"]


def test_a_record_that_cannot_be_read_delays_no_message_and_is_not_said_to_be_so_now(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fight_then(case, Status.RESTORED)

    def throttled(*_: object) -> None:
        raise OSError("no answer")

    monkeypatch.setattr(
        waiting,
        "_status_of",
        throttled,
    )
    _an_hour_later(monkeypatch, 100)
    message = case.deployment.messages("escalations")[-1]
    assert "now CONTAINED" not in message["Subject"] + message["Message"]
    assert "last known BREACHED:" in message["Subject"]
    assert "could not be read" in message["Message"]
