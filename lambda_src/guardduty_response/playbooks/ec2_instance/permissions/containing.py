"""Says what containing, monitoring and restoring an instance needs beside the controls' grants."""

from __future__ import annotations

from guardduty_response.cloudtrail import regions
from guardduty_response.containment import (
    chained_denial,
    denied_role_tag,
    managed_denial,
    managed_permissions,
)
from guardduty_response.containment.control import AnyControl
from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    MemberRole,
    Permission,
    changing_roles,
    never_its_own,
)
from guardduty_response.playbooks.ec2_instance import (
    action_order,
    consequences,
    local_interfaces,
)
from guardduty_response.playbooks.ec2_instance.instance_control import INSTANCES
from guardduty_response.playbooks.ec2_instance.permissions.tasks import TASKS

CONTROLS: tuple[type[AnyControl], ...] = (*action_order.CONTROLS, chained_denial.ChainedDenial)
_FINDS_ROLE = "finds the role that the instance had, and what denies sessions there"
WHY = {
    ("quarantine_network", "ec2:CreateSecurityGroup"): "makes the quarantine group of a VPC",
    ("quarantine_network", "ec2:CreateTags"): (
        "tags that group while it is made: the role may change the rules of no other"
    ),
    ("quarantine_network", "ec2:AuthorizeSecurityGroupEgress"): (
        "opens a group of its own, through which interfaces pass so that tracked connections end"
    ),
    ("replace_instance_profile", "iam:PassRole"): (
        "gives the instance the quarantine role when it is contained, and the role that it had when"
        " it is restored"
    ),
    ("replace_instance_profile", "iam:GetInstanceProfile"): _FINDS_ROLE,
    ("revoke_sessions", "iam:GetInstanceProfile"): _FINDS_ROLE,
    ("revoke_sessions", "iam:GetRole"): (
        "finds out whether a role that the instance had before, or that of an instance which no"
        " longer exists, was deleted"
    ),
    ("strip_group_rules", "ec2:DescribeManagedPrefixLists"): (
        "tells prefix lists of AWS from those that a customer manages, in a configured group"
    ),
    ("held_sessions", "iam:TagRole"): denied_role_tag.WHY,
    ("revoke_sessions", "iam:TagRole"): denied_role_tag.WHY,
    ("held_sessions", "iam:UntagRole"): denied_role_tag.WHY_NOT,
    ("revoke_sessions", "iam:UntagRole"): denied_role_tag.WHY_NOT,
    ("deregister_targets", "elasticloadbalancing:DescribeTargetGroups"): (
        "finds the target groups of the instance's VPCs, where none are recorded"
    ),
}

_ATTRIBUTION = (
    Permission(
        "finds branch interfaces of the instance that no tag attributes to it",
        ("ec2:DescribeTrunkInterfaceAssociations",),
    ),
    Permission(
        "finds local network interfaces of an instance on an Outposts server, which no security"
        " group closes",
        local_interfaces.READ,
    ),
    *TASKS,
)

RESPONDER = MemberRole(
    "responder",
    (READS, FINDS, CONTAINS),
    (
        Permission(
            "tells people before they approve what is lost: instance-store volumes, routes by the"
            " instance, its replacement",
            consequences.READ,
        ),
        *_ATTRIBUTION,
        Permission(
            "finds the sessions that the instance's credentials got of other roles, and who undid a"
            " containment, in every Region that is enabled",
            regions.LOOKS_UP,
        ),
        Permission(
            "stops the instance after the snapshots, with finish = stop",
            ("ec2:StopInstances",),
            INSTANCES,
            sid="Stop",
        ),
        *managed_permissions.DENIES,
        *managed_permissions.EXPIRES,
        never_its_own(
            (
                *changing_roles(CONTROLS, CONTAINS),
                managed_denial.ATTACHES,
                *managed_permissions.EXPIRY,
            )
        ),
    ),
)

MONITOR = MemberRole(
    "monitor",
    (READS, FINDS),
    (
        *managed_permissions.READS,
        *_ATTRIBUTION,
        Permission(
            "looks again for sessions that the instance's credentials got of other roles, where"
            " CloudTrail could not be queried to the end",
            regions.LOOKS_UP,
        ),
    ),
)

RESTORER = MemberRole(
    "restorer",
    (READS, RESTORES),
    (
        *managed_permissions.RESTORES,
        never_its_own((*changing_roles(CONTROLS, RESTORES), managed_denial.DETACHES)),
    ),
)
