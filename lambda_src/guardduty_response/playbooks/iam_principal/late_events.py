"""Looks once more at CloudTrail when its events of the time of containment are there.

CloudTrail delivers an event "on average within about 5 minutes" and later at times (AWS CloudTrail
User Guide); the option ``repeat_minutes`` says how long after the denial this looks.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    FAILED,
    SKIPPED,
    describe_error,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import (
    chained_sessions,
    identify,
    issuer,
    open_sessions,
    regions,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    parse_time,
)

if TYPE_CHECKING:
    from guardduty_response.containment.records import RoleSessions
    from guardduty_response.incident.model import TargetRecord
    from guardduty_response.playbooks.iam_principal.records import (
        CloudTrailRecord,
        SeenSession,
    )

NAME = "signed_in_again"
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
    minutes = float(principal.options["repeat_minutes"])
    seconds = int(_contained_at(principal) + minutes * 60 - time.time())
    if minutes and seconds > 0:
        return StepResult(
            done=False, wait_seconds=seconds, detail="waiting for CloudTrail's late events"
        )
    _search_again(principal)
    if principal.identity.session:
        _report_new_session(principal)
    return StepResult(detail="looked once more for sessions that the principal holds")


def _search_again(principal: PrincipalContext) -> None:
    """Denies what the principal holds, and looks up who got its session. What is open from now on
    counts as not contained, and is no loss of containment: it never was contained.
    """
    chained_sessions.deny(principal, SEARCH_SECONDS)
    issuer.find(principal, whole=True)
    checks = open_sessions.checks(principal) + issuer.checks(principal)
    target = principal.target
    weak = principal.stored.get("weak") or []
    new = [check for check in checks if not check.ok and check.name not in weak]
    if not new:
        return
    fields: TargetRecord = {"weak": [*weak, *(check.name for check in new)]}
    if principal.stored.get("status") == Status.GONE:  # nothing verifies it again, and says so
        found = "; ".join(check.detail for check in new)
        verdict = f"{principal.stored.get('verdict')} CloudTrail showed later: {found}"
        shown = [Check(target.kind, True, f"{target.id} no longer exists"), *checks]
        fields |= {
            "status": Status.PARTIAL,
            "verdict": verdict,
            "checks": [check.record() for check in shown],
        }
    principal.context.record.set_target(
        principal.context.incident_id,
        target.kind,
        target.id,
        place=target.place,
        unless_restored=True,
        **fields,
    )


def _contained_at(principal: PrincipalContext) -> float:
    """When the principal was denied, in seconds since 1970; 0 when it never was."""
    actions = principal.stored.get("actions", {})
    names = ("revoke_sessions", "deny_all", *_permission_set_actions(principal))
    for name in (*names, chained_sessions.NAME):  # the last: of a principal that is gone
        if name in actions:
            try:
                return parse_time(str(actions[name]["at"])).timestamp()
            except ValueError:
                return 0.0
    return 0.0


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
        f"{session} got a new session of role {role} at {first['issued']} and called"
        f" {first['name']} from {first['source']}: the denial ends with what was issued before"
        f" {revoked_before}. If that was not its owner: keep it from assuming the role (trust"
        f" policy of {role}), and deny all sessions (playbook option revoke_sessions = role)"
    )
    principal.log_action(NAME, FAILED, detail)
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
