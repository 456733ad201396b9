"""Contains a stolen credential (playbooks/iam_principal/runbook.md says how, and how to undo
each part).
"""

from __future__ import annotations

from concurrent.futures import wait
from functools import partial

from guardduty_response.containment.contract import Check, Context, Planned, Step, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    FAILED,
    Json,
    gather,
    value,
    why,
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
from guardduty_response.playbooks.iam_principal.principal_context import Facts, Work


def plan(ctx: Context) -> list[Planned]:
    """The finding's principal. Raises NoTarget, TargetGone, RoleUnavailable."""
    return [planning.plan(ctx)]


def contain(ctx: Context, target: Target) -> Step:
    """A user: everything denied first, then every credential ended side by side. A role session:
    denied on its role.
    """
    if target.attach or target.verify_only:
        return Step(
            detail=f"linked to incident {target.attach or ctx.incident_id}; nothing was changed"
        )
    work = Work(ctx, target)
    if target.kind == identify.USER:
        return _user(work)
    if target.kind == identify.SESSION:
        return _role(work)
    if work.scope("sets"):
        return permission_sets.contain(work)
    path = not_containable.path(work, work.who)
    for number, command in enumerate(path.commands, 1):
        work.did(f"by_hand_{number}", FAILED, command)
    return Step(detail=f"nothing was changed: {path.why}")


def _user(work: Work) -> Step:
    sessions, facts = user.changing(work, work.scope("user_arn")), Facts()
    deny = user.DenyAll(work, sessions, facts)
    first = BRANCHES.submit(deny.first)
    ledger = BRANCHES.submit(_ledger, work)
    # AssumeRole and the record's calls are under way: the client is built meanwhile
    sessions.client("iam")

    def tell() -> None:
        outcome = first.result()
        ledger.result()
        deny.tell(*outcome)

    def rest(kind: type[user.Step]) -> None:
        # the denial is there before anything else is touched; should it fail, the rest is done
        # anyway
        wait((first,))
        ledger.result()
        kind(work, sessions, facts).run()

    got = gather(
        {deny.name: tell, **{kind.name: partial(rest, kind) for kind in user.TABLE}}, BRANCHES
    )
    for one in got.values():
        value(one)  # each action keeps its own failures; this is the record itself failing
    chained_sessions.deny(
        work
    )  # when its own credentials are dead: this asks CloudTrail in every Region
    return Step(
        detail=(
            f"everything denied to {work.who.user}, its credentials worked on; the ledger says what"
            " was done"
        )
    )


def _role(work: Work) -> Step:
    sessions, facts = role.changing(work, work.scope("role_arn")), Facts()
    # AssumeRole is under way, the client is built: the ledger is read meanwhile
    sessions.client("iam")
    _ledger(work)
    for kind in role.TABLE:
        kind(work, sessions, facts).run()
    got = gather(
        {
            chained_sessions.NAME: partial(chained_sessions.deny, work),
            "users": partial(_other_workloads, work),
        },
        BRANCHES,
    )
    for one in got.values():
        value(one)
    return Step(detail=f"sessions of role {work.who.role} denied; the ledger says which")


def _ledger(work: Work) -> None:
    work.kept = work.ledger()


def _other_workloads(work: Work) -> None:
    """Who else uses the role, as it is after the denial: people must know whom it may have met."""
    reading = role.reading(work, work.scope("role_arn"))
    try:
        found = reading.client("iam").get_role(RoleName=work.who.role)["Role"]
    except AWS_ERRORS as error:  # nothing of containment depends on it
        work.did(
            "other_workloads",
            FAILED,
            f"who else uses role {work.who.role} could not be read ({why(error)})",
        )
        return
    effect = "need new credentials" if work.role_wide else "go on"
    if text := role.users_of(work, reading, found):
        work.did("other_workloads", "NOTED", f"{text}; they {effect}")


def verify(ctx: Context, target: Target) -> tuple[Step, list[Check]]:
    """Reads everything back, and once more when it has had time to spread: CONTAINED, PARTIAL,
    FAILED or GONE.
    """
    found = people.verify(ctx, target) if target.kind == identify.IDENTITY_CENTER else None
    return found or _verify.verify(ctx, target)


def culprits(
    ctx: Context,
    target: Target,
    undone: list[Check],
    since: str,
    seen: Json | None,
    watched: list[str],
) -> list[Json]:
    """Who undid the containment, by CloudTrail."""
    return actors.who(Work(ctx, target), undone, since, seen, watched)


def finish(ctx: Context, target: Target) -> Step:
    """Looks once more for what CloudTrail showed late: sessions the principal holds, and that it
    signed in again.
    """
    return (
        _finish(ctx, target)
        if not target.attach and not target.verify_only
        else Step(detail="linked")
    )
