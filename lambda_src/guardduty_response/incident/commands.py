"""Writes the AWS CLI commands that messages and reports offer to people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from guardduty_response.incident.answers import SHORT
from guardduty_response.incident.statuses import TRANSITIONS, WATCHED, Event, Status
from guardduty_response.incident.table import incident_key

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord


def invoke_restore(
    prefix: str, playbook: str, request: Mapping[str, object], region: str = ""
) -> str:
    """Returns the command that invokes the restore function of a playbook with ``request``.

    ``region``: the Region of this deployment, which need not be the finding's; empty: the CLI's.
    """
    function = f"{prefix}-restore-{playbook.replace('_', '-')}"
    region_option = f" --region {region}" if region else ""
    return (
        f"aws lambda invoke --function-name {function} --cli-binary-format raw-in-base64-out"
        f" --payload '{json.dumps(request)}'{region_option} answer.json"
    )


def close_incident(prefix: str, playbook: str, incident_id: str, region: str) -> str:
    """Returns the command that closes an incident."""
    request = {
        "incident_id": incident_id,
        "requested_by": "YOU",
        "close": True,
        "keep_contained": True,
        "reason": "WHY IT STAYS CONTAINED",
    }
    return invoke_restore(
        prefix,
        playbook,
        request,
        region,
    )


def start_response(machine_arn: str, finding_key: str | None) -> str:
    """Returns the command that answers a stored finding with a new execution."""
    request = json.dumps({"finding_key": finding_key})
    return _start(machine_arn, request)


def _start(machine_arn: str, request: str) -> str:
    region = next(iter(machine_arn.split(":")[3:4]), "")
    return (
        f"aws stepfunctions start-execution --state-machine-arn {machine_arn}"
        f" --input '{request}' --region {region}"
    )


def approve(meta: IncidentRecord, table: str) -> list[str]:
    """Returns what approves the plan that people are asked about, and no other: a sentence, and two
    commands.
    """
    incident_id, plan = meta["incident_id"], (meta.get("plan_digest") or "")[:SHORT]
    region = _deployment_of(meta)[2]
    region_option = f" --region {region}" if region else ""
    key = json.dumps({"pk": {"S": incident_key(incident_id)}, "sk": {"S": "META"}})
    answer = json.dumps({"approved": True, "plan": plan, "by": "YOU"})
    return [
        f"This is plan {plan}. To approve it (or, with false instead of true, to reject):",
        f"token=$(aws dynamodb get-item --table-name {table} --consistent-read --key '{key}'"
        f" --query Item.task_token.S --output text{region_option})",
        f"aws stepfunctions send-task-success --task-token \"$token\" --task-output '{answer}'"
        f"{region_option}",
    ]


def recheck(machine_arn: str, incident_id: str) -> str:
    """Returns the command that verifies an incident's containment at once."""
    request = json.dumps({"watch": {"incident_id": incident_id, "why": "asked by a person"}})
    return _start(machine_arn, request)


def is_restorable(meta: IncidentRecord) -> bool:
    """Tells whether an incident may have something to restore. One that is GONE or FAILED has
    where its resource was planned for: what is denied outlives the resource, and what failed may
    have changed something.
    """
    status = Status(meta["status"])
    return Event.RESTORED in TRANSITIONS[status] and (
        status not in (Status.GONE, Status.FAILED) or bool(meta.get("targets"))
    )


def of_incident(meta: IncidentRecord, can_restore: bool) -> list[tuple[str, str]]:
    """Returns what a person can do with an incident now: a word and a command each.

    ``can_restore``: whether its playbook has a restore function, which closes incidents too.
    """
    machine_arn, prefix, region = _deployment_of(meta)
    status, playbook = Status(meta["status"]), str(meta.get("playbook") or "")
    found: list[tuple[str, str]] = []
    if not playbook or not machine_arn:
        return found
    if can_restore and is_restorable(meta):
        request = {"incident_id": meta["incident_id"], "requested_by": "YOU"}
        found.append(
            (
                "Restore",
                invoke_restore(
                    prefix,
                    playbook,
                    request,
                    region,
                ),
            )
        )
    if can_restore and (is_restorable(meta) or status is Status.FAILED):
        close = close_incident(
            prefix,
            playbook,
            meta["incident_id"],
            region,
        )
        found.append(("Close, leaving its changes" if is_restorable(meta) else "Close", close))
    if status in WATCHED:
        found.append(("Recheck", recheck(machine_arn, meta["incident_id"])))
    return found


def _deployment_of(meta: IncidentRecord) -> tuple[str, str, str]:
    """Returns the incident machine's ARN, the name prefix and the Region, by the execution.

    All are empty where the record names no execution of it.
    """
    parts = str(meta.get("execution")).split(":")
    if len(parts) < 8:
        return "", "", ""
    _, partition, _, region, account, _, machine, *_ = parts
    machine_arn = f"arn:{partition}:states:{region}:{account}:stateMachine:{machine}"
    return machine_arn, machine.removesuffix("-incident"), region


def after_containment_loss(meta: IncidentRecord) -> list[str]:
    """Returns what a person can do about a lost containment: a sentence and a command each."""
    machine_arn, prefix, region = _deployment_of(meta)
    contain = start_response(machine_arn, meta.get("finding_key"))
    close = close_incident(
        prefix,
        str(meta.get("playbook")),
        meta["incident_id"],
        region,
    )
    return [
        f"Contain it again (this asks for approval where the mode says so): {contain}",
        f"Or accept it, which ends monitoring: {close}",
    ]
