"""The tags that say what is contained and by which incident: a label, and what the
organization's quarantine policy goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.control import Grant
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.containment.tag_control import OWN_TAGS, Tags
from guardduty_response.incident.target_repository import Place
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.user_action import USERS, role_arn

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.control import Values

SETTING = "tags"  # of a role, as a shared setting


class Tag(Tags[PrincipalContext, PrincipalState]):
    """``WHAT``: User or Role, as IAM's answers name it."""

    WHAT = ""

    def found_tags(self) -> dict[str, str]:
        get = getattr(self.client, f"get_{self.WHAT.lower()}")
        return tags_of(get(**self._named)[self.WHAT])

    def put_tags(self, tags: Mapping[str, str]) -> AwsAnswer:
        pairs = [{"Key": key, "Value": tag} for key, tag in tags.items()]
        call = getattr(self.client, f"tag_{self.WHAT.lower()}")
        return dict(retry_on_conflict(partial(call, **self._named, Tags=pairs)))

    def remove_tag(self, key: str) -> AwsAnswer:
        call = getattr(self.client, f"untag_{self.WHAT.lower()}")
        return dict(retry_on_conflict(partial(call, **self._named, TagKeys=[key])))

    @property
    def _named(self) -> dict[str, str]:
        return {f"{self.WHAT}Name": self.target_context.iam_name}

    def command(self, name: str, value: str | None) -> str:
        kind = self.WHAT.lower()
        about = f"-{kind} --{kind}-name {self.target_context.iam_name}"
        if value is None:
            return f"iam untag{about} --tag-keys {name}"
        return f"iam tag{about} --tags Key={name},Value={value}"


class TagUser(Tag):
    name = "tag_user"
    WHAT = "User"
    reads = (Grant(("iam:GetUser",), USERS),)
    contains = (Grant(("iam:TagUser",), USERS, OWN_TAGS),)
    restores = (Grant(("iam:TagUser", "iam:UntagUser"), USERS, OWN_TAGS),)


class TagRole(Tag):
    """Tags a role, which several containments may need: each of a session of the role."""

    name = "tag_role"
    WHAT = "Role"
    reads = (Grant(("iam:GetRole",), ROLES),)
    contains = (Grant(("iam:TagRole",), ROLES, OWN_TAGS),)
    restores = (Grant(("iam:TagRole", "iam:UntagRole"), ROLES, OWN_TAGS),)
    # Who needs the tags too, and which: read by to_restore.
    others: Mapping[Place, Mapping[str, str]] = MappingProxyType({})

    @property
    def arn(self) -> str:
        return role_arn(self.target_context)

    def shared_setting(self) -> tuple[str, str] | None:
        return str(self.target_context.scope("role_arn")), SETTING

    def read(self) -> dict[str, str | None]:
        found = super().read()
        if self.held and (place := self.target_context.target.place):
            self.held.enter(place, self.tags, found)
        return found

    # -- restoring: a tag stays when another containment of the role needs it ----------------------

    def to_restore(self) -> Values[str | None]:
        """A containment's own record may be what another containment made of the tags."""
        place = self.target_context.target.place
        recorded = super().to_restore()
        if not place:
            return recorded
        shared = self.target_context.context.record.shared.read(self.arn, SETTING)
        self.others = shared.others(place)
        known = place in shared.known and not self.others
        return dict(shared.before) if known else recorded

    def as_before(self, name: str, before: str | None, now: str | None) -> bool:
        if self.others:
            return now in {tags.get(name) for tags in self.others.values()}
        return super().as_before(name, before, now)

    def left(self, name: str, before: str | None, now: str | None) -> bool:
        return bool(self.others) or super().left(name, before, now)

    def full_command(self, name: str, value: str | None) -> str:
        return super().full_command(name, self._needed(name, value))

    def state_text(self, name: str, value: str | None) -> str:
        return self._stays(name) or super().state_text(name, value)

    def restored_text(self, name: str, before: str | None) -> str:
        return self._stays(name) or super().restored_text(name, before)

    def restore_value(self, name: str, before: str | None) -> list[AwsAnswer]:
        with self.target_context.hold(self.arn, SETTING, name):
            self.to_restore()  # another containment may have entered meanwhile
            return super().restore_value(name, self._needed(name, before))

    def _needed(self, name: str, before: str | None) -> str | None:
        """Returns the tag that another containment needs, else ``before``."""
        return next((tags[name] for tags in self.others.values()), before)

    def _stays(self, name: str) -> str:
        role = self.target_context.identity.role
        for arn, _ in self.others:
            return f"tag {name} of role {role} stays, because {arn} is contained, too"
        return ""


def tags_of(entity: AwsAnswer) -> dict[str, str]:
    """Returns the tags of a user or role, as IAM's answer has them."""
    return {tag["Key"]: tag["Value"] for tag in entity.get("Tags") or []}
