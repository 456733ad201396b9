"""Denies the sessions that a principal holds in other roles, on these roles.

What denies a user ends none of the role sessions it has already got: each is a principal of its
own.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.contract import Check
from guardduty_response.containment.role_policies import role_policy
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    Sessions,
    describe_error,
    name_of,
    run_all,
)
from guardduty_response.decision.globs import matches
from guardduty_response.decision.own_roles import is_own, own_roles
from guardduty_response.playbooks.iam_principal import chained_denial
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    now_rounded_up,
)
from guardduty_response.playbooks.iam_principal.role import deny_sessions, policy_name
from guardduty_response.playbooks.iam_principal.session_search import (
    ChainedSession,
    find,
    manual_command,
)

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry
    from guardduty_response.playbooks.iam_principal.records import (
        DeniedSessions,
        DeniedSessionsBefore,
    )

NAME = chained_denial.NAME
MOST_RECORDED = 50  # sessions that the record lists


def denied_roles(principal: PrincipalContext) -> dict[str, DeniedSessions]:
    """Returns each role's ARN with what is denied on it, by the record."""
    return dict(principal.evidence_state(NAME).get("roles") or {})


# -- containment -----------------------------------------------------------------------------------


def deny(principal: PrincipalContext) -> None:
    """Finds and denies the sessions. The action log says what was found, where it is denied, and
    what lies in other accounts.
    """
    if not principal.options["user_role_sessions"]:
        principal.log_action(NAME, SKIPPED, "switched off (user_role_sessions)")
        return
    try:
        found, remarks = find(principal)
    except Exception as error:
        reason = describe_error(error)
        detail = f"CloudTrail could not be queried ({reason}). By hand: {manual_command(principal)}"
        principal.log_action(NAME, FAILED, detail)
        return
    roles = denied_roles(principal)
    by_role, not_denied = _new_sessions(principal, found, roles)
    remarks += not_denied
    calls = {
        role: partial(_deny_on_role, principal, role, sessions, roles.get(role))
        for role, sessions in by_role.items()
    }
    for role, answer in run_all(calls, BRANCHES).items():
        if isinstance(answer, Exception):
            command = _manual_command(principal, by_role[role][0])
            remarks.append(f"sessions in {role} not denied ({describe_error(answer)}): {command}")
        else:
            roles[role] = answer
    _write(principal, found, roles, remarks, changed=bool(calls))


def _new_sessions(
    principal: PrincipalContext,
    found: list[ChainedSession],
    roles: dict[str, DeniedSessions],
) -> tuple[dict[str, list[ChainedSession]], list[str]]:
    """Returns the sessions that are not denied yet, by role, and why others will not be."""
    by_role: dict[str, list[ChainedSession]] = {}
    remarks: list[str] = []
    for session in found:
        if session.account != principal.target.account_id:
            command = _manual_command(principal, session)
            remarks.append(f"{session.userid} in {session.role} (another account): {command}")
        elif reason := _exemption(principal, session.role):
            remarks.append(f"{session.userid} in {session.role} left: {reason}")
        elif session.role not in roles or session.userid not in roles[session.role]["userids"]:
            by_role.setdefault(session.role, []).append(session)
    return by_role, remarks


def _write(
    principal: PrincipalContext,
    found: list[ChainedSession],
    roles: dict[str, DeniedSessions],
    remarks: list[str],
    changed: bool,
) -> None:
    counts = [
        f"{name_of(role)} ({len(denied['userids'])})" for role, denied in sorted(roles.items())
    ]
    detail = "it holds no session of a role, as far as CloudTrail shows by now"
    if counts:
        detail = f"sessions denied in {', '.join(counts)}"
    recorded = [asdict(session) for session in found][-MOST_RECORDED:]
    entry: EvidenceEntry = {
        "outcome": "PARTIAL" if remarks else "COMPLETE",
        "detail": detail,
        "objects": [],
        "task": "; ".join(remarks)[:1000],
        "state": {"roles": roles, "found": recorded},
        "at": now_rounded_up(),
    }
    principal.record_evidence(NAME, entry)
    principal.stored.setdefault("evidence", {})[NAME] = entry
    status = DONE if changed else SKIPPED
    if remarks:
        status = FAILED
    principal.log_action(NAME, status, "; ".join([detail, *remarks])[:1500])


def _exemption(principal: PrincipalContext, role: str) -> str:
    """Why a role is not changed, or empty."""
    config = principal.context.config
    if is_own(role, own_roles(config)):
        return "a role of the response itself"
    for pattern in config.guardrails["exempt_principals"]:
        if matches(pattern, role):
            return f"exempt (guardrails.exempt_principals: {pattern})"
    return ""


def _deny_on_role(
    principal: PrincipalContext,
    role: str,
    sessions: list[ChainedSession],
    known: DeniedSessions | None,
) -> DeniedSessions:
    """Denies the role's sessions, those denied before too."""
    name = policy_name(principal.prefix, f"{principal.id} {role}")
    grant = ("iam:GetRolePolicy", "iam:PutRolePolicy")
    iam = Sessions(principal, [], {role: grant}).client("iam", role, grant)
    state: DeniedSessionsBefore = {
        "role": role,
        "policy": name,
        "document": role_policy(iam, role, name),
    }
    principal.record_before_state(f"{NAME}/{name_of(role)}", state)
    userids = {session.userid for session in sessions}
    if known:
        userids |= set(known["userids"])
    denied: DeniedSessions = {
        "policy": name,
        "userids": sorted(userids),
        "before": now_rounded_up(),
    }
    put = partial(
        iam.put_role_policy,
        RoleName=name_of(role),
        PolicyName=name,
        PolicyDocument=json.dumps(deny_sessions(denied["userids"], denied["before"])),
    )
    retry_on_conflict(put)
    return denied


def _manual_command(principal: PrincipalContext, session: ChainedSession) -> str:
    denial = deny_sessions([session.userid], now_rounded_up())
    document = json.dumps(denial, separators=(",", ":"))
    name = policy_name(principal.prefix, f"{principal.id} {session.role}")
    return (
        f"aws iam put-role-policy --role-name {name_of(session.role)} --policy-name {name}"
        f" --policy-document '{document}'"
    )


# -- verification ----------------------------------------------------------------------------------


def checks(principal: PrincipalContext) -> list[Check]:
    """Returns a check for each role whose sessions were denied."""
    roles = denied_roles(principal)
    if not roles:
        return []
    grant = ("iam:GetRolePolicy",)
    sessions = Sessions(principal, [], dict.fromkeys(roles, grant))
    calls = {}
    for role, denied in roles.items():
        client = sessions.client("iam", role, grant)
        calls[role] = partial(role_policy, client, role, denied["policy"])
    answers = run_all(calls)
    return [_check(role, denied, answers[role]) for role, denied in roles.items()]


def _check(role: str, denied: DeniedSessions, found: object) -> Check:
    """``found``: the policy that is there, None, or the error of reading it."""
    name = f"{NAME} {name_of(role)}"
    where = f"policy {denied['policy']} of role {name_of(role)}"
    if isinstance(found, Exception):
        return Check(
            name, False, f"{where} could not be read ({describe_error(found)})", read=False
        )
    count = len(denied["userids"])
    plural = "session" if count == 1 else "sessions"
    if found == deny_sessions(denied["userids"], denied["before"]):
        return Check(name, True, f"{count} {plural} denied by {where}")
    return Check(name, False, f"{count} {plural} NOT denied by {where}")
