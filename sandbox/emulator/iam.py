"""Patches of MiniStack's IAM: who the principal is."""

from __future__ import annotations

from typing import Any

from . import settings
from .ministack import app, evaluator, iam, sts
from .patching import Original, patch


@patch(
    evaluator,
    "_resolve_condition_key",
    restores=(
        "aws:PrincipalArn of a role session is the role's ARN, not the session's; aws:ResourceOrgID"
        " exists"
    ),
)
def resolve_condition_key(original: Original, key: str, context: Any) -> object:
    arn = context.principal_arn or ""
    if key.lower() == "aws:principalarn" and ":assumed-role/" in arn:
        account = arn.split(":")[4]
        name = arn.split("/")[1]
        role = iam._roles.get_scoped(account, None, name)
        return role["Arn"] if role else f"arn:aws:iam::{account}:role/{name}"
    if key.lower() == "aws:resourceorgid":
        return principal_org_id(
            evaluator._account_from_arn(context.resource_arn) or context.principal_account
        )
    return original(key, context)


@patch(
    evaluator,
    "_principal_org_id",
    restores=(
        "aws:PrincipalOrgID is the organization of every member account (moto's, not MiniStack's)"
    ),
)
def principal_org_id(original: Original, account: str) -> str | None:
    return settings.ORGANIZATION_ID if account in settings.ORGANIZATION_ACCOUNTS else None


@patch(
    sts,
    "register_session",
    restores="aws:userid of a function's session starts with its role's unique id (AROA...)",
)
def register_session(original: Original, access_key: str, session: dict[str, Any]) -> object:
    role, _, name = session.get("UserId", "").partition(":")
    if role and not role.startswith(("AROA", "AIDA", "ASIA")):
        account = session["Arn"].split(":")[4]
        found = iam._roles.get_scoped(account, None, role)
        if found:
            session = {**session, "UserId": f"{found['RoleId']}:{name}"}
    return original(access_key, session)


@patch(
    app,
    "pin_request_origin",
    restores=(
        "aws:SecureTransport is true: SDKs reach AWS over TLS, only this loopback endpoint is plain"
        " HTTP"
    ),
)
def pin_request_origin(original: Original, source_ip: str, secure: bool) -> object:
    return original(source_ip, True)
