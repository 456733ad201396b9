"""Roles that an instance had before its present profile: the finding may be about credentials of
one of these, which work until they expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, Lab
from tests.unit.playbooks.ec2_instance.profiles_lab import (
    disassociate,
    failed,
    give,
    is_denied,
    make_profile,
    name_profile,
    quarantine,
    replace,
    take_role_out,
)
from tests.unit.playbooks.ec2_instance.session_trail import (
    assume_role,
    denied,
    of_session,
    policies,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAME, UNKNOWN = "former_sessions app", "former_role"


@pytest.fixture
def built(lab: Lab) -> Lab:
    return name_profile(lab.build())


CHANGES = pytest.mark.parametrize("change", [disassociate, replace, quarantine])


# -- denied ----------------------------------------------------------------------------------------


@CHANGES
def test_another_profile_before_the_plan(built: Lab, change: Callable[[Lab], None]) -> None:
    change(built)
    assert built.respond().status is Status.CONTAINED
    assert is_denied(built)
    assert built.actions()[NAME] == "DONE"
    assert built.ids["checks"][NAME].ok
    if change is replace:
        assert is_denied(built, "other")
    assert "denied on role app" in built.ids["planned"].actions[NAME]


@CHANGES
def test_another_profile_while_an_approval_waited(
    built: Lab, change: Callable[[Lab], None]
) -> None:
    """The plan knew the role by what was there then, so a deleted profile does not matter."""
    target = built.plan()
    change(built)
    built.fail(
        "GetInstanceProfile",
        "NoSuchEntity",
        when=lambda asked: "app" in str(asked),
    )
    assert built.respond(target).status is Status.CONTAINED
    assert is_denied(built)
    if change is replace:
        assert is_denied(built, "other")


def test_a_finding_that_names_none_and_a_profile_that_the_plan_knew(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    disassociate(lab)
    assert lab.respond(target).status is Status.CONTAINED
    assert is_denied(lab)


def test_the_finding_the_plan_and_the_present_name_three_roles(built: Lab) -> None:
    replace(built)
    target = built.plan()
    make_profile(built, "third")
    give(built, "third")
    assert built.respond(target).status is Status.CONTAINED
    assert [is_denied(built, role) for role in ("app", "other", "third")] == [True] * 3


def test_a_profile_whose_role_was_swapped_while_an_approval_waited(built: Lab) -> None:
    target = built.plan()
    take_role_out(built)
    assert built.respond(target).status is Status.CONTAINED
    assert is_denied(built)


def test_planning_changes_nothing(built: Lab) -> None:
    disassociate(built)
    built.plan()
    assert policies(built, "app") == {}


def test_the_present_profile_costs_no_call(lab: Lab) -> None:
    name_profile(lab.build()).respond()
    iam = ("GetInstanceProfile", "GetRole", "GetRolePolicy", "PutRolePolicy")
    counts = {name: lab.operations().count(name) for name in iam}
    assert counts["GetInstanceProfile"] == 1
    assert counts["PutRolePolicy"] == 1
    assert counts["GetRole"] == 1  # for the search of what its sessions got
    assert not [name for name in lab.actions() if name.startswith("former")]


# -- what else of containment ----------------------------------------------------------------------


def test_what_its_credentials_got_of_other_roles_is_denied_too(built: Lab) -> None:
    got = assume_role(built, "admin", "s1", "ASIA1")  # by the credentials of app
    chained = assume_role(
        built, "batch", "s2", "ASIA2", of_session(built, "admin", "s1", "ASIA1"), ago=30
    )
    disassociate(built)
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [got]
    assert denied(built, "batch") == [chained]


def test_an_option_that_denies_nothing_denies_nothing(built: Lab) -> None:
    built.options["revoke_sessions"] = "none"
    disassociate(built)
    assert built.respond().status is Status.CONTAINED
    assert policies(built, "app") == {}
    assert not [name for name in built.actions() if name.startswith("former")]


def test_role_wide_by_option(built: Lab) -> None:
    built.options["revoke_sessions"] = "role"
    disassociate(built)
    assert built.respond().status is Status.CONTAINED
    assert OLDER in policies(built, "app")


def test_an_undone_denial_is_found_and_done_again(built: Lab) -> None:
    disassociate(built)
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    built.see("iam").delete_role_policy(RoleName="app", PolicyName=f"{PREFIX}-sessions")
    again = target._replace(verify_only=True, scope={})
    step, checks = ec2_instance.verify(built.context(), again)
    assert step.status is Status.PARTIAL
    [missed] = [check for check in checks if not check.ok]
    assert missed.name == NAME and missed.read
    assert "app" in step.watched
    assert built.respond(target).status is Status.CONTAINED
    assert is_denied(built)


@pytest.mark.usefixtures("full_models")
def test_a_restore_takes_the_denials_back(built: Lab) -> None:
    replace(built)
    assert built.respond().status is Status.CONTAINED
    assert built.restore().status is Status.RESTORED
    assert policies(built, "app") == policies(built, "other") == {}
    assert built.profiles() == ["other"]


# -- not denied ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["PutRolePolicy", "GetRolePolicy"])
def test_a_denial_that_failed_is_partial(built: Lab, operation: str) -> None:
    disassociate(built)
    built.fail(operation, "AccessDenied")
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert not built.ids["checks"][NAME].ok
    text = str(built.stored_record()["actions"][NAME]["detail"])
    assert f"put-role-policy --role-name app --policy-name {PREFIX}-" in text


@pytest.mark.parametrize("operation", ["PutRolePolicy", "GetInstanceProfile"])
def test_what_was_throttled_is_done_again(built: Lab, operation: str) -> None:
    disassociate(built)
    built.fail(operation, "Throttling", times=2)
    assert built.respond().status is Status.CONTAINED
    assert is_denied(built)


@pytest.mark.parametrize("error", ["AccessDenied", "NoSuchEntity"])
def test_a_role_that_cannot_be_found_out_is_partial(built: Lab, error: str) -> None:
    disassociate(built)
    built.fail("GetInstanceProfile", error)
    step = built.respond()
    assert step.status is Status.PARTIAL
    check = built.ids["checks"][UNKNOWN]
    assert not check.ok
    assert check.read is (error == "NoSuchEntity")
    assert "may be used until 20" in step.detail
    assert f"AttributeValue={built.ids['instance']}" in step.detail
    assert "put-role-policy --role-name ROLE" in step.detail
    assert built.actions()[UNKNOWN] == "FAILED"


def test_a_profile_that_has_lost_its_role_is_partial(built: Lab) -> None:
    take_role_out(built)
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert "instance profile app holds no role by now" in step.detail


def test_what_cannot_be_found_out_is_over_with_the_credentials(
    built: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardduty_response.playbooks.ec2_instance import former_roles

    take_role_out(built)
    target = built.plan()
    assert built.respond(target).status is Status.PARTIAL
    monkeypatch.setattr(
        former_roles,
        "has_expired",
        bool,
    )
    assert built.verify(target._replace(verify_only=True, scope={})).status is Status.CONTAINED


def test_an_exempt_role_is_left(built: Lab) -> None:
    disassociate(built)
    built.exempt = [f"arn:aws:iam::{MEMBER}:role/app"]
    step = built.respond()
    assert step.status is Status.PARTIAL
    assert "exempt (exempt_principals" in step.detail
    assert policies(built, "app") == {}
    take_role_out(built)
    later = built.plan()._replace(verify_only=True, scope={})
    assert built.verify(later).status is Status.PARTIAL
    assert failed(built) == [NAME], "the check of the verdict, by which no loss is told"


def test_a_role_that_is_known_later_is_denied(built: Lab) -> None:
    disassociate(built)
    built.fail("GetInstanceProfile", "NoSuchEntity")
    target = built.plan()
    assert built.respond(target).status is Status.PARTIAL
    assert failed(built) == [UNKNOWN]
    built.faults.clear()
    assert built.respond(target).status is Status.CONTAINED
    assert built.ids["checks"][UNKNOWN].ok, "else monitoring counts it as failing still"


def test_a_deleted_role_can_do_nothing(built: Lab) -> None:
    target = built.plan()
    disassociate(built)
    take_role_out(built)
    built.see("iam").delete_role(RoleName="app")
    assert built.respond(target).status is Status.CONTAINED
    assert "no longer exists" in built.ids["checks"][NAME].detail
    later = target._replace(verify_only=True, scope={})
    assert built.verify(later).status is Status.CONTAINED, "no profile tells the role any more"
