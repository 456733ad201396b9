"""Denies the sessions that a principal holds in other roles, on these roles.

What denies a user ends none of the role sessions it has already got: each is a principal of its
own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.contract import Check
from guardduty_response.containment.managed_denial import ManagedDenial
from guardduty_response.containment.role_policies import OLDER, role_policy
from guardduty_response.containment.session_denials import (
    denies,
    has_expired,
    sessions_policy,
)
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
from guardduty_response.playbooks.iam_principal import chained_denial, open_sessions
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    now_rounded_up,
    parse_time,
)
from guardduty_response.playbooks.iam_principal.session_search import (
    SECONDS,
    ChainedSession,
    find,
    manual_command,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.session_denials import SessionDenial
    from guardduty_response.incident.model import EvidenceEntry, StoredState
    from guardduty_response.playbooks.iam_principal.records import (
        DeniedSessions,
        DeniedSessionsBefore,
        OpenSessions,
        SessionSearch,
    )

NAME = chained_denial.NAME
AGAIN_SECONDS = 20  # for a check's lookups: it may read twice, and monitoring reserves 45 s for it
MOST_RECORDED = 50  # sessions that the record lists


def denied_roles(principal: PrincipalContext) -> dict[str, DeniedSessions]:
    """Returns each role's ARN with what is denied on it, by the record, and was not given back."""
    roles: dict[str, DeniedSessions] = principal.evidence_state(NAME).get("roles") or {}
    restored: Mapping[str, Any] = principal.stored.get("restored") or {}
    names = {f"{NAME}/{name_of(role)}": role for role in roles}
    given_back = {names[name] for name in restored.get("done") or [] if name in names}
    if not given_back:
        return dict(roles)
    # ``before`` of a denial is its time, rounded up by a second.
    since = parse_time(restored["at"]) + timedelta(seconds=1)
    return {
        role: denied
        for role, denied in roles.items()
        if role not in given_back or parse_time(denied["before"]) > since
    }


# -- containment -----------------------------------------------------------------------------------


def deny(principal: PrincipalContext, seconds: int = SECONDS) -> None:
    """Finds and denies the sessions. The action log says what was found, where it is denied, and
    what is not. ``seconds``: for all CloudTrail lookups.
    """
    if not principal.options["user_role_sessions"]:
        principal.log_action(NAME, SKIPPED, "switched off (user_role_sessions)")
        return
    found, unsearched = _search(principal, seconds)
    roles = denied_roles(principal)
    by_role, left = _new_sessions(principal, found, roles)
    calls = {
        role: partial(
            _deny_on_role,
            principal,
            role,
            sessions,
            roles.get(role),
        )
        for role, sessions in by_role.items()
    }
    for role, answer in run_all(calls, BRANCHES).items():
        if isinstance(answer, Exception) and error_code(answer) == "NoSuchEntity":
            continue  # the role is deleted: its sessions can do nothing
        if isinstance(answer, Exception):
            why = describe_error(answer)
            left.append(
                open_sessions.not_denied(
                    principal,
                    role,
                    by_role[role],
                    why,
                )
            )
        else:
            roles[role] = answer
    left += open_sessions.known_before(principal, roles, left)
    entry = _keep(
        principal,
        _entry(
            found,
            roles,
            left,
            unsearched,
        ),
    )
    remarks = open_sessions.remarks(cast("SessionSearch", entry["state"]))
    status = DONE if calls else SKIPPED
    if remarks:
        status = FAILED
    principal.log_action(NAME, status, "; ".join([entry["detail"], *remarks])[:1500])


def search_again(principal: PrincipalContext, keeps: bool) -> None:
    """Repeats a search that was not complete, or left sessions alive, for a verification: what is
    found is not denied. ``keeps``: whether the record gets what was found.
    """
    is_open = open_sessions.remarks(open_sessions.recorded(principal))
    if not is_open or not principal.options["user_role_sessions"]:
        return
    found, unsearched = _search(principal, AGAIN_SECONDS)
    roles = denied_roles(principal)
    by_role, left = _new_sessions(principal, found, roles)
    for role, sessions in by_role.items():
        left.append(open_sessions.seen_again(principal, role, sessions))
    left += open_sessions.known_before(principal, roles, left)
    _keep(
        principal,
        _entry(
            found,
            roles,
            left,
            unsearched,
        ),
        keeps,
    )


def _keep(principal: PrincipalContext, entry: EvidenceEntry, records: bool = True) -> EvidenceEntry:
    """Keeps what was found for this step's checks, and in the record. Returns it."""
    if records:
        principal.record_evidence(NAME, entry)
    principal.stored["evidence"] = {**(principal.stored.get("evidence") or {}), NAME: entry}
    return entry


def _search(principal: PrincipalContext, seconds: int) -> tuple[list[ChainedSession], list[str]]:
    """Returns what was found, and what could not be looked at."""
    try:
        return find(principal, seconds)
    except Exception as error:  # the rest of containment stands without it, and the verdict says it
        reason = describe_error(error)
        command = manual_command(principal)
        return [], [f"CloudTrail could not be queried ({reason}). By hand: {command}"]


def _new_sessions(
    principal: PrincipalContext,
    found: list[ChainedSession],
    roles: dict[str, DeniedSessions],
) -> tuple[dict[str, list[ChainedSession]], list[OpenSessions]]:
    """Returns the sessions that are not denied yet, by role, and those that cannot be."""
    by_role: dict[str, list[ChainedSession]] = {}
    for session in found:
        if session.role not in roles or session.userid not in roles[session.role]["userids"]:
            by_role.setdefault(session.role, []).append(session)
    left: list[OpenSessions] = []
    for role, sessions in list(by_role.items()):
        if sessions[0].account != principal.target.account_id:
            left.append(open_sessions.elsewhere(principal, role, sessions))
        elif reason := _exemption(principal, role):
            left.append(
                open_sessions.spared(
                    principal,
                    role,
                    sessions,
                    reason,
                )
            )
        else:
            continue
        del by_role[role]
    return by_role, left


def _entry(
    found: list[ChainedSession],
    roles: dict[str, DeniedSessions],
    left: list[OpenSessions],
    unsearched: list[str],
) -> EvidenceEntry:
    counts = [_counted(role, denied) for role, denied in sorted(roles.items())]
    detail = "it holds no session of a role, as far as CloudTrail shows by now"
    if counts:
        detail = f"sessions denied in {', '.join(counts)}"
    elif left or unsearched:
        detail = "no session of a role is denied"
    state: SessionSearch = {
        "roles": roles,
        "found": [asdict(session) for session in found][-MOST_RECORDED:],
        "open": left,
        "unsearched": unsearched,
    }
    remarks = open_sessions.remarks(state)
    return {
        "outcome": "PARTIAL" if remarks else "COMPLETE",
        "detail": detail,
        "objects": [],
        "task": "; ".join(remarks)[:1000],
        "state": cast("StoredState", state),
        "at": now_rounded_up(),
    }


def _counted(role: str, denied: DeniedSessions) -> str:
    text = f"{name_of(role)} ({len(denied['userids'])})"
    if denied["policy"] == OLDER:
        text += (
            f" by {OLDER}, with every session of the role issued until then: the named ones fit in"
            " no policy, and every workload of the role needs new credentials"
        )
    return text


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
    """Denies the role's sessions, those denied before too. Raises SettingBusy."""
    item = f"{NAME}/{name_of(role)}"
    before: DeniedSessionsBefore | None = principal.before_state(item)
    name = before["policy"] if before else sessions_policy(principal.prefix)
    grant = ("iam:GetRolePolicy", "iam:PutRolePolicy")
    iam = Sessions(principal, [], {role: grant})
    with principal.hold(role, OLDER, chained_denial.ChainedDenial.part) as held:
        found = role_policy(iam.client("iam", role, grant), role, name)
        state: DeniedSessionsBefore = {"role": role, "policy": name, "document": found}
        principal.record_before_state(item, state)
        userids = {session.userid for session in sessions}
        if known:
            userids |= set(known["userids"])
        denied: DeniedSessions = {
            "policy": name,
            "userids": sorted(userids),
            "before": now_rounded_up(),
        }
        control = chained_denial.ChainedDenial(principal, item)
        control.held, control.sessions, control.state.settings[item] = held, iam, state
        control.wanted_denial = {"userids": denied["userids"], "before": denied["before"]}
        control.enter()
        control.write(name, control.with_denial(name, found))
        if control.ladder:
            denied["policy"] = control.ladder.written
    return denied


# -- verification ----------------------------------------------------------------------------------


def checks(principal: PrincipalContext) -> list[Check]:
    """Returns a check for each role whose sessions were denied or are to be, and one of what the
    search left open.
    """
    late = open_sessions.late_checks(principal)
    names = {check.name for check in late}
    denied = [check for check in _denial_checks(principal) if check.name not in names]
    return denied + late + open_sessions.checks(principal)


def _denial_checks(principal: PrincipalContext) -> list[Check]:
    roles = denied_roles(principal)
    if not roles:
        return []
    grant = ("iam:GetRolePolicy",)
    sessions = Sessions(principal, [], dict.fromkeys(roles, grant))
    calls: dict[str, Callable[[], PolicyDocument | None]] = {}
    for role, denied in roles.items():
        managed = ManagedDenial(principal, role)
        client = sessions.client("iam", role, grant)
        calls[role] = partial(
            role_policy,
            client,
            role,
            denied["policy"],
        )
        if denied["policy"] == managed.name:
            calls[role] = managed.read
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
    denial: SessionDenial = {"userids": denied["userids"], "before": denied["before"]}
    if denies(cast("PolicyDocument | None", found), denial):
        return Check(name, True, f"{count} {plural} denied by {where}")
    if has_expired(denied["before"]):
        return Check(name, True, f"{count} {plural} of role {name_of(role)} over by now")
    return Check(name, False, f"{count} {plural} NOT denied by {where}")
