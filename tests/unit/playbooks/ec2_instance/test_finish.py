"""The end of a containment: the instance is stopped only where nothing is lost by it, and what
would be lost is said before.
"""

from __future__ import annotations

import pytest
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.finish_lab import (
    contained,
    keep_snapshots,
    read_events,
    state_of,
)
from tests.unit.playbooks.ec2_instance.quarantine_lab import let_in

pytestmark = pytest.mark.usefixtures("full_models")  # their functions have no trimmed EC2 model


def test_none_stops_nothing(lab: Lab) -> None:
    lab.build()
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert lab.actions()["stop_instance"] == "SKIPPED"


def test_stopped_when_contained_and_snapshots_complete(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options["finish"] = "stop"
    steps = lab.wait(ec2_instance.finish, contained(lab))
    assert [step.done for step in steps] == [False, True]
    assert state_of(lab) == "stopped"
    assert lab.actions()["stop_instance"] == "DONE"
    assert lab.operations().count("StopInstances") == 1


def test_not_stopped_before_the_snapshots(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    lab.wait(ec2_instance.finish, contained(lab, evidence=False))
    assert state_of(lab) == "running"
    line = lab.stored_record()["actions"]["stop_instance"]
    assert line["status"] == "SKIPPED"
    assert "snapshot set is not complete" in line["detail"]
    _, _, timeline = read_events(lab)
    assert [event["detail"] for event in timeline if event["event"] == "task"]


def test_not_stopped_when_not_contained(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = lab.plan()
    keep_snapshots(lab)
    lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "running"
    assert "containment is OPEN" in lab.stored_record()["actions"]["stop_instance"]["detail"]


def test_not_stopped_where_instance_storage_would_be_lost(lab: Lab) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "stop"
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert "whose data a stop destroys" in lab.stored_record()["actions"]["stop_instance"]["detail"]


def test_not_stopped_while_its_group_would_terminate_it(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options |= {"finish": "stop", "auto_scaling": "none"}
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert (
        "Auto Scaling group web would terminate it"
        in lab.stored_record()["actions"]["stop_instance"]["detail"]
    )


def opened(lab: Lab, how: str) -> None:
    """Loosens the containment after its verdict."""
    ec2, [interface, _] = lab.see("ec2"), lab.groups()
    if how == "an interface":
        ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, Groups=[lab.ids["group"]]
        )
    elif how == "a rule":
        let_in(lab, lab.group()["GroupId"])
    elif how == "an attached interface":
        lab.attach(5)
    else:
        lab.fail("DescribeSecurityGroups", "UnauthorizedOperation")


@pytest.mark.parametrize("how", ["an interface", "a rule", "an attached interface", "not read"])
def test_not_stopped_while_the_network_is_not_closed(lab: Lab, how: str) -> None:
    """Evidence may have taken hours since the verdict."""
    lab.build(interfaces=2)
    lab.options["finish"] = "stop"
    target = contained(lab)
    opened(lab, how)
    lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "running"
    said = {
        "an interface": "is OPEN",
        "a rule": "has rules",
        "an attached interface": "is OPEN",
        "not read": "groups could not be read",
    }
    line = lab.stored_record()["actions"]["stop_instance"]
    assert line["status"] == "SKIPPED"
    assert said[how] in line["detail"]
    assert "who can reach it can start it again" in line["detail"]


@pytest.mark.parametrize("interfaces", [1, 2])
def test_not_stopped_where_a_service_keeps_an_interface_open(lab: Lab, interfaces: int) -> None:
    """FAILED where it is the only one, PARTIAL where another one is closed."""
    lab.build(interfaces=interfaces)
    lab.options["finish"] = "stop"
    node = ec2_backends["222222222222"]["us-east-1"].enis[list(lab.groups())[-1]]
    node.requester_managed = True
    target = lab.plan()
    assert lab.respond(target).status == ("FAILED" if interfaces == 1 else "PARTIAL")
    keep_snapshots(lab)
    lab.wait(ec2_instance.finish, target._replace(scope={}))
    assert state_of(lab) == "running"
    assert lab.actions()["stop_instance"] == "SKIPPED"


def test_stopped_once_the_network_could_be_read_again(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = contained(lab)
    lab.fail("DescribeInstances", "RequestLimitExceeded", times=1)
    lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "stopped"


def test_a_refused_stop_is_failed_with_the_command(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = contained(lab)
    lab.fail("StopInstances", "OperationNotPermitted")
    lab.wait(ec2_instance.finish, target)
    line = lab.stored_record()["actions"]["stop_instance"]
    assert line["status"] == "FAILED"
    assert "aws ec2 stop-instances" in line["detail"]


# -- what finishing would lose, told before --------------------------------------------------------


def consequences(lab: Lab) -> str:
    lab.plan()
    return str(lab.ids["planned"].consequences)


def test_nothing_is_lost_and_nothing_told(lab: Lab) -> None:
    lab.build()
    assert consequences(lab) == ""
    lab.options["finish"] = "stop"
    assert consequences(lab) == ""


def test_instance_storage_is_told_before(lab: Lab) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "stop"
    assert (
        "m5d.large has instance-store volumes, which no snapshot keeps: stop is left to a person"
        in consequences(lab)
    )


def test_spot_is_told_before(lab: Lab) -> None:
    """moto launches a Spot instance as an ordinary one: its lifecycle is set as EC2 would say
    it.
    """
    lab.build()
    lab.options["finish"] = "stop"
    spot(lab)
    text = consequences(lab)
    assert "EC2 may reclaim it at any moment" in text
    assert "EC2 refuses to stop the instance of a one-time Spot request" in text


def spot(lab: Lab) -> None:
    ec2_backends["222222222222"]["us-east-1"].get_instance(lab.ids["instance"]).lifecycle = "spot"


def test_terminating_is_told_before(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    assert "terminating cannot be undone" in consequences(lab)
    assert "terminate_instance" in lab.ids["planned"].actions
