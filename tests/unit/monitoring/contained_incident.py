"""Runs whole executions of the incident machine on an incident of one instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Check, StepResult
from guardduty_response.functions import collect, incident, respond
from guardduty_response.incident.statuses import Status

from tests.support.asl_walker import Failed, Walk
from tests.support.repository import load_finding
from tests.unit.checks import check_all, check_due, due_items, run_invoked, total
from tests.unit.deployment import EXECUTIONS, TABLE, Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import notified, watch
from tests.unit.monitoring.watchdog_events import started_checks

BOB = {
    "who": "arn:aws:iam::222222222222:user/bob",
    "what": "ModifyNetworkInterfaceAttribute",
    "when": "2026-11-24T08:00:00Z",
    "from": "198.51.100.7",
    "agent": "aws-cli",
    "event_id": "ev-1",
}
GOOD, OPEN = Check("eni-1", True, "closed"), Check("eni-1", False, "eni-1 is OPEN", fatal=True)
TAGGED, UNTAGGED = Check("profile", True, "replaced"), Check("profile", False, "not replaced")
UNREAD = Check("profile", False, "profile could not be read", read=False)


class Case:
    """An incident of one instance, and executions of the incident machine on it."""

    def __init__(self, deployment: Deployment, fake: FakePlaybook) -> None:
        self.deployment, self.fake, self.count = deployment, fake, 0
        self.incident_id = ""

    def see(self, *checks: Check) -> None:
        """What verify reads from now on; contain closes everything again."""
        self.fake.checks = list(checks)
        bad = [check for check in checks if not check.ok]
        status = (
            Status.FAILED
            if any(entry.fatal for entry in bad)
            else Status.PARTIAL
            if bad
            else Status.CONTAINED
        )
        self.fake.steps["verify"] = StepResult(
            status=status,
            detail="; ".join(entry.detail for entry in bad) or "closed",
            watched=["eni-1"],
        )

    def run(self, event: Any, token: Any = None) -> Walk:
        self.count += 1
        execution = f"{EXECUTIONS}incident:run{self.count}"

        def invoke(function: str, payload: Any) -> Any:
            if function.startswith("dynamodb:"):
                return self.call_table(function.partition(":")[2], payload)
            if payload["verb"] == "contain":
                self.see(GOOD, TAGGED)
            return {"playbook": respond, "collector": collect}.get(function, incident).handler(
                payload, None
            )

        walk = Walk("incident", invoke, execution, token)
        walk.run(event)
        return walk

    def call_table(self, operation: str, arguments: Any) -> Any:
        """Makes the machine's own call, and fails as Step Functions' integration does."""
        name = {"putItem": "put_item", "updateItem": "update_item"}[operation]
        call = getattr(self.deployment.dynamodb, name)
        try:
            return call(**{**arguments, "TableName": TABLE})
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise Failed(f"DynamoDB.{code}", str(error)) from error

    def contain(self) -> None:
        self.run(load_finding())
        [self.incident_id] = [entry["incident_id"] for entry in self.deployment.incidents()]
        notified(self.deployment)

    def check(self, seen: Any = None) -> Walk:
        return self.run(
            {"watch": {"incident_id": self.incident_id, "why": "schedule", "seen": seen}}
        )

    def check_all(self) -> Any:
        """Has it checked now, and runs the rechecks that this starts; returns the counts."""
        return self._answer(lambda: check_all(self.deployment))

    def check_due(self) -> Any:
        """Lets the schedule come, as ``check_all``; nothing is made due."""
        return self._answer(lambda: check_due(self.deployment))

    def change(self, event: Any) -> Any:
        """Sends an event of CloudTrail, and runs the rechecks that this starts."""

        def happen() -> Any:
            watch(event)
            return total(run_invoked(self.deployment))

        return self._answer(happen)

    def _answer(self, happen: Callable[[], Any]) -> Any:
        before = set(started_checks(self.deployment))
        counted = happen()
        for name, event in started_checks(self.deployment).items():
            if name not in before:
                self.run(event)
                self.deployment.kill(f"{EXECUTIONS}incident:{name}")  # it has ended
        return counted

    @property
    def due(self) -> Any:
        """Returns when it is checked next, and by whom; None where it is not monitored."""
        found = due_items(self.deployment)
        return found[0] if found else None

    @property
    def meta(self) -> Any:
        return self.deployment.meta(self.incident_id)

    @property
    def target(self) -> Any:
        [found] = self.deployment.targets(self.incident_id)
        return found

    def contained(self) -> int:
        """How often changes were made."""
        return len(
            [
                entry
                for step_name, entry in self.fake.calls
                if step_name == "contain" and not entry.verify_only
            ]
        )
