"""Reversals of what runs: instances are stopped, functions can no longer be invoked."""

from __future__ import annotations

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import ALREADY
from guardduty_response.decision.finding import text
from guardduty_response.playbooks.iam_principal import resource_state, resource_types
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, items
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer
from guardduty_response.playbooks.iam_principal.reversal_records import (
    FunctionRecord,
    InstancesRecord,
)

MOST_LISTED = 200  # as many members of a list as the collector keeps
AT_ONCE = 20  # instances of a session: their ARNs must fit its policy
InstanceStates = dict[str, resource_types.Instance]


class Instances(Reversal[InstanceStates]):
    """Instances that still run are stopped.

    An instance that cannot be stopped is left to people: terminating it would lose its disks.
    """

    category, record_type = "instances", "instances"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        started = items(change.response, "instancesSet")
        ids = {text(instance.get("instanceId"), 30) for instance in started}
        self.ids = sorted(ids - {""})
        # A truncated or missing list: the reservation names all that the call started.
        incomplete = len(self.ids) in (0, MOST_LISTED)
        self.reservation = change.response_text("reservationId") if incomplete else ""
        self.label = ", ".join(self.ids) or self.reservation
        self.done_text = f"none of {self.label} runs"

    def read(self) -> InstanceStates:
        if not self.ids and not self.reservation:
            raise NotReversed(MANUAL, "the event does not say which instances were started")
        found = resource_state.instances(self.client("ec2"), self.ids, self.reservation)
        alive = {
            id: instance
            for id, instance in found.items()
            if instance["state"] not in ("terminated", "shutting-down")
        }
        if not alive:
            raise NotReversed(ALREADY, f"{self.label}: terminated")
        return alive

    def touched_names(self, current: InstanceStates) -> list[str]:
        return [self._arn(id) for id in current]

    def _arn(self, id: str) -> str:
        partition = self.eradication.config.partition
        account_id = self.target_context.target.account_id
        return f"arn:{partition}:ec2:{self.change.region}:{account_id}:instance/{id}"

    def _stoppable(self, current: InstanceStates) -> list[str]:
        """Return the instances to stop; report each that cannot be stopped once."""
        reported = {id for _, command in self.remaining for id in current if id in command}
        stoppable: list[str] = []
        for id, instance in sorted(current.items()):
            if instance["state"] not in ("running", "pending") or id in reported:
                continue
            if instance["store"]:
                reason = f"{id} runs on: its root is an instance store, which stopping would lose"
                self.remaining.append((reason, self._terminate_command(id)))
            else:
                stoppable.append(id)
        return stoppable

    def _terminate_command(self, id: str) -> str:
        return self.command("ec2 terminate-instances --instance-ids", id)

    def pending_change(self, current: InstanceStates) -> str:
        stoppable = self._stoppable(current)
        return f"stopped: {', '.join(stoppable)}" if stoppable else ""

    def before_state(self, current: InstanceStates) -> InstancesRecord:
        return {"instances": self._stoppable(current)}

    def undo(self, current: InstanceStates) -> list[AwsAnswer]:
        ids = self._stoppable(current)
        spot = [id for id in ids if current[id]["spot"]]
        on_demand = [id for id in ids if id not in spot]
        answers: list[AwsAnswer] = []
        for start in range(0, len(on_demand), AT_ONCE):
            answers.append(self._stop(on_demand[start : start + AT_ONCE]))
        # A Spot instance of a persistent request can be stopped, of a one-time request it cannot.
        for id in spot:
            try:
                answers.append(self._stop([id]))
            except ClientError as error:
                if error_code(error) != "UnsupportedOperation":
                    raise
                reason = f"{id} runs on: a Spot instance of a one-time request cannot be stopped"
                self.remaining.append((reason, self._terminate_command(id)))
        if not answers:
            raise NotReversed(MANUAL, "; ".join(reason for reason, _ in self.remaining))
        return answers

    def _stop(self, ids: list[str]) -> AwsAnswer:
        ec2 = self.changing(("ec2:StopInstances",), [self._arn(id) for id in ids], "ec2")
        return dict(ec2.stop_instances(InstanceIds=ids))

    def manual_command(self) -> str:
        if self.reservation:
            reservation_filter = f"Name=reservation-id,Values={self.reservation}"
            return self.command("ec2 describe-instances --filters", reservation_filter)
        return self.command("ec2 stop-instances --instance-ids", *self.ids)


class Function(Reversal[resource_types.Concurrency]):
    """The function gets a reserved concurrency of 0: it stays, and nobody can invoke it."""

    category, record_type = "functions", "function"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        requested = change.request_text("functionName").rsplit(":", 1)[-1]
        self.name = change.response_text("functionName") or requested
        self.done_text = (
            f"function {self.name} has a reserved concurrency of 0: nobody can invoke it"
        )

    @property
    def _arn(self) -> str:
        partition = self.eradication.config.partition
        account_id = self.target_context.target.account_id
        return f"arn:{partition}:lambda:{self.change.region}:{account_id}:function:{self.name}"

    def read(self) -> resource_types.Concurrency:
        found = resource_state.concurrency(self.client("lambda"), self.name) if self.name else None
        if found is None:
            raise NotReversed(ALREADY, f"function {self.name} no longer exists")
        return found

    def touched_names(self, current: resource_types.Concurrency) -> list[str]:
        return [self._arn, self.name]

    def pending_change(self, current: resource_types.Concurrency) -> str:
        if current["reserved"] == 0:
            return ""
        return f"function {self.name} stopped: its reserved concurrency is 0, nobody can invoke it"

    def before_state(self, current: resource_types.Concurrency) -> FunctionRecord:
        return {"function": self.name, "arn": self._arn, "reserved": current["reserved"]}

    def undo(self, current: resource_types.Concurrency) -> list[AwsAnswer]:
        client = self.changing(("lambda:PutFunctionConcurrency",), self._arn, "lambda")
        answer = client.put_function_concurrency(
            FunctionName=self.name, ReservedConcurrentExecutions=0
        )
        return [answer]

    def manual_command(self) -> str:
        return self.command(
            "lambda put-function-concurrency --reserved-concurrent-executions 0 --function-name",
            self.name,
        )
