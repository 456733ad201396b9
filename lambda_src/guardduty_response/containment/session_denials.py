"""The one policy of a role that denies named sessions, whichever containments they are denied for.

IAM counts the characters of all inline policies of a role together (10,240: IAM User Guide, "IAM
and AWS STS quotas"), so the containments of one role share a policy. Each has an entry with the
role's shared setting (``incident/shared_settings.py``), and the policy follows from the entries.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardduty_response.containment.role_policies import (
    deny,
    revoked_before,
    statements,
    without_revocation,
)
from guardduty_response.containment.session_entries import (
    CLOCKS,
    LONGEST,
    entries_of,
    has_expired,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guardduty_response.aws.api import PolicyDocument, PolicyStatement
    from guardduty_response.containment.session_entries import RoleEntry, SessionDenial
    from guardduty_response.incident.shared_settings import SharedSetting
    from guardduty_response.incident.target_repository import Place

NAMED = {"StringEquals", "DateLessThan"}  # the operators of a statement that denies named sessions


def sessions_policy(prefix: str) -> str:
    """Returns the name of the policy."""
    return f"{prefix}-sessions"


def managed_policy(prefix: str, role: str) -> str:
    """Returns the name of the managed policy of a role (its ARN), which denies what has no room in
    the role.
    """
    return f"{sessions_policy(prefix)}-{hashlib.sha256(role.encode()).hexdigest()[:12]}"


def policy_name(prefix: str, denied: str) -> str:
    """Returns the name of a policy that a person writes: the same for the same that is ``denied``,
    and no other's, so that nobody else's denials are written over.
    """
    return f"{prefix}-deny-{hashlib.sha256(denied.encode()).hexdigest()[:12]}"


def rounded_up(moment: datetime) -> str:
    """Returns a moment as IAM's policies have it (ISO 8601, UTC), rounded up to the second: a
    session issued within this second is older too.
    """
    return (moment + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_rounded_up() -> str:
    """Returns now in UTC, rounded up to the second: a session issued within this second is older
    too.
    """
    return rounded_up(datetime.now(UTC))


def look_at() -> str:
    """Returns when sessions that are issued now are over (ISO 8601, UTC)."""
    return rounded_up(datetime.fromtimestamp(time.time(), UTC) + LONGEST + CLOCKS)


# -- the policy ------------------------------------------------------------------------------------


def document(
    denials: Iterable[SessionDenial], others: Iterable[PolicyStatement] = ()
) -> PolicyDocument | None:
    """Returns the policy of these denials, after ``others``; None: there is nothing to deny.

    The instances share one statement, the sessions with the same date another.
    """
    instances: set[str] = set()
    dates: dict[str, str] = {}
    for denial in denials:
        if instance := denial.get("instance"):
            instances.add(f"*:{instance}")
        for userid in denial.get("userids") or []:
            dates[userid] = max(denial["before"], dates.get(userid, ""))
    found = list(others)
    if instances:
        found.append(deny("StringLike", "aws:userid", sorted(instances)))
    for date in sorted(set(dates.values())):
        userids = sorted(userid for userid, before in dates.items() if before == date)
        statement = deny("StringEquals", "aws:userid", userids)
        statement["Condition"]["DateLessThan"] = {"aws:TokenIssueTime": date}
        found.append(statement)
    return {"Version": "2012-10-17", "Statement": found} if found else None


def deny_sessions(userids: list[str], before: str) -> PolicyDocument:
    """Returns a policy that denies everything to these sessions (``AROA…:name``) as far as they
    were issued before ``before`` (ISO 8601, UTC).
    """
    denied = document([{"userids": userids, "before": before}])
    assert denied is not None, "it denies no session"
    return denied


def foreign(policy: PolicyDocument | None) -> list[PolicyStatement]:
    """Returns the statements of a policy that ``document`` does not write: somebody else's."""
    return [
        statement
        for statement in statements(policy)
        if not (_instances(statement) or _userids(statement))
    ]


def denied_before(policy: PolicyDocument | None, userid: str) -> str:
    """Returns the date before which a policy denies the session of that ``aws:userid``, or ''."""
    found = [revoked_before(policy)]
    for statement in statements(policy):
        if userid in _userids(statement):
            date = statement["Condition"]["DateLessThan"].get("aws:TokenIssueTime") or ""
            found.append(str(date[0] if isinstance(date, list) else date))
    return max(found)


def denies(policy: PolicyDocument | None, denial: SessionDenial) -> bool:
    """Tells whether a policy denies all that ``denial`` says."""
    if instance := denial.get("instance"):
        patterns = [name for found in statements(policy) for name in _instances(found)]
        return f"*:{instance}" in patterns
    userids, before = denial.get("userids") or [], denial.get("before") or ""
    return all(denied_before(policy, userid) >= before for userid in userids)


def denies_any(policy: PolicyDocument | None, denial: SessionDenial) -> bool:
    """Tells whether a policy denies by name anything of what ``denial`` says."""
    if denial.get("instance"):
        return denies(policy, denial)
    named = {userid for found in statements(policy) for userid in _userids(found)}
    return not named.isdisjoint(denial.get("userids") or [])


def _condition(statement: PolicyStatement, operators: set[str], operator: str) -> list[str]:
    """Returns the values of ``aws:userid``, where the statement denies everything with just these
    operators.
    """
    condition = statement.get("Condition") or {}
    everything = all(statement.get(key) in ("*", ["*"]) for key in ("Action", "Resource"))
    if statement.get("Effect") != "Deny" or not everything or set(condition) != operators:
        return []
    found = condition[operator].get("aws:userid") or []
    return [found] if isinstance(found, str) else list(found)


def _instances(statement: PolicyStatement) -> list[str]:
    return _condition(statement, {"StringLike"}, "StringLike")


def _userids(statement: PolicyStatement) -> list[str]:
    return _condition(statement, NAMED, "StringEquals")


# -- the entries -----------------------------------------------------------------------------------


def denials_of(
    entries: dict[Place, RoleEntry], without: tuple[Place, str] | None = None, policy: str = ""
) -> list[SessionDenial]:
    """Returns the denials of sessions that may live, of the managed ``policy`` or else of the
    inline one. ``without``: but for that containment's part.
    """
    return [
        denial
        for place, entry in sorted(entries.items())
        for part, denial in sorted(entry["denials"].items())
        if (place, part) != without
        and denial.get("policy", "") == policy
        and not has_expired(denial.get("before", ""))
    ]


def older_of(entries: dict[Place, RoleEntry], place: Place | None, policy: str = "") -> str:
    """Returns the date before which others than ``place`` need every session denied, or ''.

    ``policy``: the managed policy that has it; empty: AWSRevokeOlderSessions has.
    """
    dates = [
        entry.get("older") or ""
        for other, entry in entries.items()
        if other != place and entry.get("older_in", "") == policy
    ]
    return max((date for date in dates if not has_expired(date)), default="")


def revocation_without(
    place: Place, shared: SharedSetting, now: PolicyDocument | None, before: PolicyDocument | None
) -> PolicyDocument | None:
    """Returns AWSRevokeOlderSessions without what a containment made of it. ``now``: the policy as
    it is; ``before``: as it was before that containment.
    """
    date = revoked_before(now)
    if date not in {entry.get("older") for entry in shared.known.values() if entry.get("older")}:
        return now  # it is a person's, or was taken out
    kept = max(shared.known[place]["base"], older_of(entries_of(shared), place))
    if kept == date:
        return now
    left = without_revocation(now, kept)
    if kept == revoked_before(before) and left == without_revocation(before, kept):
        return before
    return left
