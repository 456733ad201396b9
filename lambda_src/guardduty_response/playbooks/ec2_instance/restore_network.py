"""Restores how the instance is reached: groups of its interfaces, Elastic IPs, target groups,
Auto Scaling.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.restoration import (
    RestoreItem,
    RestoreStatus,
    aws_command,
    changed_since,
)
from guardduty_response.containment.target_context import Sessions, allow, run_all
from guardduty_response.playbooks.ec2_instance.actions import (
    AssociatedAddress,
    AwsAnswer,
    RegisteredTarget,
    scaling,
    scaling_arn,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network import MODIFY, interfaces_before
from guardduty_response.playbooks.ec2_instance.state import InstanceState, closed

LEFT_GROUP = ("EnteringStandby", "Standby", "Detaching", "Detached")


def network(
    instance: InstanceContext, reading: Sessions, current: InstanceState
) -> list[RestoreItem]:
    recorded = {
        id: was
        for id, was in interfaces_before(instance.stored["before"]).items()
        if not was.get("managed")
    }
    present = {interface.id: interface for interface in current.interfaces}
    wanted = sorted({group for was in recorded.values() for group in was["groups"]})
    call = partial(
        reading.client("ec2").describe_security_groups,
        Filters=[{"Name": "group-id", "Values": wanted}],
    )
    exist = {group["GroupId"] for group in call()["SecurityGroups"]} if wanted else set()
    items = []
    for id, was in sorted(recorded.items()):
        name, groups, interface = f"network/{id}", was["groups"], present.get(id)
        manual_command = (
            "ec2 modify-network-interface-attribute --network-interface-id {} --groups {}"
        )
        back = aws_command(instance, manual_command.format(id, " ".join(groups)))
        missing = [group for group in groups if group not in exist]
        if interface is None:
            text = (
                f"{id} is no longer attached to {instance.id}; if it exists, it may still be in"
                " quarantine"
            )
            items.append(RestoreItem(RestoreStatus.CHANGED_SINCE, name, id, text, back))
        elif set(interface.groups) == set(groups):
            other = "; that is quarantine, for another incident" * closed(
                instance, current, interface
            )
            items.append(
                RestoreItem(
                    RestoreStatus.UNCHANGED,
                    name,
                    id,
                    f"{id} is in the groups it had ({', '.join(groups)}){other}",
                )
            )
        elif not closed(instance, current, interface):
            items.append(changed_since(name, id, f"{id} is in {', '.join(interface.groups)}"))
        elif missing:
            text = (
                f"{id} stays in quarantine: its security group {', '.join(missing)} no longer"
                " exists; choose groups"
            )
            left = " ".join(group for group in groups if group in exist)
            items.append(
                RestoreItem(
                    RestoreStatus.MANUAL,
                    name,
                    id,
                    text,
                    aws_command(instance, manual_command.format(id, f"{left} GROUP".strip())),
                )
            )
        else:
            text = f"{id} out of quarantine, back in {', '.join(groups)}"
            items.append(
                RestoreItem(
                    RestoreStatus.TODO,
                    name,
                    id,
                    text,
                    back,
                    partial(_groups_back, instance, id, groups),
                )
            )
    for id in sorted(present.keys() - interfaces_before(instance.stored["before"]).keys()):
        if closed(instance, current, present[id]):
            text = (
                f"{id} is in quarantine, and the record does not say in which groups it was; choose"
                " groups"
            )
            items.append(
                RestoreItem(
                    RestoreStatus.MANUAL,
                    f"network/{id}",
                    id,
                    text,
                    aws_command(instance, manual_command.format(id, "GROUP")),
                )
            )
    return items


def _groups_back(instance: InstanceContext, id: str, groups: list[str]) -> list[AwsAnswer]:
    named = [
        instance.arn(f"network-interface/{id}"),
        *(instance.arn(f"security-group/{group}") for group in groups),
    ]
    ec2 = instance.open_session(allow(MODIFY, named)).client("ec2")
    return [ec2.modify_network_interface_attribute(NetworkInterfaceId=id, Groups=groups)]


def addresses(
    instance: InstanceContext, reading: Sessions, current: InstanceState
) -> list[RestoreItem]:
    recorded = instance.before_state("addresses")
    ids = [address["allocation"] for address in recorded]
    got = reading.client("ec2").describe_addresses(
        Filters=[{"Name": "allocation-id", "Values": ids}]
    )["Addresses"]
    now, own = (
        {address["AllocationId"]: address for address in got},
        {address.id for address in current.interfaces},
    )
    items = []
    for was in recorded:
        id, ip, interface = was["allocation"], was["ip"], was["interface"]
        manual_command = aws_command(
            instance,
            f"ec2 associate-address --allocation-id {id} --network-interface-id {interface}",
        )
        if id not in now:
            items.append(
                RestoreItem(
                    RestoreStatus.CHANGED_SINCE,
                    "addresses",
                    id,
                    f"Elastic IP {ip} ({id}) was released: it is no longer yours to give back",
                )
            )
        elif now[id].get("NetworkInterfaceId") == interface:
            items.append(
                RestoreItem(
                    RestoreStatus.UNCHANGED, "addresses", id, f"Elastic IP {ip} is on {interface}"
                )
            )
        elif now[id].get("AssociationId"):
            where = now[id].get("InstanceId") or now[id].get("NetworkInterfaceId")
            items.append(
                RestoreItem(
                    RestoreStatus.CHANGED_SINCE,
                    "addresses",
                    id,
                    f"Elastic IP {ip} is not free: it is on {where} now",
                    manual_command,
                )
            )
        elif interface not in own:
            items.append(
                RestoreItem(
                    RestoreStatus.CHANGED_SINCE,
                    "addresses",
                    id,
                    f"Elastic IP {ip}: {interface} is no longer attached to {instance.id}",
                )
            )
        else:
            text = f"Elastic IP {ip} back on {interface}"
            call = partial(_address_back, instance, was)
            items.append(
                RestoreItem(RestoreStatus.TODO, "addresses", id, text, manual_command, call)
            )
    return items


def _address_back(instance: InstanceContext, was: AssociatedAddress) -> list[AwsAnswer]:
    named = [
        instance.arn(f"elastic-ip/{was['allocation']}"),
        instance.arn(f"network-interface/{was['interface']}"),
        instance.target.arn,
    ]
    ec2, private = (
        instance.open_session(allow(("ec2:AssociateAddress",), named)).client("ec2"),
        was.get("private"),
    )
    where = {"PrivateIpAddress": private} if private else {}
    return [
        ec2.associate_address(
            AllocationId=was["allocation"],
            NetworkInterfaceId=was["interface"],
            AllowReassociation=False,
            **where,
        )
    ]


# -- who sends it traffic, and who owns it ---------------------------------------------------------


def target_groups(
    instance: InstanceContext, reading: Sessions, current: InstanceState
) -> list[RestoreItem]:
    recorded, elb = instance.before_state("target_groups"), reading.client("elbv2")
    own = {
        instance.id,
        *(address for interface in current.interfaces for address in interface.addresses),
    }
    health = run_all(
        {
            arn: partial(elb.describe_target_health, TargetGroupArn=arn)
            for arn in {target["arn"] for target in recorded}
        }
    )
    items = []
    for was in recorded:
        arn, at = was["arn"], f"{was['id']}:{was['port']}"
        name, item = arn.split("/")[1], f"{arn} {at}"
        where = ",".join(f"{key}={was[part]}" for key, part in _ADDRESS if was.get(part))
        manual_command = aws_command(
            instance, f"elbv2 register-targets --target-group-arn {arn} --targets {where}"
        )
        answer = health[arn]
        if isinstance(answer, Exception):
            if not error_code(answer).startswith("TargetGroupNotFound"):
                raise answer
            items.append(
                RestoreItem(
                    RestoreStatus.CHANGED_SINCE,
                    "target_groups",
                    item,
                    f"target group {name} no longer exists",
                )
            )
        elif at in _registered(answer):
            items.append(
                RestoreItem(
                    RestoreStatus.UNCHANGED,
                    "target_groups",
                    item,
                    f"registered in target group {name} ({at})",
                )
            )
        elif was["id"] not in own:
            items.append(
                RestoreItem(
                    RestoreStatus.CHANGED_SINCE,
                    "target_groups",
                    item,
                    f"{was['id']} is no longer an address of {instance.id}: not registered in "
                    f"{name}",
                )
            )
        else:
            text = f"registered in target group {name} again ({at})"
            call = partial(_target_back, instance, was)
            items.append(
                RestoreItem(RestoreStatus.TODO, "target_groups", item, text, manual_command, call)
            )
    return items


_ADDRESS: tuple[tuple[str, Literal["id", "port", "zone"]], ...] = (
    ("Id", "id"),
    ("Port", "port"),
    ("AvailabilityZone", "zone"),
)


def _registered(answer: AwsAnswer) -> Iterable[str]:
    return [
        f"{described['Target']['Id']}:{described['Target'].get('Port')}"
        for described in answer["TargetHealthDescriptions"]
        if described["TargetHealth"]["State"] != "draining"
    ]


def _target_back(instance: InstanceContext, was: RegisteredTarget) -> list[AwsAnswer]:
    elb = instance.open_session(
        allow(("elasticloadbalancing:RegisterTargets",), was["arn"])
    ).client("elbv2")
    target = {key: was[part] for key, part in _ADDRESS if was.get(part)}
    return [elb.register_targets(TargetGroupArn=was["arn"], Targets=[target])]


def auto_scaling(
    instance: InstanceContext, reading: Sessions, _current: InstanceState
) -> list[RestoreItem]:
    was = instance.before_state("auto_scaling")
    now = scaling(reading.client("autoscaling"), instance.id)
    group = was["group"]
    standby = now.get("group") == group and now["state"] in ("EnteringStandby", "Standby")
    command = "exit-standby" if standby else "attach-instances"
    manual_command = aws_command(
        instance,
        f"autoscaling {command} --instance-ids {instance.id} --auto-scaling-group-name {group}",
    )
    if now.get("group") == group and now["state"] not in LEFT_GROUP:
        return [
            RestoreItem(
                RestoreStatus.UNCHANGED,
                "auto_scaling",
                group,
                f"it is in Auto Scaling group {group} ({now['state']})",
            )
        ]
    if now and now["group"] != group:
        return [changed_since("auto_scaling", group, f"it is in Auto Scaling group {now['group']}")]
    if not instance.options.get("reattach_auto_scaling"):
        text = (
            f"not put back into Auto Scaling group {group}, which has a replacement"
            " (reattach_auto_scaling is off)"
        )
        return [RestoreItem(RestoreStatus.RETAINED, "auto_scaling", group, text, manual_command)]
    text = (
        f"back in Auto Scaling group {group}: its capacity grows by one, which MaxSize must allow"
    )
    return [
        RestoreItem(
            RestoreStatus.TODO,
            "auto_scaling",
            group,
            text,
            manual_command,
            partial(_group_back, instance, group, standby),
        )
    ]


def _group_back(instance: InstanceContext, group: str, standby: bool) -> list[AwsAnswer]:
    action = "autoscaling:ExitStandby" if standby else "autoscaling:AttachInstances"
    client = instance.open_session(allow((action,), scaling_arn(instance, group))).client(
        "autoscaling"
    )
    call = client.exit_standby if standby else client.attach_instances
    return [call(InstanceIds=[instance.id], AutoScalingGroupName=group)]
