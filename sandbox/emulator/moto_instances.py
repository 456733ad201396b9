"""Patches of moto: instance profiles (they live in MiniStack's IAM), snapshots, Auto Scaling,
load balancing.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from . import settings
from .moto_modules import (
    autoscaling,
    block_storage,
    ec2_utils,
    instance_responses,
    load_balancing,
    organizations,
    profiles,
)
from .moto_network import error
from .patching import Original, extend, patch, replace

_SNAPSHOT_SECONDS = float(os.environ.get("SANDBOX_SNAPSHOT_SECONDS", "0.5"))


@dataclass(frozen=True)
class Profile:
    """An instance profile of MiniStack's IAM, with the attributes moto serializes."""

    arn: str
    id: str
    name: str


def find_profile(
    account_id: str,
    partition: str,
    iam_instance_profile_arn: str | None,
    iam_instance_profile_name: str | None,
) -> Profile:
    """Return the profile by ARN or name; EC2's refusal when IAM has none."""
    arn = iam_instance_profile_arn or ""
    name = iam_instance_profile_name or arn.rsplit("/", 1)[-1]
    query = urllib.parse.urlencode({"account": account_id, "name": name})
    try:
        with urllib.request.urlopen(
            f"{settings.GATEWAY_URL}/_sandbox/profiles?{query}", timeout=30
        ) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError:
        found = {}
    if not found or (arn and found["arn"] != arn):
        field, value = ("arn", arn) if arn else ("name", name)
        message = f"Value ({value}) for parameter iamInstanceProfile.{field} is invalid."
        raise error("InvalidParameterValue", f"{message} Invalid IAM Instance Profile {field}")
    return Profile(found["arn"], found["id"], found["name"])


for _module in (profiles, instance_responses):
    replace(
        _module,
        "filter_iam_instance_profiles",
        find_profile,
        restores="instance profiles are those of the account's IAM (moto has an IAM of its own)",
    )
replace(
    organizations,
    "make_random_org_id",
    lambda: settings.ORGANIZATION_ID,
    restores="the organization's id is the one aws:PrincipalOrgID carries",
)
extend(
    ec2_utils,
    "filter_dict_attribute_mapping",
    "iam-instance-profile.arn",
    "iam_instance_profile.Arn",
    restores="DescribeInstances can be asked for the instances of a profile",
)
_Backend = profiles.IamInstanceProfileAssociationBackend


def _show(instance: Any, profile: Profile | None) -> None:
    instance.iam_instance_profile = {"Arn": profile.arn, "Id": profile.id} if profile else None


@patch(
    _Backend,
    "associate_iam_instance_profile",
    restores="DescribeInstances shows the profile's own id; a terminated instance takes none",
)
def associate(
    original: Original, backend: Any, instance_id: str, *args: object, **kwargs: object
) -> object:
    instance = backend.get_instance(instance_id)
    if instance.state not in ("running", "stopped", "pending"):
        raise error(
            "IncorrectInstanceState",
            f"The instance '{instance_id}' is not in the 'running' or 'stopped' state.",
        )
    association = original(backend, instance_id, *args, **kwargs)
    _show(instance, association.iam_instance_profile)
    return association


@patch(
    _Backend,
    "replace_iam_instance_profile_association",
    restores=(
        "a replaced profile shows in DescribeInstances, under a new association; the instance"
        " must run"
    ),
)
def replace_association(
    original: Original, backend: Any, association_id: str, *args: object, **kwargs: object
) -> object:
    current = next(
        (
            item
            for item in backend.iam_instance_profile_associations.values()
            if item.association_id == association_id
        ),
        None,
    )
    if current is not None and current.instance.state != "running":
        raise error(
            "IncorrectInstanceState",
            f"The instance '{current.instance_id}' is not in the 'running' state.",
        )
    association = original(backend, association_id, *args, **kwargs)
    association.association_id = profiles.random_iam_instance_profile_association_id()
    _show(association.instance, association.iam_instance_profile)
    return association


def _age(snapshot: Any) -> float:
    return float((block_storage.utcnow() - snapshot.start_time).total_seconds())


_STATUS = property(
    lambda item: "completed" if _age(item) >= _SNAPSHOT_SECONDS else "pending",
    lambda item, value: None,
)
block_storage.Snapshot.status = block_storage.Snapshot.state = None
replace(
    block_storage.Snapshot,
    "status",
    _STATUS,
    restores="a snapshot is pending first (SANDBOX_SNAPSHOT_SECONDS, default 0.5)",
)
replace(
    block_storage.Snapshot,
    "state",
    _STATUS,
    restores="CreateSnapshots answers with each snapshot's State",
)
replace(
    block_storage.Snapshot,
    "progress",
    property(lambda item: f"{min(100, round(100 * _age(item) / max(_SNAPSHOT_SECONDS, 0.001)))}%"),
    restores="a pending snapshot is not at 100 %",
)


def _group(backend: Any, name: str) -> Any:
    if name not in backend.autoscaling_groups:
        raise autoscaling.AutoscalingClientError(
            "ValidationError",
            f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found",
        )
    return backend.autoscaling_groups[name]


def _leave(backend: Any, name: str, instance_ids: list[str], decrement: bool) -> Any:
    group = _group(backend, name)
    members = {state.instance.id for state in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in members:
            raise autoscaling.AutoscalingClientError(
                "ValidationError",
                f"The instance {instance_id} is not part of Auto Scaling group {name}.",
            )
    if decrement and group.desired_capacity - len(instance_ids) < group.min_size:
        raise autoscaling.AutoscalingClientError(
            "ValidationError",
            f"AutoScalingGroup {name} has min-size={group.min_size}, max-size={group.max_size}, and"
            f" desired-size={group.desired_capacity}. To leave {len(instance_ids)} instances,"
            " reduce the min-size.",
        )
    return group


def _deregister(backend: Any, group: Any, instance_ids: list[str]) -> None:
    for arn in group.target_group_arns or []:
        target_group = backend.elbv2_backend.target_groups.get(arn)
        if target_group:
            target_group.deregister([{"Id": name} for name in instance_ids])


@patch(
    autoscaling.AutoScalingBackend,
    "detach_instances",
    restores=(
        "detaching takes the instance out of the group's target groups, respects the minimum size"
        " and refuses strangers"
    ),
)
def detach_instances(
    original: Original,
    backend: object,
    group_name: str,
    instance_ids: list[str],
    should_decrement: bool,
) -> object:
    group = _leave(backend, group_name, instance_ids, should_decrement)
    activities = original(backend, group_name, instance_ids, should_decrement)
    _deregister(backend, group, instance_ids)
    return activities


@patch(
    autoscaling.AutoScalingBackend,
    "enter_standby_instances",
    restores=(
        "standby takes the instance out of the group's target groups, respects the minimum size and"
        " refuses strangers"
    ),
)
def enter_standby(
    original: Original,
    backend: object,
    group_name: str,
    instance_ids: list[str],
    should_decrement: bool,
) -> object:
    group = _leave(backend, group_name, instance_ids, should_decrement)
    activities = original(backend, group_name, instance_ids, should_decrement)
    _deregister(backend, group, instance_ids)
    return activities


@patch(
    autoscaling.AutoScalingBackend,
    "update_attached_target_groups",
    restores="a group registers an instance when it enters service, not again at every change",
)
def update_target_groups(original: Original, backend: Any, group_name: str) -> None:
    group = backend.autoscaling_groups[group_name]
    seen = group.__dict__.setdefault("_registered", set())
    in_service = {state.instance.id for state in group.active_instances()}
    for arn in group.target_group_arns or []:
        target_group = backend.elbv2_backend.target_groups.get(arn)
        if target_group is None:
            continue
        new = sorted(name for name in in_service if (arn, name) not in seen)
        if new:
            targets = [{"Id": name, "Port": target_group.port} for name in new]
            backend.elbv2_backend.register_targets(arn, targets)
    group._registered = {
        (arn, name) for arn in group.target_group_arns or [] for name in in_service
    }


@patch(
    autoscaling.FakeAutoScalingGroup,
    "replace_autoscaling_group_instances",
    restores="instances of a group get the launch template's instance profile",
)
def launch_instances(original: Original, group: Any, count: int, tags: dict[str, str]) -> None:
    before = {state.instance.id for state in group.instance_states}
    original(group, count, tags)
    template = getattr(group, "ec2_launch_template", None)
    wanted: Any = (
        template.get_version(group.launch_template_version).data.get("IamInstanceProfile")
        if template
        else None
    )
    if not wanted:
        return
    for state in group.instance_states:
        if state.instance.id not in before:
            group.autoscaling_backend.ec2_backend.associate_iam_instance_profile(
                state.instance.id, wanted.get("Name"), wanted.get("Arn")
            )


@patch(
    load_balancing.FakeTargetGroup,
    "deregister",
    restores="deregistering a target that is not registered succeeds",
)
def deregister(original: Original, target_group: Any, targets: list[dict[str, Any]]) -> None:
    # Not looked for before: leaving an Auto Scaling group may do the same meanwhile
    for target in targets:
        with suppress(load_balancing.InvalidTargetError):
            original(target_group, [target])
