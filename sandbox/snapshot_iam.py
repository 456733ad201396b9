"""A user, a role, and a thief's traces as boto3 reads them back, for comparing before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from . import seed_iam
from .clients import Aws
from .seed_iam import Credential
from .snapshot import Rows

_REFUSED = {"AccessDenied", "UnauthorizedOperation", "AuthFailure", "InvalidClientTokenId"}
_GONE = {"NoSuchEntity", "NoSuchEntityException"}


def works(aws: Aws, credential: Credential) -> bool:
    """Return whether a call with the credential is let through; any other error than a refusal is
    raised.
    """
    try:
        credential.client(aws, "ec2").describe_vpcs()
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSED:
            return False
        raise
    return True


def _word(aws: Aws, credential: Credential, status: str = "") -> str:
    answer = "works" if works(aws, credential) else "is refused"
    return f"{status}, {answer}" if status else answer


def _or(absent: str, read: Callable[[], str]) -> str:
    """Return what is read, or ``absent`` where IAM has no such thing."""
    try:
        return read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return absent
        raise


def _statuses(items: list[dict[str, Any]], name: str) -> str:
    return ", ".join(f"{item[name]} {item['Status']}" for item in items) or "none"


def user(aws: Aws, found: seed_iam.User) -> Rows:
    """Return label -> what is read back of a user now; its credentials are tried out."""
    iam = aws.client("iam", found.account)
    who = {"UserName": found.name}
    shown = iam.get_user(**who)["User"]
    status = {
        item["AccessKeyId"]: item["Status"]
        for item in iam.list_access_keys(**who)["AccessKeyMetadata"]
    }
    rows = {"user": found.name}
    for number, key in enumerate(found.keys, 1):
        rows[f"access key {number}"] = f"{key.id} {_word(aws, key, status.get(key.id, 'gone'))}"
    if found.temporary:
        rows["temporary credentials"] = _word(aws, found.temporary)
    for arn, session in found.sessions.items():
        rows[f"its session in {arn.split('/')[1]}"] = _word(aws, session)
    attached = [
        item["PolicyName"] for item in iam.list_attached_user_policies(**who)["AttachedPolicies"]
    ]
    boundary = (shown.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", "none")
    passwords = iam.get_login_profile
    return {
        **rows,
        "managed policies": ", ".join(attached) or "none",
        "inline policies": ", ".join(iam.list_user_policies(**who)["PolicyNames"]) or "none",
        "permissions boundary": boundary.rsplit("/", 1)[-1],
        "console password": _or(
            "none", lambda: f"since {passwords(**who)['LoginProfile']['CreateDate']:%Y-%m-%d %H:%M}"
        ),
        "MFA devices": (
            ", ".join(
                d["SerialNumber"].rsplit("/", 1)[-1]
                for d in iam.list_mfa_devices(**who)["MFADevices"]
            )
            or "none"
        ),
        "SSH keys": _statuses(iam.list_ssh_public_keys(**who)["SSHPublicKeys"], "SSHPublicKeyId"),
        "service credentials": _statuses(
            iam.list_service_specific_credentials(**who)["ServiceSpecificCredentials"],
            "ServiceSpecificCredentialId",
        ),
        "certificates": _statuses(
            iam.list_signing_certificates(**who)["Certificates"], "CertificateId"
        ),
        "groups": (
            ", ".join(item["GroupName"] for item in iam.list_groups_for_user(**who)["Groups"])
            or "none"
        ),
        "tags": (
            ", ".join(f"{tag['Key']}={tag['Value']}" for tag in shown.get("Tags") or []) or "none"
        ),
    }


def role(aws: Aws, found: seed_iam.Role) -> Rows:
    """Return label -> what is read back of a role now; its sessions' credentials are tried out."""
    iam = aws.client("iam", found.account)
    who = {"RoleName": found.name}
    attached = [
        item["PolicyName"] for item in iam.list_attached_role_policies(**who)["AttachedPolicies"]
    ]
    return {
        "role": found.name,
        **{
            f"session {name}": f"{key.id} {_word(aws, key)}" for name, key in found.sessions.items()
        },
        "managed policies": ", ".join(attached) or "none",
        "inline policies": ", ".join(iam.list_role_policies(**who)["PolicyNames"]) or "none",
        "permissions boundary": (
            iam.get_role(**who)["Role"]
            .get("PermissionsBoundary", {})
            .get("PermissionsBoundaryArn", "none")
        ),
    }


def mischief(aws: Aws, done: seed_iam.Mischief, account: str) -> Rows:
    """Return label -> how what a thief did stands now."""
    iam = aws.client("iam", account)
    ec2 = aws.client("ec2", account)
    who = {"UserName": done.user}

    def new_user() -> str:
        attached = [
            item["PolicyName"]
            for item in iam.list_attached_user_policies(**who)["AttachedPolicies"]
        ]
        return f"there, {', '.join(attached) or 'no policies'}"

    def new_key() -> str:
        [item] = iam.list_access_keys(**who)["AccessKeyMetadata"]
        return _word(aws, done.access_key, item["Status"])

    [launched] = ec2.describe_instances(InstanceIds=[done.instance])["Reservations"][0]["Instances"]
    rules = ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [done.group]}]
    )["SecurityGroupRules"]
    # By what it lets in: a rule that is allowed again has another id.
    open_ = any(
        (rule["FromPort"], rule.get("CidrIpv4")) == (22, "0.0.0.0/0") and not rule["IsEgress"]
        for rule in rules
    )
    logs = aws.client("cloudtrail", account).get_trail_status(Name=done.trail)["IsLogging"]
    found = [
        _or("gone", new_user),
        _or("gone", new_key),
        launched["State"]["Name"],
        "open" if open_ else "closed",
        "logs" if logs else "stopped",
        aws.client("kms", account).describe_key(KeyId=done.kms_key)["KeyMetadata"]["KeyState"],
    ]
    return dict(zip(traces(done), found, strict=True))


def traces(done: seed_iam.Mischief) -> list[str]:
    """Return the labels of what a thief did."""
    return [
        f"new user {done.user}",
        "  its access key",
        f"new instance {done.instance}",
        f"SSH from anywhere to {done.group}",
        f"trail {done.trail}",
        f"KMS key {done.kms_key[:8]}…",
    ]
