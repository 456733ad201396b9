"""Says what terminating a contained instance may do."""

from __future__ import annotations

from guardduty_response.containment.declared import MemberRole, Permission
from guardduty_response.playbooks.ec2_instance.instance_control import INSTANCES, VOLUMES
from guardduty_response.playbooks.ec2_instance.permissions.tasks import TASKS

TERMINATOR = MemberRole(
    "terminator",
    (),
    (
        Permission(
            "makes sure that nothing is lost: volumes of its host, its owner's protection, a group"
            " that would replace it, snapshots that are not complete",
            (
                "autoscaling:DescribeAutoScalingInstances",
                "ec2:DescribeInstanceAttribute",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeInstances",
                "ec2:DescribeSnapshots",
            ),
        ),
        Permission(
            "makes sure that every interface is closed still, in a group without rules",
            (
                "ec2:DescribeManagedPrefixLists",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeTrunkInterfaceAssociations",
            ),
        ),
        *TASKS,
        Permission(
            "takes back the protection that containment set, and terminates what it has tagged",
            ("ec2:ModifyInstanceAttribute", "ec2:TerminateInstances"),
            INSTANCES,
            {"StringEquals": {"aws:ResourceTag/${name_prefix}": "quarantined"}},
            sid="OnlyWhatWasContained",
        ),
        Permission(
            "lets the volumes go with the instance, with terminate_keeps_volumes = false",
            ("ec2:ModifyInstanceAttribute",),
            VOLUMES,
            sid="VolumesAtTermination",
        ),
        Permission(
            "reads a block of each snapshot of the incident: what nobody can read is none",
            ("ebs:GetSnapshotBlock", "ebs:ListSnapshotBlocks"),
            "arn:${partition}:ec2:*::snapshot/*",
            {"Null": {"aws:ResourceTag/${name_prefix}-incident": "false"}},
            sid="AreTheSnapshotsReadable",
        ),
        Permission(
            "decrypts that block",
            ("kms:Decrypt",),
            "arn:${partition}:kms:*:*:key/*",
            {"StringLike": {"kms:ViaService": ["ebs.*", "ec2.*"]}},
            sid="KeysOfTheSnapshots",
        ),
    ),
)
