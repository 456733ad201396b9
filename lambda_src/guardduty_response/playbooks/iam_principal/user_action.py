"""What the actions on an IAM user share."""

from __future__ import annotations

from guardduty_response.containment import action
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.records import AwsClient

# An action on a principal: a user's, a role's or a tag.
PrincipalAction = action.Action[PrincipalContext, PrincipalState]


class UserAction(PrincipalAction):
    @property
    def iam(self) -> AwsClient:
        return self.sessions.client("iam")

    @property
    def user(self) -> str:
        return self.target_context.identity.user

    def by_hand(self) -> str:
        # No --region: IAM has none.
        names = {"user": self.user, "prefix": self.target_context.prefix, **self._names()}
        return f"By hand: aws {self.manual_command.format(**names)}"
