"""Reads the incidents that an incident belongs with: the one it is part of, and its children.

A child answers what belongs to another playbook, such as the instance whose credentials were
stolen. META of the parent names its children, META of the child its parent. What their own
resources have come to is each incident's status; what they have come to together is found here
(docs/decisions/0034).
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import Item
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, Status, combine
from guardduty_response.incident.table import incident_key

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord

MOST = 100  # children, and children of children, that are read
# A person has decided about these, or nothing is left to contain.
_DECIDED = frozenset(
    {Status.CONTAINED, Status.GONE, Status.RESTORED, Status.RESTORE_PARTIAL, Status.CLOSED}
)
# After these an incident says nothing of what is contained: a person has ended it.
ENDED_BY_PEOPLE = frozenset({Status.RESTORED, Status.RESTORE_PARTIAL, Status.CLOSED})


@dataclass(frozen=True)
class LinkedIncident:
    """Holds the parent or a child. ``meta``: None while there is no record of it.

    ``error``: why its record could not be read; empty: it could.
    """

    incident_id: str
    meta: IncidentRecord | None = None
    error: str = ""

    @property
    def status(self) -> Status | None:
        """Returns its status now; None: it is not known."""
        return Status(self.meta["status"]) if self.meta else None

    @property
    def weight(self) -> Status:
        """Returns the status by which it counts: what is not known is never a success."""
        if self.error:
            return Status.PARTIAL
        return self.status or Status.OPEN

    @property
    def is_contained(self) -> bool:
        """Tells whether nothing of it is left to contain, as far as is known."""
        return self.weight in _DECIDED

    @property
    def state(self) -> str:
        """Says what it has come to."""
        if self.error:
            return f"not readable ({self.error})"
        return str(self.status or "not begun")

    @property
    def resources(self) -> str:
        """Names its targets, or says what its finding was about."""
        targets = (self.meta or {}).get("targets") or []
        names = ", ".join(f"{target['kind']} {target['id']}" for target in targets)
        return names or str((self.meta or {}).get("title") or "")

    @property
    def name(self) -> str:
        """Names it with its resources."""
        return f"{self.incident_id} ({self.resources})" if self.resources else self.incident_id

    @property
    def report_key(self) -> str:
        """Returns where in the evidence bucket its report lies; empty: it has none yet."""
        return str((self.meta or {}).get("report_key") or "")


@dataclass(frozen=True)
class Links:
    """Holds an incident's parent and children; children of children come after them.

    ``more``: children that were not read, because there are too many.
    """

    parent: LinkedIncident | None = None
    children: tuple[LinkedIncident, ...] = ()
    more: int = 0

    def worse_than(self, own: Status) -> list[LinkedIncident]:
        """Returns the children that keep an incident with status ``own`` from being the whole
        story: each is not contained, and worse.
        """
        if own in ENDED_BY_PEOPLE:
            return []
        return [
            child
            for child in self.children
            if not child.is_contained and combine([own, child.weight]) is not own
        ]

    def overall(self, own: Status) -> Status:
        """Returns what an incident with status ``own`` and its children come to together.

        What was not read is never a success.
        """
        not_read = [Status.PARTIAL] if self.more and own not in ENDED_BY_PEOPLE else []
        return combine([own, *(child.weight for child in self.worse_than(own)), *not_read])

    def tasks(self) -> list[str]:
        """Returns what people have to do about children, as sentences."""
        return [
            f"child incident {child.name} is {child.state}: its message and its report say what is"
            " left to do"
            for child in self.children
            if child.error or child.status is None or child.status in ESCALATE
        ]


class Reading:
    """Reads an incident's links while other calls are made; ``links`` waits for what is left.

    Nothing is read for an incident without parent and children. Follows children of children, each
    incident once, so that a circle ends. Errors are kept with the incident: no message waits.
    """

    def __init__(self, record: IncidentRepository, meta: IncidentRecord) -> None:
        self._record = record
        self._parent = str(meta.get("parent") or "")
        self._seen = {meta["incident_id"], self._parent}
        self._more = 0
        self._reading_parent = self._begin(self._parent) if self._parent else None
        self._level = self._begin_children(meta)

    def _begin(self, incident_id: str) -> Future[Item | None]:
        return clients.POOL.submit(self._record.table.get, incident_key(incident_id), "META")

    def _begin_children(
        self, *metas: IncidentRecord | None
    ) -> list[tuple[str, Future[Item | None]]]:
        found = []
        for child in [child for meta in metas if meta for child in meta.get("children") or []]:
            if child in self._seen:
                continue
            self._seen.add(child)
            if len(self._seen) > MOST + 2:
                self._more += 1
            else:
                found.append((child, self._begin(child)))
        return found

    @cached_property
    def links(self) -> Links:
        """Returns the links, each with its status now."""
        children: list[LinkedIncident] = []
        while self._level:
            read = [_linked(incident_id, future) for incident_id, future in self._level]
            children += read
            self._level = self._begin_children(*(child.meta for child in read))
        parent = self._reading_parent and _linked(self._parent, self._reading_parent)
        return Links(parent or None, tuple(children), self._more)


def _linked(incident_id: str, future: Future[Item | None]) -> LinkedIncident:
    try:
        found = future.result()
    except (BotoCoreError, ClientError) as error:
        return LinkedIncident(incident_id, error=str(error)[:300])
    return LinkedIncident(incident_id, cast("IncidentRecord", found) if found else None)
