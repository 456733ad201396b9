"""Executions of the module's state machines: found by the event they answer, followed state by
state.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from . import settings
from .clients import Aws
from .incidents import Json

# States that only steer say nothing to a reader.
_QUIET_KINDS = {"Choice", "Succeed", "Pass"}


class Execution:
    """One execution; ``news`` tells every state once."""

    def __init__(self, aws: Aws, arn: str) -> None:
        self._states = aws.client("stepfunctions", settings.SECURITY_ACCOUNT)
        self.arn = arn
        self._shown = 0
        self._waits = False

    @property
    def machine(self) -> str:
        """Return the state machine's name."""
        return self.arn.split(":")[6]

    def describe(self) -> Json:
        """DescribeExecution."""
        shown: Json = self._states.describe_execution(executionArn=self.arn)
        return shown

    def status(self) -> str:
        """RUNNING, or how it ended."""
        return str(self.describe()["status"])

    def events(self) -> list[Json]:
        """Return the whole history."""
        pages = self._states.get_paginator("get_execution_history").paginate(
            executionArn=self.arn, maxResults=1000
        )
        return [event for page in pages for event in page["events"]]

    def news(self) -> list[tuple[str, datetime]]:
        """Return the names of the states entered since the last call, with their times."""
        events = self.events()
        fresh, self._shown = events[self._shown :], len(events)
        entered = []
        for event in fresh:
            kind, _, rest = event["type"].partition("StateEntered")
            if not rest and event["type"].endswith("StateEntered") and kind not in _QUIET_KINDS:
                entered.append((str(event["stateEnteredEventDetails"]["name"]), event["timestamp"]))
        return entered

    def only_waits(self) -> bool:
        """Return whether this is a notice machine that has nothing to tell; once seen, it stays."""
        self._waits = self._waits or (
            self.machine.endswith("-notice")
            and any(
                event.get("stateEnteredEventDetails", {}).get("name") == "WaitForIncident"
                for event in self.events()
            )
        )
        return self._waits

    def transitions(self) -> int:
        """State transitions so far, as AWS bills them: states entered, and each retry once more."""
        kinds = [str(event["type"]) for event in self.events()]
        entered = len([kind for kind in kinds if kind.endswith("StateEntered")])
        return entered + max(0, kinds.count("TaskScheduled") - kinds.count("TaskStateEntered"))


class Answers:
    """The executions that an event started, in any of the machines."""

    def __init__(self, aws: Aws, machines: list[str], event_id: str, at: str) -> None:
        self._aws = aws
        self._states: Any = aws.client("stepfunctions", settings.SECURITY_ACCOUNT)
        self._machines = [arn for arn in machines if arn]
        self._event_id = event_id
        self._since = datetime.fromisoformat(at) - timedelta(seconds=1)
        self._others: set[str] = set()
        self.found: dict[str, Execution] = {}

    def look(self) -> list[Execution]:
        """Return every execution found so far."""
        for machine in self._machines:
            for item in self._states.list_executions(stateMachineArn=machine, maxResults=50)[
                "executions"
            ]:
                arn = item["executionArn"]
                if arn in self.found or arn in self._others or item["startDate"] < self._since:
                    continue
                execution = Execution(self._aws, arn)
                if self._event_id in execution.describe()["input"]:
                    self.found[arn] = execution
                else:
                    self._others.add(arn)
        return list(self.found.values())

    def add(self, arn: str | None) -> None:
        """Follow this execution too: the one the record names, when the watchdog started it for
        an event nothing took.
        """
        if arn and arn.count(":") == 7 and arn not in self.found:
            execution = Execution(self._aws, arn)
            if execution.describe()["startDate"] >= self._since:
                self.found[arn] = execution

    def running(self) -> bool:
        """Return whether one of them still works."""
        return any(execution.status() == "RUNNING" for execution in at_work(self.look()))


def at_work(executions: list[Execution]) -> list[Execution]:
    """Leave out the notice machine where the incident machine answers and the notice machine only
    waits, to see whether that one was started.
    """
    answered = any(execution.machine.endswith("-incident") for execution in executions)
    return [execution for execution in executions if not (answered and execution.only_waits())]
