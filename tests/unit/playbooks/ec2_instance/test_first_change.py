"""The first change is the first call after AssumeRole, and what changed since the plan is seen."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Target
from guardduty_response.containment.gate import VALID_SECONDS
from guardduty_response.containment.planned_state import FRESH_SECONDS
from guardduty_response.errors import GateClosed
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.containment.gates import Clock, PausableGate
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, Lab
from tests.unit.playbooks.ec2_instance.first_change_lab import (
    MODIFY,
    QUARANTINE,
    all_closed,
    close_first,
    detach_second,
    groups_of,
    logged,
    older,
)


def _contain(lab: Lab, target: Target) -> list[str]:
    """Contains it; the calls of EC2 in the order in which they began."""
    lab.calls.clear()
    ec2_instance.contain(lab.context(), target)
    calls = sorted(lab.calls, key=lambda call: call.start)
    return [call.operation for call in calls if call.service == "ec2"]


def test_a_fresh_plan_is_recorded_and_acted_on_at_once(prepared: Lab) -> None:
    prepared.own("sts")
    target = prepared.plan()
    prepared.latency = 0.3  # far above what a busy machine adds to a call
    _contain(prepared, target)
    [assumed] = [call for call in prepared.calls if call.operation == "AssumeRole"][:1]
    closing = [call for call in prepared.calls if call.operation == MODIFY]
    assert len(closing) == 2, "each interface is closed once"
    assert all(call.end - assumed.end < 2 * prepared.latency for call in closing)
    assert set(map(tuple, prepared.groups().values())) == {tuple(QUARANTINE)}
    before = prepared.stored_record()["before"]["network"]["interfaces"]
    assert {tuple(was["groups"]) for was in before.values()} == {(prepared.ids["group"],)}
    assert prepared.actions()["quarantine_network"] == "DONE"


def test_a_plan_that_is_older_is_read_again_first(prepared: Lab) -> None:
    """Its owner has given an interface another group meanwhile: that is what was before."""
    target, ec2 = older(prepared.plan(), FRESH_SECONDS + 1), prepared.see("ec2")
    changed = sorted(prepared.groups())[0]
    new = ec2.create_security_group(
        GroupName="new",
        Description="new",
        VpcId=prepared.ids["vpc"],
    )["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=changed, Groups=[new])
    operations = _contain(prepared, target)
    assert operations.index("DescribeInstances") < operations.index(MODIFY)
    before = prepared.stored_record()["before"]["network"]["interfaces"]
    assert before[changed]["groups"] == [new]
    assert set(map(tuple, prepared.groups().values())) == {tuple(QUARANTINE)}


def test_an_interface_that_came_since_the_plan_is_closed_too(prepared: Lab) -> None:
    target = prepared.plan()
    attached = prepared.attach(2)
    _contain(prepared, target)
    assert prepared.groups()[attached] == QUARANTINE
    before = prepared.stored_record()["before"]
    assert before[f"network/{attached}"]["groups"] == [prepared.ids["group"]]


@pytest.mark.parametrize(
    "own_group",
    [False, True],
    ids=["made", "own"],
)
def test_an_interface_that_left_since_the_plan_is_put_back(prepared: Lab, own_group: bool) -> None:
    """The session that closes may give no group but the account's own quarantine group."""
    if own_group:
        quarantine = prepared.group()["GroupId"]
        prepared.options["quarantine_security_group_ids"] = {prepared.ids["vpc"]: quarantine}
    target = prepared.plan()
    left = detach_second(prepared)
    _contain(prepared, target)
    assert groups_of(prepared, left) == [prepared.ids["group"]]
    assert (
        f"{left} is not the instance's any more, and is back in its groups"
        in (logged(prepared)["detail"])
    )


def test_an_interface_that_may_have_left_stays_closed_and_is_said(prepared: Lab) -> None:
    """Only the instance could be read, which does not name every interface."""
    target = prepared.plan()
    left = detach_second(prepared)
    prepared.fail("DescribeNetworkInterfaces", "UnauthorizedOperation")
    _contain(prepared, target)
    quarantine = prepared.group()["GroupId"]
    assert groups_of(prepared, left) == [quarantine]
    said = f"{left} was closed ({prepared.ids['group']} -> {quarantine})"
    assert said in logged(prepared)["detail"]


def test_what_fails_at_first_is_tried_again(prepared: Lab) -> None:
    target, tries = prepared.plan(), list[str]()

    def first_two(params: dict[str, str]) -> bool:
        tries.append(params["NetworkInterfaceId"])
        return len(tries) <= 2

    prepared.fail(
        MODIFY,
        "IncorrectState",
        when=first_two,
    )
    _contain(prepared, target)
    assert set(map(tuple, prepared.groups().values())) == {tuple(QUARANTINE)}
    assert prepared.actions()["quarantine_network"] == "DONE"


# -- the instance cannot be described --------------------------------------------------------------


def test_what_was_closed_is_said_when_the_instance_may_not_be_described(prepared: Lab) -> None:
    target, group = prepared.plan(), prepared.ids["group"]
    quarantine = prepared.group()["GroupId"]
    prepared.fail("DescribeInstances", "UnauthorizedOperation")
    step = ec2_instance.contain(prepared.context(), target)
    assert all_closed(prepared)
    line = logged(prepared)
    assert line["status"] == "FAILED"
    assert "nothing was changed" not in line["detail"]
    for id in prepared.groups():
        assert f"{id} was closed ({group} -> {quarantine})" in line["detail"]
    assert "the rest was not done. By hand: runbook, 'Network'" in line["detail"]
    assert len(line["request_id"].split(",")) == 2
    assert step.detail == line["detail"]


def test_what_could_not_be_closed_is_said_for_each_interface(prepared: Lab) -> None:
    target = prepared.plan()
    closed, failed = sorted(prepared.groups())
    prepared.fail("DescribeInstances", "UnauthorizedOperation")
    prepared.fail(
        MODIFY,
        "IncorrectState",
        when=lambda sent: sent["NetworkInterfaceId"] == failed,
    )
    ec2_instance.contain(prepared.context(), target)
    assert prepared.groups() == {closed: QUARANTINE, failed: ["web"]}
    detail = logged(prepared)["detail"]
    assert f"{closed} was closed (" in detail
    assert f"closing {failed} failed (IncorrectState: injected)" in detail


@pytest.mark.parametrize(
    "age",
    [0, FRESH_SECONDS + 1],
    ids=["fresh", "older"],
)
def test_what_was_closed_before_a_passing_fault_is_logged_and_stays_so(
    prepared: Lab, age: float
) -> None:
    """The machine asks again; by then the plan may not be fresh any more."""
    target, group = prepared.plan(), prepared.ids["group"]
    prepared.fail(
        "DescribeInstances",
        "RequestLimitExceeded",
        times=1,
    )
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2_instance.contain(prepared.context(), target)
    assert all_closed(prepared)
    before = prepared.stored_record()["before"]["network"]
    assert {tuple(was["groups"]) for was in before["interfaces"].values()} == {(group,)}
    line = logged(prepared)
    assert line["status"] == "FAILED"
    for id in prepared.groups():
        assert f"{id} was closed ({group} -> " in line["detail"]

    ec2_instance.contain(prepared.context(), older(target, age))
    assert prepared.stored_record()["before"]["network"] == before, "the first writing stands"
    line = logged(prepared)
    assert line["status"] == "DONE"
    assert "not done" not in line["detail"]
    said = " (" if age == 0 else " was closed ("
    for id in prepared.groups():
        assert f"{id}{said}{group} -> " in line["detail"], "what was closed is not forgotten"
    assert len(line["request_id"].split(",")) == 2
    assert prepared.verify(target).status == "CONTAINED"
    assert logged(prepared) == line


def test_verify_corrects_the_log_and_forgets_nothing(prepared: Lab) -> None:
    """The fault has passed before contain is asked again."""
    target, group = prepared.plan(), prepared.ids["group"]
    prepared.fail(
        "DescribeInstances",
        "UnauthorizedOperation",
        times=1,
    )
    ec2_instance.contain(prepared.context(), target)
    ec2_instance.verify(prepared.context(), target)
    line = logged(prepared)
    assert line["status"] == "DONE"
    for id in prepared.groups():
        assert f"{id} was closed ({group} -> " in line["detail"]


@pytest.mark.parametrize("error", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_a_pause_before_the_first_change_is_raised_and_nothing_is_logged(
    prepared: Lab, error: str
) -> None:
    """The caller logs the gate's refusal."""
    target, context = prepared.plan(), prepared.context()
    PausableGate.of(
        prepared,
        context,
        target,
        INCIDENT,
    ).refuses = "the response is paused by ada"
    prepared.fail("DescribeInstances", error)
    with pytest.raises(GateClosed, match="paused by ada"):
        ec2_instance.contain(context, target)
    assert set(map(tuple, prepared.groups().values())) == {("web",)}
    assert prepared.stored_record().get("actions", {}) == {}


def test_a_pause_after_the_first_change_leaves_it_logged(
    prepared: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that describes can change something, so the gate is asked for it too."""
    target, context, clock = prepared.plan(), prepared.context(), Clock(monkeypatch)
    gate = PausableGate.of(
        prepared,
        context,
        target,
        INCIDENT,
    )

    def pause() -> None:
        clock.now += VALID_SECONDS + 1
        gate.refuses = "the response is paused by ada"

    close_first(prepared, pause)
    with pytest.raises(GateClosed, match="paused by ada"):
        ec2_instance.contain(context, target)
    assert all_closed(prepared)
    detail = logged(prepared)["detail"]
    assert all(f"{id} was closed (" in detail for id in prepared.groups())
    assert "paused by ada" in detail


@pytest.mark.parametrize("error", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_without_a_record_nothing_is_closed_first(prepared: Lab, error: str) -> None:
    """The machine repeats the call because of the record's error."""
    target = prepared.plan()
    prepared.fail("DescribeInstances", error)
    prepared.fail("UpdateItem", "InternalServerError")
    prepared.fail("PutItem", "InternalServerError")
    prepared.fail("TransactWriteItems", "InternalServerError")
    with pytest.raises(ClientError, match="InternalServerError"):
        ec2_instance.contain(prepared.context(), target)
    assert set(map(tuple, prepared.groups().values())) == {("web",)}
