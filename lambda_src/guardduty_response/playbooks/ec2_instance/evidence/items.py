"""Evidence of a contained instance: its pieces, and in which order they are asked."""

from __future__ import annotations

from types import ModuleType

from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.evidence import manifest
from guardduty_response.evidence.collection import Collection
from guardduty_response.evidence.items import Outcome
from guardduty_response.playbooks.ec2_instance.evidence import (
    api_calls,
    copies,
    forensics,
    instance_description,
    network_logs,
    replacement,
    snapshots,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

# need nothing of containment, and lose by waiting for it
BESIDE: tuple[ModuleType, ...] = (snapshots, instance_description)
# Each stage sees how those before it stand: copies need complete snapshots, and logs wait for late
# records only while something else is still under way.
STAGES: tuple[tuple[ModuleType, ...], ...] = (
    (snapshots, instance_description, forensics, replacement),
    (copies,),
    (network_logs, api_calls),
)
COLLECTION = Collection(InstanceContext, BESIDE, STAGES, manifest)


def first(context: Context, target: Target, seconds_left: int) -> StepResult:
    """Forensics before containment: polled every two seconds, until done or until the machine
    goes on.
    """
    part = COLLECTION.advance(COLLECTION.load_target(context, target), forensics)
    if part.outcome is not Outcome.RUNNING or not forensics.waits(
        {"outcome": part.outcome, "state": part.state}
    ):
        return StepResult(detail=part.detail)
    return StepResult(
        done=False,
        wait_seconds=min(part.wait_seconds or 2, max(1, seconds_left)),
        detail=part.detail,
    )


evidence = COLLECTION.evidence  # the snapshot set, and what the instance is and shows
collect = COLLECTION.collect
