"""The tags that say what is contained and by which incident: a label, and what the
organization's quarantine policy goes by.
"""

from __future__ import annotations

from functools import partial

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment import action
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer

SETTING = "tags"  # of a role, as a shared setting


class Tag(action.Action[PrincipalContext, PrincipalState]):
    """``WHAT``: User or Role, as IAM's answers name it; ``GET``, ``TAG``: its calls."""

    item = "tags"
    done_text = "tagged"
    WHAT = ""
    GET = ""
    TAG = ""

    @property
    def manual_command(self) -> str:  # type: ignore[override]
        kind = self.WHAT.lower()
        return (
            f"iam tag-{kind} --{kind}-name {self.target_context.iam_name} --tags"
            f" Key={self.target_context.prefix},Value=quarantined"
        )

    def wanted(self) -> dict[str, str]:
        prefix = self.target_context.prefix
        return {
            prefix: "quarantined",
            f"{prefix}-incident": self.target_context.opened_by,
        }

    def read(self) -> dict[str, str | None]:
        """Returns the wanted keys with their present values, None where a tag is absent."""
        get = getattr(self.sessions.client("iam"), self.GET)
        found = get(**self._parameters())[self.WHAT]
        tags = tags_of(found)
        return {key: tags.get(key) for key in self.wanted()}

    def pending_change(self) -> str:
        wanted = self.wanted()
        if self.current == wanted:
            return ""
        return "tagged " + ", ".join(f"{key}={tag}" for key, tag in wanted.items())

    def change(self) -> list[AwsAnswer]:
        pairs = [{"Key": key, "Value": tag} for key, tag in self.wanted().items()]
        call = getattr(self.sessions.client("iam"), self.TAG)
        return [retry_on_conflict(partial(call, **self._parameters(), Tags=pairs))]

    def _parameters(self) -> dict[str, str]:
        return {f"{self.WHAT}Name": self.target_context.iam_name}


class TagUser(Tag):
    name = "tag_user"
    WHAT = "User"
    GET = "get_user"
    TAG = "tag_user"


class TagRole(Tag):
    """Tags a role, which several containments may need: each of a session of the role."""

    name = "tag_role"
    WHAT = "Role"
    GET = "get_role"
    TAG = "tag_role"

    def shared_setting(self) -> tuple[str, str] | None:
        return str(self.target_context.scope("role_arn")), SETTING

    def read(self) -> dict[str, str | None]:
        found = super().read()
        if self.held and (place := self.target_context.target.place):
            self.held.enter(place, self.wanted(), found)
        return found


def tags_of(entity: AwsAnswer) -> dict[str, str]:
    """Returns the tags of a user or role, as IAM's answer has them."""
    return {tag["Key"]: tag["Value"] for tag in entity.get("Tags") or []}
