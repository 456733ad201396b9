"""Stops the instance once its evidence is kept, where that is switched on and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Context, StepResult, Target
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
from guardduty_response.playbooks.ec2_instance import attribution, local_interfaces
from guardduty_response.playbooks.ec2_instance.group_rules import GroupRules
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.network_controls import Network
from guardduty_response.playbooks.ec2_instance.state import describe, look, looking
from guardduty_response.playbooks.ec2_instance.traffic import scaling

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

STOP = "stop_instance"
READ = (
    *attribution.READ,
    "ec2:DescribeInstanceTypes",
    "autoscaling:DescribeAutoScalingInstances",
)
ATTEMPTS = 40  # at 15 s: ten minutes for an instance to stop or to terminate


def end(
    instance: InstanceContext,
    name: str,
    status: str,
    detail: str,
    answers: tuple[AwsAnswer, ...] = (),
) -> StepResult:
    """Logs the action and ends the step."""
    instance.log_action(
        name,
        status,
        detail,
        answers,
    )
    return StepResult(detail=detail)


def stop(context: Context, target: Target) -> StepResult:
    """Stops the instance; called again until it is stopped. Raises nothing of AWS's."""
    instance = InstanceContext(context, target)
    if instance.options["finish"] != "stop":
        return end(
            instance,
            STOP,
            SKIPPED,
            "switched off (finish)",
        )
    instance.stored = instance.read_stored()
    statements = [allow((*looking(instance), *READ)), allow(("ec2:StopInstances",), target.arn)]
    session = OneSession(instance, statements, {})
    command = f"aws ec2 stop-instances --instance-ids {instance.id} --region {target.region}"
    try:
        if ended := _stop(instance, session, command):
            return ended
    except AWS_ERRORS as error:
        if not is_transient(error):
            status = SKIPPED if isinstance(error, TargetGone) else FAILED
            text = f"not stopped ({describe_error(error)}). By hand: {command}"
            return end(
                instance,
                STOP,
                status,
                text,
            )
    if context.attempt < ATTEMPTS:
        return StepResult(done=False, wait_seconds=15, detail="stopping")
    return end(instance, STOP, FAILED, f"it does not stop. By hand: {command} --force")


def _stop(instance: InstanceContext, session: Sessions, command: str) -> StepResult | None:
    """Asks for the stop unless it is under way; returns the end, if this is it."""
    ec2 = session.client("ec2")
    described = describe(instance, ec2)
    state = described["State"]["Name"]
    if state == "stopped":
        requested = instance.stored["evidence"].get("stop")
        return end(
            instance,
            STOP,
            DONE if requested else ALREADY,
            "stopped",
        )
    if state == "stopping":
        return None
    if reason := not_yet(instance, session) or loses(
        session,
        instance.id,
        described,
        "stop",
    ):
        context = instance.context
        context.record.event(
            context.incident_id, "task", f"stop {instance.id}: {reason}", instance.id
        )
        text = f"not stopped: {reason}. When that is settled: {command}"
        return end(
            instance,
            STOP,
            SKIPPED,
            text,
        )
    answer = ec2.stop_instances(InstanceIds=[instance.id])
    instance.record_evidence("stop", {"request_id": clients.request_id(answer)})
    return None


def not_yet(instance: InstanceContext, session: Sessions) -> str:
    """Returns why the instance must not be stopped or terminated yet, or ''. Raises TargetGone, and
    the error of DescribeInstances.
    """
    status = instance.stored.get("status")
    if status not in (Status.CONTAINED, Status.PARTIAL):
        return f"containment is {status}, and who can reach it can start it again"
    if reason := _not_closed(instance, session):
        return f"{reason}, and who can reach it can start it again"
    snapshot = instance.logged_action("snapshot")
    if instance.options["snapshot"] and snapshot.get("status") not in (DONE, ALREADY, SKIPPED):
        return f"the snapshot set is not complete ({snapshot.get('detail', 'none was made')})"
    return ""


def _not_closed(instance: InstanceContext, session: Sessions) -> str:
    """Returns which interface is open now, or which rule the quarantine group has, or ''. The
    verdict may be of long ago, and PARTIAL.
    """
    current = look(instance, session.client("ec2"))
    attribution.attribute(instance, session, current)
    if current.read_errors:
        errors = (f"{item} could not be read ({why})" for item, why in current.read_errors.items())
        return "; ".join(errors)
    controls = (Network(instance, session, current), GroupRules(instance, session, current))
    for control in controls:
        control.read_current()
    # What goes on by a local network interface, the stop ends.
    local = {each.id for each in current.interfaces if local_interfaces.is_local(each)}
    failed = [
        check
        for control in controls
        for check in control.checks()
        if not check.ok and check.name.partition(" ")[2] not in local
    ]
    return "; ".join(check.detail for check in failed)


def loses(session: Sessions, id: str, described: AwsAnswer, how: str) -> str:
    """Returns why ``how`` (stop, terminate) would destroy something, or ''."""
    kind, group = described["InstanceType"], scaling(session.client("autoscaling"), id)
    types = session.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
    storage = types[0].get("InstanceStorageSupported")
    if storage or described.get("RootDeviceType") == "instance-store":
        return f"{kind} has instance-store volumes, whose data a {how} destroys; copy it first"
    if group and group["state"] not in ("Standby", "Detaching", "Detached"):
        return f"Auto Scaling group {group['group']} would terminate it; detach it first"
    return ""
