"""Sends the watchdog the events that start rechecks, and reads which it started."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.unit.checks import SCHEDULE
from tests.unit.deployment import EXECUTIONS, MACHINES, Deployment
from tests.unit.function_calls import watch

Begin = Callable[..., str]
CHECK = f"{EXECUTIONS}incident:check"
ENI, GROUP = "eni-0123456789abcdef0", "sg-0123456789abcdef0"


def run_schedule() -> dict[str, Any]:
    """Lets the schedule come."""
    return watch(SCHEDULE)


def handed_out(deployment: Deployment) -> list[str]:
    """Returns the incidents whose containments the monitor functions were to check, since asked."""
    payloads = [payload["monitor"] for _, payload in deployment.invoked]
    deployment.invoked.clear()
    return [named["incident_id"] for batch in payloads for named in batch["containments"]]


def change_event(issuer: str = "admin", parameters: Any = None, **detail: Any) -> dict[str, Any]:
    """As EventBridge delivers it (AWS CloudTrail, "AWS API Call via CloudTrail")."""
    return {
        "source": "aws.ec2",
        "detail-type": "AWS API Call via CloudTrail",
        "account": "222222222222",
        "id": "b1",
        "detail": {
            "eventName": "ModifyNetworkInterfaceAttribute",
            "eventTime": "2026-11-24T08:00:00Z",
            "eventID": "ev-1",
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2",
            "recipientAccountId": "222222222222",
            "requestParameters": {"networkInterfaceId": ENI} if parameters is None else parameters,
            "userIdentity": {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::222222222222:assumed-role/{issuer}/bob",
                "sessionContext": {
                    "sessionIssuer": {
                        "userName": issuer.rsplit("/", 1)[-1],
                        "arn": f"arn:aws:iam::222222222222:role/{issuer}",
                    }
                },
            },
            **detail,
        },
    }


def started_checks(deployment: Deployment) -> dict[str, Any]:
    """Execution name -> its input."""
    found = deployment.sfn.list_executions(stateMachineArn=f"{MACHINES}incident")["executions"]
    arns = {entry["name"]: entry["executionArn"] for entry in found}
    return {
        name: json.loads(deployment.sfn.describe_execution(executionArn=arn)["input"])
        for name, arn in arns.items()
    }
