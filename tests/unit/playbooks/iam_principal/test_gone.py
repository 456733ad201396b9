"""A user or role that was deleted: sessions that it got of roles live on, so they are searched for
and denied all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from tests.unit.playbooks.iam_principal.iam_account import THIRD
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER
from tests.unit.playbooks.iam_principal.session_judge import is_allowed
from tests.unit.playbooks.iam_principal.test_chained_sessions import (
    OTHER,
    alice,
    denied,
    role_session,
)
from tests.unit.playbooks.iam_principal.test_open_sessions import monitored
from tests.unit.playbooks.iam_principal.test_verified import delete

NAME = "held_sessions"


@pytest.fixture
def role_world(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> IamLab:
    """A session of the role app, and a role that it gets a session of."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    iam.role("admin", session=None)
    iam.role("app", session="s-1")
    return iam


def got(world: IamLab, role: str = "admin", **more: Any) -> str:
    """Alice gets a session of a role. Returns its userid."""
    return world.add_assume_role(
        alice(world),
        role,
        "alice-1",
        "ASIA1",
        **more,
    )


def before_the_plan(world: IamLab, kind: str) -> Status | None:
    delete(world, kind)
    return world.respond().status


def before_containment(world: IamLab, kind: str) -> Status | None:
    target = world.plan()
    delete(world, kind)
    return world.respond(target).status


WHEN = pytest.mark.parametrize("when", [before_the_plan, before_containment])


@WHEN
def test_sessions_of_a_deleted_user_are_denied(
    world: IamLab, when: Callable[[IamLab, str], Status | None]
) -> None:
    first = got(world)
    second = got(world, "batch", region=THIRD)
    assert when(world, "user") is Status.GONE
    assert denied(world) == {"admin": [first], "batch": [second]}
    assert not is_allowed(
        world,
        "alice-1",
        -60,
        "admin",
    )
    assert is_allowed(
        world,
        "bob",
        -60,
        "admin",
    )


def test_gone_says_what_may_still_live(world: IamLab) -> None:
    got(world)
    delete(world, "user")
    step = world.respond()
    assert f"IAM user alice no longer exists in account {MEMBER}" in step.detail
    assert "sessions denied in admin (1)" in step.detail
    assert "One that CloudTrail shows later may live until 20" in step.detail
    assert "sessions are dead" not in step.detail


def test_planning_changes_nothing_and_says_it(world: IamLab) -> None:
    got(world)
    delete(world, "user")
    planned = world.planned()
    assert sorted(planned.actions) == ["actions", NAME]
    assert "work on until they are denied" in planned.consequences
    assert planned.principals == [f"arn:aws:iam::{MEMBER}:user/alice"]
    assert denied(world) == {}


def test_a_session_found_by_the_findings_key(world: IamLab) -> None:
    """Alice's own temporary key got it."""
    world.details = {**world.details, "accessKeyId": "ASIAALICE"}
    found = world.add_assume_role(
        alice(
            world,
            userName="",
            principalId="x",
            accessKeyId="ASIAALICE",
        ),
        "admin",
        "by-key",
        "ASIA2",
    )
    delete(world, "user")
    assert world.respond().status is Status.GONE
    assert denied(world) == {"admin": [found]}


@WHEN
def test_a_search_that_failed_is_partial_with_the_command(
    world: IamLab, when: Callable[[IamLab, str], Status | None]
) -> None:
    world.fail("LookupEvents", "AccessDeniedException")
    assert when(world, "user") is Status.PARTIAL
    assert "aws cloudtrail lookup-events" in world.checks[NAME].detail
    assert not world.checks[NAME].ok


@WHEN
def test_a_denial_that_failed_is_partial_with_the_command(
    world: IamLab, when: Callable[[IamLab, str], Status | None]
) -> None:
    got(world)
    world.fail("PutRolePolicy", "AccessDenied")
    assert when(world, "user") is Status.PARTIAL
    assert "aws iam put-role-policy --role-name admin" in world.checks[NAME].detail


@WHEN
def test_a_session_in_another_account_is_partial(
    world: IamLab, when: Callable[[IamLab, str], Status | None]
) -> None:
    world.add_assume_role(
        alice(world),
        "x",
        "alice-1",
        "ASIA1",
        account=OTHER,
    )
    assert when(world, "user") is Status.PARTIAL
    assert "another account" in world.checks[NAME].detail


def test_containing_that_never_searched_is_partial(world: IamLab) -> None:
    target = world.plan()
    delete(world, "user")
    assert world.verify(target).status is Status.PARTIAL
    assert "were not looked for. By hand: aws cloudtrail" in world.checks[NAME].detail


def test_switched_off_it_is_said(world: IamLab) -> None:
    world.options["user_role_sessions"] = False
    target = world.plan()
    delete(world, "user")
    step = world.respond(target)
    assert step.status is Status.GONE
    assert "not looked for (user_role_sessions), and may live up to 12 hours" in step.detail
    with pytest.raises(TargetGone, match="may live up to 12 hours"):
        world.plan()


def test_a_new_user_of_the_name_is_another_principal(world: IamLab) -> None:
    """Its own containment, its credentials and its sessions are left alone."""
    old = world.details
    mine = got(world)
    delete(world, "user")
    world.user()
    new = world.planned().target
    other = world.add_assume_role(
        alice(world),
        "batch",
        "new-alice",
        "ASIA7",
    )
    world.details = old
    target = world.plan()
    assert target.arn != new.arn
    step = world.respond(target)
    assert step.status is Status.GONE
    assert "a new user of the same name" in step.detail
    assert denied(world) == {"admin": [mine]}
    assert other not in str(world.role_policies("batch"))
    assert world.attached() == set()
    assert set(world.key_states().values()) == {"Active"}
    assert world.restore().status is Status.GONE
    assert denied(world) == {}


@WHEN
def test_sessions_that_a_deleted_roles_session_got_are_denied(
    role_world: IamLab, when: Callable[[IamLab, str], Status | None]
) -> None:
    found = role_world.add_assume_role(
        role_session(
            role_world,
            "app",
            "s-1",
            "ASIAAPP",
        ),
        "admin",
        "chained",
        "ASIA2",
    )
    assert when(role_world, "role") is Status.GONE
    assert role_world.role_policies("admin")
    assert found in str(role_world.role_policies("admin"))


def test_a_new_role_of_the_name_is_left_alone(role_world: IamLab) -> None:
    old = role_world.details
    delete(role_world, "role")
    role_world.role("app", session="s-1")
    role_world.details = old
    step = role_world.respond()
    assert step.status is Status.GONE
    assert "a new role of the same name" in step.detail
    assert role_world.role_policies("app") == {}


def test_a_role_session_that_nothing_names_is_partial(role_world: IamLab) -> None:
    role_id = role_world.ids["roles"]["app"]
    role_world.details = {**role_world.details, "principalId": role_id, "accessKeyId": ""}
    delete(role_world, "role")
    assert role_world.respond().status is Status.PARTIAL
    assert "neither its session nor its key" in role_world.checks[NAME].detail


@WHEN
def test_restoring_takes_the_denials_back(
    world: IamLab, when: Callable[[IamLab, str], Status | None]
) -> None:
    got(world)
    assert when(world, "user") is Status.GONE
    result = world.restore()
    assert result.status is Status.GONE
    assert denied(world) == {}
    assert is_allowed(
        world,
        "alice-1",
        -60,
        "admin",
    )


def test_a_denial_that_cannot_be_taken_back_is_restored_in_part(world: IamLab) -> None:
    got(world)
    before_the_plan(world, "user")
    world.fail("DeleteRolePolicy", "AccessDenied")
    assert world.restore().status is Status.RESTORE_PARTIAL
    assert any("aws iam delete-role-policy" in text for text in world.restore().not_restored)


def test_denied_anew_after_a_restore_is_restored_again(world: IamLab) -> None:
    """What is gone stays GONE when it is restored: its containment goes on."""
    got(world)
    before_the_plan(world, "user")
    world.restore()
    playbook.contain(world.context(), world.plan())
    got(world, "batch")
    assert world.respond().status is Status.GONE
    assert denied(world)
    world.restore()
    assert denied(world) == {}


def test_a_monitored_user_that_is_deleted_later(world: IamLab) -> None:
    got(world)
    target = world.plan()
    assert world.respond(target).status is Status.CONTAINED
    delete(world, "user")
    checks = monitored(world, target)
    assert [check.ok for check in checks.values()] == [True, True]
    assert "no longer exists" in checks["iam_user"].detail
    [name] = world.role_policies("admin")
    world.see().delete_role_policy(RoleName="admin", PolicyName=name)
    checks = monitored(world, target)
    assert not checks[f"{NAME} admin"].ok
    assert checks[f"{NAME} admin"].read, "that is a loss"


# -- what CloudTrail shows late --------------------------------------------------------------------


def test_a_late_session_is_denied_in_the_end(world: IamLab) -> None:
    delete(world, "user")
    target = world.plan()
    late = got(world, shown=120)
    assert world.respond(target).status is Status.GONE
    assert denied(world) == {}
    world.clock_offset += 200
    world.finish(target)
    assert denied(world) == {"admin": [late]}
    assert world.stored_target()["status"] == Status.GONE


def test_a_late_session_that_cannot_be_denied_is_told(world: IamLab) -> None:
    delete(world, "user")
    target = world.plan()
    got(world, shown=120)
    assert world.respond(target).status is Status.GONE
    world.clock_offset += 200
    world.fail("PutRolePolicy", "AccessDenied")
    world.finish(target)
    stored = world.stored_target()
    assert stored["status"] == Status.PARTIAL
    assert "CloudTrail showed later" in stored["verdict"]
    assert "aws iam put-role-policy --role-name admin" in stored["verdict"]
    assert stored["weak"] == [NAME]
