"""Beside and after containment: one snapshot set, and the stop where that is switched on and loses nothing."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response import aws
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks import Context, Step, Target
from guardduty_response.playbooks.ec2_instance.actions import scaling
from guardduty_response.playbooks.ec2_instance.core import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    Work,
    allow,
    fits,
    why,
)  # fmt: skip
from guardduty_response.playbooks.ec2_instance.state import Facts, describe, filters
from guardduty_response.statuses import Status

ATTEMPTS = 40  # at 15 s: ten minutes for the account's snapshot limit to clear, or for an instance to stop
POLL_ATTEMPTS = 360  # six hours at 60 s; what takes longer is left to a person
BUSY = {"ConcurrentSnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded", "PendingSnapshotLimitExceeded"}


def snapshot_session(work: Work, volumes: list[str]) -> Any:
    any_snapshot = f"arn:{work.ctx.config.partition}:ec2:{work.target.region}::snapshot/*"
    fixed = [
        allow(("ec2:DescribeInstances", "ec2:DescribeSnapshots")),
        allow(("ec2:CreateTags",), any_snapshot, **{"ec2:CreateAction": "CreateSnapshots"}),
        allow(("ec2:CreateSnapshots",), [work.target.arn, any_snapshot]),
    ]
    exact = allow(("ec2:CreateSnapshots",), [work.arn(f"volume/{id}") for id in volumes])
    # A set is one call, so the policy cannot be split; the call takes an instance only, which pins the volumes.
    return work.open(*fixed, exact if fits(*fixed, exact) else allow(("ec2:CreateSnapshots",), work.arn("volume/*")))


def snapshot(ctx: Context, target: Target) -> Step:
    """One tagged, crash-consistent set of all volumes, waiting for nothing; polled to its end."""
    work = Work(ctx, target)
    if not work.options["snapshot"]:
        return _end(work, "snapshot", SKIPPED, "switched off (snapshot)")
    work.kept = work.ledger()
    ec2 = snapshot_session(work, work.scope("volumes") or []).client("ec2")
    kept: Json = work.kept["evidence"].get("snapshots") or {}
    try:
        return _poll(work, ec2, kept["ids"]) if kept.get("ids") else _start(work, ec2, kept)
    except TargetGone as gone:
        return _end(work, "snapshot", FAILED, f"no snapshots: {gone}; volumes kept on termination can still be copied")
    except ClientError as error:
        if (aws.code(error) in BUSY or aws.transient(error)) and ctx.attempt < ATTEMPTS:
            return Step(done=False, wait_seconds=15, detail=f"snapshots wait: {why(error)}")
        hand = f"aws ec2 create-snapshots --instance-specification InstanceId={work.id} --region {target.region}"
        return _end(work, "snapshot", FAILED, f"no complete snapshot set ({why(error)}). By hand: {hand}")


def _end(work: Work, name: str, status: str, detail: str, answers: tuple[Json, ...] = ()) -> Step:
    work.did(name, status, detail, answers)
    return Step(detail=detail)


def _start(work: Work, ec2: Any, kept: Json) -> Step:
    tags = {f"{work.prefix}-incident": work.ctx.incident_id, f"{work.prefix}-instance": work.id}
    mine = filters(**{f"tag:{key}": text for key, text in tags.items()})
    got = ec2.describe_snapshots(OwnerIds=["self"], Filters=mine)
    if not got["Snapshots"]:  # else: made by a call that died before it could record them
        if time.time() - kept.get("asked", 0) < 30:
            # An earlier call asked and died: what it made may not be listed yet, and a second set would be noise.
            return Step(done=False, wait_seconds=10, detail="looking for snapshots of an interrupted call")
        facts = Facts(describe(work, ec2))
        volumes = [disk["VolumeId"] for disk in facts.disks.values()]
        if not volumes:
            return _end(work, "snapshot", SKIPPED, "it has no EBS volumes")
        if set(volumes) - set(work.scope("volumes") or []):
            ec2 = snapshot_session(work, volumes).client("ec2")
        work.keep("snapshots", {"asked": int(time.time())})
        pairs = [{"Key": key, "Value": text} for key, text in tags.items()]
        try:
            got = ec2.create_snapshots(
                InstanceSpecification={"InstanceId": work.id}, Description=f"{work.prefix} {work.ctx.incident_id} {work.id}",
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": pairs}],
            )  # fmt: skip
        except ClientError:
            work.keep("snapshots", {})  # refused: nothing was made, so the next call need not look for it
            raise
    ids = [one["SnapshotId"] for one in got["Snapshots"]]
    work.keep("snapshots", {"ids": ids, "request_id": aws.request_id(got)})
    return Step(done=False, wait_seconds=5, detail=f"snapshots under way: {', '.join(ids)}")


def _poll(work: Work, ec2: Any, ids: list[str]) -> Step:
    got = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "snapshot-id", "Values": ids}])["Snapshots"]
    states = dict.fromkeys(ids, "missing") | {one["SnapshotId"]: str(one.get("State")) for one in got}
    text = ", ".join(f"{id} {state}" for id, state in states.items())
    if set(states.values()) == {"completed"}:
        asked = {"ResponseMetadata": {"RequestId": work.kept["evidence"]["snapshots"].get("request_id", "")}}
        status = ALREADY if work.acted("snapshot").get("status") == DONE else DONE
        return _end(work, "snapshot", status, f"one snapshot set: {text}", (asked,))
    wait = "pending" in states.values() and work.ctx.attempt < POLL_ATTEMPTS
    if "error" not in states.values() and (wait or work.ctx.attempt < 5):  # new ones may not be listed at once
        # Each poll costs three state transitions: the first soon, the later ones a minute apart.
        return Step(done=False, wait_seconds=(5, 10, 15, 30)[work.ctx.attempt - 1] if work.ctx.attempt < 5 else 60, detail=text)
    return _end(work, "snapshot", FAILED, f"incomplete snapshot set: {text}. By hand: keep the volumes, snapshot them again")


def stop(ctx: Context, target: Target) -> Step:
    work = Work(ctx, target)
    if work.options["finish"] != "stop":
        return _end(work, "stop_instance", SKIPPED, "switched off (finish)")
    work.kept = work.ledger()
    reads = ("ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "autoscaling:DescribeAutoScalingInstances")
    session = work.open(allow(reads), allow(("ec2:StopInstances",), target.arn))
    ec2, hand = session.client("ec2"), f"aws ec2 stop-instances --instance-ids {work.id} --region {target.region}"
    try:
        instance = describe(work, ec2)
        now = instance["State"]["Name"]
        if now == "stopped":
            return _end(work, "stop_instance", DONE if work.kept["evidence"].get("stop") else ALREADY, "stopped")
        if now != "stopping":
            if reason := _not_yet(work) or _loses(session, work.id, instance):
                ctx.record.event(ctx.incident_id, "task", f"stop {work.id}: {reason}", work.id)
                return _end(work, "stop_instance", SKIPPED, f"not stopped: {reason}. When that is settled: {hand}")
            work.keep("stop", {"request_id": aws.request_id(ec2.stop_instances(InstanceIds=[work.id]))})
    except AWS_ERRORS as error:
        if not aws.transient(error):
            status = SKIPPED if isinstance(error, TargetGone) else FAILED
            return _end(work, "stop_instance", status, f"not stopped ({why(error)}). By hand: {hand}")
    if ctx.attempt < ATTEMPTS:
        return Step(done=False, wait_seconds=15, detail="stopping")
    return _end(work, "stop_instance", FAILED, f"it does not stop. By hand: {hand} --force")


def _not_yet(work: Work) -> str:
    if work.kept.get("status") not in (Status.CONTAINED, Status.PARTIAL):
        return f"containment is {work.kept.get('status')}, and who can reach it can start it again"
    made = work.acted("snapshot")
    if work.options["snapshot"] and made.get("status") not in (DONE, ALREADY, SKIPPED):
        return f"the snapshot set is not complete ({made.get('detail', 'none was made')})"
    return ""


def _loses(session: aws.Session, id: str, instance: Json) -> str:
    """Why stopping would destroy something, or empty."""
    kind, group = instance["InstanceType"], scaling(session.client("autoscaling"), id)
    types = session.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    if instance.get("RootDeviceType") == "instance-store" or types[0].get("InstanceStorageSupported"):
        return f"{kind} has instance-store volumes, whose data a stop destroys; copy it first"
    if group and group["state"] not in ("Standby", "Detaching", "Detached"):
        return f"Auto Scaling group {group['group']} would terminate it; detach it first"
    return ""
