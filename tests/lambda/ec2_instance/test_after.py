"""Snapshots wait for nothing and are made once; stopping happens only where it loses nothing."""

from __future__ import annotations

import pytest
from ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab
from guardduty_response.playbooks import Target, ec2_instance
from guardduty_response.playbooks.ec2_instance import after
from guardduty_response.statuses import Status
from moto.ec2.models import ec2_backends


def state_of(lab: Lab) -> str:
    got = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])
    return str(got["Reservations"][0]["Instances"][0]["State"]["Name"])


# -- evidence ---------------------------------------------------------------------------------------------------------


def test_one_tagged_set_of_all_volumes_without_waiting_for_containment(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    steps = lab.wait(ec2_instance.evidence, target)
    assert [step.done for step in steps] == [False, True]
    assert steps[0].wait_seconds == 5
    made = lab.snapshots()
    assert sorted(one["VolumeId"] for one in made) == sorted(target.scope["volumes"])
    tags = [{tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in made]
    assert tags == [{f"{PREFIX}-incident": INCIDENT, f"{PREFIX}-instance": lab.ids["instance"]}] * 2
    line = lab.ledger()["actions"]["snapshot"]
    assert line["status"] == "DONE"
    assert all(one["SnapshotId"] in line["detail"] for one in made)
    assert list(lab.groups().values()) == [["web"]]


def test_ten_times_makes_one_set(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    for _ in range(10):
        lab.wait(ec2_instance.evidence, target)
    assert len(lab.snapshots()) == 2
    assert lab.operations().count("CreateSnapshots") == 1


def test_a_call_that_died_after_creating_makes_no_second_set(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.fail("UpdateItem", "InternalServerError", lambda params: "ids" in str(params), times=1)
    assert not ec2_instance.evidence(lab.context(), target).done
    assert len(lab.snapshots()) == 2
    lab.wait(ec2_instance.evidence, target)
    assert len(lab.snapshots()) == 2
    assert lab.actions()["snapshot"] == "DONE"


def test_a_set_that_is_not_listed_yet_is_looked_for_before_another_is_made(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.record.evidence(INCIDENT, "ec2_instance", lab.ids["instance"], "snapshots", {"asked": int(after.time.time())})
    step = ec2_instance.evidence(lab.context(), target)
    assert (step.done, step.wait_seconds) == (False, 10)
    assert "CreateSnapshots" not in lab.operations()
    lab.record.evidence(INCIDENT, "ec2_instance", lab.ids["instance"], "snapshots", {"asked": int(after.time.time()) - 60})
    lab.wait(ec2_instance.evidence, target)
    assert len(lab.snapshots()) == 2


@pytest.mark.parametrize("error", ["ConcurrentSnapshotLimitExceeded", "RequestLimitExceeded"])
def test_limits_are_waited_out(lab: Lab, error: str) -> None:
    lab.build()
    target = lab.plan()
    lab.fail("CreateSnapshots", error, times=2)
    steps = lab.wait(ec2_instance.evidence, target)
    assert [step.wait_seconds for step in steps] == [15, 15, 5, 0]
    assert len(lab.snapshots()) == 2


def test_limits_are_waited_out_for_ten_minutes_only(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.fail("CreateSnapshots", "ConcurrentSnapshotLimitExceeded")
    assert ec2_instance.evidence(lab.context(attempt=39), target).done is False
    assert ec2_instance.evidence(lab.context(attempt=40), target).done is True
    assert lab.actions()["snapshot"] == "FAILED"


def test_refused_is_failed_with_the_command(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.fail("CreateSnapshots", "UnauthorizedOperation")
    (step,) = lab.wait(ec2_instance.evidence, target)
    line = lab.ledger()["actions"]["snapshot"]
    assert line["status"] == "FAILED"
    assert "aws ec2 create-snapshots" in line["detail"]
    assert "UnauthorizedOperation" in step.detail


def test_a_broken_snapshot_is_failed_and_named(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    ec2_instance.evidence(lab.context(), target)
    one, two = lab.snapshots()
    snapshots = ec2_backends[MEMBER][REGION].snapshots
    snapshots[one["SnapshotId"]].status = "pending"
    assert ec2_instance.evidence(lab.context(2), target).wait_seconds == 10
    snapshots[one["SnapshotId"]].status = "error"
    assert ec2_instance.evidence(lab.context(3), target).done
    line = lab.ledger()["actions"]["snapshot"]
    assert line["status"] == "FAILED"
    assert f"{one['SnapshotId']} error" in line["detail"]
    assert f"{two['SnapshotId']} completed" in line["detail"]


def test_a_volume_attached_since_the_plan_is_in_the_set(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    ec2 = lab.see("ec2")
    zone = ec2.describe_volumes(VolumeIds=target.scope["volumes"])["Volumes"][0]["AvailabilityZone"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=lab.ids["instance"], Device="/dev/sdc")
    lab.wait(ec2_instance.evidence, target)
    assert volume in [one["VolumeId"] for one in lab.snapshots()]
    assert volume in str(lab.policies[-2]) + str(lab.policies[-3])


def test_terminated_meanwhile(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.see("ec2").terminate_instances(InstanceIds=[lab.ids["instance"]])
    lab.wait(ec2_instance.evidence, target)
    assert lab.snapshots() == []
    assert lab.actions()["snapshot"] == "FAILED"


def test_switched_off(lab: Lab) -> None:
    lab.build()
    lab.options["snapshot"] = False
    lab.wait(ec2_instance.evidence, lab.plan())
    assert lab.snapshots() == []
    assert lab.actions()["snapshot"] == "SKIPPED"


# -- finish -----------------------------------------------------------------------------------------------------------


def contained(lab: Lab, evidence: bool = True) -> Target:
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    if evidence:
        lab.wait(ec2_instance.evidence, target)
    # The machine hands finish a target without its scope.
    return Target(**{**target.payload(), "scope": {}})


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
    line = lab.ledger()["actions"]["stop_instance"]
    assert line["status"] == "SKIPPED"
    assert "snapshot set is not complete" in line["detail"]
    _, _, timeline = _events(lab)
    assert [one["detail"] for one in timeline if one["event"] == "task"]


def _events(lab: Lab) -> tuple[dict[str, object], list[dict[str, object]], list[dict[str, object]]]:
    lab.record.open({"incident_id": INCIDENT, "execution": "e", "mode": "auto", "severity": 8.0, "config_sha256": ""})
    return lab.record.read(INCIDENT)


def test_not_stopped_when_not_contained(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = lab.plan()
    lab.wait(ec2_instance.evidence, target)
    lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "running"
    assert "containment is OPEN" in lab.ledger()["actions"]["stop_instance"]["detail"]


def test_not_stopped_where_instance_storage_would_be_lost(lab: Lab) -> None:
    lab.instance_type = "m5d.large"
    lab.build()
    lab.options["finish"] = "stop"
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert "whose data a stop destroys" in lab.ledger()["actions"]["stop_instance"]["detail"]


def test_not_stopped_while_its_group_would_terminate_it(lab: Lab) -> None:
    lab.build(asg=True)
    lab.options |= {"finish": "stop", "auto_scaling": "none"}
    lab.wait(ec2_instance.finish, contained(lab))
    assert state_of(lab) == "running"
    assert "Auto Scaling group web would terminate it" in lab.ledger()["actions"]["stop_instance"]["detail"]


def test_a_refused_stop_is_failed_with_the_command(lab: Lab) -> None:
    lab.build()
    lab.options["finish"] = "stop"
    target = contained(lab)
    lab.fail("StopInstances", "OperationNotPermitted")
    lab.wait(ec2_instance.finish, target)
    line = lab.ledger()["actions"]["stop_instance"]
    assert line["status"] == "FAILED"
    assert "aws ec2 stop-instances" in line["detail"]
