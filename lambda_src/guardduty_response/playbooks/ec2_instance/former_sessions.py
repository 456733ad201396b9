"""The control that denies the instance's sessions of one role that it had before its present
profile. former_roles.py finds the roles; a restore needs the control alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment.role_policies import OLDER, is_of_aws
from guardduty_response.containment.target_context import Sessions, name_of
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_profile import is_deleted
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from guardduty_response.containment.control_restore import ReadItem
    from guardduty_response.containment.records import RoleSessions

NAME = "former_sessions"


class FormerSessions(RevokeSessions):
    """Denies the instance's sessions of one role that it had before."""

    name = NAME

    def __init__(
        self, instance: InstanceContext, sessions: Sessions, state: InstanceState, role: str
    ) -> None:
        super().__init__(instance, sessions, state)
        self.role = role
        self.name, self.item = f"{NAME} {name_of(role)}", f"{NAME}/{name_of(role)}"
        self.done_text = f"its sessions of role {name_of(role)}, which it had before, are denied"

    @property
    def arn(self) -> str:
        return self.role

    @property
    def role_wide(self) -> bool:
        return self.target_context.options[self.option] == "role" or OLDER in (self.recorded or {})

    def shared_setting(self) -> tuple[str, str] | None:
        return (self.role, OLDER) if self.enabled and not is_of_aws(self.role) else None

    def read(self) -> RoleSessions:
        if self.recorded is None and (reason := self.exemption()):
            raise RuntimeError(f"role {self.role_name} is left: {reason}")
        if is_deleted(self.sessions, self.role):
            self.done_text = self.absent_text = (
                f"role {self.role_name}, which it had before, no longer exists: its sessions may do"
                " nothing"
            )
            return {}
        return self.read_role(self.role)

    def exemption(self) -> str:
        """Returns why the role is not to be changed, or ''. A restore changes what was recorded."""
        return ""


def items(instance: InstanceContext) -> list[str]:
    """Returns the keys of the prior states of the roles: what a later way has written of a role has
    one slash more.
    """
    prefix = f"{NAME}/"
    return [key for key in instance.before_states if key.startswith(prefix) and key.count("/") == 1]


def restore_calls(
    instance: InstanceContext, reading: Sessions, state: InstanceState
) -> dict[str, ReadItem]:
    """Returns for each role the call that compares it with the record, for a restore."""
    from guardduty_response.containment.control_restore import restore_items

    return {
        item: partial(
            restore_items,
            FormerSessions(instance, reading, state, str(instance.before_states[item]["role"])),
        )
        for item in items(instance)
    }
