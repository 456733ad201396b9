"""Stores incidents in DynamoDB: status, timeline, and for each target what was done to it.

Items (keys pk/sk): INCIDENT#id/META, INCIDENT#id/TARGET#kind#id, INCIDENT#id/EVENT#time#hex;
leases and the circuit breaker have modules of their own. Every write that decides something is
conditional, so concurrent executions cannot both win.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.incident import recurrence
from guardduty_response.incident.circuit_breaker import CircuitBreaker
from guardduty_response.incident.leases import Leases
from guardduty_response.incident.model import (
    ActionLogEntry,
    EvidenceEntry,
    IncidentRecord,
    TargetPayload,
    TargetRecord,
    TargetReference,
    TimelineEvent,
)
from guardduty_response.incident.statuses import (
    ENDED,
    IN_PROGRESS,
    WATCHED,
    Event,
    OnFinding,
    Status,
    next_status,
)
from guardduty_response.incident.table import Table


def iso(at: datetime) -> str:
    """Returns a UTC time as stored: ISO 8601 with microseconds, which sorts as text."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """Returns the present time as stored (see ``iso``)."""
    return iso(datetime.now(UTC))


@dataclass(frozen=True)
class Opened:
    """Says what opening an incident came to.

    ``previous``: the status before, None for a new incident. ``meta``: the incident's META item.
    """

    outcome: OnFinding
    previous: Status | None
    meta: IncidentRecord


def incident_key(incident_id: str) -> str:
    """Returns the partition key of an incident's items."""
    return f"INCIDENT#{incident_id}"


def target_key(kind: str, id: str) -> str:
    """Returns the sort key of a TARGET item."""
    return f"TARGET#{kind}#{id}"


class IncidentRepository:
    """One deployment's incidents. Methods raise botocore ClientError for service errors."""

    def __init__(self, table: str, client: Any = None) -> None:
        self.table = Table(table, client)
        self.leases = Leases(self.table)
        self.circuit_breaker = CircuitBreaker(self.table)

    # -- incidents ---------------------------------------------------------------------------------

    def open(self, meta: IncidentRecord, only_new: bool = False) -> Opened:
        """Creates the incident, or decides what a recurrence of its finding does (recurrence.py).

        ``meta`` needs incident_id, execution, mode, severity and config_sha256. The winner of a
        race gets START or VERIFY; everybody else ATTACH. ``only_new``: an existing incident stays
        as it is (ATTACH), unless this execution opened it.
        """
        at = now()
        created: IncidentRecord = {
            **meta,
            "pk": incident_key(meta["incident_id"]),
            "sk": "META",
            "status": Status.OPEN,
            "opened_at": at,
            "updated_at": at,
            "emissions": 1,
            "decision": None,
            "targets": [],
            "open": "1",
        }
        if self.table.put_if(created, "attribute_not_exists(pk)"):
            return Opened(OnFinding.START, None, created)
        return self._reopen(meta, only_new)

    def _reopen(self, meta: IncidentRecord, only_new: bool) -> Opened:
        stored = self.meta(meta["incident_id"])
        status = Status(stored["status"])
        if status is Status.OPEN and stored["execution"] == meta["execution"]:
            # This execution's own first try, repeated after a lost answer.
            previous = stored.get("previous")
            return Opened(OnFinding.START, Status(previous) if previous else None, stored)
        if only_new:
            return Opened(OnFinding.ATTACH, status, stored)
        outcome = recurrence.outcome_of(stored, meta)
        changes: IncidentRecord = {}
        if meta.get("last_seen"):
            changes["last_seen"] = meta["last_seen"]
        if status not in IN_PROGRESS:
            changes["updated_at"] = now()
        if status in ENDED:
            changes["ended_at"] = recurrence.ended_at(stored)
        if outcome is OnFinding.START:
            changes = {
                **meta,
                "status": Status.OPEN,
                "updated_at": now(),
                "decision": None,
                "targets": [],
                "open": "1",
                "previous": status,
                "held": status if recurrence.was_contained(stored) else "",
                "told": "",
                "closed_once": False,
            }
        counted = self.table.update(
            incident_key(meta["incident_id"]),
            "META",
            changes,
            add={"emissions": 1},
            only_if={"status": status},
        )
        if counted:
            return Opened(outcome, status, {**stored, **changes})
        return Opened(OnFinding.ATTACH, status, stored)  # another execution changed it first

    def meta(self, incident_id: str) -> IncidentRecord:
        """Returns the incident's META item. Raises ResponseError when there is none."""
        found = self.table.get(incident_key(incident_id), "META")
        if found is None:
            raise ResponseError(f"there is no incident {incident_id} in table {self.table.name}")
        return cast(IncidentRecord, found)

    def read(
        self, incident_id: str
    ) -> tuple[IncidentRecord, list[TargetRecord], list[TimelineEvent]]:
        """Returns META, targets and timeline, oldest event first.

        Raises ResponseError when there is no such incident.
        """
        items = self.table.query(
            KeyConditionExpression="pk = :pk",
            ConsistentRead=True,
            ExpressionAttributeValues=item({":pk": incident_key(incident_id)}),
        )
        metas = [stored for stored in items if stored["sk"] == "META"]
        if not metas:
            raise ResponseError(f"there is no incident {incident_id} in table {self.table.name}")
        targets = [stored for stored in items if stored["sk"].startswith("TARGET#")]
        events = [stored for stored in items if stored["sk"].startswith("EVENT#")]
        return (
            cast(IncidentRecord, metas[0]),
            cast(list[TargetRecord], targets),
            cast(list[TimelineEvent], events),
        )

    def transition(self, incident_id: str, event: Event, **fields: Any) -> Status:
        """Applies ``event`` by the status table and returns the new status.

        Raises IllegalTransition where the table has no such transition.
        """
        for _ in range(5):
            status = Status(self.meta(incident_id)["status"])
            new_status = next_status(status, event)
            if self.move(incident_id, status, new_status, **fields):
                return new_status
        raise IllegalTransition(
            f"incident {incident_id} changed five times while '{event}' was applied; try again"
        )

    def move(self, incident_id: str, old: Status, new: Status, **fields: Any) -> bool:
        """Sets the status if it still is ``old``; returns whether it was.

        Keeps the attribute ``open`` in step, by which the sparse index finds incidents.
        """
        at = now()
        changes = {**fields, "status": new, "updated_at": at}
        if new in ENDED:
            changes["ended_at"] = at
        remove = []
        if new in IN_PROGRESS:
            changes["open"] = "1"
        elif new in WATCHED:
            changes["open"] = "held"
        else:
            remove = ["open"]
        return self.table.update(
            incident_key(incident_id), "META", changes, remove=remove, only_if={"status": old}
        )

    def note(self, incident_id: str, /, **fields: Any) -> None:
        """Sets fields of the incident other than its status."""
        changes = {**fields, "updated_at": now()}
        self.table.update(incident_key(incident_id), "META", changes)

    def event(
        self, incident_id: str, name: str, detail: str = "", target: str = "", actor: str = ""
    ) -> None:
        """Appends an event to the timeline."""
        at = now()
        entry: TimelineEvent = {
            "pk": incident_key(incident_id),
            "sk": f"EVENT#{at}#{secrets.token_hex(2)}",
            "at": at,
            "event": name,
            "detail": detail[:2000],
            "target": target,
            "actor": actor,
        }
        self.table.put(entry)

    def stale(self, before: str) -> list[IncidentRecord]:
        """Returns incidents in progress whose last change is older than ``before``, oldest first.

        ``before`` is a time as ``iso`` gives it.
        """
        return self._indexed("#o = :o AND updated_at < :before", {":o": "1", ":before": before})

    def watched(self) -> list[IncidentRecord]:
        """Returns incidents that are monitored (statuses.WATCHED), longest unchanged first.

        The index may lag by a moment.
        """
        return self._indexed("#o = :o", {":o": "held"})

    def _indexed(self, condition: str, values: dict[str, str]) -> list[IncidentRecord]:
        found = self.table.query(
            IndexName="open",
            KeyConditionExpression=condition,
            ExpressionAttributeNames={"#o": "open"},
            ExpressionAttributeValues=item(values),
        )
        return cast(list[IncidentRecord], found)

    # -- targets -----------------------------------------------------------------------------------

    def put_target(
        self,
        incident_id: str,
        target: TargetReference | TargetPayload | Mapping[str, Any],
        reset: bool = False,
    ) -> None:
        """Creates the target's record; an existing one (a retry, a recurrence) is kept.

        ``reset``: replaces an existing one. After a restore the resource's state before containment
        is recorded anew, but for the items that restore left contained.
        """
        before = self._still_contained(incident_id, target) if reset else {}
        created = {
            "pk": incident_key(incident_id),
            "sk": target_key(target["kind"], target["id"]),
            **target,
            "status": Status.OPEN,
            "actions": {},
            "before": before,
            "still_contained": sorted(before),
            "evidence": {},
            "checks": [],
        }
        if reset:
            self.table.put(created)
        elif not self.table.put_if(created, "attribute_not_exists(pk)"):
            self.set_target(
                incident_id,
                target["kind"],
                target["id"],
                status=Status.OPEN,
                attach=target.get("attach", ""),
            )

    def _still_contained(self, incident_id: str, target: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the before-state of the items that the last restore left contained.

        ``network/x`` is one of network's interfaces.
        """
        try:
            stored = self.target(incident_id, target["kind"], target["id"])
        except ResponseError:
            return {}
        before = stored["before"]
        interfaces = (before.get("network") or {}).get("interfaces") or {}
        known = {f"network/{id}": state for id, state in interfaces.items()} | before
        return {name: known[name] for name in stored.get("still_contained") or [] if name in known}

    def target(self, incident_id: str, kind: str, id: str) -> TargetRecord:
        """Returns the TARGET item. Raises ResponseError when there is none."""
        found = self.table.get(incident_key(incident_id), target_key(kind, id))
        if found is None:
            raise ResponseError(f"incident {incident_id} has no target {kind} {id}")
        return cast(TargetRecord, found)

    def set_target(self, incident_id: str, kind: str, id: str, /, **fields: Any) -> None:
        """Sets fields of the TARGET item."""
        self.table.update(incident_key(incident_id), target_key(kind, id), fields)

    def action(
        self,
        incident_id: str,
        kind: str,
        id: str,
        name: str,
        status: str,
        detail: str,
        request_id: str = "",
    ) -> None:
        """Writes an action log entry: what was done, when, under which AWS request ID."""
        entry: ActionLogEntry = {
            "status": status,
            "detail": detail[:1000],
            "at": now(),
            "request_id": request_id,
        }
        key = target_key(kind, id)
        self.table.set_in_map(incident_key(incident_id), key, "actions", name, entry)

    def before(self, incident_id: str, kind: str, id: str, item_name: str, state: Any) -> None:
        """Records an item's state before containment.

        The first writing stands: a retry must not overwrite it with the contained state.
        """
        key = target_key(kind, id)
        self.table.set_in_map(
            incident_key(incident_id), key, "before", item_name, state, first_only=True
        )

    def evidence(
        self,
        incident_id: str,
        kind: str,
        id: str,
        item_name: str,
        entry: EvidenceEntry | Mapping[str, Any],
    ) -> None:
        """Records how far an evidence item is."""
        key = target_key(kind, id)
        self.table.set_in_map(incident_key(incident_id), key, "evidence", item_name, entry)
