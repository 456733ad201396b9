"""Users, roles and sessions with real keys in the sandbox's member account, and everything IAM says of them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from e2e_world import MEMBER, Json, World
from repository import load_finding

from sandbox import findings

ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CONSOLE = "unauthorizedaccess_iamuser_consoleloginsuccess_b"
STOLEN = "UnauthorizedAccess:IAMUser/UnusualASNCaller"  # of the talk; AWS has retired it, its successors are the same to us


@dataclass
class Keys:
    """Credentials as they lie in somebody's hands."""

    id: str
    secret: str
    token: str = ""

    @staticmethod
    def of(answer: Json) -> Keys:
        return Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("SessionToken", ""))


@dataclass
class User:
    name: str
    arn: str
    id: str
    keys: list[Keys] = field(default_factory=list)


@dataclass
class Role:
    name: str
    arn: str
    id: str


class People:
    """Makes principals, acts as them, and reads them back as the account's root."""

    def __init__(self, world: World) -> None:
        self.world, self.iam = world, world.client("iam", MEMBER)

    # -- made ---------------------------------------------------------------------------------------------------------

    def user(self, name: str = "", *, keys: int = 1, console: bool = False, policies: int = 0) -> User:
        """An administrator with so many access keys; ``policies``: so many further managed policies attached."""
        name = name or f"alice-{secrets.token_hex(3)}"
        made = self.iam.create_user(UserName=name)["User"]
        self.iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(ALL))
        for number in range(policies):
            arn = self.iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(ALL))["Policy"]["Arn"]
            self.iam.attach_user_policy(UserName=name, PolicyArn=arn)
        if console:
            self.iam.create_login_profile(UserName=name, Password="Correct-Horse-7-Battery")
        made_keys = [Keys.of(self.iam.create_access_key(UserName=name)["AccessKey"]) for _ in range(keys)]
        return User(name, made["Arn"], made["UserId"], made_keys)

    def role(self, name: str = "", trusts: str | Json = f"arn:aws:iam::{MEMBER}:root") -> Role:
        """A role that may do everything, which ``trusts`` may assume."""
        name = name or f"app-{secrets.token_hex(3)}"
        principal = {"AWS": trusts} if isinstance(trusts, str) else trusts
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(ALL))
        return Role(name, made["Arn"], made["RoleId"])

    def session(self, role: Role, name: str, by: Keys | None = None) -> Keys:
        sts = self.client("sts", by) if by else self.world.client("sts", MEMBER)
        return Keys.of(sts.assume_role(RoleArn=role.arn, RoleSessionName=name)["Credentials"])

    def client(self, service: str, keys: Keys) -> Any:
        more = {"aws_session_token": keys.token} if keys.token else {}
        return self.world.aws.client(service, aws_access_key_id=keys.id, aws_secret_access_key=keys.secret, **more)

    def works(self, keys: Keys) -> bool:
        """Whether a call with these credentials is let through; any other error than a refusal is raised."""
        try:
            self.client("ec2", keys).describe_vpcs()
        except ClientError as error:
            if error.response["Error"]["Code"] in (
                "UnauthorizedOperation",
                "AuthFailure",
                "AccessDenied",
                "InvalidClientTokenId",
            ):
                return False
            raise
        return True

    # -- findings -----------------------------------------------------------------------------------------------------

    def finding(self, kind: str = STOLEN, **details: Any) -> findings.Event:
        """A new finding about a credential; ``details``: resource.accessKeyDetails."""
        event = load_finding(CONSOLE)
        event["detail"] |= {"type": kind, "severity": 8.0, "region": "us-east-1"}
        event["detail"]["resource"]["accessKeyDetails"] = {"accessKeyId": "", "principalId": "", "userType": "", "userName": "",
                                                           **details}  # fmt: skip
        return findings.prepare(self.world.aws, event, kind, account=MEMBER)

    def about(self, user: User, key: Keys | None = None, kind: str = STOLEN) -> findings.Event:
        used = key or (user.keys[0] if user.keys else None)
        return self.finding(
            kind, accessKeyId=used.id if used else "", principalId=user.id, userType="IAMUser", userName=user.name
        )

    def about_session(self, role: Role, name: str, key: Keys, kind: str = STOLEN) -> findings.Event:
        return self.finding(kind, accessKeyId=key.id, principalId=f"{role.id}:{name}", userType="AssumedRole", userName=role.name)

    # -- seen ---------------------------------------------------------------------------------------------------------

    def seen(self, name: str) -> Json:
        """All that IAM says of a user."""
        iam, user = self.iam, {"UserName": name}
        found = iam.get_user(**user)["User"]
        try:
            console = bool(iam.get_login_profile(**user)["LoginProfile"])
        except ClientError:
            console = False
        inline = iam.list_user_policies(**user)["PolicyNames"]
        return {
            "attached": sorted(one["PolicyName"] for one in iam.list_attached_user_policies(**user)["AttachedPolicies"]),
            "inline": {one: iam.get_user_policy(**user, PolicyName=one)["PolicyDocument"] for one in inline},
            "boundary": (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            "keys": {one["AccessKeyId"]: one["Status"] for one in iam.list_access_keys(**user)["AccessKeyMetadata"]},
            "console": console,
            "mfa": sorted(one["SerialNumber"] for one in iam.list_mfa_devices(**user)["MFADevices"]),
            "groups": sorted(one["GroupName"] for one in iam.list_groups_for_user(**user)["Groups"]),
            "tags": {one["Key"]: one["Value"] for one in found.get("Tags") or []},
        }

    def role_policies(self, role: Role) -> dict[str, Json]:
        names = self.iam.list_role_policies(RoleName=role.name)["PolicyNames"]
        return {name: self.iam.get_role_policy(RoleName=role.name, PolicyName=name)["PolicyDocument"] for name in names}
