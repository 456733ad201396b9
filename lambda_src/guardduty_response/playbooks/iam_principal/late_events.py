"""Looks once more at CloudTrail when its events of the time of containment are there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guardduty_response.cloudtrail import regions
from guardduty_response.containment import chained_sessions, late_sessions, open_sessions
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    FAILED,
    SKIPPED,
    describe_error,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import identify, issuer
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord
    from guardduty_response.containment.records import RoleSessions
    from guardduty_response.playbooks.iam_principal.records import SeenSession

NAME = "signed_in_again"
NEWER = " got a new session of role "  # what the action log says of one
SEARCH_SECONDS = 50  # for the sessions it holds; the rest of the function's 120 s is for others


def finish(context: Context, target: Target) -> StepResult:
    """Denies sessions that CloudTrail showed late, and reports whether the principal signed in
    again.
    """
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored()
    containable = target.kind in (identify.USER, identify.SESSION) or principal.scope("sets")
    if not containable and not _permission_set_actions(principal):
        return StepResult(detail="nothing was contained")
    denied_at = _contained_at(principal)
    if waits := late_sessions.wait_for_due(principal, denied_at):
        return waits
    chained_sessions.deny(principal, SEARCH_SECONDS)
    if waits := late_sessions.wait_for_cloudtrail(principal, denied_at):
        return waits
    _look_up_issuer(principal)
    if principal.identity.session:
        _report_new_session(principal)
    return StepResult(detail="looked once more for sessions that the principal holds")


def checks(principal: PrincipalContext) -> list[Check]:
    """Returns the check that no newer session of its name goes on; none where none was seen. It is
    denied when the principal is contained again.
    """
    found = principal.logged_action(NAME)
    if NEWER not in found.get("detail", ""):
        return []
    if _contained_at(principal) > found["at"]:
        return [Check(NAME, True, f"{principal.identity.session} was contained again since")]
    return [Check(NAME, False, found["detail"])]


def _look_up_issuer(principal: PrincipalContext) -> None:
    """Looks up who got the principal's session, and records what is open of that and of the
    sessions that it holds.
    """
    issuer.find(principal, whole=True)
    checks = open_sessions.checks(principal)
    checks += issuer.checks(principal, gone=bool(principal.scope("gone")))
    late_sessions.note(principal, checks, f"{principal.id} no longer exists")


def _contained_at(principal: PrincipalContext) -> str:
    """When the principal was denied, ISO 8601; empty when it never was."""
    actions = principal.stored.get("actions", {})
    names = ("revoke_sessions", "deny_all", *_permission_set_actions(principal))
    for name in (*names, chained_sessions.NAME):  # the last: of a principal that is gone
        if name in actions:
            return str(actions[name]["at"])
    return ""


def _permission_set_actions(principal: PrincipalContext) -> list[str]:
    actions = principal.stored.get("actions", {})
    return [name for name in actions if name.startswith("deny_user ")]


def _report_new_session(principal: PrincipalContext) -> None:
    """Reports a session of the same name with a token newer than the denial: whoever may assume
    the role got another session.
    """
    before: RoleSessions | None = principal.before_state("sessions")
    revoked_before = str(before.get("revoked_before") or "") if before else ""
    if not revoked_before:
        return
    start = parse_time(revoked_before).astimezone(UTC)
    session = regions.lookup_session(principal)
    try:
        names, _ = regions.enabled(principal, session)
        attributes = [("Username", principal.identity.session)]
        records, troubles = regions.look_up(
            session,
            names,
            attributes,
            start,
        )
    except AWS_ERRORS as error:
        principal.log_action(NAME, FAILED, f"could not be looked up ({describe_error(error)})")
        return
    seen = _newer_sessions(principal, records, start)
    if seen:
        _log_new_session(principal, min(seen, key=lambda call: call["at"]), revoked_before)
        return
    remark = f"; could not be looked up in {', '.join(troubles)}" if troubles else ""
    status = FAILED if troubles else SKIPPED
    principal.log_action(NAME, status, f"no newer session of that name is seen{remark}")


def _log_new_session(principal: PrincipalContext, first: SeenSession, revoked_before: str) -> None:
    session = principal.identity.session
    role = principal.identity.role
    detail = (
        f"{session}{NEWER}{role} at {first['issued']} and called"
        f" {first['name']} from {first['source']}: the denial ends with what was issued before"
        f" {revoked_before}. If that was not its owner: keep it from assuming the role (trust"
        f" policy of {role}), and deny all sessions (playbook option revoke_sessions = role)"
    )
    principal.log_action(NAME, FAILED, detail)
    late_sessions.note(principal, [Check(NAME, False, detail)], f"{principal.id} no longer exists")
    context = principal.context
    context.record.event(
        context.incident_id,
        "signed in again",
        detail,
        principal.id,
    )


def _newer_sessions(
    principal: PrincipalContext, records: list[CloudTrailRecord], start: datetime
) -> list[SeenSession]:
    """Returns calls by sessions of the same name issued since ``start``."""
    seen: list[SeenSession] = []
    for record in records:
        issued = _issued(principal, record)
        if issued and parse_time(issued) >= start:
            seen.append(
                {
                    "issued": issued,
                    "at": str(record.get("eventTime")),
                    "name": text(record.get("eventName"), 100),
                    "source": text(record.get("sourceIPAddress"), 100),
                }
            )
    return seen


def _issued(principal: PrincipalContext, record: CloudTrailRecord) -> str:
    """When the calling session was issued, if it is the role's and of the same name; else
    empty.
    """
    identity = record.get("userIdentity")
    caller = text(get(identity, "principalId"), 300)
    if not caller.endswith(f":{principal.identity.session}"):
        return ""
    if (
        get(
            identity,
            "sessionContext",
            "sessionIssuer",
            "userName",
        )
        != principal.identity.role
    ):
        return ""
    return text(
        get(
            identity,
            "sessionContext",
            "attributes",
            "creationDate",
        ),
        40,
    )
