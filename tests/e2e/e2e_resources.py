"""Instances and what surrounds them, read with boto3 clients of the account's root user, which
share nothing with the response.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox import seed, settings
from sandbox.clients import Aws

Json = dict[str, Any]
HOME = settings.REGIONS[0]
MEMBER = settings.MEMBER_ACCOUNT
PREFIX = "guardduty-response"


@dataclass
class Seen:
    """An instance and what surrounds it, as boto3 reads it now. ``interfaces``: id -> groups;
    ``rules``: group -> its rules.
    """

    instance: Json
    interfaces: dict[str, list[str]]
    rules: dict[str, list[Json]]
    profile: str | None
    role_policies: dict[str, Json]
    scaling_group: str | None
    targets: dict[str, str]
    attributes: dict[str, Any]
    keeps_volumes: dict[str, bool]
    tags: dict[str, str]
    snapshots: list[Json]
    addresses: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return str(self.instance["State"]["Name"])


class Resources:
    """Reads what is there, in any account and Region of the local AWS."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def client(self, service: str, account: str = MEMBER, region: str = HOME) -> Any:
        return self.aws.client(service, account, region=region)

    def near(self, victim: seed.Victim, service: str) -> Any:
        """A client of the victim's account in its Region."""
        return self.client(service, victim.account, victim.region)

    def look(self, victim: seed.Victim) -> Seen:
        """Read everything back."""
        ec2 = self.near(victim, "ec2")
        shown = seed.describe(self.aws.at(victim.region), victim.account, victim.instance)
        interfaces = ec2.describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [victim.instance]}]
        )["NetworkInterfaces"]
        on = {
            interface["NetworkInterfaceId"]: sorted(
                group["GroupId"] for group in interface["Groups"]
            )
            for interface in interfaces
        }
        groups = ec2.describe_security_groups(
            GroupIds=sorted({group for each in on.values() for group in each})
        )
        scaling = self.near(victim, "autoscaling").describe_auto_scaling_instances(
            InstanceIds=[victim.instance]
        )
        members = [member["AutoScalingGroupName"] for member in scaling["AutoScalingInstances"]]
        return Seen(
            instance=shown,
            interfaces=on,
            rules={
                group["GroupId"]: group["IpPermissions"] + group["IpPermissionsEgress"]
                for group in groups["SecurityGroups"]
            },
            profile=self._profile(victim),
            role_policies=self.role_policies(victim),
            scaling_group=members[0] if members else None,
            targets=self._targets(victim),
            attributes={
                name: self._attribute(victim, name)
                for name in ("disableApiTermination", "instanceInitiatedShutdownBehavior")
            },
            keeps_volumes={
                device["DeviceName"]: not device["Ebs"]["DeleteOnTermination"]
                for device in shown["BlockDeviceMappings"]
            },
            tags={tag["Key"]: tag["Value"] for tag in shown.get("Tags", [])},
            snapshots=self.snapshots(victim),
            addresses=[address["PublicIp"] for address in self._addresses(victim)],
        )

    def _profile(self, victim: seed.Victim) -> str | None:
        found = self.near(victim, "ec2").describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [victim.instance]}]
        )["IamInstanceProfileAssociations"]
        live = [
            association
            for association in found
            if association["State"] in ("associating", "associated")
        ]
        assert len(live) < 2, live
        return live[0]["IamInstanceProfile"]["Arn"].rsplit("/", 1)[-1] if live else None

    def _attribute(self, victim: seed.Victim, name: str) -> Any:
        ec2 = self.near(victim, "ec2")
        answer = ec2.describe_instance_attribute(InstanceId=victim.instance, Attribute=name)
        return answer[name[0].upper() + name[1:]]["Value"]

    def _addresses(self, victim: seed.Victim) -> list[Json]:
        ec2 = self.near(victim, "ec2")
        found: list[Json] = ec2.describe_addresses(
            Filters=[{"Name": "instance-id", "Values": [victim.instance]}]
        )["Addresses"]
        return found

    def role_policies(self, victim: seed.Victim) -> dict[str, Json]:
        """Inline policies of the victim's own role: name -> document."""
        if not victim.role:
            return {}
        iam = self.near(victim, "iam")
        names = iam.list_role_policies(RoleName=victim.role)["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName=victim.role, PolicyName=name)["PolicyDocument"]
            for name in names
        }

    def _targets(self, victim: seed.Victim) -> dict[str, str]:
        if not victim.target_group:
            return {}
        health = self.near(victim, "elbv2").describe_target_health(
            TargetGroupArn=victim.target_group
        )
        return {
            target["Target"]["Id"]: target["TargetHealth"]["State"]
            for target in health["TargetHealthDescriptions"]
        }

    def snapshots(self, victim: seed.Victim) -> list[Json]:
        """Snapshots of the victim's volumes."""
        ec2 = self.near(victim, "ec2")
        wanted = [{"Name": "volume-id", "Values": victim.volumes}]
        found: list[Json] = ec2.describe_snapshots(OwnerIds=[victim.account], Filters=wanted)[
            "Snapshots"
        ]
        return found

    def quarantine_groups(self, victim: seed.Victim) -> list[str]:
        """The quarantine groups of the victim's VPC."""
        found = self.near(victim, "ec2").describe_security_groups(
            Filters=[
                {"Name": "vpc-id", "Values": [victim.vpc]},
                {"Name": "group-name", "Values": [f"{PREFIX}-quarantine"]},
            ]
        )
        return [group["GroupId"] for group in found["SecurityGroups"]]
