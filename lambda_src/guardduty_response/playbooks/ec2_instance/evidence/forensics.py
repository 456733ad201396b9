"""Collects live forensics through Systems Manager: a document of this deployment runs on the
instance and uploads what it finds.

Nothing of a finding reaches the instance: the document's only parameter is the address of an upload
plan made here. Before containment it runs under a hard deadline; after containment only where an
endpoint-only group and an SSM-only profile let it.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, TypedDict, cast

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    allow,
    describe_error,
)
from guardduty_response.decision import policy
from guardduty_response.decision.configuration import Forensics
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.statuses import IN_PROGRESS
from guardduty_response.playbooks.ec2_instance.evidence import forensics_conditions, uploads
from guardduty_response.playbooks.ec2_instance.evidence.uploads import Uploads
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import describe

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient
    from guardduty_response.incident.model import EvidenceEntry
    from guardduty_response.playbooks.ec2_instance.evidence.uploads import UploadsState

NAME = "forensics"
GRACE_SECONDS = 45  # after the deadline, in which what is under way may still arrive
LISTING_SECONDS = 10  # until ListCommands surely shows a command that an interrupted call sent
READY_SECONDS = 300  # after containment, in which the agent may come back with its new profile
ENDED = {"Success", "Failed", "TimedOut", "Cancelled"}
NOT_THERE = {
    "InvalidDocument": (
        "Region {region} has no document {document} shared with account {account}: apply"
        " modules/region in that Region, with the account in the list that the document is shared"
        " with"
    ),
    "InvalidInstanceId": "Systems Manager does not know it as a running, managed instance",
    "UnsupportedPlatformType": "the document does not run on its platform",
}


class ForensicsState(TypedDict, total=False):
    """What the evidence item ``forensics`` keeps between calls: ids and times, never a URL.

    ``id``: of this collection. ``when``: before or after containment. ``seconds``: allowed in all.
    ``since``, ``deadline``, ``asked``: in seconds since 1970; ``asked``: the command was being
    sent. ``late``: containment no longer waits. ``uploads``: as ``Uploads.state`` returns it.
    """

    id: str
    when: str
    since: int
    deadline: int
    seconds: int
    asked: int
    platform: str
    uploads: UploadsState
    command: str
    request_id: str
    late: bool


def waits(item: EvidenceEntry) -> bool:
    """Says whether containment still waits for this evidence item, as stored: no longer once the
    deadline has passed.
    """
    state = item.get("state") or {}
    return (
        item.get("outcome") == Outcome.RUNNING
        and state.get("when") == "before"
        and time.time() < state.get("deadline", 0)
    )


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Takes one step of the collection."""
    settings = instance.context.config.forensics
    state = cast("ForensicsState", dict(before.get("state", {})))
    if settings["when"] == "off":
        return EvidenceItem(Outcome.SKIPPED, "switched off (forensics.when)")
    if not state.get("id"):
        state = _begin(instance, settings)
        if ended := _not_begun(instance, state):
            return ended
    if state.get("command"):
        return _poll(instance, state)
    try:
        if state.get("asked"):
            return _find_sent_command(instance, settings, state)
        return _start(instance, settings, state)
    except TargetGone as gone:
        return EvidenceItem(Outcome.NOT_POSSIBLE, f"no live forensics: {gone}", state=state)


def _begin(instance: InstanceContext, settings: Forensics) -> ForensicsState:
    now = int(time.time())
    seconds = int(settings["timeout_minutes"]) * 60
    if settings["when"] == "before":
        finding_type = instance.context.finding.type
        seconds = policy.collect_first_seconds(instance.context.config, finding_type)
    return {
        "id": secrets.token_hex(4),
        "when": settings["when"],
        "since": now,
        "deadline": now + seconds,
        "seconds": seconds,
    }


def _not_begun(instance: InstanceContext, state: ForensicsState) -> EvidenceItem | None:
    """Returns the finished item where forensics before containment is not to begin."""
    if state["when"] != "before":
        return None
    if not state["seconds"]:
        return EvidenceItem(
            Outcome.SKIPPED,
            "containment waits for no forensics of this finding type (a deadline of 0)",
        )
    if instance.stored.get("status") not in IN_PROGRESS:
        reason = "it was not begun before containment, and a contained instance cannot be reached"
        return _impossible(instance, state, reason)
    return None


def _document(instance: InstanceContext) -> str:
    """Returns the ARN of the security account's document in the instance's Region: documents are
    Regional, and shared with the members.
    """
    settings, target = instance.context.config, instance.target
    return (
        f"arn:{settings.partition}:ssm:{target.region}:{settings.security_account}:"
        f"document/{instance.prefix}-forensics"
    )


def _running(state: ForensicsState, detail: str, wait: int) -> EvidenceItem:
    return EvidenceItem(Outcome.RUNNING, detail, wait, state=state)


def _manual_command(instance: InstanceContext) -> str:
    return f"aws ssm start-session --target {instance.id} --region {instance.target.region}"


def _impossible(instance: InstanceContext, state: ForensicsState, reason: str) -> EvidenceItem:
    return EvidenceItem(
        Outcome.NOT_POSSIBLE,
        f"no live forensics of {instance.id}: {reason}",
        state=state,
        task=(
            f"live forensics of {instance.id} by hand, where Systems Manager reaches it:"
            f" {_manual_command(instance)}; by EC2 Instance Connect, before it is contained:"
            f" aws ec2-instance-connect ssh --instance-id {instance.id} --region"
            f" {instance.target.region}; otherwise examine its snapshots"
        ),
    )


# -- before it starts ------------------------------------------------------------------------------


def _start(instance: InstanceContext, settings: Forensics, state: ForensicsState) -> EvidenceItem:
    after = state["when"] == "after"
    # Containment may still be under way, and the agent needs a while to take up its new profile.
    may_wait = after and time.time() < state["since"] + READY_SECONDS
    if after:
        reason, may_come = forensics_conditions.missing_after(instance)
        if reason and may_wait and may_come:
            return _running(state, reason, 15)
        if reason:
            return _impossible(instance, state, reason)
    reads = (
        "ssm:DescribeInstanceInformation",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
    )
    send = allow(("ssm:SendCommand",), [instance.target.arn, _document(instance)])
    session = instance.open_session(allow(reads), send)
    ssm = session.client("ssm")
    platform, reason = forensics_conditions.agent(instance, ssm)
    if reason:
        return _running(state, reason, 15) if may_wait else _impossible(instance, state, reason)
    if state["when"] == "before" and time.time() >= state["deadline"]:
        return _impossible(instance, state, "the deadline passed before it could start")
    memory_file = uploads.names(platform, settings)[1]
    memory_mib = _memory_mib(instance, session.client("ec2")) if memory_file else 0
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(state["since"]))
    folder = f"{instance.id}/forensics/{started}-{state['id']}"
    begun = uploads.begin(instance, folder, platform, settings, memory_mib)
    # Recorded before the command is sent: a call that dies in between must not lead to a second
    # collection.
    state.update({"asked": int(time.time()), "platform": platform, "uploads": begun.state()})
    instance.record_evidence(NAME, asdict(_running(state, "the command is being sent", 2)))
    return _send(instance, settings, state, ssm)


def _memory_mib(instance: InstanceContext, ec2: AwsClient) -> int:
    """Returns the MiB of memory of the instance's type."""
    instance_type = describe(instance, ec2)["InstanceType"]
    types = ec2.describe_instance_types(InstanceTypes=[instance_type])["InstanceTypes"]
    return int(types[0]["MemoryInfo"]["SizeInMiB"])


def _comment(instance: InstanceContext, state: ForensicsState) -> str:
    # AWS SSM SendCommand: 100 characters
    return f"{instance.context.incident_id} forensics {state['id']}"[:100]


def _send(
    instance: InstanceContext, settings: Forensics, state: ForensicsState, ssm: AwsClient
) -> EvidenceItem:
    before = state["when"] == "before"
    seconds_left = max(0, state["deadline"] - int(time.time()))
    # Delivery takes seconds, and the deadline is hard: the script has to be done a little sooner.
    limit = max(5, seconds_left - 5 if before else seconds_left - 60)
    begun = Uploads(**state["uploads"])
    lifetime = seconds_left + GRACE_SECONDS + 60
    url = uploads.plan(instance, begun, settings, state["platform"], limit, lifetime)
    try:
        answer = ssm.send_command(
            DocumentName=_document(instance),
            InstanceIds=[instance.id],
            Parameters={"PlanUrl": [url]},
            TimeoutSeconds=max(30, seconds_left),
            Comment=_comment(instance, state),
        )
    except (ClientError, BotoCoreError) as error:
        if is_transient(error):
            raise
        uploads.harvest(instance, begun)  # ends the multipart upload; nothing can have arrived
        return _refused(instance, state, error)
    state["command"] = answer["Command"]["CommandId"]
    state["request_id"] = clients.request_id(answer)
    return _running(state, f"collecting: command {state['command']}", 2 if before else 15)


def _refused(instance: InstanceContext, state: ForensicsState, error: Exception) -> EvidenceItem:
    reason = NOT_THERE.get(error_code(error))
    if reason:
        target = instance.target
        names = {
            "region": target.region,
            "document": _document(instance),
            "account": target.account_id,
        }
        return _impossible(instance, state, reason.format(**names))
    return EvidenceItem(
        Outcome.FAILED,
        f"the forensics command was refused: {_without_addresses(describe_error(error))}",
        state=state,
        task=_manual_command(instance),
    )


def _without_addresses(text: str) -> str:
    """Removes addresses: an error may quote the parameter it complains of, which is a secret."""
    return re.sub(r"https?://[^\s'\"]+", "(address)", text)


def _find_sent_command(
    instance: InstanceContext, settings: Forensics, state: ForensicsState
) -> EvidenceItem:
    """Finds the command that a call which died may have sent, by its comment; else sends it."""
    session = instance.open_session(
        allow(("ssm:ListCommands",)),
        allow(("ssm:SendCommand",), [instance.target.arn, _document(instance)]),
    )
    ssm, comment = session.client("ssm"), _comment(instance, state)
    for command in ssm.list_commands(InstanceId=instance.id, MaxResults=50)["Commands"]:
        if command.get("Comment") == comment:
            state["command"] = command["CommandId"]
            return _running(state, f"collecting: command {state['command']}", 2)
    if time.time() < state["asked"] + LISTING_SECONDS:
        return _running(state, "looking for the command of an interrupted call", 3)
    return _send(instance, settings, state, ssm)


# -- until it has ended ----------------------------------------------------------------------------


def _poll(instance: InstanceContext, state: ForensicsState) -> EvidenceItem:
    command, before = state["command"], state["when"] == "before"
    status = _status(instance, command)
    now = time.time()
    if status in ENDED:
        ending = f"command {command} ended as {status}"
        return _conclude(instance, state, ending, success=status == "Success")
    if now < state["deadline"]:
        return _running(state, f"collecting: command {command} is {status}", 3 if before else 15)
    if before and now < state["deadline"] + GRACE_SECONDS:
        # It goes on: what it still uploads is counted, and containment does not wait for it.
        state["late"] = True
        text = (
            f"the deadline of {state['seconds']} s passed and containment goes ahead; command"
            f" {command} is {status}"
        )
        return _running(state, text, 15)
    cancelled = _cancel(instance, command)
    ending = f"command {command} was {status} after {state['seconds']} s and {cancelled}"
    return _conclude(instance, state, ending, success=False)


def _status(instance: InstanceContext, command: str) -> str:
    ssm = instance.open_session(allow(("ssm:GetCommandInvocation",))).client("ssm")
    try:
        invocation = ssm.get_command_invocation(CommandId=command, InstanceId=instance.id)
    except ClientError as error:
        if error_code(error) != "InvocationDoesNotExist":  # just after it was sent
            raise
        return "Pending"
    return str(invocation["Status"])


def _cancel(instance: InstanceContext, command: str) -> str:
    try:
        ssm = instance.open_session(allow(("ssm:CancelCommand",))).client("ssm")
        ssm.cancel_command(CommandId=command, InstanceIds=[instance.id])
        return "was cancelled"
    except AWS_ERRORS as error:
        return f"could not be cancelled ({describe_error(error)})"


def _conclude(
    instance: InstanceContext, state: ForensicsState, ending: str, success: bool
) -> EvidenceItem:
    begun = Uploads(**state["uploads"])
    arrived = uploads.harvest(instance, begun)
    expected = len(begun.names) + bool(begun.memory)
    index = f"/{uploads.INDEX}"
    files = [stored for stored in arrived.objects if not stored["key"].endswith(index)]
    outcome = Outcome.FAILED
    if files:
        outcome = Outcome.COMPLETE if success and not arrived.problems else Outcome.PARTIAL
    text = f"{len(files)} of {expected} files in {begun.folder}: {ending}"
    if state.get("late"):
        text += f" (containment did not wait longer than {state['seconds']} s)"
    task = ""
    if outcome is not Outcome.COMPLETE:
        task = (
            f"live forensics of {instance.id} is {outcome}: where more is needed, "
            f"{_manual_command(instance)}"
        )
    return EvidenceItem(
        outcome,
        "; ".join([text, *arrived.problems, *arrived.remarks]),
        objects=arrived.objects,
        task=task,
        state=state,
        request_ids=[state.get("request_id", "")],
    )
