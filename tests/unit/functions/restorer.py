"""Provides a restorer of the fake playbook that answers what a test wants, and a request."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from guardduty_response.containment.contract import Check, Context, RestoreResult, Target
from guardduty_response.functions import restore
from guardduty_response.incident.statuses import Status

WHO = "ada@example.com"
WHOLE = RestoreResult(
    Status.RESTORED,
    ["network/eni-1"],
    [],
    ["eni-1 is back"],
    [],
    [Check("eni-1", True, "eni-1 is back")],
)
PART = RestoreResult(
    Status.RESTORE_PARTIAL,
    ["tags"],
    ["profile"],
    ["tag removed"],
    ["profile x: gone. By hand: aws ec2 y"],
    [Check("x", False, "gone")],
)


class Restorer(ModuleType):
    def __init__(self) -> None:
        super().__init__("guardduty_response.playbooks.fake.restore")
        self.answer: RestoreResult | Exception = WHOLE
        self.calls: list[tuple[Context, Target]] = []
        self.during: Callable[[], object] = lambda: None

    def restore(self, context: Context, target: Target) -> RestoreResult:
        self.calls.append((context, target))
        self.during()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def ask(incident_id: str, **event: Any) -> dict[str, Any]:
    return restore.handler({"incident_id": incident_id, "requested_by": WHO, **event}, None)
