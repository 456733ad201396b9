"""Plans for a person who signed in through IAM Identity Center."""

from __future__ import annotations

from guardduty_response.containment.contract import Context, Planned
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
    found = plan.find_or_trouble(principal)
    if "trouble" in found:
        return plan_not_containable(context, identity, role_arn, **found)
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
