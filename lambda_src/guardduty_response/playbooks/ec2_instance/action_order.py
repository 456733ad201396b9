"""Lists the controls, says which run one after the other, and opens the sessions they use."""

from __future__ import annotations

from functools import partial

from guardduty_response.containment.control import actions_of
from guardduty_response.containment.target_context import BRANCHES, Sessions, allow, run_all
from guardduty_response.playbooks.ec2_instance import attribution
from guardduty_response.playbooks.ec2_instance.actions import (
    DisableMetadata,
    Protect,
    ReleaseAddress,
    Tag,
)
from guardduty_response.playbooks.ec2_instance.credentials import (
    DENIES,
    PROFILE_CALLS,
    ReplaceProfile,
    RevokeSessions,
)
from guardduty_response.playbooks.ec2_instance.group_rules import GroupRules
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import InstanceControl
from guardduty_response.playbooks.ec2_instance.network_controls import Network
from guardduty_response.playbooks.ec2_instance.state import LISTS, InstanceState, looking
from guardduty_response.playbooks.ec2_instance.traffic import (
    Deregister,
    Detach,
    Scaling,
    StandBy,
    scaling_arn,
)

NETWORK: tuple[type[InstanceControl], ...] = (Network, GroupRules)  # network.close runs them
# Every control; an instance has one of Detach and StandBy, by option.
CONTROLS: tuple[type[InstanceControl], ...] = (
    *NETWORK,
    Protect,
    DisableMetadata,
    ReplaceProfile,
    RevokeSessions,
    Detach,
    StandBy,
    Deregister,
    ReleaseAddress,
    Tag,
)
READ = tuple(
    action
    for action in actions_of(
        grant for control in CONTROLS for grant in (*control.reads, *control.finds)
    )
    if action not in LISTS  # a session has little room: only where a group needs it
)


def branches(instance: InstanceContext) -> tuple[tuple[type[InstanceControl], ...], ...]:
    """Returns what runs beside the network. The controls of one branch run one after the other:
    first the profile, so that no new sessions come, then the sessions.
    """
    return (
        (Protect,),
        (DisableMetadata,),
        (ReplaceProfile, RevokeSessions),
        (_scaling(instance),),
        (Deregister,),
        (ReleaseAddress,),
        (Tag,),
    )


def controls(instance: InstanceContext) -> list[type[InstanceControl]]:
    """Returns the controls of an instance with these options."""
    return [kind for branch in (NETWORK, *branches(instance)) for kind in branch]


def _scaling(instance: InstanceContext) -> type[Scaling]:
    return StandBy if instance.standby else Detach


def look(
    instance: InstanceContext, sessions: Sessions, current: InstanceState, exists: bool = True
) -> list[InstanceControl]:
    """Returns every control after it has read its setting. Branches read at the same time.

    ``exists``: False for an instance of a sample finding: the network alone is known then.
    """
    kinds = (NETWORK, *branches(instance))
    made = [[kind(instance, sessions, current) for kind in branch] for branch in kinds]

    def read(branch: list[InstanceControl]) -> None:
        for control in branch:
            control.read_current()

    if exists:
        attribution.attribute(instance, sessions, current)
    known = made if exists else made[:1]
    run_all({n: partial(read, branch) for n, branch in enumerate(known)}, BRANCHES)
    return [control for branch in made for control in branch]


def _reads(instance: InstanceContext) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*READ, *looking(instance))))


def reading(instance: InstanceContext, *more: str) -> Sessions:
    """Returns sessions that may read everything, and do ``more``, and change nothing."""
    return Sessions(instance, [allow((*_reads(instance), *attribution.READ, *more))], {})


def changing(instance: InstanceContext) -> Sessions:
    """Returns sessions that may change what the plan found, and nothing else."""
    role = instance.scope("role")
    modify = actions_of(Protect.contains)
    grants: dict[str, tuple[str, ...]] = {
        instance.target.arn: (*modify, *actions_of(Tag.contains), *PROFILE_CALLS)
    }
    if instance.options["disable_metadata"]:
        grants[instance.target.arn] += actions_of(DisableMetadata.contains)
    if group := instance.scope("auto_scaling_group"):
        grants[scaling_arn(instance, group)] = actions_of(_scaling(instance).contains)
    if role and instance.options["revoke_sessions"] != "none":
        grants[role] = DENIES
    if instance.options["deregister_targets"]:
        deregister = actions_of(Deregister.contains)
        grants |= {target["arn"]: deregister for target in instance.scope("target_groups") or []}
    path = instance.context.config.responder["role_path"]
    profiles = instance.quarantine_profiles[: 1 + instance.endpoints]
    base = [
        allow(_reads(instance)),
        allow(("iam:PassRole",), [instance.arn(f"role{path}{name}", "iam") for name in profiles]),
        # These calls may also be checked on the volume or interface they touch: the instance or
        # address above pins which.
        allow(modify, instance.arn("volume/*")),
        # The role's policy allows the response's own tags alone.
        allow(actions_of(Tag.contains), instance.arn("network-interface/*")),
    ]
    if instance.options["disassociate_elastic_ip"]:
        disassociate = actions_of(ReleaseAddress.contains)
        base.append(allow(disassociate, instance.arn("network-interface/*")))
        addresses = instance.scope("addresses") or []
        grants |= {instance.arn(f"elastic-ip/{id}"): disassociate for id in addresses}
    return Sessions(instance, base, grants)
