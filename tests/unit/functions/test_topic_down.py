"""Amazon SNS is down for a whole incident: it goes on, and everything arrives afterwards, once."""

from __future__ import annotations

from guardduty_response.incident.repository import IncidentRepository

from tests.support.repository import load_finding
from tests.unit.deployment import TABLE, Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import OUTBOX, notified, watch
from tests.unit.incident.outbox.outbox_lab import at_minute
from tests.unit.monitoring.contained_incident import GOOD, OPEN, TAGGED, Case
from tests.unit.publishing import down, publishing


def test_an_incident_goes_on_while_nobody_can_be_told(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    case = Case(deployment, fake)
    case.see(GOOD, TAGGED)
    with publishing(before=down):
        with at_minute(0):
            case.contain()
        assert (case.meta["status"], case.target["status"]) == ("CONTAINED", "CONTAINED")
        with at_minute(1):
            assert watch(OUTBOX)["sent"] == 0
        case.see(OPEN, TAGGED)
        with at_minute(2):
            case.check()
        assert (case.meta["status"], case.contained()) == ("CONTAINED", 2)
    assert notified(deployment) == ([], [])
    timeline = deployment.timeline(case.incident_id)
    assert "announced" not in timeline
    assert timeline.count("message waits") == 6, "of five messages, one goes to both topics"
    assert timeline[-1] != "execution failed"
    with at_minute(10):
        assert watch(OUTBOX)["waiting"] == 0
    messages, escalated = notified(deployment)
    assert messages == ["started", "CONTAINED", "closing", "BREACHED", "CONTAINED"]
    assert escalated == ["BREACHED"]
    with at_minute(11):
        watch(OUTBOX)
    assert notified(deployment) == ([], []), "once"
    waited = IncidentRepository(TABLE).history(case.meta).messages
    assert all(message["sent_at"] for message in waited)


def test_the_reconciler_finds_nothing_to_do_afterwards(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """The execution has not failed, so nobody is told that it has."""
    case = Case(deployment, fake)
    case.see(GOOD, TAGGED)
    with publishing(before=down):
        walk = case.run(load_finding())
    assert walk.entered[-1] == "Close"
    assert watch({"source": "guardduty-response.sweeper"})["failed"] == []
