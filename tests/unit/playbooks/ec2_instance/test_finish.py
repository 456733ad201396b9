"""The end of a containment: the instance is stopped only where nothing is lost by it, and what
would be lost is said before.
"""

from __future__ import annotations

import pytest
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.finish_lab import (
    contained,
    keep_snapshots,
    read_events,
    state_of,
)

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
    from moto.ec2.models import ec2_backends

    ec2_backends["222222222222"]["us-east-1"].get_instance(lab.ids["instance"]).lifecycle = "spot"


def test_terminating_is_told_before(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "terminate"
    assert "terminating cannot be undone" in consequences(lab)
    assert "terminate_instance" in lab.ids["planned"].actions
