"""What the benchmark of an incident in the sandbox counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from benchmarks.incident import without_polls
from sandbox.executions import Execution

STATES = ["Claim", "Begin", "Open", "Collect", "Phase?"]
POLL = ["WaitForPhase", "Phase?", "Collect", "Phase?"]


class _States:
    """Answers with the history of an execution that entered ``states``."""

    def __init__(self, states: list[str]) -> None:
        self.states = states

    def get_paginator(self, _: str) -> _States:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        at = datetime.now(UTC)
        events = [
            {
                "type": f"{'Choice' if name.endswith('?') else 'Task'}StateEntered",
                "timestamp": at,
                "stateEnteredEventDetails": {"name": name},
            }
            for name in self.states
        ]
        return [{"events": events}]


class _Aws:
    def __init__(self, states: list[str]) -> None:
        self.states = states

    def client(self, *_: str) -> _States:
        return _States(self.states)


def _count(states: list[str]) -> int:
    return without_polls(Execution(cast(Any, _Aws(states)), "arn:execution"))


def test_polls_of_pending_snapshots_are_not_counted() -> None:
    assert _count([*STATES, "Close"]) == 6
    assert _count([*STATES, *POLL, "Close"]) == 6
    assert _count([*STATES, *POLL, *POLL, "Close"]) == 6
