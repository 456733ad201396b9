"""Instances, rules, functions and sharing: reverted, left alone, and brought back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate import resources

from tests.unit.lambda_world import World
from tests.unit.playbooks.iam_principal.remediate_lab import MEMBER, REGION, Lab, code

Json = dict[str, Any]
OTHER = "999999999999"
AMI = "ami-12c6146b"


@pytest.fixture
def lab(world: World, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return Lab(world, monkeypatch)


# -- instances -------------------------------------------------------------------------------------


def states(lab: Lab) -> dict[str, str]:
    found = [
        one
        for reservation in lab.see("ec2").describe_instances()["Reservations"]
        for one in reservation["Instances"]
    ]
    return {one["InstanceId"]: one["State"]["Name"] for one in found}


def test_instances_that_still_run_are_stopped_and_started_again(lab: Lab) -> None:
    ids = [
        one["InstanceId"]
        for one in lab.does("ec2", "run_instances", ImageId=AMI, MinCount=3, MaxCount=3)[
            "Instances"
        ]
    ]
    lab.see("ec2").terminate_instances(InstanceIds=ids[:1])
    lab.see("ec2").stop_instances(InstanceIds=ids[1:2])
    lab.remediate()
    assert states(lab) == dict(zip(ids, ("terminated", "stopped", "stopped"), strict=True))
    assert [params["InstanceIds"] for name, params in lab.calls if name == "StopInstances"] == [
        ids[2:]
    ]
    assert lab.restore().status is Status.RESTORED
    assert states(lab) == dict(zip(ids, ("terminated", "stopped", "running"), strict=True)), (
        "what ran, and no other"
    )


def test_all_terminated(lab: Lab) -> None:
    [made] = lab.does("ec2", "run_instances", ImageId=AMI, MinCount=1, MaxCount=1)["Instances"]
    lab.see("ec2").terminate_instances(InstanceIds=[made["InstanceId"]])
    lab.remediate()
    assert (lab.lines(), lab.left) == ({"RunInstances": "ALREADY"}, [])


def test_an_instance_that_cannot_be_stopped_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lab.does("ec2", "run_instances", ImageId=AMI, MinCount=3, MaxCount=3)["Instances"]
    plain, store, spot = (one["InstanceId"] for one in made)
    read = resource_state.instances

    # moto runs every image from EBS, and on demand
    def shown(ec2: Any, *which: Any) -> dict[str, Json]:
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
    lab.remediate()
    assert states(lab) == {plain: "stopped", store: "running", spot: "running"}
    assert (lab.kept()["detail"], sorted(stopped)) == (
        "1 reverted, 2 left for people",
        sorted([plain, spot]),
    )
    assert f"aws ec2 terminate-instances --instance-ids {store}" in " ".join(lab.left)
    assert f"aws ec2 terminate-instances --instance-ids {spot}" in " ".join(lab.left)


def test_an_instance_that_is_still_starting_is_asked_again(lab: Lab) -> None:
    lab.does("ec2", "run_instances", ImageId=AMI, MinCount=1, MaxCount=1)
    lab.fail("StopInstances", "IncorrectInstanceState", times=1)
    lab.remediate()
    assert set(states(lab).values()) == {"stopped"} and lab.lines() == {"RunInstances": "DONE"}


def test_protected_against_stopping(lab: Lab) -> None:
    [made] = lab.does("ec2", "run_instances", ImageId=AMI, MinCount=1, MaxCount=1)["Instances"]
    lab.fail("StopInstances", "OperationNotPermitted")
    lab.remediate()
    assert (
        f"aws ec2 stop-instances --instance-ids {made['InstanceId']} --region {REGION}"
        in lab.left[0]
    )
    assert lab.kept()["outcome"] == "PARTIAL"


def test_more_instances_than_the_event_lists(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of a long answer is cut; the reservation is what they all are."""
    made = lab.does("ec2", "run_instances", ImageId=AMI, MinCount=45, MaxCount=45)
    lab.events[-1]["response"]["instancesSet"]["items"] = lab.events[-1]["response"][
        "instancesSet"
    ]["items"][:3]
    monkeypatch.setattr(resources, "CUT", 3)
    read = resource_state.pages

    # moto has no such filter
    def by_reservation(client: Any, operation: str, key: str, **request: Any) -> list[Any]:
        if request.get("Filters") != [
            {"Name": "reservation-id", "Values": [made["ReservationId"]]}
        ]:
            return read(client, operation, key, **request)
        return [
            one
            for one in read(client, operation, key)
            if one["ReservationId"] == made["ReservationId"]
        ]

    monkeypatch.setattr(resource_state, "pages", by_reservation)
    lab.remediate()  # whose session policies all fit
    assert set(states(lab).values()) == {"stopped"} and len(states(lab)) == 45
    assert [
        len(params["InstanceIds"]) for name, params in lab.calls if name == "StopInstances"
    ] == [20, 20, 5]
    assert lab.restore().status is Status.RESTORED
    assert set(states(lab).values()) == {"running"}


def test_an_answer_without_instances_is_for_people(lab: Lab) -> None:
    lab.happened("ec2", "RunInstances", {}, {"cut": True})
    lab.remediate()
    assert (
        lab.lines() == {"RunInstances": "SKIPPED"} and "does not say which instances" in lab.left[0]
    )


def test_in_the_events_region(lab: Lab) -> None:
    [made] = lab.does("ec2", "run_instances", "us-west-2", ImageId=AMI, MinCount=1, MaxCount=1)[
        "Instances"
    ]
    lab.list()
    lab.once()
    found = lab.see("ec2", "us-west-2").describe_instances(InstanceIds=[made["InstanceId"]])[
        "Reservations"
    ][0]["Instances"][0]
    assert found["State"]["Name"] == "stopped"


# -- security groups -------------------------------------------------------------------------------

SSH: Json = {
    "IpProtocol": "tcp",
    "FromPort": 22,
    "ToPort": 22,
    "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "d"}],
}
BOTH: Json = {
    "IpProtocol": "-1",
    "IpRanges": [{"CidrIp": "198.51.100.0/24"}],
    "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
}


@pytest.fixture
def group(lab: Lab) -> str:
    ec2 = lab.see("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = str(ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"])
    own = {
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[own])
    return made


def rules(lab: Lab, group: str, egress: bool = False) -> set[tuple[str, int, int, str]]:
    return {
        resource_state.rule_key(one)
        for one in resource_state.rules(lab.see("ec2"), group, egress).values()
    }


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_rules_are_closed_and_opened_again(lab: Lab, group: str, way: str, ids: bool) -> None:
    before = rules(lab, group, way == "egress")
    also = {} if ids else {"response": {"_return": True}}
    pair = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 9,
        "UserIdGroupPairs": [{"GroupId": group}],
    }
    lab.does(
        "ec2",
        f"authorize_security_group_{way}",
        GroupId=group,
        IpPermissions=[SSH, BOTH, pair],
        also=also,
    )
    opened = rules(lab, group, way == "egress")
    assert len(opened) == len(before) + 4
    lab.remediate()
    assert (rules(lab, group, way == "egress"), lab.left) == (before, [])
    assert lab.restore().status is Status.RESTORED
    assert rules(lab, group, way == "egress") == opened
    found = lab.see("ec2").describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [group]}]
    )["SecurityGroupRules"]
    assert "d" in [one.get("Description") for one in found], "with its description"


def test_a_rule_changed_since(lab: Lab, group: str) -> None:
    """ModifySecurityGroupRules leaves the rule its id."""
    made = lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[SSH])[
        "SecurityGroupRules"
    ][0]
    event = lab.events[-1]["response"]["securityGroupRuleSet"]["items"][0]
    event["cidrIpv4"] = "203.0.113.0/24"  # as if it had been added so
    lab.remediate()
    assert ("tcp", 22, 22, "0.0.0.0/0") in rules(lab, group)
    assert (
        made["SecurityGroupRuleId"] in lab.left[0] and "changed since, left as it is" in lab.left[0]
    )


def test_rules_closed_by_somebody_already(lab: Lab, group: str) -> None:
    lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[SSH])
    lab.see("ec2").revoke_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    lab.remediate()
    assert (lab.lines(), lab.changed()) == ({"AuthorizeSecurityGroupIngress": "ALREADY"}, [])


def test_a_group_that_is_gone(lab: Lab, group: str) -> None:
    lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[SSH])
    lab.see("ec2").delete_security_group(GroupId=group)
    lab.remediate()
    assert (lab.lines(), lab.left) == ({"AuthorizeSecurityGroupIngress": "ALREADY"}, [])


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        (
            {
                "groupId": "sg-1",
                "cidrIp": "0.0.0.0/0",
                "ipProtocol": "tcp",
                "fromPort": 3389,
                "toPort": 3389,
            },
            [("tcp", 3389, 3389, "0.0.0.0/0")],
        ),
        (
            {
                "ipPermissions": {
                    "items": [
                        {
                            "ipProtocol": "6",
                            "fromPort": 1,
                            "toPort": 2,
                            "prefixListIds": {"items": [{"prefixListId": "pl-1"}]},
                        }
                    ]
                }
            },
            [("tcp", 1, 2, "pl-1")],
        ),
        (
            {
                "ipPermissions": {
                    "items": [
                        {
                            "ipProtocol": "-1",
                            "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]},
                            "groups": {},
                        }
                    ]
                }
            },
            [("-1", -1, -1, "::/0")],
        ),
        ({"ipPermissions": {"items": "x"}}, []),
        ({}, []),
    ],
)
def test_rules_as_cloudtrail_shows_them(parameters: Json, keys: list[Any]) -> None:
    assert [resource_state.rule_key(one) for one in resources.asked_rules(parameters)] == keys


def test_modified_rules_are_for_people(lab: Lab, group: str) -> None:
    lab.happened(
        "ec2", "ModifySecurityGroupRules", {"ModifySecurityGroupRulesRequest": {"GroupId": group}}
    )
    lab.remediate()
    assert (
        f"aws ec2 describe-security-group-rules --filters Name=group-id,Values={group}"
        in lab.left[0]
    )


# -- functions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reserved", [None, 7])
@pytest.mark.parametrize("name", ["CreateFunction20150331", "CreateFunction20150331v2"])
def test_a_new_function(lab: Lab, name: str, reserved: int | None) -> None:
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
    lab.remediate()
    assert (
        client.get_function_concurrency(FunctionName="miner")["ReservedConcurrentExecutions"] == 0
    )
    assert lab.restore().status is Status.RESTORED
    assert (
        client.get_function_concurrency(FunctionName="miner").get("ReservedConcurrentExecutions")
        == reserved
    )


def test_new_code_is_for_people(lab: Lab) -> None:
    lab.happened("lambda", "UpdateFunctionCode20150331v2", {"functionName": "web"})
    lab.remediate()
    assert "aws lambda list-versions-by-function --function-name web" in lab.left[0]


# -- sharing ---------------------------------------------------------------------------------------


def snapshot(lab: Lab) -> str:
    ec2 = lab.see("ec2")
    volume = ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
    return str(ec2.create_snapshot(VolumeId=volume)["SnapshotId"])


def shared(lab: Lab, kind: str, id: str) -> list[Json]:
    return resource_state.shares(lab.see("ec2"), kind, id) or []


def test_a_shared_snapshot(lab: Lab) -> None:
    id, ec2 = snapshot(lab), lab.see("ec2")
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
    lab.remediate()
    assert shared(lab, "snapshot", id) == [{"UserId": "111111111111"}]
    assert lab.restore().status is Status.RESTORED
    assert sorted(shared(lab, "snapshot", id), key=str) == [
        {"Group": "all"},
        {"UserId": "111111111111"},
        {"UserId": OTHER},
    ]


def test_a_shared_image(lab: Lab) -> None:
    ec2 = lab.see("ec2")
    instance = ec2.run_instances(ImageId=AMI, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    id = ec2.create_image(InstanceId=instance, Name="copy")["ImageId"]
    entries = [{"UserId": OTHER}, {"Group": "all"}]
    lab.does("ec2", "modify_image_attribute", ImageId=id, LaunchPermission={"Add": entries})
    lab.remediate()
    assert (shared(lab, "image", id), lab.lines()) == ([], {"ModifyImageAttribute": "DONE"})
    assert lab.restore().status is Status.RESTORED
    assert sorted(shared(lab, "image", id), key=str) == sorted(entries, key=str)


def test_no_longer_shared(lab: Lab) -> None:
    id = snapshot(lab)
    lab.happened(
        "ec2",
        "ModifySnapshotAttribute",
        {"snapshotId": id, "createVolumePermission": {"add": {"items": [{"userId": OTHER}]}}},
    )
    lab.remediate()
    assert (lab.lines(), lab.changed()) == ({"ModifySnapshotAttribute": "ALREADY"}, [])


@pytest.mark.parametrize(
    ("source", "name", "parameters", "hand"),
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
def test_sharing_for_people(lab: Lab, source: str, name: str, parameters: Json, hand: str) -> None:
    lab.happened(source, name, parameters)
    lab.remediate()
    assert hand in lab.left[0] and lab.changed() == []
