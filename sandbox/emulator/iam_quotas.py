"""Patches of MiniStack's IAM and STS: how many policies and keys there may be, and how long."""

from __future__ import annotations

from typing import Any

from .iam_credentials import Answer, error
from .iam_rules import protected
from .ministack import iam, sts
from .patching import Original, patch
from .policy_sizes import packed_percent, too_long, too_many

Json = dict[str, Any]
KEYS = 2


def _full(entity: Json | None, kind: str, params: Json) -> Answer | None:
    arn = iam._p(params, "PolicyArn")
    attached = (entity or {}).get("AttachedPolicies") or []
    if entity is None or arn in attached:
        return None
    if not iam._policy_exists(arn):
        return error(404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    return _exceeded(too_many(kind, attached, arn))


def _exceeded(message: str) -> Answer | None:
    return error(409, "LimitExceeded", message) if message else None


@patch(
    iam, "_attach_user_policy", restores="a user holds ten managed policies, and only such as exist"
)
def attach_user_policy(original: Original, params: Json) -> object:
    return _full(iam._users.get(iam._p(params, "UserName")), "user", params) or original(params)


@patch(
    iam,
    "_attach_role_policy",
    restores="a role holds ten managed policies, only such as exist; AWS's own roles are its own",
)
def attach_role_policy(original: Original, params: Json) -> object:
    role = iam._roles.get(iam._p(params, "RoleName"))
    return protected(role) or _full(role, "role", params) or original(params)


@patch(
    iam,
    "_attach_group_policy",
    restores="a group holds ten managed policies, and only such as exist",
)
def attach_group_policy(original: Original, params: Json) -> object:
    return _full(iam._groups.get(iam._p(params, "GroupName")), "group", params) or original(params)


def _refuse_long(kind: str, name: str, inline: Json, params: Json) -> Answer | None:
    put = {iam._p(params, "PolicyName"): iam._p(params, "PolicyDocument")}
    return _exceeded(too_long(kind, name, inline, put))


@patch(
    iam,
    "_put_user_policy",
    restores="a user's inline policies have 2,048 characters together (white space is not counted)",
)
def put_user_policy(original: Original, params: Json) -> object:
    name = iam._p(params, "UserName")
    if name not in iam._users:
        return original(params)
    inline = iam._user_inline_policies.get(name) or {}
    return _refuse_long("user", name, inline, params) or original(params)


@patch(
    iam,
    "_put_role_policy",
    restores=(
        "a role's inline policies have 10,240 characters together; AWS's own roles are its own"
    ),
)
def put_role_policy(original: Original, params: Json) -> object:
    role = iam._roles.get(iam._p(params, "RoleName"))
    if role is None:
        return original(params)
    name, inline = role["RoleName"], role["InlinePolicies"]
    return protected(role) or _refuse_long("role", name, inline, params) or original(params)


@patch(
    iam,
    "_put_group_policy",
    restores="a group's inline policies have 5,120 characters together",
)
def put_group_policy(original: Original, params: Json) -> object:
    name = iam._p(params, "GroupName")
    if name not in iam._groups:
        return original(params)
    inline = iam._group_inline_policies.get(name) or {}
    return _refuse_long("group", name, inline, params) or original(params)


@patch(iam, "_create_access_key", restores="a user has two access keys")
def create_access_key(original: Original, params: Json) -> object:
    name = iam._p(params, "UserName")
    if sum(key["UserName"] == name for key in iam._access_keys.values()) >= KEYS:
        return error(409, "LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {KEYS}")
    return original(params)


@patch(
    sts,
    "_session_policies",
    restores=(
        "session policies and tags have a packed size (assumed: docs/decisions/0002);"
        " beyond it STS answers PackedPolicyTooLarge"
    ),
)
def session_policies(
    original: Original, params: Json, account_id: str | None = None, check: bool = True
) -> object:
    found, refusal = original(params, account_id, check=check)
    if refusal or not check:
        return found, refusal
    tags, _ = sts._session_tags(params, check=False)
    others = [*found["PolicyArns"], *(text for tag in tags for text in tag.values())]
    percent = packed_percent(found["Policy"], others)
    if percent <= 100:
        return found, None
    message = f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
    return None, sts._error(400, "PackedPolicyTooLarge", message, ns="sts")
