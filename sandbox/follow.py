"""Follow an incident while it is worked on: states as they are entered, statuses as they change."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from .executions import Answers
from .findings import Sent
from .incidents import Incidents, Json
from .settings import SandboxError

Say = Callable[[str], None]
# An event nothing takes may still be recorded by the watchdog, from the dead-letter queue.
RECORD_SECONDS = 25
_LEFT_ALONE_SECONDS = 3
_IN_PROGRESS = {"OPEN", "CONTAINING"}


class Follow:
    """Follows one sent finding and tells what happens."""

    def __init__(self, incidents: Incidents, answers: Answers, sent: Sent, say: Say) -> None:
        self._incidents = incidents
        self._answers = answers
        self._sent = sent
        self._say = say
        self._status = ""
        self._began = datetime.fromisoformat(sent.at)

    def _recorded(self) -> Json | None:
        """Return the incident, once it has heard of this event."""
        if self._sent.incident_id:
            found = self._incidents.find(self._sent.incident_id)
            return found if found and str(found.get("updated_at")) >= self._sent.at else None
        return self._incidents.opened_since(self._sent.at)

    def _tell_states(self) -> None:
        for execution in self._answers.look():
            for state, entered in execution.news():
                seconds = (entered - self._began).total_seconds()
                self._say(f"  {execution.machine.rsplit('-', 1)[-1]:8} {state:18} +{seconds:.2f} s")

    def _tell_status(self, incident: Json) -> None:
        if incident["status"] != self._status:
            self._status = incident["status"]
            self._say(f"{incident['incident_id']} {self._status} (mode {incident['mode']})")

    def _nothing(self) -> SandboxError:
        event = self._sent.event
        kind = event.detail.get("type")
        what = f"{event.detail_type!r} from {event.source!r}, finding type {kind!r}"
        ends = [f"{item.machine} {item.status()}" for item in self._answers.look()]
        if ends:
            return SandboxError(
                f"Nothing was recorded for {what}: the policy leaves it alone (a type that is off)."
                f" Executions: {', '.join(ends)}."
            )
        return SandboxError(
            f"Nothing was recorded for {what}: no rule matched it. Archived findings and other"
            " services' events are left alone."
        )

    def until_recorded(self) -> Json:
        """Return the incident of the event; SandboxError when nothing is recorded in time."""
        began = time.monotonic()
        ended_at = 0.0
        while time.monotonic() - began < RECORD_SECONDS:
            found = self._recorded()
            if found:
                return found
            ended = bool(self._answers.look()) and not self._answers.running()
            ended_at = (ended_at or time.monotonic()) if ended else 0.0
            if ended and time.monotonic() - ended_at > _LEFT_ALONE_SECONDS:
                break
            time.sleep(0.15)
        raise self._nothing()

    def until_settled(self, seconds: float) -> Json:
        """Return the incident when its status is settled and every execution for the event has
        ended, or when it waits for a person.

        SandboxError when that takes longer than ``seconds``.
        """
        deadline = time.monotonic() + seconds
        incident = self.until_recorded()
        while True:
            self._tell_status(incident)
            self._answers.add(incident.get("execution"))
            running = self._answers.running()
            self._tell_states()
            incident = self._incidents.get(incident["incident_id"])
            self._tell_status(incident)
            status = incident["status"]
            if status == "AWAITING_APPROVAL" or (status not in _IN_PROGRESS and not running):
                return incident
            if time.monotonic() > deadline:
                ends = ", ".join(f"{item.status()} {item.arn}" for item in self._answers.look())
                raise SandboxError(
                    f"{incident['incident_id']} is still {status} after {seconds:.0f} s;"
                    f" executions: {ends}."
                )
            time.sleep(0.2)
