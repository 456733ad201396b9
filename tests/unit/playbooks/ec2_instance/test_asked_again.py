"""The plan after an approval: it knows the roles of the plan that people were asked about, though
the instance has another profile by then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.profiles_lab import (
    disassociate,
    give,
    is_denied,
    make_profile,
    name_profile,
    quarantine,
    replace,
    terminate,
)
from tests.unit.playbooks.ec2_instance.session_trail import policies
from tests.unit.playbooks.ec2_instance.test_former_roles_shown import swap_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardduty_response.containment.contract import Target

NAME = "former_sessions app"


@pytest.fixture
def built(lab: Lab) -> Lab:
    return lab.build()


def plan_again(lab: Lab) -> Target:
    """As the machine plans after an approval. META keeps between them what the plan says."""
    asked = lab.ids["planned"]
    lab.ids["kept"] = json.loads(json.dumps({asked.target.arn: dict(asked.keep)}))
    target = lab.plan()
    del lab.ids["kept"]
    return target


@pytest.mark.parametrize("change", [replace, swap_role, disassociate, quarantine])
def test_another_role_while_an_approval_waited(built: Lab, change: Callable[[Lab], None]) -> None:
    built.plan()
    change(built)
    assert built.respond(plan_again(built)).status is Status.CONTAINED
    assert is_denied(built)
    assert built.ids["checks"].keys() & {NAME}
    if change in (replace, swap_role):
        assert is_denied(built, "other")


def test_asked_twice_each_role_is_known(built: Lab) -> None:
    built.plan()
    replace(built)
    plan_again(built)
    make_profile(built, "third")
    give(built, "third")
    target = plan_again(built)
    third = built.ids["planned"].actions
    assert {NAME, "former_sessions other", "revoke_sessions"} <= third.keys()
    assert built.respond(target).status is Status.CONTAINED
    assert [is_denied(built, role) for role in ("app", "other", "third")] == [True] * 3


@pytest.mark.parametrize("change", [replace, swap_role, disassociate, quarantine, terminate])
def test_what_was_approved_then_is_planned_again(built: Lab, change: Callable[[Lab], None]) -> None:
    """Else people would be asked without end."""
    built.plan()
    change(built)
    plan_again(built)
    second = built.ids["planned"]
    plan_again(built)
    assert built.ids["planned"].actions == second.actions
    assert built.ids["planned"].keep == second.keep


def test_a_profile_that_cannot_be_read_hides_nothing(built: Lab) -> None:
    built.plan()
    replace(built)
    built.fail("DescribeIamInstanceProfileAssociations", "AccessDenied")
    target = plan_again(built)
    built.faults.clear()
    assert built.respond(target).status is Status.CONTAINED
    assert is_denied(built)


def test_gone_while_an_approval_waited(built: Lab) -> None:
    built.plan()
    terminate(built)
    assert built.respond(plan_again(built)).status is Status.GONE
    assert is_denied(built)


def test_the_same_profile_is_the_same_plan(built: Lab) -> None:
    built.plan()
    first = built.ids["planned"]
    target = plan_again(built)
    assert built.ids["planned"].actions == first.actions
    assert built.respond(target).status is Status.CONTAINED
    assert not [name for name in built.actions() if name.startswith("former")]


def test_an_option_that_denies_nothing_keeps_nothing(built: Lab) -> None:
    built.options["revoke_sessions"] = "none"
    built.plan()
    assert built.ids["planned"].keep == {}
    replace(built)
    assert built.respond(plan_again(built)).status is Status.CONTAINED
    assert policies(built, "app") == {}


@pytest.mark.parametrize("named", [True, False])
def test_what_another_incident_contained_meanwhile_is_no_new_action(
    built: Lab, named: bool
) -> None:
    """Else people would be asked again about what they have approved."""
    if named:
        name_profile(built)
    first = built.plan()
    asked = built.ids["planned"]
    assert built.respond(first).status is Status.CONTAINED
    target = plan_again(built)
    assert built.ids["planned"].actions.keys() <= asked.actions.keys()
    assert "revoke_sessions" in built.ids["planned"].actions
    assert built.respond(target).status is Status.CONTAINED
    assert not [name for name in built.actions() if name.startswith("former")]
    assert is_denied(built)
