"""Every step that may wait is walked across every wait: as its function, with the deployed role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.containment.contract import (
    Context,
    StepResult,
    Target,
    load,
    load_collector,
    load_eradicator,
    load_terminator,
)
from guardduty_response.functions import steps

from tests.e2e.e2e_world import SECURITY, Json, World
from tests.e2e.function_steps import (
    Contained,
    FunctionSteps,
    OneOfEach,
    Step,
    role_of_terminate,
    steps_of_functions,
)

# Around the limit where a step gives its lease back, and far beyond; the others in make proof
WAITS = [
    steps.LONG_SECONDS - 1,
    steps.LONG_SECONDS,
    6 * 3600,
    *(pytest.param(wait, marks=pytest.mark.proof) for wait in (steps.BUSY_SECONDS, 20 * 60)),
]
# They come before the verdict: the execution has the lease, and keeps it whatever they wait for.
BESIDE_CONTAINMENT = {"first", "evidence"}
# A step -> who has the playbook's own work, and its name there
WORK = {
    "first": (load_collector, "first"),
    "evidence": (load_collector, "evidence"),
    "collect": (load_collector, "collect"),
    "remediate": (load_eradicator, "eradicate"),
    "finish": (load, "finish"),
    "terminate": (load_terminator, "terminate"),
}
CONTAINING = {"contain", "verify"}  # what they wait for is read from the resource
NEVER_WAIT = {"warm", "plan", "expire"}
WALKED = [step for step in steps_of_functions() if step.name in WORK]
AFTER_VERDICT = [step for step in WALKED if step.name not in BESIDE_CONTAINMENT]
VERIFYING = [step for step in steps_of_functions() if step.name in CONTAINING]


class Work:
    """A playbook's own work: first asks for ``wait`` seconds, then is done."""

    def __init__(self, wait: int) -> None:
        self.wait, self.calls = wait, 0

    def __call__(self, context: Context, target: Target, **_more: Any) -> StepResult:
        self.calls += 1
        if self.calls > 1:
            return StepResult(detail="done at last")
        return StepResult(done=False, wait_seconds=self.wait, detail="pending")

    def replace(self, patch: pytest.MonkeyPatch, step: Step) -> None:
        """Takes the place of the playbook's own work in a step."""
        loader, name = WORK[step.name]
        patch.setattr(loader(step.playbook), name, self)


@pytest.fixture(scope="module")
def resources(one_of_each: OneOfEach) -> dict[str, Contained]:
    """A contained instance and a contained user, by their playbook."""
    return one_of_each.incidents


@pytest.fixture(scope="module", autouse=True)
def _terminate(_sandbox: World) -> Iterator[None]:
    """The deployment of these tests ends no instance, so it has no function for that step."""
    [step] = [step for step in WALKED if step.job == "terminate"]
    with role_of_terminate(_sandbox, step):
        yield


@pytest.fixture(autouse=True)
def _without_leases(world: World, resources: dict[str, Contained]) -> Iterator[None]:
    """As it is when an execution has ended."""
    yield
    for resource in resources.values():
        _release(world, resource)


def _release(world: World, resource: Contained) -> None:
    world.client("dynamodb", SECURITY).delete_item(
        TableName=world.outputs["table_name"],
        Key={"pk": {"S": f"RESOURCE#{resource.arn}"}, "sk": {"S": "LEASE"}},
    )


def _owners(world: World, resource: Contained) -> list[str]:
    return [item["owner"]["S"] for item in world.items(f"RESOURCE#{resource.arn}")]


def _logged(world: World, resource: Contained) -> tuple[list[Json], list[Json]]:
    """The lines of the action log that tell of a failure, and the timeline."""
    incident = world.incident(resource.incident_id)
    lines = [
        line
        for target in incident["targets"]
        for line in target["actions"]
        if line["status"] == "FAILED" or "AccessDenied" in line["detail"]
    ]
    return lines, incident["timeline"]


def test_every_step_is_walked() -> None:
    """A step that is added must be named above."""
    known = {*WORK, *CONTAINING, *NEVER_WAIT}
    assert {step.name for step in steps_of_functions()} == known
    assert {step.playbook for step in WALKED} == {"ec2_instance", "iam_principal"}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("step", WALKED, ids=str)
def test_a_step_waits_and_then_ends(
    world: World,
    functions: FunctionSteps,
    resources: dict[str, Contained],
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
    wait: int,
) -> None:
    """A long wait gives the lease back: a person may restore meanwhile."""
    resource, work, beside = resources[step.playbook], Work(wait), step.name in BESIDE_CONTAINMENT
    work.replace(monkeypatch, step)
    failures, before = _logged(world, resource)
    if beside:
        functions.lease(step, resource)  # as the step plan does
    waiting = functions.run(step, resource)
    assert (waiting["done"], waiting["wait_seconds"]) == (False, wait)
    kept = beside or wait < steps.LONG_SECONDS
    assert _owners(world, resource) == ([resource.execution] if kept else [])
    ended = functions.run(step, resource, attempt=2)
    assert (ended["done"], ended["wait_seconds"], work.calls) == (True, 0, 2)
    assert _owners(world, resource) == [resource.execution]
    now, timeline = _logged(world, resource)
    assert now == failures
    new_events = [(event["event"], event["detail"]) for event in timeline[len(before) :]]
    assert new_events == ([] if beside else [(f"{step.name} ended", "done at last")])


@pytest.mark.parametrize("step", AFTER_VERDICT, ids=str)
def test_who_comes_back_from_a_long_wait_waits_for_somebody_else_at_work(
    world: World,
    functions: FunctionSteps,
    resources: dict[str, Contained],
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
) -> None:
    resource, work = resources[step.playbook], Work(steps.LONG_SECONDS)
    work.replace(monkeypatch, step)
    functions.run(step, resource)
    functions.lease(step, resource, owner="a person who restores")
    busy = functions.run(step, resource, attempt=2)
    assert (busy["done"], busy["wait_seconds"], work.calls) == (False, steps.BUSY_SECONDS, 1)
    assert _owners(world, resource) == ["a person who restores"]
    _release(world, resource)
    assert functions.run(step, resource, attempt=3)["done"] and work.calls == 2


@pytest.mark.parametrize("wait", [5, steps.LONG_SECONDS])
@pytest.mark.parametrize("step", VERIFYING, ids=str)
def test_what_contains_keeps_its_lease_until_the_verdict(
    world: World,
    functions: FunctionSteps,
    resources: dict[str, Contained],
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
    wait: int,
) -> None:
    """What is read back the second time is the resource itself."""
    resource = functions.planned(step, resources[step.playbook])
    playbook, reading = load(step.playbook), step._replace(name="verify")
    failures, _ = _logged(world, resource)
    functions.lease(step, resource)  # as the step plan does
    with monkeypatch.context() as patch:
        pending = StepResult(done=False, wait_seconds=wait, detail="not applied everywhere yet")
        patch.setattr(playbook, "verify", lambda _context, _target: (pending, []))
        waiting = functions.run(step, resource)
    assert (waiting["done"], waiting["wait_seconds"]) == (False, wait)
    assert _owners(world, resource) == [resource.execution]

    def verdict() -> Json | None:
        answer = functions.run(reading, resource, attempt=2)
        return answer if answer["done"] else None

    ended = world.until(verdict, "there is a verdict")
    assert ended["status"] == "CONTAINED"
    assert _owners(world, resource) == [resource.execution]
    assert _logged(world, resource)[0] == failures
