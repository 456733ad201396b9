"""What the controls of an instance share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from guardduty_response.containment.control import Control, actions_of
from guardduty_response.containment.target_context import (
    AwsClient,
    Json,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState

# The parsed answer of an AWS call, or a part of it.
AwsAnswer = dict[str, Any]
InstanceControl = Control[InstanceContext, InstanceState]

# Resources, as the policies of playbooks/ec2_instance name them.
EC2 = "arn:${partition}:ec2:*:${account_id}:"
INSTANCES, INTERFACES, VOLUMES = f"{EC2}instance/*", f"{EC2}network-interface/*", f"{EC2}volume/*"
ADDRESSES, GROUPS = f"{EC2}elastic-ip/*", f"{EC2}security-group/*"
VPCS = "arn:${partition}:ec2:*:*:vpc/*"  # a shared one is another account's


class Ec2Control(InstanceControl):
    """A control whose values are written at the same time, each in a session for its resource."""

    service = "ec2"

    def writer(self, name: str) -> AwsClient:
        return self.sessions.client(self.service, self.arn_of(name), actions_of(self.contains))

    def calls(self) -> dict[str, Callable[[], Json]]:
        """Returns the calls that contain."""
        return {name: partial(self.write, name, value) for name, value in self.pending.items()}

    def change(self) -> list[Json]:
        for name in self.pending:
            self.writer(name)  # one after the other: that opens sessions
        return [result_or_raise(answer) for answer in run_all(self.calls()).values()]
