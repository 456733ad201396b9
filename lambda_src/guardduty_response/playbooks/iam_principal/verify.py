"""Verifies containment with a fresh session, and once more when IAM's changes have had time to
spread.

IAM is eventually consistent (AWS IAM User Guide, "Changes that I make are not always immediately
visible"): what is seen at once may be an early view, and somebody may take a denial away at once.
So it counts only when seen again SETTLE_SECONDS later.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment import chained_sessions, open_sessions
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.late_checks import (
    LateChecks,
    check_controls,
    read_was_throttled,
    throttled_seconds,
)
from guardduty_response.containment.managed_denial import denial_names
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    DONE,
    FAILED,
    allow,
    name_of,
    result_or_raise,
    run_all,
)
from guardduty_response.containment.verdict import reasons, verdict, wait_for_other_incident
from guardduty_response.incident.moments import seconds_left, seconds_since
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import (
    hand_over,
    identify,
    issuer,
    late_events,
    not_containable,
    role,
    user,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl

SETTLE_SECONDS = 10
ATTEMPTS = 8  # of verifying, repeated containment included
FATAL_ATTEMPTS = 3  # of containing again for a fatal check that was not done
LATE_SECONDS = 3  # at most, between two attempts for what was done and is not seen
THROTTLED_SECONDS = 10  # at most, for what was throttled: many at once meet IAM's limits together
OWNER_ATTEMPTS = 24  # at 5 s: how long another incident's containment is waited for


class Gone(Exception):
    """The user or role no longer exists. Sessions that it got of other roles live on."""


def verify(context: Context, target: Target, keeps: bool = True) -> tuple[StepResult, list[Check]]:
    """Returns the verdict, or that it is too early for one, with the checks.

    A search for sessions, or for who got one, that was not complete is repeated when a containment
    is verified again.
    ``keeps``: whether the record gets what it found.
    """
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored()
    if target.kind not in (identify.USER, identify.SESSION):
        reason = not_containable.path(principal, principal.identity).reason
        failed = StepResult(status=Status.FAILED, detail=f"NOT contained: {reason}")
        return failed, [
            Check(
                target.kind,
                False,
                reason,
                fatal=True,
            )
        ]
    if target.verify_only:
        until = time.monotonic() + chained_sessions.AGAIN_SECONDS
        chained_sessions.search_again(principal, keeps)
        issuer.search_again(principal, keeps, until - time.monotonic())
    try:
        checks = _checks(principal)
    except Gone as gone:
        return _verify_gone(principal, str(gone))
    result = _conclude(principal, checks)
    return result._replace(watched=_watched(principal)), checks


def _verify_gone(principal: PrincipalContext, gone: str) -> tuple[StepResult, list[Check]]:
    """GONE only where every session that it is known to have got of a role is denied."""
    checks = [Check(principal.target.kind, True, gone)]
    found = chained_sessions.checks(principal)
    checks += found + issuer.checks(principal, gone=True)
    if all(check.ok for check in found):
        checks += open_sessions.unsearched(principal)
    result = _conclude(principal, checks)
    if result.status is Status.CONTAINED:
        text = f"{gone}; {open_sessions.until_text(principal)}"
        return result._replace(status=Status.GONE, detail=text), checks
    detail = f"{gone}. {result.detail}"
    return result._replace(detail=detail, watched=_watched(principal)), checks


def _checks(principal: PrincipalContext) -> list[Check]:
    """Raises Gone."""
    if gone := principal.scope("gone"):
        raise Gone(gone)
    current = PrincipalState()
    controls = _controls(principal, current)
    calls: dict[str, Callable[[], list[Check] | None]] = {
        control.name: control.read_current for control in controls
    }
    calls[chained_sessions.NAME] = lambda: chained_sessions.checks(principal)
    answers = run_all(calls, BRANCHES)
    _raise_if_replaced(principal, current)
    no_user = "NoSuchEntity" in current.read_errors.get("deny_all", "")
    if principal.target.kind == identify.USER and no_user:
        return _checks_without_user(principal)
    checks = check_controls(controls, principal.acts)
    denied = result_or_raise(answers[chained_sessions.NAME])
    checks += (denied or []) + issuer.checks(principal) + late_events.checks(principal)
    return checks + _hand_over_check(principal)


def _controls(principal: PrincipalContext, current: PrincipalState) -> list[PrincipalControl]:
    if principal.target.kind == identify.USER:
        arn = str(principal.scope("user_arn"))
        return user.controls(principal, user.reading_sessions(principal, arn), current)
    sessions = role.reading_sessions(principal, str(principal.scope("role_arn")))
    return role.controls(principal, sessions, current)


def _hand_over_check(principal: PrincipalContext) -> list[Check]:
    """Fails when stolen credentials are an instance's, and the instance was not handed over to
    playbook ec2_instance, whatever the reason: it hands out the next credentials. By the action
    log, so a recheck says what the verdict said; another incident's hand-over is not judged.
    """
    line = principal.logged_action(hand_over.NAME)
    if principal.target.attach or line.get("status") not in (DONE, FAILED):
        return []
    if line["status"] == DONE:
        return [Check(hand_over.NAME, True, line["detail"])]
    command = hand_over.manual_command(principal.identity.instance, principal.target.region)
    return [Check(hand_over.NAME, False, f"{line['detail']}. By hand, where it runs: {command}")]


def _raise_if_replaced(principal: PrincipalContext, current: PrincipalState) -> None:
    """Raises Gone when the role is deleted, or the name is another principal's by now."""
    item, what = "sessions", "role"
    if principal.target.kind == identify.USER:
        item, what = "deny_all", "IAM user"
    name = principal.iam_name
    if what == "role" and "NoSuchEntity" in current.read_errors.get(item, ""):
        raise Gone(f"role {name} no longer exists: its sessions can do nothing")
    found = (current.settings.get(item) or {}).get("id")
    wanted = principal.scope("unique_id")
    if found and wanted and found != wanted:
        raise Gone(
            f"{what} {name} ({wanted}) no longer exists; {found} has its name by now, and is"
            " another principal"
        )


def _checks_without_user(principal: PrincipalContext) -> list[Check]:
    """The user was deleted or renamed: a key that is still somebody's tells. Raises Gone."""
    name = principal.identity.user
    iam = principal.open_session(allow(("iam:GetAccessKeyLastUsed",))).client("iam")
    before: dict[str, str] = principal.before_state("access_keys") or {}
    for key in sorted({*before, principal.identity.key} - {""}):
        try:
            owner = str(iam.get_access_key_last_used(AccessKeyId=key).get("UserName") or "")
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            continue  # AccessDenied: there is no such key, or it is another account's
        if owner and owner != name:
            detail = (
                f"IAM user {name} was renamed to {owner}: what was done to it can be read no"
                " longer under its old name"
            )
            return [
                Check(
                    "deny_all",
                    False,
                    detail,
                    fatal=True,
                )
            ]
    raise Gone(f"IAM user {name} no longer exists: its keys and its password do nothing any more")


def _watched(principal: PrincipalContext) -> list[str]:
    """Names what a call that undoes this would name: the user or role, its keys, and the roles
    whose policies deny.
    """
    before = principal.stored.get("before") or {}
    names = {principal.identity.user, principal.identity.role}
    names |= set(before.get("access_keys") or {})
    sessions = before.get("sessions") or {}
    names |= denial_names(principal, str(sessions.get("role") or ""), "sessions/")
    for arn in chained_sessions.denied_roles(principal):
        names |= {name_of(arn), *denial_names(principal, arn, f"{chained_sessions.NAME}/")}
    return sorted(names - {""})


# -- verdict ---------------------------------------------------------------------------------------


def _conclude(principal: PrincipalContext, checks: list[Check]) -> StepResult:
    return _not_yet(principal, checks) or draw_verdict(principal, checks)


def draw_verdict(principal: PrincipalContext, checks: list[Check]) -> StepResult:
    return verdict(checks, f"{len(checks)} checks passed, {describe_age(principal)}")


def _not_yet(principal: PrincipalContext, checks: list[Check]) -> StepResult | None:
    """Says why it is too early for a verdict: contain once more, or verify once more."""
    context = principal.context
    if not principal.acts:
        return wait_for_other_incident(principal, checks, OWNER_ATTEMPTS)
    if context.tries >= ATTEMPTS:
        return None
    failed, late = [check for check in checks if not check.ok], LateChecks(principal)
    lost = [check.name for check in failed if check.read and late.is_not_seen(check)]
    throttled = any(late.was_throttled(check) or read_was_throttled(check) for check in failed)
    if lost:
        # It was done and is not there: seen too early, or taken away meanwhile. Either way it is
        # done again.
        detail = f"{', '.join(lost)}: contained once more"
        context.record.event(
            context.incident_id,
            "not seen after containing",
            detail,
            principal.id,
        )
    fatal = any(check.fatal for check in failed)
    if lost or throttled or (fatal and context.tries < FATAL_ATTEMPTS):
        # What is seen too early is seen a little later, and what was throttled passes.
        wait = min(context.tries, LATE_SECONDS) if lost else 0
        if throttled:
            wait = throttled_seconds(context.tries, THROTTLED_SECONDS)
        detail = reasons(checks)
        return StepResult(
            done=False,
            again="contain",
            wait_seconds=wait,
            detail=detail,
        )
    return None if fatal else wait_to_settle(principal)


def wait_to_settle(principal: PrincipalContext) -> StepResult | None:
    """Waits until what was changed has been there for SETTLE_SECONDS; None: it has."""
    changed_at = _changed_at(principal)
    if not changed_at:
        return None
    seconds = seconds_left(changed_at, SETTLE_SECONDS)
    if not seconds:
        return None
    detail = f"verified once more in {seconds} s, when it has spread"
    return StepResult(done=False, wait_seconds=seconds, detail=detail)


def describe_age(principal: PrincipalContext) -> str:
    changed_at = _changed_at(principal)
    if not changed_at:
        return "nothing had to be changed"
    return f"{int(seconds_since(changed_at))} s after the last change"


def _changed_at(principal: PrincipalContext) -> str:
    """When this incident last changed something, ISO 8601, or empty."""
    actions = principal.stored.get("actions", {}).values()
    return max((str(line["at"]) for line in actions if line["status"] == DONE), default="")
