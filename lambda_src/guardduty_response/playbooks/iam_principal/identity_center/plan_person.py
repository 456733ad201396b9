"""Plans for a person who signed in through IAM Identity Center."""

from __future__ import annotations

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, Planned
from guardduty_response.containment.target_context import AWS_ERRORS, describe_error
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.identity_center import plan
from guardduty_response.playbooks.iam_principal.plan_target import (
    following_steps,
    make_target,
    plan_not_containable,
    session_arn,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext


def plan_person(context: Context, identity: Principal, role_arn: str) -> Planned:
    """Plans the denial in the Identity Center account, where that is configured and answers; else
    what a person does instead.
    """
    if not context.options.get("identity_center"):
        return plan_not_containable(context, identity, role_arn)
    arn = session_arn(context, identity)
    target = make_target(context, identity, arn, role_arn=role_arn)
    principal = PrincipalContext(context, target)
    try:
        found = plan.find(principal)
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        no_user = isinstance(error, plan.NoUser)
        return plan_not_containable(
            context, identity, role_arn, trouble=describe_error(error), no_user=no_user
        )
    target = target._replace(scope={**target.scope, **found})
    principal = PrincipalContext(context, target)
    names = ", ".join(permission_set["name"] for permission_set in found["sets"])
    consequences = [
        f"provisioning again also applies what somebody changed in {names} and did not provision"
    ]
    if found["unlisted"]:
        consequences.append(found["unlisted"])
    person = f"arn:{context.config.partition}:identitystore:::user/{found['user_id']}"
    return Planned(
        target,
        principals=[named for named in (role_arn, arn, person) if named],
        actions={**plan.planned_denials(principal), **following_steps(principal)},
        consequences="; ".join(consequences),
    )
