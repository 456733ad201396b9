"""What is read of resources that a principal changed: the shapes of resource_state's answers."""

from __future__ import annotations

from typing import Any, TypedDict

Json = dict[str, Any]
IpPermission = dict[str, Any]  # a rule as EC2's Authorize and Revoke calls take it


class Identity(TypedDict):
    """An IAM user, role or group; ``trust`` is a role's alone."""

    arn: str
    id: str
    boundary: str | None
    trust: Json | None


class LoginProfile(TypedDict):
    """``created``: ISO time; ``reset``: whether the next sign-in must set a new password."""

    created: str
    reset: bool


class Instance(TypedDict):
    """``store``: the root device is an instance store, which is lost when the instance stops."""

    state: str
    spot: bool
    store: bool


class Concurrency(TypedDict):
    """``reserved``: the function's reserved concurrency, None when it has none."""

    reserved: int | None
