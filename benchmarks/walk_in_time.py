"""Walks the definition of the state machine ``incident`` with functions that take time.

The clock is the machine's: what it runs side by side begins at the same moment and counts as long
as the longest, although here it runs one after the other. On AWS each function has a processor of
its own; side by side on one machine they would wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.asl_walker import Json, Walk

Invoke = Callable[[str, Json], Any]


class WalkInTime(Walk):
    """One execution, whose ``now`` is the seconds since it began.

    ``invoke`` advances ``now`` by what a task takes; a wait advances it by itself. What Step
    Functions needs between two states is not counted.
    """

    def __init__(self, invoke: Invoke, execution: str) -> None:
        super().__init__("incident", invoke, execution=execution)
        self.now = 0.0

    def _result(self, kind: str, state: Json, value: Any, context: Json, bound: Json) -> Any:
        if kind == "Wait":
            self.now += self.waited[-1]
        if kind != "Parallel":
            return super()._result(kind, state, value, context, bound)
        began, ends, results = self.now, [], []
        for branch in state["Branches"]:
            self.now = began
            results += super()._result(kind, {**state, "Branches": [branch]}, value, context, bound)
            ends.append(self.now)
        self.now = max(ends)
        return results
