"""What a person does to an incident: undo its containment, or close it. Asked of the restore
function, as on AWS.
"""

from __future__ import annotations

import json

from . import settings
from .clients import Aws
from .incidents import Json
from .settings import SandboxError
from .state import State

ASKER = "the sandbox's command line"


def ask(known: State, incident: Json, *, close: bool = False) -> Json:
    """Invoke the function; its answer. SandboxError with its sentence when it refuses or fails."""
    functions: dict[str, str] = known.outputs["security"].get("restore_function_arns") or {}
    # Any of them closes; only the playbook's own restores.
    arn = functions.get(str(incident.get("playbook"))) or (
        next(iter(functions.values()), None) if close else None
    )
    if not arn:
        raise SandboxError(
            f"No function restores incidents of playbook '{incident.get('playbook')}'. Switch it on"
            " in the variable file: ec2_instance = { restore = true }, then"
            " run up again."
        )
    event = {"incident_id": incident["incident_id"], "requested_by": ASKER, "close": close}
    if close:
        event |= {"keep_contained": True, "reason": "closed in the sandbox"}
    response = (
        Aws(known.endpoint)
        .client("lambda", settings.SECURITY_ACCOUNT)
        .invoke(FunctionName=arn, Payload=json.dumps(event))
    )
    answer: Json = json.loads(response["Payload"].read())
    if response.get("FunctionError"):
        raise SandboxError(f"The restore function failed: {answer.get('errorMessage') or answer}")
    if answer["refused"]:
        raise SandboxError(f"Refused: {answer['refused']}")
    return answer
