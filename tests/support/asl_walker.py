"""Walks a state machine definition in process: enough of Amazon States Language (JSONata) for ours,
and loud beyond it.

Time does not pass: Wait only counts. Retry is not played: a task that raises goes to its Catch, as
after the last attempt.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonata
import jsonata.parser

Json = dict[str, Any]
MACHINES = Path(__file__).resolve().parents[2] / "modules" / "incident"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:"
PHASES = {
    "act": "playbook",
    "collect": "collector",
    "finish": "playbook",
    "remediate": "remediator",
    "terminate": "terminator",
}
TABLE = "incidents"
OWN_ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:incident"


def definition(name: str, folder: Path = MACHINES) -> Json:
    """The definition as Terraform's templatefile gives it."""
    text = (folder / f"{name}.asl.json").read_text()
    shared = json.loads((MACHINES / "machine-texts.json").read_text())
    phases = {phase: f"{FUNCTION}{function}" for phase, function in PHASES.items()}
    values = {
        "partition": "aws",
        "invoke": "arn:aws:states:::lambda:invoke",
        "incident_function_arn": f"{FUNCTION}incident",
        "incident_machine_arn": OWN_ARN,
        "table_name": TABLE,
        "timeout_seconds": "21600",
        "look_after_seconds": "120",
        "playbook_functions": json.dumps({"ec2_instance": phases}),
        "warm_functions": f"{{'Instance': '{FUNCTION}playbook'}}",
        # Without the outer brackets, as machines.tf puts them in.
        **{key: json.dumps(value)[1:-1] for key, value in shared.items()},
    }
    for variable, value in values.items():
        text = text.replace("${" + variable + "}", value)
    found: Json = json.loads(text)
    return found


def states(machine: Json, path: str = "") -> list[tuple[str, Json]]:
    """(name, state) of every state, nested ones too."""
    found = []
    for name, state in machine["States"].items():
        found.append((name, state))
        for inner in [
            *state.get("Branches", []),
            *([state["ItemProcessor"]] if "ItemProcessor" in state else []),
        ]:
            found += states(inner)
    return found


class Failed(Exception):
    """A state ended with a States error name."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


_parse = jsonata.parser.Parser.parse


@functools.cache
def _parsed(text: str, *engine: Any) -> Any:
    return _parse(jsonata.parser.Parser(), text, *engine)


# A definition's expressions are evaluated in each test: what they mean is worked out once.
jsonata.parser.Parser.parse = lambda _parser, *what: _parsed(*what)


def _hash(text: str, algorithm: str) -> str:
    """$hash, which Step Functions adds to JSONata."""
    return hashlib.new(algorithm.replace("-", "").lower(), text.encode()).hexdigest()


def evaluate(value: Any, bindings: Json) -> Any:
    """``value`` with every {% expression %} in it replaced. Undefined is an error, as it is on
    AWS.
    """
    if isinstance(value, dict):
        return {key: evaluate(item, bindings) for key, item in value.items()}
    if isinstance(value, list):
        return [evaluate(member, bindings) for member in value]
    if not (isinstance(value, str) and value.startswith("{%")):
        return value
    expression = jsonata.Jsonata(value[2:-2].strip())
    expression.register_lambda("hash", _hash)
    for name, bound in bindings.items():
        expression.assign(name, bound)
    result = expression.evaluate(None)
    if result is None:
        raise Failed("States.QueryEvaluationError", f"{value} is undefined")
    return result


def payload_verb(state: Json) -> str:
    return str(state["Arguments"]["Payload"]["verb"])


class Walk:
    """One execution. ``invoke(function, payload)`` answers tasks; ``entered`` lists the states
    in order.
    """

    def __init__(
        self,
        name: str,
        invoke: Callable[[str, Json], Any],
        execution: str = "arn:execution",
        token: Any = None,
        folder: Path = MACHINES,
    ) -> None:
        self.machine, self.invoke, self.execution, self.token = (
            definition(name, folder),
            invoke,
            execution,
            token,
        )
        self.entered: list[str] = []
        self.waited: list[int] = []
        self.timeouts: list[tuple[str, int]] = []  # of each task: verb, seconds
        self.entered_time = (
            datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        self.variables: Json = {}

    def run(self, event: Any) -> Any:
        return self._run(
            self.machine,
            event,
            {
                "Execution": {"Id": self.execution, "Name": self.execution.rsplit(":", 1)[-1]},
                "StateMachine": {"Id": OWN_ARN},
            },
        )

    def _run(self, machine: Json, value: Any, context: Json) -> Any:
        name: str | None = machine["StartAt"]
        while name:
            state = machine["States"][name]
            self.entered.append(name)
            context = {**context, "State": {"Name": name, "EnteredTime": self.entered_time}}
            if len(self.entered) > 300:
                raise AssertionError(f"the machine goes round in circles: {self.entered[-12:]}")
            try:
                name, value = self._state(state, value, context)
            except Failed as error:
                for catch in state.get("Catch", []):
                    if error.error in catch["ErrorEquals"] or "States.ALL" in catch["ErrorEquals"]:
                        caught = {
                            "errorOutput": {"Error": error.error, "Cause": error.cause},
                            "input": value,
                            "context": context,
                        }
                        bound = {**self.variables, "states": caught}
                        output = evaluate(catch["Output"], bound)
                        name, value = catch["Next"], output
                        break
                else:
                    raise
        return value

    def _state(self, state: Json, value: Any, context: Json) -> tuple[str | None, Any]:
        bound = {**self.variables, "states": {"input": value, "context": context}}
        kind = state["Type"]
        if kind == "Choice":
            for choice in state["Choices"]:
                if evaluate(choice["Condition"], bound) is True:
                    self.variables |= evaluate(choice.get("Assign", {}), bound)
                    output = evaluate(choice["Output"], bound) if "Output" in choice else value
                    return choice["Next"], output
            return state["Default"], value
        if kind == "Succeed":
            return None, value
        if kind == "Wait":
            self.waited.append(evaluate(state["Seconds"], bound))
        result = self._result(kind, state, value, context, bound)
        bound["states"] = {"input": value, "context": context, "result": result}
        self.variables |= evaluate(state.get("Assign", {}), bound)
        output = (
            evaluate(state["Output"], bound)
            if "Output" in state
            else value
            if kind in ("Pass", "Wait")
            else result
        )
        return (None if state.get("End") else state["Next"]), output

    def _result(self, kind: str, state: Json, value: Any, context: Json, bound: Json) -> Any:
        if kind == "Task":
            return self._task(state, bound)
        if kind == "Parallel":
            start = evaluate(state["Arguments"], bound) if "Arguments" in state else value
            return [self._run(branch, start, context) for branch in state["Branches"]]
        if kind == "Map":
            items, done = evaluate(state["Items"], bound), []
            for item in items if isinstance(items, list) else [items]:
                inner = {**context, "Map": {"Item": {"Value": item}}}
                within = {**bound, "states": {"input": value, "context": inner}}
                selected = (
                    evaluate(state["ItemSelector"], within) if "ItemSelector" in state else item
                )
                done.append(self._run(state["ItemProcessor"], selected, inner))
            return done
        if kind not in ("Pass", "Wait"):
            raise AssertionError(f"the walker does not know states of type {kind}")
        return value

    def _task(self, state: Json, bound: Json) -> Any:
        """Calls ``invoke`` with the function's name and payload, or with "states" or
        "dynamodb:<operation>" and the arguments.
        """
        service, _, operation = state["Resource"].removeprefix("arn:aws:states:::").partition(":")
        waiting = operation.endswith(".waitForTaskToken")
        if waiting:
            context = {**bound["states"]["context"], "Task": {"Token": "token"}}
            bound["states"]["context"] = context
        seconds = evaluate(state["TimeoutSeconds"], bound)
        if service == "lambda" and not waiting:
            self.timeouts.append((payload_verb(state), seconds))
        arguments = json.loads(json.dumps(evaluate(state["Arguments"], bound)))
        try:
            if service == "dynamodb":
                return self.invoke(f"dynamodb:{operation}", arguments)
            if service == "states":
                return self.invoke("states", {"verb": "start", **arguments})
            name = arguments["FunctionName"].rsplit(":", 1)[-1]
            answer = self.invoke(name, arguments["Payload"])
            return self.token() if waiting else {"Payload": json.loads(json.dumps(answer))}
        except Failed:
            raise
        except Exception as error:
            cause = json.dumps({"errorMessage": str(error)})
            raise Failed(type(error).__name__, cause) from error
