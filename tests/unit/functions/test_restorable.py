"""What a restore finds to restore, and by which options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.errors import RoleUnavailable
from guardduty_response.incident import commands
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, notified
from tests.unit.functions.respond_steps import open_incident, run_step
from tests.unit.functions.restorer import Restorer, ask


def test_it_restores_by_what_it_was_contained_with(
    deployment: Deployment,
    record: IncidentRepository,
    restorer: Restorer,
    stored: Callable[..., str],
) -> None:
    incident_id = stored(options={"finish": "none", "group": "sg-1"})
    configure(deployment, **{"playbooks.fake": {"finish": "none", "group": "sg-2", "new": True}})
    ask(incident_id)
    [(context, target)] = restorer.calls
    assert context.options == {"finish": "none", "group": "sg-1", "new": False}
    assert target.place is not None
    known = {"options": {"group": "sg-0"}, "forensics_when": "after"}
    record.containments.set(*target.place, status="PARTIAL", contained_with=known)
    record.move(incident_id, Status.RESTORED, Status.PARTIAL)
    ask(incident_id)
    context = restorer.calls[-1][0]
    assert (context.options["group"], context.config.forensics["when"]) == ("sg-0", "after")


# -- what changed nothing --------------------------------------------------------------------------


@pytest.mark.parametrize("planned", [False, True], ids=["no target", "a target"])
def test_a_failed_incident_that_changed_nothing_is_not_restored(
    deployment: Deployment,
    record: IncidentRepository,
    fake: FakePlaybook,
    restorer: Restorer,
    planned: bool,
) -> None:
    """RESTORED would end it: the stored finding, sent again, would only be counted."""
    incident_id = open_incident()
    record.note(incident_id, playbook="fake")
    if planned:
        run_step("plan", incident_id)
        call("close", incident_id=incident_id, decision="failed", error="the function died")
    else:
        fake.error = RoleUnavailable("the role cannot be assumed")
        answer = run_step("plan", incident_id)
        call("close", incident_id=incident_id, **_ending(answer))
    notified(deployment)
    record.leases.release(ARN, EXECUTION)
    refused = ask(incident_id)
    assert "nothing was changed" in refused["refused"]
    assert (refused["status"], refused["restored"]) == ("FAILED", [])
    assert deployment.meta(incident_id)["status"] == "FAILED"
    assert notified(deployment) == ([], [])
    assert restorer.calls == []
    fake.error = None
    stored = {"finding_key": deployment.meta(incident_id)["finding_key"]}
    opened = call("open", event=stored, execution=f"{EXECUTION}-again")
    assert opened["next"] == "triage", "the attacker is still there"


def test_what_changed_nothing_can_be_closed(
    deployment: Deployment, record: IncidentRepository, fake: FakePlaybook, restorer: Restorer
) -> None:
    configure(deployment, **{"playbooks.fake": {"finish": "none", "restore": True}})
    fake.error = RoleUnavailable("the role cannot be assumed")
    incident_id = open_incident()
    record.note(incident_id, playbook="fake")
    call("close", incident_id=incident_id, **_ending(run_step("plan", incident_id)))
    meta = record.meta(incident_id)
    assert [what for what, _ in commands.of_incident(meta, can_restore=True)] == ["Close"]
    assert b"There is nothing to undo." in deployment.evidence(incident_id)["report.html"]
    assert ask(incident_id, close=True)["status"] == "CLOSED"


def test_what_was_changed_before_it_failed_is_offered(stored: Callable[..., str]) -> None:
    meta = IncidentRepository(TABLE).meta(stored("FAILED"))
    offered = dict(commands.of_incident(meta, can_restore=True))
    assert list(offered) == ["Restore", "Close, leaving its changes"]


def _ending(answer: dict[str, Any]) -> dict[str, Any]:
    return {"decision": answer["decision"], "error": answer["error"]}
