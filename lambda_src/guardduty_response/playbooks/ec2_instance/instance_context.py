"""One instance within one incident: its names, and the options of this playbook that several steps
ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.containment import target_context
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.role_policies import OLDER

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer


class InstanceContext(target_context.TargetContext):
    def __init__(self, context: Context, target: Target) -> None:
        super().__init__(context, target)
        self.group_name = f"{self.prefix}-quarantine"
        # All open, used for an instant so that AWS stops tracking the open connections.
        self.flush_group_name = f"{self.prefix}-untrack"
        # The profiles that containment may give an instance. The role of the first may do nothing.
        # The role of the second may do what the SSM agent needs; it is given only if the network
        # lets the instance reach SSM and nothing else.
        self.profile_name = str(context.config.responder["quarantine_profile"])
        self.quarantine_profiles = (self.profile_name, f"{self.profile_name}-ssm")
        self.endpoints = context.config.forensics["when"] == "after"
        self.own_groups: dict[str, str] = context.options["quarantine_security_group_ids"]
        self.standby = context.options["auto_scaling"] == "standby"

    def owns(self, group: AwsAnswer, kind: str) -> bool:
        """Says whether a security group is containment's own, of that kind: it has the tag, and is
        of this account. The owner of a shared VPC sees those of its participants too, and cannot
        use them; a group that has only the name is somebody else's.
        """
        tagged = {"Key": self.prefix, "Value": kind} in (group.get("Tags") or [])
        return tagged and group.get("OwnerId") == self.target.account_id

    def group_arn(self, id: str, owner: str = "*") -> str:
        """Returns the ARN of a security group, which is in its owner's account.

        ``owner``: where it is known; a group that is shared, or brought along, is another's.
        """
        target = self.target
        partition = self.context.config.partition
        return f"arn:{partition}:ec2:{target.region}:{owner}:security-group/{id}"

    def is_named(self, name: str, kind: str) -> bool:
        """Says whether a group of that kind may have the name, of which somebody else's may have
        been before.
        """
        own = f"{self.prefix}-{kind}"
        return name == own or name.startswith(f"{own}-")

    @property
    def role_wide(self) -> bool:
        """Says whether all older sessions of the role are revoked too: by option, or because
        another finding's containment has done so.
        """
        recorded = (self.before_state("sessions") or {}).get("policies") or {}
        return (
            self.options["revoke_sessions"] == "role"
            or OLDER in recorded
            or f"sessions/{OLDER}" in self.before_states
        )
