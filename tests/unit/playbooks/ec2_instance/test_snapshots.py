"""The snapshot set waits for nothing, is made once per containment, and says what it could not
hold.
"""

from __future__ import annotations

import time

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance.evidence import snapshots
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab, put_clock_forward, short


def test_one_tagged_set_of_all_volumes_without_waiting_for_containment(
    evidence: EvidenceLab,
) -> None:
    evidence.build()
    target = evidence.plan()
    parts = evidence.collect(snapshots, target)
    assert [part.outcome for part in parts] == ["RUNNING", "COMPLETE"]
    assert parts[0].wait_seconds == 5
    made = evidence.snapshots()
    assert sorted(snapshot["VolumeId"] for snapshot in made) == sorted(target.scope["volumes"])
    tags = [{tag["Key"]: tag["Value"] for tag in snapshot["Tags"]} for snapshot in made]
    expected = {
        f"{PREFIX}-incident": INCIDENT,
        f"{PREFIX}-instance": evidence.ids["instance"],
        f"{PREFIX}-containment": "run-1",
    }
    assert tags == [expected] * 2
    assert all(snapshot["SnapshotId"] in parts[-1].detail for snapshot in made)
    assert "not encrypted" in parts[-1].detail
    assert sorted(snapshot["volume"] for snapshot in parts[-1].state["snapshots"]) == sorted(
        target.scope["volumes"]
    )
    assert len(evidence.kept("snapshots")["request_ids"]) == 1
    assert list(evidence.groups().values()) == [["web"]]
    assert short(evidence.policies)


def test_ten_times_makes_one_set(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    for _ in range(10):
        evidence.collect(snapshots, target)
    assert len(evidence.snapshots()) == 2
    assert evidence.operations().count("CreateSnapshots") == 1


def test_a_later_execution_of_the_same_containment_keeps_the_set(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.once(snapshots, target)
    evidence.execution += "-again"
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    assert len(evidence.snapshots()) == 2


def test_a_second_containment_after_a_restore_makes_a_new_set(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    first = evidence.collect(snapshots, target)[-1].state["ids"]
    record = evidence.record
    record.containments.set(
        target.arn,
        target.generation,
        status=Status.RESTORED,
    )
    target = evidence.plan()
    evidence.execution = evidence.execution.replace("run-1", "run-2")
    second = evidence.collect(snapshots, target)[-1].state["ids"]
    assert len(evidence.snapshots()) == 4
    assert not set(first) & set(second)


def test_a_call_that_died_after_creating_makes_no_second_set(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.hooks.append(("CreateSnapshots", lambda: None))
    evidence.fail(
        "PutItem",
        "InternalServerError",
        lambda params: "snap-" in str(params),
        times=1,
    )
    with pytest.raises(Exception, match="InternalServerError"):
        evidence.once(snapshots, target)
    assert len(evidence.snapshots()) == 2
    assert evidence.kept("snapshots")["state"]["asked"]
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    assert len(evidence.snapshots()) == 2


def test_a_set_that_is_not_listed_yet_is_looked_for_before_another_is_made(
    evidence: EvidenceLab,
) -> None:
    evidence.build()
    target = evidence.plan()

    def asked(ago: int) -> None:
        state = {"asked": int(time.time()) - ago, "containment": "run-1"}
        evidence.record.evidence(
            INCIDENT,
            "ec2_instance",
            evidence.ids["instance"],
            "snapshots",
            {"outcome": "RUNNING", "state": state},
        )

    asked(0)
    part = evidence.once(snapshots, target)
    assert (part.outcome, part.wait_seconds) == ("RUNNING", 10)
    assert "CreateSnapshots" not in evidence.operations()
    asked(60)
    evidence.collect(snapshots, target)
    assert len(evidence.snapshots()) == 2


@pytest.mark.parametrize(
    "error", ["ConcurrentSnapshotLimitExceeded", "SnapshotLimitExceeded", "RequestLimitExceeded"]
)
def test_limits_are_waited_out(evidence: EvidenceLab, error: str) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.fail("CreateSnapshots", error, times=2)
    parts = evidence.collect(snapshots, target)
    assert [part.wait_seconds for part in parts] == [15, 15, 5, 0]
    assert error in parts[0].detail
    assert len(evidence.snapshots()) == 2


def test_a_call_that_failed_on_the_way_is_looked_for_first(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of 500 leaves open whether AWS made the set."""
    evidence.build()
    target = evidence.plan()
    evidence.fail("CreateSnapshots", "InternalError", times=1)
    assert evidence.once(snapshots, target).outcome == "RUNNING"
    assert "interrupted call" in evidence.once(snapshots, target).detail
    assert evidence.operations().count("CreateSnapshots") == 1
    put_clock_forward(monkeypatch, 40)
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    assert len(evidence.snapshots()) == 2


def test_limits_are_waited_out_for_ten_minutes_only(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.fail("CreateSnapshots", "ConcurrentSnapshotLimitExceeded")
    assert evidence.once(snapshots, target).outcome == "RUNNING"
    put_clock_forward(monkeypatch, 601)
    part = evidence.once(snapshots, target)
    assert part.outcome == "FAILED"
    assert "aws ec2 create-snapshots" in part.task


def test_refused_is_failed_with_the_command(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.fail("CreateSnapshots", "UnauthorizedOperation")
    (part,) = evidence.collect(snapshots, evidence.plan())
    assert part.outcome == "FAILED"
    hand = (
        f"aws ec2 create-snapshots --instance-specification InstanceId={evidence.ids['instance']}"
        f" --region {REGION}"
    )
    assert hand in part.detail
    assert hand in part.task
    assert "UnauthorizedOperation" in part.detail


def test_a_broken_snapshot_is_failed_and_named(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.once(snapshots, target)
    first, two = evidence.snapshots()
    made = ec2_backends[MEMBER][REGION].snapshots
    made[first["SnapshotId"]].status = "pending"
    assert [evidence.once(snapshots, target).wait_seconds for _ in range(5)] == [10, 15, 30, 60, 60]
    made[first["SnapshotId"]].status = "error"
    part = evidence.once(snapshots, target)
    assert part.outcome == "FAILED"
    assert f"{first['SnapshotId']} error" in part.detail
    assert f"{two['SnapshotId']} completed" in part.detail
    assert [each["state"] for each in part.state["snapshots"]] == ["error", "completed"]


def test_a_set_that_never_completes_ends(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.once(snapshots, target)
    for snapshot in ec2_backends[MEMBER][REGION].snapshots.values():
        snapshot.status = "pending"
    for _ in range(5):
        assert evidence.once(snapshots, target).outcome == "RUNNING"
    put_clock_forward(monkeypatch, snapshots.POLL_SECONDS + 1)
    assert evidence.once(snapshots, target).outcome == "FAILED"


def test_a_volume_attached_since_the_plan_is_in_the_set(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    ec2 = evidence.see("ec2")
    zone = ec2.describe_volumes(VolumeIds=target.scope["volumes"])["Volumes"][0]["AvailabilityZone"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    evidence.attach_volume(volume)
    evidence.collect(snapshots, target)
    assert volume in [snapshot["VolumeId"] for snapshot in evidence.snapshots()]
    assert volume in str(evidence.policies)


def test_a_target_without_its_scope_has_its_volumes_too(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()._replace(scope={})
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    assert len(evidence.snapshots()) == 2


def test_the_key_of_an_encrypted_volume_is_told(evidence: EvidenceLab) -> None:
    evidence.build()
    key = evidence.attach_encrypted_volume()["KmsKeyId"]
    part = evidence.collect(snapshots, evidence.plan())[-1]
    assert f"encrypted with {key}" in part.detail
    keys = sorted(snapshot["kms_key_id"] for snapshot in part.state["snapshots"])
    assert keys == ["", "", key]


def test_instance_store_volumes_are_told(evidence: EvidenceLab) -> None:
    evidence.instance_type = "m5d.large"
    evidence.build()
    part = evidence.collect(snapshots, evidence.plan())[-1]
    assert part.outcome == "COMPLETE"
    assert "instance-store volumes of m5d.large are not in it" in part.detail
    assert "a stop destroys them" in part.task


def test_no_ebs_volumes(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    instance = ec2_backends[MEMBER][REGION].get_instance(evidence.ids["instance"])
    instance.block_device_mapping.clear()
    part = evidence.collect(snapshots, target)[-1]
    assert (part.outcome, part.detail) == ("NOT_POSSIBLE", "it has no EBS volumes")
    instance.root_device_type = "instance-store"
    part = evidence.collect(snapshots, target)[-1]
    assert part.outcome == "NOT_POSSIBLE"
    assert "instance-store volume" in part.task
    assert evidence.snapshots() == []


def test_terminated_meanwhile(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.see("ec2").terminate_instances(InstanceIds=[evidence.ids["instance"]])
    part = evidence.collect(snapshots, target)[-1]
    assert part.outcome == "FAILED"
    assert "volumes kept on termination" in part.detail
    assert evidence.snapshots() == []


def test_switched_off(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.options["snapshot"] = False
    assert evidence.collect(snapshots, evidence.plan())[-1].outcome == "SKIPPED"
    assert evidence.snapshots() == []
