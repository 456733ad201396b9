"""Patches of MiniStack's Lambda: error types, environments that survive an error, permissions of
the function's role.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from . import service_roles
from .ministack import lambda_runtime, lambdas, responses
from .patching import Original, patch, replace

_SERVICE = "lambda.amazonaws.com"
_ERROR_KEY = "_sandbox_error"
_REPORT = (
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace":'
    ' traceback.format_exc()}) + "\\n")'
)
_last = threading.local()


def _worker_script() -> str:
    """Return the worker's script: it reports an exception with its class, and stays alive."""
    script = str(lambda_runtime._PYTHON_WORKER_SCRIPT)
    if _REPORT not in script:
        raise RuntimeError("MiniStack's Python worker script is not the one of the pinned release.")
    report = (
        '_real_stdout.write(json.dumps({"status": "ok", "'
        + _ERROR_KEY
        + '": {"errorMessage": str(e), "errorType": type(e).__name__, "requestId":'
        ' _ms_ctx.get("request_id", ""), "stackTrace": traceback.format_tb(e.__traceback__)[1:]},'
        ' "trace": traceback.format_exc()}) + "\\n")'
    )
    return script.replace(_REPORT, report)


replace(
    lambda_runtime,
    "_PYTHON_WORKER_SCRIPT",
    _worker_script(),
    restores=(
        "errorType is the exception's class name, stackTrace its frames (upstream: always"
        " Runtime.HandlerError)"
    ),
)


@patch(
    lambda_runtime.Worker,
    "invoke",
    restores="an environment whose handler raised is used again (upstream starts a new one)",
)
def invoke(original: Original, worker: object, *args: object, **kwargs: object) -> object:
    _last.error = None
    result = original(worker, *args, **kwargs)
    error = result.get(_ERROR_KEY)
    if error:
        _last.error = error
        return {**result, "status": "error", "error": error["errorMessage"]}
    return result


@patch(
    lambdas,
    "_execute_function_warm",
    restores="a function's error document has errorType, errorMessage, requestId and stackTrace",
)
def execute_function_warm(
    original: Original, function: object, event: object, request_id: str
) -> object:
    result = original(function, event, request_id)
    error = getattr(_last, "error", None)
    if error and result.get("error") and isinstance(result.get("body"), dict):
        result = {**result, "body": {**error, "requestId": request_id}}
        _last.error = None
    return result


@patch(
    lambdas, "_create_esm", restores="an event source mapping needs a role that may read the queue"
)
def create_event_source_mapping(original: Original, data: dict[str, Any]) -> object:
    source = data.get("EventSourceArn", "")
    _, config, _ = lambdas._get_func_record_for_ref(data.get("FunctionName", ""))
    if ":sqs:" in source and config:
        for name in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            if service_roles.role_refusal(config.get("Role", ""), _SERVICE, f"sqs:{name}", source):
                message = (
                    f"The provided execution role does not have permissions to call {name} on SQS"
                )
                return responses.error_response_json("InvalidParameterValueException", message, 400)
    return original(data)


@patch(
    lambdas,
    "_route_async_failure",
    restores="the function's role must allow delivery to its dead-letter queue",
)
def route_async_failure(
    original: Original, target: str, name: str, event: object, result: object
) -> object:
    config = lambdas._functions.get(name, {}).get("config", {})
    action = "sqs:SendMessage" if ":sqs:" in target else "sns:Publish"
    refusal = service_roles.role_refusal(config.get("Role", ""), _SERVICE, action, target)
    if refusal:
        lambdas.logger.error(
            "Lambda %s: dead letter lost: %s; event %s", name, refusal, json.dumps(event)[:500]
        )
        return None
    return original(target, name, event, result)
