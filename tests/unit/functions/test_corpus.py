"""Every fixture of the corpus is answered by one of the two machines: nothing is lost."""

from __future__ import annotations

from typing import Any

from tests.support.finding_corpus import REFUSED, Entry, corpus
from tests.unit.deployment import Deployment
from tests.unit.function_calls import EXECUTION, NOTICE, call

EVERYTHING = {
    "remediations": {"*": "auto"},
    "active_playbooks": ["ec2_instance", "iam_principal"],
}


def _answered(deployment: Deployment, number: int, entry: Entry) -> str:
    """Deliver a fixture; return what the record then says: playbook, status, refused or none."""
    event: Any = entry.read()
    opened = call("open", event=event, execution=f"{EXECUTION}-{number}")
    incident_id = opened["incident_id"]
    if not incident_id:
        incident_id = call("notice", event=event, execution=f"{NOTICE}-{number}")["incident_id"]
    if not incident_id:
        return "none"
    status = deployment.meta(incident_id)["status"]
    return "refused" if status == "SKIPPED" else str(opened["playbook"] or status)


def test_every_fixture_has_the_outcome_of_its_manifest(deployment: Deployment) -> None:
    deployment.configure(EVERYTHING)
    differ = {}
    for number, entry in enumerate(corpus()):
        expected = {"none": "NOTIFIED"}.get(entry.outcome, entry.outcome)
        if entry.outcome in REFUSED:
            expected = "refused"
        elif "archived" in entry.flags:
            expected = "none"
        found = _answered(deployment, number, entry)
        if found != expected:
            differ[entry.name] = (found, expected)
    assert differ == {}
