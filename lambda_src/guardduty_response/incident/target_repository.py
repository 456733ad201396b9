"""Stores an incident's targets: the link to a containment, and what is the incident's own.

The TARGET item (INCIDENT#id/TARGET#kind#id) names the containment's generation. What is done to the
resource is stored with the containment (incident/containments.py). A TARGET item without a
generation holds everything itself: a plan that changes nothing, or a record of a release before
0.2, which ``take_over`` moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.errors import ResponseError
from guardduty_response.incident import targets
from guardduty_response.incident.containments import ENDED, Containments
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import IN_PROGRESS, WATCHED, Status
from guardduty_response.incident.table import Table, incident_key

if TYPE_CHECKING:
    from guardduty_response.aws.dynamodb_types import Item
    from guardduty_response.incident.model import (
        ActionLogEntry,
        BeforeStates,
        IncidentRecord,
        TargetRecord,
        TargetReference,
    )
    from guardduty_response.incident.table import Write

# Where a target's containment is stored: ARN and generation.
Place = tuple[str, int]
_REFERENCE = frozenset(
    {
        "kind",
        "id",
        "arn",
        "account_id",
        "region",
        "attach",
        "generation",
        "opened_by",
        "plan_digest",
        "principals",
        "finding_key",
    }
)
DETAIL_LENGTH = 1000  # characters of a line of the action log


def target_key(kind: str, id: str) -> str:
    """Returns the sort key of a TARGET item."""
    return f"TARGET#{kind}#{id}"


def generation_of(target: TargetReference) -> int:
    """Returns the generation of the containment that a target is linked to; 0: of none."""
    return int(target.get("generation") or 0)


def place_of(target: TargetReference) -> Place | None:
    """Returns where the containment of a target is stored; None: the target has none."""
    generation = generation_of(target)
    return (str(target["arn"]), generation) if generation else None


class TargetRepository:
    """One deployment's targets. Methods raise botocore ClientError for service errors."""

    table: Table
    containments: Containments

    def link(self, incident_id: str, kind: str, id: str) -> TargetRecord:
        """Returns the TARGET item. Raises ResponseError when there is none."""
        found = self.table.get(incident_key(incident_id), target_key(kind, id))
        if found is None:
            raise ResponseError(f"incident {incident_id} has no target {kind} {id}")
        return cast("TargetRecord", found)

    def target(
        self, incident_id: str, kind: str, id: str, place: Place | None = None
    ) -> TargetRecord:
        """Returns a target with its containment. Raises ResponseError when there is none.

        ``place``: where the containment is, for who knows it and wants no more than that.
        """
        if place:
            return targets.view({}, self.containments.read(*place))
        return self.view(self.link(incident_id, kind, id))

    def view(self, link: TargetRecord) -> TargetRecord:
        """Returns the target of a TARGET item, with its containment."""
        place = place_of(link)
        return targets.view(link, self.containments.read(*place) if place else None)

    def meta_and_targets(self, incident_id: str) -> tuple[IncidentRecord, list[TargetRecord]]:
        """Returns META and the targets. Raises ResponseError when there is no such incident.

        Reads neither timeline nor messages, which come first in the order of the keys: an incident
        that is fought over has thousands.
        """
        meta, found, _ = self._read_from("META", incident_id)
        return meta, found

    def _read_from(
        self, first: str, incident_id: str
    ) -> tuple[IncidentRecord, list[TargetRecord], list[Item]]:
        """Returns META, the targets, and every item from the sort key ``first`` on, in the order
        EVENT#, MESSAGE#, META, TARGET#. Raises ResponseError when there is no such incident.

        What an earlier plan named, and nothing was done to, is no target any more.
        """
        items = self.table.query(
            KeyConditionExpression="pk = :pk AND sk >= :first",
            ConsistentRead=True,
            ExpressionAttributeValues=item({":pk": incident_key(incident_id), ":first": first}),
        )
        metas = [stored for stored in items if stored["sk"] == "META"]
        if not metas:
            raise ResponseError(f"there is no incident {incident_id} in table {self.table.name}")
        meta = cast("IncidentRecord", metas[0])
        stored_links = [stored for stored in items if stored["sk"].startswith("TARGET#")]
        links = cast("list[TargetRecord]", stored_links)
        found = [self.view(link) for link in links if not _was_only_planned(meta, link)]
        return meta, found, items

    def links(self, incident_id: str) -> list[TargetRecord]:
        """Returns the TARGET items."""
        key = incident_key(incident_id)
        found = self.table.query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :target)",
            ConsistentRead=True,
            ExpressionAttributeValues=item({":pk": key, ":target": "TARGET#"}),
        )
        return cast("list[TargetRecord]", found)

    def targets_of(self, meta: IncidentRecord, execution: str) -> list[TargetReference]:
        """Returns the targets of which an execution carries out the plan.

        Items of earlier releases do not say so: then those of META's plan, or, when an update of
        the finding has been planned since, those that no other execution works on.
        """
        links = self.links(meta["incident_id"])
        own = [_reference(link) for link in links if link.get("execution") == execution]
        if own:
            return own
        taken = {(link["kind"], link["id"]) for link in links if link.get("execution")}
        planned = [
            reference
            for reference in meta.get("targets") or []
            if (reference["kind"], reference["id"]) not in taken
        ]
        left = [link for link in links if generation_of(link) and not link.get("execution")]
        return planned or [_reference(link) for link in left]

    def put_target(
        self,
        incident_id: str,
        target: TargetReference,
        own_actions: Mapping[str, ActionLogEntry] | None = None,
        execution: str = "",
    ) -> None:
        """Creates the TARGET item; an existing one (a retry, a recurrence) is kept.

        One that was linked to another generation, or to none, is replaced. ``own_actions``: the
        incident's own log entries, as ``log_entry`` makes them; they are added to those there are.
        ``execution``: that carries out the plan; empty: none does.
        """
        key, sort = incident_key(incident_id), target_key(target["kind"], target["id"])
        entries = dict(own_actions or {})
        created = new_target(incident_id, target, entries, execution)
        if self.table.put_if(created, "attribute_not_exists(pk)"):
            return
        worked_on = {"execution": execution} if execution else {}
        same = {"generation": generation_of(target)}
        changes = {
            "status": Status.OPEN,
            "attach": target.get("attach", ""),
            "principals": list(target.get("principals") or []),
            "finding_key": target.get("finding_key", ""),
            **worked_on,
        }
        if not self.table.update(
            key,
            sort,
            changes,
            only_if=same,
        ):
            self.table.put(created)
            return
        for name, entry in entries.items():
            self.table.set_in_map(
                key,
                sort,
                "actions",
                name,
                entry,
            )

    def set_target(
        self,
        incident_id: str,
        kind: str,
        id: str,
        /,
        place: Place | None = None,
        unless_restored: bool = False,
        more: Sequence[Write] = (),
        **fields: object,
    ) -> bool:
        """Sets fields of a target, in its containment where it has one.

        ``place``: where the containment is, for who knows it; else the TARGET item is asked.
        ``unless_restored``: not in a containment that has ended. Returns whether they were set.
        ``more``: writes of other items of the containment, made with them.
        """
        key, sort = incident_key(incident_id), target_key(kind, id)
        place = place or place_of(self.link(incident_id, kind, id))
        if place is None:
            return self.table.update(key, sort, fields)
        own = {name: value for name, value in fields.items() if name in targets.OWN_FIELDS}
        shared = {name: value for name, value in fields.items() if name not in own}
        if shared and not self.containments.set(
            *place,
            unless_restored,
            more,
            **shared,
        ):
            return False
        if "status" in shared:  # what was verified counts from now on
            own |= {"status": "", "verdict": ""}
        if own:
            self.table.update(key, sort, own)
        return True

    def end_target(
        self, incident_id: str, target: TargetReference, status: Status, why: str
    ) -> None:
        """Gives the incident's own view of a target a status: it ended without a verdict.

        The containment keeps its status, unless it never came to one, or the resource is gone.
        """
        key, sort = incident_key(incident_id), target_key(target["kind"], target["id"])
        self.table.update(key, sort, {"status": status, "verdict": why})
        place = place_of(target)
        state = self.containments.state(*place) if place else None
        if place is None or state is None:
            return
        present = Status(state["status"])
        if present in IN_PROGRESS or (status is Status.GONE and present not in ENDED):
            self.containments.set(*place, status=status, verdict=why)

    def follow_containment(self, incident_id: str, target: TargetReference) -> None:
        """Makes the incident show its containment's status instead of one of its own."""
        key, sort = incident_key(incident_id), target_key(target["kind"], target["id"])
        self.table.update(key, sort, {"status": "", "verdict": ""})

    # -- records of releases before 0.2 ------------------------------------------------------------

    def take_over(self, incident_id: str, playbook: str, target: TargetRecord) -> int:
        """Moves what a TARGET item of an earlier release holds into a containment.

        Returns the generation. Safe to repeat; the first prior state stands.
        """
        owner = str(target.get("attach") or incident_id)
        joined = self.containments.join(target, incident_id, playbook)
        place = (target["arn"], joined.generation)
        befores = {**target.get("before", {}), **self._old_before(owner, target)}
        for name, value in befores.items():
            self.containments.put_before(*place, name, value)
        # A containment that others look after keeps its state, unless this incident does too.
        looked_after = Status(target["status"]) in WATCHED and owner == incident_id
        brings_state = joined.new or joined.status in IN_PROGRESS or looked_after
        if brings_state:
            for name, entry in target.get("actions", {}).items():
                self.containments.put_action(*place, name, entry)
            for name, kept in target.get("evidence", {}).items():
                self.containments.put_evidence(*place, name, kept)
            fields: dict[str, object] = {
                name: value for name, value in target.items() if name in targets.STATE_FIELDS
            }
            self.containments.set(
                *place,
                checks=target.get("checks", []),
                watched=target.get("watched", []),
                **fields,
            )
        own_actions = {} if brings_state else target.get("actions", {})
        created = {
            "generation": joined.generation,
            "status": "",
            "verdict": "",
            "actions": own_actions,
        }
        key, sort = incident_key(incident_id), target_key(target["kind"], target["id"])
        # What stays in the TARGET item would hide what the containment says from now on.
        moved = {"before", "evidence", "checks", "watched", *targets.STATE_FIELDS} - created.keys()
        self.table.update(
            key,
            sort,
            created,
            remove=sorted(moved),
        )
        return joined.generation

    def _old_before(self, owner: str, target: TargetRecord) -> BeforeStates:
        """Returns the prior state that the incident ``owner`` recorded, unless it gave it back."""
        key, sort = incident_key(owner), target_key(target["kind"], target["id"])
        stored = cast("TargetRecord | None", self.table.get(key, sort))
        if stored is None or not is_old(stored) or Status(stored["status"]) is Status.RESTORED:
            return {}
        return dict(stored.get("before", {}))


def new_target(
    incident_id: str,
    target: TargetReference,
    own_actions: Mapping[str, ActionLogEntry],
    execution: str,
) -> Item:
    """Returns the TARGET item of a target that the incident did not have until now."""
    created: Item = {
        "pk": incident_key(incident_id),
        "sk": target_key(target["kind"], target["id"]),
        **target,
        "status": Status.OPEN,
        "actions": dict(own_actions),
    }
    if execution:
        created["execution"] = execution
    if not generation_of(target):
        created |= {"before": {}, "evidence": {}, "checks": [], "generation": 0}
    return created


def log_entry(status: str, detail: str, request_id: str = "") -> ActionLogEntry:
    """Returns an entry of an action log, of now. Long details are cut."""
    return {
        "status": status,
        "detail": detail[:DETAIL_LENGTH],
        "at": now(),
        "request_id": request_id,
    }


def is_planned(meta: IncidentRecord, target: TargetReference) -> bool:
    """Tells whether the incident's latest plan names the target, or there is no plan to tell by."""
    planned = [(named["kind"], named["id"]) for named in meta.get("targets") or []]
    return not planned or (target["kind"], target["id"]) in planned


def _was_only_planned(meta: IncidentRecord, link: TargetRecord) -> bool:
    """Tells whether an earlier plan named the target, and linked it to no containment."""
    linked = is_old(link) or generation_of(link)
    return not linked and not is_planned(meta, link)


def _reference(link: TargetRecord) -> TargetReference:
    """Returns a TARGET item as META names its target."""
    fields = {name: value for name, value in link.items() if name in _REFERENCE}
    return cast("TargetReference", fields)


def is_old(target: TargetReference) -> bool:
    """Tells whether a TARGET item is of a release before 0.2: it never names a generation."""
    return "generation" not in target
