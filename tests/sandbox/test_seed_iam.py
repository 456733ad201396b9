"""Seeded principals are what they are said to be, a finding can be bound to them, and a thief's
traces are in CloudTrail.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from sandbox import demo_credential, findings, seed, seed_iam, settings, snapshot_iam
from sandbox.clients import Aws
from sandbox.settings import SandboxError
from tests.sandbox.emulator_helpers import MEMBER, Control

FINDINGS = settings.ROOT / "tests" / "fixtures" / "findings"
USER = "unauthorizedaccess_iamuser_unusualasncaller"
SESSION = "privilegeescalation_iamuser_anomalousbehavior_role_session"
EXFILTRATED = "unauthorizedaccess_iamuser_instancecredentialexfiltration_outsideaws"


def _bound(aws: Aws, name: str, **bindings: str) -> dict[str, Any]:
    data = findings.read(FINDINGS / f"{name}.json")
    return findings.prepare(aws, data, name, bindings=bindings).detail


def test_a_user_with_every_trait(aws: Aws) -> None:
    made = seed_iam.user(
        aws,
        keys=2,
        console=True,
        mfa_before=True,
        mfa_after=True,
        ssh_key=True,
        service_credential=True,
        certificate=True,
        quota_full=True,
        boundary=True,
        temporary=True,
        sessions=2,
        group=True,
    )
    iam = aws.client("iam")
    who = {"UserName": made.name}
    assert iam.get_user(**who)["User"]["UserId"] == made.id
    assert [item["AccessKeyId"] for item in iam.list_access_keys(**who)["AccessKeyMetadata"]] == [
        key.id for key in made.keys
    ]
    assert len(iam.list_attached_user_policies(**who)["AttachedPolicies"]) == 10
    since = {
        item["SerialNumber"]: item["EnableDate"]
        for item in iam.list_mfa_devices(**who)["MFADevices"]
    }
    assert (since[made.mfa["after"]] - since[made.mfa["before"]]).days == 30
    assert iam.get_login_profile(**who)["LoginProfile"]["UserName"] == made.name
    assert made.temporary
    for credential in (*made.keys, made.temporary, *made.sessions.values()):
        assert snapshot_iam.works(aws, credential)
    assert len(made.sessions) == 2
    rows = snapshot_iam.user(aws, made)
    assert rows["SSH keys"] == f"{made.ssh_key} Active"
    assert rows["certificates"] == f"{made.certificate} Active"
    assert rows["access key 1"] == f"{made.keys[0].id} Active, works"
    assert rows["groups"] == made.group
    iam.update_access_key(
        **who,
        AccessKeyId=made.keys[0].id,
        Status="Inactive",
    )
    iam.delete_login_profile(**who)
    after = snapshot_iam.user(aws, made)
    assert {label for label in rows if rows[label] != after[label]} == {
        "access key 1",
        "console password",
    }
    assert after["access key 1"] == f"{made.keys[0].id} Inactive, is refused"


@pytest.mark.parametrize("trust", ["ec2", "lambda", "ecs", "person", "sso", "slr"])
def test_roles_of_every_kind(aws: Aws, trust: str) -> None:
    made = seed_iam.role(aws, trust=trust, sessions=["one", "two"])
    session = made.sessions["one"]
    identity = session.client(aws, "sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{MEMBER}:assumed-role/{made.name}/one"
    assert identity["UserId"] == f"{made.id}:one"
    rows = snapshot_iam.role(aws, made)
    assert rows["session two"] == f"{made.sessions['two'].id} works"
    assert rows["inline policies"] == "work"
    details = _bound(aws, SESSION, role=f"{made.name}/two")["resource"]["accessKeyDetails"]
    assert details == {
        "accessKeyId": made.sessions["two"].id,
        "principalId": f"{made.id}:two",
        "userName": made.name,
        "userType": "AssumedRole",
    }


def test_mischief_is_done_and_recorded(aws: Aws, control: Control) -> None:
    thief = seed_iam.user(aws)
    done = seed_iam.mischief(aws, thief.keys[0])
    rows = snapshot_iam.mischief(aws, done, MEMBER)
    assert list(rows.values()) == [
        "there, AdministratorAccess",
        "Active, works",
        "running",
        "open",
        "stopped",
        "PendingDeletion",
    ]
    again = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    ec2 = aws.client("ec2")
    door = f"SSH from anywhere to {done.group}"
    ec2.revoke_security_group_ingress(GroupId=done.group, SecurityGroupRuleIds=[done.rule])
    assert snapshot_iam.mischief(aws, done, MEMBER)[door] == "closed"
    ec2.authorize_security_group_ingress(GroupId=done.group, IpPermissions=[again])
    assert snapshot_iam.mischief(aws, done, MEMBER)[door] == "open", "another rule, the same door"
    control("POST", "clock", {"lookups": 0})
    mine = [{"AttributeKey": "AccessKeyId", "AttributeValue": thief.keys[0].id}]
    records = [
        json.loads(item["CloudTrailEvent"])
        for item in aws.client("cloudtrail").lookup_events(LookupAttributes=mine)["Events"]
    ]
    assert [record["eventName"] for record in reversed(records)] == [
        "CreateUser",
        "AttachUserPolicy",
        "CreateAccessKey",
        "RunInstances",
        "AuthorizeSecurityGroupIngress",
        "StopLogging",
        "ScheduleKeyDeletion",
    ]
    assert {record["sourceIPAddress"] for record in records} == {seed_iam.THIEF}


def test_what_a_thief_left_is_noticed() -> None:
    done = seed_iam.Mischief(
        "backup-1",
        seed_iam.Credential("AKIA1", "s"),
        "i-1",
        "sg-1",
        "sgr-1",
        "audit-1",
        "0123456789",
    )
    labels = snapshot_iam.traces(done)
    before = dict(
        zip(
            labels,
            ["there", "Active, works", "running", "open", "stopped", "PendingDeletion"],
            strict=True,
        )
    )
    failed_checks = {
        **before,
        **dict(
            zip(
                labels,
                ["there, AWSDenyAll", "Inactive, is refused", "stopped", "closed", "logs"],
                strict=False,
            )
        ),
    }
    assert demo_credential.wrong(before, failed_checks, done) == [], (
        "a KMS key's end is for people to take back"
    )
    assert demo_credential.wrong(before, {**failed_checks, labels[3]: "open"}, done) == [
        f"{labels[3]}: open"
    ]
    assert demo_credential.wrong(before, {**failed_checks, "session": "works"}, done) == [
        "session: works"
    ]


def test_actions_are_told_with_what_is_left() -> None:
    left = {
        "evidence": {
            "remediation": {
                "state": {"left": ["DeleteKey by eve. By hand: aws kms cancel-key-deletion"]}
            }
        }
    }
    action_log = [
        {
            "name": "revert/CreateUser/1",
            "status": "DONE",
            "detail": "denied",
        },
        {"name": "deny_all", "status": "DONE"},
    ]
    assert demo_credential.actions({"targets": [{"actions": action_log, **left}]}) == [
        "DONE     denied",
        "MANUAL   DeleteKey by eve. By hand: aws kms cancel-key-deletion",
    ]


def test_a_finding_is_bound_to_a_user(aws: Aws) -> None:
    made = seed_iam.user(aws, keys=2, temporary=True)
    detail = _bound(aws, USER, user=made.name)
    assert detail["resource"]["accessKeyDetails"] == {
        "accessKeyId": made.keys[0].id,
        "principalId": made.id,
        "userType": "IAMUser",
        "userName": made.name,
    }
    assert detail["accountId"] == MEMBER
    assert detail["region"] == settings.REGION
    assert (
        detail["service"]["eventFirstSeen"]
        < detail["service"]["eventLastSeen"]
        < detail["updatedAt"]
    )
    aws.client("iam").update_access_key(
        UserName=made.name, AccessKeyId=made.keys[0].id, Status="Inactive"
    )
    assert (
        _bound(aws, USER, user=made.name)["resource"]["accessKeyDetails"]["accessKeyId"]
        == made.keys[1].id
    )
    assert made.temporary
    temporary = _bound(aws, USER, user=f"{made.name}/{made.temporary.id}")
    assert temporary["resource"]["accessKeyDetails"]["accessKeyId"] == made.temporary.id
    without = seed_iam.user(aws, keys=0)
    assert _bound(aws, USER, user=without.name)["resource"]["accessKeyDetails"]["accessKeyId"] == ""


def test_stolen_instance_credentials(aws: Aws) -> None:
    victim = seed.instance(
        aws,
        in_asg=False,
        target_group=False,
        elastic_ip=False,
        interfaces=1,
    )
    assert victim.role
    assert victim.role_id
    stolen = seed_iam.role_session(aws, MEMBER, victim.role, victim.instance)
    detail = _bound(
        aws, EXFILTRATED, role=f"{victim.role}/{victim.instance}", instance=victim.instance
    )
    details = detail["resource"]["accessKeyDetails"]
    assert details["principalId"] == f"{victim.role_id}:{victim.instance}"
    assert details["accessKeyId"] == stolen.id
    assert detail["resource"]["instanceDetails"]["instanceId"] == victim.instance


@pytest.mark.parametrize(
    ("bindings", "said"),
    [
        ({"user": "nobody-here"}, "has no user nobody-here; it has: "),
        ({"role": "no-such-role/x"}, "has no role no-such-role"),
        ({"user": "a", "role": "b"}, "one principal"),
        ({"bucket": "b"}, "not bucket"),
    ],
)
def test_what_cannot_be_bound_is_said(aws: Aws, bindings: dict[str, str], said: str) -> None:
    with pytest.raises(SandboxError, match=said):
        _bound(aws, USER, **bindings)


def test_a_key_of_somebody_else(aws: Aws) -> None:
    made = seed_iam.user(aws)
    with pytest.raises(
        SandboxError, match=f"no access key AKIANOTHERS0000; it has: {made.keys[0].id}"
    ):
        _bound(aws, USER, user=f"{made.name}/AKIANOTHERS0000")


def test_every_sandbox_has_people(aws: Aws) -> None:
    people = seed_iam.people(aws)
    assert json.loads(json.dumps(people)) == people
    keys = [seed_iam.Credential(**key) for key in people["user"]["keys"]]
    assert len(keys) == 2
    assert all(snapshot_iam.works(aws, key) for key in keys)
    assert asdict(keys[0]) == people["user"]["keys"][0]
    assert len(people["role"]["sessions"]) == 2
