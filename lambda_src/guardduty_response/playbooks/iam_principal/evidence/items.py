"""Evidence of a principal: what it could do, beside containment; what it did, after the verdict
and once more later.
"""

from __future__ import annotations

from types import ModuleType

from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.evidence import manifest
from guardduty_response.evidence.collection import Collection
from guardduty_response.evidence.items import Json
from guardduty_response.playbooks.iam_principal.evidence import actions, permissions

BESIDE: tuple[ModuleType, ...] = (permissions,)
STAGES: tuple[tuple[ModuleType, ...], ...] = ((permissions, actions),)
COLLECTION = Collection(TargetContext, BESIDE, STAGES, manifest)


def first(context: Context, target: Target, seconds_left: int) -> StepResult:
    """Nothing is lost by containing a credential first: CloudTrail keeps what there is."""
    return StepResult(detail="nothing of a principal is collected before containment")


evidence = COLLECTION.evidence


def collect(context: Context, target: Target) -> StepResult:
    """Lists, and hands over to ``remediate`` once after each list; the second is waited for in
    one piece.
    """
    step = COLLECTION.collect(context, target)
    if not (context.options.get("remediate") or context.options.get("rotate_key")):
        return step
    kept: Json = COLLECTION.load_target(context, target).stored["evidence"]
    listed = int((kept.get(actions.NAME) or {}).get("state", {}).get("listed", 0))
    remediation: Json = kept.get("remediation") or {}
    if listed > int(remediation.get("state", {}).get("handled", 0)):
        text = f"list {listed} of the principal's calls is complete; {step.detail}"
        return StepResult(done=True, detail=text, next_step="remediate")
    if step.done and not listed and not remediation and context.options.get("rotate_key"):
        # nothing to undo, but a key to replace
        return StepResult(done=True, detail=step.detail, next_step="remediate")
    return step
