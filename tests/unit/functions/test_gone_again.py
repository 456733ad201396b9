"""A finding that goes on after its resource was gone: a role or user can be made anew by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from guardduty_response.errors import TargetGone
from guardduty_response.incident import commands
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository

from tests.support.repository import load_finding
from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import EXECUTION, call, notified
from tests.unit.functions.respond_steps import open_incident, run_step
from tests.unit.functions.shared_world import World

GONE = TargetGone("role app no longer exists")


def _again(number: int, minutes: int) -> dict[str, Any]:
    """Sends the finding again; GuardDuty saw it so many minutes from now."""
    event = load_finding()
    seen = datetime.now(UTC) + timedelta(minutes=minutes)
    event["detail"]["service"]["eventLastSeen"] = iso(seen)
    return call("open", event=event, execution=f"{EXECUTIONS}incident:again{number}")


def _gone(deployment: Deployment, fake: FakePlaybook) -> str:
    incident_id = open_incident()
    fake.error = GONE
    _close(incident_id, run_step("plan", incident_id))
    assert deployment.meta(incident_id)["status"] == "GONE"
    notified(deployment)
    fake.error = None
    return incident_id


def _close(incident_id: str, answer: dict[str, Any], execution: str = EXECUTION) -> None:
    call(
        "close",
        incident_id=incident_id,
        decision=answer["decision"],
        error=answer["error"],
        execution=execution,
    )


def test_what_was_made_anew_is_evaluated_anew(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = _gone(deployment, fake)
    assert _again(1, minutes=10)["next"] == "triage"
    assert deployment.meta(incident_id)["status"] == "OPEN"
    execution = f"{EXECUTIONS}incident:again1"
    answer = run_step("plan", incident_id, execution=execution)
    assert answer["decision"] == "act"


def test_what_was_seen_before_it_was_gone_is_counted_only(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = _gone(deployment, fake)
    assert _again(1, minutes=-10)["next"] == "done"
    assert _again(2, minutes=-5)["next"] == "done"
    meta = deployment.meta(incident_id)
    assert (meta["status"], meta["emissions"]) == ("GONE", 3)
    assert notified(deployment) == ([], [])


def test_what_is_still_gone_can_be_restored_as_before(
    world: World, record: IncidentRepository
) -> None:
    """What is denied on roles outlives the resource."""
    incident_id = world.contain("a")
    world.fake.error = GONE
    execution = world.execution("check")
    planned = run_step("plan", incident_id, execution=execution, verify_only=True)
    call("close", incident_id=incident_id, decision=planned["decision"], error=str(GONE))
    assert record.meta(incident_id)["status"] == "GONE"
    event = load_finding()
    event["detail"]["id"] = "a"
    event["detail"]["service"]["eventLastSeen"] = iso(datetime.now(UTC) + timedelta(minutes=9))
    assert call("open", event=event, execution=execution)["next"] == "triage"
    record.note(incident_id, playbook="fake")
    answer = run_step("plan", incident_id, execution=execution)
    _close(incident_id, answer, execution)
    meta = record.meta(incident_id)
    assert meta["status"] == "GONE"
    assert "Restore" in dict(commands.of_incident(meta, can_restore=True))
    [target] = world.deployment.targets(incident_id)
    assert target["before"] == {"network": {"eni-1": ["sg-web"]}}
