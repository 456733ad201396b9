"""Which reversal undoes which change, and which changes need none. Names are CloudTrail's."""

from __future__ import annotations

import re
from typing import Any

from guardduty_response.playbooks.iam_principal.eradicate import manual_commands
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.compute import Function, Instances
from guardduty_response.playbooks.iam_principal.eradicate.grants import (
    Attached,
    Inline,
    Member,
    Trust,
)
from guardduty_response.playbooks.iam_principal.eradicate.identities import (
    AccessKey,
    LoginProfile,
    Role,
    User,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import Reversal
from guardduty_response.playbooks.iam_principal.eradicate.security_group_rules import Rules
from guardduty_response.playbooks.iam_principal.eradicate.sharing import Sharing
from guardduty_response.playbooks.iam_principal.eradicate.visibility import Bucket, Detector, Trail

REVERSALS: dict[str, type[Reversal[Any]]] = {
    "iam:CreateAccessKey": AccessKey,
    "iam:UpdateAccessKey": AccessKey,
    "iam:CreateUser": User,
    "iam:CreateLoginProfile": LoginProfile,
    "iam:UpdateLoginProfile": LoginProfile,
    "iam:CreateRole": Role,
    "iam:AttachUserPolicy": Attached,
    "iam:AttachRolePolicy": Attached,
    "iam:AttachGroupPolicy": Attached,
    "iam:PutUserPolicy": Inline,
    "iam:PutRolePolicy": Inline,
    "iam:PutGroupPolicy": Inline,
    "iam:AddUserToGroup": Member,
    "iam:UpdateAssumeRolePolicy": Trust,
    "ec2:RunInstances": Instances,
    "ec2:AuthorizeSecurityGroupIngress": Rules,
    "ec2:AuthorizeSecurityGroupEgress": Rules,
    "s3:PutBucketPolicy": Bucket,
    "s3:PutBucketAcl": Bucket,
    "s3:DeleteBucketPublicAccessBlock": Bucket,
    "s3:PutBucketPublicAccessBlock": Bucket,
    "cloudtrail:StopLogging": Trail,
    "guardduty:UpdateDetector": Detector,
    "lambda:CreateFunction20150331": Function,
    "lambda:CreateFunction20150331v2": Function,
    "ec2:ModifySnapshotAttribute": Sharing,
    "ec2:ModifyImageAttribute": Sharing,
}

# Categories that are undone first: credentials may be used while the rest is undone.
FIRST = frozenset({"access_keys", "users", "login_profiles", "roles", "policies", "trust"})

# Calls that succeeded, are not read-only by CloudTrail's flag, and cannot be undone: credentials
# obtained, secrets read, sign-ins.
NOTEWORTHY = re.compile(
    r"sts:.*|signin:.*|sso:(Authenticate|Federate)|secretsmanager:(Batch)?GetSecretValue|kms:"
    r"(Decrypt|GenerateDataKey.*|Encrypt)"
    r"|ssm:GetParameters?.*|[a-z0-9-]+:(Get|List|Describe|Head|Lookup|Search|BatchGet|Select|"
    r"Query|Scan)[A-Z].*"
)


def reversal_for(change: Change) -> type[Reversal[Any]] | None:
    """Return what undoes the change; None when people are told of it instead."""
    reversal_class = REVERSALS.get(change.key)
    if reversal_class and reversal_class.applies(change):
        return reversal_class
    return None


def noteworthy(change: Change) -> bool:
    """Tell whether people should know of a change that cannot be undone."""
    return not manual_commands.template(change) and NOTEWORTHY.fullmatch(change.key) is not None
