"""Finds the containments that nobody watches any more, and whose denial of sessions on a role ends
with the resource alone.

Monitoring sees that an instance is gone. Its incident may have been closed before, with the
instance contained (functions/closing.py): then somebody has to ask. One that is being
contained is not monitored yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import due

if TYPE_CHECKING:
    from guardduty_response.incident.model import ContainmentRecord
    from guardduty_response.incident.repository import IncidentRepository
    from guardduty_response.incident.shared_settings import SettingValue, SharedSetting

_NO_VERDICT = (Status.OPEN, Status.CONTAINING)


def unwatched(record: IncidentRepository, shared: SharedSetting) -> list[ContainmentRecord]:
    """Returns the containments of a role's setting that are not monitored, and that deny sessions
    while their resource exists; none whose resource is known to be gone, and none that an execution
    works on: between a denial and its verdict nothing is monitored either.
    """
    places = [
        place
        for place, entry in sorted(shared.entries.items())
        if _lasts(entry) and due.get(record.table, *place) is None
    ]
    states = [state for place in places if (state := record.containments.state(*place))]
    return [state for state in states if not _is_at_work(record, state)]


def _is_at_work(record: IncidentRepository, state: ContainmentRecord) -> bool:
    """Tells whether a containment has no verdict yet, or its resource's lease is held."""
    return state["status"] in _NO_VERDICT or record.leases.present(state["arn"]) is not None


def _lasts(entry: SettingValue) -> bool:
    return any(denial.get("instance") for denial in (entry.get("denials") or {}).values())
