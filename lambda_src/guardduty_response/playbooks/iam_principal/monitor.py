"""Checks whether a principal is contained still, for the monitor function. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.cloudtrail import regions
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.target_context import (
    allow,
    policy,
)
from guardduty_response.decision.configuration import PlaybookOptions
from guardduty_response.errors import RoleUnavailable
from guardduty_response.playbooks.iam_principal import identify, role, user
from guardduty_response.playbooks.iam_principal import verify as verification
from guardduty_response.playbooks.iam_principal.identity_center import center, plan
from guardduty_response.playbooks.iam_principal.identity_center import verify as people
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

# GetAccessKeyLastUsed tells whose a key is by now, where its user is gone or has another name. A
# search for sessions that was not complete is repeated.
READ = tuple(sorted({*user.READ, *role.READ, "iam:GetAccessKeyLastUsed", *regions.LOOKS_UP}))
READ_ELSEWHERE = {
    center.ROLE: tuple(
        sorted({*plan.READ, *plan.WHO, *(f"sso:{name}" for name in people.READ), *center.KEY_USE})
    )
}
KINDS = frozenset({identify.USER, identify.SESSION, identify.IDENTITY_CENTER})


def elsewhere(kind: str, options: PlaybookOptions) -> Mapping[str, tuple[str, str]]:
    """Returns where a person of IAM Identity Center is contained: role => (account, Region).

    Raises RoleUnavailable where that account is not configured any more.
    """
    if kind != identify.IDENTITY_CENTER:
        return {}
    option = options.get("identity_center")
    if not option:
        raise RoleUnavailable(people.NOT_SET)
    return {center.ROLE: (str(option["account_id"]), str(option["region"]))}


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    """Verifies as the playbook does. A check writes nothing: what is news to the record, the
    incident machine finds and records.
    """
    if target.kind == identify.IDENTITY_CENTER:
        found = people.verify(context, _with_what_is_held(context, target), keeps=False)
        if found:
            return found
    return verification.verify(context, target, keeps=False)


def _with_what_is_held(context: Context, target: Target) -> Target:
    """Returns the target with the permission sets that the person holds by now, as a plan finds
    them: one got since the verdict is a loss.
    """
    principal = PrincipalContext(context, target)
    role_arn, held = _role_of_finding(context, principal), plan.find_or_trouble(principal)
    return target._replace(scope={**target.scope, "role_arn": role_arn, **held})


def _role_of_finding(context: Context, principal: PrincipalContext) -> str:
    """Returns the role's ARN; empty where it is no more, and its sessions can do nothing."""
    target, identity = principal.target, principal.identity
    session = context.assume(target.account_id, target.region, policy(allow(("iam:GetRole",))))
    try:
        found = session.client("iam").get_role(RoleName=identity.role)["Role"]
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return ""
    is_same = not identity.unique_id or found["RoleId"] == identity.unique_id
    return str(found["Arn"]) if is_same else ""
