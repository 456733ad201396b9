"""What a thief did with the credential is listed, undone where that can be undone again, and
named where it cannot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from sandbox import human_request, seed_iam
from sandbox.seed_iam import Mischief
from tests.e2e.credential_world import People
from tests.e2e.e2e_world import MEMBER, SECURITY, Json, World, actions


def _state(world: World, iam: People, done: Mischief) -> Json:
    ec2 = world.client("ec2")
    [instance] = [
        member
        for group in ec2.describe_instances(InstanceIds=[done.instance])["Reservations"]
        for member in group["Instances"]
    ]
    rules = ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [done.group]}]
    )["SecurityGroupRules"]
    return {
        "denied": "AWSDenyAll" in iam.seen(done.user)["attached"],
        "administrator": "AdministratorAccess" in iam.seen(done.user)["attached"],
        "key works": iam.works(done.access_key),
        "instance": instance["State"]["Name"],
        "ssh open to the world": any(
            rule.get("CidrIpv4") == "0.0.0.0/0" and rule.get("FromPort") == 22 for rule in rules
        ),
        "trail logs": world.client("cloudtrail").get_trail_status(Name=done.trail)["IsLogging"],
        "key": world.client("kms").describe_key(KeyId=done.kms_key)["KeyMetadata"]["KeyState"],
    }


@pytest.fixture
def thief(world: World, iam: People) -> Iterator[tuple[seed_iam.User, Mischief]]:
    """A user, and what was done with its key. Its trail goes afterwards: instances' evidence is
    read from every trail.
    """
    user = iam.user()
    done = seed_iam.mischief(world.aws, user.keys[0], MEMBER)
    yield user, done
    world.client("cloudtrail").delete_trail(Name=done.trail)


def test_what_it_did_is_undone_and_the_rest_is_named(
    world: World, iam: People, thief: tuple[seed_iam.User, Mischief]
) -> None:
    user, done = thief
    assert _state(world, iam, done) == {
        "denied": False,
        "administrator": True,
        "key works": True,
        "instance": "running",
        "ssh open to the world": True,
        "trail logs": False,
        "key": "PendingDeletion",
    }
    sent = world.send(iam.about(user))
    incident = world.settled(sent)
    assert incident["status"] == "CONTAINED", incident
    assert _state(world, iam, done) == {
        "denied": True,
        "administrator": False,
        "key works": False,
        "instance": "stopped",
        "ssh open to the world": False,
        "trail logs": True,
        "key": "PendingDeletion",
    }
    [target] = incident["targets"]
    left = target["evidence"]["remediation"]["state"]["left"]
    [key] = [remaining for remaining in left if "ScheduleKeyDeletion" in remaining]
    assert done.kms_key in key and "aws kms cancel-key-deletion" in key and user.name in key
    [closing] = [message for message in world.messages(sent) if message["event"] == "closing"]
    assert key[:100] in closing["text"], "people are told what is left"
    assert actions(incident)["actions"] == "DONE"
    bucket, listed = world.outputs["evidence_bucket"], target["evidence"]["actions"]
    summary = next(
        stored["key"] for stored in listed["objects"] if stored["key"].endswith("summary.json")
    )
    document = json.loads(
        world.client("s3", SECURITY).get_object(Bucket=bucket, Key=summary)["Body"].read()
    )
    assert "CreateUser" in json.dumps(document) and seed_iam.THIEF in json.dumps(document)
    report = (
        world.client("s3", SECURITY)
        .get_object(Bucket=bucket, Key=incident["report_key"])["Body"]
        .read()
        .decode()
    )
    assert "ScheduleKeyDeletion" in report

    human_request.ask(world.known, incident)
    assert _state(world, iam, done) == {
        "denied": False,
        "administrator": True,
        "key works": True,
        "instance": "running",
        "ssh open to the world": True,
        "trail logs": True,
        "key": "PendingDeletion",
    }, "a false alarm: everything as it was but for what stays on by choice"
    restored = world.incident(sent)
    assert restored["status"] == "RESTORE_PARTIAL"
    assert [
        "trail" in restored_item.lower()
        for restored_item in restored["targets"][0]["restored"]["not_restored"]
    ] == [True]
