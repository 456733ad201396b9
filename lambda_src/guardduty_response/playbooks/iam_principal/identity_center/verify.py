"""Verifies that a person is denied: in each permission set, in its provisioning, and in the role
the finding is about.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment import chained_sessions
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.role_policies import role_policy, statements
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    allow,
    describe_error,
    name_of,
    run_all,
)
from guardduty_response.containment.verdict import reasons, wait_for_other_incident
from guardduty_response.errors import ResponseError
from guardduty_response.incident.moments import now, seconds_since
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import verify as verification
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    DENY,
    INLINE,
    PART,
    Center,
    has_statement,
    is_not_found,
    outdated_accounts,
    read_inline_policy,
    recorded_statement,
)
from guardduty_response.playbooks.iam_principal.identity_center.provisioning import (
    UNDER_WAY,
    attempts_made,
    provisioning_state,
    provisioning_states,
    store_state,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient
    from guardduty_response.playbooks.iam_principal.records import (
        DeniedPermissionSet,
        PermissionSet,
    )

READ = (
    "GetInlinePolicyForPermissionSet",
    "ListAccountsForProvisionedPermissionSet",
)
POLL = ("DescribePermissionSetProvisioningStatus",)  # of what this incident provisions
PROVISIONED = "provisioned"  # a check beside DENY, "PROVISIONED <permission set>"
ROLE = "role_denies"  # a check beside DENY, "ROLE <role>"
TRIES = 3  # of a permission set, contained once more included
PATIENCE = 600  # seconds that a provisioning is waited for
OWNER_ATTEMPTS = 120  # at 5 s: how long another incident's containment is waited for
FAST_ATTEMPTS = 12  # at 5 s, of a provisioning; then at 15 s
NOT_SET = (
    "playbooks.iam_principal.identity_center is not set any more: what it denied cannot be read"
)


def denied_sets(principal: PrincipalContext) -> list[DeniedPermissionSet]:
    """Returns the permission sets that this incident denies or is to deny, by plan and by the
    record. The finding's comes first.
    """
    planned: list[PermissionSet] = principal.scope("sets") or []
    sets: list[DeniedPermissionSet] = [
        {"arn": found["arn"], "name": found["name"], "role": ""} for found in planned
    ]
    if sets:
        sets[0]["role"] = principal.scope("role_arn")
    names = {permission_set["name"] for permission_set in sets}
    recorded: list[DeniedPermissionSet] = []
    for item, before in (principal.stored.get("before") or {}).items():
        kind, _, name = item.partition("/")
        if kind == PART and name not in names:
            recorded.append({"arn": before["arn"], "name": name, "role": before["role"]})
    recorded.sort(key=lambda found: (not found["role"], found["name"]))
    return sets + recorded


def verify(
    context: Context, target: Target, keeps: bool = True
) -> tuple[StepResult, list[Check]] | None:
    """Returns the verdict, or that it is too early for one, with the checks. None: nothing of this
    person is, or can be, contained through Identity Center.

    ``keeps``: whether the record gets what a search for sessions found.
    """
    principal = PrincipalContext(context, target)
    principal.stored = principal.read_stored()
    sets = denied_sets(principal)
    if not sets:
        return None
    center = Center(principal)
    if not center:
        failed = StepResult(status=Status.FAILED, detail=f"NOT contained: {NOT_SET}")
        return failed, [Check(DENY, False, NOT_SET, fatal=True, read=False)]
    if target.verify_only:
        chained_sessions.search_again(principal, keeps)
    if principal.acts:
        _poll(principal, center, sets)
    checks = _checks(principal, center, sets)
    result = _conclude(principal, sets, checks)
    return result._replace(watched=_watched(principal, sets)), checks


def _watched(principal: PrincipalContext, sets: list[DeniedPermissionSet]) -> list[str]:
    """Names what a call that undoes this would name."""
    names = {principal.identity.role}
    names |= {permission_set["arn"] for permission_set in sets}
    names |= {name_of(arn) for arn in chained_sessions.denied_roles(principal)}
    return sorted(names - {""})


def _poll(principal: PrincipalContext, center: Center, sets: list[DeniedPermissionSet]) -> None:
    """Asks how each provisioning stands that is not known to have ended."""
    states = {each["name"]: provisioning_state(principal, each["name"]) for each in sets}
    under_way = {
        name: state for name, state in states.items() if state.get("status") == "IN_PROGRESS"
    }
    if not under_way:
        return
    # What is asked names the instance alone, so one session serves every permission set.
    granted = allow([f"sso:{name}" for name in POLL], [center.instance])
    sso = center.open(granted).client("sso-admin")
    for name, state in under_way.items():
        try:
            answer = sso.describe_permission_set_provisioning_status(
                InstanceArn=center.instance, ProvisionPermissionSetRequestId=state["request"]
            )["PermissionSetProvisioningStatus"]
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            answer = {"Status": "UNKNOWN", "FailureReason": describe_error(error)}
        if answer["Status"] != "IN_PROGRESS":
            state["status"] = answer["Status"]
            state["reason"] = answer.get("FailureReason", "")
            state["at"] = now()
            store_state(principal, name, state)


# -- checks ----------------------------------------------------------------------------------------


def _checks(
    principal: PrincipalContext, center: Center, sets: list[DeniedPermissionSet]
) -> list[Check]:
    calls: dict[str, Callable[[], list[Check]]] = {}
    for permission_set in sets:
        is_first = permission_set == sets[0]
        calls[permission_set["name"]] = partial(
            _set_checks, principal, center, permission_set, is_first
        )
    # A permission set's name has no slash.
    calls["/sessions"] = partial(chained_sessions.checks, principal)
    if sets[0]["role"]:
        calls["/role"] = partial(_role_checks, principal, sets[0])
    checks: list[Check] = []
    for name, answer in run_all(calls, BRANCHES).items():
        if isinstance(answer, Exception):
            checks.append(_not_read(principal, name, name == sets[0]["name"], answer))
        else:
            checks += answer
    if unlisted := principal.scope("unlisted"):
        checks.append(Check("other_sets", False, unlisted, read=False))
    if trouble := principal.scope("trouble"):
        # Nobody who is deleted gets another permission set.
        deleted = bool(principal.scope("no_user"))
        checks.append(Check("held_sets", deleted, trouble, read=deleted))
    return checks


def _not_read(principal: PrincipalContext, name: str, is_first: bool, error: Exception) -> Check:
    if name == "/role":
        role = principal.identity.role
        detail = f"role {role} could not be read ({describe_error(error)})"
        return Check(f"{ROLE} {role}", False, detail, fatal=True, read=False)
    detail = f"permission set {name} could not be read ({describe_error(error)})"
    return Check(f"{DENY} {name}", False, detail, fatal=is_first, read=False)


def _set_checks(
    principal: PrincipalContext,
    center: Center,
    permission_set: DeniedPermissionSet,
    is_first: bool,
) -> list[Check]:
    name = permission_set["name"]
    sso = center.admin(permission_set["arn"], *READ)
    try:
        text = read_inline_policy(sso, center, permission_set["arn"])
    except ClientError as error:
        if not is_not_found(error):
            raise
        center.ask()
        detail = f"permission set {name} no longer exists: nobody can use it"
        return [Check(f"{DENY} {name}", True, detail, fatal=True)]
    denied = has_statement(text, recorded_statement(principal, name))
    session = principal.identity.session
    if not denied:
        detail = f"everything NOT denied to {session} in permission set {name}"
        if reason := provisioning_state(principal, name).get("reason"):
            detail += f" ({reason})"
        return [Check(f"{DENY} {name}", False, detail, fatal=is_first)]
    detail = f"everything denied to {session} in permission set {name}"
    checks = [Check(f"{DENY} {name}", True, detail, fatal=is_first)]
    # A recheck looks only for whether it is mended: a set that its owners changed is no loss.
    if principal.acts or f"{PROVISIONED} {name}" in (principal.stored.get("weak") or []):
        checks.append(_provisioned_check(principal, center, sso, permission_set))
    return checks


def _provisioned_check(
    principal: PrincipalContext,
    center: Center,
    sso: AwsClient,
    permission_set: DeniedPermissionSet,
) -> Check:
    name = permission_set["name"]
    check = f"{PROVISIONED} {name}"
    state = provisioning_state(principal, name)
    status = state.get("status") or "not begun"
    if principal.acts and status != "SUCCEEDED":
        reason = f": {state['reason']}" if state.get("reason") else ""
        return Check(check, False, f"provisioning permission set {name} is {status}{reason}")
    behind = outdated_accounts(sso, center, permission_set["arn"])
    if behind:
        detail = f"permission set {name} as it is now has not reached account {', '.join(behind)}"
        return Check(check, False, detail)
    return Check(check, True, f"permission set {name} as it is now has reached all its accounts")


def _role_checks(principal: PrincipalContext, permission_set: DeniedPermissionSet) -> list[Check]:
    """Asks the account of the finding about the role that the finding is about."""
    arn = permission_set["role"]
    role = name_of(arn)
    check = f"{ROLE} {role}"
    iam = principal.open_session(allow(("iam:GetRole", "iam:GetRolePolicy"), arn)).client("iam")
    wanted = recorded_statement(principal, permission_set["name"])
    session = principal.identity.session
    if wanted in statements(role_policy(iam, role, INLINE)):
        detail = f"policy {INLINE} of role {role} denies {session}"
        return [Check(check, True, detail, fatal=True)]
    if not _role_exists(iam, role):
        detail = f"role {role} no longer exists: its sessions can do nothing"
        return [Check(check, True, detail, fatal=True)]
    detail = f"policy {INLINE} of role {role} does NOT deny {session}"
    return [Check(check, False, detail, fatal=True)]


def _role_exists(iam: AwsClient, role: str) -> bool:
    try:
        iam.get_role(RoleName=role)
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return False
    return True


# -- verdict ---------------------------------------------------------------------------------------


def _conclude(
    principal: PrincipalContext, sets: list[DeniedPermissionSet], checks: list[Check]
) -> StepResult:
    if principal.acts:
        not_yet = _not_yet(principal, sets, checks)
    else:
        not_yet = wait_for_other_incident(principal, checks, OWNER_ATTEMPTS)
    return not_yet or verification.draw_verdict(principal, checks)


def _not_yet(
    principal: PrincipalContext,
    sets: list[DeniedPermissionSet],
    checks: list[Check],
) -> StepResult | None:
    """Says why it is too early for a verdict: it is being provisioned, has to spread, or is tried
    once more.
    """
    under_way = [
        name
        for name, state in provisioning_states(principal).items()
        if state["status"] == "IN_PROGRESS" and seconds_since(state["at"]) < PATIENCE
    ]
    if under_way:
        seconds = 5 if principal.context.tries < FAST_ATTEMPTS else 15
        detail = f"being provisioned: {', '.join(under_way)}"
        return StepResult(done=False, wait_seconds=seconds, detail=detail)
    if waiting := verification.wait_to_settle(principal):
        return waiting
    again = [
        permission_set["name"]
        for permission_set in sets
        if _is_tried_again(principal, permission_set, checks)
    ]
    if not again:
        return None
    for name in again:
        state = provisioning_state(principal, name)
        if state.get("status") in UNDER_WAY:
            state["status"] = "AGAIN"
            store_state(principal, name, state)
    context = principal.context
    detail = f"{', '.join(again)}: once more"
    context.record.event(context.incident_id, "not seen after containing", detail, principal.id)
    return StepResult(done=False, again="contain", detail=reasons(checks))


def _is_tried_again(
    principal: PrincipalContext, permission_set: DeniedPermissionSet, checks: list[Check]
) -> bool:
    name = permission_set["name"]
    state = provisioning_state(principal, name)
    if state.get("status") == "IN_PROGRESS" or attempts_made(principal, state) >= TRIES:
        return False
    names = {f"{DENY} {name}", f"{PROVISIONED} {name}"}
    if permission_set["role"]:
        names.add(f"{ROLE} {principal.identity.role}")
    return any(check.read and not check.ok and check.name in names for check in checks)


def open_actor_session(principal: PrincipalContext) -> clients.Session:
    """Opens a session in the Identity Center account, where CloudTrail records who changed a
    permission set. Raises ResponseError when that account is not configured any more.
    """
    center = Center(principal)
    if not center:
        raise ResponseError("playbooks.iam_principal.identity_center is not set any more")
    return center.open(allow(("cloudtrail:LookupEvents",)))
