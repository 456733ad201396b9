"""Patches of MiniStack's event buses: a rule may send to a bus of another Region or account that
lets it in.
"""

from __future__ import annotations

import json
from typing import Any

from . import service_roles
from .events import SERVICE, Undelivered, delivers, in_place, scope
from .ministack import eventbridge, responses
from .patching import Original, patch

Json = dict[str, Any]


def _refusal(bus: str, policy: Json | None, event: Json) -> str | None:
    """Why the event may not go to the bus; the condition keys are those that EventBridge gives a
    bus policy.
    """
    target, rule, account = scope()
    keys = {
        "aws:SourceArn": rule,
        "aws:SourceAccount": account,
        "events:eventBusInvocation": "true",
        "events:source": event.get("Source", ""),
        "events:detail-type": event.get("DetailType", ""),
    }
    if role := str(target.get("RoleArn") or ""):
        return service_roles.bus_refusal(role, SERVICE, bus, policy, rule, keys)
    return service_roles.policy_refusal(policy, SERVICE, "events:PutEvents", bus, rule, account)


@patch(
    eventbridge,
    "_dispatch_to_event_bus",
    restores=(
        "a rule may send to a bus of another Region or account that its role and the bus policy"
        " allow; the event keeps its account and Region; an event that a bus sent here goes to no"
        " third bus"
    ),
)
@delivers
def to_event_bus(
    _original: Original,
    spec: Any,
    event: Json,
    _rule: object,
    _path: object,
    payload: object = None,
) -> Any:
    if event.get("_Forwarded"):
        eventbridge.logger.warning(
            "EventBridge: an event that another bus sent goes to no third one (%s)", spec
        )
        return

    def arrive() -> None:
        eventbridge._ensure_default_bus()
        name = spec.resource.split("/", 1)[1]
        if name not in eventbridge._event_buses:
            raise Undelivered("RESOURCE_NOT_FOUND", f"There is no event bus {spec}.")
        if refusal := _refusal(str(spec), eventbridge._event_bus_policies.get(name), event):
            raise Undelivered("NO_PERMISSIONS", refusal)
        sent = {**event, "EventBusName": name, "_Forwarded": True}
        if payload is not None:
            sent["Detail"] = payload
        eventbridge._dispatch_event(sent)
        eventbridge._archive_event(sent)

    in_place(spec.account_id, spec.region, arrive)


def _principal(text: str) -> Any:
    return text if text == "*" else {"AWS": f"arn:aws:iam::{text}:root"}


@patch(
    eventbridge,
    "_put_permission",
    restores="a bus policy is given whole (Policy), or as a statement that IAM can read",
)
def put_permission(original: Original, data: Json) -> object:
    name = data.get("EventBusName", "default")
    if name not in eventbridge._event_buses:
        return responses.error_response_json(
            "ResourceNotFoundException", f"Event bus {name} does not exist.", 400
        )
    if policy := data.get("Policy"):
        try:
            eventbridge._event_bus_policies[name] = json.loads(policy)
        except json.JSONDecodeError:
            return responses.error_response_json(
                "InvalidEventPatternException", "The policy is not valid JSON.", 400
            )
        return responses.json_response({})
    condition = data.get("Condition")
    if condition:
        condition = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    return original(
        {**data, "Principal": _principal(str(data.get("Principal", "*"))), "Condition": condition}
    )
