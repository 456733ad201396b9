"""Make a finding one about a user or a role of the sandbox: accessKeyDetails as GuardDuty writes
them.
"""

from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime, timedelta
from typing import Any

from . import control
from .clients import Aws
from .settings import SandboxError

Json = dict[str, Any]
_SESSION = "session"


def _details(detail: Json) -> Json:
    if not isinstance(detail.get("resource"), dict):
        detail["resource"] = {}
    resource = detail["resource"]
    resource["resourceType"] = "AccessKey"
    if not isinstance(resource.get("accessKeyDetails"), dict):
        resource["accessKeyDetails"] = {}
    _just_now(detail)
    details: Json = resource["accessKeyDetails"]
    return details


def _just_now(detail: Json) -> None:
    """The calls were made in the last minutes: what else is there before that, is older than
    they.
    """
    now = datetime.now(UTC)
    times = [
        (now - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for minutes in (5, 1, 0)
    ]
    if isinstance(detail.get("service"), dict):
        detail["service"] |= {"eventFirstSeen": times[0], "eventLastSeen": times[1]}
    detail |= {"createdAt": times[2], "updatedAt": times[2]}


def _names(call: Any, kind: str) -> str:
    """Some names there are, for a message about one that is not."""
    found = [
        item[f"{kind[:-1].title()}Name"] for item in call()[kind.title()] if item["Path"] == "/"
    ]
    return ", ".join(found[:8]) or "none"


def bind_user(aws: Aws, detail: Json, value: str, account: str) -> None:
    """About an IAM user; its key is the one after ``/``, else its first active one, else its first.

    SandboxError when the account has no such user, or the user no such key (a temporary one is
    taken as it is).
    """
    name, _, key = value.partition("/")
    iam = aws.client("iam", account)
    try:
        user = iam.get_user(UserName=name)["User"]
    except iam.exceptions.NoSuchEntityException:
        raise SandboxError(
            f"Account {account} has no user {name}; it has: {_names(iam.list_users, 'users')}."
        ) from None
    keys_of_user = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    if (
        key
        and not key.startswith("ASIA")
        and key not in [item["AccessKeyId"] for item in keys_of_user]
    ):
        raise SandboxError(
            f"User {name} has no access key {key}; it has:"
            f" {', '.join(i['AccessKeyId'] for i in keys_of_user) or 'none'}."
        )
    keys_of_user.sort(key=lambda item: item["Status"] != "Active")
    _details(detail).update(
        accessKeyId=key or (keys_of_user[0]["AccessKeyId"] if keys_of_user else ""),
        principalId=user["UserId"],
        userName=name,
        userType="IAMUser",
    )


def bind_role(aws: Aws, detail: Json, value: str, account: str) -> None:
    """About a session of a role: the one after ``/``, else the one the file names, with the newest
    key of that session.

    SandboxError when the account has no such role.
    """
    name, _, session = value.partition("/")
    iam = aws.client("iam", account)
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        raise SandboxError(
            f"Account {account} has no role {name}; it has: {_names(iam.list_roles, 'roles')}."
        ) from None
    details = _details(detail)
    session = session or str(details.get("principalId") or "").partition(":")[2] or _SESSION
    query = urllib.parse.urlencode({"account": account, "role": name, "session": session})
    keys = control.ask(aws.endpoint, "GET", f"sessions?{query}")["keys"]
    details.update(
        accessKeyId=keys[0] if keys else details.get("accessKeyId", ""),
        principalId=f"{role['RoleId']}:{session}",
        userName=name,
        userType="AssumedRole",
    )
