"""What contained means, read from the resources themselves, and what a person and the record say
about it.
"""

from __future__ import annotations

from sandbox.findings import Sent
from sandbox.seed import Victim
from tests.e2e.e2e_world import EVIDENCE, PREFIX, Json, Seen, World, actions


def assert_network_closed(world: World, victim: Victim) -> Seen:
    """Every interface carries the VPC's one quarantine group alone, and that group has no rule,
    IPv4 or IPv6.
    """
    seen = world.look(victim)
    [group] = world.quarantine_groups(victim)
    assert seen.interfaces, "the instance has interfaces"
    assert set(victim.interfaces) <= set(seen.interfaces)
    assert all(groups == [group] for groups in seen.interfaces.values()), seen.interfaces
    assert seen.rules == {group: []}
    return seen


def assert_untouched(world: World, victim: Victim, before: Seen) -> None:
    """Nothing about the instance changed."""
    seen = world.look(victim)
    assert seen == before
    assert world.quarantine_groups(victim) == []


def deny(victim: Victim) -> Json:
    """The policy that ends this instance's sessions of its role, and nobody else's."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringLike": {"aws:userid": [f"*:{victim.instance}"]}},
            }
        ],
    }


def assert_contained(world: World, victim: Victim, incident: Json) -> Seen:
    """The whole default containment of an instance of whatever traits, and the incident that
    says so.
    """
    assert incident["status"] == "CONTAINED", incident  # first: its reasons and ledger tell why not
    seen = assert_network_closed(world, victim)
    policies = {f"{PREFIX}-sessions": deny(victim)} if victim.role else {}
    assert {
        name: document for name, document in seen.role_policies.items() if name != "workload"
    } == policies
    assert bool(victim.role) == ("workload" in seen.role_policies), (
        "what the role may do is left as it was"
    )
    assert seen.profile == (f"{PREFIX}-quarantine" if victim.role else None)
    assert seen.scaling_group is None
    assert seen.targets.get(victim.instance) in (None, "draining")
    assert seen.attributes == {
        "disableApiTermination": True,
        "instanceInitiatedShutdownBehavior": "stop",
    }
    assert set(seen.keeps_volumes.values()) == {True}
    assert (seen.tags[PREFIX], seen.tags[f"{PREFIX}-incident"]) == (
        "quarantined",
        incident["incident_id"],
    )
    assert_snapshots(victim, incident, seen)
    _assert_incident(victim, incident)
    return seen


def changed(incident: Json) -> set[str]:
    """Returns the actions that changed the instance. Leaving the Auto Scaling group may deregister
    it before the response does: then that action found it done.
    """
    statuses = actions(incident)
    done = {name for name, status in statuses.items() if status == "DONE"} - EVIDENCE
    if statuses.get("deregister_targets") == "ALREADY" and "detach_auto_scaling" in done:
        done.add("deregister_targets")
    return done


def assert_snapshots(victim: Victim, incident: Json, seen: Seen) -> None:
    """One completed, tagged snapshot of every volume, for each containment."""
    tagged = [
        ({tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}, snapshot["VolumeId"])
        for snapshot in seen.snapshots
    ]
    for containment in {tags[f"{PREFIX}-containment"] for tags, _ in tagged}:
        assert sorted(
            id for tags, id in tagged if tags[f"{PREFIX}-containment"] == containment
        ) == sorted(victim.volumes)
    assert {snapshot["State"] for snapshot in seen.snapshots} == {"completed"}
    for snapshot in seen.snapshots:
        tags = {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}
        assert (tags[f"{PREFIX}-incident"], tags[f"{PREFIX}-instance"]) == (
            incident["incident_id"],
            victim.instance,
        )


def _assert_incident(victim: Victim, incident: Json) -> None:
    assert (incident["status"], incident["mode"], incident["decision"]) == (
        "CONTAINED",
        "auto",
        "act",
    )
    assert (incident["account_id"], incident["region"]) == (victim.account, victim.region)
    [target] = incident["targets"]
    assert (
        target["arn"] == f"arn:aws:ec2:{victim.region}:{victim.account}:instance/{victim.instance}"
    )
    assert (target["kind"], target["id"], target["status"]) == (
        "ec2_instance",
        victim.instance,
        "CONTAINED",
    )
    assert all(check["ok"] for check in target["checks"]), target["checks"]
    assert "FAILED" not in actions(incident).values(), target["actions"]
    assert "PLANNED" not in actions(incident).values(), target["actions"]
    assert incident["timeline"][0]["event"] == "opened"


def assert_told_contained(world: World, sent: Sent | str) -> None:
    """Start, verdict, and what came after it; nobody is woken."""
    assert world.notified(sent) == ["started", "CONTAINED", "closing"]
    assert world.notified(sent, "escalations") == []


def kept(world: World, incident: Json) -> dict[str, Json]:
    """Part -> how it ended, as the record has it."""
    [target] = world.incident(incident["incident_id"])["targets"]
    return {name: part for name, part in target["evidence"].items() if "outcome" in part}


def outcome(part: Json) -> str:
    return str(part["outcome"])


def objects(part: Json) -> list[dict[str, str]]:
    return [{name: str(value) for name, value in stored.items()} for stored in part["objects"]]
