"""Live forensics through Systems Manager: a document of this deployment runs on the instance and
uploads what it finds.

Nothing of a finding reaches the instance: the document's only parameter is the address of an upload
plan made here. Before containment it runs under a hard deadline; after containment only where an
endpoint-only group and an SSM-only profile let it.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import asdict
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import AWS_ERRORS, Json, allow, name_of, why
from guardduty_response.decision import policy
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.statuses import IN_PROGRESS
from guardduty_response.playbooks.ec2_instance.evidence import uploads
from guardduty_response.playbooks.ec2_instance.evidence.uploads import Uploads
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import (
    LOOK,
    closed,
    describe,
    filters,
    look,
    to_endpoints,
)

NAME = "forensics"
GRACE = 45  # seconds after the deadline in which what is under way may still arrive
LISTED = 10  # seconds until ListCommands surely shows a command that an interrupted call sent
READY = 300  # seconds after containment in which the agent may come back with its new profile
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


def waits(part: Json) -> bool:
    """Whether containment still waits for this part (its Json in the ledger): no longer once the
    deadline has passed.
    """
    state = part.get("state") or {}
    return (
        part.get("outcome") == Outcome.RUNNING
        and state.get("when") == "before"
        and time.time() < state.get("deadline", 0)
    )


def run(instance: InstanceContext, before: Json) -> EvidenceItem:
    """One step of the collection. Its state: ids and times, never a URL."""
    settings: Json = {**instance.context.config.forensics}
    state = dict(before.get("state") or {})
    if settings["when"] == "off":
        return EvidenceItem(Outcome.SKIPPED, "switched off (forensics.when)")
    if not state.get("id"):
        state = _opened(instance, settings)
        if settings["when"] == "before" and not state["seconds"]:
            return EvidenceItem(
                Outcome.SKIPPED,
                "containment waits for no forensics of this finding type (a deadline of 0)",
            )
        if settings["when"] == "before" and instance.stored.get("status") not in IN_PROGRESS:
            return _impossible(
                instance,
                state,
                "it was not begun before containment, and a contained instance cannot be reached",
            )
    if state.get("command"):
        return _poll(instance, settings, state)
    try:
        return (
            _found_again(instance, settings, state)
            if state.get("asked")
            else _start(instance, settings, state)
        )
    except TargetGone as gone:
        return EvidenceItem(Outcome.NOT_POSSIBLE, f"no live forensics: {gone}", state=state)


def _opened(instance: InstanceContext, settings: Json) -> Json:
    now = int(time.time())
    before = settings["when"] == "before"
    first = policy.collect_first_seconds(instance.context.config, instance.context.finding.type)
    most = first if before else int(settings["timeout_minutes"]) * 60
    return {
        "id": secrets.token_hex(4),
        "when": settings["when"],
        "since": now,
        "deadline": now + most,
        "seconds": most,
    }


def _document(instance: InstanceContext) -> str:
    """The security account's document of the instance's Region: documents are Regional, and
    shared with the members.
    """
    settings, target = instance.context.config, instance.target
    return (
        f"arn:{settings.partition}:ssm:{target.region}:{settings.security_account}:"
        f"document/{instance.prefix}-forensics"
    )


def _running(state: Json, detail: str, wait: int) -> EvidenceItem:
    return EvidenceItem(Outcome.RUNNING, detail, wait, state=state)


def _hand(instance: InstanceContext) -> str:
    return f"aws ssm start-session --target {instance.id} --region {instance.target.region}"


def _impossible(instance: InstanceContext, state: Json, reason: str) -> EvidenceItem:
    return EvidenceItem(
        Outcome.NOT_POSSIBLE,
        f"no live forensics of {instance.id}: {reason}",
        state=state,
        task=f"live forensics of {instance.id} by hand, where it can be reached: {_hand(instance)}",
    )


# -- before it starts ------------------------------------------------------------------------------


def endpoint_only(group: Json) -> str:
    """Why the group lets out more than TLS to endpoints (or anything in), or ''."""
    if group.get("IpPermissions"):
        return f"security group {group['GroupId']} lets something in"
    rules = group.get("IpPermissionsEgress") or []
    if not all(to_endpoints("egress", rule) for rule in rules):
        return (
            f"security group {group['GroupId']} lets out more than tcp/443 to security groups and"
            " prefix lists"
        )
    return (
        ""
        if rules
        else (
            f"security group {group['GroupId']} lets nothing out, so the agent cannot reach Systems"
            " Manager"
        )
    )


def possible_after(instance: InstanceContext) -> str:
    """Why live forensics of the contained instance is not possible, or ''. Raises TargetGone and
    the errors of EC2.
    """
    return _missing(instance)[0]


def _missing(instance: InstanceContext) -> tuple[str, bool]:
    """(what live forensics after containment lacks, or ''; whether it may still come:
    containment takes a moment).
    """
    wanted = f"{instance.prefix}-quarantine-ssm"
    ec2 = instance.open(allow((*LOOK, "ec2:DescribeIamInstanceProfileAssociations"))).client("ec2")
    current = look(instance, ec2)
    if current.read_errors:
        return (
            "; ".join(
                f"{part} could not be read ({reason})"
                for part, reason in current.read_errors.items()
            ),
            True,
        )
    bare = [vpc for vpc in current.vpcs if vpc not in instance.brought]
    if bare:
        return (
            f"quarantine_security_group_ids names no endpoint-only group for {', '.join(bare)}",
            False,
        )
    if wide := next(filter(None, map(endpoint_only, current.groups.values())), ""):
        return wide, False
    left = [one.id for one in current.interfaces if not closed(instance, current, one)]
    if left:
        return f"{', '.join(left)} does not carry the endpoint-only group", True
    got = ec2.describe_iam_instance_profile_associations(
        Filters=filters(**{"instance-id": instance.id})
    )
    live = [
        one
        for one in got["IamInstanceProfileAssociations"]
        if one["State"] in ("associating", "associated")
    ]
    has = name_of(live[0]["IamInstanceProfile"]["Arn"]) if live else "none"
    return ("", True) if has == wanted else (f"its instance profile is {has}, not {wanted}", True)


def _agent(instance: InstanceContext, ssm: Any) -> tuple[str, str]:
    """(platform, '') of an instance whose agent answers, else ('', why not)."""
    try:
        got = ssm.describe_instance_information(
            Filters=[{"Key": "InstanceIds", "Values": [instance.id]}]
        )["InstanceInformationList"]
    except ClientError as error:
        if error_code(error) != "InvalidInstanceId":
            raise
        got = []
    if not got:
        return (
            "",
            "Systems Manager does not manage it (no agent, or no role that lets the agent in)",
        )
    if got[0].get("PingStatus") != "Online":
        return (
            "",
            (
                f"its Systems Manager agent is {got[0].get('PingStatus')}, last seen"
                f" {got[0].get('LastPingDateTime', 'never')}"
            ),
        )
    platform = str(got[0].get("PlatformType"))
    return (
        (platform, "")
        if platform in ("Linux", "Windows")
        else ("", f"there are no scripts for platform {platform}")
    )


def _start(instance: InstanceContext, settings: Json, state: Json) -> EvidenceItem:
    document, after = _document(instance), state["when"] == "after"
    # Containment may still be under way, and the agent needs a while to take up its new profile.
    patience = after and time.time() < state["since"] + READY
    if after:
        reason, may_come = _missing(instance)
        if reason:
            return (
                _running(state, reason, 15)
                if patience and may_come
                else _impossible(instance, state, reason)
            )
    looks = (
        "ssm:DescribeInstanceInformation",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
    )
    session = instance.open(
        allow(looks), allow(("ssm:SendCommand",), [instance.target.arn, document])
    )
    ssm = session.client("ssm")
    platform, reason = _agent(instance, ssm)
    if reason:
        return _running(state, reason, 15) if patience else _impossible(instance, state, reason)
    if state["when"] == "before" and time.time() >= state["deadline"]:
        return _impossible(instance, state, "the deadline passed before it could start")
    wanted = uploads.names(platform, settings)[1]
    memory = _memory(instance, session.client("ec2")) if wanted else 0
    folder = (
        f"{instance.id}/forensics/"
        f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(state['since']))}-{state['id']}"
    )
    made = uploads.begin(instance, folder, platform, settings, memory)
    # Recorded before the command is sent: a call that dies in between must not lead to a second
    # collection.
    state |= {"asked": int(time.time()), "platform": platform, "uploads": made.state()}
    instance.record_evidence(NAME, asdict(_running(state, "the command is being sent", 2)))
    return _send(instance, settings, state, ssm)


def _memory(instance: InstanceContext, ec2: Any) -> int:
    """MiB of memory of the instance's type."""
    kind = describe(instance, ec2)["InstanceType"]
    return int(
        ec2.describe_instance_types(InstanceTypes=[kind])["InstanceTypes"][0]["MemoryInfo"][
            "SizeInMiB"
        ]
    )


def _comment(instance: InstanceContext, state: Json) -> str:
    # AWS SSM SendCommand: 100 characters
    return f"{instance.context.incident_id} forensics {state['id']}"[:100]


def _send(instance: InstanceContext, settings: Json, state: Json, ssm: Any) -> EvidenceItem:
    left = max(0, state["deadline"] - int(time.time()))
    # Delivery takes seconds, and the machine's deadline is hard: the script has to be done a little
    # sooner.
    limit = max(5, left - 5 if state["when"] == "before" else left - 60)
    made = Uploads(**state["uploads"])
    url = uploads.plan(instance, made, settings, state["platform"], limit, left + GRACE + 60)
    try:
        got = ssm.send_command(
            DocumentName=_document(instance),
            InstanceIds=[instance.id],
            Parameters={"PlanUrl": [url]},
            TimeoutSeconds=max(30, left),
            Comment=_comment(instance, state),
        )
    except (ClientError, BotoCoreError) as error:
        if is_transient(error):
            raise
        uploads.harvest(instance, made)  # ends the multipart upload; nothing can have arrived
        known = NOT_THERE.get(error_code(error))
        if known:
            names = {
                "region": instance.target.region,
                "document": _document(instance),
                "account": instance.target.account_id,
            }
            return _impossible(instance, state, known.format(**names))
        return EvidenceItem(
            Outcome.FAILED,
            f"the forensics command was refused: {_clean(why(error))}",
            state=state,
            task=_hand(instance),
        )
    state["command"] = got["Command"]["CommandId"]
    state["request_id"] = clients.request_id(got)
    return _running(
        state, f"collecting: command {state['command']}", 2 if state["when"] == "before" else 15
    )


def _clean(text: str) -> str:
    """An error may quote the parameter it complains of, and the parameter is a secret."""
    return re.sub(r"https?://[^\s'\"]+", "(address)", text)


def _found_again(instance: InstanceContext, settings: Json, state: Json) -> EvidenceItem:
    """After a call that died: the command it may have sent, by its comment, or else one now."""
    session = instance.open(
        allow(("ssm:ListCommands",)),
        allow(("ssm:SendCommand",), [instance.target.arn, _document(instance)]),
    )
    ssm, comment = session.client("ssm"), _comment(instance, state)
    found = [
        one
        for one in ssm.list_commands(InstanceId=instance.id, MaxResults=50)["Commands"]
        if one.get("Comment") == comment
    ]
    if found:
        state["command"] = found[0]["CommandId"]
        return _running(state, f"collecting: command {state['command']}", 2)
    if time.time() < state["asked"] + LISTED:
        return _running(state, "looking for the command of an interrupted call", 3)
    return _send(instance, settings, state, ssm)


# -- until it has ended ----------------------------------------------------------------------------


def _poll(instance: InstanceContext, settings: Json, state: Json) -> EvidenceItem:
    ssm = instance.open(allow(("ssm:GetCommandInvocation",))).client("ssm")
    command, before = state["command"], state["when"] == "before"
    try:
        status = str(
            ssm.get_command_invocation(CommandId=command, InstanceId=instance.id)["Status"]
        )
    except ClientError as error:
        if error_code(error) != "InvocationDoesNotExist":  # just after it was sent
            raise
        status = "Pending"
    now = time.time()
    if status in ENDED:
        return _judged(instance, state, f"command {command} ended as {status}", status == "Success")
    if now < state["deadline"]:
        return _running(state, f"collecting: command {command} is {status}", 3 if before else 15)
    if before and now < state["deadline"] + GRACE:
        # It goes on: what it still uploads is counted, and containment does not wait for it.
        state["late"] = True
        text = (
            f"the deadline of {state['seconds']} s passed and containment goes ahead; command"
            f" {command} is {status}"
        )
        return _running(state, text, 15)
    return _judged(
        instance,
        state,
        f"command {command} was {status} after {state['seconds']} s and "
        f"{_cancelled(instance, state)}",
        False,
    )


def _cancelled(instance: InstanceContext, state: Json) -> str:
    try:
        ssm = instance.open(allow(("ssm:CancelCommand",))).client("ssm")
        ssm.cancel_command(CommandId=state["command"], InstanceIds=[instance.id])
        return "was cancelled"
    except AWS_ERRORS as error:
        return f"could not be cancelled ({why(error)})"


def _judged(instance: InstanceContext, state: Json, ending: str, success: bool) -> EvidenceItem:
    made = Uploads(**state["uploads"])
    got = uploads.harvest(instance, made)
    expected = len(made.names) + bool(made.memory)
    files = [one for one in got.objects if not one["key"].endswith("/" + uploads.INDEX)]
    whole = success and not got.problems
    outcome = (Outcome.COMPLETE if whole else Outcome.PARTIAL) if files else Outcome.FAILED
    late = (
        f" (containment did not wait longer than {state['seconds']} s)" if state.get("late") else ""
    )
    told = "; ".join(
        [
            f"{len(files)} of {expected} files in {made.folder}: {ending}{late}",
            *got.problems,
            *got.remarks,
        ]
    )
    task = (
        ""
        if outcome is Outcome.COMPLETE
        else f"live forensics of {instance.id} is {outcome}: where more is needed, "
        f"{_hand(instance)}"
    )
    return EvidenceItem(
        outcome,
        told,
        objects=got.objects,
        task=task,
        state=state,
        request_ids=[state.get("request_id", "")],
    )
