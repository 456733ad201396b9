"""An instance that is gone when its interfaces are closed by the plan: what became of each is said,
and what is not the instance's any more is put back.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.planned_state import FRESH_SECONDS
from guardduty_response.errors import GateClosed
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends

from tests.unit.containment.gates import PausableGate
from tests.unit.playbooks.ec2_instance.ec2_lab import AMI, INCIDENT, MEMBER, REGION, Lab
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


def _terminate(lab: Lab) -> None:
    """Terminates the instance, and deletes the interfaces that it has (moto keeps them)."""
    ec2 = lab.see("ec2")
    ec2.modify_instance_attribute(
        InstanceId=lab.ids["instance"], DisableApiTermination={"Value": False}
    )
    attached = list(lab.groups())
    ec2.terminate_instances(InstanceIds=[lab.ids["instance"]])
    for id in attached:
        del ec2_backends[MEMBER][REGION].enis[id]


def _give_away(lab: Lab, gone: Callable[[], object]) -> str:
    """Closes both interfaces by the plan; the second is then detached, and the instance gone."""
    target, left = lab.plan(), list[str]()

    def happen() -> None:
        left.append(detach_second(lab))
        gone()

    close_first(lab, happen)
    step = ec2_instance.contain(lab.context(), target)
    assert step.status is None, "verification says what it came to"
    line = logged(lab)
    assert step.detail.startswith(line["detail"])
    return left[0]


def test_an_interface_that_outlives_its_instance_is_put_back(prepared: Lab) -> None:
    """DeleteOnTermination is false: it is available, and may be attached to anything."""
    both = set(prepared.groups())
    left = _give_away(prepared, lambda: _terminate(prepared))
    assert groups_of(prepared, left) == [prepared.ids["group"]]
    [deleted] = both - {left}
    line = logged(prepared)
    assert line["status"] == "DONE"
    assert f"instance {prepared.ids['instance']} is terminated" in line["detail"]
    assert f"{deleted} no longer exists" in line["detail"]
    assert f"{left} is not the instance's any more, and is back in its groups" in line["detail"]


def test_an_interface_that_another_instance_has_by_now_is_put_back(prepared: Lab) -> None:
    ec2 = prepared.see("ec2")

    def pass_on() -> None:
        other = ec2.run_instances(
            ImageId=AMI, MinCount=1, MaxCount=1, SubnetId=prepared.ids["subnet"]
        )["Instances"][0]["InstanceId"]
        [free] = ec2.describe_network_interfaces(
            Filters=[
                {"Name": "status", "Values": ["available"]},
                {"Name": "subnet-id", "Values": [prepared.ids["subnet"]]},
            ]
        )["NetworkInterfaces"]
        ec2.attach_network_interface(
            InstanceId=other, NetworkInterfaceId=free["NetworkInterfaceId"], DeviceIndex=1
        )
        _terminate(prepared)

    left = _give_away(prepared, pass_on)
    assert groups_of(prepared, left) == [prepared.ids["group"]]


def test_an_interface_of_an_instance_that_shuts_down_stays_closed(prepared: Lab) -> None:
    """The instance still runs: what is in it must not reach out in its last minute."""
    target, group = prepared.plan(), prepared.ids["group"]
    running = ec2_backends[MEMBER][REGION].get_instance(prepared.ids["instance"])

    def shut_down() -> None:
        running._state.name, running._state.code = "shutting-down", 32

    close_first(prepared, shut_down)
    step = ec2_instance.contain(prepared.context(), target)
    assert step.status is None, "verification says what it came to"
    assert all_closed(prepared)
    line = logged(prepared)
    assert line["status"] == "FAILED", "a person has to look"
    for id in prepared.groups():
        assert (
            f"{id} is still attached to {prepared.ids['instance']}, and stays closed"
            in (line["detail"])
        )
        command = f"modify-network-interface-attribute --network-interface-id {id} --groups {group}"
        assert command in line["detail"]


def test_groups_that_somebody_gave_since_are_left(prepared: Lab) -> None:
    ec2 = prepared.see("ec2")
    new = ec2.create_security_group(
        GroupName="new",
        Description="n",
        VpcId=prepared.ids["vpc"],
    )

    def give() -> None:
        [free] = ec2.describe_network_interfaces(
            Filters=[{"Name": "status", "Values": ["available"]}]
        )["NetworkInterfaces"]
        ec2.modify_network_interface_attribute(
            NetworkInterfaceId=free["NetworkInterfaceId"], Groups=[new["GroupId"]]
        )
        _terminate(prepared)

    left = _give_away(prepared, give)
    assert groups_of(prepared, left) == [new["GroupId"]]
    assert (
        f"{left} has other groups since ({new['GroupId']}), and is left so"
        in (logged(prepared)["detail"])
    )


@pytest.mark.parametrize("operation", [MODIFY, "DescribeNetworkInterfaces"])
def test_what_cannot_be_put_back_is_said(prepared: Lab, operation: str) -> None:
    def refuse() -> None:
        _terminate(prepared)
        prepared.fail(operation, "UnauthorizedOperation")

    left = _give_away(prepared, refuse)
    assert groups_of(prepared, left) == [
        group["GroupId"]
        for group in prepared.see("ec2").describe_security_groups(
            Filters=[{"Name": "group-name", "Values": QUARANTINE}]
        )["SecurityGroups"]
    ]
    line = logged(prepared)
    assert line["status"] == "FAILED"
    assert "stays closed" in line["detail"]
    assert f"--network-interface-id {left} --groups {prepared.ids['group']}" in line["detail"]


def test_groups_that_are_still_shown_as_they_were_are_not_taken_for_somebody_elses(
    prepared: Lab,
) -> None:
    """EC2 shows a change late."""
    ec2 = prepared.see("ec2")

    def show_as_before() -> None:
        [free] = ec2.describe_network_interfaces(
            Filters=[{"Name": "status", "Values": ["available"]}]
        )["NetworkInterfaces"]
        ec2.modify_network_interface_attribute(
            NetworkInterfaceId=free["NetworkInterfaceId"], Groups=[prepared.ids["group"]]
        )
        _terminate(prepared)

    left = _give_away(prepared, show_as_before)
    assert prepared.operations().count(MODIFY) == 3, "it is written all the same"
    assert (
        f"{left} is not the instance's any more, and is back in its groups"
        in (logged(prepared)["detail"])
    )


def test_nothing_is_said_to_be_closed_where_all_was_deleted(prepared: Lab) -> None:
    target, both = prepared.plan(), sorted(prepared.groups())
    _terminate(prepared)
    ec2_instance.contain(prepared.context(), target)
    line = logged(prepared)
    assert line["status"] == "SKIPPED"
    assert all(f"{id} no longer exists" in line["detail"] for id in both)


@pytest.mark.parametrize(
    "age",
    [0, FRESH_SECONDS + 1],
    ids=["fresh", "older"],
)
def test_what_an_attempt_closed_that_could_not_describe_the_instance_is_put_back(
    prepared: Lab, age: float
) -> None:
    """It was gone when it was described at last; by then the plan may not be fresh any more."""
    target = prepared.plan()
    prepared.fail(
        "DescribeInstances",
        "RequestLimitExceeded",
        times=1,
    )
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        ec2_instance.contain(prepared.context(), target)
    left = detach_second(prepared)
    [deleted] = prepared.groups()
    _terminate(prepared)
    step = ec2_instance.contain(prepared.context(), older(target, age))
    assert step.status is None, "verification says what it came to"
    assert groups_of(prepared, left) == [prepared.ids["group"]]
    line = logged(prepared)
    assert line["status"] == "DONE"
    assert step.detail.startswith(line["detail"])
    assert f"{deleted} no longer exists" in line["detail"]
    assert f"{left} is not the instance's any more, and is back in its groups" in line["detail"]
    assert line["request_id"]


def test_what_an_earlier_attempt_did_keeps_its_line(prepared: Lab) -> None:
    """Nothing is left to close when the instance is found gone."""
    target = prepared.plan()
    ec2_instance.contain(prepared.context(), target)
    line = logged(prepared)
    assert line["status"] == "DONE"
    _terminate(prepared)
    ec2_instance.contain(prepared.context(), target)
    assert logged(prepared) == line


def test_a_pause_that_comes_before_the_first_change_closes_nothing(
    prepared: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instance was described before the pause, and is gone."""
    target, context = prepared.plan(), prepared.context()
    gate = PausableGate.of(
        prepared,
        context,
        target,
        INCIDENT,
    )
    _terminate(prepared)

    def refuse(_: object) -> None:
        raise GateClosed("nothing is changed any more: the response is paused by ada")

    monkeypatch.setattr(
        gate,
        "write_befores",
        refuse,
    )
    step = ec2_instance.contain(context, target)
    assert step.status is None, "verification says what it came to"
    assert "nothing was closed (nothing is changed any more: the response is paused by ada)" in (
        step.detail
    )
    assert MODIFY not in prepared.operations()


def test_a_record_that_cannot_be_written_closes_nothing_of_an_instance_that_is_gone(
    prepared: Lab,
) -> None:
    target = prepared.plan()
    _terminate(prepared)
    prepared.fail("PutItem", "InternalServerError")
    prepared.fail("UpdateItem", "InternalServerError")
    prepared.fail("TransactWriteItems", "InternalServerError")
    with pytest.raises(ClientError, match="InternalServerError"):  # the machine repeats the step
        ec2_instance.contain(prepared.context(), target)
    assert prepared.role_policies() == {}
    assert MODIFY not in prepared.operations()
