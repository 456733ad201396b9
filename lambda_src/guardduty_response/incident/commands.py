"""Writes the AWS CLI commands that messages and reports offer to people."""

from __future__ import annotations

import json
from collections.abc import Mapping

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
    return invoke_restore(prefix, playbook, request, region)


def start_response(machine_arn: str, finding_key: str | None) -> str:
    """Returns the command that answers a stored finding with a new execution."""
    request = json.dumps({"finding_key": finding_key})
    region = machine_arn.split(":")[3]
    return (
        f"aws stepfunctions start-execution --state-machine-arn {machine_arn}"
        f" --input '{request}' --region {region}"
    )


def after_containment_loss(meta: IncidentRecord) -> list[str]:
    """Returns what a person can do about a lost containment: a sentence and a command each."""
    execution = str(meta.get("execution")).split(":")
    execution += [""] * (8 - len(execution))
    _, partition, _, region, account, _, machine, *_ = execution
    machine_arn = f"arn:{partition}:states:{region}:{account}:stateMachine:{machine}"
    prefix = machine.removesuffix("-incident")
    contain = start_response(machine_arn, meta.get("finding_key"))
    close = close_incident(prefix, str(meta.get("playbook")), meta["incident_id"], region)
    return [
        f"Contain it again (this asks for approval where the mode says so): {contain}",
        f"Or accept it, which ends monitoring: {close}",
    ]
