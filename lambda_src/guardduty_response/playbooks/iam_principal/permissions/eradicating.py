"""Says what undoing a principal's actions may do: in reversible forms, and never to the response
itself.
"""

from __future__ import annotations

from guardduty_response.containment.declared import (
    CONTAINS,
    PROTECTED_ROLES,
    READS,
    MemberRole,
    Permission,
)
from guardduty_response.playbooks.iam_principal.deny_all import POLICY
from guardduty_response.playbooks.iam_principal.permissions.patterns import (
    IDENTITIES,
    ROLES,
    USERS,
    of_reversals,
)
from guardduty_response.playbooks.iam_principal.reversals.buckets import BUCKETS
from guardduty_response.playbooks.iam_principal.reversals.compute import FUNCTIONS, INSTANCES
from guardduty_response.playbooks.iam_principal.reversals.exposure import (
    IMAGES,
    SECURITY_GROUPS,
    SNAPSHOTS,
)
from guardduty_response.playbooks.iam_principal.reversals.visibility import DETECTORS, TRAILS

_SECRETS = "arn:${partition}:secretsmanager:*:${account_id}:secret:${name_prefix}/*"

_WATCHED = (TRAILS, DETECTORS, FUNCTIONS, BUCKETS)
_STOPPED = (TRAILS, INSTANCES, SECURITY_GROUPS, DETECTORS, FUNCTIONS)
# The rest of what reversals change of users, roles and groups takes grants back.
_DENYING_ALL = (
    "iam:AttachUserPolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutUserPermissionsBoundary",
)
_ENDING = ("iam:UpdateAccessKey", "iam:UpdateLoginProfile")

_READING = (
    Permission(
        "compares instances, groups' rules and sharing with what the principal made of them",
        tuple(of_reversals(READS, "*")),
        sid="Look",
    ),
    Permission(
        "compares users, roles and groups with what the principal made of them",
        tuple(of_reversals(READS, *IDENTITIES)),
        IDENTITIES,
        sid="LookAtIdentities",
    ),
    Permission(
        "compares trails, detectors, functions and buckets with what the principal made of them",
        tuple(of_reversals(READS, *_WATCHED)),
        _WATCHED,
        sid="LookAtTheRest",
    ),
)

_CHANGING = (
    Permission(
        "denies everything to a user that the principal made",
        _DENYING_ALL[:1],
        USERS,
        {"ArnEquals": {"iam:PolicyARN": POLICY}},
        sid="DenyUsers",
    ),
    Permission(
        "denies everything to a role that the principal made, or to a user whose quota of policies"
        " is full",
        _DENYING_ALL[1:],
        (ROLES, USERS),
        {"ArnEquals": {"iam:PermissionsBoundary": POLICY}},
        sid="DenyByBoundary",
    ),
    Permission(
        "ends keys and passwords that the principal made",
        _ENDING,
        USERS,
        sid="EndCredentials",
    ),
    Permission(
        "takes back what the principal granted, and denies other accounts in trust policies",
        tuple(of_reversals(CONTAINS, *IDENTITIES) - {*_DENYING_ALL, *_ENDING}),
        IDENTITIES,
        sid="TakeBackGrants",
    ),
    Permission(
        "stops instances and functions, closes ports, starts trails and detectors again",
        tuple(of_reversals(CONTAINS, *_STOPPED)),
        _STOPPED,
        sid="StopAndClose",
    ),
    Permission(
        "ends the sharing of images and snapshots, and can share none",
        tuple(of_reversals(CONTAINS, IMAGES, SNAPSHOTS)),
        (IMAGES, SNAPSHOTS),
        {"Null": {"ec2:Add/group": "true", "ec2:Add/userId": "true"}},
        sid="ShareNoLonger",
    ),
    Permission(
        "blocks public access to a bucket that the principal opened",
        tuple(of_reversals(CONTAINS, BUCKETS)),
        BUCKETS,
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
