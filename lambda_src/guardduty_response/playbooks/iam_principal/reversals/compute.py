"""Reversals of what runs: instances are stopped, functions can no longer be invoked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.decision.finding import text
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals.changes import Change, in_parts, items
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
    ReversalRecord,
    on,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.control import Values

MOST_LISTED = 200  # as many members of a list as the collector keeps
AT_ONCE = 20  # instances of a session: their ARNs must fit its policy
RUNS = ("running", "pending")
INSTANCES = "arn:${partition}:ec2:*:${account_id}:instance/*"
FUNCTIONS = "arn:${partition}:lambda:*:${account_id}:function:*"


class Instances(Reversal[dict[str, resource_state.Instance], str]):
    """Instances that still run are stopped. The record has ``instances``, the IDs of those that
    were.

    An instance that cannot be stopped is left to people: terminating it would lose its disks.
    """

    category, what, service = "instances", "instances", "ec2"
    undoes = ("ec2:RunInstances",)
    wants = "stopped"
    title = "{item}"
    unnamed = "which instances were started"
    reads = on("*", "ec2:DescribeInstances")
    contains = on(INSTANCES, "ec2:StopInstances")
    restores = on(INSTANCES, "ec2:StartInstances")
    reservation = ""

    def names(self, change: Change) -> ReversalRecord:
        started = items(change.response, "instancesSet")
        ids = sorted({text(instance.get("instanceId"), 30) for instance in started} - {""})
        if len(ids) in (0, MOST_LISTED):
            # A truncated or missing list: the reservation names all that the call started.
            self.reservation = change.response_text("reservationId")
        return {"instances": ids}

    @property
    def is_named(self) -> bool:
        return bool(self.record["instances"] or self.reservation)

    @property
    def done_text(self) -> str:  # type: ignore[override]
        return f"none of {', '.join(self.record['instances']) or self.reservation} runs"

    def read(self) -> dict[str, resource_state.Instance]:
        found = resource_state.instances(self.client, self.record["instances"], self.reservation)
        self.touched = [self.arn_of(id) for id in self.values(found)]
        for id, instance in found.items():
            if instance["store"] and instance["state"] in RUNS:
                self._leave(id, "its root is an instance store, which stopping would lose")
        return found

    def arn_of(self, name: str) -> str:
        return self.own_arn(self.text("ec2:{region}:{account}:instance/{item}", name))

    def _leave(self, id: str, why: str) -> None:
        command = self.shown("terminate_instances", InstanceIds=[id])
        self.remaining[id] = f"{id} runs on: {why}", command

    def values(self, stored: dict[str, resource_state.Instance] | None) -> Values[str]:
        return {
            id: instance["state"]
            for id, instance in (stored or {}).items()
            if instance["state"] not in ("terminated", "shutting-down")
        }

    def to_restore(self) -> Values[str]:
        return dict.fromkeys(self.record["instances"], "running")

    def wanted(self, name: str, value: str | None) -> str:
        if value is not None and (value not in RUNS or name in self.remaining):
            return value
        return self.wants

    def before(self) -> ReversalRecord:
        return {**self.record, "instances": list(self.pending)}

    def contained_text(self, pending: Values[str]) -> str:
        return f"stopped: {', '.join(pending)}"

    def call(self, name: str, value: str) -> AwsCall:
        return self._call([name], value)

    def _call(self, ids: list[str], value: str) -> AwsCall:
        operation = "start_instances" if value == "running" else "stop_instances"
        return AwsCall("ec2", operation, {"InstanceIds": ids})

    def change(self) -> list[AwsAnswer]:
        spot = [id for id in self.pending if self.present[id]["spot"]]
        on_demand = [id for id in self.pending if id not in spot]
        batches = [on_demand[at : at + AT_ONCE] for at in range(0, len(on_demand), AT_ONCE)]
        answers = [self._stop(ids) for ids in batches]
        # A Spot instance of a persistent request can be stopped, of a one-time request it cannot.
        for id in spot:
            try:
                answers.append(self._stop([id]))
            except ClientError as error:
                if error_code(error) != "UnsupportedOperation":
                    raise
                self._leave(id, "a Spot instance of a one-time request cannot be stopped")
        if not answers:
            raise NotReversed(MANUAL, "; ".join(reason for reason, _ in self.remaining.values()))
        return answers

    def _stop(self, ids: list[str]) -> AwsAnswer:
        opened = self.containing([self.arn_of(id) for id in ids])
        return self._call(ids, self.wants).make(opened.client)

    def instead(self) -> str:
        if self.reservation:
            filters = [f"Name=reservation-id,Values={self.reservation}"]
            return self.shown("describe_instances", Filters=filters)
        return self._stop_command(self.record["instances"])

    def parts_instead(self) -> list[str]:
        if self.reservation:
            return [self.instead()]
        return in_parts(self.record["instances"], self._stop_command)

    def _stop_command(self, ids: list[str]) -> str:
        return self._call(ids, self.wants).command(self.record["region"])

    def as_before(self, name: str, before: str, now: str | None) -> bool:
        return now in RUNS

    def left(self, name: str, before: str, now: str | None) -> bool:
        return now is not None

    def irreversible(self, name: str, before: str, now: str | None) -> str:
        if now != "stopping":
            return ""
        return f"{name} is still stopping: run restore again when it has stopped"


class Function(Reversal[dict[str, int | None], int | None]):
    """The function gets a reserved concurrency of 0: it stays, and nobody can invoke it. The
    record has ``function`` and ``reserved``.
    """

    category, what, service = "functions", "function", "lambda"
    undoes = ("lambda:CreateFunction20150331", "lambda:CreateFunction20150331v2")
    fields = ("reserved",)
    wants = 0
    thing = "function {function}"
    resource = "lambda:{region}:{account}:function:{function}"
    title = "reserved concurrency of function {function}"
    done_text = "function {function} has a reserved concurrency of 0: nobody can invoke it"
    contained_as = (
        "function {function} stopped: its reserved concurrency is 0, nobody can invoke it"
    )
    reads = on(FUNCTIONS, "lambda:GetFunctionConcurrency")
    contains = on(FUNCTIONS, "lambda:PutFunctionConcurrency")
    restores = (*contains, *on(FUNCTIONS, "lambda:DeleteFunctionConcurrency"))

    def names(self, change: Change) -> ReversalRecord:
        requested = change.request_text("functionName").rsplit(":", 1)[-1]
        return {"function": change.response_text("functionName") or requested}

    def read(self) -> dict[str, int | None]:
        function = self.record["function"]
        self.touched = [self.arn, function]
        found = self.there(partial(self.client.get_function_concurrency, FunctionName=function))
        return {"reserved": found.get("ReservedConcurrentExecutions")}

    def call(self, name: str, value: int | None) -> AwsCall:
        request: dict[str, object] = {"FunctionName": self.record["function"]}
        if value is None:
            return AwsCall("lambda", "delete_function_concurrency", request)
        request["ReservedConcurrentExecutions"] = value
        return AwsCall("lambda", "put_function_concurrency", request)
