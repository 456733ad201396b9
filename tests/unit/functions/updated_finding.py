"""Provides updates of a finding that name another session, principal or instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from guardduty_response.containment.contract import StepResult, Target
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import EXECUTION, call, notified, target
from tests.unit.functions.respond_steps import SECOND, open_incident, run_step

Json = dict[str, Any]
FIRST = ("AROAEXAMPLE:alice", "ASIAFIRST")


def minutes_from_now(minutes: float) -> str:
    return iso(datetime.now(UTC) + timedelta(minutes=minutes))


def event_about(
    principal: str = FIRST[0], key: str = FIRST[1], instance: str = "i-1", seen: str = ""
) -> Json:
    event = load_finding()
    resource = event["detail"]["resource"]
    resource["accessKeyDetails"] = {"principalId": principal, "accessKeyId": key}
    resource["instanceDetails"]["instanceId"] = instance
    event["detail"]["service"]["eventLastSeen"] = seen or minutes_from_now(1)
    return event


def update(event: Json, execution: str = SECOND) -> Json:
    return call(
        "open",
        event=event,
        execution=execution,
    )


def contained(fake: FakePlaybook, deployment: Deployment, **named: str) -> str:
    """Contains what a finding names first, and returns the incident."""
    incident_id = open_incident(**event_about(seen="2020-01-01T00:00:00Z", **named))
    fake.steps["verify"] = StepResult(status=Status.CONTAINED, detail="closed")
    respond_to(incident_id, EXECUTION)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    notified(deployment)
    return incident_id


def respond_to(incident_id: str, execution: str, close: bool = True, **event: Any) -> list[Json]:
    """Plans, contains and verifies, and returns the targets."""
    targets: list[Json] = run_step("plan", incident_id, execution=execution, **event)["targets"]
    run_step("contain", incident_id, targets=targets, execution=execution)
    about = {"incident_id": incident_id, "execution": execution}
    call("verdict", targets=targets, error="", **about)
    if close:
        call("close", decision="act", **about)
    return targets


def contained_update(incident_id: str, execution: str = SECOND, **named: str) -> None:
    """Contains what an update of the finding names."""
    opened = update(event_about(**named), execution)
    assert (opened["next"], opened["verify_only"]) == ("triage", False)
    respond_to(incident_id, execution, finding_key=opened["finding_key"])


def also_contained(record: IncidentRepository, incident_id: str, instance: str) -> None:
    """Stores what ``contained_update`` stores of an instance, in less time."""
    key = evidence_store.put_event(incident_id, event_about(instance=instance))["key"]
    named = Target(**target(instance, finding_key=key))
    joined = record.containments.join(named.reference(), incident_id, "fake")
    named = named._replace(generation=joined.generation)
    record.put_target(incident_id, named.reference())
    record.note(incident_id, renamed=True)
    record.set_target(incident_id, named.kind, instance, named.place, status=Status.CONTAINED)


def recheck(incident_id: str, execution: str) -> list[Json]:
    """Rechecks an incident, and returns the targets that were verified."""
    opened = call("open", event={"watch": {"incident_id": incident_id}}, execution=execution)
    assert opened["verify_only"]
    answer = run_step("plan", incident_id, execution=execution, verify_only=True)
    targets: list[Json] = answer["targets"]
    if targets:
        run_step("verify", incident_id, targets=targets, execution=execution)
    about = {"incident_id": incident_id, "execution": execution}
    call("verdict", targets=targets, error=answer["error"], **about)
    call("close", decision=answer["decision"], error=answer["error"], **about)
    return targets


def statuses(deployment: Deployment, incident_id: str) -> dict[str, str]:
    """Returns the status of each target, by its ID."""
    return {found["id"]: found["status"] for found in deployment.targets(incident_id)}
