"""What a finding is about, on moto: a deployment, and instances in a member account beside which
the quarantine group exists already.
"""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .measure import FINDING, ROOT

if TYPE_CHECKING:
    from tests.unit.deployment import Deployment
    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

Json = dict[str, Any]
QUARANTINE = "guardduty-response-quarantine"


def prepare() -> None:
    """Let moto load a single image. It reads this when it is imported."""
    amis = ROOT / "tests" / "unit" / "playbooks" / "ec2_instance" / "amis.json"
    os.environ["MOTO_AMIS_PATH"] = str(amis)


@dataclass
class Victims:
    """Instances of one VPC, each with two interfaces, in an Auto Scaling group and behind two
    target groups. Call it inside ``mock_aws``.

    ``group``: the id of the quarantine group, which has no rules and belongs to the response.
    """

    deployment: Deployment
    lab: Lab
    group: str
    _built: bool = field(default=False)

    @classmethod
    def make(cls, deployment: Deployment) -> Victims:
        from guardduty_response.incident.repository import IncidentRepository

        from tests.unit.deployment import REGION, TABLE
        from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

        # As in every deployment that runs for some minutes: nothing of releases before 0.2 is left.
        IncidentRepository(TABLE, deployment.dynamodb).take_over_ended()
        lab = Lab(region=REGION).build(interfaces=2, ipv6=True, asg=True, targets=True)
        return cls(deployment, lab, quarantine_group(lab))

    def another(self) -> str:
        """Return an instance that is not contained: the first, then new ones beside it."""
        if self._built:
            _launch(self.lab)
        self._built = True
        return str(self.lab.ids["instance"])

    def finding(self, instance: str) -> Json:
        """Return the event of a finding about the instance, as EventBridge delivers it."""
        from sandbox.findings import moved_to_now

        event: Json = copy.deepcopy(moved_to_now(json.loads(FINDING.read_text())))
        detail, region = event["detail"], self.lab.region
        id = instance.removeprefix("i-").ljust(32, "0")
        event["region"] = detail["region"] = region
        detail["id"] = id
        detail["arn"] = (
            f"arn:aws:guardduty:{region}:{detail['accountId']}:detector/0123/finding/{id}"
        )
        described = detail["resource"]["instanceDetails"]
        described["instanceId"] = instance
        profile = self.lab.see("iam").get_instance_profile(InstanceProfileName="app")
        found = profile["InstanceProfile"]
        described["iamInstanceProfile"] = {"arn": found["Arn"], "id": found["InstanceProfileId"]}
        return event

    def assert_closed(self) -> None:
        """Read the interfaces of the last instance by another client. Raises RuntimeError."""
        groups = self.lab.groups()
        if sorted(groups.values()) != [[QUARANTINE], [QUARANTINE]]:
            raise RuntimeError(f"The instance is not isolated: {groups}")


def quarantine_group(lab: Lab) -> str:
    """Make the group as containment leaves it: tagged, and without rules."""
    ec2 = lab.see("ec2")
    tags = [{"Key": "guardduty-response", "Value": "quarantine"}]
    group = str(
        ec2.create_security_group(
            GroupName=QUARANTINE,
            Description="quarantine",
            VpcId=lab.ids["vpc"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )["GroupId"]
    )
    rules = lab.group()["IpPermissionsEgress"]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rules)
    return group


def _launch(lab: Lab) -> None:
    """Launch one more instance with everything that the first has."""
    from tests.unit.playbooks.ec2_instance.lab_resources import AMI

    interface = {"DeviceIndex": 0, "SubnetId": lab.ids["subnet"], "Groups": [lab.ids["group"]]}
    [made] = lab.see("ec2").run_instances(
        ImageId=AMI,
        MinCount=1,
        MaxCount=1,
        InstanceType=lab.instance_type,
        NetworkInterfaces=[interface],
        IamInstanceProfile={"Name": "app"},
    )["Instances"]
    lab.ids["instance"] = made["InstanceId"]
    lab.attach(1)
    scaling, balancing = lab.see("autoscaling"), lab.see("elbv2")
    scaling.attach_instances(AutoScalingGroupName="web", InstanceIds=[made["InstanceId"]])
    for arn in lab.ids["target_groups"]:
        balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": made["InstanceId"]}])
