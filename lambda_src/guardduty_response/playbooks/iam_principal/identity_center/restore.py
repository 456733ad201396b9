"""Takes the denial out of a permission set again, as far as it is still as containment left it."""

from __future__ import annotations

from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.role_policies import role_policy, statements
from guardduty_response.containment.target_context import Json, allow
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    INLINE,
    Center,
    document,
    gone,
    inline,
    lagging,
    others,
    without,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    retry_on_conflict,
)

READ = ("GetInlinePolicyForPermissionSet", "ListAccountsForProvisionedPermissionSet")
CHANGE = (
    "GetInlinePolicyForPermissionSet",
    "PutInlinePolicyToPermissionSet",
    "DeleteInlinePolicyFromPermissionSet",
    "ProvisionPermissionSet",
)


def part(principal: PrincipalContext, name: str) -> list[RestoreItem]:
    """One permission set as it is now, by its key in the before-state. The statement alone is
    containment's: what else somebody changed in the policy stays.
    """
    was, center, told = principal.before_state(name), Center(principal), name.partition("/")[2]
    if not center:
        text = f"permission set {told}: playbooks.iam_principal.identity_center is not set any more"
        return [RestoreItem(RestoreStatus.MANUAL, name, told, text, _by_hand(was["arn"]))]
    sso = center.admin(was["arn"], *READ)
    try:
        text = inline(sso, center, was["arn"])
    except ClientError as error:
        if not gone(error):
            raise
        return [
            RestoreItem(
                RestoreStatus.CHANGED_SINCE, name, told, f"permission set {told} no longer exists"
            )
        ]
    mine = was["statement"]
    there = [one for one in statements(document(text)) if one.get("Sid") == mine["Sid"]]
    hand = _by_hand(was["arn"])
    if there and there != [mine]:
        return [
            changed_since(
                name, told, f"statement {mine['Sid']} of permission set {told} is another one"
            )
        ]
    if there:
        said = (
            f"the denial of one user taken out of permission set {told}, which is provisioned again"
        )
        return [
            RestoreItem(
                RestoreStatus.TODO, name, told, said, hand, partial(_take_out, principal, was)
            )
        ]
    behind = lagging(sso, center, was["arn"])
    if not behind and was["role"] and mine in statements(_role(principal, was["role"])):
        behind = [principal.target.account_id]
    if behind:
        said = (
            f"permission set {told} without the denial provisioned to account {', '.join(behind)}"
        )
        return [
            RestoreItem(
                RestoreStatus.TODO, name, told, said, hand, partial(_provision, principal, was)
            )
        ]
    return [
        RestoreItem(
            RestoreStatus.UNCHANGED,
            name,
            told,
            f"permission set {told} denies nothing to that user, in all its accounts",
        )
    ]


def _role(principal: PrincipalContext, arn: str) -> Json | None:
    return role_policy(
        principal.open_session(allow(("iam:GetRolePolicy",), arn)).client("iam"), arn, INLINE
    )


def _by_hand(arn: str) -> str:
    return (
        "aws sso-admin get-inline-policy-for-permission-set --instance-arn INSTANCE"
        f" --permission-set-arn {arn} ; put it back without the statement"
        " (put-inline-policy-to-permission-set), then aws sso-admin provision-permission-set"
        f" --instance-arn INSTANCE --permission-set-arn {arn} --target-type"
        " ALL_PROVISIONED_ACCOUNTS"
    )


def _take_out(principal: PrincipalContext, was: Json) -> list[Json]:
    """The policy as it was where nothing else changed; else what is there now, without the
    statement.
    """
    center = Center(principal)
    sso, arn, mine = center.admin(was["arn"], *CHANGE), was["arn"], was["statement"]
    text = inline(sso, center, arn)
    new = (
        was["policy"]
        if others(text, mine) == statements(document(was["policy"]))
        else without(text, mine)
    )
    named = center.named(arn)
    change: Any = partial(sso.put_inline_policy_to_permission_set, **named, InlinePolicy=new)
    return [
        retry_on_conflict(
            change if new else partial(sso.delete_inline_policy_from_permission_set, **named)
        ),
        *_provision(principal, was),
    ]


def _provision(principal: PrincipalContext, was: Json) -> list[Json]:
    center = Center(principal)
    sso = center.admin(was["arn"], "ProvisionPermissionSet")
    return [
        retry_on_conflict(
            partial(
                sso.provision_permission_set,
                **center.named(was["arn"]),
                TargetType="ALL_PROVISIONED_ACCOUNTS",
            )
        )
    ]
