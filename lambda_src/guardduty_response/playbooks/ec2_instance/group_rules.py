"""The control of the rules of the quarantine groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.contract import Check
from guardduty_response.containment.control import Grant
from guardduty_response.containment.target_context import FAILED, PLANNED
from guardduty_response.playbooks.ec2_instance.endpoint_rules import open_rules
from guardduty_response.playbooks.ec2_instance.instance_control import GROUPS, Ec2Control
from guardduty_response.playbooks.ec2_instance.network_controls import KINDS, OWN
from guardduty_response.playbooks.ec2_instance.rules import rules
from guardduty_response.playbooks.ec2_instance.state import LISTS, LOOK

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, IpPermission
    from guardduty_response.containment.control import Values

STRIP = ("ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress")


class GroupRules(Ec2Control["dict[str, IpPermission]", "IpPermission | None"]):
    """The rules of the quarantine groups: a group's ID and a rule in words -> the rule, as the
    calls of EC2 take it; empty where the group has to be made. A configured group is never edited.
    """

    name = "strip_group_rules"
    item = "groups"
    check_name = "group"
    critical = True
    title = "{name}"
    placeholder = "GROUP egress RULE"
    absent_text = "the quarantine group has no rules"
    contained_as = "rules removed: {things}"
    reads = (Grant((*LOOK, *LISTS), "*"),)
    contains = (Grant(STRIP, GROUPS, {"StringEquals": {OWN: KINDS}}),)
    undone_by = (
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "ModifySecurityGroupRules",
    )

    def read(self) -> dict[str, IpPermission]:
        """Returns what the step has read already (state.look)."""
        found: dict[str, IpPermission] = {
            f"{group['GroupId']} {words}": rule
            for group in self._groups()
            for words, rule in open_rules(self.target_context, self.state, group).items()
        }
        for vpc in set(self.state.vpcs) - self.state.groups.keys():
            found[f"of the new group of {vpc}, default egress to 0.0.0.0/0 and ::/0"] = {}
        return found

    def _groups(self) -> list[AwsAnswer]:
        """Returns the groups to use, and those that interfaces are in."""
        state = self.state
        ids = {group["GroupId"] for vpc, group in state.groups.items() if vpc in state.vpcs}
        ids |= {id for interface in state.interfaces for id in interface.groups}
        groups = {group["GroupId"]: group for group in state.groups.values()}
        groups |= state.quarantine_groups
        return [groups[id] for id in sorted(ids & groups.keys())]

    def wanted(self, name: str, value: IpPermission | None) -> None:
        """No rule."""

    @property
    def pending(self) -> Values[IpPermission | None]:
        own = set(self.target_context.own_groups.values())
        return {name: None for name in super().pending if name.split(" ", 1)[0] not in own}

    def intent(self) -> tuple[str, str]:
        status, text = super().intent()
        own = ", ".join(sorted(self.values(self.current).keys() - self.pending.keys()))
        if not own:
            return status, text
        never = f"{own}: a group of yours is never edited, remove its rules yourself"
        return FAILED, f"{never}; {text}" if status == PLANNED else never

    def write(self, name: str, value: IpPermission | None) -> AwsAnswer:
        group, direction = name.split(" ")[:2]
        revoke = self.client.revoke_security_group_egress
        if direction == "ingress":
            revoke = self.client.revoke_security_group_ingress
        return edit_rule(revoke, group, self.present[name])

    def command(self, name: str, value: IpPermission | None) -> str:
        group, direction = name.split(" ")[:2]
        rule = (self.current or {}).get(name)
        what = f"'{json.dumps([rule])}'" if rule else "RULE"
        return f"ec2 revoke-security-group-{direction} --group-id {group} --ip-permissions {what}"

    def checks(self) -> list[Check]:
        return [] if self.item in self.state.read_errors else [*map(self._check, self._groups())]

    def _check(self, group: AwsAnswer) -> Check:
        id = group["GroupId"]
        name = f"{self.check_name} {id}"
        if wrong := ", ".join(open_rules(self.target_context, self.state, group)):
            return Check(name, False, f"{id} has rules: {wrong}", fatal=self.critical)
        but = f" but to endpoints ({', '.join(rules(group))})" if rules(group) else ", v4 or v6"
        return Check(name, True, f"{id} has no rules{but}", fatal=self.critical)


def edit_rule(call: Callable[..., AwsAnswer], group: str, permission: IpPermission) -> AwsAnswer:
    """Changes a rule. Another incident may have been faster; then the rule is as wanted."""
    try:
        return dict(call(GroupId=group, IpPermissions=[permission]))
    except ClientError as error:
        if error_code(error) not in ("InvalidPermission.NotFound", "InvalidPermission.Duplicate"):
            raise
        return {}
