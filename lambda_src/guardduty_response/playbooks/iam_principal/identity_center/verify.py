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
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.role_policies import role_policy, statements
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    Json,
    allow,
    describe_error,
    name_of,
    run_all,
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
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

READ = (
    "GetInlinePolicyForPermissionSet",
    "ListAccountsForProvisionedPermissionSet",
    "DescribePermissionSetProvisioningStatus",
)
PROVISIONED, ROLE = "provisioned", "role_denies"  # checks beside DENY
TRIES = 3  # of one permission set, contained once more included
PATIENCE = 600  # seconds that a provisioning is waited for
OWNER_ATTEMPTS = 120  # at 5 s: how long another incident's containment is waited for


def mine(principal: PrincipalContext) -> list[Json]:
    """The permission sets that this incident holds or is to hold: {arn, name, role}, by plan and
    by the record.
    """
    scope = [{**one, "role": ""} for one in principal.scope("sets") or []]
    if scope:
        scope[0]["role"] = principal.scope("role_arn")
    was = {
        name.partition("/")[2]: one
        for name, one in (principal.stored.get("before") or {}).items()
        if name.startswith(f"{PART}/")
    }
    there = {one["name"] for one in scope}
    return scope + [
        {"arn": one["arn"], "name": name, "role": one["role"]}
        for name, one in sorted(was.items(), key=lambda one: (not one[1]["role"], one[0]))
        if name not in there
    ]


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]] | None:
    """None: nothing of this person is, or can be, contained through Identity Center."""
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored(target.attach)
    sets = mine(principal)
    if not sets:
        return None
    center = Center(principal)
    if not center:
        text = (
            "playbooks.iam_principal.identity_center is not set any more: what it denied cannot be"
            " read"
        )
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {text}"), [
            Check(DENY, False, text, fatal=True, read=False)
        ]
    own = not (target.attach or target.verify_only)
    if own:
        _poll(principal, center, sets)
    checks = _checks(principal, center, sets, own)
    step = _conclude(principal, sets, checks, own)
    watched = {
        principal.who.role,
        *(one["arn"] for one in sets),
        *(arn.rsplit("/", 1)[-1] for arn in _held_roles(principal)),
    }
    return replace(step, watched=sorted(watched - {""})), checks


def _held_roles(principal: PrincipalContext) -> list[str]:
    return list(
        (
            ((principal.stored.get("evidence") or {}).get(chained_sessions.NAME) or {}).get("state")
            or {}
        ).get("roles")
        or {}
    )


def _poll(principal: PrincipalContext, center: Center, sets: list[Json]) -> None:
    """Asks how each provisioning stands that is not known to have ended."""
    for one in sets:
        state = known(principal).get(one["name"]) or {}
        if state.get("status") != "IN_PROGRESS":
            continue
        try:
            answer = center.admin(one["arn"], *READ).describe_permission_set_provisioning_status(
                InstanceArn=center.instance, ProvisionPermissionSetRequestId=state["request"]
            )["PermissionSetProvisioningStatus"]
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            answer = {"Status": "UNKNOWN", "FailureReason": describe_error(error)}
        if answer["Status"] != "IN_PROGRESS":
            keep(
                principal,
                one["name"],
                {
                    **state,
                    "status": answer["Status"],
                    "reason": answer.get("FailureReason", ""),
                    "at": now(),
                },
            )


# -- checks ----------------------------------------------------------------------------------------


def _checks(
    principal: PrincipalContext, center: Center, sets: list[Json], own: bool
) -> list[Check]:
    calls: dict[str, Any] = {
        one["name"]: partial(_of_set, principal, center, one, own) for one in sets
    }
    calls["/held"] = partial(chained_sessions.checks, principal)
    if sets[0]["role"]:
        calls["/role"] = partial(_of_role, principal, sets[0])
    out: list[Check] = []
    for name, got in run_all(calls, BRANCHES).items():
        if isinstance(got, Exception):
            what = f"permission set {name}" if name != "/role" else f"role {principal.who.role}"
            check = f"{DENY} {name}" if name != "/role" else f"{ROLE} {principal.who.role}"
            fatal = name in ("/role", sets[0]["name"])
            out.append(
                Check(
                    check,
                    False,
                    f"{what} could not be read ({describe_error(got)})",
                    fatal=fatal,
                    read=False,
                )
            )
        else:
            out += got
    if unlisted := principal.scope("unlisted") or principal.scope("trouble"):
        # Nobody who is deleted gets another permission set.
        gone_too = bool(principal.scope("no_user"))
        out.append(Check("other_sets", gone_too, unlisted, read=gone_too))
    return out


def _of_set(principal: PrincipalContext, center: Center, one: Json, own: bool) -> list[Check]:
    name, who = one["name"], principal.who.session
    wanted = _statement(principal, name)
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
    first = one == mine(principal)[0]
    text = f"everything {'' if ok else 'NOT '}denied to {who} in permission set {name}"
    if not ok and (reason := str((known(principal).get(name) or {}).get("reason") or "")):
        text += f" ({reason})"
    out = [Check(f"{DENY} {name}", ok, text, fatal=first)]
    return [*out, _provisioned(principal, center, sso, one)] if own and ok else out


def _statement(principal: PrincipalContext, name: str) -> Json:
    """As it was written, also when the person can no longer be looked up."""
    had = principal.before_state(f"{PART}/{name}") or {}
    return dict(had.get("statement") or statement(principal, principal.scope("user_id")))


def _provisioned(principal: PrincipalContext, center: Center, sso: Any, one: Json) -> Check:
    state = known(principal).get(one["name"]) or {}
    name, status = f"{PROVISIONED} {one['name']}", str(state.get("status") or "not begun")
    if status != "SUCCEEDED":
        reason = f": {state['reason']}" if state.get("reason") else ""
        return Check(name, False, f"provisioning permission set {one['name']} is {status}{reason}")
    behind = lagging(sso, center, one["arn"])
    where = f"permission set {one['name']} as it is now has "
    text = f"not reached account {', '.join(behind)}" if behind else "reached all its accounts"
    return Check(name, not behind, where + text)


def _of_role(principal: PrincipalContext, one: Json) -> list[Check]:
    """The role that the finding is about, by its own account."""
    role = name_of(one["role"])
    iam = principal.open_session(allow(("iam:GetRole", "iam:GetRolePolicy"), one["role"])).client(
        "iam"
    )
    ok = _statement(principal, one["name"]) in statements(role_policy(iam, role, INLINE))
    text = (
        f"policy {INLINE} of role {role} {'denies' if ok else 'does NOT deny'} "
        f"{principal.who.session}"
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


def _conclude(
    principal: PrincipalContext, sets: list[Json], checks: list[Check], own: bool
) -> StepResult:
    wrong = [one for one in checks if not one.ok]
    fatal = [one for one in wrong if one.fatal]
    text = "; ".join(one.detail for one in fatal or wrong)
    if again := _not_yet(principal, sets, wrong, text) if own else _others(principal, wrong, text):
        return again
    if fatal:
        return StepResult(status=Status.FAILED, detail=f"NOT contained: {text}")
    if wrong:
        return StepResult(
            status=Status.PARTIAL, detail=f"contained as far as it can be, but: {text}"
        )
    return StepResult(
        status=Status.CONTAINED,
        detail=f"{len(checks)} checks read back, {settling.when(principal)}",
    )


def _others(principal: PrincipalContext, wrong: list[Check], text: str) -> StepResult | None:
    """Another incident contains this person: it is waited for."""
    target = principal.target
    owner = (
        principal.context.record.meta(target.attach)["status"] if wrong and target.attach else ""
    )
    if owner in IN_PROGRESS and principal.context.attempt < OWNER_ATTEMPTS:
        return StepResult(
            done=False, wait_seconds=5, detail=f"incident {target.attach} is still at work: {text}"
        )
    return None


def _not_yet(
    principal: PrincipalContext, sets: list[Json], wrong: list[Check], text: str
) -> StepResult | None:
    """Why it is too early for a verdict: it is being provisioned, has to spread, or is tried
    once more.
    """
    states = known(principal)
    under_way = [
        name
        for name, one in states.items()
        if one["status"] == "IN_PROGRESS" and _age(one["at"]) < PATIENCE
    ]
    if under_way:
        seconds = 5 if principal.context.attempt < 12 else 15
        return StepResult(
            done=False, wait_seconds=seconds, detail=f"being provisioned: {', '.join(under_way)}"
        )
    if left := settling.to_settle(principal):
        return StepResult(
            done=False, wait_seconds=left, detail=f"read once more in {left} s, when it has spread"
        )
    again = []
    for one in sets:
        state = states.get(one["name"]) or {}
        names = {
            f"{DENY} {one['name']}",
            f"{PROVISIONED} {one['name']}",
            f"{ROLE} {principal.who.role}" if one["role"] else "",
        }
        if (
            state.get("status") != "IN_PROGRESS"
            and tries(principal, state) < TRIES
            and any(check.read and check.name in names for check in wrong)
        ):
            again.append(one["name"])
            if state.get("status") in UNDER_WAY:
                keep(principal, one["name"], {**state, "status": "AGAIN"})
    if again:
        principal.context.record.event(
            principal.context.incident_id,
            "not seen after containing",
            f"{', '.join(again)}: once more",
            principal.id,
        )
        return StepResult(done=False, again="contain", detail=text)
    return None


def _age(at: str) -> float:
    return (
        datetime.fromisoformat(now().replace("Z", "+00:00"))
        - datetime.fromisoformat(at.replace("Z", "+00:00"))
    ).total_seconds()


def culprit_session(principal: PrincipalContext) -> Any:
    """Who changed a permission set is recorded in the Identity Center account. Raises
    ResponseError without one.
    """
    center = Center(principal)
    if not center:
        raise ResponseError("playbooks.iam_principal.identity_center is not set any more")
    return center.open(allow(("cloudtrail:LookupEvents",)))
