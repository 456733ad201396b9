"""Lists the actions, says which run one after the other, and opens the sessions they use."""

from __future__ import annotations

from functools import partial

from guardduty_response.containment.target_context import BRANCHES, Sessions, allow, run_all
from guardduty_response.playbooks.ec2_instance.actions import (
    READ,
    Action,
    Deregister,
    Protect,
    ReleaseAddress,
    Scaling,
    Tag,
    scaling_actions,
    scaling_arn,
)
from guardduty_response.playbooks.ec2_instance.credentials import ReplaceProfile, RevokeSessions
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import LOOK, InstanceState

# Actions of one branch run one after the other: first the profile, so that no new sessions come,
# then the sessions.
TABLE: tuple[tuple[type[Action], ...], ...] = (
    (Protect,),
    (ReplaceProfile, RevokeSessions),
    (Scaling,),
    (Deregister,),
    (ReleaseAddress,),
    (Tag,),
)


def look(
    instance: InstanceContext, sessions: Sessions, current: InstanceState, exists: bool = True
) -> list[Action]:
    """Returns every action after it has read its setting. Branches read at the same time.

    ``exists``: False for an instance of a sample finding, of which nothing can be read.
    """
    branches = [[kind(instance, sessions, current) for kind in branch] for branch in TABLE]

    def read(branch: list[Action]) -> None:
        for action in branch:
            action.read_current()

    run_all({n: partial(read, branch) for n, branch in enumerate(branches) if exists}, BRANCHES)
    return [action for branch in branches for action in branch]


def reading(instance: InstanceContext, *more: str) -> Sessions:
    """Returns sessions that may read everything, and do ``more``, and change nothing."""
    return Sessions(instance, [allow((*LOOK, *READ, *more))], {})


def changing(instance: InstanceContext) -> Sessions:
    """Returns sessions that may change what the plan found, and nothing else."""
    instance_arn, role = instance.target.arn, instance.scope("role")
    grants: dict[str, tuple[str, ...]] = {
        instance_arn: (
            "ec2:ModifyInstanceAttribute",
            "ec2:CreateTags",
            "ec2:ReplaceIamInstanceProfileAssociation",
            "ec2:AssociateIamInstanceProfile",
            "ec2:DisassociateIamInstanceProfile",
        )
    }
    if group := instance.scope("auto_scaling_group"):
        grants[scaling_arn(instance, group)] = scaling_actions(instance)
    if role and instance.options["revoke_sessions"] != "none":
        grants[role] = RevokeSessions.ACTIONS
    if instance.options["deregister_targets"]:
        grants |= {
            target["arn"]: Deregister.ACTIONS for target in instance.scope("target_groups") or []
        }
    path = instance.context.config.responder["role_path"]
    profiles = instance.quarantine_profiles[: 1 + instance.endpoints]
    base = [
        allow(READ),
        allow(("iam:PassRole",), [instance.arn(f"role{path}{name}", "iam") for name in profiles]),
        # These calls may also be checked on the volume or interface they touch: the instance or
        # address above pins which.
        allow(("ec2:ModifyInstanceAttribute",), instance.arn("volume/*")),
    ]
    if instance.options["disassociate_elastic_ip"]:
        base.append(allow(ReleaseAddress.ACTIONS, instance.arn("network-interface/*")))
        grants |= {
            instance.arn(f"elastic-ip/{id}"): ReleaseAddress.ACTIONS
            for id in instance.scope("addresses") or []
        }
    return Sessions(instance, base, grants)
