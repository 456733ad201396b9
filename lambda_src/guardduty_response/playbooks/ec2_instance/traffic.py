"""The controls of what sends the instance traffic and replaces it: target groups, Auto Scaling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, TypedDict

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.control import Grant, Values
from guardduty_response.containment.target_context import (
    AwsClient,
    Json,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import AwsAnswer, Ec2Control

SCALING_GROUPS = "arn:${partition}:autoscaling:*:${account_id}:autoScalingGroup:*"
TARGET_GROUPS = "arn:${partition}:elasticloadbalancing:*:${account_id}:targetgroup/*"


class ScalingState(TypedDict, total=False):
    """The instance's Auto Scaling group and its lifecycle state there; empty: it is in none."""

    group: str
    state: str


class RegisteredTarget(TypedDict):
    """A registration in a target group: its ARN, and the target's id, port and zone."""

    arn: str
    id: str
    port: int | None
    zone: str | None


class Scaling(Ec2Control):
    """The instance's place in its Auto Scaling group: the group's name -> its lifecycle state.

    ``LEFT``: the states of an instance that has left as ``COMMAND`` lets it, the last for good.
    """

    option = item = "auto_scaling"
    service = "autoscaling"
    title = "Auto Scaling group {name}"
    placeholder = "GROUP"
    absent_text = "in no Auto Scaling group"
    done_text = "has left its Auto Scaling group"
    later_stays = "was joined after the first containment: left as it is"
    later_value = IN_SERVICE = "InService"
    reads = (Grant(("autoscaling:DescribeAutoScalingInstances",), "*"),)
    restores = (Grant(("autoscaling:AttachInstances", "autoscaling:ExitStandby"), SCALING_GROUPS),)
    COMMAND = HOW = ""
    LEFT: tuple[str, ...] = ()

    def arn_of(self, name: str) -> str:
        return scaling_arn(self.target_context, name)

    def read(self) -> ScalingState:
        return scaling(self.client, self.target_context.id)

    def values(self, stored: Any) -> Values:
        return {stored["group"]: stored["state"]} if stored else {}

    def wanted(self, name: str, value: Any) -> Any:
        return value if value in self.LEFT else self.LEFT[-1]

    def contained_text(self, pending: Values) -> str:
        return (
            f"{self.HOW} Auto Scaling group {', '.join(pending)}, capacity not lowered: a"
            " replacement launches"
        )

    def manual_text(self) -> str:
        return f"{super().manual_text()} (it must be InService, and MaxSize must leave room)"

    def write(self, name: str, value: Any) -> AwsAnswer:
        command, capacity = self._command(value)
        call = getattr(self.writer(name), command.replace("-", "_"))
        return dict(
            call(InstanceIds=[self.target_context.id], AutoScalingGroupName=name, **capacity)
        )

    def command(self, name: str, value: Any) -> str:
        command, capacity = self._command(value)
        text = (
            f"autoscaling {command} --instance-ids {self.target_context.id}"
            f" --auto-scaling-group-name {name}"
        )
        return f"{text} --no-should-decrement-desired-capacity" if capacity else text

    def _command(self, value: Any) -> tuple[str, Json]:
        """Returns the command for a lifecycle state, and what containment adds to it."""
        if value != self.IN_SERVICE:
            return self.COMMAND, {"ShouldDecrementDesiredCapacity": False}
        waits = (self.current or {}).get("state") in StandBy.LEFT
        return ("exit-standby" if waits else "attach-instances"), {}

    # -- restoring: the option may be another one by now -------------------------------------------

    def to_restore(self) -> Values:
        return dict.fromkeys(super().to_restore(), self.IN_SERVICE)

    def as_before(self, name: str, before: Any, now: Any) -> bool:
        return bool(now) and now not in (*Detach.LEFT, *StandBy.LEFT)

    def left(self, name: str, before: Any, now: Any) -> bool:
        return not self.current or name in self.values(self.current)

    def retained(self, name: str, before: Any, now: Any) -> str:
        if self.target_context.options.get("reattach_auto_scaling") or not self.left(
            name, before, now
        ):
            return ""
        return (
            f"not put back into Auto Scaling group {name}, which has a replacement"
            " (reattach_auto_scaling is off)"
        )

    def state_text(self, name: str, value: Any) -> str:
        if value:
            return f"it is in Auto Scaling group {name} ({value})"
        return f"it is in Auto Scaling group {self.current['group']} now, and was in {name}"

    def restored_text(self, name: str, before: Any) -> str:
        return (
            f"back in Auto Scaling group {name}: its capacity grows by one, which MaxSize must"
            " allow"
        )


class Detach(Scaling):
    name = "detach_auto_scaling"
    contains = (Grant(("autoscaling:DetachInstances",), SCALING_GROUPS),)
    undone_by = ("AttachInstances",)
    COMMAND, HOW = "detach-instances", "detached from"
    LEFT = ("Detaching", "Detached")


class StandBy(Scaling):
    name = "standby_auto_scaling"
    contains = (Grant(("autoscaling:EnterStandby",), SCALING_GROUPS),)
    undone_by = ("ExitStandby", "AttachInstances")
    COMMAND, HOW = "enter-standby", "put on standby in"
    LEFT = ("EnteringStandby", "Standby")


class Deregister(Ec2Control):
    """Registrations of the instance or its addresses in target groups that are not draining: the
    target group's ARN, with the target's id and port -> the registration. None: there is none.
    """

    deleted: Collection[str] = ()  # target groups that were not found
    name = option = "deregister_targets"
    item = "target_groups"
    service = "elbv2"
    placeholder = "ARN"
    absent_text, done_text = "registered in no target group", "has left its target groups"
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
        return name.split(" ")[0]

    def read(self) -> list[RegisteredTarget]:
        """Looks in the target groups that the plan found. Without these, looks in all target
        groups of the instance's VPCs.
        """
        known = self.target_context.scope("target_groups")
        arns = self._all_groups() if known is None else {target["arn"] for target in known}
        return self._registered(arns, self._own_ids())

    def read_recorded(self) -> list[RegisteredTarget]:
        recorded: Iterable[RegisteredTarget] = self.to_restore().values()
        return self._registered(
            {target["arn"] for target in recorded}, {target["id"] for target in recorded}
        )

    def _own_ids(self) -> set[str]:
        interfaces = self.state.interfaces
        addresses = (address for interface in interfaces for address in interface.addresses)
        return {self.target_context.id, *addresses}

    def _all_groups(self) -> set[str]:
        arns: set[str] = set()
        request: AwsAnswer = {}
        while True:
            page = self.client.describe_target_groups(**request)
            groups = [each for each in page["TargetGroups"] if each.get("VpcId") in self.state.vpcs]
            arns |= {group["TargetGroupArn"] for group in groups}
            if "NextMarker" not in page:
                return arns
            request = {"Marker": page["NextMarker"]}

    def _registered(self, arns: set[str], ids: set[str]) -> list[RegisteredTarget]:
        health = self.client.describe_target_health
        answers = run_all({arn: partial(health, TargetGroupArn=arn) for arn in sorted(arns)})
        self.deleted = {
            arn
            for arn, answer in answers.items()
            if isinstance(answer, Exception)
            and error_code(answer).startswith("TargetGroupNotFound")
        }
        found = [
            (arn, described["Target"])
            for arn in answers.keys() - self.deleted
            for described in result_or_raise(answers[arn])["TargetHealthDescriptions"]
            if described["Target"]["Id"] in ids and described["TargetHealth"]["State"] != "draining"
        ]
        return [
            {"arn": arn, "id": at["Id"], "port": at.get("Port"), "zone": at.get("AvailabilityZone")}
            for arn, at in found
        ]

    def values(self, stored: Any) -> Values:
        return {
            f"{target['arn']} {target['id']}:{target['port']}": target for target in stored or []
        }

    def wanted(self, name: str, value: Any) -> None:
        """No registration."""

    def contained_text(self, pending: Values) -> str:
        return f"deregistered from target group {', '.join(map(_group_and_target, pending))}"

    def write(self, name: str, value: Any) -> AwsAnswer:
        elb = self.writer(name)
        call = elb.register_targets if value else elb.deregister_targets
        target = _target(value or self.values(self.current)[name])
        return dict(call(TargetGroupArn=self.arn_of(name), Targets=[target]))

    def command(self, name: str, value: Any) -> str:
        known = value or self.values(self.current).get(name) or {"id": self.target_context.id}
        where = ",".join(f"{key}={part}" for key, part in _target(known).items())
        verb = "register" if value else "deregister"
        return f"elbv2 {verb}-targets --target-group-arn {self.arn_of(name)} --targets {where}"

    def as_before(self, name: str, before: Any, now: Any) -> bool:
        return now is not None

    def left(self, name: str, before: Any, now: Any) -> bool:
        return before["arn"] not in self.deleted and before["id"] in self._own_ids()

    def state_text(self, name: str, value: Any) -> str:
        group, target = name.split("/")[1], name.split(" ")[1]
        if value:
            return f"registered in target group {group} ({target})"
        if self.arn_of(name) in self.deleted:
            return f"target group {group} no longer exists"
        return (
            f"{target} is no longer an address of {self.target_context.id}: not registered in"
            f" {group}"
        )

    def restored_text(self, name: str, before: Any) -> str:
        return f"registered in target group {_group_and_target(name)} again"


def _group_and_target(name: str) -> str:
    return f"{name.split('/')[1]} ({name.split(' ')[1]})"


def _target(registered: Mapping[str, Any]) -> Json:
    """Returns the target as the calls of Elastic Load Balancing take it."""
    names = {"Id": "id", "Port": "port", "AvailabilityZone": "zone"}
    return {key: registered[name] for key, name in names.items() if registered.get(name)}


def scaling(autoscaling: AwsClient, id: str) -> ScalingState:
    """Returns {group, state} of the instance's Auto Scaling group; {}: it is in none."""
    answer = autoscaling.describe_auto_scaling_instances(InstanceIds=[id])
    for member in answer["AutoScalingInstances"]:
        return {"group": member["AutoScalingGroupName"], "state": member["LifecycleState"]}
    return {}


def scaling_arn(instance: InstanceContext, group: str) -> str:
    return instance.arn(f"autoScalingGroup:*:autoScalingGroupName/{group}", "autoscaling")
