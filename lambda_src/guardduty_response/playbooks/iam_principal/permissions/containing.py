"""Says what containing, monitoring and restoring a principal needs beside the controls' grants."""

from __future__ import annotations

from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    MemberRole,
    Permission,
    changing_roles,
    never_its_own,
)
from guardduty_response.playbooks.iam_principal import chained_sessions, role, user
from guardduty_response.playbooks.iam_principal.permissions.patterns import IDENTITIES, ROLES
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl

CONTROLS: tuple[type[PrincipalControl], ...] = (
    *user.CONTROLS,
    *role.CONTROLS,
    chained_sessions.ChainedDenial,
)
WHOSE_KEY = "finds whose key it is, by the key that a finding names"

WHY = {
    ("deny_all", "iam:PutUserPermissionsBoundary"): (
        "denies it by the boundary, where the quota of attached policies is full; a restore gives"
        " back the boundary that there was"
    ),
}

RESPONDER = MemberRole(
    "responder",
    (READS, FINDS, CONTAINS),
    (
        Permission(WHOSE_KEY, ("iam:GetAccessKeyLastUsed", "sts:GetAccessKeyInfo")),
        Permission(
            "finds the sessions that the principal holds in other roles, and who undid a"
            " containment, in every Region that is enabled",
            ("account:ListRegions", "cloudtrail:LookupEvents"),
        ),
        Permission(
            "tells people who else uses the role, and finds the instance of stolen credentials",
            role.WORKLOADS,
        ),
        Permission(
            "tells people who else uses the role",
            ("iam:ListInstanceProfilesForRole",),
            ROLES,
        ),
        never_its_own(changing_roles(CONTROLS, CONTAINS)),
    ),
)

MONITOR = MemberRole(
    "monitor",
    (READS, FINDS),
    (
        Permission(
            "finds whose a key is by now, where its user is gone or has another name",
            ("iam:GetAccessKeyLastUsed",),
        ),
    ),
)

# The rest of what eradication changed: see the remediator, which these take back.
_GRANTS_BACK = Permission(
    "gives back what eradication took of IAM policies, groups and boundaries",
    (
        "iam:AddUserToGroup",
        "iam:AttachGroupPolicy",
        "iam:AttachRolePolicy",
        "iam:AttachUserPolicy",
        "iam:DeleteRolePermissionsBoundary",
        "iam:PutGroupPolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutUserPolicy",
        "iam:UpdateAssumeRolePolicy",
    ),
    IDENTITIES,
    sid="GrantsBack",
    switch="remediates",
)

RESTORER = MemberRole(
    "restorer",
    (READS, RESTORES),
    (
        Permission(
            "compares what eradication changed with how it is now",
            (
                "cloudtrail:GetTrailStatus",
                "ec2:DescribeImageAttribute",
                "ec2:DescribeInstances",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSnapshotAttribute",
                "guardduty:GetDetector",
                "iam:GetGroup",
                "iam:GetGroupPolicy",
                "iam:GetUserPolicy",
                "iam:ListAttachedGroupPolicies",
                "iam:ListAttachedRolePolicies",
                "iam:ListGroupsForUser",
                "lambda:GetFunctionConcurrency",
                "s3:GetBucketAcl",
                "s3:GetBucketPolicyStatus",
                "s3:GetBucketPublicAccessBlock",
            ),
            sid="LookAtWhatWasUndone",
            switch="remediates",
        ),
        _GRANTS_BACK,
        Permission(
            "gives back what eradication closed, stopped or no longer shares",
            (
                "ec2:AuthorizeSecurityGroupEgress",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:ModifyImageAttribute",
                "ec2:ModifySnapshotAttribute",
                "ec2:StartInstances",
                "lambda:DeleteFunctionConcurrency",
                "lambda:PutFunctionConcurrency",
                "s3:PutBucketPublicAccessBlock",
            ),
            sid="ResourcesBack",
            switch="remediates",
        ),
        never_its_own(
            (
                *changing_roles(CONTROLS, RESTORES),
                *(action for action in _GRANTS_BACK.actions if "Role" in action),
            )
        ),
    ),
)
