"""How an instance is, as restore must leave it, and what was called to change it."""

from __future__ import annotations

from typing import Any

from guardduty_response.containment.contract import Target
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

CHANGES = (
    "ModifyNetworkInterfaceAttribute",
    "ModifyInstanceAttribute",
    "ReplaceIamInstanceProfileAssociation",
    "AssociateAddress",
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "DeleteRolePolicy",
    "PutRolePolicy",
    "RegisterTargets",
    "AttachInstances",
    "ExitStandby",
    "CreateTags",
    "DeleteTags",
)


def picture(lab: Lab) -> dict[str, Any]:
    """Everything about the instance that containment may change, read with other eyes."""
    ec2, id = lab.see("ec2"), lab.ids["instance"]
    shown = ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]
    attributes = {
        name: ec2.describe_instance_attribute(InstanceId=id, Attribute=name)[
            name[0].upper() + name[1:]
        ]["Value"]
        for name in ("disableApiTermination", "instanceInitiatedShutdownBehavior")
    }
    health = {
        arn: [
            described["Target"]
            for described in lab.see("elbv2").describe_target_health(TargetGroupArn=arn)[
                "TargetHealthDescriptions"
            ]
        ]
        for arn in lab.ids.get("target_groups", [])
    }
    scaling = lab.see("autoscaling").describe_auto_scaling_instances(InstanceIds=[id])[
        "AutoScalingInstances"
    ]
    # moto: an address associated with an interface does not show the instance it is attached to.
    addresses = ec2.describe_addresses()["Addresses"]
    return {
        "groups": lab.groups(),
        "profile": lab.profiles(),
        "policies": lab.role_policies(),
        "attributes": attributes,
        "disks": {
            mapping["DeviceName"]: mapping["Ebs"]["DeleteOnTermination"]
            for mapping in shown["BlockDeviceMappings"]
        },
        "tags": shown.get("Tags", []),
        "targets": health,
        "addresses": [address.get("NetworkInterfaceId") for address in addresses],
        "scaling": [
            (scaled["AutoScalingGroupName"], scaled["LifecycleState"]) for scaled in scaling
        ],
    }


def changes(lab: Lab) -> list[str]:
    return [name for name in lab.operations() if name in CHANGES]


def contained(lab: Lab) -> Target:
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    return target
