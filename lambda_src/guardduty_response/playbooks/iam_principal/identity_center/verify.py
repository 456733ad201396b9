"""Reads back that a person is denied: in each permission set, in its provisioning, and in the
role the finding is about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.contract import Check, Context, Step, Target
from guardduty_response.containment.role_policies import role_policy, statements
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    Json,
    allow,
    gather,
    name_of,
    why,
)
from guardduty_response.errors import ResponseError
from guardduty_response.incident.repository import now
from guardduty_response.incident.statuses import IN_PROGRESS, Status
from guardduty_response.playbooks.iam_principal import chained_sessions
from guardduty_response.playbooks.iam_principal import verify as settling
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    DENY,
    INLINE,
    PART,
    Center,
    gone,
    has,
    inline,
    lagging,
    statement,
)
from guardduty_response.playbooks.iam_principal.identity_center.contain import (
    UNDER_WAY,
    keep,
    known,
    tries,
)
from guardduty_response.playbooks.iam_principal.principal_context import Work

READ = (
    "GetInlinePolicyForPermissionSet",
    "ListAccountsForProvisionedPermissionSet",
    "DescribePermissionSetProvisioningStatus",
)
PROVISIONED, ROLE = "provisioned", "role_denies"  # checks beside DENY
TRIES = 3  # of one permission set, contained once more included
PATIENCE = 600  # seconds that a provisioning is waited for
OWNER_ATTEMPTS = 120  # at 5 s: how long another incident's containment is waited for


def mine(work: Work) -> list[Json]:
    """The permission sets that this incident holds or is to hold: {arn, name, role}, by plan and
    by the record.
    """
    scope = [{**one, "role": ""} for one in work.scope("sets") or []]
    if scope:
        scope[0]["role"] = work.scope("role_arn")
    was = {
        name.partition("/")[2]: one
        for name, one in (work.kept.get("before") or {}).items()
        if name.startswith(f"{PART}/")
    }
    there = {one["name"] for one in scope}
    return scope + [
        {"arn": one["arn"], "name": name, "role": one["role"]}
        for name, one in sorted(was.items(), key=lambda one: (not one[1]["role"], one[0]))
        if name not in there
    ]


def verify(ctx: Context, target: Target) -> tuple[Step, list[Check]] | None:
    """None: nothing of this person is, or can be, contained through Identity Center."""
    work = Work(ctx, target)
    work.kept = work.ledger(target.attach)
    sets = mine(work)
    if not sets:
        return None
    center = Center(work)
    if not center:
        text = (
            "playbooks.iam_principal.identity_center is not set any more: what it denied cannot be"
            " read"
        )
        return Step(status=Status.FAILED, detail=f"NOT contained: {text}"), [
            Check(DENY, False, text, fatal=True, read=False)
        ]
    own = not (target.attach or target.verify_only)
    if own:
        _poll(work, center, sets)
    checks = _checks(work, center, sets, own)
    step = _conclude(work, sets, checks, own)
    watched = {
        work.who.role,
        *(one["arn"] for one in sets),
        *(arn.rsplit("/", 1)[-1] for arn in _held_roles(work)),
    }
    return replace(step, watched=sorted(watched - {""})), checks


def _held_roles(work: Work) -> list[str]:
    return list(
        (
            ((work.kept.get("evidence") or {}).get(chained_sessions.NAME) or {}).get("state") or {}
        ).get("roles")
        or {}
    )


def _poll(work: Work, center: Center, sets: list[Json]) -> None:
    """Asks how each provisioning stands that is not known to have ended."""
    for one in sets:
        state = known(work).get(one["name"]) or {}
        if state.get("status") != "IN_PROGRESS":
            continue
        try:
            answer = center.admin(one["arn"], *READ).describe_permission_set_provisioning_status(
                InstanceArn=center.instance, ProvisionPermissionSetRequestId=state["request"]
            )["PermissionSetProvisioningStatus"]
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            answer = {"Status": "UNKNOWN", "FailureReason": why(error)}
        if answer["Status"] != "IN_PROGRESS":
            keep(
                work,
                one["name"],
                {
                    **state,
                    "status": answer["Status"],
                    "reason": answer.get("FailureReason", ""),
                    "at": now(),
                },
            )


# -- checks ----------------------------------------------------------------------------------------


def _checks(work: Work, center: Center, sets: list[Json], own: bool) -> list[Check]:
    calls: dict[str, Any] = {one["name"]: partial(_of_set, work, center, one, own) for one in sets}
    calls["/held"] = partial(chained_sessions.checks, work)
    if sets[0]["role"]:
        calls["/role"] = partial(_of_role, work, sets[0])
    out: list[Check] = []
    for name, got in gather(calls, BRANCHES).items():
        if isinstance(got, Exception):
            what = f"permission set {name}" if name != "/role" else f"role {work.who.role}"
            check = f"{DENY} {name}" if name != "/role" else f"{ROLE} {work.who.role}"
            fatal = name in ("/role", sets[0]["name"])
            out.append(
                Check(
                    check, False, f"{what} could not be read ({why(got)})", fatal=fatal, read=False
                )
            )
        else:
            out += got
    if unlisted := work.scope("unlisted") or work.scope("trouble"):
        # Nobody who is deleted gets another permission set.
        gone_too = bool(work.scope("no_user"))
        out.append(Check("other_sets", gone_too, unlisted, read=gone_too))
    return out


def _of_set(work: Work, center: Center, one: Json, own: bool) -> list[Check]:
    name, who = one["name"], work.who.session
    wanted = _statement(work, name)
    sso = center.admin(one["arn"], *READ)
    try:
        ok = has(inline(sso, center, one["arn"]), wanted)
    except ClientError as error:
        if not gone(error):
            raise
        return [
            Check(
                f"{DENY} {name}",
                True,
                f"permission set {name} no longer exists: nobody can use it",
                fatal=True,
            )
        ]
    first = one == mine(work)[0]
    text = f"everything {'' if ok else 'NOT '}denied to {who} in permission set {name}"
    if not ok and (reason := str((known(work).get(name) or {}).get("reason") or "")):
        text += f" ({reason})"
    out = [Check(f"{DENY} {name}", ok, text, fatal=first)]
    return [*out, _provisioned(work, center, sso, one)] if own and ok else out


def _statement(work: Work, name: str) -> Json:
    """As it was written, also when the person can no longer be looked up."""
    had = work.had(f"{PART}/{name}") or {}
    return dict(had.get("statement") or statement(work, work.scope("user_id")))


def _provisioned(work: Work, center: Center, sso: Any, one: Json) -> Check:
    state = known(work).get(one["name"]) or {}
    name, status = f"{PROVISIONED} {one['name']}", str(state.get("status") or "not begun")
    if status != "SUCCEEDED":
        reason = f": {state['reason']}" if state.get("reason") else ""
        return Check(name, False, f"provisioning permission set {one['name']} is {status}{reason}")
    behind = lagging(sso, center, one["arn"])
    where = f"permission set {one['name']} as it is now has "
    text = f"not reached account {', '.join(behind)}" if behind else "reached all its accounts"
    return Check(name, not behind, where + text)


def _of_role(work: Work, one: Json) -> list[Check]:
    """The role that the finding is about, by its own account."""
    role = name_of(one["role"])
    iam = work.open(allow(("iam:GetRole", "iam:GetRolePolicy"), one["role"])).client("iam")
    ok = _statement(work, one["name"]) in statements(role_policy(iam, role, INLINE))
    text = (
        f"policy {INLINE} of role {role} {'denies' if ok else 'does NOT deny'} {work.who.session}"
    )
    if not ok and _no_role(iam, role):
        ok, text = True, f"role {role} no longer exists: its sessions can do nothing"
    return [Check(f"{ROLE} {role}", ok, text, fatal=True)]


def _no_role(iam: Any, role: str) -> bool:
    try:
        iam.get_role(RoleName=role)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return True
    return False


# -- verdict ---------------------------------------------------------------------------------------


def _conclude(work: Work, sets: list[Json], checks: list[Check], own: bool) -> Step:
    wrong = [one for one in checks if not one.ok]
    fatal = [one for one in wrong if one.fatal]
    text = "; ".join(one.detail for one in fatal or wrong)
    if again := _not_yet(work, sets, wrong, text) if own else _others(work, wrong, text):
        return again
    if fatal:
        return Step(status=Status.FAILED, detail=f"NOT contained: {text}")
    if wrong:
        return Step(status=Status.PARTIAL, detail=f"contained as far as it can be, but: {text}")
    return Step(
        status=Status.CONTAINED, detail=f"{len(checks)} checks read back, {settling.when(work)}"
    )


def _others(work: Work, wrong: list[Check], text: str) -> Step | None:
    """Another incident contains this person: it is waited for."""
    target = work.target
    owner = work.ctx.record.meta(target.attach)["status"] if wrong and target.attach else ""
    if owner in IN_PROGRESS and work.ctx.attempt < OWNER_ATTEMPTS:
        return Step(
            done=False, wait_seconds=5, detail=f"incident {target.attach} is still at work: {text}"
        )
    return None


def _not_yet(work: Work, sets: list[Json], wrong: list[Check], text: str) -> Step | None:
    """Why it is too early for a verdict: it is being provisioned, has to spread, or is tried
    once more.
    """
    states = known(work)
    under_way = [
        name
        for name, one in states.items()
        if one["status"] == "IN_PROGRESS" and _age(one["at"]) < PATIENCE
    ]
    if under_way:
        seconds = 5 if work.ctx.attempt < 12 else 15
        return Step(
            done=False, wait_seconds=seconds, detail=f"being provisioned: {', '.join(under_way)}"
        )
    if left := settling.to_settle(work):
        return Step(
            done=False, wait_seconds=left, detail=f"read once more in {left} s, when it has spread"
        )
    again = []
    for one in sets:
        state = states.get(one["name"]) or {}
        names = {
            f"{DENY} {one['name']}",
            f"{PROVISIONED} {one['name']}",
            f"{ROLE} {work.who.role}" if one["role"] else "",
        }
        if (
            state.get("status") != "IN_PROGRESS"
            and tries(work, state) < TRIES
            and any(check.read and check.name in names for check in wrong)
        ):
            again.append(one["name"])
            if state.get("status") in UNDER_WAY:
                keep(work, one["name"], {**state, "status": "AGAIN"})
    if again:
        work.ctx.record.event(
            work.ctx.incident_id,
            "not seen after containing",
            f"{', '.join(again)}: once more",
            work.id,
        )
        return Step(done=False, again="contain", detail=text)
    return None


def _age(at: str) -> float:
    return (
        datetime.fromisoformat(now().replace("Z", "+00:00"))
        - datetime.fromisoformat(at.replace("Z", "+00:00"))
    ).total_seconds()


def culprit_session(work: Work) -> Any:
    """Who changed a permission set is recorded in the Identity Center account. Raises
    ResponseError without one.
    """
    center = Center(work)
    if not center:
        raise ResponseError("playbooks.iam_principal.identity_center is not set any more")
    return center.open(allow(("cloudtrail:LookupEvents",)))
