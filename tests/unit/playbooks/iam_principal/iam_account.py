"""A member account with users and roles in it, and its CloudTrail, on moto.

State is asserted through ``IamAccount.see``: boto3 clients of their own, in the member account.
iam_moto adds what moto lacks of IAM.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypedDict, Unpack

from botocore.exceptions import ClientError
from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
from guardduty_response.cloudtrail.event import CloudTrailRecord
from moto.iam.models import iam_backends

from tests.unit.deployment import onlooker
from tests.unit.playbooks.iam_principal.iam_moto import HOME, MEMBER, certificate_pem, managed

Json = dict[str, Any]
REGION = "eu-central-1"
THIRD = "ap-southeast-2"


class UserTraits(TypedDict, total=False):
    """What a user has. ``mfa``: devices of ``old`` (a year) and ``new`` (now). ``policies``: how
    many are attached.
    """

    keys: int
    console: bool
    mfa: tuple[str, ...]
    ssh: bool
    service: bool
    certificate: bool
    policies: int
    boundary: str
    path: str


# A user with every kind of credential.
EVERY_CREDENTIAL: UserTraits = {
    "keys": 2,
    "console": True,
    "mfa": ("old", "new"),
    "ssh": True,
    "service": True,
    "certificate": True,
}


class AccessKeyDetails(TypedDict, total=False):
    """A finding's ``resource.accessKeyDetails``."""

    accessKeyId: str
    principalId: str
    userType: str
    userName: str


class TrailEvent(TypedDict):
    """A CloudTrail record: of when (seconds since 1970), in which Region, and how many seconds
    ahead it is shown.
    """

    at: float
    region: str
    record: CloudTrailRecord
    shown: float


@dataclass
class IamAccount:
    details: AccessKeyDetails = field(default_factory=AccessKeyDetails)
    trail: list[TrailEvent] = field(default_factory=list)
    regions: list[str] = field(default_factory=lambda: [HOME, REGION, THIRD])
    # What was made, by kind: IDs, ARNs, the plan.
    ids: Json = field(default_factory=dict)
    observers: dict[str, AwsClient] = field(default_factory=dict)

    # -- state, as others see it -------------------------------------------------------------------

    def see(self, service: str = "iam") -> AwsClient:
        """A client that shares nothing with the response's."""
        if service not in self.observers:
            self.observers[service] = onlooker(service, REGION)
        return self.observers[service]

    def key_states(self, user: str = "alice") -> dict[str, str]:
        listed = self.see().list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in listed}

    def attached(self, user: str = "alice") -> set[str]:
        listed = self.see().list_attached_user_policies(UserName=user)["AttachedPolicies"]
        return {policy["PolicyArn"] for policy in listed}

    def boundary(self, user: str = "alice") -> str | None:
        found = self.see().get_user(UserName=user)["User"].get("PermissionsBoundary") or {}
        return found.get("PermissionsBoundaryArn")

    def password(self, user: str = "alice") -> dict[str, bool] | None:
        try:
            found = self.see().get_login_profile(UserName=user)["LoginProfile"]
        except ClientError:
            return None
        return {"reset": bool(found.get("PasswordResetRequired"))}

    def dump(self, user: str = "alice") -> Json:
        """Everything of the user that IAM shows."""
        iam = self.see()
        shown = iam.get_user(UserName=user)["User"]
        devices = iam.list_mfa_devices(UserName=user)["MFADevices"]
        ssh = iam.list_ssh_public_keys(UserName=user)["SSHPublicKeys"]
        certificates = iam.list_signing_certificates(UserName=user)["Certificates"]
        service = iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
        inline = iam.list_user_policies(UserName=user)["PolicyNames"]
        return {
            "id": shown["UserId"],
            "tags": {tag["Key"]: tag["Value"] for tag in shown.get("Tags") or []},
            "boundary": self.boundary(user),
            "attached": self.attached(user),
            "keys": self.key_states(user),
            "password": self.password(user),
            "groups": iam.list_groups_for_user(UserName=user)["Groups"],
            "mfa": sorted(device["SerialNumber"] for device in devices),
            "ssh": statuses(ssh, "SSHPublicKeyId"),
            "certificates": statuses(certificates, "CertificateId"),
            "service": statuses(service, "ServiceSpecificCredentialId"),
            "inline": {
                name: iam.get_user_policy(UserName=user, PolicyName=name)["PolicyDocument"]
                for name in inline
            },
        }

    def role_dump(self, role: str = "app") -> Json:
        tags = self.see().list_role_tags(RoleName=role)["Tags"]
        return {
            "policies": self.role_policies(role),
            "tags": {tag["Key"]: tag["Value"] for tag in tags},
        }

    def role_policies(self, role: str = "app") -> dict[str, PolicyDocument]:
        iam = self.see()
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in names
        }

    # -- users -------------------------------------------------------------------------------------

    def user(self, name: str = "alice", **traits: Unpack[UserTraits]) -> Self:
        """A user, whom the finding is about."""
        iam = self.see()
        path = traits.get("path", "/")
        iam.create_user(UserName=name, Path=path, Tags=[{"Key": "team", "Value": "web"}])
        # moto's have another form
        iam_backends[MEMBER]["aws"].users[name].id = f"AIDA{uuid.uuid4().hex[:17].upper()}"
        created = iam.get_user(UserName=name)["User"]
        self.ids |= {"user": created["UserId"], "keys": [], "arn": created["Arn"]}
        for _ in range(traits.get("keys", 1)):
            key = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
            self.ids["keys"].append(key)
        self._add_credentials(name, traits)
        for number in range(traits.get("policies", 0)):
            iam.attach_user_policy(UserName=name, PolicyArn=managed(f"Full{number}"))
        if boundary := traits.get("boundary"):
            iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
        self.details = {
            "accessKeyId": self.ids["keys"][0] if self.ids["keys"] else "",
            "principalId": self.ids["user"],
            "userType": "IAMUser",
            "userName": name,
        }
        return self

    def _add_credentials(self, name: str, traits: UserTraits) -> None:
        iam = self.see()
        if traits.get("console"):
            iam.create_login_profile(UserName=name, Password="correct horse battery")
        for age in traits.get("mfa", ()):
            self.ids[f"mfa_{age}"] = self._add_mfa(name, age)
        if traits.get("ssh"):
            uploaded = iam.upload_ssh_public_key(UserName=name, SSHPublicKeyBody="ssh-rsa AAAA")
            self.ids["ssh"] = uploaded["SSHPublicKey"]["SSHPublicKeyId"]
        if traits.get("service"):
            created = iam.create_service_specific_credential(
                UserName=name, ServiceName="codecommit.amazonaws.com"
            )
            credential = created["ServiceSpecificCredential"]
            self.ids["service"] = credential["ServiceSpecificCredentialId"]
        if traits.get("certificate"):
            uploaded = iam.upload_signing_certificate(
                UserName=name, CertificateBody=certificate_pem()
            )
            self.ids["certificate"] = uploaded["Certificate"]["CertificateId"]

    def _add_mfa(self, name: str, age: str) -> str:
        iam = self.see()
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"{name}-{age}")
        serial = str(device["VirtualMFADevice"]["SerialNumber"])
        iam.enable_mfa_device(
            UserName=name,
            SerialNumber=serial,
            AuthenticationCode1="123456",
            AuthenticationCode2="654321",
        )
        if age == "old":
            since = datetime.now(UTC) - timedelta(days=365)
            iam_backends[MEMBER]["aws"].users[name].mfa_devices[serial].enable_date = since
        return serial

    def rename(self, old: str, new: str) -> None:
        self.see().update_user(UserName=old, NewUserName=new)
        # moto lets them keep the old name
        for key in iam_backends[MEMBER]["aws"].users[new].access_keys:
            key.user_name = new

    # -- roles -------------------------------------------------------------------------------------

    def role(
        self,
        name: str = "app",
        session: str | None = "carol",
        trust: dict[str, str | list[str]] | None = None,
        path: str = "/",
    ) -> Self:
        """A role; ``session``: whom the finding is about (None: it is about something else)."""
        statement = {
            "Effect": "Allow",
            "Principal": trust or {"AWS": f"arn:aws:iam::{MEMBER}:root"},
            "Action": "sts:AssumeRole",
        }
        trust_policy = {"Version": "2012-10-17", "Statement": [statement]}
        created = self.see().create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust_policy)
        )["Role"]
        self.ids.setdefault("roles", {})[name] = created["RoleId"]
        if session is not None:
            self.ids["arn"] = created["Arn"]
            self.details = {
                "accessKeyId": "ASIAFINDING000000001",
                "principalId": f"{created['RoleId']}:{session}",
                "userType": "AssumedRole",
                "userName": name,
            }
        return self

    # -- CloudTrail --------------------------------------------------------------------------------

    def add_event(
        self,
        name: str,
        caller: CloudTrailRecord,
        ago: float = 60,
        region: str = REGION,
        shown: float = 0,
        **more: Any,
    ) -> CloudTrailRecord:
        """An event of ``ago`` seconds ago, which CloudTrail shows from ``shown`` seconds ahead
        on. ``caller``: its ``userIdentity``.
        """
        at = time.time() - ago
        record = {
            "eventVersion": "1.11",
            "eventID": str(uuid.uuid4()),
            "eventName": name,
            "eventSource": "iam.amazonaws.com",
            "awsRegion": region,
            "recipientAccountId": MEMBER,
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2",
            "userIdentity": caller,
            "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **more,
        }
        self.trail.append({"at": at, "region": region, "record": record, "shown": shown})
        return record

    def add_assume_role(
        self,
        caller: CloudTrailRecord,
        role: str,
        name: str,
        key: str,
        seconds: int | None = None,
        account: str = MEMBER,
        **more: Any,
    ) -> str:
        """The caller got session ``name`` of a role. Returns its aws:userid."""
        unique_id = self.ids.get("roles", {}).get(role, "AROAOTHER00000000001")
        parameters: dict[str, str | int] = {
            "roleArn": f"arn:aws:iam::{account}:role/{role}",
            "roleSessionName": name,
        }
        if seconds:
            parameters["durationSeconds"] = seconds
        answer = {
            "credentials": {"accessKeyId": key, "sessionToken": "x"},
            "assumedRoleUser": {
                "assumedRoleId": f"{unique_id}:{name}",
                "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
            },
        }
        self.add_event(
            "AssumeRole",
            caller,
            eventSource="sts.amazonaws.com",
            requestParameters=parameters,
            responseElements=answer,
            **more,
        )
        return f"{unique_id}:{name}"


def statuses(credentials: list[AwsAnswer], id: str) -> dict[str, str]:
    return {credential[id]: credential["Status"] for credential in credentials}
