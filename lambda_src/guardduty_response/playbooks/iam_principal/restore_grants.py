"""Brings back what was undone in IAM: credentials, identities, policies, trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.recorded_reversal import RecordedReversal
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, PolicyDocument

DENY_ALL_STATEMENTS = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]


def _call(call: Callable[..., AwsAnswer], **request: str) -> list[AwsAnswer]:
    """Make the call, again while somebody else changes the same entity."""
    return [dict(retry_on_conflict(partial(call, **request)))]


# -- credentials and identities --------------------------------------------------------------------


def access_key(reversal: RecordedReversal) -> list[RestoreItem]:
    user: str = reversal.before_state["user"]
    key: str = reversal.before_state["key"]
    keys = resource_state.keys(reversal.read(), user) or {}
    return _key_item(reversal, user, key, keys.get(key))


def _key_item(
    reversal: RecordedReversal, user: str, key: str, status: str | None
) -> list[RestoreItem]:
    item = f"access key {key} of user {user}"
    if status is None:
        return reversal.gone(item)
    if status == "Active":
        return reversal.unchanged(item, f"{item} is active, as before")
    command = reversal.command(
        "iam update-access-key --status Active", "--user-name", user, "--access-key-id", key
    )
    call = partial(_activate_key, reversal, user, key)
    return reversal.restorable(item, f"{item} active again", command, call)


def _activate_key(reversal: RecordedReversal, user: str, key: str) -> list[AwsAnswer]:
    iam = reversal.change("iam:UpdateAccessKey", reversal.before_state["arn"])
    return _call(iam.update_access_key, UserName=user, AccessKeyId=key, Status="Active")


def user(reversal: RecordedReversal) -> list[RestoreItem]:
    user: str = reversal.before_state["user"]
    iam = reversal.read()
    found = resource_state.identity(iam, "user", user)
    if found is None:
        return reversal.gone(f"user {user}")
    items = _deny_all(reversal, user)
    items += _boundary(reversal, "user", user, found["boundary"])
    keys = resource_state.keys(iam, user) or {}
    recorded_keys: dict[str, str] = reversal.before_state["keys"]
    for key, recorded_status in recorded_keys.items():
        if recorded_status == "Active":
            items += _key_item(reversal, user, key, keys.get(key))
    return items


def _deny_all(reversal: RecordedReversal, user: str) -> list[RestoreItem]:
    item = f"AWSDenyAll on user {user}"
    policies = resource_state.attached(reversal.read(), "user", user) or []
    attached = reversal.deny_all in policies
    if not attached or reversal.before_state["attached"]:
        state = "attached" if attached else "not attached"
        return reversal.unchanged(item, f"AWSDenyAll is {state} to user {user}, as before")
    command = reversal.command(
        "iam detach-user-policy", "--user-name", user, "--policy-arn", reversal.deny_all
    )
    call = partial(_detach_deny_all, reversal, user)
    return reversal.restorable(item, f"AWSDenyAll detached from user {user}", command, call)


def _detach_deny_all(reversal: RecordedReversal, user: str) -> list[AwsAnswer]:
    iam = reversal.change("iam:DetachUserPolicy", reversal.before_state["arn"])
    return _call(iam.detach_user_policy, UserName=user, PolicyArn=reversal.deny_all)


def _boundary(
    reversal: RecordedReversal, entity: str, name: str, current: str | None
) -> list[RestoreItem]:
    """Judge the permissions boundary, which denies everything where policies were at their
    quota.
    """
    recorded: str | None = reversal.before_state["boundary"]
    item = f"permissions boundary of {entity} {name}"
    if current == recorded:
        return reversal.unchanged(item, f"the {item} is {current or 'none'}, as before")
    if current != reversal.deny_all:
        return reversal.changed_since(item, f"the {item} is {current or 'none'}")
    call = partial(_restore_boundary, reversal, entity, name, recorded)
    if not recorded:
        command = reversal.command(
            f"iam delete-{entity}-permissions-boundary --{entity}-name", name
        )
        return reversal.restorable(item, f"{item} removed", command, call)
    command = reversal.command(
        f"iam put-{entity}-permissions-boundary --{entity}-name",
        name,
        "--permissions-boundary",
        recorded,
    )
    return reversal.restorable(item, f"{item} {recorded} again", command, call)


def _restore_boundary(
    reversal: RecordedReversal, entity: str, name: str, recorded: str | None
) -> list[AwsAnswer]:
    title = entity.title()
    operation = "put" if recorded else "delete"
    action = f"iam:{operation.title()}{title}PermissionsBoundary"
    iam = reversal.change(action, reversal.before_state["arn"])
    request = {f"{title}Name": name}
    if recorded:
        request["PermissionsBoundary"] = recorded
    return _call(getattr(iam, f"{operation}_{entity}_permissions_boundary"), **request)


def role(reversal: RecordedReversal) -> list[RestoreItem]:
    role: str = reversal.before_state["role"]
    policy_name: str = reversal.before_state["name"]
    recorded: PolicyDocument | None = reversal.before_state["policy"]
    iam = reversal.read()
    found = resource_state.identity(iam, "role", role)
    if found is None:
        return reversal.gone(f"role {role}")
    items = _boundary(reversal, "role", role, found["boundary"])
    current = resource_state.inline(iam, "role", role, policy_name)
    item = f"policy {policy_name} of role {role}"
    if current == recorded:
        return items + reversal.unchanged(item, f"{item} is as before")
    if (current or {}).get("Statement") != DENY_ALL_STATEMENTS:
        state = "a different policy" if current else "gone"
        return items + reversal.changed_since(item, f"{item} is {state}")
    change = "put back as before" if recorded else "deleted"
    command = reversal.command(
        "iam delete-role-policy", "--role-name", role, "--policy-name", policy_name
    )
    call = partial(_restore_inline, reversal, "role", role, policy_name, recorded)
    text = f"{item} {change}: its sessions work again"
    return items + reversal.restorable(item, text, command, call)


def _restore_inline(
    reversal: RecordedReversal,
    entity: str,
    name: str,
    policy_name: str,
    document: PolicyDocument | None,
) -> list[AwsAnswer]:
    title = entity.title()
    operation = "delete" if document is None else "put"
    iam = reversal.change(f"iam:{operation.title()}{title}Policy", reversal.before_state["arn"])
    request = {f"{title}Name": name, "PolicyName": policy_name}
    if document is not None:
        request["PolicyDocument"] = json.dumps(document)
    return _call(getattr(iam, f"{operation}_{entity}_policy"), **request)


def login_profile(reversal: RecordedReversal) -> list[RestoreItem]:
    user: str = reversal.before_state["user"]
    text = (
        f"the console password of user {user} was replaced by a random password kept nowhere: a"
        " person sets a new password"
    )
    command = reversal.command(
        "iam update-login-profile --password NEW --password-reset-required --user-name", user
    )
    item = f"console password of {user}"
    return reversal.not_restored(RestoreStatus.MANUAL, item, text, command)


# -- grants ----------------------------------------------------------------------------------------


def attached(reversal: RecordedReversal) -> list[RestoreItem]:
    entity: str = reversal.before_state["of"]
    name: str = reversal.before_state["name"]
    policy_arn: str = reversal.before_state["policy"]
    current = resource_state.attached(reversal.read(), entity, name)
    item = f"policy {policy_arn} of {entity} {name}"
    if current is None:
        return reversal.gone(f"{entity} {name}")
    if policy_arn in current:
        return reversal.unchanged(item, f"{item} is attached, as before")
    command = reversal.command(
        f"iam attach-{entity}-policy --{entity}-name", name, "--policy-arn", policy_arn
    )
    call = partial(_attach, reversal, entity, name, policy_arn)
    return reversal.restorable(item, f"{item} attached again", command, call)


def _attach(reversal: RecordedReversal, entity: str, name: str, policy_arn: str) -> list[AwsAnswer]:
    title = entity.title()
    iam = reversal.change(f"iam:Attach{title}Policy", reversal.before_state["arn"])
    request = {f"{title}Name": name, "PolicyArn": policy_arn}
    return _call(getattr(iam, f"attach_{entity}_policy"), **request)


def inline(reversal: RecordedReversal) -> list[RestoreItem]:
    entity: str = reversal.before_state["of"]
    name: str = reversal.before_state["name"]
    policy_name: str = reversal.before_state["policy"]
    recorded: PolicyDocument = reversal.before_state["document"]
    if resource_state.identity(reversal.read(), entity, name) is None:
        return reversal.gone(f"{entity} {name}")
    current = resource_state.inline(reversal.read(), entity, name, policy_name)
    item = f"inline policy {policy_name} of {entity} {name}"
    if current == recorded:
        return reversal.unchanged(item, f"{item} is as before")
    if current is not None:
        return reversal.changed_since(item, f"{item} is a different policy")
    command = reversal.command(
        f"iam put-{entity}-policy --{entity}-name",
        name,
        "--policy-name",
        policy_name,
        "--policy-document",
        json.dumps(recorded),
    )
    call = partial(_restore_inline, reversal, entity, name, policy_name, recorded)
    return reversal.restorable(item, f"{item} put back", command, call)


def member(reversal: RecordedReversal) -> list[RestoreItem]:
    user: str = reversal.before_state["user"]
    group: str = reversal.before_state["group"]
    current = resource_state.groups(reversal.read(), user)
    item = f"user {user} in group {group}"
    if current is None or resource_state.identity(reversal.read(), "group", group) is None:
        return reversal.gone(item)
    if group in current:
        return reversal.unchanged(item, f"{item}, as before")
    command = reversal.command("iam add-user-to-group", "--user-name", user, "--group-name", group)
    call = partial(_add_to_group, reversal, user, group)
    return reversal.restorable(item, f"{item} again", command, call)


def _add_to_group(reversal: RecordedReversal, user: str, group: str) -> list[AwsAnswer]:
    iam = reversal.change("iam:AddUserToGroup", reversal.before_state["arn"])
    return _call(iam.add_user_to_group, UserName=user, GroupName=group)


def trust(reversal: RecordedReversal) -> list[RestoreItem]:
    role: str = reversal.before_state["role"]
    recorded: PolicyDocument = reversal.before_state["document"]
    found = resource_state.identity(reversal.read(), "role", role)
    item = f"trust policy of role {role}"
    if found is None:
        return reversal.gone(f"role {role}")
    current = found["trust"] or {}
    if current == recorded:
        return reversal.unchanged(item, f"the {item} is as before")
    sid = resource_state.outside_sid(reversal.target_context.prefix)
    if not resource_state.is_denied(current, recorded, sid):
        return reversal.changed_since(item, f"the {item} is a different policy")
    command = reversal.command(
        "iam update-assume-role-policy --role-name", role, "--policy-document", json.dumps(recorded)
    )
    text = f"the {item} is as before: other accounts may assume it again"
    call = partial(_restore_trust, reversal, role, recorded)
    return reversal.restorable(item, text, command, call)


def _restore_trust(
    reversal: RecordedReversal, role: str, recorded: PolicyDocument
) -> list[AwsAnswer]:
    iam = reversal.change("iam:UpdateAssumeRolePolicy", reversal.before_state["arn"])
    document = json.dumps(recorded)
    return _call(iam.update_assume_role_policy, RoleName=role, PolicyDocument=document)
