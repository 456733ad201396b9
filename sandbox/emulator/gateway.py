"""The one endpoint: faults first, then forwarded services with their own authorization, then
MiniStack.

Forwarded services are authorized here because MiniStack resolves one ARN per EC2 call, knows
neither its tags nor the services it lacks, and would let a call through that AWS refuses.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any

from . import cloudtrail, control, ec2_authorization, guardduty, manners, settings, stacksets
from .faults import FAULTS
from .http_responses import Response
from .manners import MANNERS
from .ministack import actions, app, evaluator, responses
from .moto_client import forward
from .patching import Original, patch
from .trail_records import Call

# Query and form parameters: name -> values.
Query = dict[str, Any]
FORWARDED = settings.MOTO_SERVICES | {"guardduty"}

actions.SERVICE_TO_IAM_NAMESPACE.setdefault("guardduty", "guardduty")
actions._BOTOCORE_SERVICE_MAP.setdefault("guardduty", ["guardduty"])
actions.SERVICE_TO_IAM_NAMESPACE.setdefault("securityhub", "securityhub")
actions._BOTOCORE_SERVICE_MAP.setdefault("securityhub", ["securityhub"])


@patch(
    app,
    "_handle_post_body_shortcuts",
    restores="(no AWS behaviour) the sandbox's own control paths, /_sandbox/",
)
async def shortcuts(
    original: Original,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    params: Query,
    request_id: str,
) -> object:
    if path.startswith("/_sandbox/"):
        return control.handle(method, path, params, body)
    return await original(method, path, headers, body, params, request_id)


def error_response(
    service: str,
    action: str,
    code: str,
    message: str,
    status: int,
    request_id: str,
    headers: dict[str, str],
) -> Response:
    """Return an error in the service's own protocol."""
    answer = actions.access_denied_response(
        service, action, "", request_id, error_code=code, message=message, headers=headers
    )
    return status, answer[1], answer[2]


async def _meet_faults(
    service: str, action: str, request: str, headers: dict[str, str], rid: str
) -> Response | None:
    hits = FAULTS.match(service, action, responses.get_account_id(), request)
    delay = sum(hit.latency_ms for hit in hits) / 1000
    if delay:
        await asyncio.sleep(delay)
    failed = next((hit for hit in hits if hit.error), None)
    if failed is None:
        return None
    message = failed.message or f"The sandbox was asked to fail {service}:{action}."
    return error_response(
        service, action, failed.error, message, failed.http_status(), rid, headers
    )


def _meet_manners(
    service: str, action: str, region: str, headers: dict[str, str], rid: str
) -> Response | None:
    met = MANNERS.refusal(service, action, responses.get_account_id(), region)
    if met is None:
        return None
    return error_response(service, action, met.code, met.message, met.status, rid, headers)


def _authorize(
    service: str,
    action: str,
    headers: dict[str, str],
    query: Query,
    params: Query,
    region: str,
    request_id: str,
    body: bytes,
) -> Response | None:
    """Return the refusal as the service words it, or None when the call is allowed."""
    evaluator.pin_request_caller(headers, query)
    key = app.extract_access_key_id(headers, query)
    account = responses.get_account_id()
    if evaluator.is_root_access_key(key or ""):
        checks = [ec2_authorization.Check(action, "*", {})]
    else:
        checks = ec2_authorization.checks(service, action, params, region, account, body)
    for check in checks:
        denied = evaluator.enforce(
            key,
            check.action,
            service,
            region,
            resource_arn=check.resource,
            service_context=check.context,
        )
        if not denied:
            continue
        if isinstance(denied, evaluator.AuthError):
            failure: Response = app._credential_failure(
                service, action, request_id, denied, headers
            )
            return failure
        message = actions.identity_denial_message(
            check.action, denied.principal_arn, check.resource, denied.decision == "Deny"
        )
        if service == "ec2":
            message = f"You are not authorized to perform this operation. {message}"
        refusal: Response = actions.access_denied_response(
            service, action, denied.principal_arn, request_id, message=message, headers=headers
        )
        return refusal
    return None


async def _serve(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Query
) -> Response:
    account = responses.get_account_id()
    if service == "guardduty":
        return guardduty.handle(method, path, body, query, account, responses.get_region())
    answer = await asyncio.to_thread(forward, method, path, headers, body, query, account)
    if headers.get("x-amz-target", "").rpartition(".")[2] in (
        "CreateAccount",
        "MoveAccount",
        "RemoveAccountFromOrganization",
    ):
        stacksets.organization_changed()
    return answer


# Answers by the SDK's id of the call, which a repetition carries too.
_ANSWERED: OrderedDict[str, asyncio.Future[Any]] = OrderedDict()
_REMEMBERED = 2000


@patch(
    app,
    "_dispatch_service_request",
    restores="EC2 and the other forwarded services authorize every resource a call names",
)
async def dispatch(
    original: Original,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Query,
    request_id: str,
) -> object:
    """A call that an SDK repeats because its answer was lost on a busy machine is answered as
    before, not done twice.
    """
    name = str(headers.get("amz-sdk-invocation-id") or "")
    before = _ANSWERED.get(name) if name else None
    if before is not None:
        answer = await asyncio.shield(before)
        if answer is not None:
            app.logger.warning("The answer to %s was lost, and is given again.", name)
            return answer
    promised: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    if name:
        _ANSWERED[name] = promised
        while len(_ANSWERED) > _REMEMBERED:
            _ANSWERED.popitem(last=False)
    done = None
    try:
        done = await _dispatch(original, method, path, headers, body, query, request_id)
        return done
    finally:
        if not promised.done():  # what was refused or failed is asked again in earnest
            promised.set_result(done if done is not None and done[0] < 400 else None)


async def _dispatch(
    original: Original,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Query,
    request_id: str,
) -> Response:
    params: Query = app._routing_params(method, path, headers, body, query)
    service = app.detect_service(method, path, headers, params)
    action = (
        actions.extract_iam_action(service, method, path, headers, body, params)
        or f"{service}:{method}"
    )
    short = action.split(":", 1)[1]
    request = body.decode("utf-8", "replace") + path
    failed = await _meet_faults(service, short, request, headers, request_id)
    region = app.extract_region(headers)
    is_root = evaluator.is_root_access_key(app.extract_access_key_id(headers, query) or "")
    if failed is None and not is_root:
        failed = _meet_manners(service, short, region, headers, request_id)
    account = responses.get_account_id()
    shown = MANNERS.watch(service, short, account, region, body)
    if is_root and manners.reads(short):
        shown = manners.as_it_is

    def record(status: int, answer: object) -> None:
        raw = answer if isinstance(answer, bytes) else str(answer).encode()
        cloudtrail.record(
            Call(service, method, path, headers, body, query, region, request_id, status, raw)
        )

    if failed is None and service not in FORWARDED:
        done: Response = await original(method, path, headers, body, query, request_id)
        record(done[0], done[2])
        return shown(done)
    if failed is None and app.AUTH:
        failed = await asyncio.to_thread(
            _authorize, service, action, headers, query, params, region, request_id, body
        )
    served = failed or shown(await _serve(service, method, path, headers, body, query))
    status, sent, answer = served
    record(status, answer)
    sent = {**sent, "x-amzn-requestid": request_id}
    return status, sent, answer
