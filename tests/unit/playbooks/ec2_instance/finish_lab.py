"""A contained instance whose evidence is collected, as the last phase finds it."""

from __future__ import annotations

from typing import Any

from guardduty_response.containment.contract import Target
from guardduty_response.incident.model import IncidentRecord, TargetRecord, TimelineEvent
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, Lab

Json = dict[str, Any]


def state_of(lab: Lab) -> str:
    got = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])
    return str(got["Reservations"][0]["Instances"][0]["State"]["Name"])


def keep_snapshots(lab: Lab, **items: Any) -> None:
    """The snapshot set as the collector records it: made by EC2 itself, complete."""
    made = lab.see("ec2").create_snapshots(
        InstanceSpecification={"InstanceId": lab.ids["instance"]}
    )["Snapshots"]
    ids = [snapshot["SnapshotId"] for snapshot in made]
    state = {
        "outcome": "COMPLETE",
        "detail": "one snapshot set",
        "state": {"ids": ids},
    }
    for name, item in {"snapshots": state, **items}.items():
        lab.record.evidence(
            INCIDENT,
            "ec2_instance",
            lab.ids["instance"],
            name,
            item,
        )
    lab.record.action(
        INCIDENT, "ec2_instance", lab.ids["instance"], "snapshot", "DONE", "one snapshot set"
    )


def contained(lab: Lab, evidence: bool = True, **items: Any) -> Target:
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    if evidence:
        keep_snapshots(lab, **items)
    # The machine hands finish a target without its scope.
    return target._replace(scope={})


def read_events(lab: Lab) -> tuple[IncidentRecord, list[TargetRecord], list[TimelineEvent]]:
    """The incident as it is recorded: itself, its targets, its events."""
    lab.record.open(
        {
            "incident_id": INCIDENT,
            "execution": "e",
            "mode": "auto",
            "severity": 8.0,
            "config_sha256": "",
        }
    )
    return lab.record.read(INCIDENT)
