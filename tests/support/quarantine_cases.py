"""What the service control policies of modules/quarantine-scp protect, and which changes of it an
administrator keeps, each with its reason. The test asks about every other one that AWS's service
authorization reference knows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

P, MEMBER = "guardduty-response", "222222222222"
IAM, EC2 = f"arn:aws:iam::{MEMBER}", f"arn:aws:ec2:us-east-1:{MEMBER}"
OWN_KEY = {"aws__TagKeys": [P]}
QUARANTINED = {f"aws__ResourceTag___{P}": "quarantined", **OWN_KEY}
SESSIONS_DENIED = {
    f"aws__ResourceTag___{P}-sessions": "denied",
    "aws__TagKeys": [f"{P}-sessions"],
}
QUARANTINE_GROUP = {f"aws__ResourceTag___{P}": "quarantine", **OWN_KEY}
FLUSH_GROUP = {f"aws__ResourceTag___{P}": "untrack", **OWN_KEY}
OF_AN_INCIDENT = {f"aws__ResourceTag___{P}-incident": "inc-0a", **OWN_KEY}
Allowed = dict[str, str]


class Protected(NamedTuple):
    """``policy``: an output of tests/support/scp_plan.py; ``kind``: service and resource type of
    the reference; ``allowed``: action -> why an administrator keeps it.
    """

    policy: str
    kind: tuple[str, str]
    arn: str
    context: dict[str, Any]
    allowed: Allowed


def _because(why: str, service: str, *names: str) -> Allowed:
    return {f"{service}:{name}": why for name in names}


_OF_OWN_ROLES = {
    **_because(
        "who may assume a role is said by its trust policy, which stays",
        "sts",
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "SetContext",
        "SetSourceIdentity",
        "TagSession",
    ),
    **_because(
        "a service that gets the role must be in its trust policy, which stays", "iam", "PassRole"
    ),
    **_because(
        "lets an enclave read a certificate as the role, and gives the role to nobody",
        "ec2",
        "AssociateEnclaveCertificateIamRole",
        "DisassociateEnclaveCertificateIamRole",
    ),
}
_OF_ROLES = {
    **_OF_OWN_ROLES,
    **_because("a name is taken while its role exists, which stays", "iam", "CreateRole"),
    **_because(
        "only for service-linked roles, which no containment changes",
        "iam",
        "CreateServiceLinkedRole",
        "DeleteServiceLinkedRole",
    ),
}
_OF_DENIED_ROLES = {
    **_OF_ROLES,
    **_because(
        "what the role may do is its owner's; the denial of the sessions wins over every policy",
        "iam",
        "AttachRolePolicy",
        "DeleteRolePermissionsBoundary",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
    ),
    **_because(
        "takes the inline policies away first, which is denied",
        "iam",
        "DeleteRole",
    ),
    **_because(
        "who gets new sessions is its owner's; the denied ones stay denied",
        "iam",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
        "UpdateRoleDescription",
    ),
}
_OF_USERS = _because(
    "takes a credential away",
    "iam",
    "DeleteAccessKey",
    "DeleteLoginProfile",
    "DeleteSSHPublicKey",
    "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate",
)
_SAME = "changes nothing that a quarantine rests on"
_COPIES = "copies what is there: nothing is lifted or lost"
_NEW = "makes another resource, which has no tag of ours: nobody else may give it one"
_OF_INSTANCES = {
    **_because(
        "stops what runs there",
        "ec2",
        "PauseVolumeIO",
        "RebootInstances",
        "StopInstances",
    ),
    **_because(
        _COPIES,
        "ec2",
        "CreateImage",
        "CreateInstanceExportTask",
        "CreateSnapshots",
    ),
    **_because(
        _NEW,
        "ec2",
        "CreateFleet",
        "ImportInstance",
        "RunInstances",
    ),
    **_because(
        _SAME,
        "ec2",
        "CreateDelegateMacVolumeOwnershipTask",
        "CreateMacSystemIntegrityProtectionModificationTask",
        "CreateNetworkInsightsPath",
        "DisableInstanceSqlHaStandbyDetections",
        "EnableInstanceSqlHaStandbyDetections",
        "ModifyPrivateDnsNameOptions",
        "MonitorInstances",
        "ReportInstanceStatus",
        "SendDiagnosticInterrupt",
        "UnmonitorInstances",
    ),
    **_because(
        "what the SSM agent reports of itself, and records about it; nothing runs by it",
        "ssm",
        "AddTagsToResource",
        "DeleteAssociation",
        "PutComplianceItems",
        "RemoveTagsFromResource",
        "UpdateAssociationStatus",
        "UpdateInstanceAssociationStatus",
        "UpdateInstanceInformation",
    ),
}
_OF_INTERFACES = {
    **_because(
        "copies traffic or tells of it; the groups still decide what passes",
        "ec2",
        "CreateFlowLogs",
        "CreateNetworkInsightsPath",
        "CreateTrafficMirrorSession",
        "CreateTrafficMirrorTarget",
    ),
    **_because(
        "leads traffic to the interface; the groups still decide what passes",
        "ec2",
        "CreateLocalGatewayRoute",
        "CreateVerifiedAccessEndpoint",
        "DeregisterTransitGatewayMulticastGroupMembers",
        "DeregisterTransitGatewayMulticastGroupSources",
        "ModifyLocalGatewayRoute",
        "ModifyPublicIpDnsNameOptions",
        "RegisterTransitGatewayMulticastGroupMembers",
        "RegisterTransitGatewayMulticastGroupSources",
    ),
    **_because(_NEW, "ec2", "CreateNetworkInterface"),
    **_because("takes a permission away", "ec2", "DeleteNetworkInterfacePermission"),
    **_because(
        "takes an interface that is not attached; a quarantined one is, and stays so",
        "ec2",
        "RequestSpotInstances",
        "RunInstances",
    ),
}
_OF_GROUPS = {
    **_because(
        "gives the group to another resource; its rules stay. An interface that leaves it is"
        " protected by the interface's or instance's tag",
        "ec2",
        "ApplySecurityGroupsToClientVpnTargetNetwork",
        "AttachClassicLinkVpc",
        "CreateClientVpnEndpoint",
        "CreateInstanceConnectEndpoint",
        "CreateNetworkInterface",
        "CreateVerifiedAccessEndpoint",
        "CreateVpcEndpoint",
        "ImportInstance",
        "ModifyClientVpnEndpoint",
        "ModifyInstanceAttribute",
        "ModifyInstanceConnectEndpoint",
        "ModifyNetworkInterfaceAttribute",
        "ModifyVpcEndpoint",
        "RequestSpotFleet",
        "RequestSpotInstances",
        "RunInstances",
    ),
    **_because(_NEW, "ec2", "CreateSecurityGroup"),
    **_because(
        "takes rules away", "ec2", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress"
    ),
    **_because(
        _SAME,
        "ec2",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
    ),
}
_OF_SNAPSHOTS = {
    **_because(
        "for snapshots that are being written; a complete one takes no block",
        "ebs",
        "CompleteSnapshot",
        "PutSnapshotBlock",
    ),
    **_because(_NEW, "ebs", "StartSnapshot"),
    **_because(
        _NEW,
        "ec2",
        "CreateSnapshot",
        "CreateSnapshots",
        "ImportSnapshot",
    ),
    **_because(
        "reads it: people examine copies and volumes of it",
        "ec2",
        "CopyImage",
        "CopySnapshot",
        "CreateImage",
        "CreateReplaceRootVolumeTask",
        "CreateVolume",
        "ImportImage",
        "RegisterImage",
        "RequestSpotFleet",
        "RequestSpotInstances",
        "RunInstances",
    ),
    **_because(
        "keeps it longer",
        "ec2",
        "LockSnapshot",
        "RestoreSnapshotFromRecycleBin",
    ),
    **_because(
        _SAME,
        "ec2",
        "DisableFastSnapshotRestores",
        "EnableFastSnapshotRestores",
        "RestoreSnapshotTier",
    ),
}


def _role(name: str) -> Protected:
    return Protected(
        "scp",
        ("iam", "role"),
        f"{IAM}:role/{name}",
        OWN_KEY,
        _OF_OWN_ROLES,
    )


def _ec2(kind: str, arn: str, context: dict[str, Any], allowed: Allowed) -> Protected:
    return Protected(
        "scp_ec2",
        ("ec2", kind),
        arn,
        context,
        allowed,
    )


KINDS = ("collector", "monitor", "remediator", "responder", "restorer", "terminator")
# What only those who deploy may change
OURS: dict[str, Protected] = {
    **{f"role {kind}": _role(f"{P}-{kind}-iam-principal") for kind in KINDS},
    "role of ec2_instance": _role(f"{P}-responder-ec2-instance"),
    "role of Identity Center": _role(f"{P}-identity-center-responder"),
    "monitor of Identity Center": _role(f"{P}-identity-center-monitor"),
    "role of an instance": _role(f"{P}-quarantine"),
    "role of that name in another path": _role(f"elsewhere/{P}-restorer-iam-principal"),
    "exempt role": _role("break-glass"),
    "role that deploys": _role("deploy"),
    "role of service-managed StackSets": _role("stacksets-exec-0123456789abcdef"),
    "role of self-managed StackSets": _role("AWSCloudFormationStackSetExecutionRole"),
    "instance profile": Protected(
        "scp", ("iam", "instance-profile"), f"{IAM}:instance-profile/{P}-quarantine", OWN_KEY, {}
    ),
    "exempt user": Protected("scp", ("iam", "user"), f"{IAM}:user/emergency", OWN_KEY, {}),
}
# What only the response may change, and who is exempt
CONTAINED: dict[str, Protected] = {
    "user": Protected("scp", ("iam", "user"), f"{IAM}:user/alice", QUARANTINED, _OF_USERS),
    "role": Protected("scp", ("iam", "role"), f"{IAM}:role/app", QUARANTINED, _OF_ROLES),
    "role on which sessions are denied": Protected(
        "scp", ("iam", "role"), f"{IAM}:role/app", SESSIONS_DENIED, _OF_DENIED_ROLES
    ),
    "policy that denies sessions": Protected(
        "scp",
        ("iam", "policy"),
        f"{IAM}:policy/{P}-sessions-0123456789ab",
        OWN_KEY,
        _because("a tag changes nothing that it denies", "iam", "TagPolicy", "UntagPolicy"),
    ),
    "instance": _ec2("instance", f"{EC2}:instance/i-0a", QUARANTINED, _OF_INSTANCES),
    "network interface": _ec2(
        "network-interface", f"{EC2}:network-interface/eni-0a", QUARANTINED, _OF_INTERFACES
    ),
    "quarantine group": _ec2(
        "security-group", f"{EC2}:security-group/sg-0a", QUARANTINE_GROUP, _OF_GROUPS
    ),
    "flush group": _ec2("security-group", f"{EC2}:security-group/sg-0b", FLUSH_GROUP, _OF_GROUPS),
    "snapshot": _ec2(
        "snapshot", "arn:aws:ec2:us-east-1::snapshot/snap-0a", OF_AN_INCIDENT, _OF_SNAPSHOTS
    ),
}
PROTECTED = {**OURS, **CONTAINED}
