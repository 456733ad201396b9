"""IAM users and their credentials as on AWS: what they hold, what dies when, how much fits, and
which roles only AWS changes.
"""

from __future__ import annotations

import functools
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import ALLOW_ALL, MEMBER, Control, Identity, allow

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"


def code(call: Callable[[], object]) -> str:
    """Return the error code of a call, "" when it works."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


class User:
    """An IAM user with all power, and a key."""

    def __init__(self, aws: Aws) -> None:
        self.aws, self.iam, self.name = aws, aws.client("iam"), f"user-{secrets.token_hex(4)}"
        self.arn = self.iam.create_user(UserName=self.name, Path="/people/")["User"]["Arn"]
        self.put("all", ALLOW_ALL)
        self.key = self.iam.create_access_key(UserName=self.name)["AccessKey"]

    def put(self, name: str, policy: object) -> None:
        self.iam.put_user_policy(
            UserName=self.name, PolicyName=name, PolicyDocument=json.dumps(policy)
        )

    def client(self, service: str, key: Any = None) -> Any:
        key = key or self.key
        token = {"aws_session_token": key["SessionToken"]} if "SessionToken" in key else {}
        keys = {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }
        return self.aws.client(service, **keys, **token)

    def works(self, key: object = None) -> bool:
        """Return whether a key may do what the user may: asked of MiniStack and of moto."""
        answers = {
            code(self.client("s3", key).list_buckets),
            code(self.client("ec2", key).describe_vpcs),
        }
        assert len(answers) == 1 or "" not in answers, answers
        return answers == {""}


@pytest.fixture
def user(aws: Aws) -> User:
    return User(aws)


def test_ssh_keys(user: User) -> None:
    made = user.iam.upload_ssh_public_key(
        UserName=user.name, SSHPublicKeyBody="ssh-rsa AAAAB3NzaC1yc2E= a@b"
    )["SSHPublicKey"]
    assert made["SSHPublicKeyId"].startswith("APKA")
    assert made["Status"] == "Active"
    assert made["Fingerprint"]
    user.iam.update_ssh_public_key(
        UserName=user.name, SSHPublicKeyId=made["SSHPublicKeyId"], Status="Inactive"
    )
    [shown] = user.iam.list_ssh_public_keys(UserName=user.name)["SSHPublicKeys"]
    assert shown["SSHPublicKeyId"] == made["SSHPublicKeyId"]
    assert shown["Status"] == "Inactive"
    assert "SSHPublicKeyBody" not in shown
    assert shown["UploadDate"]
    missing = {
        "UserName": user.name,
        "SSHPublicKeyId": "APKANOTHING0000000000",
        "Status": "Inactive",
    }
    assert code(lambda: user.iam.update_ssh_public_key(**missing)) == "NoSuchEntity"
    assert code(lambda: user.iam.list_ssh_public_keys(UserName="nobody-here")) == "NoSuchEntity"
    user.iam.delete_ssh_public_key(UserName=user.name, SSHPublicKeyId=made["SSHPublicKeyId"])
    assert user.iam.list_ssh_public_keys(UserName=user.name)["SSHPublicKeys"] == []


def test_service_specific_credentials(user: User) -> None:
    create = user.iam.create_service_specific_credential
    made = create(UserName=user.name, ServiceName="codecommit.amazonaws.com")[
        "ServiceSpecificCredential"
    ]
    assert made["ServicePassword"]
    assert made["Status"] == "Active"
    name = made["ServiceSpecificCredentialId"]
    user.iam.update_service_specific_credential(
        UserName=user.name, ServiceSpecificCredentialId=name, Status="Inactive"
    )
    [shown] = user.iam.list_service_specific_credentials(UserName=user.name)[
        "ServiceSpecificCredentials"
    ]
    assert shown["ServiceSpecificCredentialId"] == name
    assert shown["Status"] == "Inactive"
    assert shown["ServiceName"] == "codecommit.amazonaws.com"
    assert ("ServicePassword" in shown) is False
    create(UserName=user.name, ServiceName="codecommit.amazonaws.com")
    assert (
        code(lambda: create(UserName=user.name, ServiceName="codecommit.amazonaws.com"))
        == "LimitExceeded"
    )


def test_signing_certificates(user: User) -> None:
    made = user.iam.upload_signing_certificate(
        UserName=user.name, CertificateBody="-----BEGIN CERTIFICATE-----"
    )["Certificate"]
    name = made["CertificateId"]
    user.iam.update_signing_certificate(UserName=user.name, CertificateId=name, Status="Inactive")
    [shown] = user.iam.list_signing_certificates(UserName=user.name)["Certificates"]
    assert shown["CertificateId"] == name
    assert shown["Status"] == "Inactive"
    assert shown["CertificateBody"] == made["CertificateBody"]


def test_deny_all_denies_keys_and_sessions(user: User) -> None:
    session = user.client("sts").get_session_token()["Credentials"]
    federated = user.client("sts").get_federation_token(Name="bob", Policy=json.dumps(ALLOW_ALL))[
        "Credentials"
    ]
    assert user.works()
    assert user.works(session)
    assert user.works(federated)
    user.iam.attach_user_policy(UserName=user.name, PolicyArn=DENY_ALL)
    assert not user.works()
    assert not user.works(session)
    assert not user.works(federated)
    user.iam.detach_user_policy(UserName=user.name, PolicyArn=DENY_ALL)
    user.iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=DENY_ALL)
    assert not user.works()
    assert not user.works(session)
    assert not user.works(federated)


def test_inactive_keys_are_refused_and_their_sessions_live_on(user: User) -> None:
    session = user.client("sts").get_session_token()["Credentials"]
    user.iam.update_access_key(
        UserName=user.name, AccessKeyId=user.key["AccessKeyId"], Status="Inactive"
    )
    assert code(user.client("iam").list_users) == "InvalidClientTokenId"
    assert code(user.client("sts").get_caller_identity) == "InvalidClientTokenId"
    assert not user.works()
    assert user.works(session)


def test_sessions_issued_before_a_time_are_denied(user: User, aws: Aws, identity: Identity) -> None:
    role = identity.role(ALLOW_ALL)
    old = user.client("sts").get_session_token()["Credentials"]
    before = identity.session(role, name="eve")
    cut = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    deny = {
        **allow("*"),
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": cut}},
            }
        ],
    }
    user.put("cut", deny)
    name = role.rsplit("/", 1)[-1]
    aws.client("iam").put_role_policy(
        RoleName=name, PolicyName="cut", PolicyDocument=json.dumps(deny)
    )
    assert not user.works(old)
    assert code(aws.client("ec2", **before).describe_vpcs) == "UnauthorizedOperation"
    assert user.works(), "a long-term key has no issue time"
    time.sleep(1.1)
    assert user.works(user.client("sts").get_session_token()["Credentials"])
    assert code(aws.client("ec2", **identity.session(role, name="eve")).describe_vpcs) == ""


def test_sessions_without_mfa_cannot_call_iam(user: User) -> None:
    sts = user.client("sts")
    assert (
        code(user.client("iam", sts.get_session_token()["Credentials"]).list_users)
        == "InvalidClientTokenId"
    )
    federated = sts.get_federation_token(Name="bob", Policy=json.dumps(ALLOW_ALL))["Credentials"]
    assert code(user.client("iam", federated).list_users) == "InvalidClientTokenId"


def test_a_user_holds_ten_policies_that_exist(user: User) -> None:
    made = [
        user.iam.create_policy(PolicyName=f"{user.name}-{n}", PolicyDocument=json.dumps(ALLOW_ALL))[
            "Policy"
        ]
        for n in range(11)
    ]
    attach = user.iam.attach_user_policy
    for policy in made[:10]:
        attach(UserName=user.name, PolicyArn=policy["Arn"])
    assert code(lambda: attach(UserName=user.name, PolicyArn=made[10]["Arn"])) == "LimitExceeded"
    assert code(lambda: attach(UserName=user.name, PolicyArn=made[0]["Arn"])) == "", (
        "it is attached already"
    )
    assert len(user.iam.list_attached_user_policies(UserName=user.name)["AttachedPolicies"]) == 10
    assert (
        code(lambda: attach(UserName=user.name, PolicyArn="arn:aws:iam::aws:policy/NoSuch"))
        == "NoSuchEntity"
    )


def test_inline_policies_have_a_size(user: User, identity: Identity) -> None:
    big = allow([f"s3:Get{number}" for number in range(100)])
    size = len("".join(json.dumps(big).split()))
    assert 1000 < size < 2048
    user.put("one", big)
    assert code(lambda: user.put("two", big)) == "LimitExceeded", "together they are too long"
    assert code(lambda: user.put("one", big)) == "", "it takes its own place"
    role = identity.role(None).rsplit("/", 1)[-1]

    def put(name: str) -> object:
        document = json.dumps(big)
        return user.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)

    fits = 10240 // size
    assert [code(functools.partial(put, str(n))) for n in range(fits + 1)] == [""] * fits + [
        "LimitExceeded"
    ]


@pytest.mark.smoke
def test_a_user_has_two_keys(user: User) -> None:
    user.iam.create_access_key(UserName=user.name)
    assert code(lambda: user.iam.create_access_key(UserName=user.name)) == "LimitExceeded"


@pytest.mark.parametrize(
    "path", ["/aws-service-role/autoscaling.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"]
)
def test_roles_of_aws_are_changed_by_aws_alone(aws: Aws, control: Control, path: str) -> None:
    name = f"AWSReservedSSO_x_{secrets.token_hex(8)}"
    iam = aws.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": MEMBER}, "Action": "sts:AssumeRole"}
        ],
    }
    made = control(
        "POST",
        "roles",
        {"account": MEMBER, "name": name, "path": path, "trust": trust, "policy": ALLOW_ALL},
    )
    assert (
        iam.get_role(RoleName=name)["Role"]["Arn"]
        == made["arn"]
        == f"arn:aws:iam::{MEMBER}:role{path}{name}"
    )
    document = json.dumps(ALLOW_ALL)
    for call in (
        lambda: iam.put_role_policy(RoleName=name, PolicyName="x", PolicyDocument=document),
        lambda: iam.delete_role_policy(RoleName=name, PolicyName="work"),
        lambda: iam.attach_role_policy(RoleName=name, PolicyArn=DENY_ALL),
        lambda: iam.detach_role_policy(RoleName=name, PolicyArn=DENY_ALL),
        lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust)),
        lambda: iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=DENY_ALL),
        lambda: iam.delete_role_permissions_boundary(RoleName=name),
        lambda: iam.update_role(RoleName=name, MaxSessionDuration=7200),
        lambda: iam.delete_role(RoleName=name),
    ):
        assert code(call) == "UnmodifiableEntity"
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["work"]


def test_calls_without_a_name_are_about_the_caller(user: User) -> None:
    own = user.client("iam")
    assert own.get_user()["User"]["Arn"] == user.arn
    assert [key["AccessKeyId"] for key in own.list_access_keys()["AccessKeyMetadata"]] == [
        user.key["AccessKeyId"]
    ]
    user.put("all", allow(["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"], user.arn))
    assert code(own.list_access_keys) == "", "and checked on the caller"
    used = own.get_access_key_last_used(AccessKeyId=user.key["AccessKeyId"])
    assert used["UserName"] == user.name
    assert code(lambda: own.list_access_keys(UserName="somebody")) == "AccessDenied"


def test_holdings_of_nobody(user: User) -> None:
    assert code(lambda: user.iam.list_access_keys(UserName="nobody-here")) == "NoSuchEntity"
    assert code(lambda: user.iam.list_mfa_devices(UserName="nobody-here")) == "NoSuchEntity"


def test_which_policy_and_boundary_are_condition_keys(user: User, identity: Identity) -> None:
    iam = identity.client(
        "iam", allow("iam:AttachUserPolicy", "*", ArnEquals={"iam:PolicyARN": DENY_ALL})
    )
    other = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert code(lambda: iam.attach_user_policy(UserName=user.name, PolicyArn=DENY_ALL)) == ""
    assert (
        code(lambda: iam.attach_user_policy(UserName=user.name, PolicyArn=other)) == "AccessDenied"
    )
    iam = identity.client(
        "iam",
        allow(
            "iam:PutUserPermissionsBoundary",
            "*",
            StringEquals={"iam:PermissionsBoundary": DENY_ALL},
        ),
    )
    put = iam.put_user_permissions_boundary
    assert code(lambda: put(UserName=user.name, PermissionsBoundary=other)) == "AccessDenied"
    assert code(lambda: put(UserName=user.name, PermissionsBoundary=DENY_ALL)) == ""
    user.iam.tag_user(UserName=user.name, Tags=[{"Key": "team", "Value": "red"}])
    for value, refused in (("red", ""), ("blue", "AccessDenied")):
        iam = identity.client(
            "iam", allow("iam:ListUserTags", "*", StringEquals={"iam:ResourceTag/team": value})
        )
        assert code(functools.partial(iam.list_user_tags, UserName=user.name)) == refused


def test_mfa_devices_say_since_when(user: User, control: Control) -> None:
    serial = user.iam.create_virtual_mfa_device(VirtualMFADeviceName=user.name)["VirtualMFADevice"][
        "SerialNumber"
    ]
    user.iam.enable_mfa_device(
        UserName=user.name,
        SerialNumber=serial,
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )
    control("POST", "mfa", {"account": MEMBER, "serial": serial, "enabled": "2020-01-02T03:04:05Z"})
    [device] = user.iam.list_mfa_devices(UserName=user.name)["MFADevices"]
    assert device["SerialNumber"] == serial
    assert device["EnableDate"].year == 2020
    user.iam.deactivate_mfa_device(UserName=user.name, SerialNumber=serial)
    assert user.iam.list_mfa_devices(UserName=user.name)["MFADevices"] == []


def test_console_passwords(user: User) -> None:
    iam = user.iam
    name = user.name
    assert code(lambda: iam.get_login_profile(UserName=name)) == "NoSuchEntity"
    assert code(lambda: iam.delete_login_profile(UserName=name)) == "NoSuchEntity"
    assert (
        code(lambda: iam.update_login_profile(UserName=name, PasswordResetRequired=True))
        == "NoSuchEntity"
    )
    iam.create_login_profile(UserName=name, Password=secrets.token_urlsafe(20))
    iam.update_login_profile(
        UserName=name, Password=secrets.token_urlsafe(20), PasswordResetRequired=True
    )
    assert iam.get_login_profile(UserName=name)["LoginProfile"]["PasswordResetRequired"] is True


def test_an_account_has_two_regions(aws: Aws, identity: Identity) -> None:
    ec2 = identity.client("ec2", allow("ec2:DescribeRegions"))
    regions = [region["RegionName"] for region in ec2.describe_regions()["Regions"]]
    assert sorted(regions) == ["eu-west-1", "us-east-1"]
    account = identity.client("account", allow("account:ListRegions"))
    enabled = account.list_regions(RegionOptStatusContains=["ENABLED_BY_DEFAULT"])["Regions"]
    assert sorted(region["RegionName"] for region in enabled) == ["eu-west-1", "us-east-1"]
    assert account.list_regions(RegionOptStatusContains=["DISABLED"])["Regions"] == []
