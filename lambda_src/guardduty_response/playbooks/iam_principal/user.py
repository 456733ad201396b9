"""Everything that is done to an IAM user: everything is denied first, then every credential
ends.
"""

from __future__ import annotations

from guardduty_response.containment.target_context import Sessions, allow
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.tags import TagUser
from guardduty_response.playbooks.iam_principal.user_action import PrincipalAction
from guardduty_response.playbooks.iam_principal.user_credentials import (
    AccessKeys,
    Certificates,
    Mfa,
    Password,
    ServiceCredentials,
    SshKeys,
)

READ = (
    "iam:GetUser",
    "iam:ListAttachedUserPolicies",
    "iam:ListAccessKeys",
    "iam:GetLoginProfile",
    "iam:ListMFADevices",
    "iam:ListSSHPublicKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
)
CHANGE = (
    "iam:AttachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:UpdateAccessKey",
    "iam:DeleteLoginProfile",
    "iam:UpdateLoginProfile",
    "iam:DeactivateMFADevice",
    "iam:UpdateSSHPublicKey",
    "iam:UpdateServiceSpecificCredential",
    "iam:UpdateSigningCertificate",
    "iam:TagUser",
)
# Run side by side, after DenyAll.
TABLE: tuple[type[PrincipalAction], ...] = (
    AccessKeys,
    Password,
    Mfa,
    SshKeys,
    ServiceCredentials,
    Certificates,
    TagUser,
)


def reading_sessions(principal: PrincipalContext, arn: str) -> Sessions:
    """Opens sessions that read everything of this user and change nothing."""
    return Sessions(principal, [allow(READ, arn)], {})


def changing_sessions(principal: PrincipalContext, arn: str) -> Sessions:
    """Opens sessions that may change this user, and nothing else."""
    return Sessions(principal, [allow((*READ, *CHANGE), arn)], {})


def actions(
    principal: PrincipalContext, sessions: Sessions, state: PrincipalState
) -> list[PrincipalAction]:
    """Returns every action, the denial first."""
    return [
        DenyAll(principal, sessions, state),
        *(action(principal, sessions, state) for action in TABLE),
    ]
