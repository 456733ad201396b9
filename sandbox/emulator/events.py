"""Patches of MiniStack's EventBridge: who may publish, refusals and dead-letter queues
(event_buses.py: other buses).
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from . import service_roles, settings
from .ministack import (
    evaluator,
    eventbridge,
    lambdas,
    responses,
    scheduler,
    sns,
    sqs,
    stepfunctions,
)
from .patching import Original, patch

SERVICE = "events.amazonaws.com"
# Rules and targets of schedules whose invocation has not ended.
_running: set[tuple[str, str]] = set()
_scheduled: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar(
    "scheduled", default=None
)
# The target and rule of the delivery under way, and why it failed.
_delivery: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar(
    "delivery", default=None
)


class Undelivered(Exception):
    """An event a target did not take; ``code`` is EventBridge's ERROR_CODE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@patch(
    eventbridge,
    "_put_events",
    restores=(
        "events of aws.guardduty exist: the account's root may publish aws.* sources here, nobody"
        " else (as on AWS)"
    ),
)
def put_events(original: Original, data: object, allow_aws_source: bool = False) -> object:
    root = str(evaluator.caller_arn()).endswith(":root")
    return original(data, allow_aws_source or root)


def in_account(account: str, function: Callable[..., Any], *args: object) -> Any:
    """Run a function as another account, without touching this request's scope."""
    context = contextvars.copy_context()
    context.run(responses._request_account_id.set, account)
    return context.run(function, *args)


def in_place(account: str, region: str, function: Callable[..., Any], *args: object) -> Any:
    """Run a function as another account in another Region, without touching this request's
    scope.
    """
    context = contextvars.copy_context()
    context.run(responses._request_account_id.set, account)
    context.run(responses._request_region.set, region)
    return context.run(function, *args)


def delivers(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Note an Undelivered for the dead-letter queue instead of only logging it."""

    def deliver(original: Original, *args: object, **kwargs: object) -> Any:
        try:
            return dispatch(original, *args, **kwargs)
        except Undelivered as refused:
            delivery = _delivery.get()
            if delivery is not None:
                delivery["error"] = refused
            eventbridge.logger.warning("EventBridge: not delivered: %s", refused)
            return None

    return deliver


def scope() -> tuple[dict[str, Any], str, str]:
    """Return the target of the delivery under way, its rule's ARN, and the rule's account."""
    delivery = _delivery.get() or {}
    rule = str(delivery.get("rule", {}).get("Arn", ""))
    return (
        delivery.get("target", {}),
        rule,
        rule.split(":")[4] if rule else responses.get_account_id(),
    )


def _shortened() -> bool:
    """Return whether the delivery under way is of a schedule that the sandbox clock shortens."""
    rule = (_delivery.get() or {}).get("rule", {})
    return bool(rule.get("ScheduleExpression")) and settings.CLOCK.rates < 1


@patch(
    eventbridge,
    "_dispatch_to_stepfunctions",
    restores=(
        "the target's role must allow states:StartExecution; a refused start is a failed delivery"
    ),
)
@delivers
def to_step_functions(_original: Original, arn: str, payload: str) -> None:
    target, rule, _ = scope()
    if stepfunctions._resolve_state_machine_arn(arn) is None:
        raise Undelivered("RESOURCE_NOT_FOUND", f"There is no state machine {arn}.")
    refusal = service_roles.role_refusal(
        target.get("RoleArn", ""), SERVICE, "states:StartExecution", arn, rule
    )
    if refusal:
        raise Undelivered("NO_PERMISSIONS", refusal)
    status, _headers, body = stepfunctions._start_execution(
        {"stateMachineArn": arn, "input": payload}
    )
    if status >= 400:
        raise Undelivered(
            "SDK_CLIENT_ERROR", body.decode() if isinstance(body, bytes) else str(body)
        )


@patch(
    eventbridge,
    "_dispatch_to_lambda",
    restores=(
        "the function's policy must let the rule in; two retries, then the function's own"
        " dead-letter queue"
    ),
)
@delivers
def to_lambda(_original: Original, arn: str, payload: str) -> None:
    target, rule, account = scope()
    function, config, _ = lambdas._get_func_record_for_ref(arn)
    if not function or not config:
        raise Undelivered("RESOURCE_NOT_FOUND", f"There is no function {arn}.")
    refusal = service_roles.policy_refusal(
        function.get("policy"), SERVICE, "lambda:InvokeFunction", arn, rule, account
    )
    if refusal:
        raise Undelivered("NO_PERMISSIONS", refusal)
    try:
        event = json.loads(payload)
    except (json.JSONDecodeError, TypeError):
        event = {"body": payload}
    run = (rule, str(target.get("Id"))) if _shortened() else None
    if run in _running:
        return
    if run:
        _running.add(run)
    token = _scheduled.set(run)
    try:
        lambdas.invoke_async_with_retry(
            lambdas._execution_record_for_config(function, config), event
        )
    finally:
        _scheduled.reset(token)


@patch(
    lambdas,
    "_execute_function",
    restores=(
        "(no AWS behaviour) a shortened schedule invokes a function when the invocation before has"
        " ended: every minute that is so, every second a slow machine would never catch up"
    ),
)
def execute_function(original: Original, *args: object, **kwargs: object) -> object:
    run = _scheduled.get()
    _scheduled.set(None)
    try:
        return original(*args, **kwargs)
    finally:
        if run:
            _running.discard(run)


@patch(eventbridge, "_dispatch_to_sqs", restores="the queue's policy must let the rule in")
@delivers
def to_sqs(original: Original, spec: object, payload: str, parameters: object = None) -> object:
    _, rule, account = scope()
    queue = sqs._queue_by_arn(str(spec))
    if not queue:
        raise Undelivered("RESOURCE_NOT_FOUND", f"There is no queue {spec}.")
    policy = queue.get("attributes", {}).get("Policy")
    refusal = service_roles.policy_refusal(
        policy, SERVICE, "sqs:SendMessage", str(spec), rule, account
    )
    if refusal:
        raise Undelivered("NO_PERMISSIONS", refusal)
    return original(spec, payload, parameters)


@patch(eventbridge, "_dispatch_to_sns", restores="the topic's policy must let the rule in")
@delivers
def to_sns(original: Original, arn: str, payload: str) -> object:
    _, rule, account = scope()
    topic = sns._topics.get(arn)
    if topic is None:
        raise Undelivered("RESOURCE_NOT_FOUND", f"There is no topic {arn}.")
    policy = (topic.get("attributes") or {}).get("Policy")
    refusal = service_roles.policy_refusal(policy, SERVICE, "sns:Publish", arn, rule, account)
    if refusal:
        raise Undelivered("NO_PERMISSIONS", refusal)
    return original(arn, payload)


def _dead_letter(
    target: dict[str, Any], rule: dict[str, Any], body: str, error: Undelivered
) -> None:
    arn = str((target.get("DeadLetterConfig") or {}).get("Arn") or "")
    queue = sqs._queue_by_arn(arn) if arn else None
    if not queue:
        return
    if arn.split(":")[3] != rule.get("Arn", "").split(":")[3]:
        eventbridge.logger.error(
            "EventBridge: the dead-letter queue %s is not in the Region of its rule, the event is"
            " lost",
            arn,
        )
        return
    policy = queue.get("attributes", {}).get("Policy")
    account = responses.get_account_id()
    refusal = service_roles.policy_refusal(
        policy, SERVICE, "sqs:SendMessage", arn, rule.get("Arn", ""), account
    )
    if refusal:
        eventbridge.logger.error(
            "EventBridge: the dead-letter queue refused the event, it is lost: %s", refusal
        )
        return
    attributes = {
        "RULE_ARN": rule.get("Arn", ""),
        "TARGET_ARN": target.get("Arn", ""),
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error)[:1000],
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "RETRY_ATTEMPTS": "0",
    }
    now = time.time()
    message = {
        "id": responses.new_uuid(),
        "body": body,
        "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "receipt_handle": None,
        "sent_at": now,
        "visible_at": now,
        "receive_count": 0,
        "attributes": {},
        "message_attributes": {
            key: {"DataType": "String", "StringValue": value}
            for key, value in attributes.items()
            if value
        },
        "sys": {"SenderId": "AROAEXAMPLE", "SentTimestamp": str(int(now * 1000))},
    }
    queue["messages"].append(message)
    sqs._ensure_msg_fields(message)
    eventbridge.esm_wake.set()


@patch(
    eventbridge,
    "_invoke_target",
    restores=(
        "an event a target does not take goes to the target's dead-letter queue, with the reason as"
        " message attributes"
    ),
)
def invoke_target(
    original: Original, target: Any, event: object, rule: Any, view: Any = None
) -> None:
    view = view or eventbridge._pattern_event_view(event)
    delivery: dict[str, Any] = {"target": target, "rule": rule}
    token = _delivery.set(delivery)
    try:
        original(target, event, rule, view)
    finally:
        _delivery.reset(token)
    if "error" in delivery:
        _dead_letter(target, rule, json.dumps(view.event_with_detail()), delivery["error"])


@patch(
    eventbridge,
    "_parse_rate_seconds",
    restores="(no AWS behaviour) rate() schedules shortened by the sandbox clock",
)
def parse_rate_seconds(original: Original, expression: str) -> float | None:
    seconds = original(expression)
    return (
        None
        if seconds is None
        else seconds * (settings.CLOCK.rates if seconds <= 600 else settings.CLOCK.long_rates)
    )


# Shortened schedules need a closer look at the clock than every 10 s.
eventbridge._SCHEDULER_TICK_INTERVAL = scheduler._SCHEDULE_TICK_INTERVAL = 0.5
