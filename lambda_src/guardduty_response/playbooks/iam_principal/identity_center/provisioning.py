"""Keeps how far the provisioning of each permission set is, as the record has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.incident.moments import now
from guardduty_response.playbooks.iam_principal.identity_center.center import PART
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry
    from guardduty_response.playbooks.iam_principal.records import ProvisioningState

UNDER_WAY = ("IN_PROGRESS", "SUCCEEDED")


def provisioning_states(principal: PrincipalContext) -> dict[str, ProvisioningState]:
    """Returns each permission set's name with how its provisioning stands."""
    return dict(principal.evidence_state(PART))


def provisioning_state(principal: PrincipalContext, name: str) -> ProvisioningState:
    """Returns a copy, empty before the first attempt."""
    known = provisioning_states(principal).get(name)
    return known.copy() if known else {}


def attempts_made(principal: PrincipalContext, state: ProvisioningState) -> int:
    """Returns how often this execution has tried it."""
    if state.get("execution") != principal.context.execution:
        return 0
    return int(state.get("tries") or 0)


def store_state(principal: PrincipalContext, name: str, state: ProvisioningState) -> None:
    states = {**provisioning_states(principal), name: state}
    failed = any(known["status"] == "FAILED" for known in states.values())
    entry: EvidenceEntry = {
        "outcome": "PARTIAL" if failed else "COMPLETE",
        "detail": f"{len(states)} permission sets provisioned again",
        "objects": [],
        "task": "",
        "state": states,
        "at": now(),
    }
    principal.record_evidence(PART, entry)
    principal.stored.setdefault("evidence", {})[PART] = entry
