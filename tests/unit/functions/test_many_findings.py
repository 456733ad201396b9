"""Many findings at once, while the account has little Lambda concurrency: none is lost."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.containment.contract import Context, Planned, StepResult, Target
from guardduty_response.functions import collect, incident, respond
from guardduty_response.incident.statuses import Status

from tests.support.asl_walker import Json
from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook
from tests.unit.function_calls import OUTBOX, watch
from tests.unit.functions.crowded_account import RANDOM, Account, Clock, deliver
from tests.unit.monitoring.contained_incident import Case

PLAYBOOK = "guardduty_response.playbooks.ec2_instance"


class Instances(FakePlaybook):
    """Contains the instance that the finding names."""

    def __init__(self) -> None:
        super().__init__()
        self.contained: list[str] = []

    def plan(self, context: Context) -> list[Planned]:
        self.ids = [context.finding.detail["resource"]["instanceDetails"]["instanceId"]]
        return super().plan(context)

    def contain(self, context: Context, target: Target) -> StepResult:
        assert context.gate
        context.gate.write_before("network", {"eni-1": [target.id]})
        self.contained.append(target.id)
        return StepResult(detail="closed")

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Any]]:
        closed = target.id in self.contained
        return StepResult(status=Status.CONTAINED if closed else Status.FAILED), list(self.checks)


def prepare(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, instances: Instances
) -> Callable[[str, Json], Any]:
    """Lets everything be contained; returns what answers the state machine's tasks.

    The functions are the real ones, ``instances`` the playbook.
    """
    for part in ("playbook", "evidence"):
        monkeypatch.setitem(sys.modules, f"{PLAYBOOK}.{part}", instances)
    deployment.configure(
        {
            "playbooks.ec2_instance": {"finish": "none"},
            "remediations": {"*": "auto"},
            "guardrails.circuit_breaker": None,
        }
    )
    table = Case(deployment, instances)

    def answer(function: str, payload: Json) -> Any:
        if function.startswith("dynamodb:"):
            return table.call_table(function.partition(":")[2], payload)
        module = {"playbook": respond, "collector": collect}.get(function, incident)
        return module.handler(payload, None)

    return answer


def finding_about(number: int) -> Json:
    event = load_finding()
    event["detail"]["id"] = f"finding-{number}"
    event["detail"]["resource"]["instanceDetails"]["instanceId"] = f"i-{number:017x}"
    return event


@pytest.mark.parametrize("findings", [20, pytest.param(1000, marks=pytest.mark.proof)])
def test_findings_at_once_are_all_answered(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, findings: int
) -> None:
    """The functions are the real ones. Every tenth finding is delivered twice, as EventBridge may.

    Each has a record, a containment that was read back, its own state before, and a message.
    """
    RANDOM.seed(findings)
    instances = Instances()
    answer = prepare(deployment, monkeypatch, instances)
    events = [finding_about(number) for number in range(findings)]
    events += copy.deepcopy(events[::10])
    twice = len(events) - findings
    account = Account(Clock(), answer)
    ended = deliver(
        account,
        events,
        lambda number: deployment.start(f"incident-{number}"),
    )

    # A second delivery whose record is not there in time is not counted. The first works on it.
    counted = ended["Count"]
    assert ended["Close"] == findings, (ended, account.throttled)
    assert counted + ended["NothingToDo"] == twice == ended.total() - findings
    assert account.throttled > findings, "the limit was felt"
    records = deployment.incidents()
    assert len(records) == findings
    assert {record["status"] for record in records} == {"CONTAINED"}
    assert sum(int(record["emissions"]) - 1 for record in records) == counted
    assert len(instances.contained) == len(set(instances.contained)) == findings
    for record in records:
        [target] = deployment.targets(record["incident_id"])
        assert target["before"] == {"network": {"eni-1": [target["id"]]}}
    while watch(OUTBOX)["sent"]:
        pass
    messages = [message["Message"] for message in deployment.messages()]
    for record in records:
        assert any(record["incident_id"] in text and "CONTAINED" in text for text in messages)
    print(f"{findings}: {account.clock.now:.0f} s simulated, {account.throttled} throttled starts")
