"""A program undoes a containment each time: containing goes on, people hear of it in few messages
that name the actor, and once that the response cannot win by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from guardduty_response.incident.model import ChangeEvent, ContainmentLoss
from guardduty_response.incident.moments import iso
from guardduty_response.monitoring import fights

from tests.unit.checks import counts
from tests.unit.function_calls import kinds
from tests.unit.incident.outbox.outbox_lab import at_minute
from tests.unit.monitoring.contained_incident import OPEN, TAGGED, Case
from tests.unit.monitoring.watchdog_events import change_event, started_checks

Json = dict[str, Any]
GITOPS = "arn:aws:sts::222222222222:assumed-role/gitops"
SAID = f"Another controller wins each time: {GITOPS} undid the last 6 containments"


def undo(case: Case, number: int) -> Json:
    """Undoes the containment in a session of its own, of which CloudTrail tells."""
    case.see(OPEN, TAGGED)
    event = change_event("gitops", {"networkInterfaceId": "eni-1"}, eventID=f"ev-{number}")
    event["detail"]["userIdentity"]["arn"] = f"{GITOPS}/run-{number}"
    event["detail"]["eventTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    case.fake.find_actors = lambda *given: [given[4]]  # type: ignore[attr-defined]
    with at_minute(number * 3):
        return dict(case.change(event))


@pytest.mark.parametrize("times", [8, pytest.param(20, marks=pytest.mark.proof)])
def test_a_fight_is_contained_each_time_and_told_in_few_messages(case: Case, times: int) -> None:
    """Before: 20 containments, 40 messages, 20 pages, and no word of who wins."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        for number in range(times):
            clock.shift(180)
            assert undo(case, number) == counts(lost=1)
            assert (case.meta["status"], case.contained()) == ("CONTAINED", number + 2)
    assert len(started_checks(case.deployment)) == times
    messages, paged = case.deployment.messages(), case.deployment.messages("escalations")
    assert kinds(messages) == ["BREACHED", "CONTAINED"] * 2 + ["BREACHED", "problem"]
    assert kinds(paged) == ["BREACHED"] * 3 + ["problem"]
    assert f"Recurring actor: {GITOPS} undid the containment 3 times" in paged[2]["Message"]
    assert SAID in paged[3]["Message"]
    assert "a person must stop the controller" in paged[3]["Message"]
    assert "deny it ModifyNetworkInterfaceAttribute there" in paged[3]["Message"]
    timeline = case.deployment.timeline(case.incident_id)
    assert (timeline.count("cannot hold"), timeline.count("verdict BREACHED")) == (1, times)


def change_by(actor: str) -> ChangeEvent:
    return {"who": actor, "what": "X", "when": "", "from": "", "agent": "", "event_id": ""}


def losses(*gaps: float, actor: str = f"{GITOPS}/a", last: str = "") -> list[ContainmentLoss]:
    """Returns losses; ``gaps``: the minutes between containing and the next loss."""
    at = datetime.now(UTC) - timedelta(hours=12)
    found: list[ContainmentLoss] = []
    for gap in (0.0, *gaps):
        at += timedelta(minutes=gap)
        ended = at + timedelta(seconds=30)
        found.append({"at": iso(at), "ended": iso(ended), "by": [change_by(actor)]})
        at = ended
    found[-1]["by"] = [change_by(last or actor)]
    del found[-1]["ended"]
    return found


@pytest.mark.parametrize(
    ("history", "actor"),
    [
        (losses(*[3] * 6), GITOPS),
        (losses(*[14.9] * 6), GITOPS),
        (losses(600, *[3] * 6), GITOPS),
        (losses(*[3] * 6, actor="arn:aws:iam::222222222222:user/bob"), "user/bob"),
        (losses(*[3] * 5), ""),
        (losses(*[3] * 5, 15.1), ""),
        (losses(*[3] * 6, last="arn:aws:iam::222222222222:user/bob"), ""),
        (losses(*[3] * 6, actor=""), ""),
        ([], ""),
    ],
)
def test_who_wins_each_time(history: list[ContainmentLoss], actor: str) -> None:
    assert fights.controller(history).endswith(actor or "")
    assert bool(fights.controller(history)) == bool(actor)


def test_a_loss_that_never_ended_is_no_containment_that_was_undone() -> None:
    history = losses(*[3] * 6)
    del history[3]["ended"]
    assert fights.controller(history) == ""


def test_the_recurring_actor_is_named_over_a_day() -> None:
    history = losses(*[60] * 3)
    assert fights.recurring_actors(history) == [(GITOPS, 4)]
    assert fights.recurring_actors(history, hours=1) == []
    assert fights.recurring_actors(losses()) == [], "once is no recurrence"
