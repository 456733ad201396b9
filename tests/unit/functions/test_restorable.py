"""What a restore finds to restore, and by which options."""

from __future__ import annotations

from collections.abc import Callable

from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import configure
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
