"""What the controls of an instance share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from guardduty_response.containment.control import Control, SettingType, ValueType, actions_of
from guardduty_response.containment.target_context import result_or_raise, run_all
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient

InstanceControl = Control[InstanceContext, InstanceState, Any, Any]  # any of this playbook

# Resources, as the policies of playbooks/ec2_instance name them.
EC2 = "arn:${partition}:ec2:*:${account_id}:"
INSTANCES, INTERFACES, VOLUMES = f"{EC2}instance/*", f"{EC2}network-interface/*", f"{EC2}volume/*"
ADDRESSES, GROUPS = f"{EC2}elastic-ip/*", f"{EC2}security-group/*"
# Shared ones are another account's.
VPCS, ANY_GROUPS = "arn:${partition}:ec2:*:*:vpc/*", "arn:${partition}:ec2:*:*:security-group/*"


class Ec2Control(Control[InstanceContext, InstanceState, SettingType, ValueType]):
    """A control whose values are written at the same time, each in a session for its resource."""

    service = "ec2"

    def writer(self, name: str) -> AwsClient:
        return self.sessions.client(self.service, self.arn_of(name), actions_of(self.contains))

    def calls(self) -> dict[str, Callable[[], AwsAnswer]]:
        """Returns the calls that contain."""
        return {name: partial(self.write, name, value) for name, value in self.pending.items()}

    def change(self) -> list[AwsAnswer]:
        for name in self.pending:
            self.writer(name)  # one after the other: that opens sessions
        return [result_or_raise(answer) for answer in run_all(self.calls()).values()]
