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

from guardduty_response.containment.contract import Context, Step, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    FAILED,
    SKIPPED,
    Json,
    gather,
    why,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import chained_sessions, identify, regions
from guardduty_response.playbooks.iam_principal.principal_context import Work


def finish(ctx: Context, target: Target) -> Step:
    work = Work(ctx, target)
    work.kept = work.ledger()
    if (
        target.kind not in (identify.USER, identify.SESSION)
        and not work.scope("sets")
        and not _denied(work)
    ):
        return Step(detail="nothing was contained")
    minutes = float(work.options["repeat_minutes"])
    if minutes and (left := int(_began(work) + minutes * 60 - time.time())) > 0:
        return Step(done=False, wait_seconds=left, detail="waiting for CloudTrail's late events")
    chained_sessions.deny(work)
    if work.who.session:
        _signed_in_again(work)
    return Step(detail="looked once more for sessions it holds")


def _began(work: Work) -> float:
    actions = work.kept.get("actions", {})
    at = [
        actions[name]["at"]
        for name in ("revoke_sessions", "deny_all", *_denied(work))
        if name in actions
    ]
    try:
        return datetime.fromisoformat(str(at[0]).replace("Z", "+00:00")).timestamp()
    except (IndexError, ValueError):
        return 0.0


def _denied(work: Work) -> list[str]:
    """What was done about permission sets."""
    return [name for name in work.kept.get("actions", {}) if name.startswith("deny_user ")]


def _signed_in_again(work: Work) -> None:
    """A session of the same name with a token newer than the denial: whoever may assume the role
    got another one.
    """
    before = str((work.had("sessions") or {}).get("revoked_before") or "")
    if not before:
        return
    session = regions.looking(work)
    start = datetime.fromisoformat(before.replace("Z", "+00:00")).astimezone(UTC)
    try:
        names, _ = regions.enabled(work, session)
        got = gather(
            {
                name: partial(_newer, work, session.client("cloudtrail", name), start)
                for name in names
            }
        )
    except AWS_ERRORS as error:
        work.did("signed_in_again", FAILED, f"could not be looked up ({why(error)})")
        return
    read = {name: one for name, one in got.items() if not isinstance(one, Exception)}
    seen = sorted(
        (one for some, _ in read.values() for one in some), key=lambda one: str(one["at"])
    )
    unread = [name for name in got if name not in read or read[name][1]]
    if seen:
        first = seen[0]
        detail = (
            f"{work.who.session} got a new session of role {work.who.role} at {first['issued']} and"
            f" called {first['name']} from {first['from']}: the denial ends with what was issued"
            f" before {before}. If that was not its owner: keep it from assuming the role (trust"
            f" policy of {work.who.role}), and deny all sessions (playbook option revoke_sessions ="
            " role)"
        )
        work.did("signed_in_again", FAILED, detail)
        work.ctx.record.event(work.ctx.incident_id, "signed in again", detail, work.id)
        return
    said = f"; could not be looked up in {', '.join(unread)}" if unread else ""
    work.did(
        "signed_in_again",
        FAILED if unread else SKIPPED,
        f"no newer session of that name is seen{said}",
    )


def _newer(work: Work, client: Any, start: datetime) -> tuple[list[Json], str]:
    out = []
    trails, trouble = chained_sessions.events(client, [("Username", work.who.session)], start)
    for trail in trails:
        identity = trail.get("userIdentity")
        issued = text(get(identity, "sessionContext", "attributes", "creationDate"), 40)
        mine = text(get(identity, "principalId"), 300).endswith(f":{work.who.session}")
        role = get(identity, "sessionContext", "sessionIssuer", "userName") == work.who.role
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
