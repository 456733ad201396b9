"""What the principal was allowed to do, and where its key was used last: read from IAM as
containment begins.

Read beside containment, so a deny that containment attaches may be among the policies already; when
it was read is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    TargetContext,
    allow,
    describe_error,
    name_of,
    run_all,
)
from guardduty_response.evidence.items import EvidenceItem, Json, Outcome
from guardduty_response.incident.repository import now
from guardduty_response.playbooks.iam_principal import identify

NAME = "principal"
MOST_GROUPS, MOST_POLICIES = 20, 60  # whose documents are read
_USER = (
    "iam:GetLoginProfile",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:ListUserPolicies",
)
_GROUP = ("iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies", "iam:ListGroupPolicies")
_ROLE = ("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies")
_POLICY = ("iam:GetPolicy", "iam:GetPolicyVersion")
_KINDS = {"User": "UserName", "Group": "GroupName", "Role": "RoleName"}


def run(principal: TargetContext, _before: Json) -> EvidenceItem:
    """One call: ``principal.json``; PARTIAL names what could not be read."""
    whom = identify.principal_of(principal)
    user = whom.user if whom.kind in (identify.USER, identify.FEDERATED, identify.UNKNOWN) else ""
    if not (user or whom.role or whom.key):
        return EvidenceItem(
            Outcome.NOT_POSSIBLE, f"IAM knows nothing of {whom.kind} {whom.id} that could be read"
        )
    iam = principal.open_session(
        allow(("iam:GetAccessKeyLastUsed",)),
        allow(_USER, principal.arn("user/*", "iam")),
        allow(_GROUP, principal.arn("group/*", "iam")),
        allow(_ROLE, principal.arn("role/*", "iam")),
        allow(_POLICY, principal.arn("policy/*", "iam")),
    ).client("iam")
    reads: dict[str, Callable[[], Any]] = {}
    if whom.key:
        reads["key"] = lambda: _without(iam.get_access_key_last_used(AccessKeyId=whom.key))
    if user:
        reads |= _of_user(iam, user)
    if whom.role:
        reads |= {
            "role": lambda: iam.get_role(RoleName=whom.role)["Role"],
            "policies": partial(_policies, iam, "Role", whom.role),
        }
    got = {name: _absent(result) for name, result in run_all(reads).items()}
    groups = [
        one["GroupName"] for one in got.get("groups") or [] if isinstance(got.get("groups"), list)
    ]
    for name, result in run_all(
        {name: partial(_policies, iam, "Group", name) for name in groups[:MOST_GROUPS]}
    ).items():
        got[f"group {name}"] = result
    _documents(iam, got)
    missing = [
        f"{name} ({describe_error(result)})"
        for name, result in got.items()
        if isinstance(result, Exception)
    ]
    if len(groups) > MOST_GROUPS:
        missing.append(f"policies of {len(groups) - MOST_GROUPS} more groups")
    document = {
        "principal": dict(whom.__dict__),
        "account_id": principal.target.account_id,
        "read_at": now(),
        "missing": missing,
        **{name: result for name, result in got.items() if not isinstance(result, Exception)},
    }
    stored = principal.context.put_evidence(
        f"{principal.id}/principal.json", json.dumps(document, indent=1, default=str).encode()
    )
    text = _text(got)
    objects = [
        {
            **stored,
            "what": (
                "what the principal could do: policies, groups, keys; where its key was used last"
            ),
        }
    ]
    if not missing:
        return EvidenceItem(Outcome.COMPLETE, text, objects=objects)
    return EvidenceItem(
        Outcome.PARTIAL, f"{text}; could not be read: {'; '.join(missing)}", objects=objects
    )


def _of_user(iam: Any, user: str) -> dict[str, Callable[[], Any]]:
    return {
        "user": lambda: iam.get_user(UserName=user)["User"],
        "access_keys": lambda: iam.list_access_keys(UserName=user)["AccessKeyMetadata"],
        "login_profile": lambda: iam.get_login_profile(UserName=user)["LoginProfile"],
        "mfa_devices": lambda: iam.list_mfa_devices(UserName=user)["MFADevices"],
        "groups": lambda: _pages(iam, "list_groups_for_user", "Groups", UserName=user),
        "policies": partial(_policies, iam, "User", user),
    }


def _pages(iam: Any, operation: str, key: str, **request: str) -> list[Any]:
    return list(iam.get_paginator(operation).paginate(**request).search(key))


def _policies(iam: Any, kind: str, name: str) -> Json:
    """{attached: [{PolicyName, PolicyArn}], inline: {name: document}}."""
    word, whose = kind.lower(), {_KINDS[kind]: name}
    names = _pages(iam, f"list_{word}_policies", "PolicyNames", **whose)
    get = getattr(iam, f"get_{word}_policy")
    return {
        "attached": _pages(iam, f"list_attached_{word}_policies", "AttachedPolicies", **whose),
        "inline": {
            one: get(PolicyName=one, **whose)["PolicyDocument"] for one in names[:MOST_POLICIES]
        },
    }


def _documents(iam: Any, got: Json) -> None:
    """The documents of the account's own policies into ``got``; AWS publishes its managed ones."""
    attached = [
        one["PolicyArn"]
        for part in got.values()
        if isinstance(part, dict)
        for one in part.get("attached") or []
    ]
    own = sorted({arn for arn in attached if ":iam::aws:" not in arn})[:MOST_POLICIES]
    for arn, result in run_all({arn: partial(_document, iam, arn) for arn in own}).items():
        got[f"policy {name_of(arn)}"] = result


def _document(iam: Any, arn: str) -> Json:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return {
        "arn": arn,
        "document": iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"][
            "Document"
        ],
    }


def _absent(result: Any) -> Any:
    """None for what does not exist: a user without a console password, a role that is gone."""
    return (
        None if isinstance(result, ClientError) and error_code(result) == "NoSuchEntity" else result
    )


def _without(answer: Json) -> Json:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _text(got: Json) -> str:
    said = []
    used = got["key"].get("AccessKeyLastUsed", {}) if isinstance(got.get("key"), dict) else {}
    if used:
        when = used.get("LastUsedDate") or "never"
        said.append(f"key last used {when} for {used.get('ServiceName')} in {used.get('Region')}")
    for name in ("user", "role"):
        if name in got and got[name] is None:
            said.append(f"the {name} no longer exists")
    policies = got.get("policies")
    if isinstance(policies, dict):
        names = [one["PolicyName"] for one in policies["attached"]] + list(policies["inline"])
        said.append(f"policies: {', '.join(names) or 'none'}")
    if isinstance(got.get("groups"), list) and got["groups"]:
        said.append(f"groups: {', '.join(one['GroupName'] for one in got['groups'])}")
    return "; ".join(said) or "nothing could be read"
