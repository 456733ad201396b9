"""Everything that is done to an IAM user: everything is denied first, then every credential
ends.
"""

from __future__ import annotations

from guardduty_response.containment.control import actions_of
from guardduty_response.containment.target_context import Sessions, allow
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.tags import TagUser
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl
from guardduty_response.playbooks.iam_principal.user_credentials import (
    AccessKeys,
    Certificates,
    Mfa,
    Password,
    ServiceCredentials,
    SshKeys,
)

# Run side by side, after DenyAll.
TABLE: tuple[type[PrincipalControl], ...] = (
    AccessKeys,
    Password,
    Mfa,
    SshKeys,
    ServiceCredentials,
    Certificates,
    TagUser,
)
CONTROLS: tuple[type[PrincipalControl], ...] = (DenyAll, *TABLE)
READ = actions_of(grant for control in CONTROLS for grant in control.reads)
CHANGE = actions_of(grant for control in CONTROLS for grant in control.contains)


def reading_sessions(principal: PrincipalContext, arn: str) -> Sessions:
    """Opens sessions that read everything of this user and change nothing."""
    return Sessions(principal, [allow(READ, arn)], {})


def changing_sessions(principal: PrincipalContext, arn: str) -> Sessions:
    """Opens sessions that may change this user, and nothing else."""
    return Sessions(principal, [allow((*READ, *CHANGE), arn)], {})


def controls(
    principal: PrincipalContext, sessions: Sessions, state: PrincipalState
) -> list[PrincipalControl]:
    """Returns every control, the denial first."""
    return [control(principal, sessions, state) for control in CONTROLS]
