"""Who undid the containment of an instance: which calls can have, and what to ask CloudTrail for
them.
"""

from __future__ import annotations

from guardduty_response.cloudtrail import actors
from guardduty_response.containment.contract import Check
from guardduty_response.containment.target_context import Json, name_of
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

# What can undo each check, by the check's name up to its first space.
# playbooks/ec2_instance/undoing-calls.json, from which the event rule is made, lists the same calls
# (a test compares).
CALLS: dict[str, tuple[str, ...]] = {
    "interface": (
        "ModifyNetworkInterfaceAttribute",
        "ModifyInstanceAttribute",
        "AttachNetworkInterface",
    ),
    "group": (
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "ModifySecurityGroupRules",
    ),
    "replace_instance_profile": (
        "ReplaceIamInstanceProfileAssociation",
        "AssociateIamInstanceProfile",
        "DisassociateIamInstanceProfile",
    ),
    "revoke_sessions": ("DeleteRolePolicy", "PutRolePolicy"),
    "protect_instance": ("ModifyInstanceAttribute",),
    "detach_auto_scaling": ("AttachInstances",),
    "standby_auto_scaling": ("ExitStandby", "AttachInstances"),
    "deregister_targets": ("RegisterTargets",),
    "disassociate_elastic_ip": ("AssociateAddress",),
}


def who(
    instance: InstanceContext,
    undone: list[Check],
    since: str,
    seen: Json | None,
    watched: list[str],
) -> list[Json]:
    """As cloudtrail.actors.find_actors; ``watched`` as the record keeps it."""
    ids = {
        instance.id,
        *watched,
        *(check.name.split(" ")[1] for check in undone if " " in check.name),
    }
    return actors.find_actors(
        instance, CALLS, _questions(instance, undone), undone, since, seen, ids
    )


def _questions(instance: InstanceContext, undone: list[Check]) -> list[tuple[str, str, str]]:
    """(Region, attribute, value): by the resources' names first, then by the calls' names where
    AWS may record no resource.
    """
    home, iam = instance.target.region, actors.iam_region(instance)
    names: list[tuple[str, str, str]] = []
    for check in undone:
        kind, _, id = check.name.partition(" ")
        if kind in ("interface", "group"):
            names.append((home, "ResourceName", id))
        elif kind == "revoke_sessions":
            role = name_of(
                str((instance.read_stored()["before"].get("profile") or {}).get("role") or "")
            )
            names += [(iam, "ResourceName", role)] if role else []
        elif kind in CALLS:
            names.append((home, "ResourceName", instance.id))
    for check in undone:
        kind = check.name.split(" ")[0]
        names += [
            (iam if kind == "revoke_sessions" else home, "EventName", call)
            for call in CALLS.get(kind, ())
        ]
    return names
