"""All actions but those on the network: a class for each (its base is in containment/action.py)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict

from guardduty_response.containment import action
from guardduty_response.containment.target_context import (
    AwsClient,
    Sessions,
    result_or_raise,
    run_all,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState, filters

READ = (
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeIamInstanceProfileAssociations",
    "ec2:DescribeAddresses",
    "autoscaling:DescribeAutoScalingInstances",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "iam:GetInstanceProfile",
    "iam:GetRolePolicy",
)


# The parsed answer of an AWS call, or a part of it.
AwsAnswer = dict[str, Any]


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


class AssociatedAddress(TypedDict):
    """An Elastic IP: IDs of its association and allocation, and where it was associated."""

    association: str
    allocation: str
    ip: str
    interface: str | None
    private: str | None


class Action(action.Action[InstanceContext, InstanceState]):
    def _names(self) -> dict[str, str]:
        return {"profile": self.target_context.profile_name}


class Protect(Action):
    name = option = "protect_instance"
    done_text = "protected against termination as far as it can be, and its volumes are kept"
    item = "protection"
    manual_command = "ec2 modify-instance-attribute --instance-id {id} --disable-api-termination"
    ATTRIBUTES = (("DisableApiTermination", True), ("InstanceInitiatedShutdownBehavior", "stop"))

    def read(self) -> dict[str, Any]:
        ec2 = self.sessions.client("ec2")
        calls = {
            name: partial(
                ec2.describe_instance_attribute,
                InstanceId=self.target_context.id,
                Attribute=name[0].lower() + name[1:],
            )
            for name, _ in self.ATTRIBUTES
            if not self.state.spot
        }
        got = {
            name: result_or_raise(answer)[name].get("Value")
            for name, answer in run_all(calls).items()
        }
        disks = {
            name: bool(disk.get("DeleteOnTermination")) for name, disk in self.state.disks.items()
        }
        return {**got, "DeleteOnTermination": disks}

    def pending_change(self) -> str:
        """A Spot instance has no termination protection; its volumes can be kept all the same."""
        now = self.current or {"DeleteOnTermination": dict.fromkeys(self.state.disks, True)}
        wanted = []
        if not self.state.spot:
            wanted = [f"{name}={want}" for name, want in self.ATTRIBUTES if now.get(name) != want]
        for name, deleted in now["DeleteOnTermination"].items():
            if deleted:
                wanted.append(f"DeleteOnTermination=False of {name}")
        if not wanted:
            return ""
        text = f"set {', '.join(wanted)}"
        return f"{text}; Spot: no termination protection" if self.state.spot else text

    def change(self) -> list[AwsAnswer]:
        call = partial(
            self.sessions.client("ec2", self.target_context.target.arn).modify_instance_attribute,
            InstanceId=self.target_context.id,
        )
        calls: dict[str, Callable[[], AwsAnswer]] = {}
        if self.current.get("DisableApiTermination") is False:
            calls["protect"] = partial(call, DisableApiTermination={"Value": True})
        if self.current.get("InstanceInitiatedShutdownBehavior", "stop") != "stop":
            calls["shutdown"] = partial(
                call, Attribute="instanceInitiatedShutdownBehavior", Value="stop"
            )
        mappings = [
            {"DeviceName": name, "Ebs": {"DeleteOnTermination": False}}
            for name, on in self.current["DeleteOnTermination"].items()
            if on
        ]
        if mappings:
            calls["volumes"] = partial(call, BlockDeviceMappings=mappings)
        return [result_or_raise(result) for result in run_all(calls).values()]


class Scaling(Action):
    option, item, absent_text = "auto_scaling", "auto_scaling", "in no Auto Scaling group"
    done_text = "has left its Auto Scaling group"
    manual_command = (
        "autoscaling {verb} --instance-ids {id} --auto-scaling-group-name {group}"
        " --no-should-decrement-desired-capacity (the instance must be InService, and MaxSize must"
        " leave room)"
    )

    def __init__(
        self, instance: InstanceContext, sessions: Sessions, current: InstanceState
    ) -> None:
        super().__init__(instance, sessions, current)
        self.name = "standby_auto_scaling" if instance.standby else "detach_auto_scaling"
        self.left = (
            ("EnteringStandby", "Standby") if instance.standby else ("Detaching", "Detached")
        )

    def _names(self) -> dict[str, str]:
        operation = "enter-standby" if self.target_context.standby else "detach-instances"
        return {
            **super()._names(),
            "verb": operation,
            "group": (self.current or {}).get("group", "GROUP"),
        }

    def read(self) -> ScalingState:
        return scaling(self.sessions.client("autoscaling"), self.target_context.id)

    def pending_change(self) -> str:
        if not self.current or self.current["state"] in self.left:
            return ""
        how = "put on standby in" if self.target_context.standby else "detached from"
        return (
            f"{how} Auto Scaling group {self.current['group']}, capacity not lowered: a replacement"
            " launches"
        )

    def change(self) -> list[AwsAnswer]:
        group, actions = self.current["group"], scaling_actions(self.target_context)
        client = self.sessions.client(
            "autoscaling", scaling_arn(self.target_context, group), actions
        )
        call = client.enter_standby if self.target_context.standby else client.detach_instances
        return [
            call(
                InstanceIds=[self.target_context.id],
                AutoScalingGroupName=group,
                ShouldDecrementDesiredCapacity=False,
            )
        ]


class Deregister(Action):
    name = option = "deregister_targets"
    item = "target_groups"
    absent_text, done_text = "registered in no target group", "has left its target groups"
    manual_command = "elbv2 deregister-targets --target-group-arn ARN --targets Id={id}"
    ACTIONS = ("elasticloadbalancing:DeregisterTargets",)

    def run(self) -> None:
        # Leaving an Auto Scaling group may deregister the instance before this action reads.
        if known := self.target_context.scope("target_groups"):
            self.target_context.record_before_state(self.item, known)
        super().run()

    def read(self) -> list[RegisteredTarget]:
        """Returns the registrations of the instance or its addresses that are not draining.

        Looks in the target groups that the plan found. Without these, looks in all target groups of
        the instance's VPCs.
        """
        elb, known = self.sessions.client("elbv2"), self.target_context.scope("target_groups")
        arns = self._all(elb) if known is None else sorted({target["arn"] for target in known})
        ids = {
            self.target_context.id,
            *(address for interface in self.state.interfaces for address in interface.addresses),
        }
        got = run_all(
            {arn: partial(elb.describe_target_health, TargetGroupArn=arn) for arn in arns}
        )
        found = [
            (arn, described["Target"])
            for arn, answer in got.items()
            for described in result_or_raise(answer)["TargetHealthDescriptions"]
            if described["Target"]["Id"] in ids and described["TargetHealth"]["State"] != "draining"
        ]
        return [
            {"arn": arn, "id": at["Id"], "port": at.get("Port"), "zone": at.get("AvailabilityZone")}
            for arn, at in found
        ]

    def _all(self, elb: AwsClient) -> list[str]:
        out: list[str] = []
        page: AwsAnswer = {"NextMarker": None}
        while "NextMarker" in page:
            page = elb.describe_target_groups(
                **({"Marker": page["NextMarker"]} if page["NextMarker"] else {})
            )
            out += [
                group["TargetGroupArn"]
                for group in page["TargetGroups"]
                if group.get("VpcId") in self.state.vpcs
            ]
        return out

    def pending_change(self) -> str:
        where = ", ".join(
            f"{target['arn'].split('/')[1]} ({target['id']}:{target['port']})"
            for target in self.current or []
        )
        return where and f"deregistered from target group {where}"

    def change(self) -> list[AwsAnswer]:
        calls = {}
        for arn in {target["arn"] for target in self.current}:
            leaving = [
                {
                    key: target[name]
                    for key, name in (("Id", "id"), ("Port", "port"), ("AvailabilityZone", "zone"))
                    if target[name]
                }
                for target in self.current
                if target["arn"] == arn
            ]
            elb = self.sessions.client("elbv2", arn, self.ACTIONS)
            calls[arn] = partial(elb.deregister_targets, TargetGroupArn=arn, Targets=leaving)
        return [result_or_raise(result) for result in run_all(calls).values()]


class ReleaseAddress(Action):
    name = option = "disassociate_elastic_ip"
    item = "addresses"
    absent_text, done_text = "it has no Elastic IP", "has lost its Elastic IP"
    manual_command = "ec2 disassociate-address --association-id ID"
    ACTIONS = ("ec2:DisassociateAddress",)

    def read(self) -> list[AssociatedAddress]:
        got = self.sessions.client("ec2").describe_addresses(
            Filters=filters(**{"instance-id": self.target_context.id})
        )["Addresses"]
        return [
            {
                "association": address["AssociationId"],
                "allocation": address["AllocationId"],
                "ip": address["PublicIp"],
                "interface": address.get("NetworkInterfaceId"),
                "private": address.get("PrivateIpAddress"),
            }
            for address in got
            if address.get("AssociationId")
        ]

    def pending_change(self) -> str:
        ips = ", ".join(
            f"{address['ip']} ({address['allocation']})" for address in self.current or []
        )
        return ips and f"Elastic IP disassociated: {ips}"

    def change(self) -> list[AwsAnswer]:
        calls = {}
        for address in self.current:
            ec2 = self.sessions.client(
                "ec2", self.target_context.arn(f"elastic-ip/{address['allocation']}"), self.ACTIONS
            )
            calls[address["association"]] = partial(
                ec2.disassociate_address, AssociationId=address["association"]
            )
        return [result_or_raise(result) for result in run_all(calls).values()]


class Tag(Action):
    name, item, done_text = "tag_instance", "tags", "tagged"
    manual_command = "ec2 create-tags --resources {id} --tags Key={prefix},Value=quarantined"

    def wanted(self) -> dict[str, str]:
        return {
            self.target_context.prefix: "quarantined",
            f"{self.target_context.prefix}-incident": self.target_context.opened_by,
        }

    def read(self) -> dict[str, str | None]:
        return {key: self.state.tags.get(key) for key in self.wanted()}

    def pending_change(self) -> str:
        wanted = self.wanted()
        if self.current == wanted:
            return ""
        return "tagged " + ", ".join(f"{key}={text}" for key, text in wanted.items())

    def change(self) -> list[AwsAnswer]:
        pairs = [{"Key": key, "Value": text} for key, text in self.wanted().items()]
        return [
            self.sessions.client("ec2", self.target_context.target.arn).create_tags(
                Resources=[self.target_context.id], Tags=pairs
            )
        ]


def scaling(autoscaling: AwsClient, id: str) -> ScalingState:
    """Returns {group, state} of the instance's Auto Scaling group; {}: it is in none."""
    answer = autoscaling.describe_auto_scaling_instances(InstanceIds=[id])
    for member in answer["AutoScalingInstances"]:
        return {"group": member["AutoScalingGroupName"], "state": member["LifecycleState"]}
    return {}


def scaling_arn(instance: InstanceContext, group: str) -> str:
    return instance.arn(f"autoScalingGroup:*:autoScalingGroupName/{group}", "autoscaling")


def scaling_actions(instance: InstanceContext) -> tuple[str, ...]:
    return ("autoscaling:EnterStandby",) if instance.standby else ("autoscaling:DetachInstances",)
