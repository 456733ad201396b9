"""The denial of sessions that a target's credentials got of another role, as a control of that
role.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment import denied_role_tag
from guardduty_response.containment.control import Grant
from guardduty_response.containment.role_denial import RoleDenial
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.containment.session_holder import SessionHolder
from guardduty_response.containment.tag_control import OWN_TAGS
from guardduty_response.containment.target_context import Sessions, allow

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.control_restore import ReadItem
    from guardduty_response.containment.records import DeniedSessionsBefore
    from guardduty_response.containment.restoration import RestoreItem
    from guardduty_response.containment.session_entries import SessionDenial
    from guardduty_response.containment.target_context import Settings

NAME = "held_sessions"


class RoleState:
    """What was read of a role."""

    def __init__(self) -> None:
        self.settings: Settings = {}
        self.read_errors: dict[str, str] = {}


class ChainedDenial(RoleDenial[SessionHolder, RoleState, "DeniedSessionsBefore"]):
    """The policy on another role that denies sessions which the target's credentials got of it.

    ``wanted_denial``: what containment denies now; without it, what it has denied counts.
    """

    name = NAME
    part = "held"
    reads = (Grant(("iam:GetRolePolicy",), ROLES),)
    contains = (
        Grant(("iam:PutRolePolicy",), ROLES),
        Grant(denied_role_tag.CHANGES, ROLES, OWN_TAGS),
    )
    wanted_denial: SessionDenial | None = None

    def __init__(self, holder: SessionHolder, item: str) -> None:
        before: DeniedSessionsBefore = holder.before_states[item]
        self.item, self.role, self.written = item, before["role"], before["policy"]
        sessions = Sessions(holder, [allow(("iam:GetRolePolicy",), self.role)], {})
        super().__init__(holder, sessions, RoleState())

    @property
    def arn(self) -> str:
        return self.role

    @property
    def policy(self) -> str:
        return self.written

    def denial(self) -> SessionDenial:
        if self.wanted_denial:
            return self.wanted_denial
        denied = (self.target_context.evidence_state(NAME).get("roles") or {}).get(self.role)
        return {"userids": denied["userids"], "before": denied["before"]} if denied else {}

    def step_key(self, name: str) -> str:
        return f"{self.item} {name}"

    def step_state(self, name: str, found: PolicyDocument | None) -> DeniedSessionsBefore:
        return {"role": self.role, "policy": name, "document": found}

    def read(self) -> DeniedSessionsBefore:
        document = self.read_policy(self.policy)
        return {"role": self.role, "policy": self.policy, "document": document}

    def values(self, stored: DeniedSessionsBefore | None) -> Values[PolicyDocument | None]:
        return {stored["policy"]: stored["document"]} if stored else {}


def restore_calls(holder: SessionHolder) -> dict[str, ReadItem]:
    """Returns for each role on which sessions were denied the call that compares it with the
    record, for a restore.
    """
    from guardduty_response.containment.control_restore import restore_items

    def read(item: str) -> list[RestoreItem]:
        return restore_items(ChainedDenial(holder, item))

    items = [item for item in holder.before_states if item.startswith(f"{NAME}/")]
    return {item: partial(read, item) for item in items}
