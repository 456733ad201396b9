"""Sessions that a principal holds in other roles: found in CloudTrail, denied on the roles.

What denies a user ends none of the role sessions it has already got: each is a principal of its
own. CloudTrail shows an AssumeRole call some minutes late, so this is looked at when containing and
once more when the rest has ended.
"""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.cloudtrail import query
from guardduty_response.cloudtrail.time_range import TimeRange
from guardduty_response.containment.contract import Check
from guardduty_response.containment.role_policies import role_policy
from guardduty_response.containment.target_context import (
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    Sessions,
    describe_error,
    name_of,
    run_all,
)
from guardduty_response.decision.finding import get, text
from guardduty_response.decision.policy import matches
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal import regions
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    now_rounded_up,
    retry_on_conflict,
)
from guardduty_response.playbooks.iam_principal.role import deny_sessions, policy_name

NAME = "held_sessions"
# what a session lives when nobody says how long, and what clocks may differ
HOUR, CLOCKS = 3600, 300
HOURS = 12  # a role session lives no longer (AWS STS AssumeRole, DurationSeconds)
# for each round of questions, and questions in all: containment's verdict waits for this
SECONDS, QUESTIONS = 15, 12


@dataclass(frozen=True)
class Held:
    """A session got by AssumeRole at ``at``: ``userid`` is ``AROA…:name``, ``role`` the role's
    ARN.
    """

    userid: str
    role: str
    key: str
    at: str
    ends: float  # seconds since 1970: after it the session is dead by itself

    @property
    def account(self) -> str:
        return self.role.split(":")[4] if self.role.count(":") >= 5 else ""


# -- found -----------------------------------------------------------------------------------------


def find(principal: PrincipalContext) -> tuple[list[Held], list[str]]:
    """(every session alive that the principal, or a session it got, got by AssumeRole; what could
    not be looked at, with the command). A session may get another one in any Region: what one
    Region shows is asked in all of them. Raises when no Region could be asked.
    """
    session = regions.looking(principal)
    names, remark = regions.enabled(principal, session)
    start = datetime.now(UTC) - timedelta(hours=HOURS)
    left = _own(principal)
    asked: set[tuple[str, str]] = set()
    told = {"": remark} if remark else {}
    found: dict[str, Held] = {}
    while left and len(asked) < QUESTIONS:
        some = left[: QUESTIONS - len(asked)]
        asked |= set(some)
        got = run_all(
            {
                name: partial(events, session.client("cloudtrail", name), some, start)
                for name in names
            },
            BRANCHES,
        )
        bad = {
            name: describe_error(one) if isinstance(one, Exception) else one[1]
            for name, one in got.items()
        }
        bad = {name: trouble for name, trouble in bad.items() if trouble}
        read = [trail for one in got.values() if not isinstance(one, Exception) for trail in one[0]]
        if len(bad) == len(got) and not read and not found:
            raise ResponseError(next(iter(bad.values())))
        told |= {
            name: f"{name} not looked at ({one}): {_lookup(*some[0], name)}"
            for name, one in bad.items()
        }
        left = left[len(some) :]
        for trail in read:
            held = _held(trail)
            if held and _by(trail, principal, {value for _, value in asked}):
                found[held.userid] = max(
                    held, found.get(held.userid, held), key=lambda one: one.ends
                )
                left += [("AccessKeyId", held.key)] if held.key else []
        left = [one for one in dict.fromkeys(left) if one not in asked]
    if left:
        told["more"] = (
            f"not asked what {len(left)} more of its sessions did:"
            f" {_lookup(*left[0], principal.target.region)}"
        )
    alive = [held for held in found.values() if held.ends > time.time()]
    return sorted(alive, key=lambda held: held.at), list(told.values())


def _own(principal: PrincipalContext) -> list[tuple[str, str]]:
    """What CloudTrail knows the principal's own calls by: a role session's name is its
    ``Username``.
    """
    keys = [("AccessKeyId", principal.who.key)] if principal.who.key.startswith("ASIA") else []
    return [
        *([("Username", name)] if (name := principal.who.user or principal.who.session) else []),
        *keys,
    ]


def events(
    client: Any, questions: list[tuple[str, str]], start: datetime
) -> tuple[list[Json], str]:
    """(CloudTrail records since ``start`` by (attribute, value), why there may be more or
    empty).
    """
    found: list[Json] = []

    def take(event: Json) -> int:
        found.append(json.loads(event["CloudTrailEvent"]))
        return 1

    asked = [query.new_query(attribute, value) for attribute, value in questions]
    window = TimeRange(int(start.timestamp()), int(time.time()) + 60)
    query.run(client, asked, window, time.monotonic() + SECONDS, take)
    late = f"not answered to its end within {SECONDS} s"
    trouble = [
        one.get("note") or one.get("cut") or ("" if one.get("done") else late) for one in asked
    ]
    return found, next(filter(None, trouble), "")


def _lookup(attribute: str, value: str, region: str) -> str:
    attributes = shlex.quote(f"AttributeKey={attribute},AttributeValue={value}")
    return (
        f"aws cloudtrail lookup-events --lookup-attributes {attributes} --region {region}"
        " (AssumeRole events)"
    )


def _by(trail: Json, principal: PrincipalContext, known: set[str]) -> bool:
    """Whether the principal made the call, or a session it got. A user of the same name in another
    account, and another role's session of the same name, answer to the same ``Username``.
    """
    identity = trail.get("userIdentity")
    if get(identity, "accessKeyId") in known:
        return True
    unique_id, id = (
        principal.scope("unique_id") or principal.who.unique_id,
        get(identity, "principalId"),
    )
    if principal.who.session:
        return bool(unique_id) and id == f"{unique_id}:{principal.who.session}"
    return get(identity, "type") == "IAMUser" and (not unique_id or id == unique_id)


def _held(trail: Json) -> Held | None:
    """The session an AssumeRole event gave, or None."""
    if trail.get("eventName") != "AssumeRole" or trail.get("errorCode"):
        return None
    asked, response = trail.get("requestParameters"), trail.get("responseElements")
    userid, role = (
        text(get(response, "assumedRoleUser", "assumedRoleId"), 200),
        text(get(asked, "roleArn"), 300),
    )
    if not userid.startswith("AROA") or ":role/" not in role:
        return None
    at, seconds = text(trail.get("eventTime"), 40), get(asked, "durationSeconds")
    try:
        began = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        began = time.time()
    lives = seconds if isinstance(seconds, int) else HOUR
    return Held(
        userid,
        role,
        text(get(response, "credentials", "accessKeyId"), 40),
        at,
        began + lives + CLOCKS,
    )


# -- denied ----------------------------------------------------------------------------------------


def deny(principal: PrincipalContext) -> None:
    """Finds and denies; the ledger says what was found, where it is denied, and what lies in
    other accounts.
    """
    if not principal.options["user_role_sessions"]:
        principal.log_action(NAME, SKIPPED, "switched off (user_role_sessions)")
        return
    kept: Json = principal.stored.get("evidence", {}).get(NAME) or {}
    try:
        found, told = find(principal)
    except Exception as error:
        hand = " ; ".join(_lookup(*one, principal.target.region) for one in _own(principal))
        principal.log_action(
            NAME,
            FAILED,
            f"CloudTrail could not be asked ({describe_error(error)}). By hand: {hand}",
        )
        return
    roles: Json = dict((kept.get("state") or {}).get("roles") or {})
    mine: dict[str, list[Held]] = {}
    for held in found:
        known = set((roles.get(held.role) or {}).get("userids") or [])
        if held.account != principal.target.account_id:
            told.append(
                f"{held.userid} in {held.role} (another account): {_by_hand(principal, held)}"
            )
        elif reason := _spared(principal, held.role):
            told.append(f"{held.userid} in {held.role} left: {reason}")
        elif held.userid not in known:
            mine.setdefault(held.role, []).append(held)
    got = run_all(
        {
            role: partial(_deny, principal, role, some, roles.get(role) or {})
            for role, some in mine.items()
        },
        BRANCHES,
    )
    for role, one in got.items():
        if isinstance(one, Exception):
            told.append(
                f"sessions in {role} not denied ({describe_error(one)}): "
                f"{_by_hand(principal, mine[role][0])}"
            )
        else:
            roles[role] = one
    _write(principal, found, roles, told, bool(got))


def _write(
    principal: PrincipalContext, found: list[Held], roles: Json, told: list[str], changed: bool
) -> None:
    denied = ", ".join(
        f"{name_of(role)} ({len(one['userids'])})" for role, one in sorted(roles.items())
    )
    detail = (
        f"sessions denied in {denied}"
        if denied
        else "it holds no session of a role, as far as CloudTrail shows by now"
    )
    state = {"roles": roles, "found": [asdict(one) for one in found][-50:]}
    entry: Json = {
        "outcome": "PARTIAL" if told else "COMPLETE",
        "detail": detail,
        "objects": [],
        "task": "; ".join(told)[:1000],
        "state": state,
        "at": now_rounded_up(),
    }
    principal.record_evidence(NAME, entry)
    principal.stored.setdefault("evidence", {})[NAME] = entry
    principal.log_action(
        NAME, FAILED if told else DONE if changed else SKIPPED, "; ".join([detail, *told])[:1500]
    )


def _spared(principal: PrincipalContext, role: str) -> str:
    """Why a role is not touched, or empty."""
    settings = principal.context.config
    if cloudtrail_event.is_own(role, cloudtrail_event.own_roles(settings)):
        return "a role of the response itself"
    for pattern in settings.guardrails["exempt_principals"]:
        if matches(pattern, role):
            return f"exempt (guardrails.exempt_principals: {pattern})"
    return ""


def _deny(principal: PrincipalContext, role: str, some: list[Held], known: Json) -> Json:
    """Denies the role's sessions, those known before too. Returns {policy, userids, before}."""
    name = policy_name(principal.prefix, f"{principal.id} {role}")
    grant = ("iam:GetRolePolicy", "iam:PutRolePolicy")
    iam = Sessions(principal, [], {role: grant}).client("iam", role, grant)
    principal.record_before_state(
        f"{NAME}/{name_of(role)}",
        {"role": role, "policy": name, "document": role_policy(iam, role, name)},
    )
    userids = sorted({*(known.get("userids") or []), *(held.userid for held in some)})
    before = now_rounded_up()
    document = json.dumps(deny_sessions(userids, before))
    retry_on_conflict(
        partial(
            iam.put_role_policy, RoleName=name_of(role), PolicyName=name, PolicyDocument=document
        )
    )
    return {"policy": name, "userids": userids, "before": before}


def _by_hand(principal: PrincipalContext, held: Held) -> str:
    document = json.dumps(deny_sessions([held.userid], now_rounded_up()), separators=(",", ":"))
    name = policy_name(principal.prefix, f"{principal.id} {held.role}")
    return (
        f"aws iam put-role-policy --role-name {name_of(held.role)} --policy-name {name}"
        f" --policy-document '{document}'"
    )


# -- read back -------------------------------------------------------------------------------------


def checks(principal: PrincipalContext) -> list[Check]:
    """One for each role whose sessions were denied."""
    state = ((principal.stored.get("evidence") or {}).get(NAME) or {}).get("state") or {}
    roles: Json = state.get("roles") or {}
    if not roles:
        return []
    grant = ("iam:GetRolePolicy",)
    sessions = Sessions(principal, [], dict.fromkeys(roles, grant))
    got = run_all(
        {
            role: partial(role_policy, sessions.client("iam", role, grant), role, one["policy"])
            for role, one in roles.items()
        }
    )
    out = []
    for role, one in roles.items():
        found, name, where = (
            got[role],
            f"{NAME} {name_of(role)}",
            f"policy {one['policy']} of role {name_of(role)}",
        )
        if isinstance(found, Exception):
            out.append(
                Check(
                    name, False, f"{where} could not be read ({describe_error(found)})", read=False
                )
            )
            continue
        ok = found == deny_sessions(one["userids"], one["before"])
        out.append(
            Check(
                name,
                ok,
                f"{len(one['userids'])} session(s) {'denied' if ok else 'NOT denied'} by {where}",
            )
        )
    return out
