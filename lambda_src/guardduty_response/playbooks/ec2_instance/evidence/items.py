"""The evidence items of a contained instance, and the order in which they are collected."""

from __future__ import annotations

from types import ModuleType

from guardduty_response.containment.contract import Context, StepResult, Target
from guardduty_response.evidence import manifest
from guardduty_response.evidence.collection import Collection
from guardduty_response.evidence.items import Outcome
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance.evidence import (
    api_calls,
    config_history,
    copies,
    forensics,
    instance_description,
    network_logs,
    replacement,
    snapshots,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

# These need nothing of containment, and lose by waiting for it.
EARLY: tuple[ModuleType, ...] = (snapshots, instance_description)
# Each stage sees how those before it stand: forensics writes on the volumes, so their snapshots are
# asked for first; copies need complete snapshots, and logs wait for late records only while
# something else is still under way.
STAGES: tuple[tuple[ModuleType, ...], ...] = (
    (snapshots, instance_description, replacement),
    (forensics, copies),
    (network_logs, api_calls, config_history),
)
COLLECTION = Collection(InstanceContext, EARLY, STAGES, manifest)


def first(context: Context, target: Target, seconds_left: int) -> StepResult:
    """Collects forensics before containment: polled every two seconds, until done or until the
    state machine goes on.

    Forensics writes on the volumes, so the snapshot set is asked for first, once: where EC2 refuses
    it for now, it is asked for again beside containment, which waits for no snapshot.
    """
    instance = COLLECTION.load_target(context, target)
    if snapshots.NAME not in instance.stored["evidence"]:
        COLLECTION.advance(instance, snapshots)
    item = COLLECTION.advance(instance, forensics)
    if item.outcome is not Outcome.RUNNING or not forensics.waits(
        {"outcome": item.outcome, "state": item.state}
    ):
        return StepResult(detail=item.detail)
    return StepResult(
        done=False,
        wait_seconds=min(item.wait_seconds or 2, max(1, seconds_left)),
        detail=item.detail,
    )


evidence = COLLECTION.evidence  # the snapshot set, and what the instance is and shows


def collect(context: Context, target: Target) -> StepResult:
    """Collects all items. The last look at CloudTrail comes before the instance is terminated, and
    where it is gone: what is gone is not monitored.
    """
    step = COLLECTION.collect(context, target)
    if not step.done:
        return step
    instance = COLLECTION.load_target(context, target)
    ends = instance.options["finish"] == "terminate" or instance.stored["status"] == Status.GONE
    looks = ends and instance.looks_for_sessions
    return step._replace(next_step="finish") if looks else step
