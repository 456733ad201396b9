"""Stores incidents in DynamoDB: status, decisions, timeline, and links to containments.

Items (keys pk/sk): INCIDENT#id/META, INCIDENT#id/TARGET#kind#id, INCIDENT#id/EVENT#time#hex;
containments, leases and the circuit breaker have modules of their own. Every write that decides
something is conditional, so concurrent executions cannot both win. ``IncidentRepository`` adds
incidents to ``ResultWriter`` (results: ``persist``, ``action``) and ``TargetRepository`` (targets).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from guardduty_response.aws.dynamodb_types import Values, item
from guardduty_response.errors import IllegalTransition, ResponseError
from guardduty_response.incident import open_index, timeline
from guardduty_response.incident.circuit_breaker import CircuitBreaker
from guardduty_response.incident.containments import Containments
from guardduty_response.incident.leases import Leases
from guardduty_response.incident.moments import now
from guardduty_response.incident.result_writer import EarlyWrites, ResultWriter
from guardduty_response.incident.shared_settings import SharedSettings
from guardduty_response.incident.statuses import (
    ENDED,
    IN_PROGRESS,
    WATCHED,
    Event,
    OnFinding,
    Status,
    next_status,
)
from guardduty_response.incident.table import Table, incident_key
from guardduty_response.incident.target_repository import generation_of, is_old, target_key

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient
    from guardduty_response.incident.model import (
        IncidentRecord,
        IndexedIncident,
        MessageRecord,
        TargetRecord,
        TargetReference,
        TimelineEvent,
    )
    from guardduty_response.incident.outbox.history import History
    from guardduty_response.incident.table import Write

# Incidents of releases before 0.2 in these statuses have contained something.
_TAKEN_OVER = WATCHED | {Status.FAILED, Status.RESTORE_PARTIAL}
# Pages of 1 MB that are searched for incidents of such releases: a minute's work at most.
_PAGES = 400
# The item that says that these were searched for once.
SEARCHED_KEY = ("MIGRATION", "0.2-search")
# The item that says that no record of a release before 0.2 is left to be taken over.
TAKEN_OVER_KEY = ("MIGRATION", "0.2")


def old_references(meta: IndexedIncident) -> list[TargetReference]:
    """Returns the targets that an incident names as releases before 0.2 do: by no generation."""
    return [reference for reference in meta.get("targets") or [] if is_old(reference)]


class Opened(NamedTuple):
    """Says what opening an incident came to.

    ``previous``: the status before, None for a new incident. ``meta``: the incident's META item.
    """

    outcome: OnFinding
    previous: Status | None
    meta: IncidentRecord


class WholeIncident(NamedTuple):
    """Holds everything that is stored with an incident; ``history``: what people were told.

    ``messages``: as they are stored, one for each topic.
    """

    meta: IncidentRecord
    targets: list[TargetRecord]
    events: list[TimelineEvent]
    history: History
    messages: list[MessageRecord]

    def target(self, kind: str, id: str) -> TargetRecord | None:
        """Returns the target of that name, with its containment; None: there is none."""
        found = (target for target in self.targets if (target["kind"], target["id"]) == (kind, id))
        return next(found, None)


class IncidentRepository(ResultWriter):
    """One deployment's incidents. Methods raise botocore ClientError for service errors."""

    def __init__(self, table: str, client: AwsClient = None) -> None:
        self.table = Table(table, client)
        self.containments = Containments(self.table)
        self.leases = Leases(self.table)
        self.shared = SharedSettings(self.table, self.leases, self.containments)
        self.circuit_breaker = CircuitBreaker(self.table)
        self.early = EarlyWrites()

    # -- incidents ---------------------------------------------------------------------------------

    def open(self, meta: IncidentRecord, only_new: bool = False, detail: str = "") -> Opened:
        """Creates the incident, or decides what a recurrence of its finding does (recurrence.py).

        ``meta`` needs incident_id, execution, mode, severity and config_sha256. The winner of a
        race gets START or VERIFY; everybody else COUNT, or WAIT where the finding names others.
        ``only_new``: an existing incident stays as it is (COUNT), unless this execution opened it.
        ``detail``: of the event "opened" in the timeline, which is written with a new incident or
        not at all; empty: no event.
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
            "open": open_index.value_of(meta["incident_id"], Status.OPEN),
            "run": at,
        }
        condition = "attribute_not_exists(pk)"
        writes: list[Write] = [{"Put": {"Item": item(created), "ConditionExpression": condition}}]
        if detail:
            entry = timeline.entry(meta["incident_id"], "opened", detail)
            writes.append({"Put": {"Item": item(entry)}})
        if not self.table.transact(writes):
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
            return Opened(OnFinding.COUNT, status, stored)
        from guardduty_response.incident import named, recurrence

        others = recurrence.names_another(stored, meta)
        earlier = None
        if others and status not in IN_PROGRESS:
            earlier = named.read(self.table, meta["incident_id"], meta.get("named") or [])
        outcome = recurrence.outcome_of(stored, meta, earlier)
        if outcome is OnFinding.WAIT:
            return Opened(outcome, status, stored)  # it is counted when it is opened
        changes: IncidentRecord = {}
        if meta.get("last_seen"):
            changes["last_seen"] = meta["last_seen"]
        if status not in IN_PROGRESS:
            changes["updated_at"] = now()
        if status in ENDED:
            changes["ended_at"] = recurrence.ended_at(stored)
        if outcome is OnFinding.START:
            held = recurrence.was_contained(stored)
            if others:
                ended = recurrence.ended_for(stored)
                named.note_run(self.table, meta["incident_id"], stored.get("named") or [], ended)
            changes = {
                **meta,
                "status": Status.OPEN,
                "updated_at": now(),
                "decision": None,
                "targets": stored["targets"] if held or status is Status.GONE else [],
                "open": open_index.value_of(meta["incident_id"], Status.OPEN),
                "previous": status,
                "held": status if held else "",
                "run": now(),
                **recurrence.answer_of_old(stored),
                **({"renamed": True} if others else {}),
                "refused_at": "",
                "approved_digest": "",  # an approval is for one run
                "asked_at": "",
            }
        counted = self.table.update(
            incident_key(meta["incident_id"]),
            "META",
            changes,
            add={"emissions": 1},
            only_if={"status": status},
        )
        if counted or self._has_made(meta["incident_id"], changes):
            return Opened(outcome, status, {**stored, **changes})
        # Another execution changed it first.
        waits = recurrence.outcome_of(self.meta(meta["incident_id"]), meta) is OnFinding.WAIT
        return Opened(OnFinding.WAIT if waits else OnFinding.COUNT, status, stored)

    def meta(self, incident_id: str) -> IncidentRecord:
        """Returns the incident's META item. Raises ResponseError when there is none."""
        found = self.table.get(incident_key(incident_id), "META")
        if found is None:
            raise ResponseError(f"there is no incident {incident_id} in table {self.table.name}")
        return cast("IncidentRecord", found)

    def read(
        self, incident_id: str
    ) -> tuple[IncidentRecord, list[TargetRecord], list[TimelineEvent]]:
        """Returns META, targets and timeline, oldest event first.

        Raises ResponseError when there is no such incident.
        """
        whole = self.read_whole(incident_id, timeline=True)
        return whole.meta, whole.targets, whole.events

    def read_whole(self, incident_id: str, timeline: bool = False) -> WholeIncident:
        """Returns what ``read`` does, and what people were told; events only with ``timeline``."""
        first = "EVENT#" if timeline else "MESSAGE#"
        meta, targets, items = self._read_from(first, incident_id)
        events = [stored for stored in items if stored["sk"].startswith("EVENT#")]
        found = [stored for stored in items if stored["sk"].startswith("MESSAGE#")]
        messages = cast("list[MessageRecord]", found)
        from guardduty_response.incident.outbox.history import history_of

        history = history_of(meta, messages)
        return WholeIncident(
            meta,
            targets,
            cast("list[TimelineEvent]", events),
            history,
            messages,
        )

    def history(self, meta: IncidentRecord) -> History:
        """Returns what people were told about an incident."""
        from guardduty_response.incident.outbox.history import history_of, messages_of

        return history_of(meta, messages_of(self.table, meta["incident_id"]))

    def transition(
        self, incident_id: str, event: Event, known: Status | None = None, /, **fields: object
    ) -> Status:
        """Applies ``event`` by the status table and returns the new status.

        ``known``: the status that was read a moment ago, for who has read it. Raises
        IllegalTransition where the table has no such transition.
        """
        for _ in range(5):
            status, known = known or Status(self.meta(incident_id)["status"]), None
            new_status = next_status(status, event)
            if self.move(incident_id, status, new_status, **fields):
                return new_status
        raise IllegalTransition(
            f"incident {incident_id} changed five times while '{event}' was applied; try again"
        )

    def move(self, incident_id: str, old: Status, new: Status, **fields: object) -> bool:
        """Sets the status if it still is ``old``; returns whether it was.

        Keeps the attribute ``open`` in step, by which the sparse index finds incidents.
        """
        at = now()
        changes = {**fields, "status": new, "updated_at": at}
        if new in ENDED:
            changes["ended_at"] = at
        indexed = open_index.value_of(incident_id, new)
        if indexed:
            changes["open"] = indexed
        remove = [] if indexed else ["open"]
        key, condition = incident_key(incident_id), {"status": old}
        if self.table.update(key, "META", changes, remove=remove, only_if=condition):
            return True
        return self._has_made(incident_id, changes)

    def _has_made(self, incident_id: str, changes: Values) -> bool:
        """Tells whether a refused write that sets the status was made all the same.

        Where an answer is lost the client repeats the call, and the first one has changed the
        status. Its time says whose it is.
        """
        if "status" not in changes:
            return False
        stored = self.table.get(incident_key(incident_id), "META") or {}
        names = ("status", "updated_at", "execution")
        return all(stored.get(name) == changes[name] for name in names if name in changes)

    def take_over_old(
        self, incident_id: str, owners_too: bool = True, in_progress: bool = False
    ) -> bool:
        """Moves what releases before 0.2 stored with the incident into containments.

        Returns whether there was anything. Safe to repeat. ``owners_too``: first the incidents to
        which targets are attached, which have the prior state and give evidence its name.
        ``in_progress``: also if the incident is in progress; its own execution asks for that.
        """
        meta, found = self.meta_and_targets(incident_id)
        status = Status(meta["status"])
        if status not in _TAKEN_OVER and not (in_progress and status in IN_PROGRESS):
            return False
        if not old_references(meta):
            return False
        owners = {str(target.get("attach") or "") for target in found if is_old(target)}
        for owner in sorted(owners - {"", incident_id}) if owners_too else []:
            with suppress(ResponseError):  # somebody has deleted that record
                self.take_over_old(owner, owners_too=False)
        playbook = meta.get("playbook") or ""
        generations = {
            (target["kind"], target["id"]): self.take_over(incident_id, playbook, target)
            if is_old(target)
            else generation_of(target)
            for target in found
        }
        references = [
            {**reference, "generation": generations.get((reference["kind"], reference["id"]), 0)}
            for reference in meta["targets"]
        ]
        self.note(incident_id, targets=references)
        return True

    def take_over_for(self, incident_id: str, playbook: str, target: TargetReference) -> None:
        """Takes over what releases before 0.2 have stored of a resource that is about to be joined.

        Costs one read once the watchdog has taken over everything.
        """
        if self.table.get(*TAKEN_OVER_KEY):
            return
        found = self.table.get(incident_key(incident_id), target_key(target["kind"], target["id"]))
        own = cast("TargetRecord | None", found)
        # contained, and begun again since; or evidence was collected before an approval
        if own and is_old(own) and (own.get("before") or own.get("evidence")):
            self.take_over(incident_id, playbook, own)
        for meta in self.watched():
            if any(old["arn"] == target["arn"] for old in old_references(meta)):
                self.take_over_old(meta["incident_id"])

    def take_over_ended(self) -> list[str]:
        """Takes over FAILED and RESTORE_PARTIAL incidents of releases before 0.2.

        Such an incident may have changed its resource, and no index holds it. Returns the
        incidents. The oldest of a resource has the prior state; a resource that has a containment
        already is left alone. Searches the table once, and once more when nothing is in progress.
        """
        if self.table.get(*TAKEN_OVER_KEY):
            return []
        in_progress = self._old_in_progress()
        if in_progress and self.table.get(*SEARCHED_KEY):
            return []
        taken = []
        found, complete = self._old_ended()
        for meta in sorted(found, key=lambda meta: meta["opened_at"]):
            incident_id = meta["incident_id"]
            _, targets = self.meta_and_targets(incident_id)
            arns = [target["arn"] for target in targets if is_old(target) and target["before"]]
            if arns and not any(map(self.containments.generation, arns)):
                self.take_over_old(incident_id)
                taken.append(incident_id)
        pk, sk = SEARCHED_KEY if in_progress else TAKEN_OVER_KEY
        self.table.put({"pk": pk, "sk": sk, "at": now(), "complete": complete})
        return taken

    def _old_ended(self) -> tuple[list[IncidentRecord], bool]:
        found, complete = self.table.scan(
            _PAGES,
            FilterExpression="sk = :meta AND #status IN (:failed, :partial)",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=item(
                {":meta": "META", ":failed": Status.FAILED, ":partial": Status.RESTORE_PARTIAL}
            ),
        )
        metas = cast("list[IncidentRecord]", found)
        return [meta for meta in metas if old_references(meta)], complete

    def _old_in_progress(self) -> bool:
        """Tells whether an execution that an earlier release started may yet contain its target."""
        open_incidents = [*self.watched(), *open_index.in_progress(self.table)]
        return any(old_references(meta) for meta in open_incidents)

    def note(self, incident_id: str, /, **fields: object) -> None:
        """Sets fields of the incident other than its status."""
        changes = {**fields, "updated_at": now()}
        self.table.update(incident_key(incident_id), "META", changes)

    def event(
        self, incident_id: str, name: str, detail: str = "", target: str = "", actor: str = ""
    ) -> None:
        """Appends an event to the timeline."""
        self.table.put(timeline.entry(incident_id, name, detail, target, actor))

    def stale(self, before: str) -> list[IndexedIncident]:
        """Returns incidents in progress whose last change is older than ``before``, oldest first.

        ``before`` is a time as ``iso`` gives it.
        """
        return open_index.in_progress(self.table, before)

    def watched(self, since: str = "") -> list[IndexedIncident]:
        """Returns incidents that are monitored (statuses.WATCHED), longest unchanged first.

        ``since``: only those that changed later. The index may lag by a moment.
        """
        return open_index.monitored(self.table, since)
