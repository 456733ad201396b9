"""How time is counted from a finding to the verdict."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import custodian, to_verdict
from benchmarks.lambda_process import Invocation
from benchmarks.measure import prepare_process, round_trips
from benchmarks.slow_aws import Call, serving
from benchmarks.to_verdict import Incident, Pair, compared, figures, shifted
from benchmarks.victims import Victims, prepare
from benchmarks.walk_in_time import WalkInTime
from tests.support.repository import skip_or_fail
from tests.unit.deployment import deployed
from tests.unit.functions.machine_walk import FINDING, Functions

# Seconds of each step: whatever is not named takes no time.
SECONDS = {
    "open": 2.0,
    "warm": 3.0,
    "plan": 5.0,
    "announce": 40.0,
    "contain": 7.0,
    "verdict": 1.0,
}


def _walk(**answers: Any) -> dict[str, float]:
    """Return the moment at which each step ended, and the end of all of it."""
    functions, ended = Functions(warm={}, **answers), dict[str, float]()

    def invoke(name: str, payload: Any) -> Any:
        verb = payload.get("verb", name)
        walk.now += SECONDS.get(verb, 0.0)
        ended[verb] = walk.now
        return functions(name, payload)

    walk = WalkInTime(invoke, "arn:execution")
    walk.run(FINDING)
    return {**ended, "all": walk.now}


def test_what_runs_side_by_side_counts_as_long_as_the_longest() -> None:
    ended = _walk()
    assert (ended["open"], ended["warm"]) == (2.0, 3.0)
    assert ended["plan"] == 8.0, "the machine waits for both"
    assert (ended["announce"], ended["contain"], ended["verdict"]) == (48.0, 15.0, 16.0)
    assert ended["evidence"] == 8.0
    assert ended["all"] == 48.0, "what comes after waits for every branch"


def test_a_wait_of_the_machine_counts() -> None:
    again = {
        "done": False,
        "wait_seconds": 15,
        "again": "",
        "status": None,
        "detail": "",
    }
    ended = _walk(contain=again)
    assert ended["verify"] == ended["contain"] + 15
    assert ended["verdict"] == ended["verify"] + 1


def test_the_longest_chain_of_calls_is_counted() -> None:
    calls = [
        Call("a", 0.0, 1.0),
        Call("beside a", 0.1, 1.1),
        Call("after a", 1.0, 2.0),
        Call("after that", 2.5, 3.5),
        Call("too late", 3.4, 4.4),
        Call("not ended", 1.5, 0.0),
    ]
    assert round_trips(calls, until=3.5) == 3
    assert round_trips(calls, until=2.0) == 2
    assert round_trips(calls, until=3.5, after=1.0) == 2


def test_an_invocations_calls_are_put_on_the_machines_clock() -> None:
    got = Invocation(
        {},
        cold=True,
        start=100.0,
        seconds=3.0,
    )
    calls = [
        Call(
            "earlier",
            99.0,
            99.5,
        ),
        Call("in it", 101.0, 102.0),
        Call("later", 104.0, 105.0),
    ]
    assert shifted(calls, got, now=10.0) == [Call("in it", 11.0, 12.0)]


def test_medians_are_compared_and_the_goal_is_for_cold_functions() -> None:
    ours = [Pair(Incident(last_change=cold), Incident(last_change=1.0)) for cold in (2.0, 3.0, 9.0)]
    other = [Pair(Incident(1.5, round_trips=5), Incident(0.5, round_trips=4))]
    cold, warm = compared(ours, other)
    assert (cold.value, warm.value) == (2.0, 2.0)
    assert cold.limit is not None and warm.limit is None
    assert "5 round trips" in cold.note and "4 round trips" in warm.note
    assert compared(ours, []) == []


def test_each_figure_of_ours_has_a_limit() -> None:
    pair = Pair(
        Incident(
            2.0,
            4.0,
            20,
            12,
        ),
        Incident(1.0, 3.0, 19, 12),
    )
    found = {figure.name: figure.value for figure in figures([pair])}
    assert found == {
        "finding to last change, cold functions": 2.0,
        "finding to last change, warm functions": 1.0,
        "finding to verdict, cold functions": 4.0,
        "finding to verdict, warm functions": 3.0,
        "round trips from finding to last change": 19,
    }
    assert all(figure.limit for figure in figures([pair]))


# -- the instances ---------------------------------------------------------------------------------


@pytest.fixture
def variables() -> Iterator[None]:
    """Lets a test prepare the process, and gives its variables back."""
    kept = dict(os.environ)
    prepare()
    prepare_process()
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def victims(variables: None) -> Iterator[Victims]:
    with deployed() as deployment:
        yield Victims.make(deployment)


def test_an_instance_whose_interfaces_are_not_all_moved_stops_the_measuring(
    victims: Victims,
) -> None:
    first, second = victims.another(), victims.another()
    assert first != second
    assert victims.finding(second)["detail"]["resource"]["instanceDetails"]["instanceId"] == second
    ec2 = victims.lab.see("ec2")
    for id in victims.lab.groups():
        with pytest.raises(RuntimeError, match="not isolated"):
            victims.assert_closed()
        ec2.modify_network_interface_attribute(NetworkInterfaceId=id, Groups=[victims.group])
    victims.assert_closed()
    group = victims.lab.group()
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])


@pytest.mark.proof  # make proof and make bench install Custodian
def test_cloud_custodian_isolates_the_same_instances(variables: None) -> None:
    """Its own handler, in the archive that it would deploy: what it changes is read elsewhere."""
    if not custodian.is_installed():
        skip_or_fail("Cloud Custodian is not installed: make proof and make bench install it.")
    with serving(latency=0.01) as aws:
        pair = to_verdict.let_custodian_respond(aws)
        operations = [call.operation for call in aws.calls]
    assert operations == [
        *("GetCallerIdentity", "AssumeRole", "DescribeInstances", *2 * [to_verdict.MOVED]),
        *("AssumeRole", "DescribeInstances", *2 * [to_verdict.MOVED]),
    ]
    assert (pair.cold.round_trips, pair.warm.round_trips) == (5, 4)
    assert pair.warm.last_change < pair.cold.last_change
