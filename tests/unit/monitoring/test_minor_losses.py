"""Minor losses: what was undone while the resource stayed contained. Whole executions of a recheck,
functions and state machine together.
"""

from __future__ import annotations

from collections.abc import Collection

import pytest
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.errors import GateClosed
from guardduty_response.incident import losses
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

from tests.unit.checks import check_all
from tests.unit.fake_playbook import ARN, configure
from tests.unit.function_calls import notified
from tests.unit.monitoring.contained_incident import BOB, GOOD, OPEN, TAGGED, Case

OUT = Check(
    "deregister_targets",
    True,
    "has left its target groups",
)
AGAIN = Check(
    "deregister_targets",
    False,
    "registered in target group web",
    minor=True,
)
CONTROLLER = "arn:aws:sts::222222222222:assumed-role/load-balancer-controller/1"


class Controller:
    """A load balancer controller, which registers the node again, and a playbook that deregisters
    it, or is refused.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.done, self.refusal = case, 0, ""
        case.fake.contain_lost = self.contain_lost  # type: ignore[attr-defined]
        case.fake.find_actors = lambda *_: [  # type: ignore[attr-defined]
            {**BOB, "who": CONTROLLER, "what": "RegisterTargets", "event_id": f"ev-{self.done}"}
        ]
        self.see(OUT)

    def see(self, *checks: Check) -> None:
        fake = self.case.fake
        fake.checks = [GOOD, *checks]
        fake.steps["verify"] = StepResult(
            status=Status.CONTAINED, detail="closed", watched=["eni-1"]
        )

    def contain_lost(self, context: Context, target: Target, names: Collection[str]) -> None:
        assert context.gate is not None
        context.gate.permit()
        assert list(names) == ["deregister_targets"]
        if self.refusal:
            raise GateClosed(self.refusal)
        self.done += 1
        self.see(OUT)


@pytest.fixture
def controller(case: Case) -> Controller:
    return Controller(case)


def _events(case: Case, topic: str = "notifications") -> list[str]:
    return [
        message["MessageAttributes"]["event"]["Value"]
        for message in case.deployment.messages(topic)
    ]


def test_it_is_done_again_and_told_without_an_escalation(
    case: Case, controller: Controller
) -> None:
    controller.see(AGAIN)
    walk = case.check()
    assert (controller.done, case.contained()) == (1, 1), "the rest is not contained again"
    assert walk.entered.count("Triage") == 1
    assert (case.meta["status"], case.target["status"]) == ("CONTAINED", "CONTAINED")
    [message] = case.deployment.messages()
    text = message["Message"]
    assert message["MessageAttributes"]["event"]["Value"] == "minor_loss"
    assert text.startswith("A part of the containment was undone. The resource stays contained.")
    assert CONTROLLER in text
    assert "put right at" in text
    assert case.deployment.messages("escalations") == []
    loss = case.target["breach"]
    assert (loss["minor"], loss["checks"]) == (True, ["deregister_targets"])
    assert loss["ended"]
    case.check()
    assert notified(case.deployment) == ([], [])


def test_the_execution_that_waits_for_evidence_gives_way(
    case: Case, controller: Controller, record: IncidentRepository
) -> None:
    owner = case.deployment.start(case.meta["execution"].rpartition(":")[2])
    assert owner == case.meta["execution"]
    assert record.leases.acquire(ARN, owner, case.incident_id, 900) is None
    controller.see(AGAIN)
    case.check()
    assert controller.done == 1
    assert case.target["breach"]["ended"]
    assert case.meta["execution"] == owner, "who must finish it stays who it was"
    assert record.leases.acquire(ARN, owner, case.incident_id, 900) is None, "it goes on"


def test_another_recheck_does_not_give_way(
    case: Case, controller: Controller, record: IncidentRepository
) -> None:
    owner = case.deployment.start("recheck")
    record.leases.acquire(ARN, owner, case.incident_id, 900)
    controller.see(AGAIN)
    case.check()
    assert (controller.done, case.meta["status"]) == (0, "CONTAINED")
    assert "not done again" in case.deployment.timeline(case.incident_id)
    assert record.leases.acquire(ARN, owner, case.incident_id, 900) is None, "its lease is kept"


def test_the_monitoring_function_finds_it(case: Case, controller: Controller) -> None:
    controller.see(AGAIN)
    assert case.check_all()["lost"] == 1
    assert (controller.done, case.meta["status"]) == (1, "CONTAINED")
    assert _events(case) == ["minor_loss"]


@pytest.mark.parametrize("mode", ["approve", "dry_run"])
def test_in_another_mode_it_is_told_once(case: Case, controller: Controller, mode: str) -> None:
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": mode})
    controller.see(AGAIN)
    case.check()
    assert (controller.done, case.meta["status"]) == (0, "CONTAINED")
    [message] = case.deployment.messages()
    assert f"not put right automatically (the mode is {mode})" in message["Message"]
    assert case.deployment.messages("escalations") == []
    notified(case.deployment)
    case.check()
    case.check()
    assert notified(case.deployment) == ([], [])
    controller.see(OUT)
    case.check()
    assert case.target["breach"]["ended"]


def test_what_cannot_be_done_again_stays_contained_and_is_told(
    case: Case, controller: Controller
) -> None:
    controller.refusal = "nothing is changed any more"
    controller.see(AGAIN)
    case.check()
    assert case.meta["status"] == "CONTAINED"
    [message] = case.deployment.messages()
    assert "could not be put right" in message["Message"]
    assert case.deployment.messages("escalations") == []
    assert "not done again" in case.deployment.timeline(case.incident_id)


def test_together_with_a_critical_check_it_is_a_loss(case: Case, controller: Controller) -> None:
    controller.see(AGAIN)
    case.fake.checks = [OPEN, AGAIN]
    case.fake.steps["verify"] = StepResult(
        status=Status.FAILED,
        detail="open",
        watched=["eni-1"],
    )
    case.check(BOB)
    assert controller.done == 0
    assert _events(case)[0] == "BREACHED"
    assert len(case.deployment.messages("escalations")) == 1
    assert case.contained() == 2


def test_a_fight_is_counted_and_told_once_an_hour(
    case: Case, controller: Controller, record: IncidentRepository
) -> None:
    for _ in range(8):
        controller.see(AGAIN)
        case.check()
    assert (controller.done, case.meta["status"]) == (8, "CONTAINED")
    sent, escalated = notified(case.deployment)
    assert (len(sent), escalated) == (3, []), "further ones wait for the hour's message"
    found = losses.newest(record.table, ARN, 1, minor=True)
    assert len(found) == 8
    assert all(loss["minor"] and loss["by"] for loss in found)


def test_minor_losses_keep_no_critical_one_back(case: Case, controller: Controller) -> None:
    for _ in range(5):
        controller.see(AGAIN)
        case.check()
    notified(case.deployment)
    case.see(OPEN, TAGGED)
    case.check(BOB)
    _, escalated = notified(case.deployment)
    assert len(escalated) == 1


def test_while_an_approval_is_awaited_nothing_is_lost(
    case: Case, controller: Controller, record: IncidentRepository
) -> None:
    configure(case.deployment, remediations={"CryptoCurrency:EC2/*": "approve"})
    record.move(
        case.incident_id, Status.CONTAINED, Status.AWAITING_APPROVAL, held=Status.CONTAINED.value
    )
    controller.see(AGAIN)
    counted = check_all(case.deployment)
    assert (counted["held"], counted["lost"]) == (1, 0)
