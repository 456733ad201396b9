"""Instances, rules, functions and sharing: reverted, left alone, and brought back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals import compute

from tests.unit.deployment import MEMBER, REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    EradicationLab,
    code,
)

Json = dict[str, Any]
OTHER = "999999999999"
AMI = "ami-12c6146b"


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


# -- instances -------------------------------------------------------------------------------------


def states(lab: EradicationLab) -> dict[str, str]:
    found = [
        instance
        for reservation in lab.see("ec2").describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]
    return {entry["InstanceId"]: entry["State"]["Name"] for entry in found}


def test_instances_that_still_run_are_stopped_and_started_again(lab: EradicationLab) -> None:
    ids = [
        instance["InstanceId"]
        for instance in lab.does("ec2", "run_instances", ImageId=AMI, MinCount=3, MaxCount=3)[
            "Instances"
        ]
    ]
    lab.see("ec2").terminate_instances(InstanceIds=ids[:1])
    lab.see("ec2").stop_instances(InstanceIds=ids[1:2])
    lab.eradicate()
    assert states(lab) == dict(zip(ids, ("terminated", "stopped", "stopped"), strict=True))
    assert [params["InstanceIds"] for name, params in lab.calls if name == "StopInstances"] == [
        ids[2:]
    ]
    assert lab.restore().status is Status.RESTORED
    assert states(lab) == dict(zip(ids, ("terminated", "stopped", "running"), strict=True)), (
        "what ran, and no other"
    )


def test_all_terminated(lab: EradicationLab) -> None:
    [made] = lab.does(
        "ec2",
        "run_instances",
        ImageId=AMI,
        MinCount=1,
        MaxCount=1,
    )["Instances"]
    lab.see("ec2").terminate_instances(InstanceIds=[made["InstanceId"]])
    lab.eradicate()
    assert (lab.lines(), lab.left) == ({"RunInstances": "ALREADY"}, [])


def test_an_instance_that_cannot_be_stopped_is_told(
    lab: EradicationLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lab.does("ec2", "run_instances", ImageId=AMI, MinCount=3, MaxCount=3)["Instances"]
    plain, store, spot = (rule["InstanceId"] for rule in made)
    read = resource_state.instances

    # moto runs every image from EBS, and on demand
    def shown(ec2: Any, *which: Any) -> dict[str, resource_state.Instance]:
        found = read(ec2, *which)
        found[store]["store"] = True
        found[spot]["spot"] = True
        return found

    monkeypatch.setattr(resource_state, "instances", shown)
    stopped: list[str] = []

    def refuse(params: Json, **_: Any) -> None:
        stopped.extend(params["InstanceIds"])
        if spot in params["InstanceIds"]:
            raise lab.error("UnsupportedOperation", "StopInstances")

    lab.hooks["StopInstances"] = refuse
    lab.eradicate()
    assert states(lab) == {plain: "stopped", store: "running", spot: "running"}
    assert (lab.kept()["detail"], sorted(stopped)) == (
        "1 reverted, 2 left for people",
        sorted([plain, spot]),
    )
    assert f"aws ec2 terminate-instances --instance-ids {store}" in " ".join(lab.left)
    assert f"aws ec2 terminate-instances --instance-ids {spot}" in " ".join(lab.left)


def test_an_instance_that_is_still_starting_is_asked_again(lab: EradicationLab) -> None:
    lab.does("ec2", "run_instances", ImageId=AMI, MinCount=1, MaxCount=1)
    lab.fail("StopInstances", "IncorrectInstanceState", times=1)
    lab.eradicate()
    assert set(states(lab).values()) == {"stopped"} and lab.lines() == {"RunInstances": "DONE"}


def test_protected_against_stopping(lab: EradicationLab) -> None:
    [made] = lab.does("ec2", "run_instances", ImageId=AMI, MinCount=1, MaxCount=1)["Instances"]
    lab.fail("StopInstances", "OperationNotPermitted")
    lab.eradicate()
    assert (
        f"aws ec2 stop-instances --instance-ids {made['InstanceId']} --region {REGION}"
        in lab.left[0]
    )
    assert lab.kept()["outcome"] == "PARTIAL"


def test_more_instances_than_the_event_lists(
    lab: EradicationLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of a long answer is cut; the reservation is what they all are."""
    made = lab.does(
        "ec2",
        "run_instances",
        ImageId=AMI,
        MinCount=45,
        MaxCount=45,
    )
    lab.events[-1]["response"]["instancesSet"]["items"] = lab.events[-1]["response"][
        "instancesSet"
    ]["items"][:3]
    monkeypatch.setattr(compute, "MOST_LISTED", 3)
    read = resource_state.pages

    # moto has no such filter
    def by_reservation(client: Any, operation: str, key: str, **request: Any) -> list[Any]:
        if request.get("Filters") != [
            {"Name": "reservation-id", "Values": [made["ReservationId"]]}
        ]:
            return read(client, operation, key, **request)
        return [
            item
            for item in read(client, operation, key)
            if item["ReservationId"] == made["ReservationId"]
        ]

    monkeypatch.setattr(resource_state, "pages", by_reservation)
    lab.eradicate()  # whose session policies all fit
    assert set(states(lab).values()) == {"stopped"} and len(states(lab)) == 45
    assert [
        len(params["InstanceIds"]) for name, params in lab.calls if name == "StopInstances"
    ] == [20, 20, 5]
    assert lab.restore().status is Status.RESTORED
    assert set(states(lab).values()) == {"running"}


def test_an_answer_without_instances_is_for_people(lab: EradicationLab) -> None:
    lab.happened("ec2", "RunInstances", {}, {"cut": True})
    lab.eradicate()
    assert (
        lab.lines() == {"RunInstances": "SKIPPED"} and "does not say which instances" in lab.left[0]
    )


def test_in_the_events_region(lab: EradicationLab) -> None:
    [made] = lab.does(
        "ec2",
        "run_instances",
        "us-west-2",
        ImageId=AMI,
        MinCount=1,
        MaxCount=1,
    )["Instances"]
    lab.list()
    lab.once()
    found = lab.see("ec2", "us-west-2").describe_instances(InstanceIds=[made["InstanceId"]])[
        "Reservations"
    ][0]["Instances"][0]
    assert found["State"]["Name"] == "stopped"


# -- functions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reserved", [None, 7])
@pytest.mark.parametrize("name", ["CreateFunction20150331", "CreateFunction20150331v2"])
def test_a_new_function(lab: EradicationLab, name: str, reserved: int | None) -> None:
    lab.see("iam").create_role(
        RoleName="f",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        ),
    )
    client = lab.see("lambda")
    lab.does(
        "lambda",
        "create_function",
        FunctionName="miner",
        Runtime="python3.12",
        Role=f"arn:aws:iam::{MEMBER}:role/f",
        Handler="index.handler",
        Code={"ZipFile": code()},
        also={"name": name},
    )
    if reserved is not None:
        client.put_function_concurrency(FunctionName="miner", ReservedConcurrentExecutions=reserved)
    lab.eradicate()
    assert (
        client.get_function_concurrency(FunctionName="miner")["ReservedConcurrentExecutions"] == 0
    )
    assert lab.restore().status is Status.RESTORED
    assert (
        client.get_function_concurrency(FunctionName="miner").get("ReservedConcurrentExecutions")
        == reserved
    )


def test_new_code_is_for_people(lab: EradicationLab) -> None:
    lab.happened("lambda", "UpdateFunctionCode20150331v2", {"functionName": "web"})
    lab.eradicate()
    assert (
        "aws lambda update-function-code --zip-file fileb://code.zip --function-name web"
        in lab.left[0]
    )


# -- sharing ---------------------------------------------------------------------------------------


def volume(lab: EradicationLab) -> str:
    found = lab.see("ec2").create_volume(Size=1, AvailabilityZone=f"{REGION}a")
    return str(found["VolumeId"])


def snapshot(lab: EradicationLab) -> str:
    """A snapshot that the owner made."""
    return str(lab.see("ec2").create_snapshot(VolumeId=volume(lab))["SnapshotId"])


def image(lab: EradicationLab) -> str:
    """An image that the owner made."""
    return str(lab.see("ec2").create_image(InstanceId=instance(lab), Name="copy")["ImageId"])


def instance(lab: EradicationLab) -> str:
    made = lab.see("ec2").run_instances(ImageId=AMI, MinCount=1, MaxCount=1)
    return str(made["Instances"][0]["InstanceId"])


def shared(lab: EradicationLab, kind: str, id: str) -> list[Json]:
    return resource_state.shares(lab.see("ec2"), kind, id) or []


@pytest.mark.parametrize("call", ["create_snapshot", "copy_snapshot", "create_snapshots"])
def test_a_shared_snapshot(lab: EradicationLab, call: str) -> None:
    ec2 = lab.see("ec2")
    if call == "create_snapshots":
        made = lab.does("ec2", call, InstanceSpecification={"InstanceId": instance(lab)})
        id = str(made["Snapshots"][0]["SnapshotId"])
        # CloudTrail's name for the list is EC2's own (manual_commands.json)
        lab.events[-1]["response"] = {"snapshotSet": {"items": [{"snapshotId": id}]}}
    elif call == "copy_snapshot":
        request: Json = {"SourceRegion": REGION, "SourceSnapshotId": snapshot(lab)}
        id = str(lab.does("ec2", call, **request)["SnapshotId"])
    else:
        id = str(lab.does("ec2", call, VolumeId=volume(lab))["SnapshotId"])
    # it was before
    ec2.modify_snapshot_attribute(SnapshotId=id, OperationType="add", UserIds=["111111111111"])
    ec2.modify_snapshot_attribute(
        SnapshotId=id, OperationType="add", UserIds=[OTHER], GroupNames=["all"]
    )
    added = {"add": {"items": [{"userId": OTHER}, {"group": "all"}]}}
    lab.happened(
        "ec2",
        "ModifySnapshotAttribute",
        {
            "snapshotId": id,
            "attributeType": "CREATE_VOLUME_PERMISSION",
            "createVolumePermission": added,
        },
    )
    lab.eradicate()
    assert shared(lab, "snapshot", id) == [{"UserId": "111111111111"}]
    assert lab.restore().status is Status.RESTORED
    assert sorted(shared(lab, "snapshot", id), key=str) == [
        {"Group": "all"},
        {"UserId": "111111111111"},
        {"UserId": OTHER},
    ]


def test_a_shared_image(lab: EradicationLab) -> None:
    id = lab.does("ec2", "create_image", InstanceId=instance(lab), Name="copy")["ImageId"]
    entries = [{"UserId": OTHER}, {"Group": "all"}]
    lab.does("ec2", "modify_image_attribute", ImageId=id, LaunchPermission={"Add": entries})
    lab.eradicate()
    assert (shared(lab, "image", id), lab.lines()) == ([], {"ModifyImageAttribute": "DONE"})
    assert lab.restore().status is Status.RESTORED
    assert sorted(shared(lab, "image", id), key=str) == sorted(entries, key=str)


@pytest.mark.parametrize("of", ["snapshot", "image"])
@pytest.mark.parametrize("before", [True, False])
def test_what_may_have_been_shared_is_for_people(
    lab: EradicationLab, of: str, before: bool
) -> None:
    """EC2 adds an account that is in the list without an error: the event is the same."""
    id = snapshot(lab) if of == "snapshot" else image(lab)
    if before:
        _share(lab.see("ec2"), of, id)
    _share(lab.see("ec2"), of, id)
    permission = "createVolumePermission" if of == "snapshot" else "launchPermission"
    name = f"Modify{of.title()}Attribute"
    added = {"add": {"items": [{"userId": OTHER}]}}
    lab.happened("ec2", name, {f"{of}Id": id, permission: added})
    lab.eradicate()
    assert shared(lab, of, id) == [{"UserId": OTHER}]
    assert (lab.lines(), lab.changed()) == ({name: "SKIPPED"}, [])
    [left] = lab.left
    assert "whether it was shared with them before is not known" in left
    command = left.partition("By hand: ")[2]
    assert command.startswith(f"aws ec2 modify-{of}-attribute --{of}-id {id} ")
    assert "remove" in command.lower() and OTHER in command


def _share(ec2: Any, of: str, id: str) -> None:
    if of == "snapshot":
        ec2.modify_snapshot_attribute(SnapshotId=id, OperationType="add", UserIds=[OTHER])
    else:
        ec2.modify_image_attribute(ImageId=id, LaunchPermission={"Add": [{"UserId": OTHER}]})


def test_no_longer_shared(lab: EradicationLab) -> None:
    id = snapshot(lab)
    lab.happened(
        "ec2",
        "ModifySnapshotAttribute",
        {"snapshotId": id, "createVolumePermission": {"add": {"items": [{"userId": OTHER}]}}},
    )
    lab.eradicate()
    assert (lab.lines(), lab.changed()) == ({"ModifySnapshotAttribute": "ALREADY"}, [])


@pytest.mark.parametrize(
    ("source", "name", "parameters", "manual_command"),
    [
        (
            "ec2",
            "ModifySnapshotAttribute",
            {"createVolumePermission": {"remove": {"items": [{"userId": OTHER}]}}},
            "aws cloudtrail lookup-events",
        ),
        (
            "rds",
            "ModifyDBSnapshotAttribute",
            {"dBSnapshotIdentifier": "s", "attributeName": "restore", "valuesToAdd": [OTHER]},
            f"--db-snapshot-identifier s --values-to-remove {OTHER}",
        ),
    ],
)
def test_sharing_for_people(
    lab: EradicationLab, source: str, name: str, parameters: Json, manual_command: str
) -> None:
    lab.happened(source, name, parameters)
    lab.eradicate()
    assert manual_command in lab.left[0] and lab.changed() == []
