"""Denies the sessions that a target's credentials got of other roles, on these roles.

What denies a user or a role session ends none of the role sessions that it has already got: each is
a principal of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.errors import describes_transient, error_code
from guardduty_response.cloudtrail import session_search
from guardduty_response.containment import chained_denial, open_sessions
from guardduty_response.containment.contract import Check
from guardduty_response.containment.managed_denial import ManagedDenial
from guardduty_response.containment.pauses import control_items, newer_config
from guardduty_response.containment.role_policies import OLDER, is_of_aws, role_policy
from guardduty_response.containment.session_denials import (
    denies,
    now_rounded_up,
    sessions_policy,
)
from guardduty_response.containment.session_entries import has_expired, parse_time
from guardduty_response.containment.session_holder import ChainedSession
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

if TYPE_CHECKING:
    from typing import Any

    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.records import (
        DeniedSessions,
        DeniedSessionsBefore,
        OpenSessions,
        SessionSearch,
    )
    from guardduty_response.containment.session_entries import SessionDenial
    from guardduty_response.containment.session_holder import SessionHolder
    from guardduty_response.decision.configuration import Config
    from guardduty_response.incident.model import EvidenceEntry, StoredState

NAME = chained_denial.NAME
AGAIN_SECONDS = 20  # for a check's lookups: it may read twice, and monitoring reserves 45 s for it
MOST_RECORDED = 50  # sessions that the record lists


def denied_roles(holder: SessionHolder) -> dict[str, DeniedSessions]:
    """Returns each role's ARN with what is denied on it, by the record, and was not given back."""
    roles: dict[str, DeniedSessions] = holder.evidence_state(NAME).get("roles") or {}
    restored: StoredState = holder.stored.get("restored") or {}
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


def deny(
    holder: SessionHolder,
    seconds: int = session_search.SECONDS,
    before_denying: Callable[[], object] | None = None,
) -> None:
    """Finds and denies the sessions. The action log says what was found, where it is denied, and
    what is not. ``seconds``: for all CloudTrail lookups. ``before_denying``: waits for what may
    still hold a role.
    """
    if not holder.looks_for_sessions:
        holder.log_action(NAME, SKIPPED, f"switched off ({holder.sessions_option})")
        return
    found, unsearched = _search(holder, seconds)
    roles = denied_roles(holder)
    by_role, left = _new_sessions(holder, found, roles)
    for role, sessions in _no_longer_denied(holder, found, roles).items():
        by_role.setdefault(role, []).extend(sessions)
    if by_role and before_denying:
        before_denying()
    calls = {
        role: partial(
            _deny_on_role,
            holder,
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
                    holder,
                    role,
                    by_role[role],
                    why,
                )
            )
        else:
            roles[role] = answer
    left += open_sessions.known_before(holder, roles, left)
    entry = _entry(found, roles, left, unsearched)
    remarks = open_sessions.remarks(cast("SessionSearch", entry["state"]))
    status = DONE if calls else SKIPPED
    if remarks:
        status = FAILED
    holder.log_action(NAME, status, "; ".join([entry["detail"], *remarks])[:1500])
    _keep(holder, entry)


def search_again(holder: SessionHolder, keeps: bool, last_look: bool = False) -> list[str]:
    """Repeats a search that was not complete, or left sessions alive, for a verification: what is
    found is not denied. ``keeps``: whether the record gets what was found.

    ``last_look``: also one that was complete. Returns what a throttled one could not look at: then
    nothing is kept, and it is repeated.
    """
    is_open = open_sessions.remarks(open_sessions.recorded(holder))
    if not (is_open or last_look) or not holder.looks_for_sessions:
        return []
    found, unsearched = _search(holder, AGAIN_SECONDS)
    if not is_open and any(map(describes_transient, unsearched)):
        return unsearched
    roles = denied_roles(holder)
    by_role, left = _new_sessions(holder, found, roles)
    for role, sessions in by_role.items():
        left.append(open_sessions.seen_again(holder, role, sessions))
    left += open_sessions.known_before(holder, roles, left)
    _keep(
        holder,
        _entry(
            found,
            roles,
            left,
            unsearched,
        ),
        keeps,
    )
    return []


def _keep(holder: SessionHolder, entry: EvidenceEntry, records: bool = True) -> EvidenceEntry:
    """Keeps what was found for this step's checks, and in the record. Returns it."""
    if records:
        holder.record_evidence(NAME, entry)
    holder.stored["evidence"] = {**(holder.stored.get("evidence") or {}), NAME: entry}
    return entry


def _search(holder: SessionHolder, seconds: int) -> tuple[list[ChainedSession], list[str]]:
    """Returns what was found, and what could not be looked at."""
    try:
        return session_search.find(holder, seconds)
    except Exception as error:  # the rest of containment stands without it, and the verdict says it
        reason = describe_error(error)
        command = session_search.manual_command(holder)
        return [], [f"CloudTrail could not be queried ({reason}). By hand: {command}"]


def _new_sessions(
    holder: SessionHolder,
    found: list[ChainedSession],
    roles: dict[str, DeniedSessions],
) -> tuple[dict[str, list[ChainedSession]], list[OpenSessions]]:
    """Returns the sessions that are not denied yet, by role, and those that cannot be."""
    by_role: dict[str, list[ChainedSession]] = {}
    for session in found:
        if not _is_denied(session, roles) and not holder.is_denied_already(session):
            by_role.setdefault(session.role, []).append(session)
    left: list[OpenSessions] = []
    configs = _configs(holder) if by_role else []
    for role, sessions in list(by_role.items()):
        if sessions[0].is_root:
            left.append(open_sessions.of_root(holder, role, sessions))
        elif sessions[0].account != holder.target.account_id:
            left.append(open_sessions.elsewhere(holder, role, sessions))
        elif is_of_aws(role):
            left.append(open_sessions.of_aws(holder, role, sessions))
        elif reason := _exemption(configs, role):
            left.append(
                open_sessions.spared(
                    holder,
                    role,
                    sessions,
                    reason,
                )
            )
        else:
            continue
        del by_role[role]
    return by_role, left


def _is_denied(session: ChainedSession, roles: dict[str, DeniedSessions]) -> bool:
    """Tells whether it is one of those denied on its role. A denial ends with what was issued
    before it: IAM shows it late, and until then the same name can be got again.
    """
    denied = roles.get(session.role)
    if denied is None or session.userid not in denied["userids"]:
        return False
    return session.began < parse_time(denied["before"]).timestamp()


def _no_longer_denied(
    holder: SessionHolder,
    found: list[ChainedSession],
    roles: dict[str, DeniedSessions],
) -> dict[str, list[ChainedSession]]:
    """Returns by role the sessions alive that were denied, where the denial is not there now."""
    lost = {role for role, check in _denials(holder, roles).items() if not check.ok and check.read}
    if not lost:
        return {}
    recorded = open_sessions.recorded(holder).get("found") or []
    earlier = [ChainedSession(**cast("dict[str, Any]", session)) for session in recorded]
    alive = {each.userid: each for each in [*earlier, *found] if each.ends > time.time()}
    by_role: dict[str, list[ChainedSession]] = {}
    for session in alive.values():
        if session.role in lost and session.userid in roles[session.role]["userids"]:
            by_role.setdefault(session.role, []).append(session)
    return by_role


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
        "found": [session._asdict() for session in found][-MOST_RECORDED:],
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
    if denied["policy"] == OLDER or denied.get("by_date"):
        text += (
            f" by {denied['policy']}, with every session of the role issued until then: the named"
            " ones fit in no policy, and every workload of the role needs new credentials"
        )
    return text


def _configs(holder: SessionHolder) -> list[Config]:
    """Returns the configurations by which a role may be exempt: the function's own, and for what
    changes something the newest, where an apply has not brought it here. The gate asks both, too,
    but knows of the target alone.
    """
    config, record = holder.context.config, holder.context.record
    newest = newer_config(control_items(record), config) if holder.acts else None
    return [config, newest] if newest else [config]


def exemption_of(holder: SessionHolder, role: str) -> str:
    """Returns why a role (its ARN) is not to be changed, or ''."""
    return _exemption(_configs(holder), role)


def _exemption(configs: list[Config], role: str) -> str:
    """Why a role is not changed, or empty."""
    if any(is_own(role, own_roles(config)) for config in configs):
        return "a role of the response itself"
    for config in configs:
        for pattern in config.guardrails["exempt_principals"]:
            if matches(pattern, role):
                return f"exempt (exempt_principals: {pattern})"
    return ""


def _deny_on_role(
    holder: SessionHolder,
    role: str,
    sessions: list[ChainedSession],
    known: DeniedSessions | None,
) -> DeniedSessions:
    """Denies the role's sessions, those denied before too. Raises SettingBusy."""
    item = f"{NAME}/{name_of(role)}"
    before: DeniedSessionsBefore | None = holder.before_state(item)
    name = before["policy"] if before else sessions_policy(holder.prefix)
    grant = ("iam:GetRolePolicy", "iam:PutRolePolicy")
    iam = Sessions(holder, [], {role: grant})
    with holder.hold(role, OLDER, chained_denial.ChainedDenial.part) as held:
        found = role_policy(iam.client("iam", role, grant), role, name)
        state: DeniedSessionsBefore = {"role": role, "policy": name, "document": found}
        holder.record_before_state(item, state)
        userids = {session.userid for session in sessions}
        if known:
            userids |= set(known["userids"])
        denied: DeniedSessions = {
            "policy": name,
            "userids": sorted(userids),
            "before": now_rounded_up(),
        }
        control = chained_denial.ChainedDenial(holder, item)
        control.held, control.sessions, control.state.settings[item] = held, iam, state
        control.wanted_denial = {"userids": denied["userids"], "before": denied["before"]}
        control.enter()
        control.write(name, control.with_denial(name, found))
        control.tag_role()
        if control.ladder:
            denied["policy"] = control.ladder.written
            denied["by_date"] = control.is_by_date(control.ladder.written)
    return denied


# -- verification ----------------------------------------------------------------------------------


def checks(holder: SessionHolder) -> list[Check]:
    """Returns a check for each role whose sessions were denied or are to be, and one of what the
    search left open.
    """
    late = open_sessions.late_checks(holder)
    names = {check.name for check in late}
    denied = _denials(holder, denied_roles(holder)).values()
    kept = [check for check in denied if check.name not in names]
    return kept + late + open_sessions.checks(holder)


def _denials(holder: SessionHolder, roles: dict[str, DeniedSessions]) -> dict[str, Check]:
    """Returns each role with the check of what is denied on it."""
    if not roles:
        return {}
    grant = ("iam:GetRolePolicy",)
    sessions = Sessions(holder, [], dict.fromkeys(roles, grant))
    calls: dict[str, Callable[[], PolicyDocument | None]] = {}
    for role, denied in roles.items():
        managed = ManagedDenial(holder, role)
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
    return {role: _check(role, denied, answers[role]) for role, denied in roles.items()}


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
