"""Closes every interface. Nothing else may delay this: three round trips after AssumeRole, then all changes at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response import aws
from guardduty_response.playbooks.ec2_instance import sessions
from guardduty_response.playbooks.ec2_instance.common import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    Work,
    gather,
    tags,
    value,
    why,
)
from guardduty_response.playbooks.ec2_instance.intents import Intent, closed, quarantine_network, strip_group_rules
from guardduty_response.playbooks.ec2_instance.state import Facts, Interface

DEFAULT_EGRESS: list[Json] = [
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
]


class Network:
    """The sessions that may close the scope's interfaces; AssumeRole is under way when this returns."""

    def __init__(self, work: Work) -> None:
        self.work, scope = work, work.scope
        self.vpcs, self.groups = list(scope.get("vpcs") or []), dict(scope.get("groups") or {})
        self._clients: dict[str, Any] = {}
        opened = [
            (work.open(policy), ids)
            for policy, ids in sessions.network(work, list(scope.get("interfaces") or []), self.vpcs, self.groups)
        ]
        for session, ids in opened:
            client = session.client("ec2")
            self._clients |= dict.fromkeys(ids, client)
        self.ec2 = opened[0][0].client("ec2")

    def _cover(self, facts: Facts) -> None:
        """Sessions for what the scope does not name: interfaces attached and groups changed since the plan."""

        def covered(one: Interface) -> bool:
            now = facts.groups.get(one.vpc)
            if one.id not in self._clients or one.vpc not in self.vpcs:
                return False
            if one.vpc in self.groups:
                return now is not None and now["GroupId"] == self.groups[one.vpc]
            return now is None or tags(now).get(self.work.prefix) == "quarantine"

        late = [one.id for one in facts.interfaces if not one.managed and not covered(one)]
        if late:
            for policy, ids in sessions.network(self.work, late, facts.vpcs, facts.group_ids):
                client = self.work.open(policy).client("ec2")
                self._clients |= dict.fromkeys(ids, client)
            self.ec2 = client

    def close(self, facts: Facts, started: Callable[[], object]) -> None:
        """Records, then closes and strips side by side. ``started`` is called when the changes are under way."""
        work = self.work
        if "groups" in facts.unread:  # the plan's ids still close interfaces; verify says that rules could not be read
            facts.groups |= {vpc: {"GroupId": id} for vpc, id in self.groups.items() if vpc not in facts.groups}
        intent, stripping = quarantine_network(work, facts), strip_group_rules(work, facts)
        todo = [one for one in facts.interfaces if not one.managed and not closed(work, facts, one)]
        vpcs = {one.vpc for one in todo}
        self._cover(facts)
        first: dict[Any, Callable[[], Any]] = {"before": partial(self._before, facts)}
        first |= {("group", vpc): partial(self._create, vpc) for vpc in vpcs if vpc not in facts.groups}
        if work.options["untrack_connections"]:
            first |= {("untrack", vpc): partial(self._untrack, vpc, facts) for vpc in vpcs}
        prepared = gather(first)
        value(prepared["before"])
        made = {key[1]: got for key, got in prepared.items() if key[0] == "group"}
        groups: dict[str, Any] = {**made, **facts.groups}
        calls: dict[Any, Callable[[], Any]] = {
            one: partial(self._swap, one, groups[one.vpc], prepared.get(("untrack", one.vpc))) for one in todo
        }
        for vpc in groups.keys() & set(facts.vpcs):
            if isinstance(groups[vpc], dict) and work.brought.get(vpc) != groups[vpc]["GroupId"]:
                calls |= self._strips(groups[vpc])
        got = gather(calls, then=started)
        new = "".join(f"; {one['GroupId']} created in {vpc}" for vpc, one in made.items() if isinstance(one, dict))
        self._tell(Intent(intent.status, intent.text + new), [one for one in facts.interfaces if one.managed
                   and not closed(work, facts, one)], {one: got[one] for one in todo}, stripping,
                   {key: one for key, one in got.items() if isinstance(key, tuple)})  # fmt: skip

    def _before(self, facts: Facts) -> None:
        state = {one.id: {"vpc": one.vpc, "groups": list(one.groups), "managed": one.managed} for one in facts.interfaces}
        kept = self.work.had("network")
        self.work.before("network", {"state": facts.instance["State"]["Name"], "interfaces": state})
        if kept:  # attached since the first attempt, whose record stands
            for id in state.keys() - kept["interfaces"].keys():
                self.work.before(f"network/{id}", state[id])

    def _create(self, vpc: str, name: str = "", kind: str = "quarantine") -> Json:
        name = name or self.work.group_name
        try:
            got = self.ec2.create_security_group(
                GroupName=name, VpcId=vpc, Description=f"{self.work.prefix}: {kind} group of the incident response",
                TagSpecifications=[{"ResourceType": "security-group", "Tags": [
                    {"Key": self.work.prefix, "Value": kind}, {"Key": "Name", "Value": name}]}],
            )  # fmt: skip
            return {"GroupId": got["GroupId"], "IpPermissionsEgress": DEFAULT_EGRESS, "fresh": True}
        except ClientError as error:
            if aws.code(error) != "InvalidGroup.Duplicate":
                raise
        filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
        return dict(self.ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0])

    def _untrack(self, vpc: str, facts: Facts) -> str:
        """A group that lets everything through both ways: only then does a flow stop being tracked."""
        if vpc in facts.untrack:
            return facts.untrack[vpc]
        group = self._create(vpc, self.work.untrack_name, "untrack")["GroupId"]
        for name in ("ingress", "egress"):
            for permission in DEFAULT_EGRESS:
                _tolerate(getattr(self.ec2, f"authorize_security_group_{name}"), group, [permission])
        return str(group)

    def _swap(self, one: Interface, group: Any, untrack: Any) -> Json:
        client = self._clients[one.id]
        note = why(untrack) if isinstance(untrack, Exception) else ""
        if isinstance(untrack, str):
            try:
                client.modify_network_interface_attribute(NetworkInterfaceId=one.id, Groups=[untrack])
            except AWS_ERRORS as error:
                note = why(error)
        answer = client.modify_network_interface_attribute(NetworkInterfaceId=one.id, Groups=[value(group)["GroupId"]])
        return {**answer, "note": f"; {one.id} not untracked ({note})" if note else ""}

    def _strips(self, group: Json) -> dict[Any, Callable[[], Any]]:
        """Calls that remove every rule. Of a fresh group one call each: the ::/0 default exists in IPv6 VPCs alone."""
        calls: dict[Any, Callable[[], Any]] = {}
        for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            found = [_exact(one) for one in group.get(key) or []]
            revoke = getattr(self.ec2, f"revoke_security_group_{direction}")
            for n, batch in enumerate([[one] for one in found] if group.get("fresh") else [found] if found else []):
                calls["strip", group["GroupId"], direction, n] = partial(_tolerate, revoke, group["GroupId"], batch)
        return calls

    def _tell(
        self, intent: Intent, managed: list[Interface], swapped: dict[Interface, Any], stripping: Intent, stripped: Json
    ) -> None:
        work = self.work
        bad = {one: got for one, got in swapped.items() if isinstance(got, Exception) and not _detached(got)}
        good = [got for got in swapped.values() if not isinstance(got, Exception)]
        text = intent.text + "".join(got["note"] for got in good)
        status = FAILED if managed else DONE if swapped else intent.status
        if bad:
            status = FAILED
            named = "; ".join(f"{one.id} stays open ({why(got)})" for one, got in bad.items())
            first = next(iter(bad)).id
            command = work.cli(f"ec2 modify-network-interface-attribute --network-interface-id {first} --groups GROUP")
            text = f"{len(good)} of {len(swapped)} interfaces closed; {named}. By hand: {command}"
        lines = {"quarantine_network": (status, text, good)}
        failed = {key[1]: got for key, got in stripped.items() if isinstance(got, Exception)}
        status, text = stripping.status, stripping.text
        if failed:
            status = FAILED
            named = "; ".join(f"{group} ({why(got)})" for group, got in failed.items())
            text = f"rules stay in {named}. By hand: remove every rule of the group and of {work.group_name} elsewhere"
        elif status not in (SKIPPED, FAILED):
            status = DONE if stripped else ALREADY
        lines["strip_group_rules"] = (status, text, [got for got in stripped.values() if isinstance(got, dict)])
        told = gather({name: partial(work.did, name, line[0], line[1], *line[2]) for name, line in lines.items()})
        for one in told.values():
            value(one)


def _tolerate(call: Callable[..., Any], group: str, permissions: list[Json]) -> Json:
    """Changes rules; ones that are as wanted already (another incident was faster) are left out."""
    try:
        return dict(call(GroupId=group, IpPermissions=permissions))
    except ClientError as error:
        if aws.code(error) not in ("InvalidPermission.NotFound", "InvalidPermission.Duplicate"):
            raise
    if len(permissions) == 1:
        return {}
    return [_tolerate(call, group, [one]) for one in permissions][-1]


def _detached(error: Exception) -> bool:
    return aws.code(error).startswith("InvalidNetworkInterfaceID")


def _exact(permission: Json) -> Json:
    """A described rule in the form that revokes it: only the fields that identify it."""
    keep = {key: permission[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in permission}
    fields = (("IpRanges", ("CidrIp",)), ("Ipv6Ranges", ("CidrIpv6",)), ("PrefixListIds", ("PrefixListId",)),
              ("UserIdGroupPairs", ("GroupId", "UserId")))  # fmt: skip
    for key, names in fields:
        if permission.get(key):
            keep[key] = [{name: one[name] for name in names if name in one} for one in permission[key]]
    return keep


