"""Two thousand containments are checked beside a containment, which takes no longer for it."""

from __future__ import annotations

import json
import secrets
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from sandbox.seed import Victim
from tests.e2e.e2e_world import SECURITY, Json, World

pytestmark = pytest.mark.proof  # minutes: some ten thousand calls
COUNT, AT_ONCE = 2000, 250
RUNS = 5  # containments with checks beside them, and as many without
AT_MOST = 1.05  # times as long


def _instances(world: World, like: Victim, count: int) -> list[tuple[str, str]]:
    """Starts instances as containment has left one; (instance, interface) of each."""
    ec2 = world.client("ec2")
    described = ec2.describe_instances(InstanceIds=[like.instance])
    [shown] = described["Reservations"][0]["Instances"]
    kept = {"VolumeSize": 8, "DeleteOnTermination": False}
    found: list[tuple[str, str]] = []
    while len(found) < count:
        number = min(AT_ONCE, count - len(found))
        made = ec2.run_instances(
            ImageId=shown["ImageId"],
            InstanceType=shown["InstanceType"],
            MinCount=number,
            MaxCount=number,
            DisableApiTermination=True,
            InstanceInitiatedShutdownBehavior="stop",
            BlockDeviceMappings=[
                {"DeviceName": disk["DeviceName"], "Ebs": kept}
                for disk in shown["BlockDeviceMappings"]
            ],
            NetworkInterfaces=[
                {
                    "DeviceIndex": 0,
                    "SubnetId": like.subnet,
                    "Groups": [group["GroupId"] for group in shown["SecurityGroups"]],
                }
            ],
        )["Instances"]
        found += [
            (instance["InstanceId"], instance["NetworkInterfaces"][0]["NetworkInterfaceId"])
            for instance in made
        ]
    return found


def _copies(world: World, name: str, like: Victim, count: int) -> dict[str, str]:
    """Contains ``count`` more instances by copies of a record; incident -> ARN."""
    incident = world.incident(name)
    arn = str(incident["targets"][0]["arn"])
    stored = [*world.items(f"INCIDENT#{name}"), *world.items(f"CONTAINMENT#{arn}")]
    kept = [
        item
        for item in stored
        if item["sk"]["S"].split("#")[0] not in ("EVENT", "MESSAGE") and item["sk"]["S"] != "LEASE"
    ]
    made: dict[str, str] = {}
    writes: list[Json] = []
    for instance, interface in _instances(world, like, count):
        copy = f"inc-{secrets.token_hex(8)}"
        names = ((like.instance, instance), (like.interfaces[0], interface), (name, copy))
        for item in kept:
            text = json.dumps(item)
            for old, new in names:
                text = text.replace(old, new)
            written = json.loads(text)
            if "finding_key" in item:  # all have one finding
                written["finding_key"] = item["finding_key"]
            writes.append({"PutRequest": {"Item": written}})
        made[copy] = arn.replace(like.instance, instance)
    dynamodb, table = world.client("dynamodb", SECURITY), world.outputs["table_name"]
    with ThreadPoolExecutor(8) as pool:
        batches = [{table: writes[at : at + 25]} for at in range(0, len(writes), 25)]
        for answer in pool.map(
            lambda batch: dynamodb.batch_write_item(RequestItems=batch), batches
        ):
            assert not answer.get("UnprocessedItems")
    return made


def _let_be_due(world: World, arns: list[str]) -> None:
    """Lets all of these be due for an hour, some longer than others."""
    dynamodb, table = world.client("dynamodb", SECURITY), world.outputs["table_name"]

    def put(number: int, arn: str) -> None:
        [item] = [item for item in world.items(f"CONTAINMENT#{arn}") if "due_at" in item]
        at = time.gmtime(time.time() - 3600 + number)
        dynamodb.update_item(
            TableName=table,
            Key={key: item[key] for key in ("pk", "sk")},
            UpdateExpression="SET due_at = :at, due_shard = :shard REMOVE claimed_until",
            ExpressionAttributeValues={
                ":at": {"S": time.strftime("%Y-%m-%dT%H:%M:%SZ", at)},
                ":shard": {"S": str(number % 8)},
            },
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(len(arns)), arns))


def _waiting(world: World) -> int:
    """How many containments are due by now."""
    dynamodb, table = world.client("dynamodb", SECURITY), world.outputs["table_name"]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    count = 0
    for shard in range(8):
        pages = dynamodb.get_paginator("query").paginate(
            TableName=table,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues={":shard": {"S": str(shard)}, ":now": {"S": now}},
            Select="COUNT",
        )
        count += sum(page["Count"] for page in pages)
    return count


def _seconds(world: World, victim: Victim) -> float:
    """From entering Contain to entering Verdict, by the execution's history."""
    sent = world.send(world.finding(victim))
    assert world.settled(sent)["status"] == "CONTAINED"
    [execution] = [found for found in world.answers(sent) if found.machine.endswith("-incident")]
    entered = dict(reversed(execution.news()))  # each state when it was entered first
    return float((entered["Verdict"] - entered["Contain"]).total_seconds())


@pytest.fixture
def crowd(world: World) -> Iterator[dict[str, str]]:
    """Two thousand contained instances; incident -> ARN."""
    victim = world.plain()
    sent = world.send(world.finding(victim))
    assert world.settled(sent)["status"] == "CONTAINED"
    yield _copies(world, str(sent.incident_id), victim, COUNT)


def test_a_containment_takes_no_longer_beside_two_thousand_checks(
    world: World, crowd: dict[str, str]
) -> None:
    victims = [world.plain() for _ in range(2 * RUNS + 1)]
    _seconds(world, victims.pop())  # functions are warm from here on
    alone = [_seconds(world, victims.pop()) for _ in range(RUNS)]
    _let_be_due(world, list(crowd.values()))
    # The schedule comes every minute, as on AWS: each run of the reconciler may take most of one.
    world.until(lambda: _waiting(world) < COUNT, "checks are given out", 120)
    beside = [_seconds(world, victims.pop()) for _ in range(RUNS)]
    waiting = _waiting(world)
    assert waiting > 0, "checks went on all the time, else the figures say nothing"
    world.until(partial(_none_waits, world), "all are checked", 600)
    ratio = statistics.median(beside) / statistics.median(alone)
    print(f"alone {alone}, beside {beside}: {ratio:.3f}; {waiting} were still due after the last")
    assert not _answered(world, crowd), "nothing was lost, so nothing was started"
    assert ratio <= AT_MOST


def _answered(world: World, names: dict[str, str]) -> list[str]:
    """The executions that answered a loss of one of these incidents."""
    pages = (
        world.client("stepfunctions", SECURITY)
        .get_paginator("list_executions")
        .paginate(stateMachineArn=world.outputs["incident_state_machine_arn"])
    )
    found = [execution["name"] for page in pages for execution in page["executions"]]
    return [name for name in found if name.removeprefix("watch-")[:20] in names]


def _none_waits(world: World) -> bool:
    return _waiting(world) == 0
