"""Takes the denial out of a permission set again, as far as it is still as containment left it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.role_policies import role_policy, statements
from guardduty_response.containment.target_context import allow
from guardduty_response.incident.shared_settings import Held
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    EVERY_ACCOUNT,
    INLINE,
    Center,
    hold_policy,
    is_not_found,
    other_statements,
    outdated_accounts,
    parse_document,
    provision,
    read_inline_policy,
    without_statement,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.playbooks.iam_principal.records import PermissionSetBefore

READ = ("GetInlinePolicyForPermissionSet", "ListAccountsForProvisionedPermissionSet")
CHANGE = (
    "GetInlinePolicyForPermissionSet",
    "PutInlinePolicyToPermissionSet",
    "DeleteInlinePolicyFromPermissionSet",
    "ProvisionPermissionSet",
)


def items(principal: PrincipalContext, item: str) -> list[RestoreItem]:
    """A permission set as it is now, by its key in the before-state. The statement alone is
    containment's: what else somebody changed in the policy stays.
    """
    return [_compare(principal, item)]


def _compare(principal: PrincipalContext, item: str) -> RestoreItem:
    before: PermissionSetBefore = principal.before_state(item)
    name = item.partition("/")[2]
    command = _manual_command(before["arn"])
    center = Center(principal)
    if not center:
        sentence = (
            f"permission set {name}: playbooks.iam_principal.identity_center is not set any more"
        )
        return RestoreItem(RestoreStatus.MANUAL, item, name, sentence, command)
    sso = center.admin(before["arn"], *READ)
    try:
        text = read_inline_policy(sso, center, before["arn"])
    except ClientError as error:
        if not is_not_found(error):
            raise
        sentence = f"permission set {name} no longer exists"
        return RestoreItem(RestoreStatus.CHANGED_SINCE, item, name, sentence)
    statement = before["statement"]
    same_sid = [
        found for found in statements(parse_document(text)) if found.get("Sid") == statement["Sid"]
    ]
    if same_sid == [statement]:
        sentence = (
            f"the denial of a user taken out of permission set {name}, which is provisioned again"
        )
        take_out = partial(_take_out, principal, before)
        return RestoreItem(RestoreStatus.TODO, item, name, sentence, command, take_out)
    if same_sid:
        sentence = f"statement {statement['Sid']} of permission set {name} is another statement"
        return changed_since(item, name, sentence)
    behind = outdated_accounts(sso, center, before["arn"])
    if not behind and _role_denies(principal, before):
        behind = [principal.target.account_id]
    if behind:
        sentence = (
            f"permission set {name} without the denial provisioned to account {', '.join(behind)}"
        )
        provision_again = partial(_provision, principal, before)
        return RestoreItem(RestoreStatus.TODO, item, name, sentence, command, provision_again)
    sentence = f"permission set {name} denies nothing to that user, in all its accounts"
    return RestoreItem(RestoreStatus.UNCHANGED, item, name, sentence)


def _role_denies(principal: PrincipalContext, before: PermissionSetBefore) -> bool:
    """Whether the role that the finding is about still has the statement."""
    arn = before["role"]
    if not arn:
        return False
    iam = principal.open_session(allow(("iam:GetRolePolicy",), arn)).client("iam")
    return before["statement"] in statements(role_policy(iam, arn, INLINE))


def _manual_command(arn: str) -> str:
    return (
        "aws sso-admin get-inline-policy-for-permission-set --instance-arn INSTANCE"
        f" --permission-set-arn {arn} ; put it back without the statement"
        " (put-inline-policy-to-permission-set), then aws sso-admin provision-permission-set"
        f" --instance-arn INSTANCE --permission-set-arn {arn} --target-type {EVERY_ACCOUNT}"
    )


def _take_out(principal: PrincipalContext, before: PermissionSetBefore) -> list[AwsAnswer]:
    """Writes the policy as it was where nothing else changed; else what is there now, without the
    statement.
    """
    with hold_policy(principal, before["arn"]) as held:
        answer = _write_without(principal, before, held)
    return [answer, *_provision(principal, before)]


def _write_without(
    principal: PrincipalContext, before: PermissionSetBefore, held: Held
) -> AwsAnswer:
    center = Center(principal)
    sso = center.admin(before["arn"], *CHANGE)
    statement = before["statement"]
    text = held.latest(partial(read_inline_policy, sso, center, before["arn"]))
    new = without_statement(text, statement)
    if other_statements(text, statement) == statements(parse_document(before["policy"])):
        new = before["policy"]
    parameters = center.parameters(before["arn"])
    change = partial(sso.delete_inline_policy_from_permission_set, **parameters)
    if new:
        put = sso.put_inline_policy_to_permission_set
        change = partial(put, **parameters, InlinePolicy=new)
    answer = dict(retry_on_conflict(change))
    held.written(new)
    return answer


def _provision(principal: PrincipalContext, before: PermissionSetBefore) -> list[AwsAnswer]:
    center = Center(principal)
    sso = center.admin(before["arn"], "ProvisionPermissionSet")
    return [provision(sso, center, before["arn"])]
