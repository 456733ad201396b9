"""What a principal could do, read from IAM as containment begins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.playbooks.iam_principal.evidence import permissions
from moto.core.config import default_user_config

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.evidence_lab import INCIDENT, EvidenceLab

Json = dict[str, Any]
DOCUMENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "s3:Get*",
                "Resource": "*",
            }
        ],
    }
)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


def state(lab: EvidenceLab) -> Json:
    return dict(json.loads(lab.stored()["principal.json"]))


def alice(lab: EvidenceLab) -> Any:
    iam = lab.see("iam")
    iam.create_user(UserName="alice")
    lab.details["accessKeyId"] = iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    return iam


def test_a_user(lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(default_user_config["iam"], "load_aws_managed_policies", True)
    lab.build()
    iam = alice(lab)
    own = iam.create_policy(PolicyName="own", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="alice", PolicyArn=own)
    iam.attach_user_policy(UserName="alice", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.put_user_policy(
        UserName="alice",
        PolicyName="inline",
        PolicyDocument=DOCUMENT,
    )
    iam.create_group(GroupName="admins")
    iam.attach_group_policy(
        GroupName="admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    iam.put_group_policy(
        GroupName="admins",
        PolicyName="more",
        PolicyDocument=DOCUMENT,
    )
    iam.add_user_to_group(GroupName="admins", UserName="alice")
    iam.create_login_profile(UserName="alice", Password="Correct-horse-1")
    [part] = lab.collect(permissions)
    found = state(lab)
    assert part.outcome == "COMPLETE" and found["missing"] == []
    assert found["user"]["UserName"] == "alice"
    assert {policy["PolicyName"] for policy in found["policies"]["attached"]} == {
        "own",
        "ReadOnlyAccess",
    }
    assert found["policies"]["inline"] == {"inline": json.loads(DOCUMENT)}
    assert found["policy own"] == {"arn": own, "document": json.loads(DOCUMENT)}
    assert [policy["PolicyName"] for policy in found["group admins"]["attached"]] == [
        "AdministratorAccess"
    ]
    assert found["group admins"]["inline"] == {"more": json.loads(DOCUMENT)}
    assert "policy ReadOnlyAccess" not in found
    assert found["login_profile"]["UserName"] == "alice"
    assert [key["Status"] for key in found["access_keys"]] == ["Active"]
    assert "policies: " in part.detail and "groups: admins" in part.detail
    assert "Correct-horse-1" not in json.dumps(found)


def test_a_user_without_console_or_groups(lab: EvidenceLab) -> None:
    lab.build()
    alice(lab)
    [part] = lab.collect(permissions)
    assert (part.outcome, state(lab)["login_profile"], state(lab)["groups"]) == (
        "COMPLETE",
        None,
        [],
    )
    assert "key last used never" in part.detail or "key last used 20" in part.detail


def test_a_role(lab: EvidenceLab) -> None:
    lab.stolen().build()
    iam = lab.see("iam")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=DOCUMENT)
    iam.put_role_policy(
        RoleName="app",
        PolicyName="inline",
        PolicyDocument=DOCUMENT,
    )
    lab.details["accessKeyId"] = ""
    [part] = lab.collect(permissions)
    assert state(lab)["role"]["AssumeRolePolicyDocument"] == json.loads(DOCUMENT)
    assert state(lab)["policies"]["inline"] == {"inline": json.loads(DOCUMENT)}
    assert (part.outcome, part.detail) == ("COMPLETE", "policies: inline")


def test_one_that_is_gone(lab: EvidenceLab) -> None:
    lab.build()
    lab.details["accessKeyId"] = ""
    [part] = lab.collect(permissions)
    assert part.outcome == "COMPLETE"
    assert "the user no longer exists" in part.detail


def test_what_cannot_be_read_is_said_and_stops_nothing(lab: EvidenceLab) -> None:
    lab.build()
    alice(lab)
    lab.fail("ListMFADevices", "AccessDenied")
    [part] = lab.collect(permissions)
    assert part.outcome == "PARTIAL"
    assert "mfa_devices (AccessDenied: injected)" in part.detail
    assert state(lab)["user"]["UserName"] == "alice"


def test_nobody_whom_iam_knows(lab: EvidenceLab) -> None:
    lab.kind, lab.id, lab.details = "root", "root", {"userType": "Root"}
    lab.build()
    assert lab.record.target(INCIDENT, "root", "root")
    [part] = lab.collect(permissions)
    assert (part.outcome, lab.stored()) == ("NOT_POSSIBLE", {})
