"""Which actions there are, which run one after the other, and the sessions they may use."""

from __future__ import annotations

from functools import partial

from guardduty_response.containment.target_context import BRANCHES, Sessions, allow, gather
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
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import LOOK, Facts

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


def look(work: Work, sessions: Sessions, facts: Facts, exists: bool = True) -> list[Action]:
    """Every action with what it needs to know, read side by side."""
    branches = [[kind(work, sessions, facts) for kind in branch] for branch in TABLE]

    def read(branch: list[Action]) -> None:
        for action in branch:
            action.look()

    gather({n: partial(read, branch) for n, branch in enumerate(branches) if exists}, BRANCHES)
    return [action for branch in branches for action in branch]


def reading(work: Work) -> Sessions:
    """Reads everything, changes nothing."""
    return Sessions(work, [allow((*LOOK, *READ, "ec2:DescribeInstanceTypes"))], {})


def changing(work: Work) -> Sessions:
    """The sessions that may change what the plan found, and nothing else."""
    ours, role = work.target.arn, work.scope("role")
    grants: dict[str, tuple[str, ...]] = {
        ours: (
            "ec2:ModifyInstanceAttribute",
            "ec2:CreateTags",
            "ec2:ReplaceIamInstanceProfileAssociation",
            "ec2:AssociateIamInstanceProfile",
            "ec2:DisassociateIamInstanceProfile",
        )
    }
    if group := work.scope("auto_scaling_group"):
        grants[scaling_arn(work, group)] = scaling_actions(work)
    if role and work.options["revoke_sessions"] != "none":
        grants[role] = RevokeSessions.ACTIONS
    if work.options["deregister_targets"]:
        grants |= {one["arn"]: Deregister.ACTIONS for one in work.scope("target_groups") or []}
    path, profiles = (
        work.ctx.config.responder["role_path"],
        work.quarantine_profiles[: 1 + work.endpoints],
    )
    base = [
        allow(READ),
        allow(("iam:PassRole",), [work.arn(f"role{path}{name}", "iam") for name in profiles]),
        # These calls may also be checked on the volume or interface they touch: the instance or
        # address above pins which.
        allow(("ec2:ModifyInstanceAttribute",), work.arn("volume/*")),
    ]
    if work.options["disassociate_elastic_ip"]:
        base.append(allow(ReleaseAddress.ACTIONS, work.arn("network-interface/*")))
        grants |= {
            work.arn(f"elastic-ip/{id}"): ReleaseAddress.ACTIONS
            for id in work.scope("addresses") or []
        }
    return Sessions(work, base, grants)
