"""The execution that a thread works on, and the limits every state has to keep."""

from __future__ import annotations

import contextvars
import json
from typing import TypedDict

from .ministack import stepfunctions

PAYLOAD_LIMIT = 262_144  # bytes of UTF-8: 256 KiB
_TOO_LARGE = (
    "The state/task returned a result with a size exceeding the maximum number of bytes service"
    " limit."
)


class Execution(TypedDict):
    """What the patches read of an execution as MiniStack keeps it."""

    stateMachineArn: str
    status: str
    input: str
    startDate: str


RUNNING_EXECUTION: contextvars.ContextVar[Execution | None] = contextvars.ContextVar(
    "execution", default=None
)


def running_execution() -> Execution | None:
    """Return the execution whose states this thread works on."""
    return RUNNING_EXECUTION.get()


class Ended(SystemExit):
    """The execution was stopped or timed out: passes every Catch, and ends the thread in
    silence.
    """


def ensure_running(execution: Execution | None) -> None:
    """Raise Ended when the execution was stopped or timed out."""
    if execution and execution.get("status", "RUNNING") != "RUNNING":
        raise Ended()


def ensure_size(value: object) -> None:
    """Raise States.DataLimitExceeded when a result is larger than AWS takes."""
    if len(json.dumps(value).encode()) > PAYLOAD_LIMIT:
        raise stepfunctions._ExecutionError("States.DataLimitExceeded", _TOO_LARGE)
