"""Patches of MiniStack's IAM: roles that only AWS changes, the calling user's own name, condition
keys, AWSDenyAll.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

from . import settings
from .iam_credentials import Answer, error
from .ministack import account as accounts
from .ministack import actions, app, evaluator, iam, sts
from .patching import Original, extend, patch

Json = dict[str, Any]
_PROTECTED = ("/aws-service-role/", "/aws-reserved/")
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
_DENY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "DenyAll", "Effect": "Deny", "Action": ["*"], "Resource": "*"}],
}

extend(
    iam,
    "_aws_managed_policies",
    DENY_ALL,
    iam._make_aws_managed_record("AWSDenyAll", json.dumps(_DENY), "Denies all access."),
    restores="the managed policy AWSDenyAll exists and denies",
)

# -- roles that only AWS changes -------------------------------------------------------------------


def protected(role: Json | None) -> Answer | None:
    """Return the refusal to change a role that only AWS changes; None for other roles."""
    if role is None or not str(role.get("Path", "/")).startswith(_PROTECTED):
        return None
    return error(
        400,
        "UnmodifiableEntity",
        f"Cannot perform the operation on the protected role '{role['RoleName']}' - this role is"
        " only modifiable by AWS",
    )


def _guard(attribute: str) -> None:
    @patch(
        iam,
        attribute,
        restores="service-linked roles and those of Identity Center are changed by AWS alone",
    )
    def guarded(original: Original, params: Json) -> object:
        return protected(iam._roles.get(iam._p(params, "RoleName"))) or original(params)


for _name in (
    "detach_role_policy",
    "delete_role_policy",
    "update_assume_role_policy",
    "put_role_permissions_boundary",
    "delete_role_permissions_boundary",
    "update_role",
    "delete_role",
):
    _guard(f"_{_name}")


def make_role(name: str, path: str, trust: Json, policy: Json | None) -> Json:
    """Make a role as AWS itself makes it, also where only AWS may; return what IAM stores."""
    iam._create_role(
        {"RoleName": name, "Path": path, "AssumeRolePolicyDocument": json.dumps(trust)}
    )
    role: Json = iam._roles[name]
    if policy:
        role["InlinePolicies"]["work"] = json.dumps(policy)
    return role


def make_session(account: str, name: str, session: str) -> Json:
    """Credentials of a role's session as an AWS service gets them (EC2 for an instance, Lambda,
    Identity Center ...).
    """
    role = iam._roles.get_scoped(account, None, name)
    key = iam._gen_session_access_key()
    until = time.time() + 3600
    made = {"SecretAccessKey": iam._gen_secret(), "SessionToken": iam._gen_session_token()}
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    who = {
        "Arn": arn,
        "UserId": f"{role['RoleId']}:{session}",
        "AccountId": account,
        "PrincipalType": "AssumedRole",
    }
    sts.register_session(key, {**made, **who, "Expiration": until})
    return {"AccessKeyId": key, **made}


def sessions(account: str, name: str, session: str) -> list[str]:
    """Access key ids of a role's sessions of that name, the newest first."""
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
    found = [
        key
        for key, item in sts._sessions.items()
        if item.get("Arn") == arn and not sts._session_expired(item)
    ]
    return sorted(found, key=lambda key: -float(sts._sessions[key].get("IssuedAt", 0)))


# -- who calls -------------------------------------------------------------------------------------

# Without a UserName these are about the user who signed the call.
_IMPLIED = {
    "GetUser",
    "ListAccessKeys",
    "CreateAccessKey",
    "ListSSHPublicKeys",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
    "ListMFADevices",
    "GetLoginProfile",
}


def _caller(headers: object, query: Json) -> str:
    """Return the name of the user who calls, "" for root and roles."""
    identity = (
        evaluator.resolve_caller_identity(app.extract_access_key_id(headers, query) or "") or {}
    )
    arn = str(identity.get("userArn", ""))
    return arn.rsplit("/", 1)[-1] if ":user/" in arn else ""


def resource(headers: object, params: Json, account: str) -> str | None:
    """Return the ARN an IAM call is checked on, with its path; None where that is not special."""
    call, *names = [
        actions._query_param(params, name)
        for name in ("Action", "InstanceProfileName", "RoleName", "UserName", "GroupName")
    ]
    profile, role, user, group = names
    key = actions._query_param(params, "AccessKeyId")
    if not user and key and (found_key := iam._access_keys.get_scoped(account, None, key)):
        user = found_key["UserName"]
    if not (profile or role or user) and call in _IMPLIED:
        user = _caller(headers, params)
    if call in ("AddUserToGroup", "RemoveUserFromGroup"):
        user = ""
    for kind, store, name in (
        ("instance-profile", iam._instance_profiles, profile),
        ("role", iam._roles, role),
        ("user", iam._users, user),
        ("group", iam._groups, group),
    ):
        if name:
            found = store.get_scoped(account, None, name)
            path = actions._query_param(params, "Path") or "/"
            return str(found["Arn"]) if found else f"arn:aws:iam::{account}:{kind}{path}{name}"
    return None


@patch(
    actions,
    "extract_resource_arn",
    restores=(
        "IAM calls are checked on the ARN with its path; profile calls on the instance profile, key"
        " calls on their user"
    ),
)
def extract_resource_arn(
    original: Original,
    service: str,
    method: str,
    path: str,
    headers: object,
    body: bytes,
    params: Any,
    region: str,
    account: str,
) -> str:
    special = resource(headers, params, account) if service == "iam" else None
    return special or str(original(service, method, path, headers, body, params, region, account))


@patch(iam, "handle_request", restores="IAM calls without a user name are about the calling user")
async def handle_request(
    original: Original, method: str, path: str, headers: object, body: bytes, query: Json
) -> object:
    form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
    if (
        form.get("Action") in _IMPLIED
        and not form.get("UserName")
        and (name := _caller(headers, query))
    ):
        body += b"&UserName=" + urllib.parse.quote(name).encode()
    return await original(method, path, headers, body, query)


def _known(find: Callable[[Json], bool], attribute: str) -> None:
    @patch(iam, attribute, restores="listing what a user who does not exist holds is NoSuchEntity")
    def listed(original: Original, params: Json) -> object:
        name = iam._p(params, "UserName")
        if name and not find(params):
            return error(404, "NoSuchEntity", f"The user with name {name} cannot be found.")
        return original(params)


for _name in ("list_access_keys", "list_mfa_devices"):
    _known(lambda params: iam._p(params, "UserName") in iam._users, f"_{_name}")


@patch(
    evaluator,
    "enforce",
    restores="credentials of GetSessionToken (without MFA) and GetFederationToken cannot call IAM",
)
def enforce(
    original: Original, access_key: str, action: str, service: str, *args: object, **kwargs: object
) -> object:
    session = sts._sessions.get(access_key) if service == "iam" else None
    if session and session.get("PrincipalType") in ("User", "FederatedUser"):
        return evaluator.AuthError(
            "InvalidClientTokenId", "The security token included in the request is invalid"
        )
    return original(access_key, action, service, *args, **kwargs)


# -- condition keys --------------------------------------------------------------------------------


def _entity(params: Json) -> Json:
    account = iam.get_account_id()
    if role := actions._query_param(params, "RoleName"):
        return iam._roles.get_scoped(account, None, role) or {}
    return iam._users.get_scoped(account, None, actions._query_param(params, "UserName")) or {}


@patch(
    actions,
    "request_tag_context",
    restores=(
        "IAM calls have iam:PolicyARN, iam:PermissionsBoundary, and the tags of the user or role"
        " they are about"
    ),
)
def request_tag_context(
    original: Original, service: str, action: str, body: bytes, params: Json
) -> object:
    context = dict(original(service, action, body, params))
    if service != "iam":
        return context
    entity = _entity(params)
    call = action.partition(":")[2]
    if policy := actions._query_param(params, "PolicyArn"):
        context["iam:PolicyARN"] = policy
    if boundary := actions._query_param(params, "PermissionsBoundary") or entity.get(
        "PermissionsBoundary"
    ):
        context["iam:PermissionsBoundary"] = boundary
    if call == "PassRole":
        return context
    for tag in entity.get("Tags") or []:
        for prefix in ("aws", "iam"):
            context[f"{prefix}:ResourceTag/{tag['Key']}".lower()] = tag["Value"]
    return context


@patch(accounts, "_list_regions", restores="an account sees the Regions that are enabled in it")
def list_regions(original: Original, asked: Json) -> object:
    status, headers, body = original({})
    shown = [item for item in json.loads(body)["Regions"] if item["RegionName"] in settings.REGIONS]
    wanted = asked.get("RegionOptStatusContains") or []
    kept = [item for item in shown if not wanted or item["RegionOptStatus"] in wanted]
    return status, headers, json.dumps({"Regions": kept}).encode()
