"""The controls of what sends the instance traffic and replaces it: target groups, Auto Scaling."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import Grant
from guardduty_response.containment.target_context import (
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance import read_ahead
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import Ec2Control

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.ec2_instance.records import RegisteredTarget, ScalingState

SCALING_GROUPS = "arn:${partition}:autoscaling:*:${account_id}:autoScalingGroup:*"
TARGET_GROUPS = "arn:${partition}:elasticloadbalancing:*:${account_id}:targetgroup/*"
NOT_FOUND = "TargetGroupNotFound"


class Scaling(Ec2Control["ScalingState", str]):
    """The instance's place in its Auto Scaling group: the group's name -> its lifecycle state.

    ``LEAVING``: the states of an instance that the call ``LEAVE`` lets leave, the last for good.
    """

    option = item = "auto_scaling"
    service = "autoscaling"
    title = "Auto Scaling group {name}"
    placeholder = "GROUP"
    absent_text = "in no Auto Scaling group"
    done_text = "has left its Auto Scaling group"
    restored_as = "back in {thing}: its capacity grows by one, which MaxSize must allow"
    later_stays = "was joined after the first containment: left as it is"
    later_value = IN_SERVICE = "InService"
    reads = (Grant(("autoscaling:DescribeAutoScalingInstances",), "*"),)
    restores = (Grant(("autoscaling:AttachInstances", "autoscaling:ExitStandby"), SCALING_GROUPS),)
    LEAVE = ""
    LEAVING: tuple[str, ...] = ()

    def arn_of(self, name: str) -> str:
        return scaling_arn(self.target_context, name)

    def read(self) -> ScalingState:
        read = read_ahead.places(self.client, self.target_context.id)
        return _place_in(read_ahead.taken(self.target_context, read_ahead.SCALING, read)())

    def values(self, stored: ScalingState | None) -> Values[str]:
        return {stored["group"]: stored["state"]} if stored else {}

    def wanted(self, name: str, value: str | None) -> str:
        return value if value in self.LEAVING else self.LEAVING[-1]

    def manual_text(self) -> str:
        return f"{super().manual_text()} (it must be InService, and MaxSize must leave room)"

    def call(self, name: str, value: str) -> AwsCall:
        """Returns the call that leads to a lifecycle state."""
        request: dict[str, object] = {
            "InstanceIds": [self.target_context.id],
            "AutoScalingGroupName": name,
        }
        if value != self.IN_SERVICE:
            request["ShouldDecrementDesiredCapacity"] = False
            return AwsCall("autoscaling", self.LEAVE, request)
        stands_by = (self.current or {}).get("state") in StandBy.LEAVING
        back = "exit_standby" if stands_by else "attach_instances"
        return AwsCall("autoscaling", back, request)

    def to_restore(self) -> Values[str]:
        return dict.fromkeys(super().to_restore(), self.IN_SERVICE)

    def as_before(self, name: str, before: str, now: str | None) -> bool:
        return now not in (None, *Detach.LEAVING, *StandBy.LEAVING)  # the option may have changed

    def left(self, name: str, before: str, now: str | None) -> bool:
        return not self.current or bool(now)

    def retained(self, name: str, before: str, now: str | None) -> str:
        reattach = self.target_context.options.get("reattach_auto_scaling")
        if reattach or not self.left(name, before, now):
            return ""
        return (
            f"not put back into {self.named(name)}, which has a replacement"
            " (reattach_auto_scaling is off)"
        )

    def state_text(self, name: str, value: str | None) -> str:
        if value:
            return f"it is in {self.named(name)} ({value})"
        return f"it is in {self.named(self.present['group'])} now, and was in {name}"


class Detach(Scaling):
    name = "detach_auto_scaling"
    contained_as = "detached from {things}, capacity not lowered: a replacement launches"
    contains = (Grant(("autoscaling:DetachInstances",), SCALING_GROUPS),)
    undone_by = ("AttachInstances",)
    LEAVE = "detach_instances"
    LEAVING = ("Detaching", "Detached")


class StandBy(Scaling):
    name = "standby_auto_scaling"
    contained_as = "put on standby in {things}, capacity not lowered: a replacement launches"
    contains = (Grant(("autoscaling:EnterStandby",), SCALING_GROUPS),)
    undone_by = ("ExitStandby", "AttachInstances")
    LEAVE = "enter_standby"
    LEAVING = ("EnteringStandby", "Standby")


class Deregister(Ec2Control["list[RegisteredTarget]", "RegisteredTarget | None"]):
    """Registrations of the instance or its addresses in target groups that are not draining: the
    target group's ARN, with the target's id and port -> the registration. None: there is none.
    """

    deleted: Collection[str] = ()  # target groups that were not found
    last_healthy: Collection[str] = ()  # those in which no other target was healthy
    minor = True  # a load balancer's controller may register a node again: its network is closed
    name = option = "deregister_targets"
    item = "target_groups"
    service = "elbv2"
    placeholder = "ARN"
    absent_text, done_text = "registered in no target group", "has left its target groups"
    contained_as, restored_as = "deregistered from {things}", "registered in {thing} again"
    reads = (Grant(("elasticloadbalancing:DescribeTargetHealth",), "*"),)
    finds = (Grant(("elasticloadbalancing:DescribeTargetGroups",), "*"),)
    contains = (Grant(("elasticloadbalancing:DeregisterTargets",), TARGET_GROUPS),)
    restores = (Grant(("elasticloadbalancing:RegisterTargets",), TARGET_GROUPS),)
    undone_by = ("RegisterTargets",)

    def run(self) -> None:
        # Leaving an Auto Scaling group may deregister the instance before this control reads.
        if known := self.target_context.scope("target_groups"):
            self.target_context.record_before_state(self.item, known)
        super().run()

    def arn_of(self, name: str) -> str:
        return name.split(" ", maxsplit=1)[0]

    def read(self) -> list[RegisteredTarget]:
        """Looks in the target groups that the plan found. Without these, looks in all target
        groups of the instance's VPCs.
        """
        known = self.target_context.scope("target_groups")
        arns = self._all_groups() if known is None else {target["arn"] for target in known}
        return self._registered(arns, self._own_ids())

    def read_recorded(self) -> list[RegisteredTarget]:
        recorded = [target for target in self.to_restore().values() if target]
        arns, ids = ({target[key] for target in recorded} for key in ("arn", "id"))
        return self._registered(arns, ids)

    def _own_ids(self) -> set[str]:
        interfaces = self.state.interfaces
        addresses = (address for interface in interfaces for address in interface.addresses)
        return {self.target_context.id, *addresses}

    def _all_groups(self) -> set[str]:
        read = partial(read_ahead.all_target_groups, self.client)
        groups = read_ahead.taken(self.target_context, read_ahead.GROUPS, read)()["TargetGroups"]
        return {each["TargetGroupArn"] for each in groups if each.get("VpcId") in self.state.vpcs}

    def _registered(self, arns: set[str], ids: set[str]) -> list[RegisteredTarget]:
        health = self.client.describe_target_health
        answers = run_all({arn: partial(health, TargetGroupArn=arn) for arn in sorted(arns)})
        self.deleted = [
            arn
            for arn, answer in answers.items()
            if isinstance(answer, Exception) and error_code(answer).startswith(NOT_FOUND)
        ]
        targets = {
            arn: result_or_raise(answers[arn])["TargetHealthDescriptions"]
            for arn in answers.keys() - self.deleted
        }
        self.last_healthy = [arn for arn in targets if _is_last(targets[arn], ids)]
        found = [
            (arn, described["Target"])
            for arn, descriptions in targets.items()
            for described in descriptions
            if described["Target"]["Id"] in ids and described["TargetHealth"]["State"] != "draining"
        ]
        return [
            {
                "arn": arn,
                "id": at["Id"],
                "port": at.get("Port"),
                "zone": at.get("AvailabilityZone"),
            }
            for arn, at in found
        ]

    def values(self, stored: list[RegisteredTarget] | None) -> Values[RegisteredTarget]:
        return {
            f"{target['arn']} {target['id']}:{target['port']}": target for target in stored or []
        }

    def wanted(self, name: str, value: RegisteredTarget | None) -> None:
        """No registration."""

    def named(self, name: str) -> str:
        return f"target group {name.split('/')[1]} ({name.split(' ')[1]})"

    def write(self, name: str, value: RegisteredTarget | None) -> AwsAnswer:
        elb = self.writer(name)
        call = elb.register_targets if value else elb.deregister_targets
        target = _target(value or self.values(self.current)[name])
        return dict(call(TargetGroupArn=self.arn_of(name), Targets=[target]))

    def command(self, name: str, value: RegisteredTarget | None) -> str:
        known = value or self.values(self.current).get(name) or {"id": self.target_context.id}
        where = ",".join(f"{key}={part}" for key, part in _target(known).items())
        call = "register" if value else "deregister"
        return f"elbv2 {call}-targets --target-group-arn {self.arn_of(name)} --targets {where}"

    def as_before(
        self, name: str, before: RegisteredTarget | None, now: RegisteredTarget | None
    ) -> bool:
        return now is not None

    def left(
        self, name: str, before: RegisteredTarget | None, now: RegisteredTarget | None
    ) -> bool:
        return bool(
            before and before["arn"] not in self.deleted and before["id"] in self._own_ids()
        )

    def state_text(self, name: str, value: RegisteredTarget | None) -> str:
        if value:
            return f"registered in {self.named(name)}"
        if self.arn_of(name) in self.deleted:
            return f"target group {name.split('/')[1]} no longer exists"
        return f"not registered in {self.named(name)}: no address of {self.target_context.id} now"


def _is_last(descriptions: list[AwsAnswer], ids: Collection[str]) -> bool:
    """Says whether no other target is healthy, and the instance serves: it is healthy, or the only
    one that is registered (DescribeTargetHealth).
    """
    states: dict[bool, set[str]] = {True: set(), False: set()}
    for described in descriptions:
        states[described["Target"]["Id"] in ids].add(described["TargetHealth"]["State"])
    own, others = states[True] - {"draining", "unused"}, states[False] - {"draining"}
    return bool(own) and "healthy" not in others and ("healthy" in own or not others)


def _target(registered: Mapping[str, object]) -> dict[str, object]:
    """Returns the target as the calls of Elastic Load Balancing take it."""
    names = {"Id": "id", "Port": "port", "AvailabilityZone": "zone"}
    return {key: registered[name] for key, name in names.items() if registered.get(name)}


def scaling(autoscaling: AwsClient, id: str) -> ScalingState:
    """Returns {group, state} of the instance's Auto Scaling group; {}: it is in none."""
    return _place_in(read_ahead.places(autoscaling, id)())


def _place_in(answer: AwsAnswer) -> ScalingState:
    for member in answer["AutoScalingInstances"]:
        return {"group": member["AutoScalingGroupName"], "state": member["LifecycleState"]}
    return {}


def scaling_arn(instance: InstanceContext, group: str) -> str:
    return instance.arn(f"autoScalingGroup:*:autoScalingGroupName/{group}", "autoscaling")
