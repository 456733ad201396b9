"""Makes the security groups of containment, and empties them before they are used."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import Sessions, describe_error, run_all
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.ec2_instance.group_rules import GroupRules, edit_rule
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network_controls import Network
from guardduty_response.playbooks.ec2_instance.state import (
    QUARANTINE,
    UNTRACK,
    InstanceState,
    choose_group,
    filters,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, IpPermission

    Call = Callable[[], AwsAnswer | None]
    Answered = AwsAnswer | Exception | None

EVERYTHING: list[IpPermission] = [
    {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
]
# Pauses before each look for a group that exists and is not listed yet (EC2 Developer Guide,
# "Eventual consistency in the Amazon EC2 API").
LISTED_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)


def create(
    instance: InstanceContext,
    ec2: AwsClient,
    vpc: str,
    kind: str = QUARANTINE,
    refused: Collection[str] = (),
) -> AwsAnswer:
    """Returns a new group, or the one that another incident has just made. A name that somebody
    else's group has is left to it, also where it differs in case alone, which is one name to EC2.

    ``refused``: the IDs of own groups that could not be emptied. Raises the error of EC2, or
    ResponseError where every name is taken.
    """
    tags = [{"Key": instance.prefix, "Value": kind}]
    name = f"{instance.prefix}-{kind}"
    # The last name cannot be foreseen: nobody can take every name beforehand.
    for named in (name, f"{name}-2", f"{name}-{uuid.uuid4().hex[:12]}"):
        described = [*tags, {"Key": "Name", "Value": named}]
        try:
            got = ec2.create_security_group(
                GroupName=named,
                VpcId=vpc,
                Description=f"{instance.prefix} {kind}",
                TagSpecifications=[{"ResourceType": "security-group", "Tags": described}],
            )
        except ClientError as error:
            if error_code(error) != "InvalidGroup.Duplicate":
                raise
            if group := _existing(instance, ec2, vpc, named, kind, refused):
                return group
        else:
            return {
                "GroupId": got["GroupId"],
                "GroupName": named,
                "VpcId": vpc,
                "OwnerId": instance.target.account_id,
                "Tags": described,
                "IpPermissionsEgress": EVERYTHING,
            }
    raise ResponseError(
        f"EC2 takes no further group {name} in {vpc}: name an empty group of yours for it in"
        " quarantine_security_group_ids"
    )


def _existing(
    instance: InstanceContext,
    ec2: AwsClient,
    vpc: str,
    name: str,
    kind: str,
    refused: Collection[str],
) -> AwsAnswer | None:
    """Returns the group of that name that another incident has just made: AWS may show it late.
    None: it is not shown, or is not to be used.
    """
    of_account = filters(**{"vpc-id": vpc, "owner-id": instance.target.account_id})
    for pause in LISTED_SECONDS:
        time.sleep(pause)
        for group in ec2.describe_security_groups(Filters=of_account)["SecurityGroups"]:
            if group["GroupName"].lower() == name.lower():
                usable = instance.owns(group, kind) and group["GroupId"] not in refused
                return dict(group) if usable else None
    return None


def make_planned(instance: InstanceContext, allowed: Sessions) -> dict[str, AwsAnswer | Exception]:
    """Makes the groups that the plan did not find, while the instance is being looked at: they have
    to be emptied before they are used. Returns VPC -> the group, or the error.
    """
    missing: list[str] = instance.scope("missing_groups") or []
    if not missing or instance.context.tries > 1:
        return {}
    ec2 = allowed.client("ec2")
    return run_all({vpc: partial(create, instance, ec2, vpc) for vpc in missing})


def is_new(group: AwsAnswer) -> bool:
    """Says whether ``create`` made the group, and did not find it."""
    return "IpPermissions" not in group


def flush_group(
    instance: InstanceContext, ec2: AwsClient, vpc: str, current: InstanceState
) -> AwsAnswer:
    """Returns the all-open group. A flow is no longer tracked only if all is open both ways."""
    for group in current.flush_groups.values():
        if group["VpcId"] == vpc:
            return group
    group = create(instance, ec2, vpc, UNTRACK)
    for call in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        for permission in EVERYTHING:
            edit_rule(call, group["GroupId"], permission)
    return group


MOST_REFUSED = 3  # own groups of a VPC that cannot be emptied, before no further one is made


class Preparation:
    """Gives every VPC of ``vpcs`` a quarantine group without rules, before anything is put into it:
    makes the missing ones, and takes the rules off. A group that cannot be emptied is not used.

    ``results``: (control, rule) -> the answer of a call that took a rule off, or its error.
    ``failed``: VPC -> why it has no group. ``made``: the IDs of groups made a moment ago.
    """

    def __init__(
        self,
        network: Network,
        group_rules: GroupRules,
        vpcs: Collection[str],
        made: Collection[str] = (),
    ) -> None:
        self.network, self.group_rules, self.vpcs = network, group_rules, sorted(vpcs)
        self.results: dict[tuple[str, str], AwsAnswer | Exception] = {}
        self.failed: dict[str, Exception] = {}
        self.refused: dict[str, Exception] = {}  # group -> why it could not be emptied
        self.made = set(made)

    def run(self, beside: Mapping[tuple[str, str], Call]) -> dict[tuple[str, str], Answered]:
        """Makes the calls, the first of them beside other calls, whose answers it returns."""
        others = dict(beside)
        answers: dict[tuple[str, str], Answered] = {}
        while calls := self._calls():
            got = run_all({**others, **calls})
            answers |= {key: got.pop(key) for key in others}
            others = {}
            self._take(got)
        return answers | run_all(others)

    def _calls(self) -> dict[tuple[str, str], Call]:
        """Returns what has to be done next: rules to take off, groups to make."""
        instance, state = self.network.target_context, self.network.state
        self.group_rules.read_current()
        calls: dict[tuple[str, str], Call] = {}
        for vpc in self.vpcs:
            group = choose_group(instance, state, vpc, self.refused)
            if group:
                state.groups[vpc] = group
                continue
            state.groups.pop(vpc, None)
            if vpc not in self.failed and not self._gives_up(vpc):
                make = partial(
                    create,
                    instance,
                    self.network.client,
                    vpc,
                    refused=self.refused,
                )
                calls["quarantine", vpc] = make
        self.group_rules.read_current()
        for rule in self.group_rules.pending:
            group_id = rule.split(" ", 1)[0]
            if self.group_rules.present[rule] and group_id not in self.refused:
                calls[self.group_rules.name, rule] = partial(self.group_rules.write, rule, None)
        return calls

    def _gives_up(self, vpc: str) -> bool:
        """Says whether another group would fare no better: what was made a moment ago could not be
        emptied either, too many could not, or EC2 had too many requests, which passes.
        """
        groups = self.network.state.quarantine_groups
        refused = {id: why for id, why in self.refused.items() if groups[id]["VpcId"] == vpc}
        passes = any(map(is_transient, refused.values()))
        if passes or len(refused) >= MOST_REFUSED or self.made & refused.keys():
            why = "; ".join(f"{id} ({describe_error(each)})" for id, each in refused.items())
            self.failed[vpc] = ResponseError(f"its quarantine group could not be emptied: {why}")
            return True
        return False

    def _take(self, got: dict[tuple[str, str], Answered]) -> None:
        groups = self.network.state.quarantine_groups
        emptied = set()
        for (kind, what), answer in got.items():
            if kind != self.group_rules.name:
                if isinstance(answer, Exception):
                    self.failed[what] = answer
                elif answer:
                    groups[answer["GroupId"]] = answer
                    self.made |= {answer["GroupId"]} if is_new(answer) else set()
                continue
            id = what.split(" ", 1)[0]
            assert answer is not None
            self.results[kind, what] = answer
            emptied.add(id)
            if isinstance(answer, Exception):
                self.refused[id] = answer
        for id in emptied - self.refused.keys():
            groups[id] = {**groups[id], "IpPermissions": [], "IpPermissionsEgress": []}
