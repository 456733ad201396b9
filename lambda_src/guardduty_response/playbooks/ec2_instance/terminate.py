"""Terminates a contained instance, by a function and a role of its own: last of all, and only
when nothing is lost by it.
"""

from __future__ import annotations

from typing import Any

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    allow,
    describe_error,
)
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance.finish import ATTEMPTS, end, loses, not_yet
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import describe

NAME = "terminate_instance"
READ = (
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeSnapshots",
    "autoscaling:DescribeAutoScalingInstances",
    "kms:Decrypt",
)
SNAPSHOT = ("ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock")


class _Left(Exception):
    """Why it is left to a person."""


def terminate(context: Context, target: Target) -> StepResult:
    """Undoes the protection that containment set, terminates, and reads back that it is
    terminated.
    """
    instance = InstanceContext(context, target)
    if instance.options["finish"] != "terminate":
        return end(instance, NAME, SKIPPED, "switched off (finish)")
    instance.stored = instance.read_stored()
    asked = instance.stored["evidence"].get("terminate") or {}
    hand = (
        f"By hand: aws ec2 terminate-instances --instance-ids {instance.id} --region "
        f"{target.region}"
    )
    snapshots = _snapshots(instance)
    session = instance.open_session(
        allow(READ),
        allow(
            SNAPSHOT,
            [
                f"arn:{context.config.partition}:ec2:{target.region}::snapshot/{id}"
                for id in snapshots
            ],
        ),
        allow(("ec2:TerminateInstances", "ec2:ModifyInstanceAttribute"), target.arn),
    )
    try:
        described = describe(instance, session.client("ec2"))
        if not asked:
            _check(instance, session, described, snapshots)
            asked = _ask(instance, session.client("ec2"))
    except TargetGone as gone:
        return _gone(instance, asked, str(gone))
    except _Left as reason:
        context.record.event(
            context.incident_id, "task", f"terminate {instance.id}: {reason}", instance.id
        )
        return end(
            instance, NAME, SKIPPED, f"not terminated: {reason}. When that is settled. {hand}"
        )
    except AWS_ERRORS as error:
        if not is_transient(error) or context.attempt >= ATTEMPTS:
            return end(instance, NAME, FAILED, f"not terminated ({describe_error(error)}). {hand}")
    if context.attempt < ATTEMPTS:
        return StepResult(done=False, wait_seconds=15, detail="terminating")
    return end(instance, NAME, FAILED, f"it does not terminate. {hand}")


def _snapshots(instance: InstanceContext) -> list[str]:
    state = (instance.stored["evidence"].get("snapshots") or {}).get("state") or {}
    return [str(id) for id in state.get("ids") or []]


def _check(
    instance: InstanceContext, session: clients.Session, described: Json, snapshots: list[str]
) -> None:
    """Raises _Left where a person must decide."""
    if reason := not_yet(instance) or loses(session, instance.id, described, "terminate"):
        raise _Left(reason)
    if not snapshots:
        raise _Left("there is no snapshot of it: what it holds would be lost")
    if instance.context.config.evidence.get("forensics_account"):
        # Nothing else will do: what is left otherwise are snapshots that the compromised account
        # can delete.
        copies = instance.stored["evidence"].get("copies") or {}
        if copies.get("outcome") != "COMPLETE":
            raise _Left(
                "the copies of its snapshots for the forensics account are"
                f" {copies.get('outcome', 'missing')} ({copies.get('detail') or 'never asked for'})"
            )
    _readable(session, snapshots)
    was = instance.before_state("protection") or {}
    if was.get("DisableApiTermination") is True:
        raise _Left("its owner had protected it against termination before the incident")


def _readable(session: clients.Session, ids: list[str]) -> None:
    """Complete, and a block of each can be read, decrypted: a snapshot nobody can read is none.
    Raises _Left.
    """
    found = session.client("ec2").describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "snapshot-id", "Values": ids}]
    )
    states = dict.fromkeys(ids, "missing") | {
        snapshot["SnapshotId"]: str(snapshot["State"]) for snapshot in found["Snapshots"]
    }
    if wrong := [f"{id} is {state}" for id, state in states.items() if state != "completed"]:
        raise _Left(f"its snapshots are not complete: {', '.join(wrong)}")
    ebs = session.client("ebs")
    for id in ids:
        try:
            blocks = ebs.list_snapshot_blocks(SnapshotId=id, MaxResults=100)["Blocks"]
            if blocks:  # an empty volume has none
                ebs.get_snapshot_block(
                    SnapshotId=id,
                    BlockIndex=blocks[0]["BlockIndex"],
                    BlockToken=blocks[0]["BlockToken"],
                )
        except AWS_ERRORS as error:
            if is_transient(error):
                raise
            raise _Left(f"snapshot {id} cannot be read ({describe_error(error)})") from error


def _ask(instance: InstanceContext, ec2: Any) -> Json:
    """Takes back the termination protection that containment set; volumes stay, unless that is
    switched off.
    """
    modify, was = ec2.modify_instance_attribute, instance.before_state("protection") or {}
    # Not a breach, should a check look while it is being terminated.
    instance.context.record.set_target(
        instance.context.incident_id,
        instance.target.kind,
        instance.id,
        weak=sorted({*(instance.stored.get("weak") or []), "protect_instance"}),
    )
    if was.get("DisableApiTermination") is False:
        modify(InstanceId=instance.id, DisableApiTermination={"Value": False})
    if not instance.options.get("terminate_keeps_volumes", True):
        back = [
            {"DeviceName": name, "Ebs": {"DeleteOnTermination": True}}
            for name, on in (was.get("DeleteOnTermination") or {}).items()
            if on
        ]
        if back:
            modify(InstanceId=instance.id, BlockDeviceMappings=back)
    asked = {"request_id": clients.request_id(ec2.terminate_instances(InstanceIds=[instance.id]))}
    instance.record_evidence("terminate", asked)
    return asked


def _gone(instance: InstanceContext, asked: Json, text: str) -> StepResult:
    """Read back as gone; by whom, the record says."""
    if not asked:
        return end(instance, NAME, ALREADY, text)
    kept = (
        "its volumes and snapshots are kept"
        if instance.options.get("terminate_keeps_volumes", True)
        else "its snapshots are kept"
    )
    text = f"{instance.id} is terminated by this response, read back; {kept}"
    instance.context.record.set_target(
        instance.context.incident_id,
        instance.target.kind,
        instance.id,
        status=Status.GONE,
        verdict=text,
    )
    return end(
        instance,
        NAME,
        DONE,
        text,
        ({"ResponseMetadata": {"RequestId": asked.get("request_id", "")}},),
    )
