"""Says what containing a person of IAM Identity Center, looking whether it holds, and taking it
back may do in the account from which Identity Center is managed.
"""

from __future__ import annotations

from guardduty_response.containment.declared import MemberRole, Permission

_SETS = ("arn:${partition}:sso:::instance/*", "arn:${partition}:sso:::permissionSet/*")
_SETS_AND_ACCOUNTS = ("arn:${partition}:sso:::account/*", *_SETS)
# Where Identity Center is encrypted with a customer managed key.
_KEY = Permission(
    "reads what is encrypted with a customer managed key, through Identity Center alone",
    ("kms:Decrypt",),
    "arn:${partition}:kms:*:*:key/*",
    {"StringLike": {"kms:ViaService": ["identitystore.*", "sso.*"]}},
    sid="KeyOfIdentityCenter",
)

# Containing, and looking whether it holds, find what the person holds by now.
_READING = (
    Permission(
        "finds the person by the name of the session, and the person's groups",
        ("identitystore:GetUserId", "identitystore:ListGroupMembershipsForMember"),
        (
            "arn:${partition}:identitystore::*:identitystore/*",
            "arn:${partition}:identitystore:::membership/*",
            "arn:${partition}:identitystore:::user/*",
        ),
        sid="WhoSignedIn",
    ),
    Permission(
        "finds every permission set that the person holds, and where it is provisioned",
        (
            "sso:DescribePermissionSet",
            "sso:GetInlinePolicyForPermissionSet",
            "sso:ListAccountAssignments",
            "sso:ListAccountAssignmentsForPrincipal",
            "sso:ListAccountsForProvisionedPermissionSet",
            "sso:ListPermissionSetsProvisionedToAccount",
        ),
        _SETS_AND_ACCOUNTS,
        sid="LookAtPermissionSets",
    ),
)

IDENTITY_CENTER_RESPONDER = MemberRole(
    "identity-center-responder",
    (),
    (
        *_READING,
        Permission(
            "adds the statement that denies the person everything, provisions it, and sees when"
            " that has ended",
            (
                "sso:DescribePermissionSetProvisioningStatus",
                "sso:ProvisionPermissionSet",
                "sso:PutInlinePolicyToPermissionSet",
            ),
            _SETS_AND_ACCOUNTS,
            sid="DenyInPermissionSets",
        ),
        _KEY,
        Permission("finds who undid it", ("cloudtrail:LookupEvents",), sid="WhoUndidIt"),
    ),
)

IDENTITY_CENTER_MONITOR = MemberRole("identity-center-monitor", (), (*_READING, _KEY))

IDENTITY_CENTER_RESTORER = MemberRole(
    "identity-center-restorer",
    (),
    (
        Permission(
            "compares the permission set with how containment left it",
            (
                "sso:GetInlinePolicyForPermissionSet",
                "sso:ListAccountsForProvisionedPermissionSet",
            ),
            _SETS,
            sid="LookAtPermissionSets",
        ),
        Permission(
            "takes the incident's statement out, and provisions the permission set",
            (
                "sso:DeleteInlinePolicyFromPermissionSet",
                "sso:ProvisionPermissionSet",
                "sso:PutInlinePolicyToPermissionSet",
            ),
            _SETS_AND_ACCOUNTS,
            sid="LetPeople",
        ),
        _KEY,
    ),
)
