"""What surrounds the instance of a lab: its Auto Scaling group and its target groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

AMI = "ami-12c6146b"  # moto knows it


def create_auto_scaling_group(lab: Lab) -> None:
    """A group that holds the instance."""
    client = lab.see("autoscaling")
    zone = lab.see("ec2").describe_subnets(SubnetIds=[lab.ids["subnet"]])
    client.create_launch_configuration(
        LaunchConfigurationName="lc", ImageId=AMI, InstanceType="t3.small"
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchConfigurationName="lc",
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=0,
        AvailabilityZones=[zone["Subnets"][0]["AvailabilityZone"]],
    )
    client.attach_instances(AutoScalingGroupName="web", InstanceIds=[lab.ids["instance"]])


def create_target_groups(lab: Lab) -> None:
    """Two target groups that hold the instance, and a third that does not."""
    client = lab.see("elbv2")
    for name, port in (("web", 80), ("api", 8080)):
        arn = client.create_target_group(
            Name=name, Protocol="HTTP", Port=port, VpcId=lab.ids["vpc"], TargetType="instance"
        )["TargetGroups"][0]["TargetGroupArn"]
        client.register_targets(
            TargetGroupArn=arn, Targets=[{"Id": lab.ids["instance"], "Port": port}]
        )
        lab.ids.setdefault("target_groups", []).append(arn)
    client.create_target_group(
        Name="other", Protocol="HTTP", Port=1, VpcId=lab.ids["vpc"], TargetType="instance"
    )
