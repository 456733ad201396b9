"""Several incidents of a resource, and several resources of an incident: what each is told."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.errors import ResponseError
from guardduty_response.incident import shared_settings
from guardduty_response.incident.statuses import Status

from tests.unit.fake_playbook import ARN, configure
from tests.unit.function_calls import call, notified
from tests.unit.functions.respond_steps import run_step
from tests.unit.functions.shared_world import World, ask, watched

Json = dict[str, Any]


def two_findings(world: World) -> tuple[str, str]:
    """Contains i-1 and i-2 for a first incident, and i-1 for a second one."""
    return world.contain(
        "a",
        "i-1",
        "i-2",
    ), world.contain("b", "i-1")


# -- restoring what several incidents share --------------------------------------------------------


def test_a_second_finding_joins_the_containment(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    [mine], [other] = world.deployment.targets(first), world.deployment.targets(second)
    assert mine["generation"] == other["generation"] == 1
    assert other["opened_by"] == first
    assert [world.status(id) for id in (first, second)] == ["CONTAINED", "CONTAINED"]


@pytest.mark.parametrize("answer", [Status.RESTORED, Status.RESTORE_PARTIAL])
def test_a_restore_is_told_to_every_incident_of_the_containment(
    world: World, answer: Status
) -> None:
    first, second, third = (world.contain(name) for name in "abc")
    world.answers = {"i-1": answer}
    assert ask(second)["status"] == answer
    assert world.done.count(("restore", "i-1")) == 1
    assert [world.status(id) for id in (first, second, third)] == [answer] * 3
    messages = world.deployment.messages()
    named = {
        id for id in (first, second, third) for message in messages if id in message["Message"]
    }
    assert (len(messages), named) == (3, {first, second, third})
    for other in (first, third):
        assert "containment changed" in world.deployment.timeline(other)
    assert sum(f"for incident {second}." in message["Message"] for message in messages) == 2
    escalated = world.deployment.messages("escalations")
    assert len(escalated) == (3 if answer is Status.RESTORE_PARTIAL else 0)


def test_an_incident_that_shares_nothing_is_told_nothing(world: World) -> None:
    first, other = world.contain("a"), world.contain("b", "i-2")
    ask(first)
    assert (world.status(first), world.status(other)) == ("RESTORED", "CONTAINED")
    assert "containment changed" not in world.deployment.timeline(other)


def test_what_was_restored_a_moment_ago_is_contained_when_that_is_seen_everywhere(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM may still show our own denial, which must not become the state before."""
    ask(world.contain("first"))
    incident_id, targets = world.open("second")
    world.done.clear()
    event: Json = {"execution": world.execution("second"), "targets": targets}
    answer = run_step(
        "contain",
        incident_id,
        **event,
        attempt=1,
    )
    assert (answer["done"], answer["again"], world.done) == (False, "contain", [])
    assert 0 < answer["wait_seconds"] <= shared_settings.SPREAD_SECONDS
    assert run_step(
        "contain",
        incident_id,
        **event,
        attempt=2,
    )["done"]
    assert world.done == [("contain", "i-1")]


def test_a_restore_of_long_ago_delays_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(world.contain("first"))
    monkeypatch.setattr("guardduty_response.functions.contain_step.SPREAD_SECONDS", 0)
    incident_id, targets = world.open("second")
    event: Json = {"execution": world.execution("second"), "targets": targets}
    assert run_step(
        "contain",
        incident_id,
        **event,
        attempt=1,
    )["done"]


def test_a_resource_that_is_gone_is_gone_for_every_incident_about_it(world: World) -> None:
    """A recheck of one of them found out: plan names no target, so no verdict tells the others."""
    first, second = world.contain("first"), world.contain("second")
    elsewhere = world.contain("elsewhere", "i-2")
    event = {"incident_id": second, "execution": world.execution("recheck")}
    call(
        "close",
        decision="gone",
        error="i-1 no longer exists",
        **event,
    )
    assert [world.status(name) for name in (first, second)] == ["GONE", "GONE"]
    assert world.status(elsewhere) == "CONTAINED"
    assert "containment changed" in world.deployment.timeline(first)
    [started] = watched(world)
    assert started.startswith(f"watch-{elsewhere}-"), "nothing else is left to be read"


def test_a_closed_incident_is_left_in_peace(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    ask(first, close=True)
    notified(world.deployment)
    ask(second)
    assert (world.status(first), world.status(second)) == ("CLOSED", "RESTORED")
    assert len(world.deployment.messages()) == 1


def test_an_incident_that_is_restored_already_gives_nothing_back_twice(world: World) -> None:
    first, second = world.contain("a"), world.contain("b")
    ask(first)
    world.done.clear()
    assert ask(second)["status"] == "RESTORED"
    assert world.done == []


# -- closing ---------------------------------------------------------------------------------------


def test_what_another_incident_is_about_stays_watched_when_the_first_is_closed(
    world: World,
) -> None:
    first, second = world.contain("a"), world.contain("b")
    answer = ask(first, close=True)
    assert (answer["status"], answer["refused"]) == ("CLOSED", "")
    [message] = world.deployment.messages()
    assert f"what is contained is watched for {second}" in message["Message"]
    assert world.status(second) == "CONTAINED"
    links = world.record.containments.read(ARN, 1).open_links
    assert [link["incident_id"] for link in links] == [second]
    assert [item["incident_id"] for item in world.record.watched()] == [second]
    [recheck] = watched(world)
    assert recheck.startswith(f"watch-{second}-")


def test_the_incident_that_may_contain_again_by_itself_answers_for_the_others(
    world: World,
) -> None:
    """The latest incident has to ask: its recheck would leave to people what the first repairs."""
    first, second = world.contain("a"), world.contain("b")
    world.record.note(second, mode="approve")
    [recheck] = watched(world)
    assert recheck.startswith(f"watch-{first}-")


@pytest.mark.parametrize("event", [{}, {"keep_contained": "yes"}, {"reason": "rebuilt"}])
def test_the_last_incident_needs_a_reason_to_leave_a_resource_contained(
    world: World, event: Json
) -> None:
    first, second = world.contain("a"), world.contain("b")
    ask(first, close=True)
    answer = ask(second, close=True, **event)
    assert "no other incident watches what it contained" in answer["refused"]
    assert world.status(second) == "CONTAINED"
    links = world.record.containments.read(ARN, 1).open_links
    assert [link["incident_id"] for link in links] == [second], "it is watched on"
    answer = ask(
        second,
        close=True,
        keep_contained=True,
        reason="rebuilt tomorrow",
    )
    assert answer["status"] == "CLOSED"
    assert world.record.containments.read(ARN, 1).open_links == []
    assert watched(world) == []


def test_keeping_contained_needs_a_reason(world: World) -> None:
    incident_id = world.contain("a")
    with pytest.raises(Exception, match="keep_contained needs a reason"):
        ask(incident_id, close=True, keep_contained=True)
    assert world.status(incident_id) == "CONTAINED"


def test_each_target_needs_another_incident_to_watch_it(world: World) -> None:
    both, second = two_findings(world)
    assert "no other incident" in ask(both, close=True)["refused"], "i-2 has no other"
    assert (world.status(both), world.status(second)) == ("CONTAINED", "CONTAINED")


def test_after_the_last_one_is_restored_closing_needs_no_reason(world: World) -> None:
    incident_id = world.contain("a")
    ask(incident_id)
    assert ask(incident_id, close=True)["status"] == "CLOSED"


# -- two targets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (Status.CONTAINED, Status.CONTAINED, "CONTAINED"),
        (Status.CONTAINED, Status.PARTIAL, "PARTIAL"),
        (Status.CONTAINED, Status.FAILED, "FAILED"),
        (Status.PARTIAL, Status.FAILED, "FAILED"),
        (Status.CONTAINED, Status.GONE, "CONTAINED"),
        (Status.GONE, Status.GONE, "GONE"),
        (Status.GONE, Status.FAILED, "FAILED"),
    ],
)
def test_an_incident_is_as_bad_as_the_worst_of_its_targets(
    world: World, first: Status, second: Status, together: str
) -> None:
    for name, pair in (("a", (first, second)), ("b", (second, first))):
        ids = (f"i-{name}1", f"i-{name}2")
        world.verdicts |= dict(
            zip(
                ids,
                pair,
                strict=True,
            )
        )
        assert world.status(world.contain(name, *ids)) == together


def test_a_target_that_the_gate_refused_forbids_contained(world: World) -> None:
    world.verdicts = {"i-1": Status.FAILED}
    incident_id, targets = world.open("a", "i-1", "i-2")
    configure(
        world.deployment,
        **{"guardrails.circuit_breaker": None, "guardrails.exempt_resources": ["*:instance/i-1"]},
    )
    world.act("a", incident_id, targets)
    assert world.done == [("contain", "i-2")]
    assert world.status(incident_id) == "FAILED"


def test_a_restore_of_the_other_incident_leaves_the_second_target_contained(world: World) -> None:
    both, second = two_findings(world)
    ask(second)
    assert (world.status(second), world.status(both)) == ("RESTORED", "RESTORE_PARTIAL")
    statuses = [target["status"] for target in world.deployment.targets(both)]
    assert statuses == ["RESTORED", "CONTAINED"]


def test_the_verdict_for_one_incident_is_every_incidents(world: World) -> None:
    """A loss that the verification for a new finding sees, and its end."""
    first, second = world.contain("a"), world.contain("b")
    world.verdicts = {"i-1": Status.PARTIAL}
    third = world.contain("c")
    statuses = [world.status(incident_id) for incident_id in (first, second, third)]
    assert statuses == ["BREACHED", "BREACHED", "PARTIAL"]
    assert world.deployment.timeline(first)[-1] == "containment changed"
    world.verdicts = {}
    world.contain("d")
    for incident_id in (first, second, third):
        assert world.status(incident_id) == "CONTAINED"


@pytest.mark.parametrize(
    "request_",
    [{"close": "true"}, {"close": 1}, {"close": None}, {"closed": True}, {"Close": True}],
)
def test_what_means_to_close_never_restores(world: World, request_: Json) -> None:
    """Restoring is what is done where nothing else is asked for."""
    incident_id = world.contain("a")
    with pytest.raises(ResponseError, match="nothing was changed"):
        ask(incident_id, **request_)
    assert world.status(incident_id) == "CONTAINED"
    assert ("restore", "i-1") not in world.done
