"""Sessions that a principal holds in other roles: found in CloudTrail, denied on the roles.

What denies a user ends none of the role sessions it has already got: each is a principal of its own. CloudTrail shows an
AssumeRole call some minutes late, so this is looked at when containing and once more when the rest has ended.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from guardduty_response import aws, breach
from guardduty_response.errors import ResponseError
from guardduty_response.finding import get, text
from guardduty_response.playbooks import Check
from guardduty_response.playbooks.common import lookup
from guardduty_response.playbooks.common.role_policies import role_policy
from guardduty_response.playbooks.common.window import Window
from guardduty_response.playbooks.common.work import BRANCHES, DONE, FAILED, SKIPPED, Json, Sessions, gather, name_of, why
from guardduty_response.playbooks.iam_principal import regions
from guardduty_response.playbooks.iam_principal.core import Work, patient, soon
from guardduty_response.playbooks.iam_principal.role import deny_sessions, policy_name
from guardduty_response.policy import matches

NAME = "held_sessions"
HOURS = 12  # a role session lives no longer (AWS STS AssumeRole, DurationSeconds)
SECONDS, QUESTIONS = 15, 12  # for each question, and questions for each Region: containment's verdict waits for this


@dataclass(frozen=True)
class Held:
    """A session got by AssumeRole: ``userid`` is ``AROA…:name``, ``role`` the role's ARN."""

    userid: str
    role: str
    key: str
    at: str

    @property
    def account(self) -> str:
        return self.role.split(":")[4] if self.role.count(":") >= 5 else ""


# -- found ------------------------------------------------------------------------------------------------------------


def find(work: Work) -> list[Held]:
    """Every session that the principal, or a session it got, got by AssumeRole within the last hours. Raises botocore errors
    when no Region could be asked."""
    session = work.open({"Effect": "Allow", "Action": ["cloudtrail:LookupEvents", regions.ACTION], "Resource": "*"})
    names, _ = regions.enabled(work, session)
    got = gather({name: partial(_in_region, work, session, name) for name in names}, BRANCHES)
    bad = {name: one for name, one in got.items() if isinstance(one, Exception)}
    if len(bad) == len(got):
        raise next(iter(bad.values()))
    found = {held.userid: held for one in got.values() if not isinstance(one, Exception) for held in one}
    return sorted(found.values(), key=lambda held: held.at)


def _in_region(work: Work, session: aws.Session, region: str) -> list[Held]:
    client, who = session.client("cloudtrail", region), work.who
    left = [("Username", who.user)] if who.user else [("AccessKeyId", who.key)] if who.key.startswith("ASIA") else []
    start = datetime.now(UTC) - timedelta(hours=HOURS)
    out: dict[str, Held] = {}
    asked = 0
    while left and asked < QUESTIONS:
        attribute, value = left.pop(0)
        asked += 1
        for trail in events(client, attribute, value, start):
            held = _held(trail)
            if held and held.userid not in out and _by(trail, work, attribute):
                out[held.userid] = held
                left += [("AccessKeyId", held.key)] if held.key else []
    return list(out.values())


def events(client: Any, attribute: str, value: str, start: datetime) -> list[Json]:
    """CloudTrail records since ``start``, newest first. Raises ResponseError when they could not be read to their end."""
    found: list[Json] = []

    def take(event: Json) -> int:
        found.append(json.loads(event["CloudTrailEvent"]))
        return 1

    asked = lookup.question(attribute, value)
    window = Window(int(start.timestamp()), int(time.time()) + 60)
    lookup.ask(client, [asked], window, time.monotonic() + SECONDS, take)
    if not found and (asked.get("note") or not asked.get("done")):
        raise ResponseError(f"{attribute} {value} {asked.get('note') or f'not answered within {SECONDS} s'}")
    return found


def _by(trail: Json, work: Work, attribute: str) -> bool:
    """Whether the call was made by the principal: a user of the same name in another account, or a role session that bears the
    user's name, answers to the same Username."""
    if attribute != "Username":
        return True
    identity = trail.get("userIdentity")
    unique_id = work.scope("unique_id") or work.who.unique_id
    return get(identity, "type") == "IAMUser" and (not unique_id or get(identity, "principalId") == unique_id)


def _held(trail: Json) -> Held | None:
    """The session an AssumeRole event gave, or None."""
    if trail.get("eventName") != "AssumeRole" or trail.get("errorCode"):
        return None
    response = trail.get("responseElements")
    userid = text(get(response, "assumedRoleUser", "assumedRoleId"), 200)
    role = text(get(trail, "requestParameters", "roleArn"), 300)
    if not userid.startswith("AROA") or ":role/" not in role:
        return None
    return Held(userid, role, text(get(response, "credentials", "accessKeyId"), 40), text(trail.get("eventTime"), 40))


# -- denied -----------------------------------------------------------------------------------------------------------


def deny(work: Work) -> None:
    """Finds and denies; the ledger says what was found, where it is denied, and what lies in other accounts."""
    if not work.options["user_role_sessions"]:
        work.did(NAME, SKIPPED, "switched off (user_role_sessions)")
        return
    kept: Json = work.kept.get("evidence", {}).get(NAME) or {}
    try:
        found = find(work)
    except Exception as error:
        name = work.who.user or work.who.session
        hand = (
            f"--lookup-attributes AttributeKey=Username,AttributeValue={name} --region {work.target.region} (AssumeRole events)"
        )
        text = f"CloudTrail could not be asked ({why(error)}). By hand: aws cloudtrail lookup-events {hand}"
        work.did(NAME, FAILED, text)
        return
    roles: Json = dict((kept.get("state") or {}).get("roles") or {})
    mine: dict[str, list[Held]] = {}
    told: list[str] = []
    for held in found:
        known = set((roles.get(held.role) or {}).get("userids") or [])
        if held.account != work.target.account_id:
            told.append(f"{held.userid} in {held.role} (another account): {_by_hand(work, held)}")
        elif reason := _spared(work, held.role):
            told.append(f"{held.userid} in {held.role} left: {reason}")
        elif held.userid not in known:
            mine.setdefault(held.role, []).append(held)
    got = gather({role: partial(_deny, work, role, some, roles.get(role) or {}) for role, some in mine.items()}, BRANCHES)
    for role, one in got.items():
        if isinstance(one, Exception):
            told.append(f"sessions in {role} not denied ({why(one)}): {_by_hand(work, mine[role][0])}")
        else:
            roles[role] = one
    _write(work, found, roles, told, bool(got))


def _write(work: Work, found: list[Held], roles: Json, told: list[str], changed: bool) -> None:
    denied = ", ".join(f"{name_of(role)} ({len(one['userids'])})" for role, one in sorted(roles.items()))
    detail = f"sessions denied in {denied}" if denied else "it holds no session of a role, as far as CloudTrail shows by now"
    state = {"roles": roles, "found": [asdict(one) for one in found][-50:]}
    entry: Json = {"outcome": "PARTIAL" if told else "COMPLETE", "detail": detail, "objects": [], "task": "; ".join(told)[:1000],
             "state": state, "at": soon()}  # fmt: skip
    work.keep(NAME, entry)
    work.kept.setdefault("evidence", {})[NAME] = entry
    work.did(NAME, FAILED if told else DONE if changed else SKIPPED, "; ".join([detail, *told])[:1500])


def _spared(work: Work, role: str) -> str:
    """Why a role is not touched, or empty."""
    settings = work.ctx.config
    if name_of(role) in breach.own_roles(work.prefix, list(settings.playbooks)):
        return "a role of the response itself"
    for pattern in settings.guardrails["exempt_principals"]:
        if matches(pattern, role):
            return f"exempt (guardrails.exempt_principals: {pattern})"
    return ""


def _deny(work: Work, role: str, some: list[Held], known: Json) -> Json:
    """Denies the role's sessions, those known before too. Returns {policy, userids, before}."""
    name = policy_name(work.prefix, f"{work.id} {role}")
    grant = ("iam:GetRolePolicy", "iam:PutRolePolicy")
    iam = Sessions(work, [], {role: grant}).client("iam", role, grant)
    work.before(f"{NAME}/{name_of(role)}", {"role": role, "policy": name, "document": role_policy(iam, role, name)})
    userids = sorted({*(known.get("userids") or []), *(held.userid for held in some)})
    before = soon()
    document = json.dumps(deny_sessions(userids, before))
    patient(partial(iam.put_role_policy, RoleName=name_of(role), PolicyName=name, PolicyDocument=document))
    return {"policy": name, "userids": userids, "before": before}


def _by_hand(work: Work, held: Held) -> str:
    document = json.dumps(deny_sessions([held.userid], soon()), separators=(",", ":"))
    name = policy_name(work.prefix, f"{work.id} {held.role}")
    return f"aws iam put-role-policy --role-name {name_of(held.role)} --policy-name {name} --policy-document '{document}'"


# -- read back --------------------------------------------------------------------------------------------------------


def checks(work: Work) -> list[Check]:
    """One for each role whose sessions were denied."""
    state = ((work.kept.get("evidence") or {}).get(NAME) or {}).get("state") or {}
    roles: Json = state.get("roles") or {}
    if not roles:
        return []
    iam = Sessions(work, [{"Effect": "Allow", "Action": ["iam:GetRolePolicy"], "Resource": sorted(roles)}], {}).client("iam")
    got = gather({role: partial(role_policy, iam, role, one["policy"]) for role, one in roles.items()})
    out = []
    for role, one in roles.items():
        found, name, where = got[role], f"{NAME} {name_of(role)}", f"policy {one['policy']} of role {name_of(role)}"
        if isinstance(found, Exception):
            out.append(Check(name, False, f"{where} could not be read ({why(found)})", read=False))
            continue
        ok = found == deny_sessions(one["userids"], one["before"])
        out.append(Check(name, ok, f"{len(one['userids'])} session(s) {'denied' if ok else 'NOT denied'} by {where}"))
    return out
