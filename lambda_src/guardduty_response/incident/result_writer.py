"""Stores what playbooks answer about a target. The gate may write a prior state in its
transaction; this class is told of it (``note_before``).

A playbook answers with an envelope (``model.ResultEnvelope``). Parts of it are stored before: a
state before comes before the change, an action and an evidence item when they end, so that a
function that dies leaves a record. These go through this class too, which remembers them.
``persist`` stores the rest with the status, in one transaction; what is repeated changes nothing
(docs/decisions/0034).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict, TypeVar, cast

from guardduty_response.incident.statuses import Status
from guardduty_response.incident.table import incident_key
from guardduty_response.incident.target_repository import (
    Place,
    TargetRepository,
    log_entry,
    place_of,
    target_key,
)

if TYPE_CHECKING:
    from guardduty_response.aws.dynamodb_types import Values
    from guardduty_response.incident.model import (
        ActionLogEntry,
        BeforeStates,
        CheckRecord,
        EvidenceEntry,
        RestoreRecord,
        ResultEnvelope,
        TargetReference,
    )
    from guardduty_response.incident.table import Write

T = TypeVar("T")
# Say that something is as wanted, or was left alone: they never replace what says who changed it.
_NOTHING_DONE = ("ALREADY", "SKIPPED")


class EarlyResults(TypedDict):
    """Holds what a step has stored of a target before its answer."""

    actions: dict[str, ActionLogEntry]
    before: BeforeStates
    evidence: dict[str, EvidenceEntry]


class EarlyWrites:
    """Remembers what a step has stored before its answer, by target."""

    def __init__(self) -> None:
        self._targets: dict[object, EarlyResults] = {}

    def of(self, target: object) -> EarlyResults:
        """Returns what was stored of a target. ``target``: its place, or the keys of its item."""
        nothing: EarlyResults = {"actions": {}, "before": {}, "evidence": {}}
        return self._targets.setdefault(target, nothing)


def fitted(envelope: ResultEnvelope) -> ResultEnvelope:
    """Returns the envelope with a status that its checks support, and a sentence as the verdict.

    A status says what was seen. Nothing that was seen makes nothing contained, nor gone; a failed
    fatal check makes it FAILED, and another failed check PARTIAL at the most.
    """
    status = Status(envelope["status"])
    fitting, why = _fitting(status, envelope["checks"])
    detail = envelope["detail"] or _describe(envelope["checks"])
    if why:
        detail = f"{detail} (the playbook answered {status}, but {why}: stored as {fitting})"
    return {**envelope, "status": fitting, "detail": detail}


def _fitting(status: Status, checks: list[CheckRecord]) -> tuple[Status, str]:
    """Returns the status that fits, and why it is another one; empty: it is not."""
    if status not in (Status.CONTAINED, Status.PARTIAL, Status.GONE):
        return status, ""
    failed = [check for check in checks if not check["ok"]]
    fatal = [check["name"] for check in failed if check.get("fatal")]
    if not checks:
        return Status.FAILED, "no check says what was seen"
    if status is Status.GONE and failed:
        return Status.FAILED, f"check {failed[0]['name']} failed"
    if fatal:
        return Status.FAILED, f"check {fatal[0]} failed, without which nothing is contained"
    major = [check["name"] for check in failed if not check.get("minor")]
    if major and status is Status.CONTAINED:
        return Status.PARTIAL, f"check {major[0]} failed"
    return status, ""


def _describe(checks: list[CheckRecord]) -> str:
    failed = [f"{check['name']}: {check['detail']}" for check in checks if not check["ok"]]
    if failed:
        return f"Failed checks: {'; '.join(failed)}"
    return f"{len(checks)} checks passed"


class ResultWriter(TargetRepository):
    """One deployment's results. Methods raise botocore ClientError for service errors."""

    early: EarlyWrites

    def stored_early(self, incident_id: str, target: TargetReference) -> EarlyResults:
        """Returns what this step has stored of a target so far."""
        return self._early(incident_id, target["kind"], target["id"], place_of(target))

    def _early(self, incident_id: str, kind: str, id: str, place: Place | None) -> EarlyResults:
        """Returns what was stored of a target; ``place``: None where the step names none."""
        return self.early.of(place or (incident_id, kind, id))

    def _linked(self, incident_id: str, kind: str, id: str, place: Place | None) -> Place | None:
        """Returns the containment of a target; ``place``: where the step has named it."""
        return place or place_of(self.link(incident_id, kind, id))

    # -- before the answer -------------------------------------------------------------------------

    def action(
        self,
        incident_id: str,
        kind: str,
        id: str,
        name: str,
        status: str,
        detail: str,
        request_id: str = "",
        place: Place | None = None,
    ) -> None:
        """Writes an action log entry: what was done, when, under which AWS request ID."""
        entry = log_entry(status, detail, request_id)
        linked = self._linked(incident_id, kind, id, place)
        if linked:
            self.containments.put_action(*linked, name, entry)
        else:
            self._put_in_target(incident_id, kind, id, "actions", name, entry)
        self._early(incident_id, kind, id, place)["actions"][name] = entry

    def before(
        self,
        incident_id: str,
        kind: str,
        id: str,
        item_name: str,
        state: object,
        place: Place | None = None,
    ) -> None:
        """Records an item's state before containment.

        The first writing stands: a retry must not overwrite it with the contained state.
        """
        linked = self._linked(incident_id, kind, id, place)
        if linked:
            self.containments.put_before(*linked, item_name, state)
        else:
            self._put_in_target(incident_id, kind, id, "before", item_name, state)
        self._early(incident_id, kind, id, place)["before"].setdefault(item_name, state)

    def put_before(self, place: Place, item_name: str, state: object) -> None:
        """Records an item's state before containment, in a containment. The first writing
        stands.
        """
        self.containments.put_before(*place, item_name, state)
        self.note_before(place, item_name, state)

    def note_before(self, place: Place, item_name: str, state: object) -> None:
        """Remembers a prior state that was stored in a transaction of somebody else's."""
        self.early.of(place)["before"].setdefault(item_name, state)

    def evidence(
        self,
        incident_id: str,
        kind: str,
        id: str,
        item_name: str,
        entry: Values,
        place: Place | None = None,
    ) -> None:
        """Records how far an evidence item is."""
        linked = self._linked(incident_id, kind, id, place)
        if linked:
            self.containments.put_evidence(*linked, item_name, entry)
        else:
            self._put_in_target(incident_id, kind, id, "evidence", item_name, entry)
        stored = cast("EvidenceEntry", dict(entry))
        self._early(incident_id, kind, id, place)["evidence"][item_name] = stored

    def _put_in_target(
        self, incident_id: str, kind: str, id: str, part: str, name: str, value: object
    ) -> None:
        key, sort = incident_key(incident_id), target_key(kind, id)
        self.table.set_in_map(key, sort, part, name, value, first_only=part == "before")

    # -- the answer --------------------------------------------------------------------------------

    def persist(
        self,
        incident_id: str,
        target: TargetReference,
        envelope: ResultEnvelope,
        unless_restored: bool = False,
        **fields: object,
    ) -> Status | None:
        """Stores a playbook's answer about a target; safe to repeat.

        Returns the status that was stored, which the checks support (``fitted``). ``fields``: what
        else is set of the target with it. ``unless_restored``: returns None, and stores no status,
        when the containment has ended.
        """
        kind, id = target["kind"], target["id"]
        envelope = fitted(envelope)
        early = self.stored_early(incident_id, target)
        place = self._linked(incident_id, kind, id, place_of(target))
        new = self._not_stored(incident_id, kind, id, place, envelope, early)
        if envelope["watched"]:
            fields["watched"] = envelope["watched"]
        if place is None:
            self._persist_in_target(incident_id, kind, id, new)
        stored = self.set_target(
            incident_id,
            kind,
            id,
            place=place,
            unless_restored=unless_restored,
            more=self._writes(place, new) if place else [],
            status=envelope["status"],
            verdict=envelope["detail"],
            checks=envelope["checks"],
            **fields,
        )
        return Status(envelope["status"]) if stored else None

    def persist_restored(
        self,
        incident_id: str,
        target: TargetReference,
        status: Status,
        verdict: str,
        checks: list[CheckRecord],
        still_contained: list[str],
        restored: RestoreRecord,
    ) -> None:
        """Stores what a restore came to. It is no verdict: a resource that is gone has settings
        that are not as before.
        """
        self.set_target(
            incident_id,
            target["kind"],
            target["id"],
            place=place_of(target),
            status=status,
            verdict=verdict,
            checks=checks,
            still_contained=still_contained,
            restored=restored,
        )

    def _not_stored(
        self,
        incident_id: str,
        kind: str,
        id: str,
        place: Place | None,
        envelope: ResultEnvelope,
        early: EarlyResults,
    ) -> EarlyResults:
        """Returns what of the answer is not stored yet.

        Reads the record only where the step has not stored everything itself.
        """
        new: EarlyResults = {
            "actions": _without_same(envelope["actions"], early["actions"]),
            "before": {
                name: value
                for name, value in envelope["before"].items()
                if name not in early["before"]
            },
            "evidence": _without_same(envelope["evidence"], early["evidence"]),
        }
        if not any(new.values()):
            return new
        stored = self.target(incident_id, kind, id, place=place)
        return {
            "actions": {
                name: entry
                for name, entry in new["actions"].items()
                if _replaces(entry, stored["actions"].get(name))
            },
            "before": {
                name: value for name, value in new["before"].items() if name not in stored["before"]
            },
            "evidence": _without_same(new["evidence"], stored["evidence"]),
        }

    def _writes(self, place: Place, new: EarlyResults) -> list[Write]:
        """Returns the writes of a transaction that stores ``new`` in a containment."""
        containments = self.containments
        return [
            *(containments.before_write(*place, *value) for value in new["before"].items()),
            *(containments.action_write(*place, *entry) for entry in new["actions"].items()),
            *(containments.evidence_write(*place, *entry) for entry in new["evidence"].items()),
        ]

    def _persist_in_target(self, incident_id: str, kind: str, id: str, new: EarlyResults) -> None:
        """Stores ``new`` in a TARGET item that is linked to no containment."""
        for part, values in cast("Mapping[str, Mapping[str, object]]", new).items():
            for name, value in values.items():
                self._put_in_target(incident_id, kind, id, part, name, value)


def _without_same(answered: Mapping[str, T], stored: Mapping[str, T]) -> dict[str, T]:
    return {name: entry for name, entry in answered.items() if stored.get(name) != entry}


def _replaces(answered: ActionLogEntry, stored: ActionLogEntry | None) -> bool:
    """Tells whether an entry of the action log says something new."""
    if stored is None:
        return True
    if {**answered, "at": ""} == {**stored, "at": ""} or answered["at"] < stored["at"]:
        return False
    return not (answered["status"] in _NOTHING_DONE and stored["status"] == "DONE")
