"""What version 0.1.0 recorded of its reversals is brought back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state

from tests.unit.deployment import MEMBER, PREFIX, REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    DENY_ALL,
    INCIDENT,
    NOTHING,
    EradicationLab,
    code,
)

Json = dict[str, Any]
IAM = f"arn:aws:iam::{MEMBER}"
OTHER = "999999999999"
DENIAL: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}
TRUST: Json = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sts:AssumeRole"},
    ],
}


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    lab = EradicationLab(deployment, monkeypatch)
    iam = lab.see("iam")
    iam.create_user(UserName="bob")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_group(GroupName="admins")
    iam.create_policy(PolicyName="all", PolicyDocument=json.dumps(NOTHING))
    return lab


def recorded(lab: EradicationLab, what: str, **state: Any) -> None:
    """Writes the state before as 0.1.0 did."""
    before = {"what": what, "event": "Event", "region": REGION, **state}
    lab.record.before(INCIDENT, lab.kind, lab.name, f"revert/{what}", before)


def test_credentials(lab: EradicationLab) -> None:
    iam = lab.see("iam")
    iam.create_user(UserName="mallory")
    keys = {
        user: iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
        for user in ("bob", "mallory")
    }
    for user, key in keys.items():
        iam.update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")
    iam.attach_user_policy(UserName="mallory", PolicyArn=DENY_ALL)
    recorded(lab, "access_key", user="bob", arn=f"{IAM}:user/bob", key=keys["bob"])
    recorded(
        lab,
        "user",
        user="mallory",
        arn=f"{IAM}:user/mallory",
        attached=False,
        boundary=None,
        keys={keys["mallory"]: "Active"},
    )
    assert lab.restore().status is Status.RESTORED
    for user, key in keys.items():
        [found] = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        assert (found["AccessKeyId"], found["Status"]) == (key, "Active")
    assert iam.list_attached_user_policies(UserName="mallory")["AttachedPolicies"] == []


def test_a_password_stays_a_persons_task(lab: EradicationLab) -> None:
    lab.see("iam").create_login_profile(UserName="bob", Password="x", PasswordResetRequired=True)
    recorded(lab, "login_profile", user="bob", arn=f"{IAM}:user/bob")
    result = lab.restore()
    assert (result.status, lab.changed()) == (Status.RESTORE_PARTIAL, [])
    assert "a person sets a new password" in result.not_restored[0]


def test_grants(lab: EradicationLab) -> None:
    iam, role = lab.see("iam"), f"{IAM}:role/app"
    denied = resource_state.with_denial(TRUST, "GuarddutyResponseDenyOutside", MEMBER)
    iam.update_assume_role_policy(RoleName="app", PolicyDocument=json.dumps(denied))
    name = f"{PREFIX}-deny-all"
    iam.put_role_policy(RoleName="app", PolicyName=name, PolicyDocument=json.dumps(DENIAL))
    policy = f"{IAM}:policy/all"
    recorded(
        lab,
        "role",
        role="app",
        name=name,
        arn=role,
        policy=None,
        boundary=None,
    )
    recorded(lab, "trust", role="app", arn=role, document=TRUST)
    recorded(
        lab,
        "attached",
        of="role",
        name="app",
        arn=role,
        policy=policy,
    )
    group = f"{IAM}:group/admins"
    recorded(
        lab,
        "inline",
        of="group",
        name="admins",
        arn=group,
        policy="p",
        document=NOTHING,
    )
    recorded(lab, "member", user="bob", group="admins", arn=group)
    assert lab.restore().status is Status.RESTORED
    assert iam.get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"] == TRUST
    assert iam.list_role_policies(RoleName="app")["PolicyNames"] == []
    [attached] = iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    assert attached["PolicyArn"] == policy
    found = iam.get_group_policy(GroupName="admins", PolicyName="p")
    assert found["PolicyDocument"] == NOTHING
    assert [user["UserName"] for user in iam.get_group(GroupName="admins")["Users"]] == ["bob"]


def test_resources(lab: EradicationLab) -> None:
    ec2, s3, functions = lab.see("ec2"), lab.see("s3"), lab.see("lambda")
    [made] = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
    ec2.stop_instances(InstanceIds=[made["InstanceId"]])
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    volume = ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    location = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="data", CreateBucketConfiguration=location)
    blocked = {"PublicAccessBlockConfiguration": resource_state.BLOCKED}
    s3.put_public_access_block(Bucket="data", **blocked)
    functions.create_function(
        FunctionName="miner",
        Runtime="python3.12",
        Role=f"{IAM}:role/app",
        Handler="index.handler",
        Code={"ZipFile": code()},
    )
    functions.put_function_concurrency(FunctionName="miner", ReservedConcurrentExecutions=0)
    recorded(lab, "instances", instances=[made["InstanceId"]])
    recorded(lab, "rules", group=group, egress=False, rules=[rule])
    shared = f"arn:aws:ec2:{REGION}::snapshot/{snapshot}"
    entries = [{"UserId": OTHER}]
    recorded(
        lab,
        "sharing",
        of="snapshot",
        id=snapshot,
        arn=shared,
        entries=entries,
    )
    recorded(
        lab,
        "bucket",
        bucket="data",
        arn="arn:aws:s3:::data",
        block={},
    )
    arn = f"arn:aws:lambda:{REGION}:{MEMBER}:function:miner"
    recorded(lab, "function", function="miner", arn=arn, reserved=7)
    assert lab.restore().status is Status.RESTORED
    [reservation] = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "running"
    assert [
        resource_state.describe_rule(found)
        for found in resource_state.rules(ec2, group, egress=False).values()
    ] == ["tcp 22 of 0.0.0.0/0"]
    assert resource_state.shares(ec2, "snapshot", snapshot) == entries
    assert resource_state.public_access_block(s3, "data") == {}
    concurrency = functions.get_function_concurrency(FunctionName="miner")
    assert concurrency["ReservedConcurrentExecutions"] == 7


def test_what_watches_stays_on(lab: EradicationLab) -> None:
    s3, trails, guardduty = lab.see("s3"), lab.see("cloudtrail"), lab.see("guardduty")
    location = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="data", CreateBucketConfiguration=location)
    arn = trails.create_trail(Name="all", S3BucketName="data")["TrailARN"]
    trails.start_logging(Name="all")
    detector = guardduty.create_detector(Enable=True)["DetectorId"]
    recorded(lab, "trail", trail="all", arn=arn, logging=False)
    recorded(lab, "detector", detector=detector, status="DISABLED")
    result = lab.restore()
    assert (result.status, lab.changed()) == (Status.RESTORE_PARTIAL, [])
    assert sorted(result.still_contained) == ["revert/detector", "revert/trail"]
    assert trails.get_trail_status(Name="all")["IsLogging"] is True
    assert guardduty.get_detector(DetectorId=detector)["Status"] == "ENABLED"
