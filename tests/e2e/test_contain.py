"""Instances of every kind are contained, and the incident says what is true of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.findings import Sent
from sandbox.seed import Network, Victim
from tests.e2e.e2e_checks import (
    assert_contained,
    assert_network_closed,
    assert_told_contained,
    changed,
)
from tests.e2e.e2e_world import (
    MANNERS,
    MEMBER,
    MINING,
    PREFIX,
    SECURITY,
    Json,
    World,
    actions,
    events,
)

Together = Callable[
    [dict[str, tuple[dict[str, Any], dict[str, Any]]]], dict[str, tuple[Victim, Sent]]
]

TRAITS: dict[str, dict[str, Any]] = {
    "1 interface": {"interfaces": 1},
    "3 interfaces": {"interfaces": 3},
    "no profile": {"profile_attached": False},
    "in no Auto Scaling group": {"in_asg": False},
    "behind nothing": {"target_group": False, "elastic_ip": False},
    "IPv4 VPC": {"ipv6": False},
    "stopped": {"stopped": True, "in_asg": False},
    "alone": {
        "profile_attached": False,
        "in_asg": False,
        "target_group": False,
        "elastic_ip": False,
        "interfaces": 1,
    },
}


@pytest.fixture(scope="module")
def crowd(together: Together) -> dict[str, tuple[Victim, Sent]]:
    """One victim of each kind, all found mining at the same moment."""
    return together({name: (traits, {}) for name, traits in TRAITS.items()})


@pytest.mark.parametrize("name", TRAITS)
def test_contained_whatever_its_traits(
    world: World, crowd: dict[str, tuple[Victim, Sent]], name: str
) -> None:
    victim, sent = crowd[name]
    seen = assert_contained(
        world,
        victim,
        world.settled(sent),
    )
    assert seen.state == ("stopped" if name == "stopped" else "running")
    assert_told_contained(world, sent)


def test_everything_at_once_and_nothing_beside_it(world: World) -> None:
    """Two interfaces, IPv6, a profile, an Auto Scaling group behind a target group; the
    replacement stays in service.
    """
    victim = world.victim()
    before = world.look(victim)
    assert before.rules[victim.security_group], "it was open before"
    sent = world.send(world.finding(victim))
    ended = world.ended(sent)
    incident = world.incident(sent)
    seen = assert_contained(world, victim, incident)
    assert seen.addresses == before.addresses, "the Elastic IP stays, unless switched on"
    assert changed(incident) == {
        "quarantine_network",
        "strip_group_rules",
        "protect_instance",
        "replace_instance_profile",
        "revoke_sessions",
        "detach_auto_scaling",
        "deregister_targets",
        "tag_instance",
        "snapshot",
        f"tag_denied_role {victim.role}",
    }, actions(incident)

    [group] = world.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[victim.auto_scaling_group]
    )["AutoScalingGroups"]
    [replacement] = group["Instances"]
    assert replacement["InstanceId"] != victim.instance
    assert group["DesiredCapacity"] == 1, "the capacity is not lowered"
    [shown] = world.client("ec2").describe_instances(InstanceIds=[replacement["InstanceId"]])[
        "Reservations"
    ][0]["Instances"]
    assert [group["GroupId"] for group in shown["SecurityGroups"]] == [victim.security_group]
    assert shown["IamInstanceProfile"]["Arn"] == victim.instance_profile_arn
    assert list(seen.targets) == [replacement["InstanceId"]]

    if MANNERS:
        return  # it verifies more often
    polls = len([state for state, _ in ended["incident"].news() if state == "WaitForPhase"])
    assert ended["incident"].transitions() - 4 * polls <= 16, (
        "and four for every further look at pending snapshots"
    )
    notice = ended["notice"]
    world.until(lambda: notice.status() != "RUNNING", "the notice machine has looked")
    assert notice.transitions() == 6, "it finds the claim, and leaves it to the other"


def test_the_record_says_how_it_was(world: World) -> None:
    """What restore needs is written before anything changes, and what a person needs is in the
    bucket and the message.
    """
    victim = world.victim()
    before = world.look(victim)
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    name = incident["incident_id"]
    [target] = incident["targets"]
    was = target["before"]
    kept = {id: interface["groups"] for id, interface in was["network"]["interfaces"].items()}
    assert kept == before.interfaces
    assert was["profile"]["name"] == victim.instance_profile
    assert was["auto_scaling"]["group"] == victim.auto_scaling_group
    assert was["target_groups"][0]["arn"] == victim.target_group
    assert was["protection"]["DisableApiTermination"] is False

    s3 = world.client("s3", SECURITY)
    keys = [
        stored["Key"]
        for stored in s3.list_objects_v2(
            Bucket=world.outputs["evidence_bucket"], Prefix=f"incidents/{name}/"
        )["Contents"]
    ]
    assert incident["report_key"] in keys
    assert len([key for key in keys if "/finding-" in key]) == 1
    report = (
        s3.get_object(Bucket=world.outputs["evidence_bucket"], Key=incident["report_key"])["Body"]
        .read()
        .decode()
    )
    assert victim.instance in report and "<script src" not in report
    verdict = next(message for message in world.messages(sent) if message["event"] == "CONTAINED")
    for part in (victim.instance, MEMBER, MINING, name, "every interface closed for IPv4 and IPv6"):
        assert part in verdict["text"]
    assert verdict["severity"] == "8", "people may filter"
    assert world.items(f"RESOURCE#{incident['targets'][0]['arn']}") == [], "the lease is given back"


def _times(target: Json) -> dict[str, str]:
    """Action -> when it changed something."""
    return {
        action["name"]: action["at"] for action in target["actions"] if action["status"] == "DONE"
    }


def test_already_quarantined(world: World) -> None:
    """A second, different finding about a contained instance finds everything as it should be,
    and changes nothing.
    """
    victim = world.victim()
    first = world.respond(victim)
    before = world.look(victim)
    second = world.respond(victim, "Backdoor:EC2/C&CActivity.B!DNS")
    assert first["incident_id"] != second["incident_id"]
    assert (second["status"], second["targets"][0]["status"]) == ("CONTAINED", "CONTAINED")
    [contained], [joined] = first["targets"], second["targets"]
    assert joined["before"] == contained["before"], "the state before is the first one's"
    assert joined["evidence"]["snapshots"] == contained["evidence"]["snapshots"], "no second set"
    before_it, after_it = _times(contained), _times(joined)
    again = {name for name, at in after_it.items() if at != before_it.get(name)}
    assert again <= {"api_calls", "network_logs", "manifest"}, "logs are read on, no more"
    assert after_it.keys() == before_it.keys()
    assert "FAILED" not in actions(second).values()
    after = assert_network_closed(world, victim)
    assert (after.interfaces, after.profile, after.attributes) == (
        before.interfaces,
        before.profile,
        before.attributes,
    )
    assert set(after.role_policies) == {"workload", f"{PREFIX}-sessions"}


def test_a_group_with_rules_is_emptied(world: World) -> None:
    """Somebody opened the quarantine group of the VPC, IPv4 and IPv6, in and out: its rules go."""
    victim = world.plain()
    world.respond(victim)
    [group] = world.quarantine_groups(victim)
    ec2 = world.client("ec2")
    open_to_all = [
        {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
        },
    ]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=open_to_all)
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=open_to_all)
    another = world.plain(
        within=Network(
            victim.vpc,
            victim.subnets,
            victim.security_group,
            True,
        )
    )
    incident = world.respond(another)
    assert incident["status"] == "CONTAINED"
    assert actions(incident)["strip_group_rules"] == "DONE"
    assert_network_closed(world, another)


def test_requester_managed_interface_makes_it_partial(world: World) -> None:
    """An interface that only an AWS service may change stays open: never more is claimed than
    was seen.
    """
    victim = world.victim(
        interfaces=2,
        requester_managed=True,
        in_asg=False,
        target_group=False,
    )
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    seen = world.look(victim)
    [group] = world.quarantine_groups(victim)
    assert seen.interfaces[victim.interfaces[0]] == [group]
    assert seen.interfaces[victim.interfaces[1]] == [victim.security_group]
    assert incident["status"] == incident["targets"][0]["status"] == "PARTIAL"
    assert victim.interfaces[1] in incident["targets"][0]["verdict"]
    [escalated] = [
        message for message in world.messages(sent, "escalations") if message["event"] == "PARTIAL"
    ]
    assert victim.interfaces[1] in escalated["text"].split("Open tasks")[1]


@pytest.mark.parametrize("error", ["InternalFailure", "ThrottlingException"])
def test_systems_manager_is_not_needed(world: World, error: str) -> None:
    """SSM absent, or throttled without end."""
    world.fault(
        "ssm",
        "*",
        "",
        error=error,
    )
    victim = world.victim(interfaces=1)
    assert_contained(world, victim, world.respond(victim))


# What real findings lack (docs name the paths): only the instance id is taken from a finding,
# everything else is looked up.
FIELDS: dict[str, dict[str, Any]] = {
    "no network interfaces": {"resource__instanceDetails__networkInterfaces": ...},
    "interfaces without ids": {
        "resource__instanceDetails__networkInterfaces": [{"privateIpAddress": "10.20.0.31"}]
    },
    "null profile": {"resource__instanceDetails__iamInstanceProfile": None},
    "no account, but an ARN": {"accountId": ...},
    "no Region, no partition": {"region": ..., "partition": ...},
    "severity and archived as text": {"severity": "8", "service__archived": "false"},
    "no action": {"service__action": {}},
    "a service of two fields": {"service": {"serviceName": "guardduty", "detectorId": "0"}},
}
PLAIN = {
    "profile_attached": False,
    "in_asg": False,
    "target_group": False,
    "elastic_ip": False,
    "interfaces": 1,
}


@pytest.fixture(scope="module")
def sparse(together: Together) -> dict[str, tuple[Victim, Sent]]:
    return together({name: (PLAIN, changes) for name, changes in FIELDS.items()})


@pytest.mark.parametrize("name", FIELDS)
def test_fields_missing(world: World, sparse: dict[str, tuple[Victim, Sent]], name: str) -> None:
    victim, sent = sparse[name]
    output = json.loads(world.ended(sent)["incident"].describe()["output"])
    assert_contained(
        world,
        victim,
        world.incident(output["incident_id"]),
    )


def test_timeline_tells_the_story(world: World) -> None:
    incident = world.respond(world.plain())
    notified = events(incident)
    assert (notified[0], notified[-1]) == ("opened", "ended")
    assert notified.count("announced") == notified.count("verdict CONTAINED") == 1
    assert [entry["at"] for entry in incident["timeline"]] == sorted(
        entry["at"] for entry in incident["timeline"]
    )
