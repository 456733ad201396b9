"""After everything is kept: the stop, where that is switched on and loses nothing; and what
stopping would lose, told before.
"""

from __future__ import annotations

from typing import Any

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, Step, Target
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    allow,
    why,
)
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance.actions import scaling
from guardduty_response.playbooks.ec2_instance.instance_context import Work
from guardduty_response.playbooks.ec2_instance.state import Facts, describe

ATTEMPTS = 40  # at 15 s: ten minutes for an instance to stop or to terminate


def end(work: Work, name: str, status: str, detail: str, answers: tuple[Json, ...] = ()) -> Step:
    work.did(name, status, detail, answers)
    return Step(detail=detail)


def stop(ctx: Context, target: Target) -> Step:
    work = Work(ctx, target)
    if work.options["finish"] != "stop":
        return end(work, "stop_instance", SKIPPED, "switched off (finish)")
    work.kept = work.ledger()
    reads = (
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
        "autoscaling:DescribeAutoScalingInstances",
    )
    session = work.open(allow(reads), allow(("ec2:StopInstances",), target.arn))
    ec2, hand = (
        session.client("ec2"),
        f"aws ec2 stop-instances --instance-ids {work.id} --region {target.region}",
    )
    try:
        instance = describe(work, ec2)
        now = instance["State"]["Name"]
        if now == "stopped":
            return end(
                work,
                "stop_instance",
                DONE if work.kept["evidence"].get("stop") else ALREADY,
                "stopped",
            )
        if now != "stopping":
            if reason := not_yet(work) or loses(session, work.id, instance, "stop"):
                ctx.record.event(ctx.incident_id, "task", f"stop {work.id}: {reason}", work.id)
                return end(
                    work,
                    "stop_instance",
                    SKIPPED,
                    f"not stopped: {reason}. When that is settled: {hand}",
                )
            work.keep(
                "stop",
                {"request_id": clients.request_id(ec2.stop_instances(InstanceIds=[work.id]))},
            )
    except AWS_ERRORS as error:
        if not is_transient(error):
            status = SKIPPED if isinstance(error, TargetGone) else FAILED
            return end(
                work, "stop_instance", status, f"not stopped ({why(error)}). By hand: {hand}"
            )
    if ctx.attempt < ATTEMPTS:
        return Step(done=False, wait_seconds=15, detail="stopping")
    return end(work, "stop_instance", FAILED, f"it does not stop. By hand: {hand} --force")


def not_yet(work: Work) -> str:
    if work.kept.get("status") not in (Status.CONTAINED, Status.PARTIAL):
        return f"containment is {work.kept.get('status')}, and who can reach it can start it again"
    made = work.acted("snapshot")
    if work.options["snapshot"] and made.get("status") not in (DONE, ALREADY, SKIPPED):
        return f"the snapshot set is not complete ({made.get('detail', 'none was made')})"
    return ""


def loses(session: clients.Session, id: str, instance: Json, how: str) -> str:
    """Why ``how`` (stop, terminate) would destroy something, or empty."""
    kind, group = instance["InstanceType"], scaling(session.client("autoscaling"), id)
    types = session.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    if instance.get("RootDeviceType") == "instance-store" or types[0].get(
        "InstanceStorageSupported"
    ):
        return f"{kind} has instance-store volumes, whose data a {how} destroys; copy it first"
    if group and group["state"] not in ("Standby", "Detaching", "Detached"):
        return f"Auto Scaling group {group['group']} would terminate it; detach it first"
    return ""


def consequences(facts: Facts, ec2: Any, finish: str) -> str:
    """What finishing would lose, said before anything is done; empty when nothing. A failure to
    read is said too.
    """
    said = []
    if facts.spot:
        said.append(
            "Spot instance: EC2 may reclaim it at any moment; its volumes are kept then, its memory"
            " is lost"
        )
        if finish == "stop":
            said.append(
                "EC2 refuses to stop the instance of a one-time Spot request: it then stays"
                " running, contained"
            )
    if facts.instance.get("RootDeviceType") == "instance-store":
        said.append(
            "its root is an instance-store volume: no snapshot can keep it, and it cannot be"
            " stopped"
        )
    elif finish != "none" and (kind := facts.instance.get("InstanceType")):
        try:
            [known] = ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
            if known.get("InstanceStorageSupported"):
                said.append(
                    f"{kind} has instance-store volumes, which no snapshot keeps: {finish} is left"
                    " to a person"
                )
        except (*AWS_ERRORS, ValueError) as error:
            said.append(
                f"whether {kind} has instance-store volumes could not be read ({why(error)})"
            )
    if finish == "terminate":
        said.append(
            "terminating cannot be undone; it is done only once the snapshots are complete and"
            " readable"
        )
    return "; ".join(said)
