"""The control of inline policies of a role that deny sessions, of an instance or of a principal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import (
    ContextType,
    Control,
    Grant,
    SettingType,
    StateType,
)
from guardduty_response.containment.role_policies import OLDER, revoked_before
from guardduty_response.containment.target_context import allow, name_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, PolicyDocument, PolicyStatement
    from guardduty_response.containment.control import Values
    from guardduty_response.containment.records import RoleSessions

ROLES = "arn:${partition}:iam::${account_id}:role/*"  # as the policies of playbooks/ name them


class RolePolicies(Control[ContextType, StateType, SettingType, "PolicyDocument | None"]):
    """Inline policies of a role that deny sessions: name -> document, None where there is none.

    They go when restored, but for AWSRevokeOlderSessions: the sessions that it denies stay dead.
    ``arn``: the role's.
    """

    service = "iam"
    restores = (Grant(("iam:DeleteRolePolicy", "iam:PutRolePolicy"), ROLES),)
    undone_by = ("DeleteRolePolicy", "PutRolePolicy")

    @property
    def role_name(self) -> str:
        return name_of(self.arn)

    def values(self, stored: SettingType | None) -> Values[PolicyDocument | None]:
        sessions = cast("RoleSessions", stored or {})
        return dict(sessions.get("policies") or {})

    def call(self, name: str, value: PolicyDocument | None) -> AwsCall:
        named = {"RoleName": self.role_name, "PolicyName": name}
        if value is None:
            return AwsCall("iam", "delete_role_policy", named)
        document = json.dumps(value, separators=(",", ":"))
        return AwsCall("iam", "put_role_policy", {**named, "PolicyDocument": document})

    def write(self, name: str, value: PolicyDocument | None) -> AwsAnswer:
        answer = super().write(name, value)
        if name == OLDER and self.held:
            self.held.written(value)
        return answer

    def retained(self, name: str, before: PolicyDocument | None, now: PolicyDocument | None) -> str:
        date = revoked_before(now)
        if name != OLDER or not date:
            return ""
        return (
            f"{OLDER} stays on role {self.role_name}: sessions issued before {date} stay dead by"
            " design, newer sessions work"
        )

    def state_text(self, name: str, value: PolicyDocument | None) -> str:
        if value is None:
            return f"role {self.role_name} has no policy {name}"
        if value == self.to_restore().get(name):
            return f"policy {name} of role {self.role_name} is as it was"
        return f"role {self.role_name} has another policy {name}"

    def restored_text(self, name: str, before: PolicyDocument | None) -> str:
        change = "removed from" if before is None else "put back as it was on"
        return (
            f"policy {name} {change} role {self.role_name}: the sessions that it denied work again"
        )

    def restore_statements(self, name: str, before: PolicyDocument | None) -> list[PolicyStatement]:
        action = "iam:DeleteRolePolicy" if before is None else "iam:PutRolePolicy"
        return [allow((action,), self.arn)]
