"""Two thousand contained instances are checked beside a containment, which takes no longer for it.

The local AWS answers from the cores that the functions run on, and would lend the checks what a
containment needs. So every call gets a latency that is long beside what it costs here, as calls of
AWS have: what a containment takes is then what it waits for, and any call that checks make it wait
for, repeat or queue behind shows.

All are monitored the whole time. They come due in parts, so that the containments without checks
are measured between those with them, and a machine that is busy for a while slows both.
"""

from __future__ import annotations

import json
import secrets
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import NamedTuple

import pytest

from sandbox.findings import Sent
from sandbox.seed import Victim
from tests.e2e.e2e_world import SECURITY, Json, World

pytestmark = pytest.mark.proof  # minutes: some thirty thousand calls
COUNT, AT_ONCE = 2000, 250
TURNS = 4  # in each, a part of the checks comes due
RUNS = 3  # containments at once without checks, and as many beside them, in each turn
LATENCY_MS = 1000
AT_MOST = 0.05  # of its time that a containment may take longer or shorter
ALL_CHECKED_SECONDS = 900.0
OPENED = 3 * 86400  # seconds ago: nothing but their due times leads to the copies


class Copy(NamedTuple):
    """A contained instance that is like another one, and the incident that answers for it."""

    incident: str
    arn: str
    due: Json


def _time(seconds: float) -> str:
    """A time as it is stored, so many seconds from now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def _instances(world: World, like: Victim) -> list[tuple[str, str]]:
    """Starts instances as containment has left one; (instance, interface) of each."""
    ec2 = world.client("ec2")
    described = ec2.describe_instances(InstanceIds=[like.instance])
    [shown] = described["Reservations"][0]["Instances"]
    subnet = ec2.create_subnet(VpcId=like.vpc, CidrBlock="10.20.128.0/18")["Subnet"]["SubnetId"]
    kept = {"VolumeSize": 8, "DeleteOnTermination": False}
    groups = [group["GroupId"] for group in shown["SecurityGroups"]]
    found: list[tuple[str, str]] = []
    while len(found) < COUNT:
        number = min(AT_ONCE, COUNT - len(found))
        made = ec2.run_instances(
            ImageId=shown["ImageId"],
            InstanceType=shown["InstanceType"],
            MinCount=number,
            MaxCount=number,
            InstanceInitiatedShutdownBehavior="stop",
            BlockDeviceMappings=[
                {"DeviceName": disk["DeviceName"], "Ebs": kept}
                for disk in shown["BlockDeviceMappings"]
            ],
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": groups}],
        )["Instances"]
        found += [
            (instance["InstanceId"], instance["NetworkInterfaces"][0]["NetworkInterfaceId"])
            for instance in made
        ]

    def protect(names: tuple[str, str]) -> None:  # the emulator takes no such wish with the start
        ec2.modify_instance_attribute(
            InstanceId=names[0], Attribute="disableApiTermination", Value="true"
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(protect, found))
    return found


def _write(world: World, items: list[Json]) -> None:
    """Puts items into the incident table."""
    dynamodb, table = world.client("dynamodb", SECURITY), world.outputs["table_name"]

    def put(at: int) -> None:
        requests = [{"PutRequest": {"Item": item}} for item in items[at : at + 25]]
        answer = dynamodb.batch_write_item(RequestItems={table: requests})
        assert not answer.get("UnprocessedItems")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(0, len(items), 25)))


def _copies(world: World) -> list[Copy]:
    """Contains an instance, and others by copies of its record, which are not monitored yet."""
    like = world.plain()
    sent = world.send(world.finding(like))
    incident = world.settled(sent)
    assert incident["status"] == "CONTAINED"
    name, arn = str(sent.incident_id), str(incident["targets"][0]["arn"])
    stored = [*world.items(f"INCIDENT#{name}"), *world.items(f"CONTAINMENT#{arn}")]
    kept = [item for item in stored if item["sk"]["S"].split("#")[0] not in ("EVENT", "MESSAGE")]
    made, items = [], []
    for number, (instance, interface) in enumerate(_instances(world, like)):
        copy = f"inc-{secrets.token_hex(8)}"
        names = ((like.instance, instance), (like.interfaces[0], interface), (name, copy))
        for item in kept:
            text = json.dumps(item)
            for old, new in names:
                text = text.replace(old, new)
            written = json.loads(text)
            for field in {"opened_at", "updated_at"} & set(written):
                written[field] = {"S": _time(-OPENED)}
            if "finding_key" in item:  # all have one finding
                written["finding_key"] = item["finding_key"]
            if "due_at" in item:
                written["due_shard"] = {"S": str(number % 8)}
                made.append(Copy(copy, arn.replace(like.instance, instance), written))
            else:
                items.append(written)
    _write(world, items)
    assert len(made) == COUNT
    return made


def _be_due(world: World, copies: list[Copy], seconds: float) -> None:
    """Has these monitored, and due so many seconds from now, some longer than others."""
    due = [_time(seconds + number / len(copies) * 600) for number in range(len(copies))]
    _write(world, [{**copy.due, "due_at": {"S": at}} for copy, at in zip(copies, due, strict=True)])


def _due_items(world: World, copies: list[Copy]) -> list[Json]:
    """The items that say when each of them is checked next."""
    dynamodb, table = world.client("dynamodb", SECURITY), world.outputs["table_name"]
    found: list[Json] = []
    for at in range(0, len(copies), 100):
        keys = [{key: copy.due[key] for key in ("pk", "sk")} for copy in copies[at : at + 100]]
        answer = dynamodb.batch_get_item(
            RequestItems={table: {"Keys": keys, "ConsistentRead": True}}
        )
        assert not answer.get("UnprocessedKeys")
        found += answer["Responses"][table]
    return found


def _checked(world: World, copies: list[Copy]) -> int:
    """How many were seen contained since they were due, and are due later."""
    now = _time(0)
    return sum(
        "checked_at" in item and "held_at" in item and item["due_at"]["S"] > now
        for item in _due_items(world, copies)
    )


def _all_checked(world: World, copies: list[Copy]) -> bool:
    return _checked(world, copies) == len(copies)


def _claimed(world: World, copies: list[Copy]) -> bool:
    """Whether a monitor function checks some of them at this moment."""
    return any("claimed_until" in item for item in _due_items(world, copies))


@contextmanager
def _slow(world: World) -> Iterator[None]:
    """Every call has a latency meanwhile."""
    world.control("POST", "faults", {"latency_ms": LATENCY_MS})
    try:
        yield
    finally:
        world.control("DELETE", "faults")


def _contain(world: World, victims: list[Victim]) -> list[Sent]:
    """Contains instances at once."""
    with ThreadPoolExecutor(RUNS) as pool:
        events = list(pool.map(world.finding, victims))
        sent = list(pool.map(world.send, events))
    for each in sent:
        world.status(each, "CONTAINED")
    return sent


def _seconds(world: World, sent: list[Sent]) -> list[float]:
    """Waits until executions end; of each, from its first state to its verdict."""
    taken = []
    for each in sent:
        assert world.settled(each)["status"] == "CONTAINED"
        [found] = [ended for ended in world.answers(each) if ended.machine.endswith("-incident")]
        entered = dict(reversed(found.news()))  # each state when it was entered first
        taken.append((entered["Verdict"] - entered["Claim"]).total_seconds())
    return taken


def _answered(world: World, copies: list[Copy]) -> list[str]:
    """The executions that answered a loss of one of them."""
    pages = (
        world.client("stepfunctions", SECURITY)
        .get_paginator("list_executions")
        .paginate(stateMachineArn=world.outputs["incident_state_machine_arn"])
    )
    incidents = {copy.incident for copy in copies}
    found = [execution["name"] for page in pages for execution in page["executions"]]
    return [name for name in found if name.removeprefix("watch-")[:20] in incidents]


def test_a_containment_takes_no_longer_beside_two_thousand_checks(world: World) -> None:
    world.clock(timeouts=1)
    copies = _copies(world)
    _be_due(world, copies, 86400)
    victims = iter([world.plain() for _ in range((2 * TURNS + 1) * RUNS)])
    alone, beside, meanwhile = list[float](), list[float](), 0
    with _slow(world):
        sent = _contain(world, list(islice(victims, RUNS)))
    _seconds(world, sent)  # functions are warm from here on
    for turn in range(TURNS):
        part = copies[turn::TURNS]
        with _slow(world):
            sent = _contain(world, list(islice(victims, RUNS)))
        alone += _seconds(world, sent)
        with _slow(world):
            _be_due(world, part, -3600)
            world.until(partial(_claimed, world, part), "checks are given out")
            before = _checked(world, part)
            sent = _contain(world, list(islice(victims, RUNS)))
            after = _checked(world, part)
            assert before < after < len(part), "checks went on all the time"
            assert _claimed(world, part), "checks still go on"
        beside += _seconds(world, sent)
        meanwhile += after - before
        world.until(partial(_all_checked, world, part), "all are checked", ALL_CHECKED_SECONDS)
    ratio = statistics.median(beside) / statistics.median(alone)
    print(
        f"alone {statistics.median(alone):.2f} s of {sorted(alone)}, beside checks"
        f" {statistics.median(beside):.2f} s of {sorted(beside)}: {ratio:.3f};"
        f" {COUNT} checks, {meanwhile} of them meanwhile"
    )
    assert _checked(world, copies) == COUNT, "none is lost, and none due again"
    assert not _claimed(world, copies), "all claims were given back"
    assert _answered(world, copies) == [], "nothing was lost, so nothing was started"
    assert abs(ratio - 1) <= AT_MOST
