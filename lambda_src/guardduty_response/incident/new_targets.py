"""Creates the targets of a new incident together with its status: one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from guardduty_response.aws.dynamodb_types import item
from guardduty_response.incident import open_index
from guardduty_response.incident.moments import now
from guardduty_response.incident.statuses import Event, Status, next_status
from guardduty_response.incident.table import incident_key
from guardduty_response.incident.target_repository import new_target

if TYPE_CHECKING:
    from guardduty_response.incident.model import ActionLogEntry, IncidentRecord, TargetReference
    from guardduty_response.incident.repository import IncidentRepository
    from guardduty_response.incident.table import Write

MOST = 25  # targets of a transaction: DynamoDB takes 100 items and 4 MB, an item has up to 64 KB


def act_on_new(
    record: IncidentRepository,
    meta: IncidentRecord,
    targets: Sequence[tuple[TargetReference, Mapping[str, ActionLogEntry]]],
    execution: str,
    fields: IncidentRecord,
) -> bool:
    """Moves an incident that has no targets yet to CONTAINING and creates these, all or nothing.

    ``meta``: as it was read. ``targets``: each with the incident's own entries of its action log.
    Returns False where something of it was there already, or is too much for a transaction: nothing
    was written then.
    """
    if meta.get("targets") or len(targets) > MOST:
        return False
    incident_id, status = meta["incident_id"], Status(meta["status"])
    acting = next_status(status, Event.ACT)
    changes = {
        **fields,
        "status": acting,
        "updated_at": now(),
        "open": open_index.value_of(incident_id, acting),
    }
    key = {"pk": incident_key(incident_id), "sk": "META"}
    moved = record.table.update_request(key, changes, only_if={"status": status})
    writes: list[Write] = [{"Update": moved}]
    for target, actions in targets:
        created = new_target(incident_id, target, actions, execution)
        condition = "attribute_not_exists(pk)"
        writes.append({"Put": {"Item": item(created), "ConditionExpression": condition}})
    return not record.table.transact(writes)
