"""Sessions that are known and not denied, and searches that failed: never CONTAINED, tried again,
and told with the command.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from guardduty_response.cloudtrail import regions, session_search
from guardduty_response.containment.contract import Check, Target
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import monitor, playbook
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

from tests.unit.playbooks.iam_principal.iam_account import THIRD
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.test_chained_sessions import OTHER, alice, denied
from tests.unit.playbooks.watched_session import acting

NAME = "held_sessions"


def session_in_admin(world: IamLab, seconds: int | None = None) -> str:
    """Alice gets a session of the role admin. Returns its userid."""
    return world.add_assume_role(
        alice(world),
        "admin",
        "alice-1",
        "ASIA1",
        seconds=seconds,
    )


def responded(world: IamLab) -> tuple[Target, Status | None]:
    """Contains, and stores the verdict as the state machine does."""
    target = world.plan()
    result = world.respond(target)
    checks = list(world.checks.values())
    stored = [check.record() for check in checks]
    fields = drift.baseline(
        world.context(),
        target,
        result,
        checks,
    )
    world.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        checks=stored,
        **fields,
    )
    return target, result.status


def rechecked(world: IamLab, target: Target, attempt: int = drift.READS) -> Status | None:
    """Verifies again, as the incident machine does, and stores what it comes to."""
    again = target._replace(verify_only=True)
    step, checks = playbook.verify(world.context(attempt), again)
    step, checks, fields = drift.recheck(
        world.context(attempt),
        again,
        step,
        checks,
    )
    world.checks = {check.name: check for check in checks}
    stored = [check.record() for check in checks]
    world.record.set_target(
        INCIDENT, target.kind, target.id, status=step.status, checks=stored, **fields
    )
    return step.status


def monitored(world: IamLab, target: Target) -> dict[str, Check]:
    """Verifies as the monitoring function does, with its role."""
    context = world.context()

    def assume(account: str, region: str, _: Any) -> Any:
        with acting(world, "monitor"):
            return world.assume(
                account,
                region,
                policy(allow(monitor.READ)),
            )

    context.assume = partial(assume)
    unique_id = target.scope["unique_id"]
    again = target._replace(scope={"unique_id": unique_id}, verify_only=True)
    _, checks = monitor.verify(context, again)
    return {check.name: check for check in checks}


REFUSALS = ["AccessDeniedException", "ThrottlingException"]


@pytest.mark.parametrize("error", REFUSALS)
def test_a_search_that_failed_is_partial_with_the_command(world: IamLab, error: str) -> None:
    world.fail("LookupEvents", error)
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert error in result.detail
    assert "aws cloudtrail lookup-events" in result.detail
    assert "AttributeValue=alice" in result.detail
    assert not world.checks[NAME].ok
    assert not world.checks[NAME].fatal
    assert world.checks[NAME].read
    assert "holds no session" not in world.detail(NAME), "nobody knows"


def test_a_throttled_search_is_repeated_before_the_verdict(world: IamLab) -> None:
    userid = session_in_admin(world)
    world.fail(
        "LookupEvents",
        "ThrottlingException",
        times=len(world.regions),
    )
    assert world.respond().status is Status.CONTAINED
    assert denied(world) == {"admin": [userid]}


def test_a_search_that_was_cut_off_is_partial(
    world: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = regions.look_up

    def cut(*arguments: Any) -> Any:
        records, _ = real(*arguments)
        return records, {THIRD: "not answered to its end within 15 s"}

    userid = session_in_admin(world)
    monkeypatch.setattr(
        regions,
        "look_up",
        cut,
    )
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert f"{THIRD} not looked at (not answered to its end within 15 s)" in result.detail
    assert denied(world) == {"admin": [userid]}


def test_regions_that_cannot_be_listed_are_partial(world: IamLab) -> None:
    world.fail("ListRegions", "AccessDeniedException")
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert "the enabled Regions could not be listed" in result.detail


def test_events_of_busy_regions_that_were_not_read_to_the_end_are_partial(
    world: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = regions.look_up

    def cut(*arguments: Any) -> Any:
        records, troubles = real(*arguments)
        if arguments[2] == list(session_search.ISSUING):
            troubles = {THIRD: "not answered to its end within 15 s"}
        return records, troubles

    for number in range(session_search.QUERIES + 1):
        world.add_assume_role(alice(world), "admin", f"s{number}", f"ASIA{number}")
    monkeypatch.setattr(
        regions,
        "look_up",
        cut,
    )
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert f"not known what {session_search.QUERIES + 1} of its sessions did" in result.detail
    assert "AttributeKey=EventName,AttributeValue=AssumeRole" in result.detail


@pytest.mark.parametrize("error", ["UnmodifiableEntity", "AccessDenied", "LimitExceeded"])
def test_a_denial_that_is_refused_is_partial(world: IamLab, error: str) -> None:
    userid = session_in_admin(world)
    other = world.add_assume_role(
        alice(world),
        "batch",
        "alice-2",
        "ASIA2",
    )
    world.fail(
        "PutRolePolicy",
        error,
        when=lambda params: params["RoleName"] == "admin",
    )
    world.fail("CreatePolicy", error)
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert denied(world) == {"batch": [other]}
    assert userid in result.detail
    assert error in result.detail
    assert "aws iam put-role-policy --role-name admin" in result.detail


def test_300_sessions_of_a_role_with_room_for_nothing_are_partial(world: IamLab) -> None:
    """The denial of each would be longer than IAM takes, and the role has no room for a date."""
    world.fail("PutRolePolicy", "LimitExceeded")
    world.fail("CreatePolicy", "LimitExceeded")
    for number in range(300):
        world.add_assume_role(
            alice(world), "admin", f"botocore-session-17000{number:05}", f"A{number}"
        )
    result = world.respond()
    assert denied(world) == {}
    assert result.status is Status.PARTIAL
    assert "LimitExceeded" in result.detail
    assert "and 295 more" in result.detail
    assert "--role-name admin --policy-name AWSRevokeOlderSessions" in result.detail


def test_a_session_in_another_account_is_partial_until_it_is_over(world: IamLab) -> None:
    userid = world.add_assume_role(
        alice(world), "elsewhere", "alice-1", "ASIA1", account=OTHER, seconds=7200
    )
    target, status = responded(world)
    assert status is Status.PARTIAL
    assert userid in world.checks[NAME].detail
    assert "aws iam put-role-policy --role-name elsewhere" in world.checks[NAME].detail
    assert rechecked(world, target) is Status.PARTIAL
    world.clock_offset += 3 * 3600
    assert rechecked(world, target) is Status.CONTAINED


@pytest.mark.parametrize("role", [f"{PREFIX}-responder-ec2-instance", "terraform"])
def test_a_session_in_a_role_that_is_spared_is_partial(world: IamLab, role: str) -> None:
    world.guardrails = {"exempt_principals": ["arn:aws:iam::*:role/terraform"]}
    world.role(role, session=None)
    userid = world.add_assume_role(
        alice(world),
        role,
        "alice-1",
        "ASIA1",
    )
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert userid in result.detail
    assert f"aws iam put-role-policy --role-name {role}" in result.detail


def test_a_role_that_is_deleted_keeps_nothing_alive(world: IamLab) -> None:
    session_in_admin(world)
    world.see().delete_role(RoleName="admin")
    assert world.respond().status is Status.CONTAINED


# -- tried again -----------------------------------------------------------------------------------


def test_finish_tries_again_and_a_recheck_sees_it_mended(world: IamLab) -> None:
    userid = session_in_admin(world, seconds=7200)
    world.fail("LookupEvents", "AccessDeniedException")
    target, status = responded(world)
    assert status is Status.PARTIAL
    world.faults.clear()
    world.finish(target)
    assert denied(world) == {"admin": [userid]}
    assert monitored(world, target)[NAME].ok
    assert rechecked(world, target) is Status.CONTAINED
    assert NAME not in monitored(world, target)


def test_a_scheduled_check_searches_again_and_changes_nothing(world: IamLab) -> None:
    world.fail("LookupEvents", "AccessDeniedException")
    target, _ = responded(world)
    assert not monitored(world, target)[NAME].ok
    world.faults.clear()
    before = world.stored_target()
    assert monitored(world, target)[NAME].ok
    assert world.stored_target() == before
    assert rechecked(world, target) is Status.CONTAINED
    world.fail("LookupEvents", "AccessDeniedException")  # it is known by now
    assert rechecked(world, target) is Status.CONTAINED


def test_what_a_scheduled_check_finds_is_contained_again(world: IamLab) -> None:
    """The search is mended, and shows a session that is not denied: containing again denies it."""
    userid = session_in_admin(world, seconds=7200)
    world.fail("LookupEvents", "AccessDeniedException")
    target, _ = responded(world)
    world.faults.clear()
    found = monitored(world, target)["held_sessions admin"]
    assert not found.ok
    assert userid in found.detail
    assert denied(world) == {}
    assert rechecked(world, target) is Status.CONTAINMENT_LOST
    playbook.contain(world.context(), target)
    assert denied(world) == {"admin": [userid]}
    assert rechecked(world, target) is Status.CONTAINED


def test_a_denial_that_was_throttled_is_contained_again(world: IamLab) -> None:
    userid = session_in_admin(world, seconds=7200)
    world.fail("PutRolePolicy", "Throttling")
    target, status = responded(world)
    assert status is Status.PARTIAL
    world.faults.clear()
    assert rechecked(world, target) is Status.CONTAINMENT_LOST
    playbook.contain(world.context(), target)
    assert denied(world) == {"admin": [userid]}


def test_a_role_that_refuses_for_good_is_no_loss_each_time(world: IamLab) -> None:
    session_in_admin(world, seconds=7200)
    world.fail("PutRolePolicy", "UnmodifiableEntity")
    target, status = responded(world)
    assert status is Status.PARTIAL
    for _ in range(3):
        assert rechecked(world, target) is Status.PARTIAL


def test_a_later_search_that_fails_forgets_no_session(world: IamLab) -> None:
    userid = world.add_assume_role(
        alice(world), "elsewhere", "alice-1", "ASIA1", account=OTHER, seconds=7200
    )
    target, _ = responded(world)
    world.fail("LookupEvents", "AccessDeniedException")
    world.finish(target)
    assert userid in world.detail(NAME)
    assert "could not be queried" in world.detail(NAME)
    assert rechecked(world, target) is Status.PARTIAL
    assert userid in world.checks[NAME].detail


def test_what_finish_finds_and_cannot_deny_is_partial_and_no_loss(world: IamLab) -> None:
    target, status = responded(world)
    assert status is Status.CONTAINED
    userid = world.add_assume_role(
        alice(world), "elsewhere", "alice-1", "ASIA1", account=OTHER, seconds=7200
    )
    world.finish(target)
    assert rechecked(world, target) is Status.PARTIAL
    assert userid in world.checks[NAME].detail


def test_a_last_look_that_is_throttled_is_repeated(world: IamLab) -> None:
    target, _ = responded(world)
    userid = session_in_admin(world, seconds=7200)
    world.fail("LookupEvents", "ThrottlingException", times=len(world.regions))
    waits = [step.wait_seconds for step in world.finish(target)]
    assert waits[1:] == [30, 0]
    assert denied(world) == {"admin": [userid]}
    assert rechecked(world, target) is Status.CONTAINED


def test_a_record_of_an_earlier_release_is_no_loss(world: IamLab) -> None:
    world.add_assume_role(
        alice(world),
        "elsewhere",
        "alice-1",
        "ASIA1",
        account=OTHER,
    )
    target, _ = responded(world)
    entry = world.stored_target()["evidence"][NAME]
    state = {name: value for name, value in entry["state"].items() if name in ("roles", "found")}
    world.record.evidence(
        INCIDENT,
        target.kind,
        target.id,
        NAME,
        {**entry, "state": state},
    )
    world.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        weak=[],
        checks=[],
    )
    assert rechecked(world, target) is Status.CONTAINED


def test_what_no_time_was_left_for_is_said(world: IamLab) -> None:
    principal = PrincipalContext(world.context(), world.plan())
    _, remarks = session_search.find(principal, seconds=1)
    [remark] = remarks
    assert remark.startswith("no time was left for what 1 sessions did: aws cloudtrail")
