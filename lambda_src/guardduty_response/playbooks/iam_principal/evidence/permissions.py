"""What the principal was allowed to do, and where its key was used last: read from IAM as
containment begins.

It is read beside containment, so a denial that containment attaches may be among the policies
already: the document says when it was read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, TypedDict, TypeVar, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    TargetContext,
    allow,
    describe_error,
    name_of,
    run_all,
)
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.incident.moments import now
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.identify import Principal

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
    from guardduty_response.incident.model import EvidenceEntry, StoredObject

NAME = "principal"
MOST_GROUPS, MOST_POLICIES = 20, 60  # whose documents are read
READ_USER = (
    "iam:GetLoginProfile",
    "iam:GetUser",
    "iam:GetUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:ListUserPolicies",
)
READ_GROUP = ("iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies", "iam:ListGroupPolicies")
READ_ROLE = (
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
)
READ_POLICY = ("iam:GetPolicy", "iam:GetPolicyVersion")
WHAT = "what the principal could do: policies, groups, keys; where its key was used last"


# Name of a read -> what it answered, None for what does not exist, or its error.
Results = dict[str, object]
T = TypeVar("T")


class OwnPolicy(TypedDict):
    """A managed policy of the account: its default version's document."""

    arn: str
    document: PolicyDocument


class EntityPolicies(TypedDict):
    """``attached``: [{PolicyName, PolicyArn}]; ``inline``: name -> document."""

    attached: list[dict[str, str]]
    inline: dict[str, PolicyDocument]


def run(principal: TargetContext, _before: EvidenceEntry) -> EvidenceItem:
    """Write ``principal.json`` in a single call; PARTIAL names what could not be read."""
    identity = identify.principal_of(principal)
    user = ""
    if identity.kind in (identify.USER, identify.FEDERATED, identify.UNKNOWN):
        user = identity.user
    if not (user or identity.role or identity.key):
        text = f"IAM has nothing about {identity.kind} {identity.id} that could be read"
        return EvidenceItem(Outcome.NOT_POSSIBLE, text)
    iam = _client(principal)
    results, missing = _read(iam, identity, user)
    document = {
        "principal": asdict(identity),
        "account_id": principal.target.account_id,
        "read_at": now(),
        "missing": missing,
        **{name: value for name, value in results.items() if not isinstance(value, Exception)},
    }
    content = json.dumps(document, indent=1, default=str).encode()
    stored = principal.context.put_evidence(f"{principal.id}/principal.json", content)
    objects: list[StoredObject] = [{**stored, "what": WHAT}]
    text = _text(results)
    if not missing:
        return EvidenceItem(Outcome.COMPLETE, text, objects=objects)
    text = f"{text}; could not be read: {'; '.join(missing)}"
    return EvidenceItem(Outcome.PARTIAL, text, objects=objects)


def _client(principal: TargetContext) -> AwsClient:
    session = principal.open_session(
        allow(("iam:GetAccessKeyLastUsed",)),
        allow(READ_USER, principal.arn("user/*", "iam")),
        allow(READ_GROUP, principal.arn("group/*", "iam")),
        allow(READ_ROLE, principal.arn("role/*", "iam")),
        allow(READ_POLICY, principal.arn("policy/*", "iam")),
    )
    return session.client("iam")


def _read(iam: AwsClient, identity: Principal, user: str) -> tuple[Results, list[str]]:
    """Return (name -> what was read, or the error; descriptions of what could not be read)."""
    reads: dict[str, Callable[[], object]] = {}
    if identity.key:
        key_id = identity.key
        reads["key"] = lambda: _last_used(iam, key_id)
    if user:
        reads |= _of_user(iam, user)
    if identity.role:
        reads["role"] = lambda: iam.get_role(RoleName=identity.role)["Role"]
        reads["policies"] = partial(_policies, iam, "Role", identity.role)
    results = {name: _absent(result) for name, result in run_all(reads).items()}
    groups = _group_names(results)
    group_reads = {
        name: partial(
            _policies,
            iam,
            "Group",
            name,
        )
        for name in groups[:MOST_GROUPS]
    }
    for name, result in run_all(group_reads).items():
        results[f"group {name}"] = result
    results |= _documents(iam, results)
    missing = [
        f"{name} ({describe_error(result)})"
        for name, result in results.items()
        if isinstance(result, Exception)
    ]
    if len(groups) > MOST_GROUPS:
        missing.append(f"policies of {len(groups) - MOST_GROUPS} more groups")
    return results, missing


def _group_names(results: Results) -> list[str]:
    groups = results.get("groups")
    return [group["GroupName"] for group in groups] if isinstance(groups, list) else []


def _of_user(iam: AwsClient, user: str) -> dict[str, Callable[[], object]]:
    return {
        "user": lambda: iam.get_user(UserName=user)["User"],
        "access_keys": lambda: iam.list_access_keys(UserName=user)["AccessKeyMetadata"],
        "login_profile": lambda: iam.get_login_profile(UserName=user)["LoginProfile"],
        "mfa_devices": lambda: iam.list_mfa_devices(UserName=user)["MFADevices"],
        "groups": lambda: _pages(
            iam,
            "list_groups_for_user",
            "Groups",
            UserName=user,
        ),
        "policies": partial(_policies, iam, "User", user),
    }


def _pages(iam: AwsClient, operation: str, key: str, **request: str) -> list[object]:
    """Return what all pages of a list have under ``key``: names, or structures."""
    return list(iam.get_paginator(operation).paginate(**request).search(key))


def _policies(iam: AwsClient, entity: str, name: str) -> EntityPolicies:
    """Read the policies of a ``User``, ``Group`` or ``Role``."""
    word = entity.lower()
    request = {f"{entity}Name": name}
    names = cast("list[str]", _pages(iam, f"list_{word}_policies", "PolicyNames", **request))
    get_policy = getattr(iam, f"get_{word}_policy")
    documents = {
        policy_name: get_policy(PolicyName=policy_name, **request)["PolicyDocument"]
        for policy_name in names[:MOST_POLICIES]
    }
    attached = _pages(iam, f"list_attached_{word}_policies", "AttachedPolicies", **request)
    return {"attached": cast("list[dict[str, str]]", attached), "inline": documents}


def _documents(iam: AwsClient, results: Results) -> Results:
    """Read the documents of the account's own policies; AWS publishes its managed policies."""
    arns: set[str] = set()
    for result in results.values():
        if isinstance(result, dict):
            arns |= {policy["PolicyArn"] for policy in result.get("attached") or []}
    own = sorted(arn for arn in arns if ":iam::aws:" not in arn)[:MOST_POLICIES]
    documents = run_all({arn: partial(_document, iam, arn) for arn in own})
    return {f"policy {name_of(arn)}": result for arn, result in documents.items()}


def _document(iam: AwsClient, arn: str) -> OwnPolicy:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)
    return {"arn": arn, "document": answer["PolicyVersion"]["Document"]}


def _absent(result: T) -> T | None:
    """Return None for what does not exist: a user without a console password, a deleted role."""
    if isinstance(result, ClientError) and error_code(result) == "NoSuchEntity":
        return None
    return result


def _last_used(iam: AwsClient, key_id: str) -> AwsAnswer:
    answer: AwsAnswer = iam.get_access_key_last_used(AccessKeyId=key_id)
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _text(results: Results) -> str:
    """Say in a sentence what was read."""
    sentences: list[str] = []
    key = results.get("key")
    if isinstance(key, dict) and (used := key.get("AccessKeyLastUsed")):
        when = used.get("LastUsedDate") or "never"
        service, region = used.get("ServiceName"), used.get("Region")
        sentences.append(f"key last used {when} for {service} in {region}")
    for name in ("user", "role"):
        if name in results and results[name] is None:
            sentences.append(f"the {name} no longer exists")
    policies = results.get("policies")
    if isinstance(policies, dict):
        names = [policy["PolicyName"] for policy in policies["attached"]]
        names += list(policies["inline"])
        sentences.append(f"policies: {', '.join(names) or 'none'}")
    if groups := _group_names(results):
        sentences.append(f"groups: {', '.join(groups)}")
    return "; ".join(sentences) or "nothing could be read"
