"""What belongs to another playbook becomes an incident of its own; containment never waits for
it, nor fails with it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.decision import finding, manifests
from guardduty_response.errors import ResponseError
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions import respond

from tests.support.asl_walker import OWN_ARN, Walk, definition, states
from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import call
from tests.unit.functions.machine_walk import Functions, walk_incident

Json = dict[str, Any]
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:guardduty-response-incident:one"
OTHER = {"finding_key": "incidents/inc-1/handed-over-inc-2.json"}


def _go(decision: str = "act", **answers: Any) -> tuple[Walk, Functions]:
    target = {
        "kind": "role_session",
        "id": "app/i-1",
        "arn": "arn:app",
        "attach": "",
    }
    plan = {
        "decision": decision,
        "error": "",
        "targets": [target],
        "collect_first_seconds": 0,
        "hand_over": [OTHER],
        "approval_timeout_seconds": 60,
    }
    after_approval = {
        **plan,
        "decision": "act",
        "hand_over": [],
    }
    plans = [plan, after_approval] if decision == "approve" else plan
    return walk_incident(
        token=lambda: {"approved": True},
        plan=plans,
        **answers,
    )


def test_an_execution_of_its_own_before_containment() -> None:
    walk, functions = _go()
    [started] = functions.asked("start")
    assert (started["StateMachineArn"], started["Input"]["finding_key"]) == (
        OWN_ARN,
        OTHER["finding_key"],
    )
    assert walk.entered.index("StartOther") < walk.entered.index("Contain")
    assert walk.entered.count("HandOver") == 1


def test_it_is_asked_about_at_once_where_a_person_decides() -> None:
    walk, functions = _go("approve")
    assert walk.entered.index("StartOther") < walk.entered.index("Approve")
    assert len(functions.asked("start")) == 1 and functions.asked("contain")


@pytest.mark.parametrize("telling", [None, RuntimeError("down too")])
def test_a_start_that_fails_is_told_and_containment_goes_on(telling: Exception | None) -> None:
    _, functions = _go(start=RuntimeError("ExecutionLimitExceeded"), not_handed_over=telling or {})
    [notified] = functions.asked("not_handed_over")
    assert (
        "ExecutionLimitExceeded" in notified["error"]
        and notified["finding_key"] == OTHER["finding_key"]
    )
    assert functions.asked("contain") and functions.asked("close")


def _refuse(times: int) -> Any:
    """Refuses the first starts."""
    answers: list[Any] = [RuntimeError("ThrottlingException")] * times
    return [*answers, {}]


@pytest.mark.parametrize("decision", ["act", "approve", "skip"])
def test_a_start_that_failed_is_tried_again_where_no_containment_waits_for_it(
    decision: str,
) -> None:
    walk, functions = _go(decision, start=_refuse(1))
    first, again = functions.asked("start")
    assert again["Input"] == first["Input"]
    assert len(functions.asked("not_handed_over")) == 1
    assert walk.entered.count("HandOverAgain") == 1
    if decision == "act":
        assert walk.entered.index("Verdict") < walk.entered.index("HandOverAgain")
    else:
        assert "Contain" not in walk.entered[: walk.entered.index("HandOverAgain")]
    assert walk.entered[-1] == "Close"


def test_before_containment_it_is_tried_for_seconds_only() -> None:
    [state] = [state for name, state in states(definition("incident")) if name == "StartOther"]
    [retry] = state["Retry"]
    assert state["TimeoutSeconds"] <= 15
    assert retry["MaxAttempts"] <= 4
    assert retry["JitterStrategy"] == "FULL"
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


def test_what_could_not_be_started_is_escalated_with_the_command(
    deployment: Deployment, incident: Any
) -> None:
    incident_id = incident()
    call(
        "not_handed_over",
        incident_id=incident_id,
        machine=OWN_ARN,
        error="Throttled",
        **OTHER,
    )
    [message] = deployment.messages("escalations")
    assert (
        f"--state-machine-arn {OWN_ARN}" in message["Message"]
        and OTHER["finding_key"] in message["Message"]
    )
    assert "not handed over" in deployment.timeline(incident_id)


def _derived() -> Json:
    event = load_finding()
    event["detail"] |= {"id": f"{event['detail']['id']}-i-0abc"}
    return event


def _planned(
    deployment: Deployment, fake: FakePlaybook, other: Json, **changes: Any
) -> tuple[str, Json]:
    configure(deployment, **changes)
    fake.hand_over = {manifests.playbook_for(finding.parse(other))[0] or "": lambda: other}
    incident_id = str(
        call(
            "open",
            event=load_finding(),
            execution=EXECUTION,
        )["incident_id"]
    )
    event = {
        "verb": "plan",
        "incident_id": incident_id,
        "execution": EXECUTION,
        "verify_only": False,
    }
    return incident_id, respond.handler(event)


def test_the_other_finding_is_stored_and_opens_an_incident_of_its_own(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id, answer = _planned(deployment, fake, _derived())
    [other] = answer["hand_over"]
    stored = evidence_store.get_event(other["finding_key"])
    assert stored == json.loads(json.dumps(_derived()))
    assert finding.parse(stored).incident_id != incident_id
    opened = call(
        "open",
        event=other,
        execution=EXECUTION.replace(":one", ":two"),
    )
    assert opened["incident_id"] == finding.parse(stored).incident_id != incident_id
    [target] = deployment.targets(incident_id)
    assert target["actions"]["hand_over_to_ec2_instance"]["status"] == "DONE"


def test_nobody_there_to_answer_it_is_said(deployment: Deployment, fake: FakePlaybook) -> None:
    credential = load_finding("unauthorizedaccess_iamuser_consoleloginsuccess_b")
    incident_id, answer = _planned(deployment, fake, credential)
    assert answer["hand_over"] == [] and answer["decision"] == "act"
    line = deployment.targets(incident_id)[0]["actions"]["hand_over_to_iam_principal"]
    assert (
        line["status"] == "FAILED" and "no switch lets playbook iam_principal act" in line["detail"]
    )


def test_what_cannot_be_made_is_said_and_containment_goes_on(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    def nowhere() -> Json:
        raise ResponseError("instance i-0abc is in none of the 2 Regions that answered")

    configure(deployment)
    fake.hand_over = {"ec2_instance": nowhere}
    incident_id = str(
        call(
            "open",
            event=load_finding(),
            execution=EXECUTION,
        )["incident_id"]
    )
    answer = respond.handler(
        {
            "verb": "plan",
            "incident_id": incident_id,
            "execution": EXECUTION,
            "verify_only": False,
        }
    )
    assert answer["hand_over"] == [] and answer["decision"] == "act"
    line = deployment.targets(incident_id)[0]["actions"]["hand_over_to_ec2_instance"]
    assert line["status"] == "FAILED" and line["detail"].startswith(
        "instance i-0abc is in none of the 2 Regions"
    )


def test_a_rehearsal_hands_nothing_over(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id, answer = _planned(
        deployment, fake, _derived(), remediations={"CryptoCurrency:EC2/*": "dry_run"}
    )
    assert (answer["decision"], answer["hand_over"]) == ("dry_run", [])
    assert "hand_over_to_ec2_instance" not in deployment.targets(incident_id)[0]["actions"]


def test_containment_waits_for_forensics_of_what_loses_something_by_it_alone(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    before = {
        "when": "before",
        "deadline_seconds": 60,
        "deadlines": {},
    }
    assert (
        _planned(
            deployment,
            fake,
            _derived(),
            forensics=before,
        )[1]["collect_first_seconds"]
        == 60
    )
    fake.COLLECTS_FIRST = False
    event = load_finding(id="another")
    incident_id = str(
        call(
            "open",
            event=event,
            execution=EXECUTION.replace(":one", ":three"),
        )["incident_id"]
    )
    asked = {
        "verb": "plan",
        "incident_id": incident_id,
        "execution": EXECUTION.replace(":one", ":three"),
        "verify_only": False,
    }
    assert respond.handler(asked)["collect_first_seconds"] == 0
