"""Contains a stolen credential. playbooks/iam_principal/runbook.md says how, and how to undo
it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment import chained_denial
from guardduty_response.containment.contract import Check, Context, Planned, StepResult, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    FAILED,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.iam_principal import identify, plan_target, role, user
from guardduty_response.playbooks.iam_principal import plan as planning
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.role_users import describe_role_users
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

LATER = (
    "guardduty_response.containment.chained_sessions",
    "guardduty_response.playbooks.iam_principal.plan_role_session",
    "guardduty_response.playbooks.iam_principal.issuer",
    "guardduty_response.playbooks.iam_principal.identity_center.contain",
    "guardduty_response.playbooks.iam_principal.identity_center.verify",
    "guardduty_response.playbooks.iam_principal.verify",
)
KNOWS_STATE_BEFORE = True  # DenyAll.deny_first
FINISHES_GONE = True  # CloudTrail shows late what a principal that is gone got of roles


def prepare(context: Context, account_id: str, region: str) -> None:
    """Opens the session that ``plan`` finds the principal by, which is the same for all of them."""
    session = plan_target.open_identifying(context, account_id, region)
    session.client("iam")  # is built while STS is asked


def plan(context: Context) -> list[Planned]:
    """Plans for the finding's principal. Raises NoTarget, TargetGone, RoleUnavailable."""
    planned = planning.plan(context)
    if context.options["remediate"] and "remediation" in planned.actions:
        from guardduty_response.playbooks.iam_principal import foreseen_changes

        principal = PrincipalContext(context, planned.target)
        planned = planned._replace(foresee=partial(foreseen_changes.look_up, principal))
    return [planned]


def contain(context: Context, target: Target) -> StepResult:
    """Denies everything to a user first, then ends every credential side by side; denies a role
    session on its role.
    """
    if target.attach or target.verify_only:
        incident = target.attach or context.incident_id
        return StepResult(detail=f"linked to incident {incident}; nothing was changed")
    principal = PrincipalContext(context, target)
    if principal.scope("gone"):
        return _contain_gone(principal)
    if target.kind == identify.USER:
        return _contain_user(principal)
    if target.kind == identify.SESSION:
        return _contain_role_session(principal)
    if principal.scope("sets"):
        from guardduty_response.playbooks.iam_principal.identity_center import (
            contain as permission_sets,
        )

        return permission_sets.contain(principal)
    from guardduty_response.playbooks.iam_principal import not_containable

    path = not_containable.path(principal, principal.identity)
    for number, command in enumerate(path.commands, 1):
        principal.log_action(f"by_hand_{number}", FAILED, command)
    return StepResult(detail=f"nothing was changed: {path.reason}")


def _contain_user(principal: PrincipalContext) -> StepResult:
    sessions = user.changing_sessions(principal, principal.scope("user_arn"))
    state = PrincipalState()
    deny_all = DenyAll(principal, sessions, state)
    denied = BRANCHES.submit(deny_all.deny_first)
    record_read = BRANCHES.submit(_read_record, principal)
    # AssumeRole and the record's calls are under way: the client is built meanwhile
    sessions.client("iam")

    def log_denial() -> None:
        before, answer = denied.result()
        record_read.result()
        deny_all.log_outcome(before, answer)

    def end_credentials(action: type[PrincipalControl]) -> None:
        # The denial comes before anything else; should it fail, the rest is done anyway.
        wait((denied,))
        record_read.result()
        action(principal, sessions, state).run()

    calls: dict[str, Callable[[], object]] = {deny_all.name: log_denial}
    for action in user.TABLE:
        calls[action.name] = partial(end_credentials, action)
    _run_branches(calls)
    # After its own credentials are dead: this asks CloudTrail in every Region.
    _deny_chained(principal)
    return StepResult(
        detail=(
            f"Containment of {principal.identity.user} attempted: everything denied, then each"
            " credential ended; see actions"
        )
    )


def _contain_role_session(principal: PrincipalContext) -> StepResult:
    sessions = role.changing_sessions(principal, principal.scope("role_arn"))
    state = PrincipalState()
    # AssumeRole is under way, the client is built: the record is read meanwhile
    sessions.client("iam")
    _read_record(principal)
    if principal.scope("handed_over"):
        from guardduty_response.playbooks.iam_principal import hand_over

        hand_over.log_earlier(principal)
    for control in role.controls(principal, sessions, state):
        control.run()
    _run_branches(
        {
            chained_denial.NAME: partial(_ask_cloudtrail, principal),
            "other_workloads": partial(_log_other_workloads, principal),
        }
    )
    return StepResult(
        detail=f"Denial of sessions of role {principal.identity.role} attempted; see actions"
    )


def _contain_gone(principal: PrincipalContext) -> StepResult:
    """Denies what the principal got of roles. Who has its name by now is another principal."""
    _read_record(principal)
    if principal.target.kind == identify.SESSION:
        _ask_cloudtrail(principal)
    else:
        _deny_chained(principal)
    return StepResult(
        detail=f"{principal.scope('gone')}; sessions that it got of roles looked for; see actions"
    )


def _ask_cloudtrail(principal: PrincipalContext) -> None:
    """One after the other: LookupEvents takes two calls a second."""
    from guardduty_response.playbooks.iam_principal import issuer

    _deny_chained(principal)
    issuer.find(principal)


def _deny_chained(principal: PrincipalContext) -> None:
    from guardduty_response.containment import chained_sessions

    chained_sessions.deny(principal)


def _run_branches(calls: dict[str, Callable[[], object]]) -> None:
    """Each action logs its own failures: an error raised here is the record's, and raised again."""
    for answer in run_all(calls, BRANCHES).values():
        result_or_raise(answer)


def _read_record(principal: PrincipalContext) -> None:
    principal.stored = principal.read_stored()


def _log_other_workloads(principal: PrincipalContext) -> None:
    """Logs who else uses the role after the denial: people must know whom it may have met."""
    name = principal.identity.role
    sessions = role.reading_sessions(principal, principal.scope("role_arn"))
    try:
        found = sessions.client("iam").get_role(RoleName=name)["Role"]
    except AWS_ERRORS as error:  # nothing of containment depends on it
        detail = f"who else uses role {name} could not be read ({describe_error(error)})"
        principal.log_action("other_workloads", FAILED, detail)
        return
    effect = "need new credentials" if principal.role_wide else "go on"
    if users := describe_role_users(principal, sessions, found):
        principal.log_action("other_workloads", "NOTED", f"{users}; they {effect}")


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    """Verifies everything, and once more when it has had time to spread: CONTAINED, PARTIAL,
    FAILED or GONE.
    """
    from guardduty_response.playbooks.iam_principal import verify as verification

    if target.kind == identify.IDENTITY_CENTER:
        from guardduty_response.playbooks.iam_principal.identity_center import verify as people

        verified = people.verify(context, target)
        if verified:
            return verified
    return verification.verify(context, target)


def find_actors(
    context: Context,
    target: Target,
    failed_checks: list[Check],
    since: str,
    seen: ChangeEvent | None,
    watched: list[str],
) -> list[ChangeEvent]:
    """Finds who undid the containment, by CloudTrail."""
    from guardduty_response.playbooks.iam_principal import actors

    return actors.find_actors(
        PrincipalContext(context, target), failed_checks, since, seen, watched
    )


def finish(context: Context, target: Target) -> StepResult:
    """Looks once more for what CloudTrail showed late: sessions the principal holds, and that it
    signed in again.
    """
    if target.attach or target.verify_only:
        return StepResult(detail="linked")
    from guardduty_response.playbooks.iam_principal import late_events

    return late_events.finish(context, target)
