"""Reads everything back with a fresh session, and once more when IAM's changes have had time to
spread.

IAM is eventually consistent (AWS IAM User Guide, "Changes that I make are not always immediately
visible"): what is seen at once may be an early view, and somebody may take a denial away at once.
So it counts only when seen again SETTLE_SECONDS later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    DONE,
    FAILED,
    allow,
    result_or_raise,
    run_all,
)
from guardduty_response.incident.repository import now
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.iam_principal import (
    chained_sessions,
    identify,
    not_containable,
    role,
    user,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)

SETTLE_SECONDS = 10
ATTEMPTS = 8  # of reading back, containing once more included
OWNER_ATTEMPTS = 24  # at 5 s: how long another incident's containment is waited for
FATAL = ("deny_all", "revoke_sessions")


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored(target.attach)
    if target.kind not in (identify.USER, identify.SESSION):
        path = not_containable.path(principal, principal.who)
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {path.why}"), [
            Check(target.kind, False, path.why, fatal=True)
        ]
    try:
        checks = _checks(principal)
    except Gone as gone:
        return StepResult(status=Status.GONE, detail=str(gone)), [
            Check(target.kind, True, str(gone))
        ]
    step = _conclude(principal, checks)
    return replace(step, watched=_watched(principal)), checks


class Gone(Exception):
    """The user or role no longer exists, and nothing of it can act."""


def _checks(principal: PrincipalContext) -> list[Check]:
    current = PrincipalState()
    arn = str(principal.scope("user_arn") or principal.scope("role_arn"))
    if principal.target.kind == identify.USER:
        actions = user.actions(principal, user.reading(principal, arn), current)
    else:
        reading = role.reading(principal, arn)
        actions = [kind(principal, reading, current) for kind in role.TABLE]
    got = run_all(
        {
            **{one.name: one.read_current for one in actions},
            "held": lambda: chained_sessions.checks(principal),
        },
        BRANCHES,
    )
    _still_there(principal, current)
    if principal.target.kind == identify.USER and "NoSuchEntity" in current.read_errors.get(
        "deny_all", ""
    ):
        return _no_user(principal)
    out = []
    for one in actions:
        if one.name.startswith("tag_"):
            continue  # a label, not containment
        status, text = one.intent()
        read = not one.enabled or one.item not in current.read_errors
        ok = not one.enabled or (read and not one.pending_change())
        text = text if ok else f"{one.name}: {'not ' * (status != FAILED)}{text}"
        out.append(Check(one.name, ok, text, fatal=one.name in FATAL, read=read))
    return out + list(result_or_raise(got["held"])) + _not_handed_over(principal)


def _not_handed_over(principal: PrincipalContext) -> list[Check]:
    """Of stolen instance credentials: the machine that they are of, which playbook ec2_instance
    was to answer, goes on.
    """
    line = principal.logged_action("hand_over_to_ec2_instance")
    own = not (principal.target.attach or principal.target.verify_only)
    if (
        not own
        or line.get("status") != FAILED
        or "ec2_instance" not in principal.context.config.active_playbooks
    ):
        return []
    return [Check("hand_over_to_ec2_instance", False, str(line["detail"]))]


def _still_there(principal: PrincipalContext, current: PrincipalState) -> None:
    """Raises Gone when the role is deleted, or the name is another principal's by now."""
    part, what = (
        ("deny_all", "IAM user") if principal.target.kind == identify.USER else ("sessions", "role")
    )
    name = principal.who.user or principal.who.role
    if what == "role" and "NoSuchEntity" in current.read_errors.get(part, ""):
        raise Gone(f"role {name} no longer exists: its sessions can do nothing")
    id, wanted = (current.settings.get(part) or {}).get("id"), principal.scope("unique_id")
    if id and wanted and id != wanted:
        raise Gone(
            f"{what} {name} ({wanted}) no longer exists; {id} has its name by now, and is"
            " another one"
        )


def _no_user(principal: PrincipalContext) -> list[Check]:
    """Deleted, or renamed: a key that is still somebody's tells. Raises Gone."""
    iam = principal.open_session(allow(("iam:GetAccessKeyLastUsed",))).client("iam")
    for key in sorted({*(principal.before_state("access_keys") or {}), principal.who.key} - {""}):
        try:
            name = str(iam.get_access_key_last_used(AccessKeyId=key).get("UserName") or "")
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            continue  # AccessDenied: there is no such key, or it is another account's
        if name and name != principal.who.user:
            text = (
                f"IAM user {principal.who.user} was renamed to {name}: what was done to it "
                "can be read"
                " no longer under its old name"
            )
            return [Check("deny_all", False, text, fatal=True)]
    raise Gone(
        f"IAM user {principal.who.user} no longer exists: its keys, its password and its "
        "sessions are"
        " dead"
    )


def _watched(principal: PrincipalContext) -> list[str]:
    """What a call that undoes this would name: the user or role, its keys, the policies that
    deny.
    """
    before = principal.stored.get("before") or {}
    names = {principal.who.user, principal.who.role, *(before.get("access_keys") or {})}
    state = ((principal.stored.get("evidence") or {}).get(chained_sessions.NAME) or {}).get(
        "state"
    ) or {}
    names |= {arn.rsplit("/", 1)[-1] for arn in state.get("roles") or {}}
    return sorted(names - {""})


def _conclude(principal: PrincipalContext, checks: list[Check]) -> StepResult:
    wrong = [one for one in checks if not one.ok]
    fatal = [one for one in wrong if one.fatal]
    text = "; ".join(one.detail for one in fatal or wrong)
    if again := _not_yet(principal, wrong, text):
        return again
    if fatal:
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {text}")
    if wrong:
        return StepResult(
            status=Status.PARTIAL, detail=f"contained as far as it can be, but: {text}"
        )
    return StepResult(
        status=Status.CONTAINED, detail=f"{len(checks)} checks read back, {when(principal)}"
    )


def _not_yet(principal: PrincipalContext, wrong: list[Check], text: str) -> StepResult | None:
    """Why it is too early for a verdict: contain once more, or read once more."""
    context, target = principal.context, principal.target
    if target.attach or target.verify_only:
        owner = context.record.meta(target.attach)["status"] if wrong and target.attach else ""
        waits = owner in IN_PROGRESS and context.attempt < OWNER_ATTEMPTS
        return (
            StepResult(
                done=False,
                wait_seconds=5,
                detail=f"incident {target.attach} is still at work: {text}",
            )
            if waits
            else None
        )
    if context.attempt >= ATTEMPTS:
        return None
    done = [
        one for one in wrong if one.read and principal.logged_action(one.name).get("status") == DONE
    ]
    if done:
        # It was done, and is not there: seen too early, or taken away meanwhile. Either way it is
        # done again.
        said = ", ".join(one.name for one in done)
        context.record.event(
            context.incident_id,
            "not seen after containing",
            f"{said}: contained once more",
            target.id,
        )
    fatal = any(one.fatal for one in wrong)
    if done or (fatal and context.attempt < 3):
        return StepResult(done=False, again="contain", detail=text)
    left = 0 if fatal else to_settle(principal)
    return (
        StepResult(
            done=False, wait_seconds=left, detail=f"read once more in {left} s, when it has spread"
        )
        if left
        else None
    )


def _changed_at(principal: PrincipalContext) -> str:
    """When this incident last changed something, ISO 8601, or empty."""
    return max(
        (
            str(one["at"])
            for one in principal.stored.get("actions", {}).values()
            if one["status"] == DONE
        ),
        default="",
    )


def to_settle(principal: PrincipalContext) -> int:
    """Seconds until what was changed has been there for SETTLE_SECONDS; 0: it has."""
    at = _changed_at(principal)
    if not at:
        return 0
    age = (_time(now()) - _time(at)).total_seconds()
    return max(0, int(SETTLE_SECONDS - age + 0.999))


def when(principal: PrincipalContext) -> str:
    at = _changed_at(principal)
    return (
        f"{int((_time(now()) - _time(at)).total_seconds())} s after the last change"
        if at
        else "nothing had to be changed"
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
