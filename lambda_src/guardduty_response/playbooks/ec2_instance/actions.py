"""What is done beside the network, one class per action (common/action.py)."""

from __future__ import annotations

from functools import partial
from typing import Any

from guardduty_response.containment import action
from guardduty_response.containment.target_context import Json, Sessions, gather, value
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import Facts, filters

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


class Action(action.Action[Work, Facts]):
    def _names(self) -> Json:
        return {"profile": self.work.profile_name}


class Protect(Action):
    name = option = "protect_instance"
    good = "protected against termination as far as it can be, and its volumes are kept"
    part, hand = (
        "protection",
        "ec2 modify-instance-attribute --instance-id {id} --disable-api-termination",
    )
    ATTRIBUTES = (("DisableApiTermination", True), ("InstanceInitiatedShutdownBehavior", "stop"))

    def read(self) -> Any:
        ec2 = self.sessions.client("ec2")
        calls = {
            name: partial(
                ec2.describe_instance_attribute,
                InstanceId=self.work.id,
                Attribute=name[0].lower() + name[1:],
            )
            for name, _ in self.ATTRIBUTES
            if not self.facts.spot
        }
        got: Json = {name: value(one)[name].get("Value") for name, one in gather(calls).items()}
        disks = {
            name: bool(one.get("DeleteOnTermination")) for name, one in self.facts.disks.items()
        }
        return {**got, "DeleteOnTermination": disks}

    def todo(self) -> str:
        """A Spot instance has no termination protection; its volumes can be kept all the same."""
        now = self.now or {"DeleteOnTermination": dict.fromkeys(self.facts.disks, True)}
        wrong = (
            []
            if self.facts.spot
            else [f"{name}={want}" for name, want in self.ATTRIBUTES if now.get(name) != want]
        )
        wrong += [
            f"DeleteOnTermination=False of {name}"
            for name, on in now["DeleteOnTermination"].items()
            if on
        ]
        return (
            ", ".join(wrong)
            and f"set {', '.join(wrong)}" + "; Spot: no termination protection" * self.facts.spot
        )

    def change(self) -> list[Json]:
        call = partial(
            self.sessions.client("ec2", self.work.target.arn).modify_instance_attribute,
            InstanceId=self.work.id,
        )
        calls: Json = {}
        if self.now.get("DisableApiTermination") is False:
            calls["protect"] = partial(call, DisableApiTermination={"Value": True})
        if self.now.get("InstanceInitiatedShutdownBehavior", "stop") != "stop":
            calls["shutdown"] = partial(
                call, Attribute="instanceInitiatedShutdownBehavior", Value="stop"
            )
        mappings = [
            {"DeviceName": name, "Ebs": {"DeleteOnTermination": False}}
            for name, on in self.now["DeleteOnTermination"].items()
            if on
        ]
        if mappings:
            calls["volumes"] = partial(call, BlockDeviceMappings=mappings)
        return [value(one) for one in gather(calls).values()]


class Scaling(Action):
    option, part, none = "auto_scaling", "auto_scaling", "in no Auto Scaling group"
    good = "has left its Auto Scaling group"
    hand = (
        "autoscaling {verb} --instance-ids {id} --auto-scaling-group-name {group}"
        " --no-should-decrement-desired-capacity (the instance must be InService, and MaxSize must"
        " leave room)"
    )

    def __init__(self, work: Work, sessions: Sessions, facts: Facts) -> None:
        super().__init__(work, sessions, facts)
        self.name = "standby_auto_scaling" if work.standby else "detach_auto_scaling"
        self.left = ("EnteringStandby", "Standby") if work.standby else ("Detaching", "Detached")

    def _names(self) -> Json:
        verb = "enter-standby" if self.work.standby else "detach-instances"
        return {**super()._names(), "verb": verb, "group": (self.now or {}).get("group", "GROUP")}

    def read(self) -> Any:
        return scaling(self.sessions.client("autoscaling"), self.work.id)

    def todo(self) -> str:
        if not self.now or self.now["state"] in self.left:
            return ""
        how = "put on standby in" if self.work.standby else "detached from"
        return (
            f"{how} Auto Scaling group {self.now['group']}, capacity not lowered: a replacement"
            " launches"
        )

    def change(self) -> list[Json]:
        group, actions = self.now["group"], scaling_actions(self.work)
        client = self.sessions.client("autoscaling", scaling_arn(self.work, group), actions)
        call = client.enter_standby if self.work.standby else client.detach_instances
        return [
            call(
                InstanceIds=[self.work.id],
                AutoScalingGroupName=group,
                ShouldDecrementDesiredCapacity=False,
            )
        ]


class Deregister(Action):
    name = option = "deregister_targets"
    part, none, good = (
        "target_groups",
        "registered in no target group",
        "has left its target groups",
    )
    hand = "elbv2 deregister-targets --target-group-arn ARN --targets Id={id}"
    ACTIONS = ("elasticloadbalancing:DeregisterTargets",)

    def run(self) -> None:
        # leaving an Auto Scaling group may take it out before this looks
        if known := self.work.scope("target_groups"):
            self.work.before(self.part, known)
        super().run()

    def read(self) -> Any:
        """Registrations of the instance or its addresses that are not draining: in what the plan
        found, else anywhere.
        """
        elb, known = self.sessions.client("elbv2"), self.work.scope("target_groups")
        arns = self._all(elb) if known is None else sorted({one["arn"] for one in known})
        ids = {
            self.work.id,
            *(address for one in self.facts.interfaces for address in one.addresses),
        }
        got = gather({arn: partial(elb.describe_target_health, TargetGroupArn=arn) for arn in arns})
        found = [
            (arn, one["Target"])
            for arn, answer in got.items()
            for one in value(answer)["TargetHealthDescriptions"]
            if one["Target"]["Id"] in ids and one["TargetHealth"]["State"] != "draining"
        ]
        return [
            {"arn": arn, "id": at["Id"], "port": at.get("Port"), "zone": at.get("AvailabilityZone")}
            for arn, at in found
        ]

    def _all(self, elb: Any) -> list[str]:
        out: list[str] = []
        page: Json = {"NextMarker": None}
        while "NextMarker" in page:
            page = elb.describe_target_groups(
                **({"Marker": page["NextMarker"]} if page["NextMarker"] else {})
            )
            out += [
                one["TargetGroupArn"]
                for one in page["TargetGroups"]
                if one.get("VpcId") in self.facts.vpcs
            ]
        return out

    def todo(self) -> str:
        where = ", ".join(
            f"{one['arn'].split('/')[1]} ({one['id']}:{one['port']})" for one in self.now or []
        )
        return where and f"deregistered from target group {where}"

    def change(self) -> list[Json]:
        calls = {}
        for arn in {one["arn"] for one in self.now}:
            leaving = [
                {
                    key: one[name]
                    for key, name in (("Id", "id"), ("Port", "port"), ("AvailabilityZone", "zone"))
                    if one[name]
                }
                for one in self.now
                if one["arn"] == arn
            ]
            elb = self.sessions.client("elbv2", arn, self.ACTIONS)
            calls[arn] = partial(elb.deregister_targets, TargetGroupArn=arn, Targets=leaving)
        return [value(one) for one in gather(calls).values()]


class ReleaseAddress(Action):
    name = option = "disassociate_elastic_ip"
    part, none, good = "addresses", "it has no Elastic IP", "has lost its Elastic IP"
    hand = "ec2 disassociate-address --association-id ID"
    ACTIONS = ("ec2:DisassociateAddress",)

    def read(self) -> Any:
        got = self.sessions.client("ec2").describe_addresses(
            Filters=filters(**{"instance-id": self.work.id})
        )["Addresses"]
        return [
            {
                "association": one["AssociationId"],
                "allocation": one["AllocationId"],
                "ip": one["PublicIp"],
                "interface": one.get("NetworkInterfaceId"),
                "private": one.get("PrivateIpAddress"),
            }
            for one in got
            if one.get("AssociationId")
        ]

    def todo(self) -> str:
        ips = ", ".join(f"{one['ip']} ({one['allocation']})" for one in self.now or [])
        return ips and f"Elastic IP disassociated: {ips}"

    def change(self) -> list[Json]:
        calls = {}
        for one in self.now:
            ec2 = self.sessions.client(
                "ec2", self.work.arn(f"elastic-ip/{one['allocation']}"), self.ACTIONS
            )
            calls[one["association"]] = partial(
                ec2.disassociate_address, AssociationId=one["association"]
            )
        return [value(one) for one in gather(calls).values()]


class Tag(Action):
    name, part, good = "tag_instance", "tags", "tagged"
    hand = "ec2 create-tags --resources {id} --tags Key={prefix},Value=quarantined"

    def wanted(self) -> dict[str, str]:
        return {
            self.work.prefix: "quarantined",
            f"{self.work.prefix}-incident": self.work.ctx.incident_id,
        }

    def read(self) -> Any:
        return {key: self.facts.tags.get(key) for key in self.wanted()}

    def todo(self) -> str:
        wanted = self.wanted()
        return (
            ""
            if self.now == wanted
            else "tagged " + ", ".join(f"{key}={text}" for key, text in wanted.items())
        )

    def change(self) -> list[Json]:
        pairs = [{"Key": key, "Value": text} for key, text in self.wanted().items()]
        return [
            self.sessions.client("ec2", self.work.target.arn).create_tags(
                Resources=[self.work.id], Tags=pairs
            )
        ]


def scaling(autoscaling: Any, id: str) -> Json:
    got = autoscaling.describe_auto_scaling_instances(InstanceIds=[id])["AutoScalingInstances"]
    return (
        {"group": got[0]["AutoScalingGroupName"], "state": got[0]["LifecycleState"]} if got else {}
    )


def scaling_arn(work: Work, group: str) -> str:
    return work.arn(f"autoScalingGroup:*:autoScalingGroupName/{group}", "autoscaling")


def scaling_actions(work: Work) -> tuple[str, ...]:
    return ("autoscaling:EnterStandby",) if work.standby else ("autoscaling:DetachInstances",)
