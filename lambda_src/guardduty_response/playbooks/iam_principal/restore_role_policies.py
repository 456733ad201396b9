"""Restores the policies by which sessions were denied on roles."""

from __future__ import annotations

import json
from functools import partial

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.role_policies import OLDER, revoked_before, role_policy
from guardduty_response.containment.target_context import Sessions, name_of
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
)
from guardduty_response.playbooks.iam_principal.records import (
    AwsAnswer,
    DeniedSessionsBefore,
    PolicyDocument,
    RoleSessionsState,
)
from guardduty_response.playbooks.iam_principal.restore_access import changing_client, role_arn


def session_items(principal: PrincipalContext, sessions: Sessions) -> list[RestoreItem]:
    """The policies on the role that the finding is about."""
    before: RoleSessionsState = principal.before_state("sessions")
    iam = sessions.client("iam")
    items = []
    for name, old in before["policies"].items():
        present = role_policy(iam, principal.identity.role, name)
        items.append(_policy_item(principal, "sessions", role_arn(principal), name, old, present))
    return items


def chained_session_items(principal: PrincipalContext, item: str) -> list[RestoreItem]:
    """The policy on another role, in which the principal held sessions."""
    before: DeniedSessionsBefore = principal.before_state(item)
    role = before["role"]
    iam = changing_client(principal, role, "iam:GetRolePolicy")
    present = role_policy(iam, role, before["policy"])
    return [_policy_item(principal, item, role, before["policy"], before["document"], present)]


def _policy_item(
    principal: PrincipalContext,
    item: str,
    arn: str,
    name: str,
    old: PolicyDocument | None,
    present: PolicyDocument | None,
) -> RestoreItem:
    """Compares a policy with how it was before; ``item`` is its key in the before-state."""
    role = name_of(arn)
    command = f"aws iam delete-role-policy --role-name {role} --policy-name {name}"
    if old is not None:
        command = (
            f"aws iam put-role-policy --role-name {role} --policy-name {name} --policy-document"
            f" '{json.dumps(old)}'"
        )
    if present == old:
        sentence = f"role {role} has no policy {name}, as before"
        if old:
            sentence = f"policy {name} of role {role} is as it was"
        return RestoreItem(RestoreStatus.UNCHANGED, item, name, sentence)
    if name == OLDER and present is not None:
        sentence = (
            f"{name} stays on role {role}: sessions issued before {revoked_before(present)} stay"
            " dead by design, newer sessions work"
        )
        return RestoreItem(RestoreStatus.RETAINED, item, name, sentence, command)
    if present is None:
        return changed_since(item, name, f"role {role} has no policy {name}")
    if not _denies_named_sessions(present):
        return changed_since(item, name, f"role {role} has another policy {name}")
    change = "removed from" if old is None else "put back as it was on"
    return RestoreItem(
        RestoreStatus.TODO,
        item,
        name,
        f"policy {name} {change} role {role}: its sessions work again",
        command,
        partial(_restore_policy, principal, arn, name, old),
    )


def _denies_named_sessions(document: PolicyDocument) -> bool:
    """Whether it is a policy as role.deny_sessions writes it."""
    statements = document.get("Statement") or []
    if len(statements) != 1:
        return False
    condition = statements[0].get("Condition") or {}
    if set(condition) != {"StringEquals", "DateLessThan"}:
        return False
    return "aws:userid" in condition["StringEquals"]


def _restore_policy(
    principal: PrincipalContext, arn: str, name: str, old: PolicyDocument | None
) -> list[AwsAnswer]:
    role = name_of(arn)
    if old is None:
        iam = changing_client(principal, arn, "iam:DeleteRolePolicy")
        call = partial(iam.delete_role_policy, RoleName=role, PolicyName=name)
    else:
        iam = changing_client(principal, arn, "iam:PutRolePolicy")
        document = json.dumps(old)
        call = partial(iam.put_role_policy, RoleName=role, PolicyName=name, PolicyDocument=document)
    return [retry_on_conflict(call)]
