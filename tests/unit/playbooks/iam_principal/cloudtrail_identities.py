"""Identities as CloudTrail's records show them, and CloudTrail's rules for finding them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
MEMBER = "222222222222"
KEY, USER_ID, ROLE_ID = "AKIAALICE00000000001", "AIDAALICE00000000001", "AROAAPP0000000000001"


def user(name: str = "alice", key: str = KEY, **more: Any) -> Json:
    return {
        "type": "IAMUser",
        "principalId": USER_ID,
        "arn": f"arn:aws:iam::{MEMBER}:user/{name}",
        "accountId": MEMBER,
        "accessKeyId": key,
        "userName": name,
        **more,
    }


def session(
    name: str, role: str = "app", unique_id: str = ROLE_ID, key: str = "ASIAAPP", **more: Any
) -> Json:
    issuer = {
        "type": "Role",
        "principalId": unique_id,
        "arn": f"arn:aws:iam::{MEMBER}:role/{role}",
        "accountId": MEMBER,
        "userName": role,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{unique_id}:{name}",
        "accountId": MEMBER,
        "accessKeyId": key,
        "arn": f"arn:aws:sts::{MEMBER}:assumed-role/{role}/{name}",
        "sessionContext": {"sessionIssuer": issuer},
        **more,
    }


def admin(key: str) -> Json:
    """Return a session of another role, with which a principal goes on."""
    return session("s", "admin", "AROAADMIN00000000001", key)


def names(events: list[Json]) -> list[str]:
    """Return the names of records or of changes."""
    return [event.get("eventName") or event["name"] for event in events]


def matches_lookup(identity: Json, key: str, value: str) -> bool:
    """Tell whether LookupEvents finds the identity by ``AccessKeyId`` or ``Username``."""
    if key == "AccessKeyId":
        return bool(identity.get("accessKeyId") == value)
    if identity.get("userName"):
        return bool(identity["userName"] == value)
    if identity.get("type") == "Root":
        return value == "root"
    return str(identity.get("principalId")).partition(":")[2] == value
