"""Accounts and Regions: a finding is answered where it says, and nothing elsewhere notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox import cli, human_request, settings, undo_containment
from sandbox.seed import Victim
from tests.e2e.e2e_checks import assert_contained, assert_network_closed, kept, outcome
from tests.e2e.e2e_world import AWAY, HOME, MEMBER, MEMBER_B, PREFIX, SECURITY, Json, World, events

WITH_FORENSICS = "Backdoor:EC2/C&CActivity.B"  # e2e.tfvars
BUS = f"arn:aws:events:{HOME}:{SECURITY}:event-bus/default"


def _undelivered(world: World, account: str, region: str) -> list[Json]:
    """What lies in the queue of a Region's forwarder, taken out: {body, attribute: value}."""
    sqs = world.client("sqs", account, region)
    url = sqs.get_queue_url(QueueName=f"{PREFIX}-undelivered")["QueueUrl"]
    found = []
    while some := sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages"):
        for letter in some:
            said = {
                name: value["StringValue"] for name, value in letter["MessageAttributes"].items()
            }
            found.append({**said, "body": json.loads(letter["Body"])})
            sqs.delete_message(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"])
    return found


def _envelope(world: World, incident: Json) -> Json:
    """The event as the machine got it: what is kept of it in the bucket."""
    [meta] = [
        record
        for record in world.items(f"INCIDENT#{incident['incident_id']}")
        if record["sk"]["S"] == "META"
    ]
    key, bucket = meta["finding_key"]["S"], world.outputs["evidence_bucket"]
    found: Json = json.loads(
        world.client("s3", SECURITY).get_object(Bucket=bucket, Key=key)["Body"].read()
    )
    return found


def _assumed(world: World, account: str) -> set[str]:
    """Names of the response's roles that somebody assumed in an account, by its CloudTrail."""
    world.clock(lookups=0)
    pages = (
        world.client("cloudtrail", account)
        .get_paginator("lookup_events")
        .paginate(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRole"}])
    )
    calls = [json.loads(call["CloudTrailEvent"]) for page in pages for call in page["Events"]]
    world.clock(lookups=2)
    arns = [str(call["requestParameters"]["roleArn"]) for call in calls]
    return {arn.rsplit("/", 1)[-1] for arn in arns if f":{account}:" in arn and PREFIX in arn}


# -- the right one, and no other -------------------------------------------------------------------


def test_contained_in_the_second_region_and_nothing_elsewhere_is_touched(world: World) -> None:
    """The finding comes to the security account's bus there, from where it is sent home."""
    victim = world.victim(region=AWAY, flow_logs=True)
    others = [
        world.victim(account, region=region, in_asg=False)
        for account, region in ((MEMBER, HOME), (MEMBER_B, HOME), (MEMBER_B, AWAY))
    ]
    before, roles = [world.look(other) for other in others], _assumed(world, MEMBER_B)
    sent = world.send(world.finding(victim, WITH_FORENSICS))
    incident = world.settled(sent)
    seen = assert_contained(world, victim, incident)
    assert world.notified(sent)[:2] == ["started", "CONTAINED"]

    for other, was in zip(
        others,
        before,
        strict=True,
    ):
        assert world.look(other) == was
        assert world.quarantine_groups(other) == []
    assert _assumed(world, MEMBER_B) == roles, "not even looked at"
    assert f"{PREFIX}-responder-ec2-instance" in _assumed(world, MEMBER)

    # What containment makes is where the instance is: the group, the snapshots. IAM is one for the
    # account.
    [group] = world.quarantine_groups(victim)
    at_home = world.client("ec2").describe_security_groups()["SecurityGroups"]
    assert group not in [snapshot["GroupId"] for snapshot in at_home]
    assert {snapshot["SnapshotId"] for snapshot in seen.snapshots}.isdisjoint(
        snapshot["SnapshotId"]
        for snapshot in world.client("ec2").describe_snapshots(OwnerIds=[MEMBER])["Snapshots"]
    )
    assert victim.instance in json.dumps(seen.role_policies)

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
        "forensics": "COMPLETE",
        "manifest": "COMPLETE",
        "replication": "SKIPPED",
    }, {name: part["detail"] for name, part in parts.items()}
    envelope = _envelope(world, incident)
    assert (envelope["account"], envelope["region"]) == (SECURITY, AWAY)
    verdict = next(message for message in world.messages(sent) if message["event"] == "CONTAINED")
    assert MEMBER in verdict["text"] and AWAY in verdict["text"]


def test_the_envelope_says_another_region_than_the_finding(world: World) -> None:
    """The security account and the home Region in the envelope: where the finding is, says the
    finding alone.
    """
    victim = world.plain(region=AWAY)
    event = world.finding(victim)
    event.region = HOME
    incident = world.settled(world.send(event))
    assert_contained(world, victim, incident)
    envelope = _envelope(world, incident)
    assert (envelope["account"], envelope["region"]) == (SECURITY, HOME)
    assert (envelope["detail"]["accountId"], envelope["detail"]["region"]) == (MEMBER, AWAY)


@pytest.mark.parametrize("region", settings.REGIONS)
def test_the_other_member_is_contained_in_itself(world: World, region: str) -> None:
    victim, other = world.plain(account=MEMBER_B, region=region), world.plain(region=region)
    before = world.look(other)
    assert_contained(world, victim, world.respond(victim))
    assert world.look(other) == before


def test_restored_in_the_second_region(world: World) -> None:
    victim = world.victim(
        MEMBER_B,
        region=AWAY,
        in_asg=False,
        target_group=False,
    )
    before = world.look(victim).interfaces
    incident = world.respond(victim)
    assert_network_closed(world, victim)
    assert human_request.ask(world.known, incident)["status"] == "RESTORED"
    seen = world.look(victim)
    assert (seen.interfaces, seen.profile) == (before, victim.instance_profile)


@pytest.mark.parametrize("region", settings.REGIONS)
def test_an_account_without_the_roles_is_named_with_what_to_do(world: World, region: str) -> None:
    """In the organization, with a finding like any other; modules/responder-role was never
    deployed there.
    """
    victim = world.plain(account=settings.NEW_ACCOUNT, region=region)
    before = world.look(victim)
    sent = world.send(world.finding(victim))
    incident = world.settled(sent)
    assert (incident["status"], incident["account_id"], incident["region"]) == (
        "FAILED",
        settings.NEW_ACCOUNT,
        region,
    )
    named = (settings.NEW_ACCOUNT, f"{PREFIX}-responder-ec2-instance", "modules/responder-role")
    for part in named:
        assert part in incident["reasons"][-1]
    assert world.notified(sent) == ["FAILED"]
    [woken] = world.messages(sent, "escalations")
    for part in named:
        assert part in woken["text"]
    assert world.look(victim) == before


def test_the_command_line_sends_to_a_region(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = world.plain(region=AWAY)
    file = str(
        settings.ROOT
        / "tests"
        / "fixtures"
        / "findings"
        / "cryptocurrency_ec2_bitcointool_b_dns.json"
    )
    bound = ["--bind", f"instance={victim.instance}"]
    exit_code = cli.main(["send", file, *bound, "--region", AWAY, "--wait", "--json"])
    assert exit_code == 0
    incident = json.loads(capsys.readouterr().out)
    assert (incident["status"], incident["region"]) == ("CONTAINED", AWAY)
    assert_network_closed(world, victim)
    assert cli.main(["send", file, "--region", "mars-north-1"]) == 1
    assert "no Region mars-north-1" in capsys.readouterr().err


# -- undone there ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("account", "region"), [(MEMBER, AWAY), (MEMBER_B, HOME)])
def test_undone_there_it_is_contained_again_by_the_forwarded_event(
    world: World, account: str, region: str
) -> None:
    """CloudTrail -> the member's bus in that Region -> its rule -> the security account's bus at
    home. No schedule runs.
    """
    victim: Victim = world.plain(account=account, region=region)
    name = str(world.respond(victim)["incident_id"])
    world.clock(trail=1)
    done = undo_containment.undo(world.known, world.incident(name))

    def again() -> Json | None:
        found = world.incident(name)
        notified = found["targets"][0].get("breach") or {}
        return found if found["status"] == "CONTAINED" and notified.get("ended") else None

    incident = world.until(again, f"{name} is contained again")
    world.clock(trail=0)
    world.quiet(name)
    assert_network_closed(world, victim)
    assert [actor["who"] for actor in incident["targets"][0]["breach"]["by"]] == [done.who]
    assert {"verdict BREACHED", "contained again", "verdict CONTAINED"} <= set(events(incident))
    assert world.notified(name).count("BREACHED") == 1
    [escalated] = [
        message for message in world.messages(name, "escalations") if message["event"] == "BREACHED"
    ]
    assert done.who in escalated["text"] and account in escalated["text"]
    human_request.ask(
        world.known,
        world.incident(name),
        close=True,
    )


# -- when the way home is cut ----------------------------------------------------------------------


@contextmanager
def _without_the_right(world: World) -> Iterator[None]:
    """The forwarder's role of the second Region may send nothing meanwhile."""
    iam, role = world.client("iam", SECURITY), f"{PREFIX}-forwarder-{AWAY}"
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName=name)
    try:
        yield
    finally:
        iam.put_role_policy(
            RoleName=role,
            PolicyName=name,
            PolicyDocument=json.dumps(document),
        )


@contextmanager
def _without_the_bus_policy(world: World) -> Iterator[None]:
    bus = world.client("events", SECURITY)
    policy = bus.describe_event_bus()["Policy"]
    bus.remove_permission(RemoveAllPermissions=True)
    try:
        yield
    finally:
        bus.put_permission(Policy=policy)


def test_a_finding_that_is_not_sent_home_lies_in_its_regions_queue(world: World) -> None:
    """And an alarm of that Region looks at the queue; nothing is lost, nothing is done."""
    victim = world.plain(region=AWAY)
    before, event = world.look(victim), world.finding(victim)
    with _without_the_right(world):
        world.send(event)
    [found] = _undelivered(world, SECURITY, AWAY)
    rule = f"arn:aws:events:{AWAY}:{SECURITY}:rule/{PREFIX}-forward-findings"
    assert (found["ERROR_CODE"], found["RULE_ARN"], found["TARGET_ARN"]) == (
        "NO_PERMISSIONS",
        rule,
        BUS,
    )
    assert found["body"]["detail"]["id"] == event.detail["id"]
    assert world.incidents.find(world.incident_id(event)) is None
    assert world.look(victim) == before
    alarms = world.client(
        "cloudwatch",
        SECURITY,
        AWAY,
    ).describe_alarms(AlarmNamePrefix=PREFIX)["MetricAlarms"]
    [watching] = [alarm for alarm in alarms if alarm["Namespace"] == "AWS/SQS"]
    assert watching["Dimensions"] == [{"Name": "QueueName", "Value": f"{PREFIX}-undelivered"}]
    assert_contained(
        world,
        victim,
        world.settled(world.send(event)),
    )  # once the way is open again


def test_a_change_that_the_home_bus_refuses_lies_in_the_members_queue(world: World) -> None:
    victim = world.plain(region=AWAY)
    name = str(world.respond(victim)["incident_id"])
    with _without_the_bus_policy(world):
        world.clock(trail=1)
        done = undo_containment.undo(world.known, world.incident(name))
        found = world.until(
            lambda: _undelivered(
                world,
                MEMBER,
                AWAY,
            ),
            "the change is in the queue",
        )
        world.clock(trail=0)
    assert found[0]["ERROR_CODE"] == "NO_PERMISSIONS"
    assert BUS in found[0]["ERROR_MESSAGE"]
    assert found[0]["body"]["detail"]["requestParameters"]["networkInterfaceId"] == done.interface
    assert world.incident(name)["status"] == "CONTAINED", "nobody told"
    human_request.ask(
        world.known,
        world.incident(name),
        close=True,
    )
