"""Says which sessions that a target's credentials got of roles are known and not denied, and what
the search for them left open: while there is any of it, the target is not contained.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.errors import describes_transient
from guardduty_response.cloudtrail import session_search
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.containment.chained_denial import NAME
from guardduty_response.containment.contract import Check
from guardduty_response.containment.role_policies import OLDER, deny, revoke_document
from guardduty_response.containment.session_denials import (
    deny_sessions,
    now_rounded_up,
    policy_name,
)
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.containment.session_policy import compact
from guardduty_response.containment.target_context import name_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.records import (
        DeniedSessions,
        OpenSessions,
        SessionSearch,
    )
    from guardduty_response.containment.session_holder import ChainedSession, SessionHolder

MOST_NAMED = 5  # sessions in a sentence, and in a command: a policy has room for so many for sure
MOST_RECORDED = 50  # sessions that the record lists of a role


def elsewhere(holder: SessionHolder, role: str, sessions: list[ChainedSession]) -> OpenSessions:
    """Returns sessions in a role of another account."""
    names, command = _names(sessions), manual_command(holder, role, sessions)
    text = f"{names} in {role} (another account) not denied: {command}"
    return _open(
        role,
        sessions,
        "another account",
        text,
    )


def of_root(holder: SessionHolder, root: str, sessions: list[ChainedSession]) -> OpenSessions:
    """Returns sessions of the root user of a member account, which no policy of IAM limits."""
    account = sessions[0].account
    ends = iso(max(session.ends for session in sessions))
    text = (
        f"{_names(sessions)} of {root} (AssumeRoot) not denied: no policy of IAM limits it, and it"
        f" ends by itself at {ends}. To deny it before:"
        f" {_organization_command(holder, account, _of_root(root))}"
    )
    return _open(root, sessions, "a session of root", text)


def of_aws(holder: SessionHolder, role: str, sessions: list[ChainedSession]) -> OpenSessions:
    """Returns sessions of a role that AWS owns, which takes no policy."""
    denial = deny_sessions([found.userid for found in sessions[:MOST_NAMED]], now_rounded_up())
    account = sessions[0].account
    text = (
        f"{_names(sessions)} in {role} not denied: it is a role of AWS, which takes no policy. By"
        f" hand: {_organization_command(holder, account, denial)}"
    )
    return _open(role, sessions, "a role of AWS", text)


def _of_root(root: str) -> PolicyDocument:
    statement = deny("StringLike", "aws:PrincipalArn", root)
    return {"Version": "2012-10-17", "Statement": [statement]}


def _organization_command(holder: SessionHolder, account: str, policy: PolicyDocument) -> str:
    """Returns the commands, for the organization's management account, that deny by a service
    control policy.
    """
    name = policy_name(holder.prefix, f"{holder.id} {account}")
    document = compact(policy)
    return (
        f"aws organizations create-policy --type SERVICE_CONTROL_POLICY --name {name}"
        f" --description {name} --content '{document}' ;"
        f" aws organizations attach-policy --target-id {account} --policy-id POLICY"
    )


def spared(
    holder: SessionHolder, role: str, sessions: list[ChainedSession], reason: str
) -> OpenSessions:
    """Returns sessions in a role that is left alone for ``reason``."""
    names, command = _names(sessions), manual_command(holder, role, sessions)
    return _open(role, sessions, reason, f"{names} in {role} left: {reason}. By hand: {command}")


def not_denied(
    holder: SessionHolder, role: str, sessions: list[ChainedSession], why: str
) -> OpenSessions:
    """Returns sessions whose denial failed."""
    names, command = _names(sessions), manual_command(holder, role, sessions)
    return _open(role, sessions, why, f"sessions in {role} not denied ({why}): {names}: {command}")


def seen_again(holder: SessionHolder, role: str, sessions: list[ChainedSession]) -> OpenSessions:
    """Returns sessions that a verification found: as before where the role refused the denial;
    else containing again denies them.
    """
    for known in recorded(holder).get("open") or []:
        if known["role"] == role and not describes_transient(known["why"]) and not known["late"]:
            return not_denied(
                holder,
                role,
                sessions,
                known["why"],
            )
    found = not_denied(
        holder,
        role,
        sessions,
        "found by a verification",
    )
    found["late"] = True
    return found


def known_before(
    holder: SessionHolder, roles: dict[str, DeniedSessions], left: list[OpenSessions]
) -> list[OpenSessions]:
    """Returns what an earlier search left open on roles that are neither in ``left`` nor denied by
    now: this one may have failed.
    """
    names = {known["role"] for known in left}
    return [
        known
        for known in recorded(holder).get("open") or []
        if known["role"] not in names
        and not set(known["userids"]) <= set(_denied_on(roles, known["role"]))
    ]


def _denied_on(roles: dict[str, DeniedSessions], role: str) -> list[str]:
    return roles[role]["userids"] if role in roles else []


def recorded(holder: SessionHolder) -> SessionSearch:
    """Returns what the last search came to."""
    return cast("SessionSearch", holder.evidence_state(NAME))


def _open(role: str, sessions: list[ChainedSession], why: str, text: str) -> OpenSessions:
    return {
        "role": role,
        "userids": [session.userid for session in sessions][:MOST_RECORDED],
        "count": len(sessions),
        "why": why,
        "text": text,
        "ends": iso(max(session.ends for session in sessions)),
        "late": False,
    }


def _names(sessions: list[ChainedSession]) -> str:
    names = ", ".join(session.userid for session in sessions[:MOST_NAMED])
    more = len(sessions) - MOST_NAMED
    return f"{names} and {more} more" if more > 0 else names


def manual_command(holder: SessionHolder, role: str, sessions: list[ChainedSession]) -> str:
    """Returns the command that denies the sessions; every session of the role that is older, where
    they are too many for a policy.
    """
    name = policy_name(holder.prefix, f"{holder.id} {role}")
    denial, remark = deny_sessions([found.userid for found in sessions], now_rounded_up()), ""
    if len(sessions) > MOST_NAMED:
        name, denial = OLDER, revoke_document(None, now_rounded_up())
        remark = " (ends every session of the role that was issued until then)"
    document = compact(denial)
    return (
        f"aws iam put-role-policy --role-name {name_of(role)} --policy-name {name}"
        f" --policy-document '{document}'{remark}"
    )


# -- verification ----------------------------------------------------------------------------------


def remarks(state: SessionSearch) -> list[str]:
    """Returns what keeps the target from being contained: sessions alive that are not denied,
    and what could not be looked at.
    """
    alive = [known["text"] for known in state.get("open") or [] if _is_alive(known)]
    return alive + list(state.get("unsearched") or [])


def not_looked_for(holder: SessionHolder) -> str:
    """Says of a target that is gone that nobody looks for what it got of roles."""
    return (
        f"sessions that it got of roles are not looked for ({holder.sessions_option}), and may live"
        f" up to {_hours(holder)}"
    )


def _hours(holder: SessionHolder) -> str:
    hours = holder.session_hours
    return f"{hours} hours" if hours > 1 else "an hour"


def until_text(holder: SessionHolder) -> str:
    """Says of a target that is gone what is denied of the sessions that it got of roles, and until
    when one may live that is not.
    """
    entry = (holder.stored.get("evidence") or {}).get(NAME)
    if not holder.looks_for_sessions:
        return not_looked_for(holder)
    if not entry:
        return "sessions that it got of roles were not looked for"
    until = parse_time(entry["at"]) + timedelta(hours=holder.session_hours)
    return (
        f"{entry['detail']}. One that CloudTrail shows later may live until"
        f" {until.strftime('%Y-%m-%dT%H:%M:%SZ')}"
    )


def unsearched(holder: SessionHolder) -> list[Check]:
    """Returns a failed check where nothing says what the target got of roles."""
    if not holder.looks_for_sessions:
        return []
    if not holder.own_lookups():
        text = "the finding names neither its session nor its key: what it got is not known"
        return [Check(NAME, False, text)]
    if "open" in recorded(holder) or not holder.acts:
        return []
    text = "sessions that it got of roles were not looked for. By hand:"
    return [Check(NAME, False, f"{text} {session_search.manual_command(holder)}")]


def _is_alive(known: OpenSessions) -> bool:
    return parse_time(known["ends"]).timestamp() > time.time()


def late_checks(holder: SessionHolder) -> list[Check]:
    """Returns a failed check for each role whose sessions containing again would deny."""
    return [
        Check(f"{NAME} {name_of(known['role'])}", False, known["text"])
        for known in recorded(holder).get("open") or []
        if known["late"] and _is_alive(known)
    ]


def checks(holder: SessionHolder) -> list[Check]:
    """Returns the check of what the search left open; none where nothing is, and nothing was at the
    verdict, and for a record of an earlier release.
    """
    state = recorded(holder)
    if "open" not in state:
        return []
    known: SessionSearch = {**state, "open": [left for left in state["open"] if not left["late"]]}
    if texts := remarks(known):
        return [Check(NAME, False, "; ".join(texts))]
    if NAME not in (holder.stored.get("weak") or []):
        return []
    return [Check(NAME, True, "every session that CloudTrail shows is denied, or over")]
