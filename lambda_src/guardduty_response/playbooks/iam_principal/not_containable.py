"""Describes principals that no IAM call of this account can contain: what they are, why, and the
commands for a person who can.

Sources: AWS IAM User Guide ("Disabling permissions for temporary security credentials": neither
root nor GetSessionToken credentials of root can be restricted by IAM; service-linked and Identity
Center roles take no policy), AWS Organizations User Guide (service control policies: not for
service-linked roles, nor in the management account), IAM Identity Center User Guide ("Revoke active
IAM role sessions").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from guardduty_response.containment.session_denials import now_rounded_up
from guardduty_response.containment.session_policy import compact
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext


@dataclass(frozen=True)
class Path:
    """``reason``: what the principal is, and why it is not contained here. ``commands``: what a
    person runs, in this order.
    """

    reason: str
    commands: list[str] = field(default_factory=list)


def path(principal: PrincipalContext, identity: Principal) -> Path:
    """Returns what there is to say and do about a principal."""
    describe = _PATHS.get(identity.kind, _unknown)
    return describe(principal, identity)


def _root(principal: PrincipalContext, identity: Principal) -> Path:
    account = principal.target.account_id
    condition = {"StringLike": {"aws:PrincipalArn": f"arn:*:iam::{account}:root"}}
    return Path(
        f"the root user of account {account} was used; no policy of the account restricts root",
        [
            *_service_control_policy(condition, account),
            (
                f"sign in as root of {account}: change its password, delete every root access"
                " key, check MFA devices and e-mail"
            ),
        ],
    )


def _identity_center(principal: PrincipalContext, identity: Principal) -> Path:
    account = principal.target.account_id
    session = identity.session or "SESSION"
    permission_set = identity.role.removeprefix("AWSReservedSSO_").rpartition("_")[0]
    option = principal.options.get("identity_center") or {}
    instance = option.get("instance_arn", "INSTANCE")
    store = option.get("identity_store_id", "STORE")
    trouble = (
        principal.scope("trouble")
        or "not set: with it the response denies that user in every permission set by itself"
    )
    condition = {
        "StringLike": {"aws:userid": f"*:{session}"},
        "DateLessThan": {"aws:TokenIssueTime": now_rounded_up()},
    }
    return Path(
        f"{session} signed in through IAM Identity Center (permission set {permission_set}); IAM"
        f" lets nobody change that role in account {account}"
        f" (playbooks.iam_principal.identity_center: {trouble})",
        [
            (
                "(Identity Center account) aws identitystore list-users --identity-store-id"
                f" {store} --filters AttributePath=UserName,AttributeValue={session}"
            ),
            (
                "disable that user in its identity source, and delete its active sessions in the"
                " Identity Center console"
            ),
            (
                f"aws sso-admin put-inline-policy-to-permission-set --instance-arn {instance}"
                f" --permission-set-arn ARN_OF_{permission_set} --inline-policy"
                f" '{_deny_everything(condition)}' (replaces the inline policy: merge it with the"
                " present one)"
            ),
            (
                f"aws sso-admin provision-permission-set --instance-arn {instance}"
                f" --permission-set-arn ARN_OF_{permission_set} --target-type"
                " ALL_PROVISIONED_ACCOUNTS"
            ),
            *_service_control_policy(condition, account),
        ],
    )


def _service_linked(principal: PrincipalContext, identity: Principal) -> Path:
    return Path(
        f"{identity.role} is a service-linked role: it takes no policy, and service control"
        " policies do not apply to it",
        [
            f"aws iam get-role --role-name {identity.role}",
            (
                f"aws iam delete-service-linked-role --role-name {identity.role} (once the service"
                " no longer uses it)"
            ),
            "open a case with AWS Support: its credentials are held by AWS alone",
        ],
    )


def _federated(principal: PrincipalContext, identity: Principal) -> Path:
    return Path(
        f"federated session {identity.id} was made with GetFederationToken, and CloudTrail does"
        " not show yet by which IAM user; denying that user everything ends it",
        [
            f"{_lookup(principal, identity)} (sessionContext.sessionIssuer names the user)",
            f"aws iam attach-user-policy --user-name THAT_USER --policy-arn {principal.deny_all}",
        ],
    )


def _external(principal: PrincipalContext, identity: Principal) -> Path:
    name = identity.id
    other = name if name.isdigit() else "another account"
    criteria = f'{{"principal.AWS":{{"contains":["{name}"]}}}}'
    return Path(
        f"the caller belongs to {other}, not to account {principal.target.account_id}: only that"
        " account can take its credentials away",
        [
            f"tell the owner of {other}: access key {identity.key or 'unknown'}",
            (
                f"take {other} out of the policies that let it in: aws accessanalyzer"
                f" list-findings --analyzer-arn ANALYZER --filter '{criteria}' --region"
                f" {principal.target.region}"
            ),
        ],
    )


def _unknown(principal: PrincipalContext, identity: Principal) -> Path:
    return Path(
        "the finding does not say whose credential it is (user type unknown, name"
        f" '{identity.id}', access key '{identity.key}')",
        [
            f"aws sts get-access-key-info --access-key-id {identity.key or 'KEY'}",
            _lookup(principal, identity),
        ],
    )


_PATHS: dict[str, Callable[[PrincipalContext, Principal], Path]] = {
    identify.ROOT: _root,
    identify.IDENTITY_CENTER: _identity_center,
    identify.SERVICE_LINKED: _service_linked,
    identify.FEDERATED: _federated,
    identify.EXTERNAL: _external,
}


def _lookup(principal: PrincipalContext, identity: Principal) -> str:
    return (
        "aws cloudtrail lookup-events --lookup-attributes"
        f" AttributeKey=AccessKeyId,AttributeValue={identity.key or 'KEY'} --region"
        f" {principal.target.region}"
    )


def _deny_everything(condition: dict[str, dict[str, str]]) -> str:
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return compact(document)


def _service_control_policy(condition: dict[str, dict[str, str]], account: str) -> list[str]:
    return [
        (
            "(management account) aws organizations create-policy --type SERVICE_CONTROL_POLICY"
            f" --name contain-{account} --description incident --content"
            f" '{_deny_everything(condition)}'"
        ),
        f"aws organizations attach-policy --policy-id THE_NEW_ID --target-id {account}",
    ]
