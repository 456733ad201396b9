"""What CloudTrail shows late: looked at once more when its events of the time of containment are
there.

CloudTrail delivers an event "on average within about 5 minutes" and later at times (AWS CloudTrail
User Guide); the deadline here is option ``repeat_minutes`` after the denial.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    FAILED,
    SKIPPED,
    Json,
    describe_error,
    run_all,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import chained_sessions, identify, regions
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext


def finish(context: Context, target: Target) -> StepResult:
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored()
    if (
        target.kind not in (identify.USER, identify.SESSION)
        and not principal.scope("sets")
        and not _denied(principal)
    ):
        return StepResult(detail="nothing was contained")
    minutes = float(principal.options["repeat_minutes"])
    if minutes and (left := int(_began(principal) + minutes * 60 - time.time())) > 0:
        return StepResult(
            done=False, wait_seconds=left, detail="waiting for CloudTrail's late events"
        )
    chained_sessions.deny(principal)
    if principal.who.session:
        _signed_in_again(principal)
    return StepResult(detail="looked once more for sessions it holds")


def _began(principal: PrincipalContext) -> float:
    actions = principal.stored.get("actions", {})
    at = [
        actions[name]["at"]
        for name in ("revoke_sessions", "deny_all", *_denied(principal))
        if name in actions
    ]
    try:
        return datetime.fromisoformat(str(at[0]).replace("Z", "+00:00")).timestamp()
    except (IndexError, ValueError):
        return 0.0


def _denied(principal: PrincipalContext) -> list[str]:
    """What was done about permission sets."""
    return [name for name in principal.stored.get("actions", {}) if name.startswith("deny_user ")]


def _signed_in_again(principal: PrincipalContext) -> None:
    """A session of the same name with a token newer than the denial: whoever may assume the role
    got another one.
    """
    before = str((principal.before_state("sessions") or {}).get("revoked_before") or "")
    if not before:
        return
    session = regions.looking(principal)
    start = datetime.fromisoformat(before.replace("Z", "+00:00")).astimezone(UTC)
    try:
        names, _ = regions.enabled(principal, session)
        got = run_all(
            {
                name: partial(_newer, principal, session.client("cloudtrail", name), start)
                for name in names
            }
        )
    except AWS_ERRORS as error:
        principal.log_action(
            "signed_in_again", FAILED, f"could not be looked up ({describe_error(error)})"
        )
        return
    read = {name: one for name, one in got.items() if not isinstance(one, Exception)}
    seen = sorted(
        (one for some, _ in read.values() for one in some), key=lambda one: str(one["at"])
    )
    unread = [name for name in got if name not in read or read[name][1]]
    if seen:
        first = seen[0]
        detail = (
            f"{principal.who.session} got a new session of role {principal.who.role} at "
            f"{first['issued']} and"
            f" called {first['name']} from {first['from']}: the denial ends with what was issued"
            f" before {before}. If that was not its owner: keep it from assuming the role (trust"
            f" policy of {principal.who.role}), and deny all sessions (playbook option "
            "revoke_sessions ="
            " role)"
        )
        principal.log_action("signed_in_again", FAILED, detail)
        principal.context.record.event(
            principal.context.incident_id, "signed in again", detail, principal.id
        )
        return
    said = f"; could not be looked up in {', '.join(unread)}" if unread else ""
    principal.log_action(
        "signed_in_again",
        FAILED if unread else SKIPPED,
        f"no newer session of that name is seen{said}",
    )


def _newer(principal: PrincipalContext, client: Any, start: datetime) -> tuple[list[Json], str]:
    out = []
    trails, trouble = chained_sessions.events(client, [("Username", principal.who.session)], start)
    for trail in trails:
        identity = trail.get("userIdentity")
        issued = text(get(identity, "sessionContext", "attributes", "creationDate"), 40)
        mine = text(get(identity, "principalId"), 300).endswith(f":{principal.who.session}")
        role = get(identity, "sessionContext", "sessionIssuer", "userName") == principal.who.role
        if (
            mine
            and role
            and issued
            and datetime.fromisoformat(issued.replace("Z", "+00:00")) >= start
        ):
            out.append(
                {
                    "issued": issued,
                    "at": trail.get("eventTime"),
                    "name": text(trail.get("eventName"), 100),
                    "from": text(trail.get("sourceIPAddress"), 100),
                }
            )
    return out, trouble
