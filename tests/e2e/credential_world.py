"""Users, roles and sessions with real keys in the sandbox's member account, and everything IAM
says of them.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from sandbox import findings, seed_iam, snapshot_iam
from sandbox.seed_iam import Credential, Role, User
from tests.e2e.e2e_world import MEMBER, Json, World
from tests.support.repository import load_finding

CONSOLE = "unauthorizedaccess_iamuser_consoleloginsuccess_b"
# of the talk; AWS has retired it, its successors are the same to us
STOLEN = "UnauthorizedAccess:IAMUser/UnusualASNCaller"


class People:
    """Makes principals, acts as them, and reads them back as the account's root."""

    def __init__(self, world: World) -> None:
        self.world, self.iam = world, world.client("iam", MEMBER)

    def user(self, **traits: Any) -> User:
        """As seed_iam.user."""
        return seed_iam.user(self.world.aws, **traits)

    def role(self, **traits: Any) -> Role:
        """As seed_iam.role."""
        return seed_iam.role(self.world.aws, **traits)

    def works(self, credential: Credential) -> bool:
        """Whether a call with these credentials is let through."""
        return snapshot_iam.works(self.world.aws, credential)

    # -- findings ----------------------------------------------------------------------------------

    def finding(self, kind: str = STOLEN, **details: Any) -> findings.Event:
        """A new finding about a credential, of now; ``details``: resource.accessKeyDetails."""
        event = load_finding(CONSOLE)
        event["detail"] |= {
            "type": kind,
            "severity": 8.0,
            "region": "us-east-1",
        }
        event["detail"]["service"] |= dict.fromkeys(
            ("eventFirstSeen", "eventLastSeen"), self.world.aws_now()
        )
        blank = {
            "accessKeyId": "",
            "principalId": "",
            "userType": "",
            "userName": "",
        }
        event["detail"]["resource"]["accessKeyDetails"] = {**blank, **details}
        return findings.prepare(
            self.world.aws,
            event,
            kind,
            account=MEMBER,
        )

    def about(
        self, user: User, credential: Credential | None = None, kind: str = STOLEN
    ) -> findings.Event:
        used = credential or (user.keys[0] if user.keys else None)
        key = used.id if used else ""
        return self.finding(
            kind, accessKeyId=key, principalId=user.id, userType="IAMUser", userName=user.name
        )

    def about_session(self, role: Role, name: str, kind: str = STOLEN) -> findings.Event:
        key, whose = role.sessions[name].id, f"{role.id}:{name}"
        return self.finding(
            kind, accessKeyId=key, principalId=whose, userType="AssumedRole", userName=role.name
        )

    # -- seen --------------------------------------------------------------------------------------

    def seen(self, name: str) -> Json:
        """All that IAM says of a user."""
        iam, user = self.iam, {"UserName": name}
        found = iam.get_user(**user)["User"]
        try:
            console = bool(iam.get_login_profile(**user)["LoginProfile"])
        except ClientError:
            console = False
        inline = iam.list_user_policies(**user)["PolicyNames"]
        certificates = iam.list_signing_certificates(**user)["Certificates"]
        own = iam.list_service_specific_credentials(**user)["ServiceSpecificCredentials"]
        return {
            "attached": sorted(
                policy["PolicyName"]
                for policy in iam.list_attached_user_policies(**user)["AttachedPolicies"]
            ),
            "inline": {
                name: iam.get_user_policy(**user, PolicyName=name)["PolicyDocument"]
                for name in inline
            },
            "boundary": (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            "keys": {
                key["AccessKeyId"]: key["Status"]
                for key in iam.list_access_keys(**user)["AccessKeyMetadata"]
            },
            "ssh": {
                key["SSHPublicKeyId"]: key["Status"]
                for key in iam.list_ssh_public_keys(**user)["SSHPublicKeys"]
            },
            "own": {
                service_credential["ServiceSpecificCredentialId"]: service_credential["Status"]
                for service_credential in own
            },
            "certificates": {
                certificate["CertificateId"]: certificate["Status"] for certificate in certificates
            },
            "console": console,
            "mfa": sorted(
                device["SerialNumber"] for device in iam.list_mfa_devices(**user)["MFADevices"]
            ),
            "groups": sorted(
                group["GroupName"] for group in iam.list_groups_for_user(**user)["Groups"]
            ),
            "tags": {tag["Key"]: tag["Value"] for tag in found.get("Tags") or []},
        }

    def role_policies(self, name: str) -> dict[str, Json]:
        names = self.iam.list_role_policies(RoleName=name)["PolicyNames"]
        return {
            wanted: self.iam.get_role_policy(RoleName=name, PolicyName=wanted)["PolicyDocument"]
            for wanted in names
        }
