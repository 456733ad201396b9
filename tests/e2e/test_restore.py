"""A person undoes a containment: the instance is what it was, but for what is listed; and closes
incidents.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from sandbox import cli, human_request
from sandbox.findings import Sent
from sandbox.seed import Victim
from sandbox.settings import SandboxError
from tests.e2e.e2e_checks import assert_contained, assert_network_closed
from tests.e2e.e2e_world import (
    MANNERS,
    MEMBER,
    PREFIX,
    SECURITY,
    Seen,
    World,
    actions,
    events,
)

APPROVE = "UnauthorizedAccess:EC2/TorClient"  # e2e.tfvars
FUNCTION = f"{PREFIX}-restore-ec2-instance"


def _alike(seen: Seen) -> Seen:
    """Leave out what AWS numbers anew, tags of AWS's own, and the snapshots, which stay as
    evidence.
    """
    passing = ("IamInstanceProfile", "StateTransitionReason", "UsageOperationUpdateTime", "Tags")
    instance = {name: value for name, value in seen.instance.items() if name not in passing}
    profile = seen.instance.get("IamInstanceProfile", {}).get("Arn")
    tags = {key: text for key, text in seen.tags.items() if not key.startswith("aws:")}
    return replace(
        seen,
        instance={**instance, "profile": profile},
        tags=tags,
        snapshots=[],
    )


def _lone(world: World) -> Victim:
    """Everything but an Auto Scaling group, of whose return a person decides."""
    return world.victim(in_asg=False)


def _contained(world: World, victim: Victim, sent: Sent) -> str:
    """The incident has contained the victim in every part; its id."""
    incident = world.settled(sent)
    assert_contained(world, victim, incident)
    return str(incident["incident_id"])


def test_restored_contained_again_and_restored_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = _lone(world)
    before = _alike(world.look(victim))
    event = world.finding(victim)
    sent = world.send(event)
    name = _contained(world, victim, sent)
    assert cli.main(["restore", name, "--json"]) == 0
    incident = json.loads(capsys.readouterr().out)
    assert incident["status"] == incident["targets"][0]["status"] == "RESTORED"
    assert _alike(world.look(victim)) == before
    [target] = incident["targets"]
    assert target["restored"]["not_restored"] == []
    assert target["restored"]["by"] == human_request.ASKER
    assert all(check["ok"] for check in target["checks"])
    done = {
        action
        for action, status in actions(incident).items()
        if action.startswith("restore_") and status == "DONE"
    }
    assert done == {
        "restore_network",
        "restore_profile",
        "restore_sessions",
        "restore_protection",
        "restore_target_groups",
        "restore_tags",
    }
    assert events(incident)[-2:] == ["restore asked", "restored"]
    [message] = [message for message in world.messages(sent) if message["event"] == "RESTORED"]
    assert victim.interfaces[0] in message["text"] and human_request.ASKER in message["text"]
    assert "RESTORED" not in world.notified(sent, "escalations")
    report = world.client("s3", SECURITY).get_object(
        Bucket=world.outputs["evidence_bucket"], Key=incident["report_key"]
    )
    assert "<h3>Restored</h3>" in report["Body"].read().decode()
    assert world.items(f"RESOURCE#{target['arn']}") == [], "the lease is given back"

    human_request.ask(world.known, incident)
    assert world.incident(name) == incident, "a second restore is a no-op"

    again = world.send(event, again=True)
    assert _contained(world, victim, again) == name
    assert human_request.ask(world.known, world.incident(name))["status"] == "RESTORED"
    assert _alike(world.look(victim)) == before


def test_auto_scaling_is_the_listed_exception(world: World) -> None:
    """Two interfaces, IPv6, a profile, behind a load balancer, in a group that has replaced it
    by now.
    """
    victim = world.victim()
    before = _alike(world.look(victim))
    sent = world.send(world.finding(victim))
    _contained(world, victim, sent)
    replacement = set(world.look(victim).targets)
    answer = human_request.ask(world.known, world.incident(sent))
    after = _alike(world.look(victim))
    assert after.scaling_group is None
    assert set(after.targets) == {victim.instance, *replacement}
    expected = replace(
        before,
        scaling_group=after.scaling_group,
        targets=after.targets,
    )
    assert after == expected
    assert answer["status"] == "RESTORE_PARTIAL"
    [text] = answer["not_restored"]
    assert f"aws autoscaling attach-instances --instance-ids {victim.instance}" in text
    [escalated] = [
        message
        for message in world.messages(sent, "escalations")
        if message["event"] == "RESTORE_PARTIAL"
    ]
    assert text in escalated["text"].split("Open tasks")[1]


def test_after_its_group_was_deleted(world: World) -> None:
    """An interface without its groups stays closed; the rest comes back."""
    victim = world.plain(interfaces=2)
    ec2, last = world.client("ec2"), victim.interfaces[1]
    extra = ec2.create_security_group(
        GroupName="extra",
        Description="extra",
        VpcId=victim.vpc,
    )["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=last, Groups=[extra])
    sent = world.send(world.finding(victim))
    world.settled(sent)
    assert_network_closed(world, victim)
    ec2.delete_security_group(GroupId=extra)
    time.sleep(MANNERS.get("stale_seconds", 0))  # else the restore still sees the group
    answer = human_request.ask(world.known, world.incident(sent))
    [text] = answer["not_restored"]
    assert answer["status"] == "RESTORE_PARTIAL"
    assert f"{last} stays in quarantine: its security group {extra} no longer exists" in text
    [group] = world.quarantine_groups(victim)
    assert world.look(victim).interfaces == {
        victim.interfaces[0]: [victim.security_group],
        last: [group],
    }


def test_half_contained(world: World) -> None:
    """The profile could not be taken, a volume not be kept: what was changed comes back, what
    was not is left.
    """
    victim = world.victim(in_asg=False, target_group=False)
    before = _alike(world.look(victim))
    world.fault(
        "ec2",
        "ReplaceIamInstanceProfileAssociation",
        "",
        error="UnauthorizedOperation",
    )
    world.fault(
        "ec2",
        "ModifyInstanceAttribute",
        victim.instance,
        error="UnauthorizedOperation",
    )
    sent = world.send(world.finding(victim))
    assert world.settled(sent)["status"] == "PARTIAL"
    world.mend()
    assert human_request.ask(world.known, world.incident(sent))["status"] == "RESTORED"
    assert _alike(world.look(victim)) == before


def test_the_restorer_can_only_be_used_by_its_function(world: World) -> None:
    role = f"arn:aws:iam::{MEMBER}:role/{PREFIX}-restorer-ec2-instance"
    for account in (SECURITY, MEMBER):
        with pytest.raises(Exception, match="AccessDenied"):
            world.client("sts", account).assume_role(RoleArn=role, RoleSessionName="somebody")


def test_close_and_what_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = world.send(world.finding(world.plain(), APPROVE))
    name = world.status(waiting, "AWAITING_APPROVAL")["incident_id"]
    for command in ("restore", "close"):
        assert cli.main([command, name]) == 1
        assert f"incident {name} is AWAITING_APPROVAL" in capsys.readouterr().err
    sent = world.send(world.finding(world.plain()))
    closed = world.settled(sent)["incident_id"]
    assert cli.main(["close", closed]) == 0
    assert f"{closed}  CLOSED" in capsys.readouterr().out
    assert world.notified(sent)[-1] == "CLOSED"
    with pytest.raises(SandboxError, match="is CLOSED: there is nothing in it to restore"):
        human_request.ask(world.known, world.incident(closed))
    got = world.client("lambda", SECURITY).invoke(
        FunctionName=FUNCTION, Payload=json.dumps({"incident_id": "i-1"})
    )
    assert "an incident is named like" in json.loads(got["Payload"].read())["errorMessage"]
    world.settled(waiting)
