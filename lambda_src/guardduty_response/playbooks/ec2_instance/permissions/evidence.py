"""Says what collecting evidence about an instance may read and make."""

from __future__ import annotations

from guardduty_response.containment.declared import MemberRole, Permission
from guardduty_response.evidence.config_history import ACTIONS as CONFIG_HISTORY
from guardduty_response.playbooks.ec2_instance.instance_control import INSTANCES, VOLUMES

_SNAPSHOTS = "arn:${partition}:ec2:*:*:snapshot/*"
_KEYS = "arn:${partition}:kms:*:*:key/*"
_OF_AN_INCIDENT = {"Null": {"aws:ResourceTag/${name_prefix}-incident": "false"}}
_THROUGH_EC2 = {"StringLike": {"kms:ViaService": "ec2.*"}}

_READING = (
    Permission(
        "describes the instance, finds its logs, and lists calls with its credentials",
        (
            "cloudtrail:DescribeTrails",
            "cloudtrail:LookupEvents",
            "ec2:DescribeFlowLogs",
            "ec2:DescribeIamInstanceProfileAssociations",
            "ec2:DescribeImages",
            "ec2:DescribeInstanceAttribute",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "ec2:DescribeManagedPrefixLists",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSnapshotAttribute",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
        ),
        sid="Look",
    ),
    Permission(
        "looks whether a healthy instance has taken its place",
        (
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeScalingActivities",
            "elasticloadbalancing:DescribeTargetHealth",
        ),
        sid="Replacement",
    ),
    Permission(
        "keeps what AWS Config recorded of the instance, its interfaces and security groups",
        CONFIG_HISTORY,
        sid="ConfigHistory",
    ),
    Permission(
        "keeps what its console shows",
        ("ec2:GetConsoleOutput", "ec2:GetConsoleScreenshot"),
        INSTANCES,
        sid="Console",
    ),
)

_SNAPSHOT = (
    Permission(
        "takes a set of snapshots of the instance's volumes",
        ("ec2:CreateSnapshots",),
        (INSTANCES, VOLUMES),
        sid="SnapshotsOf",
    ),
    Permission(
        "makes snapshots and copies of them that carry the incident's tag",
        ("ec2:CopySnapshot", "ec2:CreateSnapshots"),
        _SNAPSHOTS,
        {"Null": {"aws:RequestTag/${name_prefix}-incident": "false"}},
        sid="NewSnapshots",
    ),
    Permission(
        "tags snapshots while they are made",
        ("ec2:CreateTags",),
        _SNAPSHOTS,
        {"StringEquals": {"ec2:CreateAction": ["CopySnapshot", "CreateSnapshots"]}},
        sid="TagNewSnapshots",
    ),
    Permission(
        "copies snapshots of an incident, and no others",
        ("ec2:CopySnapshot",),
        _SNAPSHOTS,
        _OF_AN_INCIDENT,
        sid="CopiesOfOwnSnapshots",
    ),
    Permission(
        "shares a copy with the forensics account, and never with everybody",
        ("ec2:ModifySnapshotAttribute",),
        _SNAPSHOTS,
        {
            "Null": {
                "aws:ResourceTag/${name_prefix}-incident": "false",
                "ec2:Add/userId": "false",
                "ec2:Add/group": "true",
            }
        },
        sid="ShareOwnSnapshots",
    ),
    Permission(
        "reads and encrypts snapshots, through EC2 alone",
        (
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        _KEYS,
        _THROUGH_EC2,
        sid="KeysOfSnapshots",
    ),
    Permission(
        "lets EC2 use the key of an encrypted volume while it copies",
        ("kms:CreateGrant",),
        _KEYS,
        {"Bool": {"kms:GrantIsForAWSResource": "true"}, **_THROUGH_EC2},
        sid="GrantsOfSnapshots",
    ),
)

_LOGS = (
    Permission(
        "keeps flow logs of the instance's interfaces from CloudWatch Logs",
        ("logs:FilterLogEvents",),
        "arn:${partition}:logs:*:${account_id}:log-group:*",
        sid="LogGroups",
    ),
    Permission(
        "finds this account's logs in a bucket of logs, and no other objects",
        ("s3:ListBucket",),
        "arn:${partition}:s3:::*",
        {"StringLike": {"s3:prefix": ["*AWSLogs/", "*AWSLogs/*${account_id}/*"]}},
        sid="LogBuckets",
    ),
    Permission(
        "keeps this account's flow logs and CloudTrail records from S3",
        ("s3:GetObject",),
        (
            "arn:${partition}:s3:::*/AWSLogs/*${account_id}/*vpcflowlogs/*",
            "arn:${partition}:s3:::*/AWSLogs/*${account_id}/CloudTrail/*",
        ),
        sid="LogsOfThisAccount",
    ),
    Permission(
        "decrypts those logs, through S3 alone",
        ("kms:Decrypt",),
        _KEYS,
        {"StringLike": {"kms:ViaService": "s3.*"}},
        sid="KeysOfLogs",
    ),
)

_FORENSICS = (
    Permission(
        "looks whether the SSM agent answers, and what the forensics commands gave",
        ("ssm:DescribeInstanceInformation", "ssm:GetCommandInvocation", "ssm:ListCommands"),
        sid="ForensicsLook",
    ),
    Permission(
        "runs the forensics document of this deployment, and no other",
        ("ssm:SendCommand",),
        "arn:${partition}:ssm:*:${security_account_id}:document/${name_prefix}-forensics",
        sid="ForensicsDocument",
    ),
    Permission(
        "runs it on an instance",
        ("ssm:SendCommand",),
        INSTANCES,
        sid="ForensicsOnInstances",
    ),
    Permission(
        "ends a command that takes too long",
        ("ssm:CancelCommand",),
        sid="ForensicsEnd",
    ),
)

COLLECTOR = MemberRole("collector", (), (*_READING, *_SNAPSHOT, *_LOGS, *_FORENSICS))
