"""The roles that monitor principals read what verification reads, and nothing else; a check takes
no more calls than docs/costs.md counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from guardduty_response.containment import managed_denial
from guardduty_response.containment.contract import StepResult, Target
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from benchmarks.measure import round_trips
from benchmarks.monitoring_cost import CHECKS
from tests.support.member_policies import (
    READS,
    Call,
    action_of,
    granted,
    in_members,
    member_policy,
    refused,
)
from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_account import EVERY_CREDENTIAL, REGION
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME, MEMBER

SECONDS_A_CALL = 0.08  # as in the other benchmarks
POLICY = member_policy(
    "iam_principal",
    "monitor",
    MEMBER,
)


def _checked(iam: IamLab, target: Target) -> StepResult:
    """Verifies as monitoring does; the lab has the calls of this alone."""
    iam.calls.clear()
    iam.latency = 0.1  # far above what a busy machine adds to a call
    iam.clock_offset += 3600
    return playbook.verify(iam.context(), target._replace(verify_only=True))[0]


def _user(iam: IamLab) -> list[Call]:
    """A user with every credential, who holds a session of a role."""
    iam.user(**EVERY_CREDENTIAL)
    iam.role("admin", session=None)
    caller = {**user_identity(), "principalId": iam.ids["user"]}
    iam.add_assume_role(
        caller,
        "admin",
        "alice-1",
        "ASIA1",
        region=HOME,
    )
    target = iam.plan()
    assert iam.respond(target).status is Status.CONTAINED
    assert _checked(iam, target).status is Status.CONTAINED
    return in_members(iam.calls)


def _deleted_user(iam: IamLab) -> list[Call]:
    target = iam.user(keys=1).plan()
    assert iam.respond(target).status is Status.CONTAINED
    iam.fail("GetUser", "NoSuchEntity")
    iam.fail("ListAttachedUserPolicies", "NoSuchEntity")
    iam.fail("GetAccessKeyLastUsed", "AccessDenied")
    assert _checked(iam, target).status is Status.GONE
    return in_members(iam.calls)


def _role_session(iam: IamLab) -> list[Call]:
    target = iam.role(session="carol").plan()
    assert iam.respond(target).status is Status.CONTAINED
    assert _checked(iam, target).status is Status.CONTAINED
    return in_members(iam.calls)


def _full_role(iam: IamLab) -> list[Call]:
    """A role whose inline policies have no room: a managed policy denies the session."""
    target = iam.role(session="carol").plan()
    iam.fail("PutRolePolicy", "LimitExceeded")
    assert iam.respond(target).status is Status.CONTAINED
    assert _checked(iam, target).status is Status.CONTAINED
    return in_members(iam.calls)


def _unsearched_user(iam: IamLab) -> list[Call]:
    """A user whose sessions could not be searched for: a check searches again."""
    iam.regions = [REGION]
    target = iam.user(keys=1).plan()
    iam.fail("LookupEvents", "AccessDeniedException")
    assert iam.respond(target).status is Status.PARTIAL
    iam.faults.clear()
    assert _checked(iam, target).status is Status.CONTAINED
    return in_members(iam.calls)


# What is contained, and actions that its check needs
SITUATIONS = {
    _user: {"iam:GetLoginProfile", "iam:ListMFADevices", "iam:ListSigningCertificates"},
    _deleted_user: {"iam:GetAccessKeyLastUsed"},
    _role_session: {"iam:GetRole"},
    _full_role: {*managed_denial.LISTS, *managed_denial.READS},
}
SEARCHES = {"cloudtrail:LookupEvents", "account:ListRegions"}


@pytest.mark.parametrize(("situation", "needed"), SITUATIONS.items())
def test_it_may_make_every_call_of_a_verification(
    iam: IamLab, situation: Callable[[IamLab], list[Call]], needed: set[str]
) -> None:
    calls = situation(iam)
    assert (
        refused(
            calls,
            POLICY,
            MEMBER,
        )
        == []
    )
    figures = CHECKS["iam_principal"]
    assert len(calls) <= figures.member_calls
    answered = [call for call in calls if call.end]
    assert round_trips(answered, math.inf) * SECONDS_A_CALL <= figures.seconds
    made = {action_of(call) for call in calls}
    assert needed <= made <= granted(POLICY)


def test_it_may_search_again(iam: IamLab) -> None:
    """That costs a call for each Region and lookup more, which docs/costs.md does not count."""
    calls = _unsearched_user(iam)
    assert (
        refused(
            calls,
            POLICY,
            MEMBER,
        )
        == []
    )
    assert SEARCHES <= {action_of(call) for call in calls} <= granted(POLICY)


def test_it_has_no_action_that_verification_does_not_need(iam: IamLab) -> None:
    made = SEARCHES.union(*SITUATIONS.values())  # as the situations above have shown
    assert made | {action_of(call) for call in _user(iam)} == granted(POLICY)


def test_it_may_only_read() -> None:
    assert granted(POLICY) - READS == set()
