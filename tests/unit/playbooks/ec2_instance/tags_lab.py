"""What a person sees of the tags of an instance and of its interfaces."""

from __future__ import annotations

from typing import Any

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX, Lab

OURS = [{"Key": PREFIX, "Value": "quarantined"}, {"Key": f"{PREFIX}-incident", "Value": INCIDENT}]


def tags_of_interfaces(lab: Lab) -> list[list[Any]]:
    found = lab.see("ec2").describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [lab.ids["instance"]]}]
    )["NetworkInterfaces"]
    return [sorted(interface["TagSet"], key=lambda tag: tag["Key"]) for interface in found]


def tags_of_instance(lab: Lab) -> list[Any]:
    found = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])
    tags = found["Reservations"][0]["Instances"][0].get("Tags", [])
    return sorted(tags, key=lambda tag: tag["Key"])
