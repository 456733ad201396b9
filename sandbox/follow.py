"""Follow an incident while it is worked on: states as they are entered, statuses as they change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from . import settings
from .clients import Aws
from .findings import Sent
from .incidents import Incidents, Json
from .settings import SandboxError

RECORD_SECONDS = 25
_IN_PROGRESS = {"OPEN", "CONTAINING"}
_QUIET_KINDS = {"Choice", "Succeed", "Pass"}


class Execution:
    """The states an execution enters, told once each."""

    def __init__(self, aws: Aws, arn: str) -> None:
        self._states = aws.client("stepfunctions", settings.SECURITY_ACCOUNT)
        self.arn = arn
        self._told = 0

    def status(self) -> str:
        """RUNNING, or how it ended; UNKNOWN when there is no such execution."""
        try:
            return str(self._states.describe_execution(executionArn=self.arn)["status"])
        except self._states.exceptions.ExecutionDoesNotExist:
            return "UNKNOWN"

    def events(self) -> list[Json]:
        """The whole history."""
        pages = self._states.get_paginator("get_execution_history").paginate(
            executionArn=self.arn, includeExecutionData=True, maxResults=1000
        )
        return [event for page in pages for event in page["events"]]

    def news(self) -> list[tuple[str, Any]]:
        """Names of the states entered since the last call, with their times."""
        events = self.events()
        fresh, self._told = events[self._told :], len(events)
        entered = []
        for event in fresh:
            kind = event["type"].removesuffix("StateEntered")
            if event["type"].endswith("StateEntered") and kind not in _QUIET_KINDS:
                entered.append((event["stateEnteredEventDetails"]["name"], event["timestamp"]))
        return entered

    def transitions(self) -> int:
        """State transitions so far, as AWS bills them: states entered, retries included."""
        kinds = [event["type"] for event in self.events()]
        entered = sum(kind.endswith("StateEntered") for kind in kinds)
        scheduled = sum(kind == "TaskScheduled" for kind in kinds)
        tasks = sum(kind == "TaskStateEntered" for kind in kinds)
        return entered + max(0, scheduled - tasks)


def _recorded(incidents: Incidents, sent: Sent) -> Json | None:
    if sent.incident_id:
        return incidents.find(sent.incident_id)
    return incidents.opened_since(sent.at)


def until_recorded(incidents: Incidents, sent: Sent, seconds: float = RECORD_SECONDS) -> Json:
    """The incident of a sent finding; SandboxError when nothing is recorded in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = _recorded(incidents, sent)
        if found is not None and (sent.incident_id is None or str(found.get("updated_at")) >= sent.at):
            return found
        time.sleep(0.15)
    kind = sent.event.detail.get("type")
    raise SandboxError(
        f"Nothing was recorded for the event within {seconds:.0f} s: no rule matched it. "
        f"It was {sent.event.detail_type!r} from {sent.event.source!r}, finding type {kind!r}; types that are off, "
        "archived findings and other services' events are left alone."
    )


def until_settled(aws: Aws, incidents: Incidents, sent: Sent, say: Callable[[str], None], seconds: float) -> Json:
    """Follow the incident until its status is settled and its execution has ended, or it waits for a person."""
    incident = until_recorded(incidents, sent)
    name = incident["incident_id"]
    say(f"{name} {incident['status']} (mode {incident['mode']})")
    execution = Execution(aws, str(incident.get("execution")))
    status, deadline = incident["status"], time.monotonic() + seconds
    while True:
        ended = execution.status()
        for state, _ in execution.news() if ended != "UNKNOWN" else []:
            say(f"  state {state}")
        incident = incidents.get(name)
        if incident["status"] != status:
            status = incident["status"]
            say(f"{name} {status}")
        if status == "AWAITING_APPROVAL" or (status not in _IN_PROGRESS and ended != "RUNNING"):
            return incident
        if time.monotonic() > deadline:
            raise SandboxError(f"{name} is still {status} after {seconds:.0f} s; its execution is {ended} ({execution.arn}).")
        time.sleep(0.2)
