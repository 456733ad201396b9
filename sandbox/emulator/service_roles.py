"""What AWS services may do on a caller's behalf: their roles, and the policies of the resources
they deliver to.

MiniStack enforces neither, so a missing ``states:StartExecution`` or queue policy would go
unnoticed until AWS.
"""

from __future__ import annotations

from typing import Any

from .ministack import app, evaluator, iam


def _context(arn: str, account: str, action: str, resource: str, keys: dict[str, Any]) -> Any:
    return evaluator.EvalContext(
        principal_arn=arn,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region="",
        secure_transport=True,
        service_context={key.lower(): value for key, value in keys.items()},
    )


def _statements(document: Any) -> list[dict[str, Any]]:
    import json

    data = json.loads(document) if isinstance(document, str) else document
    found = (data or {}).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def _trusts(role: dict[str, Any], service: str, keys: dict[str, Any]) -> bool:
    context = _context(role["Arn"], role["Arn"].split(":")[4], "sts:AssumeRole", role["Arn"], keys)
    allowed = False
    for statement in _statements(role["AssumeRolePolicyDocument"]):
        named = evaluator._service_principal_matches(statement.get("Principal", {}), service)
        if not named or not evaluator._conditions_met(statement.get("Condition", {}), context):
            continue
        if statement.get("Effect") == "Deny":
            return False
        allowed = True
    return allowed


def _with_role(
    role_arn: str, service: str, action: str, resource: str, source_arn: str, keys: dict[str, Any]
) -> tuple[str | None, Any, Any]:
    """What the service's session of a role may do by the role's policies: why it has none, its
    context, the result.
    """
    account = role_arn.split(":")[4]
    name = role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, name)
    if role is None:
        return f"The role {role_arn} does not exist.", None, None
    if not _trusts(role, service, {"aws:SourceAccount": account, "aws:SourceArn": source_arn}):
        return f"{service} is not authorized to assume the role {role_arn}.", None, None
    session = f"arn:aws:sts::{account}:assumed-role/{name}/{service.split('.', maxsplit=1)[0]}"
    context = _context(session, account, action, resource, keys)
    limits = evaluator._permissions_boundary(iam._roles, name, account)
    return (
        None,
        context,
        evaluator.evaluate(context, evaluator._gather_role_policies(name, account), *limits),
    )


def _said(context: Any, decision: str) -> str | None:
    if decision == "Allow":
        return None
    return (
        f"User: {context.principal_arn} is not authorized to perform: {context.action} on resource:"
        f" {context.resource_arn}"
    )


def role_refusal(
    role_arn: str,
    service: str,
    action: str,
    resource: str,
    source_arn: str = "",
    keys: dict[str, Any] | None = None,
) -> str | None:
    """Why the service may not do ``action`` with its role, or None when it may (or enforcement
    is off). ``keys``: condition keys of the action.
    """
    if not app.AUTH:
        return None
    refusal, context, result = _with_role(
        role_arn, service, action, resource, source_arn, keys or {}
    )
    return refusal or _said(context, result.decision)


def bus_refusal(
    role_arn: str, service: str, bus: str, policy: object, source_arn: str, keys: dict[str, Any]
) -> str | None:
    """Why a rule's event may not go to an event bus, or None when it may (or enforcement is off).

    In the bus' own account the role is enough; from another account the bus policy must let it in
    as well. What that denies, is denied everywhere.
    """
    if not app.AUTH:
        return None
    refusal, context, result = _with_role(
        role_arn, service, "events:PutEvents", bus, source_arn, keys
    )
    if refusal:
        return refusal
    combined = evaluator.combine_resource_policy(result, context, policy, bus.split(":")[4])
    if result.decision == "Allow" and combined.decision != "Allow":
        return (
            f"The policy of {bus} does not allow events:PutEvents to {context.principal_arn} for"
            f" {source_arn}."
        )
    return _said(context, combined.decision)


def policy_refusal(
    policy: object, service: str, action: str, resource: str, source_arn: str, source_account: str
) -> str | None:
    """Why the resource's own policy keeps the service out, or None when it lets it in (or
    enforcement is off).
    """
    if not app.AUTH:
        return None
    keys = {"aws:SourceArn": source_arn, "aws:SourceAccount": source_account}
    context = _context(
        f"arn:aws:iam::{source_account}:service/{service}", source_account, action, resource, keys
    )
    result = evaluator.evaluate_resource_policy(policy, context, service=service)
    if result.decision == "Allow":
        return None
    return (
        f"The policy of {resource} does not allow {service} to perform {action} for {source_arn}."
    )
