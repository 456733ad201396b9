"""Forensics and evidence: what is collected beside, before and after containment, and what is
said where it cannot be.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import pytest

from sandbox import human_request
from tests.e2e.e2e_checks import assert_contained, assert_network_closed, kept, objects, outcome
from tests.e2e.e2e_world import SECURITY, Json, World, actions

WAITED_FOR = "Backdoor:EC2/C&CActivity.B"  # e2e.tfvars: 30 s
BRIEFLY = "Backdoor:EC2/DenialOfService.Udp"  # 6 s


def read(world: World, key: str) -> bytes:
    return bytes(
        world.client("s3", SECURITY)
        .get_object(Bucket=world.outputs["evidence_bucket"], Key=key)["Body"]
        .read()
    )


def at(incident: Json, event: str) -> datetime:
    [found] = [entry["at"] for entry in incident["timeline"] if entry["event"] == event]
    return datetime.fromisoformat(found)


def test_everything_is_kept_with_its_hash(world: World) -> None:
    victim = world.victim(flow_logs=True)
    incident = world.respond(victim)
    assert_contained(world, victim, incident)
    parts = kept(world, incident)
    assert {name: outcome(part) for name, part in parts.items()} == {
        "snapshots": "COMPLETE",
        "instance": "COMPLETE",
        "network_logs": "COMPLETE",
        "api_calls": "COMPLETE",
        "config_history": "NOT_POSSIBLE",
        "replacement": "COMPLETE",
        "copies": "SKIPPED",
        "held_sessions": "COMPLETE",
        "forensics": "SKIPPED",
        "manifest": "COMPLETE",
        "replication": "SKIPPED",
    }, {name: part["detail"] for name, part in parts.items()}
    everything = [stored for part in parts.values() for stored in objects(part)]
    assert len(everything) >= 6
    for stored in everything:
        assert hashlib.sha256(read(world, stored["key"])).hexdigest() == stored["sha256"], stored[
            "key"
        ]
    [own] = objects(parts["manifest"])
    manifest = json.loads(read(world, own["key"]))
    listed = {
        stored["key"]: stored["sha256"]
        for part in manifest["parts"].values()
        for stored in part["objects"]
    }
    assert listed == {
        stored["key"]: stored["sha256"] for stored in everything if stored["key"] != own["key"]
    }
    assert sorted(manifest["parts"]["snapshots"]["state"]["ids"]) == sorted(
        snapshot["SnapshotId"] for snapshot in world.snapshots(victim)
    )
    report = read(world, incident["report_key"]).decode()
    for text in (own["sha256"], own["key"], "guardduty-response-restore-ec2-instance"):
        assert text in report


def test_without_flow_logs_that_is_said_and_what_to_do(world: World) -> None:
    victim = world.plain()
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    part = kept(world, incident)["network_logs"]
    assert outcome(part) == "NOT_POSSIBLE"
    assert "create-flow-logs" in part["task"]
    assert "create-flow-logs" in world.messages(sent)[-1]["text"].split("Open tasks")[1]


def test_a_replacement_that_cannot_be_seen_is_an_open_task(world: World) -> None:
    victim = world.victim(flow_logs=True)
    world.fault(
        "autoscaling",
        "DescribeAutoScalingGroups",
        str(victim.auto_scaling_group),
        error="AccessDenied",
    )
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    assert incident["targets"][0]["status"] == "CONTAINED"
    assert actions(incident)["replacement"] == "FAILED"


# -- forensics before containment ------------------------------------------------------------------


def test_forensics_comes_before_containment_within_its_deadline(world: World) -> None:
    """The sandbox's guest runs the document's script on this machine, under the collector's
    enforced rights.
    """
    victim = world.plain()
    incident = world.respond(victim, WAITED_FOR)
    assert_network_closed(world, victim)
    part = kept(world, incident)["forensics"]
    assert outcome(part) == "COMPLETE", part["detail"]
    found = {stored["key"].rsplit("/", 1)[-1]: stored for stored in objects(part)}
    assert {
        "processes.txt",
        "network.txt",
        "users.txt",
        "modules.txt",
        "jobs.txt",
        "commands.txt",
    } <= set(found)
    assert b"our own: " in read(world, found["commands.txt"]["key"])
    for item in found.values():
        assert hashlib.sha256(read(world, item["key"])).hexdigest() == item["sha256"]
    assert datetime.fromisoformat(part["since"]) < at(incident, "changes made")
    assert "X-Amz-" not in json.dumps(world.items(f"INCIDENT#{incident['incident_id']}")), (
        "presigned URLs are secrets"
    )


@pytest.mark.parametrize(
    ("trait", "ended"), [("offline", "NOT_POSSIBLE"), ("none", "NOT_POSSIBLE"), ("fail", "FAILED")]
)
def test_forensics_that_cannot_be_is_said_and_delays_nothing(
    world: World, trait: str, ended: str
) -> None:
    victim = world.plain(tags={"sandbox:ssm": trait})
    incident = world.respond(victim, WAITED_FOR)
    assert_network_closed(world, victim)
    assert incident["status"] == "CONTAINED"
    assert outcome(kept(world, incident)["forensics"]) == ended
    assert (at(incident, "changes made") - at(incident, "opened")).total_seconds() < 20


def test_a_hanging_agent_holds_containment_up_to_the_deadline_and_no_longer(world: World) -> None:
    """The command never ends. The verdict is out soon after the deadline, while the command is
    still under way.
    """
    victim = world.plain(tags={"sandbox:ssm": "hang"})
    sent = world.send(world.finding(victim, BRIEFLY))
    incident = world.status(sent, "CONTAINED")
    assert_network_closed(world, victim)
    waited = (at(incident, "changes made") - at(incident, "opened")).total_seconds()
    assert 5 <= waited < 16, "the deadline is 6 s; what is above it is this machine"
    assert outcome(kept(world, incident)["forensics"]) == "RUNNING"


def test_systems_manager_that_does_not_answer_holds_nothing_up(world: World) -> None:
    """Every call of it hangs for longer than the deadline: the machine goes on by itself."""
    victim = world.plain()
    world.fault(
        "ssm",
        "DescribeInstanceInformation",
        victim.instance,
        latency_ms=30000,
    )
    sent = world.send(world.finding(victim, BRIEFLY))
    incident = world.status(sent, "CONTAINED")
    assert (at(incident, "changes made") - at(incident, "opened")).total_seconds() < 16


# -- again -----------------------------------------------------------------------------------------


def test_contained_again_after_a_restore_a_new_set_is_made(world: World) -> None:
    victim = world.plain()
    event = world.finding(victim)
    sent = world.send(event)
    first = world.settled(sent)
    before = {snapshot["SnapshotId"] for snapshot in world.snapshots(victim)}
    human_request.ask(world.known, first, close=False)
    again = world.settled(world.send(event, again=True))
    assert again["status"] == "CONTAINED"
    made = {snapshot["SnapshotId"] for snapshot in world.snapshots(victim)}
    assert len(made) == 2 * len(before) == 2 * len(victim.volumes)
    assert before < made
