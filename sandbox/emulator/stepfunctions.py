"""Patches of MiniStack's Step Functions: JSONata states, history, limits, and executions that
really end.
"""

from __future__ import annotations

import contextvars
import copy
import json
import threading
import time
from typing import Any

from . import service_roles, settings
from .execution_state import (
    RUNNING_EXECUTION,
    Ended,
    Execution,
    ensure_running,
    ensure_size,
    running_execution,
)
from .faults import FAULTS
from .ministack import lambdas, responses, stepfunctions
from .patching import Original, patch


def _jsonata(state: dict[str, Any], context: object) -> bool:
    return bool(stepfunctions._state_query_language(state, context) == "JSONata")


@patch(
    stepfunctions,
    "_apply_output_path",
    restores="a JSONata Succeed state honours Output (upstream returns the input)",
)
def apply_output_path(
    original: Original, state: dict[str, Any], data: object, context: object = None
) -> object:
    if state.get("Type") == "Succeed" and _jsonata(state, context):
        return stepfunctions._apply_jsonata_output(state, data, context, default=data)
    return original(state, data, context)


@patch(
    stepfunctions,
    "_run_sub_machine",
    restores="states inside Map and Parallel are in the history, and end with the execution",
)
def run_sub_machine(
    _original: Original,
    states: dict[str, Any],
    start: str,
    data: object,
    execution: Execution,
    context: Any,
) -> object:
    name: str | None = start
    current = copy.deepcopy(data)
    while name:
        ensure_running(execution)
        state = states.get(name)
        if not state:
            raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found")
        kind = state.get("Type")
        context["State"] = {"Name": name, "EnteredTime": responses.now_iso(), "RetryCount": 0}
        entered = {"name": name, "input": json.dumps(current)}
        stepfunctions._add_event(
            execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered}
        )
        if kind == "Fail":
            raise stepfunctions._ExecutionError(
                *stepfunctions._fail_state_error(state, current, context)
            )
        if kind == "Succeed":
            current = stepfunctions._apply_input_path(state, current, context)
            current, following = stepfunctions._apply_output_path(state, current, context), None
        elif kind in ("Task", "Parallel", "Map"):
            handler = getattr(stepfunctions, f"_execute_{kind.lower()}")
            current, following = handler(state, current, execution, context)
        elif kind in ("Pass", "Choice", "Wait"):
            current, following = getattr(stepfunctions, f"_execute_{kind.lower()}")(
                state, current, context
            )
        else:
            raise stepfunctions._ExecutionError("States.Runtime", f"Unknown state type: {kind}")
        ensure_running(execution)
        exited = {"name": name, "output": json.dumps(current)}
        stepfunctions._add_event(
            execution, f"{kind}StateExited", {"stateExitedEventDetails": exited}
        )
        name = following
    return current


@patch(
    stepfunctions,
    "_run_parallel_branches",
    restores=(
        "a JSONata Parallel honours Arguments, Output, Assign; branches have own variables; the"
        " first error fails it"
    ),
)
def run_parallel_branches(
    original: Original, state: dict[str, Any], raw: object, execution: Execution, context: object
) -> object:
    jsonata = _jsonata(state, context)
    if jsonata:
        effective = raw
        if "Arguments" in state:
            effective = stepfunctions._apply_jsonata_template(state["Arguments"], raw, context)
    else:
        effective = stepfunctions._apply_parameters(
            state, stepfunctions._apply_input_path(state, raw, context), context
        )
    branches = state.get("Branches", [])
    results: list[Any] = [None] * len(branches)
    errors: list[BaseException] = []
    done = threading.Semaphore(0)

    def run(index: int, branch: dict[str, Any]) -> None:
        try:
            results[index] = stepfunctions._run_sub_machine(
                branch["States"], branch["StartAt"], effective, execution, copy.deepcopy(context)
            )
        except (stepfunctions._ExecutionError, Ended) as error:
            errors.append(error)
        except Exception as error:
            errors.append(stepfunctions._ExecutionError("States.BranchFailed", str(error)))
        finally:
            done.release()

    stepfunctions._add_event(execution, "ParallelStateStarted")
    for index, branch in enumerate(branches):
        scope = contextvars.copy_context()
        threading.Thread(target=scope.run, args=(run, index, branch), daemon=True).start()
    for _ in branches:
        done.acquire()
        if errors:
            stepfunctions._add_event(execution, "ParallelStateFailed")
            raise errors[0]
    stepfunctions._add_event(execution, "ParallelStateSucceeded")
    following = stepfunctions._next_or_end(state)
    if jsonata:
        output = stepfunctions._apply_jsonata_output(
            state, raw, context, result=results, default=results
        )
        stepfunctions._apply_state_assign(state, raw, context, result=results)
        return output, following
    output = stepfunctions._apply_result_path(
        state, raw, stepfunctions._apply_result_selector(state, results)
    )
    return stepfunctions._apply_output_path(state, output, context), following


@patch(
    stepfunctions,
    "_run_map_items",
    restores="MapStateStarted and MapStateSucceeded are in the history; a stopped Map ends",
)
def run_map_items(
    original: Original, state: dict[str, Any], raw: object, execution: Execution, context: object
) -> object:
    stepfunctions._add_event(execution, "MapStateStarted")
    result = original(state, raw, execution, context)
    ensure_running(execution)
    stepfunctions._add_event(execution, "MapStateSucceeded")
    return result


@patch(
    stepfunctions,
    "_add_event",
    restores="a scheduled task has also started; a Parallel or Map that failed has no exit",
)
def add_event(
    original: Original, execution: object, event_type: str, details: Any = None
) -> object:
    if execution is None:
        return None
    event = original(execution, event_type, details)
    if event_type == "TaskScheduled":
        scheduled = (details or {}).get("taskScheduledEventDetails", {})
        original(execution, "TaskStarted", {"taskStartedEventDetails": dict(scheduled)})
    return event


@patch(
    stepfunctions,
    "_run_execution",
    restores=(
        "TimeoutSeconds of the definition ends the execution as TIMED_OUT, and says so on the"
        " event bus"
    ),
)
def run_execution(original: Original, arn: str) -> None:
    execution = stepfunctions._executions.get(arn)
    machine = (
        stepfunctions._state_machines.get(execution["stateMachineArn"]) or {} if execution else {}
    )
    limit = json.loads(machine.get("definition") or "{}").get("TimeoutSeconds")

    def time_out() -> None:
        if execution["status"] != "RUNNING":
            return
        execution.update(status="TIMED_OUT", stopDate=responses.now_iso())
        stepfunctions._add_event(
            execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}}
        )
        stepfunctions._emit_execution_status_event(execution)

    if execution and limit:
        scope = contextvars.copy_context()
        timer = threading.Timer(limit * settings.CLOCK.timeouts, scope.run, (time_out,))
        timer.daemon = True
        timer.start()
    token = RUNNING_EXECUTION.set(execution)
    try:
        original(arn)
    finally:
        RUNNING_EXECUTION.reset(token)


@patch(
    stepfunctions, "_fail_execution", restores="an execution that was stopped or timed out stays so"
)
def fail_execution(original: Original, execution: Execution, error: str, cause: str) -> object:
    if execution["status"] == "RUNNING":
        return original(execution, error, cause)
    return None


@patch(
    stepfunctions,
    "_execute_task",
    restores=(
        "a stopped execution starts no task; JSONata TimeoutSeconds; a result beyond 256 KiB is"
        " States.DataLimitExceeded"
    ),
)
def execute_task(
    original: Original, state: dict[str, Any], raw: object, execution: Execution, context: object
) -> object:
    ensure_running(execution)
    for field in ("TimeoutSeconds", "HeartbeatSeconds"):
        if isinstance(state.get(field), str):
            state = {
                **state,
                field: stepfunctions._apply_jsonata_template(state[field], raw, context),
            }
    if ".waitForTaskToken" in state.get("Resource", "") and "TimeoutSeconds" in state:
        state = {**state, "TimeoutSeconds": state["TimeoutSeconds"] * settings.CLOCK.timeouts}
    return original(state, raw, execution, context)


@patch(
    stepfunctions,
    "_invoke_resource",
    restores="a task result beyond 256 KiB is States.DataLimitExceeded",
)
def invoke_resource(original: Original, resource: str, data: object) -> object:
    result = original(resource, data)
    ensure_size(result)
    return result


@patch(
    stepfunctions,
    "_error_matches",
    restores="States.ALL does not catch States.DataLimitExceeded or States.Runtime",
)
def error_matches(original: Original, names: Any, error: str) -> bool:
    uncatchable = error in ("States.DataLimitExceeded", "States.Runtime")
    return error in names if uncatchable else bool(original(names, error))


@patch(
    stepfunctions,
    "_scaled_sleep",
    restores=(
        "(no AWS behaviour) waits and retries shortened by the sandbox clock; a stopped execution"
        " stops waiting"
    ),
)
def scaled_sleep(_original: Original, seconds: float) -> None:
    deadline = time.monotonic() + seconds * settings.CLOCK.waits
    while (remaining := deadline - time.monotonic()) > 0:
        ensure_running(running_execution())
        time.sleep(min(remaining, 0.25))


@patch(
    stepfunctions,
    "_register_sfn_jsonata_functions",
    restores="(no AWS behaviour) an expression may take a minute, which a loaded machine may need",
)
def register_sfn_jsonata_functions(original: Original, expression: Any) -> None:
    original(expression)
    expression.environment.set_runtime_bounds(60_000, None)  # milliseconds; upstream: 1,000


@patch(
    stepfunctions,
    "_call_lambda",
    restores="the state machine's role must allow lambda:InvokeFunction on the function",
)
def call_lambda(original: Original, reference: str, event: object) -> object:
    execution = running_execution()
    _, config, name = lambdas._get_func_record_for_ref(reference)
    if execution and config:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
        refusal = service_roles.role_refusal(
            machine.get("roleArn", ""),
            "states.amazonaws.com",
            "lambda:InvokeFunction",
            config["FunctionArn"],
            execution["stateMachineArn"],
        )
        if refusal:
            raise stepfunctions._ExecutionError(
                "Lambda.AWSLambdaException", f"{refusal} (Service: Lambda, Status Code: 403)"
            )
    for fault in FAULTS.match(
        "lambda", "Invoke", responses.get_account_id(), f"{name} {json.dumps(event)}"
    ):
        if fault.error:
            raise stepfunctions._ExecutionError(
                fault.error, fault.message or "The sandbox was asked to fail."
            )
    return original(reference, event)


@patch(
    stepfunctions,
    "_invoke_sns_publish",
    restores="sns:publish sends MessageAttributes, and an object as JSON text",
)
def sns_publish(original: Original, resource: str, data: dict[str, Any]) -> object:
    sent = dict(data)
    attributes = sent.pop("MessageAttributes", None) or {}
    if not isinstance(sent.get("Message", ""), str):
        sent["Message"] = json.dumps(sent["Message"])
    for number, (key, value) in enumerate(attributes.items(), 1):
        sent[f"MessageAttributes.entry.{number}.Name"] = key
        for field in ("DataType", "StringValue"):
            if field in value:
                sent[f"MessageAttributes.entry.{number}.Value.{field}"] = value[field]
    return original(resource, sent)
