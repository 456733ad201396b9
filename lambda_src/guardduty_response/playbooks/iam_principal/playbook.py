"""Contains a stolen credential (playbooks/iam_principal/runbook.md says how, and how to undo
each part).
"""

from __future__ import annotations

from concurrent.futures import wait
from functools import partial

from guardduty_response.containment.contract import Check, Context, Planned, StepResult, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    FAILED,
    Json,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.iam_principal import (
    actors,
    chained_sessions,
    identify,
    not_containable,
    role,
    user,
)
from guardduty_response.playbooks.iam_principal import plan as planning
from guardduty_response.playbooks.iam_principal import verify as _verify
from guardduty_response.playbooks.iam_principal.identity_center import contain as permission_sets
from guardduty_response.playbooks.iam_principal.identity_center import verify as people
from guardduty_response.playbooks.iam_principal.late_events import finish as _finish
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)


def plan(context: Context) -> list[Planned]:
    """The finding's principal. Raises NoTarget, TargetGone, RoleUnavailable."""
    return [planning.plan(context)]


def contain(context: Context, target: Target) -> StepResult:
    """A user: everything denied first, then every credential ended side by side. A role session:
    denied on its role.
    """
    if target.attach or target.verify_only:
        return StepResult(
            detail=f"linked to incident {target.attach or context.incident_id}; nothing was changed"
        )
    principal = PrincipalContext(context, target)
    if target.kind == identify.USER:
        return _user(principal)
    if target.kind == identify.SESSION:
        return _role(principal)
    if principal.scope("sets"):
        return permission_sets.contain(principal)
    path = not_containable.path(principal, principal.who)
    for number, command in enumerate(path.commands, 1):
        principal.log_action(f"by_hand_{number}", FAILED, command)
    return StepResult(detail=f"nothing was changed: {path.why}")


def _user(principal: PrincipalContext) -> StepResult:
    sessions, state = user.changing(principal, principal.scope("user_arn")), PrincipalState()
    deny = user.DenyAll(principal, sessions, state)
    first = BRANCHES.submit(deny.first)
    ledger = BRANCHES.submit(_ledger, principal)
    # AssumeRole and the record's calls are under way: the client is built meanwhile
    sessions.client("iam")

    def tell() -> None:
        outcome = first.result()
        ledger.result()
        deny.tell(*outcome)

    def rest(kind: type[user.UserAction]) -> None:
        # the denial is there before anything else is touched; should it fail, the rest is done
        # anyway
        wait((first,))
        ledger.result()
        kind(principal, sessions, state).run()

    got = run_all(
        {deny.name: tell, **{kind.name: partial(rest, kind) for kind in user.TABLE}}, BRANCHES
    )
    for one in got.values():
        result_or_raise(
            one
        )  # each action keeps its own failures; this is the record itself failing
    chained_sessions.deny(
        principal
    )  # when its own credentials are dead: this asks CloudTrail in every Region
    return StepResult(
        detail=(
            f"everything denied to {principal.who.user}, its credentials worked on; the "
            "ledger says what"
            " was done"
        )
    )


def _role(principal: PrincipalContext) -> StepResult:
    sessions, state = role.changing(principal, principal.scope("role_arn")), PrincipalState()
    # AssumeRole is under way, the client is built: the ledger is read meanwhile
    sessions.client("iam")
    _ledger(principal)
    for kind in role.TABLE:
        kind(principal, sessions, state).run()
    got = run_all(
        {
            chained_sessions.NAME: partial(chained_sessions.deny, principal),
            "users": partial(_other_workloads, principal),
        },
        BRANCHES,
    )
    for one in got.values():
        result_or_raise(one)
    return StepResult(detail=f"sessions of role {principal.who.role} denied; the ledger says which")


def _ledger(principal: PrincipalContext) -> None:
    principal.stored = principal.read_stored()


def _other_workloads(principal: PrincipalContext) -> None:
    """Who else uses the role, as it is after the denial: people must know whom it may have met."""
    reading = role.reading(principal, principal.scope("role_arn"))
    try:
        found = reading.client("iam").get_role(RoleName=principal.who.role)["Role"]
    except AWS_ERRORS as error:  # nothing of containment depends on it
        principal.log_action(
            "other_workloads",
            FAILED,
            f"who else uses role {principal.who.role} could not be read ({describe_error(error)})",
        )
        return
    effect = "need new credentials" if principal.role_wide else "go on"
    if text := role.users_of(principal, reading, found):
        principal.log_action("other_workloads", "NOTED", f"{text}; they {effect}")


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    """Reads everything back, and once more when it has had time to spread: CONTAINED, PARTIAL,
    FAILED or GONE.
    """
    found = people.verify(context, target) if target.kind == identify.IDENTITY_CENTER else None
    return found or _verify.verify(context, target)


def find_actors(
    context: Context,
    target: Target,
    undone: list[Check],
    since: str,
    seen: Json | None,
    watched: list[str],
) -> list[Json]:
    """Who undid the containment, by CloudTrail."""
    return actors.who(PrincipalContext(context, target), undone, since, seen, watched)


def finish(context: Context, target: Target) -> StepResult:
    """Looks once more for what CloudTrail showed late: sessions the principal holds, and that it
    signed in again.
    """
    return (
        _finish(context, target)
        if not target.attach and not target.verify_only
        else StepResult(detail="linked")
    )
