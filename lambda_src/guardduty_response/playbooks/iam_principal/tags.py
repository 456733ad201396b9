"""The tags that say what is contained and by which incident: a label, and what the
organization's quarantine policy goes by.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from guardduty_response.containment import action
from guardduty_response.containment.target_context import Json
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
    retry_on_conflict,
)


class Tag(action.Action[PrincipalContext, PrincipalState]):
    """``WHAT``: User or Role, as IAM's answers name it; ``GET``, ``TAG``: its calls."""

    item, done_text = "tags", "tagged"
    WHAT = GET = TAG = ""

    @property
    def manual_command(self) -> str:  # type: ignore[override]
        kind = self.WHAT.lower()
        return (
            f"iam tag-{kind} --{kind}-name {self._named()} --tags"
            f" Key={self.target_context.prefix},Value=quarantined"
        )

    def _named(self) -> str:
        return self.target_context.who.user or self.target_context.who.role

    def wanted(self) -> dict[str, str]:
        return {
            self.target_context.prefix: "quarantined",
            f"{self.target_context.prefix}-incident": self.target_context.context.incident_id,
        }

    def read(self) -> Any:
        """{key: value or None}."""
        get = getattr(self.sessions.client("iam"), self.GET)
        found = get(**{f"{self.WHAT}Name": self._named()})[self.WHAT]
        tags = {one["Key"]: one["Value"] for one in found.get("Tags") or []}
        return {key: tags.get(key) for key in self.wanted()}

    def pending_change(self) -> str:
        wanted = self.wanted()
        return (
            ""
            if self.current == wanted
            else "tagged " + ", ".join(f"{key}={text}" for key, text in wanted.items())
        )

    def change(self) -> list[Json]:
        pairs = [{"Key": key, "Value": text} for key, text in self.wanted().items()]
        tag = getattr(self.sessions.client("iam"), self.TAG)
        return [retry_on_conflict(partial(tag, **{f"{self.WHAT}Name": self._named()}, Tags=pairs))]


class TagUser(Tag):
    name, WHAT, GET, TAG = "tag_user", "User", "get_user", "tag_user"


class TagRole(Tag):
    name, WHAT, GET, TAG = "tag_role", "Role", "get_role", "tag_role"
