"""A step whose sessions have no gate can only read: IAM refuses what it would change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from guardduty_response.containment.contract import Context, Target
from guardduty_response.decision import planned_options
from guardduty_response.functions import steps

from tests.e2e.credential_world import People
from tests.e2e.e2e_world import MEMBER, Json, World
from tests.e2e.function_steps import Contained, FunctionSteps, OneOfEach, Step

CONTAIN = {
    playbook: Step(playbook, "playbook", "contain")
    for playbook in ("ec2_instance", "iam_principal")
}
FINISH = Step("ec2_instance", "playbook", "finish")
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
REFUSED = ("UnauthorizedOperation", "AccessDenied")


@contextmanager
def _without_gate() -> Iterator[None]:
    """The sessions of a step have no gate meanwhile. The step itself asks it as before."""
    guarded = steps.guarded

    def without_gate(context: Context, target: Target, purpose: str = "change") -> Context:
        made = guarded(context, target, purpose)
        made.assume = context.assume
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "guarded", without_gate)
        yield


def _refusals(world: World, resource: Contained) -> set[str]:
    """Returns the names of the actions that IAM refused."""
    [target] = world.incident(resource.incident_id)["targets"]
    return {
        action["name"]
        for action in target["actions"]
        if action["status"] == "FAILED" and any(code in action["detail"] for code in REFUSED)
    }


def _contain(functions: FunctionSteps, resource: Contained, playbook: str) -> Json:
    """Contains it once more, as the machine does when a containment was lost."""
    step = CONTAIN[playbook]
    planned = functions.planned(step, resource)
    functions.lease(step, resource)
    return functions.run(step, planned)


def test_an_instance_stays_open_without_the_gate(
    world: World, functions: FunctionSteps, one_of_each: OneOfEach
) -> None:
    victim, resource = one_of_each.victim, one_of_each.incidents["ec2_instance"]
    closed = world.look(victim).interfaces
    assert closed != one_of_each.open_groups
    for interface, groups in one_of_each.open_groups.items():
        world.near(victim, "ec2").modify_network_interface_attribute(
            NetworkInterfaceId=interface, Groups=groups
        )
    world.spread()
    with _without_gate():
        answer = _contain(functions, resource, "ec2_instance")
    assert world.look(victim).interfaces == one_of_each.open_groups
    assert answer["status"] != "CONTAINED"
    assert _refusals(world, resource) != set()
    _contain(functions, resource, "ec2_instance")
    assert world.look(victim).interfaces == closed
    assert _refusals(world, resource) == set()


def test_a_user_keeps_its_key_without_the_gate(
    world: World, functions: FunctionSteps, one_of_each: OneOfEach
) -> None:
    people, user = People(world), one_of_each.user
    resource, iam = one_of_each.incidents["iam_principal"], world.client("iam", MEMBER)
    key = user.keys[0].id
    iam.detach_user_policy(UserName=user.name, PolicyArn=DENY_ALL)
    iam.update_access_key(UserName=user.name, AccessKeyId=key, Status="Active")
    world.spread()
    with _without_gate():
        answer = _contain(functions, resource, "iam_principal")
    seen = people.seen(user.name)
    assert (seen["attached"], seen["keys"]) == ([], {key: "Active"})
    assert people.works(user.keys[0])
    assert answer["status"] != "CONTAINED"
    assert _refusals(world, resource) != set()
    _contain(functions, resource, "iam_principal")
    seen = people.seen(user.name)
    assert (seen["attached"], seen["keys"]) == (["AWSDenyAll"], {key: "Inactive"})
    assert not people.works(user.keys[0])
    assert _refusals(world, resource) == set()


def test_an_instance_runs_on_without_the_gate(
    world: World,
    functions: FunctionSteps,
    one_of_each: OneOfEach,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step after the verdict: the instance is to be stopped, as ``finish = "stop"`` has it."""
    resource = one_of_each.incidents["ec2_instance"]

    def stopping(_planned: object, present: Json) -> Json:
        return {**present, "finish": "stop", "other_role_sessions": False}

    monkeypatch.setattr(planned_options, "in_flight", stopping)
    with _without_gate():
        functions.run(FINISH, resource)
    assert world.look(one_of_each.victim).state == "running"
    assert _refusals(world, resource) == {"stop_instance"}
    functions.run(FINISH, resource)
    assert world.look(one_of_each.victim).state in ("stopping", "stopped")
    functions.run(FINISH, resource, attempt=2)
    assert _refusals(world, resource) == set()
