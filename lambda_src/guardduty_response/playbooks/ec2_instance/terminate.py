"""Terminates a contained instance, by a function and a role of its own: last of all, and only where
nothing is lost by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.answer import envelope_of
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.containment.control import OneSession
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Sessions,
    allow,
    describe_error,
)
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import attribution, former_roles
from guardduty_response.playbooks.ec2_instance.credentials import RevokeSessions
from guardduty_response.playbooks.ec2_instance.finish import ATTEMPTS, end, loses, not_yet
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import describe, looking

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient

NAME = "terminate_instance"
READ = (
    *attribution.READ,
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeSnapshots",
    "autoscaling:DescribeAutoScalingInstances",
    "kms:Decrypt",
)
SNAPSHOT = ("ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock")


class NeedsHumanDecision(Exception):
    """Says why terminating is left to a person."""


def terminate(context: Context, target: Target) -> StepResult:
    """Undoes the protection that containment set, terminates, and reads back that it is
    terminated.
    """
    instance = InstanceContext(context, target)
    if instance.options["finish"] != "terminate":
        return end(
            instance,
            NAME,
            SKIPPED,
            "switched off (finish)",
        )
    instance.stored = instance.read_stored()
    requested = cast("dict[str, str]", instance.stored["evidence"].get("terminate") or {})
    command = f"aws ec2 terminate-instances --instance-ids {instance.id} --region {target.region}"
    manual_command = f"By hand: {command}"
    snapshots = _snapshots(instance)
    session = _session(instance, snapshots)
    try:
        described = describe(instance, session.client("ec2"))
        if not requested:
            _require_nothing_lost(
                instance,
                session,
                described,
                snapshots,
            )
            requested = _request(instance, session.client("ec2"))
    except TargetGone as gone:
        return _terminated(instance, requested, str(gone))
    except NeedsHumanDecision as reason:
        context.record.event(
            context.incident_id, "task", f"terminate {instance.id}: {reason}", instance.id
        )
        return end(
            instance,
            NAME,
            SKIPPED,
            f"not terminated: {reason}. When that is settled. {manual_command}",
        )
    except AWS_ERRORS as error:
        if not is_transient(error) or context.attempt >= ATTEMPTS:
            return end(
                instance,
                NAME,
                FAILED,
                f"not terminated ({describe_error(error)}). {manual_command}",
            )
    if context.attempt < ATTEMPTS:
        return StepResult(done=False, wait_seconds=15, detail="terminating")
    return end(instance, NAME, FAILED, f"it does not terminate. {manual_command}")


def _session(instance: InstanceContext, snapshots: list[str]) -> Sessions:
    region = f"arn:{instance.context.config.partition}:ec2:{instance.target.region}"
    statements = [
        allow((*looking(instance), *READ)),
        allow(SNAPSHOT, [f"{region}::snapshot/{id}" for id in snapshots]),
        allow(("ec2:TerminateInstances", "ec2:ModifyInstanceAttribute"), instance.target.arn),
    ]
    return OneSession(instance, statements, {})


def _snapshots(instance: InstanceContext) -> list[str]:
    state = (instance.stored["evidence"].get("snapshots") or {}).get("state") or {}
    return [str(id) for id in state.get("ids") or []]


def _require_nothing_lost(
    instance: InstanceContext,
    session: Sessions,
    described: AwsAnswer,
    snapshots: list[str],
) -> None:
    """Raises NeedsHumanDecision where a person must decide."""
    if reason := not_yet(instance, session) or loses(
        session,
        instance.id,
        described,
        "terminate",
    ):
        raise NeedsHumanDecision(reason)
    if not snapshots:
        raise NeedsHumanDecision("there is no snapshot of it: what it holds would be lost")
    if instance.context.config.evidence.get("forensics_account"):
        # Nothing else will do: what is left otherwise are snapshots that the compromised account
        # can delete.
        copies = instance.stored["evidence"].get("copies") or {}
        if copies.get("outcome") != "COMPLETE":
            raise NeedsHumanDecision(
                "the copies of its snapshots for the forensics account are"
                f" {copies.get('outcome', 'missing')} ({copies.get('detail') or 'never asked for'})"
            )
    _require_readable(session, snapshots)
    before = instance.before_state("protection") or {}
    if before.get("DisableApiTermination") is True:
        raise NeedsHumanDecision(
            "its owner had protected it against termination before the incident"
        )


def _require_readable(session: Sessions, ids: list[str]) -> None:
    """Raises NeedsHumanDecision unless each snapshot is complete and a block of it can be read,
    decrypted: a snapshot that nobody can read is none.
    """
    found = session.client("ec2").describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "snapshot-id", "Values": ids}]
    )
    states = dict.fromkeys(ids, "missing") | {
        snapshot["SnapshotId"]: str(snapshot["State"]) for snapshot in found["Snapshots"]
    }
    incomplete = [f"{id} is {state}" for id, state in states.items() if state != "completed"]
    if incomplete:
        raise NeedsHumanDecision(f"its snapshots are not complete: {', '.join(incomplete)}")
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
            raise NeedsHumanDecision(
                f"snapshot {id} cannot be read ({describe_error(error)})"
            ) from error


def _request(instance: InstanceContext, ec2: AwsClient) -> dict[str, str]:
    """Takes back the termination protection that containment set, and terminates.

    Volumes stay, unless ``terminate_keeps_volumes`` is off. Returns what is recorded of it.
    """
    before = instance.before_state("protection") or {}
    # No loss of containment, should it be verified while it is being terminated.
    weak = {*(instance.stored.get("weak") or []), "protect_instance"}
    instance.context.record.set_target(
        instance.context.incident_id,
        instance.target.kind,
        instance.id,
        place=instance.target.place,
        weak=sorted(weak),
    )
    if before.get("DisableApiTermination") is False:
        ec2.modify_instance_attribute(
            InstanceId=instance.id, DisableApiTermination={"Value": False}
        )
    if not instance.options.get("terminate_keeps_volumes", True):
        deleted_before = before.get("DeleteOnTermination") or {}
        mappings = [
            {"DeviceName": name, "Ebs": {"DeleteOnTermination": True}}
            for name, deleted in deleted_before.items()
            if deleted
        ]
        if mappings:
            ec2.modify_instance_attribute(InstanceId=instance.id, BlockDeviceMappings=mappings)
    answer = ec2.terminate_instances(InstanceIds=[instance.id])
    requested = {"request_id": clients.request_id(answer)}
    instance.record_evidence("terminate", requested)
    return requested


def _terminated(instance: InstanceContext, requested: dict[str, str], text: str) -> StepResult:
    """Ends with an instance that is gone; the record says by whom."""
    if not requested:
        return end(
            instance,
            NAME,
            ALREADY,
            text,
        )
    kept = "its snapshots are kept"
    if instance.options.get("terminate_keeps_volumes", True):
        kept = "its volumes and snapshots are kept"
    text = f"{instance.id} is terminated by this response, read back; {kept}"
    alive = _sessions_not_denied(instance)
    result = StepResult(status=Status.GONE, detail=text)
    if alive:
        detail = f"{text}. Its credentials may have been taken: {alive[0].detail}"
        result = StepResult(status=Status.PARTIAL, detail=detail)
    instance.context.record.persist(
        instance.context.incident_id,
        instance.target.reference(),
        envelope_of(
            instance.context,
            instance.target,
            result,
            [Check("instance", True, text), *alive],
        ),
    )
    answer = {"ResponseMetadata": {"RequestId": requested.get("request_id", "")}}
    return end(instance, NAME, DONE, text, (answer,))


def _sessions_not_denied(instance: InstanceContext) -> list[Check]:
    """Returns what the last verification said where the sessions of the instance are not denied."""
    return [
        Check(
            found["name"],
            False,
            found["detail"],
            read=found.get("read", True),
        )
        for found in instance.stored.get("checks") or []
        if not found["ok"]
        and (found["name"] == RevokeSessions.name or former_roles.is_check(found["name"]))
    ]
