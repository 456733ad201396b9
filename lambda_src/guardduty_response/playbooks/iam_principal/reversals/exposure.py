"""Reversals of what opens to others: rules of security groups, shared snapshots and images."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.cloudtrail.event import CallFields
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.decision.finding import get, text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals.changes import Change, in_parts, items
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
    ReversalRecord,
    on,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, IpPermission
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.iam_principal.reversals.records import Entries

SECURITY_GROUPS = "arn:${partition}:ec2:*:${account_id}:security-group/*"
IMAGES, SNAPSHOTS = "arn:${partition}:ec2:*::image/*", "arn:${partition}:ec2:*::snapshot/*"
_RECIPIENTS = {
    "userId": "UserId",
    "group": "Group",
    "organizationArn": "OrganizationArn",
    "organizationalUnitArn": "OrganizationalUnitArn",
}


class Rules(Reversal["dict[str, IpPermission]", "IpPermission | None"]):
    """Exactly the rules that the call added are revoked. The record has ``group``, ``egress`` and
    ``rules``, those that were.

    They are known by their IDs, or by protocol, ports and source where the answer lacks IDs.
    """

    category, what, service = "security_groups", "rules", "ec2"
    undoes = ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress")
    thing = "security group {group}"
    resource = "ec2:{region}:{account}:security-group/{group}"
    wants = None
    done_text = "security group {group} has none of the rules that were added"
    unnamed = "which rules were added to which security group"
    reads = on("*", "ec2:DescribeSecurityGroups", "ec2:DescribeSecurityGroupRules")
    contains = on(
        SECURITY_GROUPS, "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"
    )
    restores = on(
        SECURITY_GROUPS, "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"
    )

    def names(self, change: Change) -> ReversalRecord:
        rules = items(change.response, "securityGroupRuleSet")
        self.added = {
            text(rule["securityGroupRuleId"], 40): rule
            for rule in rules
            if rule.get("securityGroupRuleId")
        }
        self.requested = requested_rules(change.parameters)
        group = change.request_text("groupId") or text(get(rules, 0, "groupId"), 40)
        return {"group": group, "egress": change.name.endswith("Egress")}

    @property
    def is_named(self) -> bool:
        return bool(self.record["group"] and (self.added or self.requested))

    @property
    def direction(self) -> str:
        return "egress" if self.record["egress"] else "ingress"

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"{self.direction} {{item}} in {{group}}"

    def read(self) -> dict[str, IpPermission]:
        """Returns the rules of the group, by their IDs."""
        group = self.record["group"]
        found = self.there(partial(self.client.describe_security_groups, GroupIds=[group]))
        self.touched = [self.arn, group, found["SecurityGroups"][0]["GroupName"]]
        return resource_state.rules(self.client, group, self.record["egress"])

    def refuse(self) -> None:
        """Refuses when an added rule was modified since: it keeps its ID. Leaves out the rules that
        the call did not add.
        """
        changed = [
            id
            for id, rule in self.present.items()
            if id in self.added and not _is_same(self.added[id], rule)
        ]
        if changed:
            group, rules = self.record["group"], ", ".join(changed)
            text = f"rule {rules} of {group} is not the rule that was added: changed since, left"
            raise NotReversed(MANUAL, f"{text} as it is")
        wanted = {resource_state.rule_key(rule) for rule in self.requested}
        # The answer was truncated or named no IDs: the request tells the rest.
        wanted = wanted if len(self.added) < len(wanted) else set()
        self.state.settings[self.item] = {
            id: rule
            for id, rule in self.present.items()
            if id in self.added or resource_state.rule_key(rule) in wanted
        }

    def values(self, stored: dict[str, IpPermission] | None) -> Values[IpPermission | None]:
        return {resource_state.describe_rule(rule): rule for rule in (stored or {}).values()}

    def to_restore(self) -> Values[IpPermission | None]:
        return {resource_state.describe_rule(rule): rule for rule in self.record["rules"]}

    def before(self) -> ReversalRecord:
        return {**self.record, "rules": list(self.present.values())}

    def contained_text(self, pending: Values[IpPermission | None]) -> str:
        rules = ", ".join(pending)[:250]
        return f"closed in security group {self.record['group']} ({self.direction}): {rules}"

    def call(self, name: str, value: IpPermission | None) -> AwsCall:
        request = {"GroupId": self.record["group"], "IpPermissions": [value]}
        return AwsCall("ec2", f"authorize_security_group_{self.direction}", request)

    def change(self) -> list[AwsAnswer]:
        opened = self.containing(self.arn)
        return [self._revoking(SecurityGroupRuleIds=sorted(self.present)).make(opened.client)]

    def _revoking(self, **which: object) -> AwsCall:
        request = {"GroupId": self.record["group"], **which}
        return AwsCall("ec2", f"revoke_security_group_{self.direction}", request)

    def instead(self) -> str:
        if self.added:
            return self._revoke_command(sorted(self.added))
        return self._revoking(IpPermissions=self.requested).command(self.record["region"])

    def parts_instead(self) -> list[str]:
        if self.added:
            return in_parts(sorted(self.added), self._revoke_command)
        rules = [self._revoking(IpPermissions=[rule]) for rule in self.requested]
        return [rule.command(self.record["region"]) for rule in rules]

    def _revoke_command(self, ids: list[str]) -> str:
        return self._revoking(SecurityGroupRuleIds=ids).command(self.record["region"])

    def as_before(self, name: str, before: IpPermission | None, now: IpPermission | None) -> bool:
        return now is not None

    def state_text(self, name: str, value: IpPermission | None) -> str:
        return f"{self.named(name)} is allowed, as before"

    def restored_text(self, name: str, before: IpPermission | None) -> str:
        return f"{self.named(name)} allowed again"


def _is_same(added: CallFields, rule: IpPermission) -> bool:
    """Tells whether the rule is what the answer said of it, as far as it said anything."""
    if added.get("ipProtocol") is None:
        return True
    answered = {
        name[:1].upper() + name[1:]: value for name, value in added.items() if value is not None
    }
    *asked, asked_source = resource_state.rule_key(resource_state.permission(answered))
    *protocol_and_ports, source = resource_state.rule_key(rule)
    return asked == protocol_and_ports and asked_source in ("", source)


def requested_rules(parameters: CallFields) -> list[IpPermission]:
    """Returns the rules of an Authorize request as CloudTrail shows it, each with one source."""
    rules: list[IpPermission] = []
    for permission in items(parameters, "ipPermissions") or [_old_style(parameters)]:
        if not permission.get("ipProtocol"):
            continue
        base: IpPermission = {"IpProtocol": str(permission["ipProtocol"])}
        for name in ("FromPort", "ToPort"):
            if isinstance(permission.get(_camel(name)), int):
                base[name] = permission[_camel(name)]
        for sources, field in resource_state.SOURCES:
            shown = "groups" if sources == "UserIdGroupPairs" else _camel(sources)
            for source in items(permission, shown):
                if value := source.get(_camel(field)):
                    rules.append({**base, sources: [{field: value}]})
    return rules


def _camel(name: str) -> str:
    """Returns a name of EC2's as CloudTrail writes it."""
    return name[:1].lower() + name[1:]


def _old_style(parameters: CallFields) -> CallFields:
    """Returns the permission of a request that has ``cidrIp``, ``ipProtocol`` and the ports at its
    top level: the form before EC2 took lists of permissions, still accepted.
    """
    return {**parameters, "ipRanges": {"items": [{"cidrIp": get(parameters, "cidrIp")}]}}


class Sharing(Reversal["dict[str, Entries]", "Entries"]):
    """The entries that the call added are removed from the list of a snapshot or an image, and no
    others. The record has ``of`` (``snapshot`` or ``image``), ``id``, and ``entries``
    ([{UserId | Group | …: value}]).

    EC2 adds an entry that is in the list already without an error, and the event does not tell.
    """

    category, what, service = "sharing", "sharing", "ec2"
    undoes = ("ec2:ModifySnapshotAttribute", "ec2:ModifyImageAttribute")
    fields = ("entries",)
    # Neither has an account in its ARN (Service Authorization Reference, Amazon EC2).
    thing = "{of} {id}"
    resource = "ec2:{region}::{of}/{id}"
    done_text = "{of} {id} is shared with none of those that were added"
    unknown = (
        "not undone: whether it was shared with them before is not known. End the sharing if it was"
        " not"
    )
    reads = on("*", "ec2:DescribeSnapshotAttribute", "ec2:DescribeImageAttribute")
    contains = restores = (
        *on(IMAGES, "ec2:ModifyImageAttribute"),
        *on(SNAPSHOTS, "ec2:ModifySnapshotAttribute"),
    )

    @classmethod
    def applies(cls, change: Change) -> bool:
        return bool(_added(change))

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        of = "image" if "Image" in change.name else "snapshot"
        return (f"{of}/{change.request_text(f'{of}Id')}",)

    def names(self, change: Change) -> ReversalRecord:
        of = "image" if "Image" in change.name else "snapshot"
        return {"of": of, "id": change.request_text(f"{of}Id"), "entries": _added(change)}

    def named(self, name: str) -> str:
        of, id, entries = (self.record[key] for key in ("of", "id", "entries"))
        return f"{of} {id} shared with {_recipients(entries)}"

    def read(self) -> dict[str, Entries]:
        of, id = self.record["of"], self.record["id"]
        self.unique_id = id
        self.read_ids.add(id)
        self.touched = [self.arn, id]
        found = self.there(
            partial(
                resource_state.shares,
                self.client,
                of,
                id,
            )
        )
        return {"entries": [entry for entry in self.record["entries"] if entry in found]}

    def wanted(self, name: str, value: Entries | None) -> Entries:
        return []

    def contained_text(self, pending: Values[Entries]) -> str:
        return (
            f"{self.record['of']} {self.record['id']} no longer shared with"
            f" {_recipients(self.present['entries'])}; copies made meanwhile stay where they are"
        )

    def call(self, name: str, value: Entries) -> AwsCall:
        """Returns the call that adds what ``value`` has and is not there, or else removes what is
        there. A snapshot is shared with accounts and with everybody, an image with organizations
        too.
        """
        now = (self.current or self.record)["entries"]
        how, entries = "Remove", now
        if value:
            how, entries = "Add", [entry for entry in value if entry not in now]
        of, id = self.record["of"], self.record["id"]
        attribute, _, parameter = resource_state.SHARED[of]
        request: dict[str, object] = {parameter: id, "Attribute": attribute}
        if of == "image":
            request["LaunchPermission"] = {how: entries}
            return AwsCall("ec2", "modify_image_attribute", request)
        request["OperationType"] = how.lower()
        for parameter, field in (("UserIds", "UserId"), ("GroupNames", "Group")):
            if named := [entry[field] for entry in entries if field in entry]:
                request[parameter] = named
        return AwsCall("ec2", "modify_snapshot_attribute", request)

    def instead(self) -> str:
        return self.full_command("entries", [])

    def left(self, name: str, before: Entries, now: Entries | None) -> bool:
        return True

    def restored_text(self, name: str, before: Entries) -> str:
        return f"{self.named(name)} again"


def _recipients(entries: Entries) -> str:
    return ", ".join(value for entry in entries for value in entry.values())[:200]


def _added(change: Change) -> Entries:
    """Returns the entries that the call added."""
    attribute = "launchPermission" if "Image" in change.name else "createVolumePermission"
    return [
        {name: value}
        for entry in items(change.parameters, attribute, "add")
        for field, name in _RECIPIENTS.items()
        if (value := text(entry.get(field), 200))
    ]
