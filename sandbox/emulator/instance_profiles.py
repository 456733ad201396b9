"""Instance profiles of MiniStack's IAM: EC2's authorization and moto's process ask for them."""

from __future__ import annotations

from typing import TypedDict

from .ministack import iam


class InstanceProfile(TypedDict):
    """An instance profile and the ARNs of its roles."""

    name: str
    id: str
    arn: str
    roles: list[str]


def find_profile(account: str, name: str) -> InstanceProfile | None:
    """Return an account's instance profile, or None when IAM has none of that name."""
    found = iam._instance_profiles.get_scoped(account, None, name)
    if not found:
        return None
    roles = [iam._roles.get_scoped(account, None, role) for role in found["Roles"]]
    return {
        "name": found["InstanceProfileName"],
        "id": found["InstanceProfileId"],
        "arn": found["Arn"],
        "roles": [role["Arn"] for role in roles if role],
    }
