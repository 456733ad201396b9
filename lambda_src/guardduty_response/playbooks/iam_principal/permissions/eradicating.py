"""Says what undoing a principal's actions may do: in reversible forms, and never to the response
itself.
"""

from __future__ import annotations

from guardduty_response.containment.declared import PROTECTED_ROLES, MemberRole, Permission
from guardduty_response.playbooks.iam_principal.deny_all import POLICY
from guardduty_response.playbooks.iam_principal.permissions.patterns import (
    IDENTITIES,
    ROLES,
    USERS,
)

_TRAILS = "arn:${partition}:cloudtrail:*:${account_id}:trail/*"
_DETECTORS = "arn:${partition}:guardduty:*:${account_id}:detector/*"
_FUNCTIONS = "arn:${partition}:lambda:*:${account_id}:function:*"
_BUCKETS = "arn:${partition}:s3:::*"
_SECRETS = "arn:${partition}:secretsmanager:*:${account_id}:secret:${name_prefix}/*"

_READING = (
    Permission(
        "compares instances, groups' rules and sharing with what the principal made of them",
        (
            "ec2:DescribeImageAttribute",
            "ec2:DescribeInstances",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSnapshotAttribute",
        ),
        sid="Look",
    ),
    Permission(
        "compares users, roles and groups with what the principal made of them",
        (
            "iam:GetGroup",
            "iam:GetGroupPolicy",
            "iam:GetLoginProfile",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:GetUser",
            "iam:GetUserPolicy",
            "iam:ListAccessKeys",
            "iam:ListAttachedGroupPolicies",
            "iam:ListAttachedRolePolicies",
            "iam:ListAttachedUserPolicies",
            "iam:ListGroupsForUser",
        ),
        IDENTITIES,
        sid="LookAtIdentities",
    ),
    Permission(
        "compares trails, detectors, functions and buckets with what the principal made of them",
        (
            "cloudtrail:GetTrailStatus",
            "guardduty:GetDetector",
            "lambda:GetFunctionConcurrency",
            "s3:GetBucketAcl",
            "s3:GetBucketPolicyStatus",
            "s3:GetBucketPublicAccessBlock",
        ),
        (_TRAILS, _DETECTORS, _FUNCTIONS, _BUCKETS),
        sid="LookAtTheRest",
    ),
)

_CHANGING = (
    Permission(
        "denies everything to a user that the principal made",
        ("iam:AttachUserPolicy",),
        USERS,
        {"ArnEquals": {"iam:PolicyARN": POLICY}},
        sid="DenyUsers",
    ),
    Permission(
        "denies everything to a role that the principal made, or to a user whose quota of policies"
        " is full",
        ("iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary"),
        (ROLES, USERS),
        {"ArnEquals": {"iam:PermissionsBoundary": POLICY}},
        sid="DenyByBoundary",
    ),
    Permission(
        "ends keys and passwords that the principal made",
        ("iam:UpdateAccessKey", "iam:UpdateLoginProfile"),
        USERS,
        sid="EndCredentials",
    ),
    Permission(
        "takes back what the principal granted, and denies other accounts in trust policies",
        (
            "iam:DeleteGroupPolicy",
            "iam:DeleteRolePolicy",
            "iam:DeleteUserPolicy",
            "iam:DetachGroupPolicy",
            "iam:DetachRolePolicy",
            "iam:DetachUserPolicy",
            "iam:PutRolePolicy",
            "iam:RemoveUserFromGroup",
            "iam:UpdateAssumeRolePolicy",
        ),
        IDENTITIES,
        sid="TakeBackGrants",
    ),
    Permission(
        "stops instances and functions, closes ports, starts trails and detectors again",
        (
            "cloudtrail:StartLogging",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:StopInstances",
            "guardduty:UpdateDetector",
            "lambda:PutFunctionConcurrency",
        ),
        (
            _TRAILS,
            "arn:${partition}:ec2:*:${account_id}:instance/*",
            "arn:${partition}:ec2:*:${account_id}:security-group/*",
            _DETECTORS,
            _FUNCTIONS,
        ),
        sid="StopAndClose",
    ),
    Permission(
        "ends the sharing of images and snapshots, and can share none",
        ("ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute"),
        ("arn:${partition}:ec2:*::image/*", "arn:${partition}:ec2:*::snapshot/*"),
        {"Null": {"ec2:Add/group": "true", "ec2:Add/userId": "true"}},
        sid="ShareNoLonger",
    ),
    Permission(
        "blocks public access to a bucket that the principal opened",
        ("s3:PutBucketPublicAccessBlock",),
        _BUCKETS,
        {"StringEquals": {"aws:ResourceAccount": "${account_id}"}},
        sid="BlockPublicAccess",
    ),
)

_ROTATING = (
    Permission(
        "makes the replacement key, and removes it where nobody could read it",
        ("iam:CreateAccessKey", "iam:DeleteAccessKey"),
        USERS,
        sid="NewKey",
        switch="rotate",
    ),
    Permission(
        "keeps the replacement key for its owner",
        (
            "secretsmanager:CreateSecret",
            "secretsmanager:DescribeSecret",
            "secretsmanager:PutSecretValue",
            "secretsmanager:TagResource",
        ),
        _SECRETS,
        sid="KeepNewKey",
        switch="rotate",
    ),
    Permission(
        "lets those read the key whom rotate_key names",
        ("secretsmanager:PutResourcePolicy",),
        _SECRETS,
        {"Bool": {"secretsmanager:BlockPublicPolicy": "true"}},
        sid="WhoReadsIt",
        switch="rotate",
    ),
    Permission(
        "encrypts the secret with the key that rotate_key names",
        ("kms:Decrypt", "kms:GenerateDataKey"),
        "arn:${partition}:kms:*:*:key/*",
        {"StringLike": {"kms:ViaService": "secretsmanager.*.amazonaws.com"}},
        sid="EncryptIt",
        switch="rotate",
    ),
)

_DENYING = (
    Permission(
        "never takes a containment back: only a restore does",
        ("iam:DetachUserPolicy",),
        "*",
        {"ArnEquals": {"iam:PolicyARN": POLICY}},
        sid="NeverOpenWhatIsDenied",
        denies=True,
    ),
    Permission(
        "never changes the response's own roles and functions, AWS's own roles or those of Identity"
        " Center: a principal may have changed these too, and a person undoes that",
        (
            "iam:Attach*",
            "iam:Create*",
            "iam:Delete*",
            "iam:Detach*",
            "iam:Put*",
            "iam:Update*",
            "lambda:PutFunctionConcurrency",
        ),
        (
            *PROTECTED_ROLES,
            "arn:${partition}:lambda:*:${security_account_id}:function:${name_prefix}-*",
        ),
        sid="NeverTheResponseItself",
        denies=True,
    ),
)

REMEDIATOR = MemberRole("remediator", (), (*_READING, *_CHANGING, *_ROTATING, *_DENYING))
