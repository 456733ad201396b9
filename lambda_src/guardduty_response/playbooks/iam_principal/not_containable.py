"""Principals that no IAM call of this account can contain: what they are, why, and the commands for
a person who can.

Sources: AWS IAM User Guide ("Disabling permissions for temporary security credentials": neither
root nor GetSessionToken credentials of root can be restricted by IAM; service-linked and Identity
Center roles take no policy), AWS Organizations User Guide (service control policies: not for
service-linked roles, nor in the management account), IAM Identity Center User Guide ("Revoke active
IAM role sessions").
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    now_rounded_up,
)


@dataclass(frozen=True)
class Path:
    """``why``: what it is, and why it is not contained here. ``commands``: what a person runs,
    in this order.
    """

    why: str
    commands: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return (
            f"{self.why}. A person must run: {' ; '.join(self.commands)}"
            if self.commands
            else self.why
        )


def _scp(statement_condition: dict[str, dict[str, str]], account: str) -> list[str]:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": statement_condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]}, separators=(",", ":"))
    return [
        (
            "(management account) aws organizations create-policy --type SERVICE_CONTROL_POLICY"
            f" --name contain-{account} --description incident --content '{document}'"
        ),
        f"aws organizations attach-policy --policy-id THE_NEW_ID --target-id {account}",
    ]


def path(principal: PrincipalContext, who: Principal) -> Path:
    """What there is to say and do about ``who``."""
    account = principal.target.account_id
    name, at = who.id, now_rounded_up()
    if who.kind == identify.ROOT:
        scp = _scp({"StringLike": {"aws:PrincipalArn": f"arn:*:iam::{account}:root"}}, account)
        return Path(
            f"the root user of account {account} was used; no policy of the account restricts root",
            [
                *scp,
                (
                    f"sign in as root of {account}: change its password, delete every root access"
                    " key, check MFA devices and e-mail"
                ),
            ],
        )
    if who.kind == identify.IDENTITY_CENTER:
        permission_set = who.role.removeprefix("AWSReservedSSO_").rpartition("_")[0]
        session, option = who.session or "SESSION", principal.options.get("identity_center") or {}
        instance, store = (
            option.get("instance_arn", "INSTANCE"),
            option.get("identity_store_id", "STORE"),
        )
        trouble = (
            principal.scope("trouble")
            or "not set: with it the response denies that user in every permission set by itself"
        )
        deny = {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "StringLike": {"aws:userid": f"*:{session}"},
                "DateLessThan": {"aws:TokenIssueTime": at},
            },
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [deny]}, separators=(",", ":"))
        return Path(
            f"{session} signed in through IAM Identity Center (permission set {permission_set});"
            f" IAM lets nobody change that role in account {account}"
            f" (playbooks.iam_principal.identity_center: {trouble})",
            [
                (
                    "(Identity Center account) aws identitystore list-users --identity-store-id "
                    f"{store} --filters AttributePath=UserName,AttributeValue={session}"
                ),
                (
                    "disable that user in its identity source, and delete its active sessions in"
                    " the Identity Center console"
                ),
                (
                    f"aws sso-admin put-inline-policy-to-permission-set --instance-arn {instance} "
                    f"--permission-set-arn ARN_OF_{permission_set} --inline-policy '{document}' "
                    "(replaces the inline policy: merge it with the present one)"
                ),
                (
                    f"aws sso-admin provision-permission-set --instance-arn {instance}"
                    f" --permission-set-arn ARN_OF_{permission_set} --target-type"
                    " ALL_PROVISIONED_ACCOUNTS"
                ),
                *_scp(
                    {
                        "StringLike": {"aws:userid": f"*:{session}"},
                        "DateLessThan": {"aws:TokenIssueTime": at},
                    },
                    account,
                ),
            ],
        )
    if who.kind == identify.SERVICE_LINKED:
        return Path(
            f"{who.role} is a service-linked role: it takes no policy, and service control policies"
            " do not apply to it",
            [
                f"aws iam get-role --role-name {who.role}",
                (
                    f"aws iam delete-service-linked-role --role-name {who.role} (once the service"
                    " no longer uses it)"
                ),
                "open a case with AWS Support: its credentials are held by AWS alone",
            ],
        )
    if who.kind == identify.FEDERATED:
        return Path(
            f"federated session {name} was made with GetFederationToken, and CloudTrail does not"
            " show yet by which IAM user; denying that user everything ends it",
            [
                (
                    "aws cloudtrail lookup-events --lookup-attributes"
                    f" AttributeKey=AccessKeyId,AttributeValue={who.key or 'KEY'} --region"
                    f" {principal.target.region} (sessionContext.sessionIssuer names the user)"
                ),
                "aws iam attach-user-policy --user-name THAT_USER --policy-arn "
                f"{principal.deny_all}",
            ],
        )
    if who.kind == identify.FOREIGN:
        other = name if name.isdigit() else "another account"
        return Path(
            f"the caller belongs to {other}, not to account {account}: only that account can take"
            " its credentials away",
            [
                f"tell the owner of {other}: access key {who.key or 'unknown'}",
                f"take {other} out of the policies that let it in: aws accessanalyzer list-findings"
                " --analyzer-arn ANALYZER "
                f'--filter \'{{"principal.AWS":{{"contains":["{name}"]}}}}\' --region'
                f" {principal.target.region}",
            ],
        )
    return Path(
        f"the finding does not say whose credential it is (user type unknown, name '{name}', access"
        f" key '{who.key}')",
        [
            f"aws sts get-access-key-info --access-key-id {who.key or 'KEY'}",
            (
                "aws cloudtrail lookup-events --lookup-attributes"
                f" AttributeKey=AccessKeyId,AttributeValue={who.key or 'KEY'} --region"
                f" {principal.target.region}"
            ),
        ],
    )
