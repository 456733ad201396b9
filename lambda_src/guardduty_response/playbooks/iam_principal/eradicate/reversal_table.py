"""Which change is undone by what (event names are CloudTrail's), and which is none to be undone."""

from __future__ import annotations

import re

from guardduty_response.playbooks.iam_principal.eradicate import manual_commands
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.grants import (
    Attached,
    Inline,
    Member,
    Trust,
)
from guardduty_response.playbooks.iam_principal.eradicate.identities import (
    Key,
    LoginProfile,
    Role,
    User,
)
from guardduty_response.playbooks.iam_principal.eradicate.resources import (
    Function,
    Instances,
    Rules,
    Sharing,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import Revert
from guardduty_response.playbooks.iam_principal.eradicate.visibility import Bucket, Detector, Trail

REVERTS: dict[str, type[Revert]] = {
    "iam:CreateAccessKey": Key,
    "iam:UpdateAccessKey": Key,
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

# Who got what credentials goes first: it may still be used while the rest is undone.
FIRST = frozenset({"access_keys", "users", "login_profiles", "roles", "policies", "trust"})

# Successful, not read-only by CloudTrail's flag, and nothing that could be undone: credentials
# taken, secrets read, sign-ins.
NOTEWORTHY = re.compile(
    r"sts:.*|signin:.*|sso:(Authenticate|Federate)|secretsmanager:(Batch)?GetSecretValue|kms:"
    r"(Decrypt|GenerateDataKey.*|Encrypt)"
    r"|ssm:GetParameters?.*|[a-z0-9-]+:(Get|List|Describe|Head|Lookup|Search|BatchGet|Select|"
    r"Query|Scan)[A-Z].*"
)


def revert_for(change: Change) -> type[Revert] | None:
    """What undoes the change; None: it is told to people."""
    found = REVERTS.get(change.key)
    return found if found and found.applies(change) else None


def noteworthy(change: Change) -> bool:
    return not manual_commands.known(change) and NOTEWORTHY.fullmatch(change.key) is not None
