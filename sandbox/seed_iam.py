"""Principals for the responder to act on: users and roles with chosen traits and real keys, and
what a thief does with one.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from . import control, seed, settings
from .clients import Aws
from .emulator.policy_sizes import ATTACHED
from .emulator.trail_headers import SOURCE_HEADER

Json = dict[str, Any]
ALLOW_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
THIEF = "203.0.113.66"  # where the thief's calls come from, in CloudTrail
_SERVICES = {
    "ec2": "ec2.amazonaws.com",
    "lambda": "lambda.amazonaws.com",
    "ecs": "ecs-tasks.amazonaws.com",
}
_OF_AWS = {
    "sso": "/aws-reserved/sso.amazonaws.com/",
    "slr": "/aws-service-role/autoscaling.amazonaws.com/",
}


@dataclass
class Credential:
    """An access key as it lies in somebody's hands; ``token``: of temporary ones."""

    id: str
    secret: str
    token: str = ""

    @classmethod
    def of(cls, answer: Json) -> Credential:
        """From what CreateAccessKey, AssumeRole and the like answer."""
        return cls(answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("SessionToken", ""))

    def client(self, aws: Aws, service: str, *, source: str = "") -> Any:
        """Make a client that calls with it; ``source``: from which address, as CloudTrail is to see
        it.
        """
        keys = {"aws_access_key_id": self.id, "aws_secret_access_key": self.secret}
        made = aws.client(
            service, **keys, **({"aws_session_token": self.token} if self.token else {})
        )
        if source:
            made.meta.events.register(
                "before-send", lambda request, **_: request.headers.update({SOURCE_HEADER: source})
            )
        return made


@dataclass
class User:
    """An IAM user and all it holds; ``sessions``: role session ARN -> its credential, ``mfa``:
    serials by when they came.
    """

    account: str
    name: str
    arn: str
    id: str
    keys: list[Credential] = field(default_factory=list)
    temporary: Credential | None = None
    sessions: dict[str, Credential] = field(default_factory=dict)
    mfa: dict[str, str] = field(default_factory=dict)
    ssh_key: str = ""
    service_credential: str = ""
    certificate: str = ""
    boundary: str = ""
    group: str = ""
    console: bool = False

    def as_dict(self) -> Json:
        """Return plain data, for JSON."""
        return asdict(self)


@dataclass
class Role:
    """A role and its sessions (name -> credential)."""

    account: str
    name: str
    arn: str
    id: str
    trust: str
    sessions: dict[str, Credential] = field(default_factory=dict)

    def as_dict(self) -> Json:
        """Return plain data, for JSON."""
        return asdict(self)


def _trust(kind: str, account: str) -> Json:
    principal = (
        {"Service": _SERVICES[kind]}
        if kind in _SERVICES
        else {"AWS": f"arn:aws:iam::{account}:root"}
    )
    if kind == "slr":
        principal = {"Service": "autoscaling.amazonaws.com"}
    if kind == "sso":
        principal = {
            "Federated": (
                f"arn:aws:iam::{account}:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"
            )
        }
    action = "sts:AssumeRoleWithSAML" if kind == "sso" else "sts:AssumeRole"
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": action}],
    }


def role(
    aws: Aws,
    account: str = settings.MEMBER_ACCOUNT,
    *,
    trust: str = "person",
    sessions: tuple[str, ...] | list[str] = (),
    name: str = "",
    policy: Json | None = None,
) -> Role:
    """Make a role that may do everything (or what ``policy`` says) with sessions of these names.

    ``trust``: ec2, lambda, ecs, person (the account), sso (Identity Center's), slr (a
    service-linked one).
    """
    fresh = {
        "sso": f"AWSReservedSSO_Admin_{secrets.token_hex(8)}",
        "slr": f"AWSServiceRoleForApp{secrets.token_hex(3)}",
    }
    name = name or fresh.get(trust) or f"app-{secrets.token_hex(4)}"
    data = {
        "account": account,
        "name": name,
        "path": _OF_AWS.get(trust, "/"),
        "trust": _trust(trust, account),
    }
    made = control.ask(aws.endpoint, "POST", "roles", {**data, "policy": policy or ALLOW_ALL})
    new = Role(account, name, made["arn"], made["id"], trust)
    for session in sessions:
        new.sessions[session] = role_session(aws, account, name, session)
    return new


def role_session(aws: Aws, account: str, name: str, session: str) -> Credential:
    """Credentials of a session that a service (EC2 for an instance, ...) got of the role."""
    return Credential.of(
        control.ask(
            aws.endpoint, "POST", "sessions", {"account": account, "role": name, "session": session}
        )
    )


def _mfa(aws: Aws, user: User, when: str, seconds: float) -> None:
    iam = aws.client("iam", user.account)
    name = f"{user.name}-{when}"
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"][
        "SerialNumber"
    ]
    iam.enable_mfa_device(
        UserName=user.name,
        SerialNumber=serial,
        AuthenticationCode1="123456",
        AuthenticationCode2="654321",
    )
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    control.ask(
        aws.endpoint, "POST", "mfa", {"account": user.account, "serial": serial, "enabled": since}
    )
    user.mfa[when] = serial


def _other_credentials(
    iam: Any, user: User, ssh_key: bool, service_credential: bool, certificate: bool
) -> None:
    who = {"UserName": user.name}
    if ssh_key:
        body = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== laptop"
        user.ssh_key = iam.upload_ssh_public_key(**who, SSHPublicKeyBody=body)["SSHPublicKey"][
            "SSHPublicKeyId"
        ]
    if service_credential:
        made = iam.create_service_specific_credential(
            **who, ServiceName="codecommit.amazonaws.com"
        )["ServiceSpecificCredential"]
        user.service_credential = made["ServiceSpecificCredentialId"]
    if certificate:
        body = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
        user.certificate = iam.upload_signing_certificate(**who, CertificateBody=body)[
            "Certificate"
        ]["CertificateId"]


def _policies(iam: Any, user: User, count: int) -> None:
    for number in range(count):
        arn = iam.create_policy(
            PolicyName=f"{user.name}-{number}", PolicyDocument=json.dumps(ALLOW_ALL)
        )["Policy"]["Arn"]
        iam.attach_user_policy(UserName=user.name, PolicyArn=arn)


def user(
    aws: Aws,
    account: str = settings.MEMBER_ACCOUNT,
    *,
    keys: int = 1,
    console: bool = False,
    mfa_before: bool = False,
    mfa_after: bool = False,
    ssh_key: bool = False,
    service_credential: bool = False,
    certificate: bool = False,
    quota_full: bool = False,
    boundary: bool = False,
    temporary: bool = False,
    sessions: int = 0,
    group: bool = False,
    name: str = "",
    policy: Json | None = None,
) -> User:
    """Make an IAM user that may do everything (or what ``policy`` says), with the chosen traits.

    ``mfa_before``/``mfa_after``: a device enabled 30 days ago / now. ``quota_full``: as many
    managed policies as it can hold. ``boundary``: its permissions boundary lets everything through.
    ``temporary``: credentials of GetSessionToken. ``sessions``: so many sessions in roles that it
    assumed with its first key. ``group``: it is in a group with a policy.
    """
    iam, name = aws.client("iam", account), name or f"alice-{secrets.token_hex(4)}"
    made = iam.create_user(UserName=name)["User"]
    new = User(account, name, made["Arn"], made["UserId"], console=console)
    who = {"UserName": name}
    iam.put_user_policy(**who, PolicyName="work", PolicyDocument=json.dumps(policy or ALLOW_ALL))
    new.keys = [Credential.of(iam.create_access_key(**who)["AccessKey"]) for _ in range(keys)]
    if console:
        iam.create_login_profile(**who, Password=secrets.token_urlsafe(20) + "aA1!")
    if mfa_before:
        _mfa(aws, new, "before", -30 * 86400)
    if mfa_after:
        _mfa(aws, new, "after", 0)
    _other_credentials(iam, new, ssh_key, service_credential, certificate)
    _policies(iam, new, ATTACHED if quota_full else 0)
    if boundary:
        document = json.dumps(ALLOW_ALL)
        new.boundary = iam.create_policy(PolicyName=f"{name}-boundary", PolicyDocument=document)[
            "Policy"
        ]["Arn"]
        iam.put_user_permissions_boundary(**who, PermissionsBoundary=new.boundary)
    if group:
        new.group = f"{name}-team"
        iam.create_group(GroupName=new.group)
        iam.put_group_policy(
            GroupName=new.group, PolicyName="team", PolicyDocument=json.dumps(ALLOW_ALL)
        )
        iam.add_user_to_group(**who, GroupName=new.group)
    if temporary:
        new.temporary = Credential.of(
            new.keys[0].client(aws, "sts").get_session_token()["Credentials"]
        )
    for number in range(sessions):
        assumed = role(aws, account)
        answer = (
            new.keys[0]
            .client(aws, "sts")
            .assume_role(RoleArn=assumed.arn, RoleSessionName=f"{name}-{number}")
        )
        new.sessions[answer["AssumedRoleUser"]["Arn"]] = Credential.of(answer["Credentials"])
    return new


@dataclass
class Mischief:
    """What a thief did, by name: what can be undone, and ``kms_key``, whose deletion only a
    person takes back.
    """

    user: str
    access_key: Credential
    instance: str
    group: str
    rule: str
    trail: str
    kms_key: str


def trail(aws: Aws, account: str = settings.MEMBER_ACCOUNT) -> str:
    """Make a trail that logs into a bucket of its own; its name."""
    name = f"audit-{secrets.token_hex(4)}"
    client = aws.client("cloudtrail", account)
    aws.client("s3", account).create_bucket(Bucket=f"{name}-logs")
    client.create_trail(Name=name, S3BucketName=f"{name}-logs")
    client.start_logging(Name=name)
    return name


def _once_more(call: Callable[[], Any]) -> Any:
    """Make a call of IAM, and once more where another change is under way, as on AWS."""
    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConcurrentModification":
            raise
        return call()


def mischief(
    aws: Aws,
    who: Credential,
    account: str = settings.MEMBER_ACCOUNT,
    within: seed.Network | None = None,
) -> Mischief:
    """Act as ``who``: a user with all power and a key, an instance, a group open to the world, a
    stopped trail, a doomed KMS key.

    ``who`` must be allowed IAM: no credentials of GetSessionToken or GetFederationToken.
    """
    place = within or seed.network(aws, account, name=f"target-{secrets.token_hex(4)}")
    watched = trail(aws, account)
    kms = aws.client("kms", account).create_key(Description="customer data")["KeyMetadata"]["KeyId"]
    iam = who.client(aws, "iam", source=THIEF)
    name = f"backup-{secrets.token_hex(3)}"
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    _once_more(lambda: iam.create_user(UserName=name))
    _once_more(lambda: iam.attach_user_policy(UserName=name, PolicyArn=administrator))
    made = _once_more(lambda: iam.create_access_key(UserName=name))
    key = Credential.of(made["AccessKey"])
    ec2 = who.client(aws, "ec2", source=THIEF)
    launched = ec2.run_instances(
        ImageId=seed.IMAGE,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=place.subnets[0],
        SecurityGroupIds=[place.security_group],
    )["Instances"][0]["InstanceId"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    opened = ec2.authorize_security_group_ingress(
        GroupId=place.security_group, IpPermissions=[ssh]
    )["SecurityGroupRules"][0]
    who.client(aws, "cloudtrail", source=THIEF).stop_logging(Name=watched)
    who.client(aws, "kms", source=THIEF).schedule_key_deletion(KeyId=kms, PendingWindowInDays=7)
    return Mischief(
        name, key, launched, place.security_group, opened["SecurityGroupRuleId"], watched, kms
    )


def people(aws: Aws) -> Json:
    """Make what every sandbox has: a user with everything a user can hold, and a person's role
    with two sessions.
    """
    whole = user(
        aws,
        keys=2,
        console=True,
        mfa_before=True,
        mfa_after=True,
        ssh_key=True,
        service_credential=True,
        certificate=True,
        boundary=True,
        temporary=True,
        sessions=1,
        group=True,
    )
    persons = role(aws, sessions=("bob@example.com", "eve@example.com"))
    return {"user": whole.as_dict(), "role": persons.as_dict()}
