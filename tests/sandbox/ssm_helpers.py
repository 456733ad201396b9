"""Documents of Systems Manager for the sandbox, and commands that run them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import settings
from sandbox.clients import Aws
from tests.support.patience import until

Json = dict[str, Any]
SCRIPT = settings.ROOT / "playbooks" / "ec2_instance" / "forensics" / "linux.sh"
PATTERN = (
    "^http://127\\.0\\.0\\.1:[0-9]{2,5}/[A-Za-z0-9._~%/-]+/plan\\.txt\\?[A-Za-z0-9%&=._~+/-]+$"
)


def content(script: str, limit: int = 60, pattern: str = PATTERN) -> str:
    """Return a document with one step for Linux, as modules/forensics makes it."""
    step = {
        "action": "aws:runShellScript",
        "name": "linux",
        "precondition": {"StringEquals": ["platformType", "Linux"]},
        "inputs": {"timeoutSeconds": str(limit), "runCommand": script.splitlines()},
    }
    parameters = {"PlanUrl": {"type": "String", "allowedPattern": pattern}}
    return json.dumps(
        {
            "schemaVersion": "2.2",
            "parameters": parameters,
            "mainSteps": [step],
        }
    )


URL = "http://127.0.0.1:4566/b/plan.txt?X-Amz-Signature=0"


def send(aws: Aws, instance: str, document: str, url: str = URL, **more: object) -> str:
    answer = aws.client("ssm").send_command(
        DocumentName=document, InstanceIds=[instance], Parameters={"PlanUrl": [url]}, **more
    )
    return str(answer["Command"]["CommandId"])


def shown(aws: Aws, command: str, instance: str) -> Json:
    return dict(aws.client("ssm").get_command_invocation(CommandId=command, InstanceId=instance))


def ended(aws: Aws, command: str, instance: str) -> Json:
    final = ("Success", "Failed", "TimedOut", "Cancelled")

    def over() -> Json | None:
        answer = shown(aws, command, instance)
        return answer if answer["Status"] in final else None

    return until(over, f"command {command} has ended")


def code(call: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])
