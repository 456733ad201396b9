"""What people and AWS do with the instance profiles of a lab, and what is denied on their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, deny_document
from tests.unit.playbooks.ec2_instance.session_trail import policies

if TYPE_CHECKING:
    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

APP = f"arn:aws:iam::{MEMBER}:instance-profile/app"


def id_of_profile(lab: Lab, name: str = "app") -> str:
    """Returns the unique ID of a profile."""
    found = lab.see("iam").get_instance_profile(InstanceProfileName=name)
    return str(found["InstanceProfile"]["InstanceProfileId"])


def name_profile(lab: Lab) -> Lab:
    """The finding names the profile app."""
    profile = {"arn": APP, "id": id_of_profile(lab)}
    named = {"instanceId": lab.ids["instance"], "iamInstanceProfile": profile}
    lab.ids["detail"] = {"resource": {"instanceDetails": named}}
    return lab


def make_anew(lab: Lab) -> None:
    """Somebody deletes the profile app, makes another by that name with role other, and gives it to
    the instance.
    """
    disassociate(lab)
    take_role_out(lab)
    iam = lab.see("iam")
    iam.delete_instance_profile(InstanceProfileName="app")
    iam.create_role(RoleName="other", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="app")
    iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="other")
    lab.see("ec2").associate_iam_instance_profile(
        InstanceId=lab.ids["instance"], IamInstanceProfile={"Name": "app"}
    )


def disassociate(lab: Lab) -> None:
    ec2 = lab.see("ec2")
    [found] = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    ec2.disassociate_iam_instance_profile(AssociationId=found["AssociationId"])


def make_profile(lab: Lab, name: str) -> None:
    iam = lab.see("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def give(lab: Lab, name: str) -> None:
    """Somebody gives the instance another profile."""
    disassociate(lab)
    lab.see("ec2").associate_iam_instance_profile(
        InstanceId=lab.ids["instance"], IamInstanceProfile={"Name": name}
    )


def replace(lab: Lab) -> None:
    make_profile(lab, "other")
    give(lab, "other")


def quarantine(lab: Lab) -> None:
    give(lab, f"{PREFIX}-quarantine")


def take_role_out(lab: Lab) -> None:
    lab.see("iam").remove_role_from_instance_profile(InstanceProfileName="app", RoleName="app")


def terminate(lab: Lab) -> None:
    lab.fail("DescribeInstances", "InvalidInstanceID.NotFound")


def failed(lab: Lab) -> list[str]:
    return [name for name, check in lab.ids["checks"].items() if not check.ok]


def is_denied(lab: Lab, role: str = "app") -> bool:
    return policies(lab, role) == {f"{PREFIX}-sessions": deny_document(lab.ids["instance"])}
