"""Several incidents of a resource, and several resources of an incident: what each is told."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from guardduty_response.containment.contract import Context, RestoreResult, StepResult, Target
from guardduty_response.functions import eradicate, reconcile, respond, restore, terminate
from guardduty_response.incident import shared_settings
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, notified

Json = dict[str, Any]


class World:
    """Sends findings about i-1 and others through the functions, and keeps what the steps did."""

    def __init__(self, deployment: Deployment, fake: FakePlaybook) -> None:
        self.deployment, self.fake = deployment, fake
        self.record = IncidentRepository("guardduty-response-incidents")
        self.done: list[tuple[str, str]] = []
        self.verdicts: dict[str, Status] = {}
        self.answers: dict[str, Status] = {}

    def step(self, name: str) -> Callable[[Context, Target], StepResult]:
        def run(context: Context, target: Target) -> StepResult:
            assert context.gate
            context.gate.permit()
            if name == "contain":
                context.gate.write_before("network", {"eni-1": ["sg-web"]})
            self.done.append((name, target.id))
            return StepResult(detail="done")

        return run

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Any]]:
        status = self.verdicts.get(target.id, Status.CONTAINED)
        return StepResult(status=status, detail=f"{target.id} is {status}"), []

    def restore(self, context: Context, target: Target) -> RestoreResult:
        assert context.gate
        context.gate.permit()
        self.done.append(("restore", target.id))
        status = self.answers.get(target.id, Status.RESTORED)
        left = [] if status is Status.RESTORED else ["profile"]
        return RestoreResult(status, ["network"], left, ["eni-1 is back"], left, [])

    def open(self, name: str, *ids: str) -> tuple[str, list[Json]]:
        """Opens an incident and plans it; returns its ID and its targets."""
        self.fake.ids = list(ids or ("i-1",))
        event = load_finding()
        event["detail"]["id"] = name
        execution = self.execution(name)
        incident_id = str(call("open", event=event, execution=execution)["incident_id"])
        self.record.note(incident_id, playbook="fake")
        planned = respond.handler(
            {"verb": "plan", "incident_id": incident_id, "execution": execution}
        )
        return incident_id, planned["targets"]

    def execution(self, name: str) -> str:
        return f"{EXECUTION}-{name}"

    def contain(self, name: str, *ids: str) -> str:
        """Contains as the machine does, to the verdict, and gives the lease back."""
        incident_id, targets = self.open(name, *ids)
        self.act(name, incident_id, targets)
        for target in targets:
            self.record.leases.release(target["arn"], self.execution(name))
        notified(self.deployment)
        return incident_id

    def act(self, name: str, incident_id: str, targets: list[Json]) -> None:
        event: Json = {"incident_id": incident_id, "execution": self.execution(name)}
        respond.handler({**event, "verb": "contain", "targets": targets, "attempt": 99})
        call("verdict", targets=targets, error="", **event)

    def status(self, incident_id: str) -> str:
        return str(self.deployment.meta(incident_id)["status"])

    def pause(self) -> None:
        item = {"pk": "CONTROL", "sk": "OPERATOR", "paused": True, "by": "ada", "reason": "drill"}
        self.record.table.put(item)


def ask(incident_id: str, **event: Any) -> Json:
    return restore.handler({"incident_id": incident_id, "requested_by": "ada", **event})


@pytest.fixture
def world(deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch) -> World:
    made, module = World(deployment, fake), ModuleType("of the fake playbook")
    module.restore = made.restore  # type: ignore[attr-defined]
    module.eradicate = made.step("remediate")  # type: ignore[attr-defined]
    module.terminate = made.step("terminate")  # type: ignore[attr-defined]
    for name in (".restore", ".eradicate", ".terminate"):
        monkeypatch.setitem(sys.modules, f"{fake.__name__}{name}", module)
    for name in ("contain", "finish"):
        setattr(fake, name, made.step(name))
    fake.verify = made.verify  # type: ignore[method-assign]
    configure(
        deployment,
        active_playbooks=["ec2_instance", "fake"],
        **{"guardrails.circuit_breaker": None},
    )
    return made


# -- what changed since the decision ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "handler"),
    [
        ("terminate", terminate.handler),
        ("finish", respond.handler),
        ("remediate", eradicate.handler),
    ],
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: world.pause(), "paused by ada (drill)"),
        (
            lambda world: configure(world.deployment, **{"guardrails.exempt_resources": ["i-1"]}),
            "i-1 is exempt",
        ),
        (lambda world: configure(world.deployment, remediations={"*": "off"}), "policy says off"),
        (lambda world: ask(world.deployment.incidents()[0]["incident_id"]), "newer|restored"),
    ],
)
def test_what_changed_after_the_verdict_stops_the_late_steps(
    world: World, step: str, handler: Any, change: Any, said: str
) -> None:
    incident_id = world.contain("a")
    event = {"verb": step, "incident_id": incident_id, "execution": world.execution("a")}
    change(world)
    world.done.clear()
    assert handler(event)["done"]
    assert world.done == []
    [target] = world.deployment.targets(incident_id)
    logged = target["actions"][step]
    assert logged["status"] == "FAILED"
    assert any(part in logged["detail"] for part in said.split("|")), logged["detail"]


@pytest.mark.parametrize("step", ["terminate", "finish", "remediate"])
def test_without_such_a_change_they_run(world: World, step: str) -> None:
    handlers: Json = {"terminate": terminate, "finish": respond, "remediate": eradicate}
    incident_id = world.contain("a")
    world.done.clear()
    handlers[step].handler(
        {"verb": step, "incident_id": incident_id, "execution": world.execution("a")}
    )
    assert world.done == [(step, "i-1")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guardrails.exempt_resources": ["i-1"]}, "i-1 is exempt"),
        ({"guardrails.exempt_accounts": ["222222222222"]}, "account 222222222222 is exempt"),
        ({"guardrails.exempt_principals": ["*role/web"]}, "role/web on i-1 is exempt"),
        ({"remediations": {"*": "approve"}}, "a person has to approve it"),
        ({"paused": True}, "paused = true"),
    ],
)
def test_what_is_exempted_between_plan_and_contain_is_left_alone_and_said(
    world: World, changes: Json, said: str
) -> None:
    world.fake.principals = ["arn:aws:iam::222222222222:role/web"]
    world.verdicts = {"i-1": Status.FAILED}
    incident_id, targets = world.open("a")
    configure(world.deployment, **changes)
    world.act("a", incident_id, targets)
    assert world.done == []
    [target] = world.deployment.targets(incident_id)
    assert target["actions"]["gate"]["status"] == "FAILED"
    for text in (target["actions"]["gate"]["detail"], target["verdict"]):
        assert said in text
    assert world.status(incident_id) == "FAILED"
    assert "not contained" in world.deployment.timeline(incident_id)
    [message] = world.deployment.messages("escalations")
    assert said in message["Message"]


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
    event: Json = {"incident_id": incident_id, "execution": world.execution("second")}
    event |= {"verb": "contain", "targets": targets}
    answer = respond.handler({**event, "attempt": 1})
    assert (answer["done"], answer["again"], world.done) == (False, "contain", [])
    assert 0 < answer["wait_seconds"] <= shared_settings.SPREAD_SECONDS
    assert respond.handler({**event, "attempt": 2})["done"]
    assert world.done == [("contain", "i-1")]


def test_a_restore_of_long_ago_delays_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(world.contain("first"))
    monkeypatch.setattr("guardduty_response.functions.respond.SPREAD_SECONDS", 0)
    incident_id, targets = world.open("second")
    event: Json = {"incident_id": incident_id, "execution": world.execution("second")}
    assert respond.handler({**event, "verb": "contain", "targets": targets, "attempt": 1})["done"]


def test_a_resource_that_is_gone_is_gone_for_every_incident_about_it(world: World) -> None:
    """A recheck of one of them found out: plan names no target, so no verdict tells the others."""
    first, second = world.contain("first"), world.contain("second")
    elsewhere = world.contain("elsewhere", "i-2")
    event = {"incident_id": second, "execution": world.execution("recheck")}
    call("close", decision="gone", error="i-1 no longer exists", **event)
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


def watched(world: World) -> list[str]:
    """Lets the schedule run; returns the names of the rechecks that it started."""
    before = {item["execution"] for item in executions(world)}
    reconcile.handler({"source": "guardduty-response.watch", "id": f"slot-{len(before)}"})
    return [item["name"] for item in executions(world) if item["execution"] not in before]


def executions(world: World) -> list[Json]:
    machines = world.deployment.sfn.list_state_machines()["stateMachines"]
    [incidents] = [found for found in machines if found["name"].endswith("incident")]
    found = world.deployment.sfn.list_executions(stateMachineArn=incidents["stateMachineArn"])
    return [
        {"execution": entry["executionArn"], "name": entry["name"]} for entry in found["executions"]
    ]


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
    reason = {"keep_contained": True, "reason": "rebuilt tomorrow"}
    assert ask(second, close=True, **reason)["status"] == "CLOSED"
    assert world.record.containments.read(ARN, 1).open_links == []
    assert watched(world) == []


def test_keeping_contained_needs_a_reason(world: World) -> None:
    incident_id = world.contain("a")
    with pytest.raises(Exception, match="keep_contained needs a reason"):
        ask(incident_id, close=True, keep_contained=True)
    assert world.status(incident_id) == "CONTAINED"


def test_each_target_needs_another_incident_to_watch_it(world: World) -> None:
    both, second = world.contain("a", "i-1", "i-2"), world.contain("b", "i-1")
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
        world.verdicts |= dict(zip(ids, pair, strict=True))
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
    both, second = world.contain("a", "i-1", "i-2"), world.contain("b", "i-1")
    ask(second)
    assert (world.status(second), world.status(both)) == ("RESTORED", "RESTORE_PARTIAL")
    assert [target["status"] for target in world.deployment.targets(both)] == [
        "RESTORED",
        "CONTAINED",
    ]
