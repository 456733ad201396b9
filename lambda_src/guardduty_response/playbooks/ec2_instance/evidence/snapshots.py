"""Makes a crash-consistent, tagged snapshot set of all EBS volumes, once for each containment, and
polls it to its end.
"""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING, TypedDict, cast

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import THROTTLING_CODES, error_code, is_transient
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    allow,
    describe_error,
)
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import InstanceState, describe, filters

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.incident.model import EvidenceEntry

NAME = "snapshots"
LINE = "snapshot"  # the action that it is planned and logged as
LIMIT_SECONDS = 600  # for the account's snapshot limits to clear
POLL_SECONDS = 6 * 3600  # what takes longer is left to a person
BUSY = frozenset(
    {
        "ConcurrentSnapshotLimitExceeded",
        "SnapshotCreationPerVolumeRateExceeded",
        "PendingSnapshotLimitExceeded",
        "SnapshotLimitExceeded",
        "ResourceLimitExceeded",
    }
)
_PACE = (5, 10, 15, 30)


class Snapshot(TypedDict, total=False):
    """One snapshot of the set, as last read. ``gib``: the size of its volume."""

    id: str
    volume: str
    state: str
    encrypted: bool
    kms_key_id: str
    gib: int


class SnapshotsState(TypedDict, total=False):
    """What the evidence item ``snapshots`` keeps between calls.

    ``containment``: the tag that tells this set from an earlier one. ``asked``: when the set was
    asked for, in seconds since 1970. ``type``: of the instance.
    """

    containment: str
    asked: int
    since: int
    ids: list[str]
    snapshots: list[Snapshot]
    polls: int
    type: str


def pace(polls: int) -> int:
    """Seconds until poll number ``polls`` (from 0): soon at first, a minute apart later, as each
    costs state transitions.
    """
    return _PACE[polls] if polls < len(_PACE) else 60


def unsure(error: Exception) -> bool:
    """Whether a call that failed so may have been carried out all the same: a fault of AWS's or
    of the connection.
    """
    return is_transient(error) and error_code(error) not in THROTTLING_CODES


def containment(instance: InstanceContext, state: SnapshotsState) -> str:
    """What tells this containment's snapshots from those of an earlier one under the same incident.

    The execution that asked first: its retries and the executions after it find its name in the
    record, which a restore empties before the instance is contained again.
    """
    return str(state.get("containment") or instance.context.execution.rsplit(":", 1)[-1])[:256]


def tags(instance: InstanceContext, containment: str) -> dict[str, str]:
    return {
        f"{instance.prefix}-incident": instance.context.incident_id,
        f"{instance.prefix}-instance": instance.id,
        f"{instance.prefix}-containment": containment,
    }


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Makes the set, or polls it to its end."""
    if not instance.options.get("snapshot", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (snapshot)")
    state = cast("SnapshotsState", deepcopy(before.get("state", {})))
    state.setdefault("since", int(time.time()))
    ec2 = session(instance, instance.scope("volumes") or []).client("ec2")
    try:
        return _poll(instance, ec2, state) if state.get("ids") else _start(instance, ec2, state)
    except TargetGone as gone:
        task = (
            f"snapshot the volumes that {instance.id} left behind: aws ec2 describe-volumes "
            "--region"
            f" {instance.target.region}"
        )
        return EvidenceItem(
            Outcome.FAILED,
            f"no snapshots: {gone}; volumes kept on termination can still be copied",
            task=task,
            state=state,
        )
    except (ClientError, BotoCoreError) as error:
        busy = error_code(error) in BUSY or is_transient(error)
        if busy and time.time() - state["since"] < LIMIT_SECONDS:
            return EvidenceItem(
                Outcome.RUNNING, f"snapshots wait: {describe_error(error)}", 15, state=state
            )
        return _failed(instance, state, f"no complete snapshot set ({describe_error(error)})")


def session(instance: InstanceContext, volumes: list[str]) -> clients.Session:
    any_snapshot = (
        f"arn:{instance.context.config.partition}:ec2:{instance.target.region}::snapshot/*"
    )
    fixed = [
        allow(("ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeSnapshots")),
        allow(("ec2:CreateTags",), any_snapshot, **{"ec2:CreateAction": "CreateSnapshots"}),
        allow(("ec2:CreateSnapshots",), [instance.target.arn, any_snapshot]),
    ]
    exact = allow(("ec2:CreateSnapshots",), [instance.arn(f"volume/{id}") for id in volumes])
    # A set is one call, so the policy cannot be split; the call takes an instance only, which pins
    # the volumes.
    any_volume = allow(("ec2:CreateSnapshots",), instance.arn("volume/*"))
    return instance.open_narrowest([*fixed, exact], [*fixed, any_volume])


def _failed(instance: InstanceContext, state: SnapshotsState, text: str) -> EvidenceItem:
    manual_command = (
        f"aws ec2 create-snapshots --instance-specification InstanceId={instance.id} --region"
        f" {instance.target.region}"
    )
    return EvidenceItem(
        Outcome.FAILED,
        f"{text}. By hand: {manual_command}",
        task=f"snapshot the volumes of {instance.id}: {manual_command}",
        state=state,
    )


def _start(instance: InstanceContext, ec2: AwsClient, state: SnapshotsState) -> EvidenceItem:
    state["containment"] = containment(instance, state)
    mine = tags(instance, state["containment"])
    got = ec2.describe_snapshots(
        OwnerIds=["self"], Filters=filters(**{f"tag:{key}": text for key, text in mine.items()})
    )
    requests: list[str] = []
    if not got["Snapshots"]:  # else: made by a call that died before it could record them
        if time.time() - state.get("asked", 0) < 30:
            # An earlier call asked and died: what it made may not be listed yet, and a second set
            # would be noise.
            return EvidenceItem(
                Outcome.RUNNING, "looking for snapshots of an interrupted call", 10, state=state
            )
        described = describe(instance, ec2)
        state["type"] = described["InstanceType"]
        volumes = [disk["VolumeId"] for disk in InstanceState(described).disks.values()]
        if not volumes:
            return _no_volumes(instance, described, state)
        if set(volumes) - set(instance.scope("volumes") or []):
            ec2 = session(instance, volumes).client("ec2")
        got = _create(instance, ec2, mine, state)
        requests = [clients.request_id(got)]
    state["ids"] = [snapshot["SnapshotId"] for snapshot in got["Snapshots"]]
    state["snapshots"] = [_read(snapshot) for snapshot in got["Snapshots"]]
    text = f"snapshots under way: {', '.join(state['ids'])}"
    return EvidenceItem(Outcome.RUNNING, text, pace(0), state=state, request_ids=requests)


def _no_volumes(
    instance: InstanceContext, described: AwsAnswer, state: SnapshotsState
) -> EvidenceItem:
    if described.get("RootDeviceType") != "instance-store":
        return EvidenceItem(Outcome.NOT_POSSIBLE, "it has no EBS volumes", state=state)
    text = (
        "it has no EBS volumes; its root is an instance-store volume, which no snapshot can hold"
        " and a stop destroys"
    )
    return EvidenceItem(
        Outcome.NOT_POSSIBLE,
        text,
        task=f"copy what is needed off {instance.id} before it is stopped: {text}",
        state=state,
    )


def _create(
    instance: InstanceContext, ec2: AwsClient, mine: dict[str, str], state: SnapshotsState
) -> AwsAnswer:
    # Before the call: if this one dies, the next has to look for its snapshots first.
    state["asked"] = int(time.time())
    instance.record_evidence(
        NAME, {"outcome": Outcome.RUNNING, "detail": "asking for snapshots", "state": state}
    )
    pairs = [{"Key": key, "Value": text} for key, text in mine.items()]
    try:
        got: AwsAnswer = ec2.create_snapshots(
            InstanceSpecification={"InstanceId": instance.id},
            Description=f"{instance.prefix} {instance.context.incident_id} {instance.id}",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": pairs}],
        )
    except ClientError as error:
        if not unsure(error):
            del state["asked"]  # refused: nothing was made, so the next call need not look for it
        raise
    return got


def _read(snapshot: AwsAnswer) -> Snapshot:
    return {
        "id": snapshot["SnapshotId"],
        "volume": snapshot.get("VolumeId", ""),
        "state": str(snapshot.get("State", "pending")),
        "encrypted": bool(snapshot.get("Encrypted")),
        "kms_key_id": snapshot.get("KmsKeyId") or "",
        "gib": snapshot.get("VolumeSize", 0),
    }


def _poll(instance: InstanceContext, ec2: AwsClient, state: SnapshotsState) -> EvidenceItem:
    ids, polls = state["ids"], state.get("polls", 0)
    got = ec2.describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "snapshot-id", "Values": ids}]
    )["Snapshots"]
    seen = {snapshot["SnapshotId"]: _read(snapshot) for snapshot in got}
    known = {snapshot["id"]: snapshot for snapshot in state.get("snapshots", [])}
    state["snapshots"] = [
        seen.get(id) or {**known.get(id, {"id": id}), "state": "missing"} for id in ids
    ]
    state["polls"] = polls + 1
    states = {snapshot["id"]: str(snapshot["state"]) for snapshot in state["snapshots"]}
    text = ", ".join(f"{id} {now}" for id, now in states.items())
    if set(states.values()) == {"completed"}:
        lost = _instance_storage(ec2, state)
        detail = f"one snapshot set: {text}; {_encryption(state['snapshots'])}{lost}"
        return EvidenceItem(
            Outcome.COMPLETE, detail, task=f"{instance.id}:{lost[1:]}" if lost else "", state=state
        )
    wait = "pending" in states.values() and time.time() - state["since"] < POLL_SECONDS
    if "error" not in states.values() and (wait or polls < 4):  # new ones may not be listed at once
        progress = ", ".join(
            f"{snapshot['SnapshotId']} {snapshot.get('Progress', '')}".strip() for snapshot in got
        )
        return EvidenceItem(
            Outcome.RUNNING,
            f"{text} ({progress})" if progress else text,
            pace(polls + 1),
            state=state,
        )
    return _failed(instance, state, f"incomplete snapshot set: {text}; the volumes are kept")


def _encryption(snapshots: list[Snapshot]) -> str:
    keys = sorted(
        {
            snapshot.get("kms_key_id")
            or ("a key AWS does not show" if snapshot.get("encrypted") else "")
            for snapshot in snapshots
        }
    )
    return "; ".join(f"encrypted with {key}" if key else "not encrypted" for key in keys)


def _instance_storage(ec2: AwsClient, state: SnapshotsState) -> str:
    """That the instance has volumes no snapshot can hold, or empty; said, never in the way."""
    try:
        types = (
            ec2.describe_instance_types(InstanceTypes=[state["type"]])["InstanceTypes"]
            if state.get("type")
            else []
        )
    except AWS_ERRORS:
        return ""
    if not any(instance_type.get("InstanceStorageSupported") for instance_type in types):
        return ""
    return (
        f"; instance-store volumes of {state['type']} are not in it: no snapshot can hold them, and"
        " a stop destroys them"
    )
