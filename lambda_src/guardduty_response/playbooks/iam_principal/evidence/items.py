"""Evidence of a principal: what it could do, beside containment; what it did, after the verdict
and once more later.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence import manifest
from guardduty_response.evidence.collection import Collection
from guardduty_response.playbooks.iam_principal.evidence import actions, config_history, permissions

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry

BESIDE: tuple[ModuleType, ...] = (permissions,)
STAGES: tuple[tuple[ModuleType, ...], ...] = ((permissions, actions, config_history),)
COLLECTION = Collection(TargetContext, BESIDE, STAGES, manifest)


def first(context: Context, target: Target, seconds_left: int) -> StepResult:
    """Collect nothing: CloudTrail keeps what there is while the credential is contained."""
    return StepResult(detail="nothing of a principal is collected before containment")


evidence = COLLECTION.evidence


def collect(context: Context, target: Target) -> StepResult:
    """List the principal's calls, and hand over to eradication once after each list."""
    step = COLLECTION.collect(context, target)
    rotates = bool(context.options.get("rotate_key"))
    if not context.options.get("remediate") and not rotates:
        return step
    entries: dict[str, EvidenceEntry] = COLLECTION.load_target(context, target).stored["evidence"]
    listed = _state_number(entries, actions.NAME, "listed")
    if listed > _state_number(entries, "remediation", "handled"):
        text = f"list {listed} of the principal's calls is complete; {step.detail}"
        return StepResult(done=True, detail=text, next_step="remediate")
    if step.done and not listed and not entries.get("remediation") and rotates:
        # There is nothing to undo, but a key to replace.
        return StepResult(done=True, detail=step.detail, next_step="remediate")
    return step


def _state_number(entries: dict[str, EvidenceEntry], name: str, field: str) -> int:
    entry = entries.get(name)
    return int(entry.get("state", {}).get(field, 0)) if entry else 0
