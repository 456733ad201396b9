"""Joins what an incident knows of a target with the containment that it is linked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from guardduty_response.incident.containment import Containment
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import TargetRecord

# Fields of the containment's STATE item that a target shows; releases before 0.2 had them in the
# TARGET item.
STATE_FIELDS = (
    "status",
    "verdict",
    "verified",
    "weak",
    "held_at",
    "breach",
    "restored",
    "still_contained",
    "immutable_id",
)
# What the incident keeps for itself; everything else that is set of a target is the containment's.
OWN_FIELDS = frozenset({"attach", "generation", "opened_by", "plan_digest", "principals", "scope"})


def view(link: TargetRecord, containment: Containment | None) -> TargetRecord:
    """Returns the target as messages, reports and steps see it.

    ``link``: the TARGET item. ``containment``: what it is linked to, or None: then the item itself
    has everything. While the incident has a status of its own for the target (in progress, failed
    before a verdict), that counts.
    """
    if containment is None:
        return cast(
            "TargetRecord", {"actions": {}, "before": {}, "evidence": {}, "checks": [], **link}
        )
    state: dict[str, object] = {
        name: value for name, value in containment.state.items() if name in STATE_FIELDS
    }
    own = {
        name: value for name, value in link.items() if value or name not in ("status", "verdict")
    }
    return cast(
        "TargetRecord",
        {
            "status": Status.OPEN,
            **state,
            **own,
            "actions": {**link.get("actions", {}), **containment.actions},
            "before": containment.before,
            "checks": containment.checks,
            "evidence": containment.evidence,
            "watched": containment.watched,
            "incidents": [link["incident_id"] for link in containment.open_links],
        },
    )
