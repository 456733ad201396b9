"""The reversal of what opens a network: rules added to a security group."""

from __future__ import annotations

import json
from typing import TypedDict

from guardduty_response.cloudtrail.event import CallFields
from guardduty_response.containment.target_context import ALREADY
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, items
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer
from guardduty_response.playbooks.iam_principal.resource_types import IpPermission
from guardduty_response.playbooks.iam_principal.reversal_records import (
    RulesRecord,
)

# CloudTrail's list and its field, EC2's list and its field
_SOURCES = (
    ("ipRanges", "cidrIp", "IpRanges", "CidrIp"),
    ("ipv6Ranges", "cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
    ("prefixListIds", "prefixListId", "PrefixListIds", "PrefixListId"),
    ("groups", "groupId", "UserIdGroupPairs", "GroupId"),
)


class RulesState(TypedDict):
    """``name``: of the security group; ``rules``: rule ID -> the rule, of those to be revoked."""

    name: str
    rules: dict[str, IpPermission]


class Rules(Reversal[RulesState]):
    """Exactly the rules that the call added are revoked.

    They are known by their IDs, or by protocol, ports and source where the answer lacks IDs.
    """

    category, record_type = "security_groups", "rules"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        rules = items(change.response, "securityGroupRuleSet")
        self.added = {
            text(rule["securityGroupRuleId"], 40): rule
            for rule in rules
            if rule.get("securityGroupRuleId")
        }
        self.group = change.request_text("groupId")
        if not self.group and rules:
            self.group = text(rules[0].get("groupId"), 40)
        self.egress = change.name.endswith("Egress")
        self.direction = "egress" if self.egress else "ingress"
        self.done_text = f"security group {self.group} has none of the rules that were added"

    def read(self) -> RulesState:
        if not self.group:
            raise NotReversed(MANUAL, "the event does not name the ID of the security group")
        ec2 = self.client("ec2")
        name = resource_state.group_name(ec2, self.group)
        if name is None:
            raise NotReversed(ALREADY, f"security group {self.group} no longer exists")
        found = resource_state.rules(ec2, self.group, self.egress)
        self._refuse_changed(found)
        requested = {
            resource_state.rule_key(rule) for rule in requested_rules(self.change.parameters)
        }
        if not requested and not self.added:
            raise NotReversed(MANUAL, "the event does not say which rules were added")
        # The answer was truncated or named no IDs: the request tells the rest.
        wanted = requested if len(self.added) < len(requested) else set()
        matching = {
            id: rule
            for id, rule in found.items()
            if id in self.added or resource_state.rule_key(rule) in wanted
        }
        return {"name": name, "rules": matching}

    def _refuse_changed(self, found: dict[str, IpPermission]) -> None:
        """Raise NotReversed when an added rule was modified since: it keeps its ID."""
        changed = [
            id
            for id, rule in found.items()
            if id in self.added and not _is_same(self.added[id], rule)
        ]
        if changed:
            raise NotReversed(
                MANUAL,
                f"rule {', '.join(changed)} of {self.group} is not the rule that was added: changed"
                " since, left as it is",
            )

    def touched_names(self, current: RulesState) -> list[str]:
        return [self._arn, self.group, current["name"]]

    @property
    def _arn(self) -> str:
        partition = self.eradication.config.partition
        account_id = self.target_context.target.account_id
        return f"arn:{partition}:ec2:{self.change.region}:{account_id}:security-group/{self.group}"

    def pending_change(self, current: RulesState) -> str:
        rules = ", ".join(map(resource_state.describe_rule, current["rules"].values()))
        if not rules:
            return ""
        return f"closed in security group {self.group} ({self.direction}): {rules[:250]}"

    def before_state(self, current: RulesState) -> RulesRecord:
        rules = list(current["rules"].values())
        return {"group": self.group, "egress": self.egress, "rules": rules}

    def undo(self, current: RulesState) -> list[AwsAnswer]:
        action = f"ec2:RevokeSecurityGroup{self.direction.title()}"
        ec2 = self.changing((action,), self._arn, "ec2")
        revoke = getattr(ec2, f"revoke_security_group_{self.direction}")
        return [revoke(GroupId=self.group, SecurityGroupRuleIds=sorted(current["rules"]))]

    def manual_command(self) -> str:
        call = f"ec2 revoke-security-group-{self.direction} --group-id"
        if self.added:
            ids = sorted(self.added)
            return self.command(call, self.group, "--security-group-rule-ids", *ids)
        permissions = json.dumps(requested_rules(self.change.parameters))
        return self.command(call, self.group, "--ip-permissions", permissions)


def _is_same(added: CallFields, rule: IpPermission) -> bool:
    """Tell whether the rule is what the answer said of it, as far as it said anything."""
    if added.get("ipProtocol") is None:
        return True
    answered: IpPermission = {"IpProtocol": added["ipProtocol"]}
    for field, name in (("fromPort", "FromPort"), ("toPort", "ToPort")):
        if added.get(field) is not None:
            answered[name] = added[field]
    sources = [added[name] for name in ("cidrIpv4", "cidrIpv6", "prefixListId") if added.get(name)]
    *protocol_and_ports, source = resource_state.rule_key(rule)
    *answered_protocol_and_ports, _ = resource_state.rule_key(answered)
    same_source = not sources or sources[0] == source
    return protocol_and_ports == answered_protocol_and_ports and same_source


def requested_rules(parameters: CallFields) -> list[IpPermission]:
    """Return the rules of an Authorize request as CloudTrail shows it, each with one source."""
    rules: list[IpPermission] = []
    for permission in items(parameters, "ipPermissions") or [_old_style(parameters)]:
        if not permission.get("ipProtocol"):
            continue
        base: IpPermission = {"IpProtocol": str(permission["ipProtocol"])}
        for field, name in (("fromPort", "FromPort"), ("toPort", "ToPort")):
            if isinstance(permission.get(field), int):
                base[name] = permission[field]
        for field, member, name, parameter in _SOURCES:
            for source in items(permission, field):
                if source.get(member):
                    rules.append({**base, name: [{parameter: source[member]}]})
    return rules


def _old_style(parameters: CallFields) -> CallFields:
    """Return the permission of a request that has ``cidrIp``, ``ipProtocol`` and the ports at its
    top level: the form before EC2 took lists of permissions, still accepted.
    """
    return {**parameters, "ipRanges": {"items": [{"cidrIp": get(parameters, "cidrIp")}]}}
