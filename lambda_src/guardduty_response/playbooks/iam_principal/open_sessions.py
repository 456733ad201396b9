"""Says which sessions of a principal are known and not denied, and what the search for them left
open: while there is any of it, the principal is not contained.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.errors import describes_transient
from guardduty_response.containment.contract import Check
from guardduty_response.containment.role_policies import OLDER, revoke_document
from guardduty_response.containment.target_context import name_of
from guardduty_response.playbooks.iam_principal.chained_denial import NAME
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    now_rounded_up,
    parse_time,
)
from guardduty_response.playbooks.iam_principal.role import deny_sessions, policy_name
from guardduty_response.playbooks.iam_principal.session_search import (
    CHAINED_HOURS,
    HOURS,
    own_lookups,
)
from guardduty_response.playbooks.iam_principal.session_search import (
    manual_command as lookup_commands,
)

if TYPE_CHECKING:
    from guardduty_response.playbooks.iam_principal.records import (
        DeniedSessions,
        OpenSessions,
        SessionSearch,
    )
    from guardduty_response.playbooks.iam_principal.session_search import ChainedSession

# Said of a principal that is gone, with the option user_role_sessions off.
NOT_LOOKED_FOR = (
    "sessions that it got of roles are not looked for (user_role_sessions), and may live up to"
    f" {HOURS} hours"
)
MOST_NAMED = 5  # sessions in a sentence, and in a command: a policy has room for so many for sure
MOST_RECORDED = 50  # sessions that the record lists of a role


def elsewhere(
    principal: PrincipalContext, role: str, sessions: list[ChainedSession]
) -> OpenSessions:
    """Returns sessions in a role of another account."""
    names, command = _names(sessions), manual_command(principal, role, sessions)
    text = f"{names} in {role} (another account) not denied: {command}"
    return _open(
        role,
        sessions,
        "another account",
        text,
    )


def spared(
    principal: PrincipalContext, role: str, sessions: list[ChainedSession], reason: str
) -> OpenSessions:
    """Returns sessions in a role that is left alone for ``reason``."""
    names, command = _names(sessions), manual_command(principal, role, sessions)
    return _open(role, sessions, reason, f"{names} in {role} left: {reason}. By hand: {command}")


def not_denied(
    principal: PrincipalContext, role: str, sessions: list[ChainedSession], why: str
) -> OpenSessions:
    """Returns sessions whose denial failed."""
    names, command = _names(sessions), manual_command(principal, role, sessions)
    return _open(role, sessions, why, f"sessions in {role} not denied ({why}): {names}: {command}")


def seen_again(
    principal: PrincipalContext, role: str, sessions: list[ChainedSession]
) -> OpenSessions:
    """Returns sessions that a verification found: as before where the role refused the denial;
    else containing again denies them.
    """
    for known in recorded(principal).get("open") or []:
        if known["role"] == role and not describes_transient(known["why"]) and not known["late"]:
            return not_denied(
                principal,
                role,
                sessions,
                known["why"],
            )
    found = not_denied(
        principal,
        role,
        sessions,
        "found by a verification",
    )
    found["late"] = True
    return found


def known_before(
    principal: PrincipalContext, roles: dict[str, DeniedSessions], left: list[OpenSessions]
) -> list[OpenSessions]:
    """Returns what an earlier search left open on roles that are neither in ``left`` nor denied by
    now: this one may have failed.
    """
    names = {known["role"] for known in left}
    return [
        known
        for known in recorded(principal).get("open") or []
        if known["role"] not in names
        and not set(known["userids"]) <= set(_denied_on(roles, known["role"]))
    ]


def _denied_on(roles: dict[str, DeniedSessions], role: str) -> list[str]:
    return roles[role]["userids"] if role in roles else []


def recorded(principal: PrincipalContext) -> SessionSearch:
    """Returns what the last search came to."""
    return cast("SessionSearch", principal.evidence_state(NAME))


def _open(role: str, sessions: list[ChainedSession], why: str, text: str) -> OpenSessions:
    ends = datetime.fromtimestamp(max(session.ends for session in sessions), UTC)
    return {
        "role": role,
        "userids": [session.userid for session in sessions][:MOST_RECORDED],
        "count": len(sessions),
        "why": why,
        "text": text,
        "ends": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "late": False,
    }


def _names(sessions: list[ChainedSession]) -> str:
    names = ", ".join(session.userid for session in sessions[:MOST_NAMED])
    more = len(sessions) - MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names


def manual_command(principal: PrincipalContext, role: str, sessions: list[ChainedSession]) -> str:
    """Returns the command that denies the sessions; every session of the role that is older, where
    they are too many for a policy.
    """
    name = policy_name(principal.prefix, f"{principal.id} {role}")
    denial, remark = deny_sessions([found.userid for found in sessions], now_rounded_up()), ""
    if len(sessions) > MOST_NAMED:
        name, denial = OLDER, revoke_document(None, now_rounded_up())
        remark = " (ends every session of the role that was issued until then)"
    document = json.dumps(denial, separators=(",", ":"))
    return (
        f"aws iam put-role-policy --role-name {name_of(role)} --policy-name {name}"
        f" --policy-document '{document}'{remark}"
    )


# -- verification ----------------------------------------------------------------------------------


def remarks(state: SessionSearch) -> list[str]:
    """Returns what keeps the principal from being contained: sessions alive that are not denied,
    and what could not be looked at.
    """
    alive = [known["text"] for known in state.get("open") or [] if _is_alive(known)]
    return alive + list(state.get("unsearched") or [])


def until_text(principal: PrincipalContext) -> str:
    """Says of a principal that is gone what is denied of the sessions that it got of roles, and
    until when one may live that is not.
    """
    entry = (principal.stored.get("evidence") or {}).get(NAME)
    if not principal.options["user_role_sessions"]:
        return NOT_LOOKED_FOR
    if not entry:
        return "sessions that it got of roles were not looked for"
    hours = CHAINED_HOURS if principal.identity.role else HOURS
    until = parse_time(entry["at"]) + timedelta(hours=hours)
    return (
        f"{entry['detail']}. One that CloudTrail shows later may live until"
        f" {until.strftime('%Y-%m-%dT%H:%M:%SZ')}"
    )


def unsearched(principal: PrincipalContext) -> list[Check]:
    """Returns a failed check where nothing says what a principal that is gone got of roles."""
    if not principal.options["user_role_sessions"]:
        return []
    if not own_lookups(principal):
        text = "the finding names neither its session nor its key: what it got is not known"
        return [Check(NAME, False, text)]
    if "open" in recorded(principal) or not principal.acts:
        return []
    text = "sessions that it got of roles were not looked for. By hand:"
    return [Check(NAME, False, f"{text} {lookup_commands(principal)}")]


def _is_alive(known: OpenSessions) -> bool:
    return parse_time(known["ends"]).timestamp() > time.time()


def late_checks(principal: PrincipalContext) -> list[Check]:
    """Returns a failed check for each role whose sessions containing again would deny."""
    return [
        Check(f"{NAME} {name_of(known['role'])}", False, known["text"])
        for known in recorded(principal).get("open") or []
        if known["late"] and _is_alive(known)
    ]


def checks(principal: PrincipalContext) -> list[Check]:
    """Returns the check of what the search left open; none where nothing is, and nothing was at the
    verdict, and for a record of an earlier release.
    """
    state = recorded(principal)
    if "open" not in state:
        return []
    known: SessionSearch = {**state, "open": [left for left in state["open"] if not left["late"]]}
    if texts := remarks(known):
        return [Check(NAME, False, "; ".join(texts))]
    if NAME not in (principal.stored.get("weak") or []):
        return []
    return [Check(NAME, True, "every session that CloudTrail shows is denied, or over")]
