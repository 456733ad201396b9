"""What the controls of an IAM user share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardduty_response.containment.control import Control, SettingType, ValueType
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient
    from guardduty_response.containment.records import RoleSessions

# A control of a principal: a user's, a role's or a tag.
PrincipalControl = Control[PrincipalContext, PrincipalState, Any, Any]
# Users, as the policies of playbooks/iam_principal name them.
USERS = "arn:${partition}:iam::${account_id}:user/*"


def role_arn(principal: PrincipalContext) -> str:
    """Returns the role's ARN; its path is not in the record's target of a role session."""
    before: RoleSessions | None = principal.before_state("sessions")
    if before and before.get("role"):
        return before["role"]
    return principal.arn(f"role/{principal.identity.role}", "iam")


class UserControl(Control[PrincipalContext, PrincipalState, SettingType, ValueType]):
    @property
    def iam(self) -> AwsClient:
        return self.client

    @property
    def user(self) -> str:
        return self.target_context.identity.user
