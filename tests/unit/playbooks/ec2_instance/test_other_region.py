"""A finding of another Region than the response's: everything happens where the instance is, and
nothing at home.

A twin with the same security group, profile and role name shape runs in the home Region.
"""

from __future__ import annotations

import re

import boto3
import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance.evidence import copies, network_logs, snapshots

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab
from tests.unit.playbooks.ec2_instance.evidence_lab import KEY, VAULT, EvidenceLab
from tests.unit.playbooks.ec2_instance.regions_lab import AWAY, called, home, twin_at_home


def test_the_instance_there_is_contained_and_nothing_at_home_changes(lab: Lab) -> None:
    lab.region = AWAY
    lab.build(
        interfaces=2,
        asg=True,
        targets=True,
        eip=True,
    )
    twin, before = twin_at_home(lab), home(lab)
    assert re.fullmatch(r"i-[0-9a-f]{17}", twin)
    assert re.fullmatch(r"i-[0-9a-f]{17}", lab.ids["instance"])
    target = lab.plan()
    assert target.arn == f"arn:aws:ec2:{AWAY}:{MEMBER}:instance/{lab.ids['instance']}"
    assert lab.respond(target).status is Status.CONTAINED
    assert len(lab.groups()) == 2
    assert all(groups == [f"{PREFIX}-quarantine"] for groups in lab.groups().values())
    assert lab.group()["VpcId"] == lab.ids["vpc"], (
        "the quarantine group was made where the instance is"
    )
    assert lab.profiles() == [f"{PREFIX}-quarantine"]
    scaled = lab.see("autoscaling").describe_auto_scaling_instances()["AutoScalingInstances"]
    assert lab.ids["instance"] not in [scaled_instance["InstanceId"] for scaled_instance in scaled]
    assert home(lab) == before
    assert called(lab) == {AWAY}


def test_every_command_for_people_names_that_region(lab: Lab) -> None:
    lab.region = AWAY
    lab.build()
    for operation in (
        "ModifyNetworkInterfaceAttribute",
        "ModifyInstanceAttribute",
        "ReplaceIamInstanceProfileAssociation",
    ):
        lab.fail(operation, "UnauthorizedOperation")
    assert lab.respond().status is not Status.CONTAINED
    said = " ".join(str(action["detail"]) for action in lab.stored_record()["actions"].values())
    commands = re.findall(r"By hand: aws (?!iam)[^;]*", said)
    assert commands
    assert all(f"--region {AWAY}" in command for command in commands), commands
    assert f"--region {REGION}" not in said


def test_an_instance_that_runs_at_home_is_not_found_there(lab: Lab) -> None:
    """The finding's Region is believed, also when an instance of that id runs elsewhere."""
    lab.region = AWAY
    lab.build()
    lab.ids["instance"] = twin_at_home(lab)
    before = home(lab)
    with pytest.raises(Exception, match=AWAY):
        lab.plan()
    assert home(lab) == before
    assert called(lab) == {AWAY}


def test_snapshots_and_copies_stay_there(evidence: EvidenceLab) -> None:
    """A multi-Region key is used by its replica in the instance's Region."""
    evidence.region = AWAY
    evidence.build()
    twin_at_home(evidence)
    before, key = (
        home(evidence),
        KEY.replace(":key/", ":key/mrk-").replace("-2222-3333-4444-", "2222333344445"),
    )
    evidence.evidence = {
        "log_window_minutes": 60,
        "forensics_account": {
            "account_id": VAULT,
            "kms_key_arn": key,
            "copy_role_name": None,
        },
    }
    target = evidence.plan()
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    evidence.collect(copies, target)
    made = evidence.snapshots()
    originals = [
        snapshot
        for snapshot in made
        if not snapshot.get("KmsKeyId", "").startswith("arn:aws:kms")
        or VAULT not in snapshot["KmsKeyId"]
    ]
    volumes = target.scope["volumes"]
    snapshotted = [snapshot["VolumeId"] for snapshot in originals]
    assert sorted(volume for volume in snapshotted if volume in volumes) == sorted(volumes)
    asked = [call for call in evidence.calls if call.operation == "CopySnapshot"]
    assert asked
    assert {
        (call.region, call.params["SourceRegion"], call.params["KmsKeyId"].split(":")[3])
        for call in asked
    } == {(AWAY, AWAY, AWAY)}
    assert home(evidence) == before
    assert called(evidence) == {AWAY}


def test_copies_in_the_forensics_account_stay_there_too(evidence: EvidenceLab) -> None:
    """One role copies in every Region; the key it uses is the replica of the instance's."""
    evidence.region = AWAY
    evidence.build()
    key = f"arn:aws:kms:{REGION}:{VAULT}:key/mrk-0123456789abcdef0123456789abcdef"
    evidence.evidence["forensics_account"] = {
        "account_id": VAULT,
        "kms_key_arn": key,
        "copy_role_name": f"{PREFIX}-vault",
    }
    target = evidence.plan()
    assert evidence.collect(snapshots, target)[-1].outcome == "COMPLETE"
    assert evidence.collect(copies, target)[-1].outcome == "COMPLETE"
    there, at_home = (
        evidence.in_account(
            "ec2",
            VAULT,
            region,
        ).describe_snapshots(OwnerIds=["self"])["Snapshots"]
        for region in (AWAY, REGION)
    )
    assert (
        sorted(snapshot["KmsKeyId"] for snapshot in there if snapshot.get("Tags"))
        == [key.replace(REGION, AWAY)] * 2
    )
    assert not [snapshot for snapshot in at_home if snapshot.get("Tags")]


def test_flow_logs_are_looked_for_there(evidence: EvidenceLab) -> None:
    evidence.region = AWAY
    evidence.build()
    target = evidence.plan()
    last = evidence.collect(network_logs, target)[-1]
    assert f"--region {AWAY}" in str(last), "no flow log: the command that makes one"
    assert called(evidence) == {AWAY}


def test_the_record_stays_athome(lab: Lab) -> None:
    lab.region = AWAY
    lab.build()
    lab.respond()
    assert {call.region for call in lab.calls if call.policy is None} == {REGION}
    got = boto3.client("dynamodb", region_name=REGION).scan(TableName="incidents")["Items"]
    assert any(INCIDENT in item["pk"]["S"] for item in got)
