"""An approval is bound to the plan that people were shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from guardduty_response.containment.contract import Context, Planned
from guardduty_response.incident.moments import iso
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event, Status

from tests.support.repository import load_finding
from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook, configure
from tests.unit.function_calls import EXECUTION, call, recurrence
from tests.unit.functions.respond_steps import SECOND, open_incident, run_step

SHOWN = "instance i-2, i-3 with it (all of them need new credentials)"


def _approve(deployment: Deployment, fake: FakePlaybook, **meanwhile: Any) -> str:
    """Lets a person approve what was planned, and plans anew; returns the incident."""
    configure(deployment, remediations={"*": "approve"})
    fake.consequences = SHOWN
    incident_id = open_incident()
    assert run_step("plan", incident_id)["decision"] == "approve"
    call(
        "ask",
        incident_id=incident_id,
        task_token="t",
    )
    call(
        "decide",
        incident_id=incident_id,
        answer={"approved": True, "by": "ada"},
    )
    for name, value in meanwhile.items():
        setattr(
            fake,
            name,
            value,
        )
    return incident_id


def _planned_after_approval(incident_id: str, execution: str = EXECUTION) -> dict[str, Any]:
    return run_step(
        "plan",
        incident_id,
        approved=True,
        execution=execution,
    )


def test_what_aws_lists_in_another_order_is_not_asked_about_again(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """EC2 promises no order of what it describes (API reference, DescribeInstances)."""
    other_order = "instance i-3, i-2 with it (all of them need new credentials)"
    incident_id = _approve(
        deployment,
        fake,
        consequences=other_order,
    )
    assert _planned_after_approval(incident_id)["decision"] == "act"


@pytest.mark.parametrize(
    "change",
    [{"consequences": SHOWN.replace("i-3", "i-4")}, {"consequences": ""}, {"ids": ["i-1", "i-9"]}],
)
def test_what_changed_meanwhile_is_asked_about_again(
    deployment: Deployment, fake: FakePlaybook, change: dict[str, Any]
) -> None:
    incident_id = _approve(deployment, fake, **change)
    assert _planned_after_approval(incident_id)["decision"] == "approve"
    meta = deployment.meta(incident_id)
    assert meta["plan_digest"] != meta["approved_digest"]
    assert any("asked again" in reason for reason in meta["reasons"])


def _second_question(deployment: Deployment, fake: FakePlaybook) -> str:
    """Asks about two findings on one resource, approves the first and contains; returns the other.

    What the first one has done reads differently in the plan.
    """
    first, second = _approve(deployment, fake), open_incident(SECOND, **_another())
    run_step(
        "plan",
        second,
        execution=SECOND,
    )
    call(
        "ask",
        incident_id=second,
        task_token="t2",
        execution=SECOND,
    )
    assert _planned_after_approval(first)["decision"] == "act"
    call(
        "decide",
        incident_id=second,
        answer={"approved": True, "by": "bob"},
    )
    fake.consequences = "everything is closed already"
    return second


def _another() -> dict[str, Any]:
    event = load_finding()
    return {"detail": {**event["detail"], "id": "another"}}


def test_what_another_approved_incident_contained_meanwhile_is_not_asked_about_again(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    second = _second_question(deployment, fake)
    answer = _planned_after_approval(second, SECOND)
    assert answer["decision"] == "act"
    meta = deployment.meta(second)
    assert meta["plan_digest"] == meta["approved_digest"], "the gate compares them"
    assert answer["targets"][0]["plan_digest"] == meta["approved_digest"]
    assert "contained it meanwhile" in meta["reasons"][-1]


def test_what_is_planned_beyond_that_is_asked_about_again(
    deployment: Deployment, fake: FakePlaybook, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, plan = _second_question(deployment, fake), fake.plan

    def more(context: Context) -> list[Planned]:
        return [
            planned._replace(actions={**planned.actions, "stop_instance": "stopped"})
            for planned in plan(context)
        ]

    monkeypatch.setattr(
        fake,
        "plan",
        more,
    )
    assert _planned_after_approval(second, SECOND)["decision"] == "approve"


def test_what_was_contained_when_people_were_asked_is_asked_about_again(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """The plan said so: what reads differently now is something else."""
    second = _second_question(deployment, fake)
    record.note(second, asked_at=iso(datetime.now(UTC) + timedelta(minutes=1)))
    assert _planned_after_approval(second, SECOND)["decision"] == "approve"


def test_a_question_that_is_asked_again_gets_what_the_first_one_left(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """Else an execution that was asked about twice would end in the middle of the second one."""
    incident_id = _approve(
        deployment,
        fake,
        consequences="",
    )
    for minutes_ago, left in ((40, 20), (58, 15)):
        first = iso(datetime.now(UTC) - timedelta(minutes=minutes_ago))
        record.note(incident_id, asked_at=first)
        seconds = _planned_after_approval(incident_id)["approval_timeout_seconds"]
        assert 60 * left - 5 <= seconds <= 60 * left
    call(
        "ask",
        incident_id=incident_id,
        task_token="t2",
    )
    assert deployment.meta(incident_id)["asked_at"] == first
    assert "in 15 minutes" in deployment.messages()[-1]["Message"]


def test_an_approval_is_for_one_run(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """The finding comes again, and the plan is the same as the one that was approved."""
    incident_id = _approve(deployment, fake)
    assert _planned_after_approval(incident_id)["decision"] == "act"
    record.transition(incident_id, Event.PARTIAL)
    assert recurrence(record, incident_id, SECOND) == "start"
    again = run_step(
        "plan",
        incident_id,
        execution=SECOND,
    )
    assert (again["decision"], again["approval_timeout_seconds"]) == ("approve", 3600)


def test_what_was_handed_over_before_people_were_asked_is_not_handed_over_again(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    other = load_finding()
    other["detail"] |= {"id": "of the instance"}
    fake.hand_over = {"ec2_instance": lambda: other}
    incident_id = _approve(deployment, fake)
    assert len(deployment.meta(incident_id)["children"]) == 1
    assert _planned_after_approval(incident_id)["hand_over"] == []


def test_a_plan_that_is_back_after_another_was_approved_is_asked_about_again(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """Whoever controls the resource could change it to and fro until the question times out."""
    incident_id = _approve(
        deployment,
        fake,
        consequences="another plan",
    )
    asked = [len(deployment.messages("escalations"))]
    for consequences in (SHOWN, "another plan", SHOWN):
        assert _planned_after_approval(incident_id)["decision"] == "approve"
        call(
            "ask",
            incident_id=incident_id,
            task_token="t",
        )
        call(
            "ask",
            incident_id=incident_id,
            task_token="repeated",
        )
        asked.append(len(deployment.messages("escalations")))
        call(
            "decide",
            incident_id=incident_id,
            answer={"approved": True, "by": "ada"},
        )
        fake.consequences = consequences
    assert asked == [1, 1, 1, 1]


def _plan_of(deployment: Deployment, incident_id: str) -> str:
    return str(deployment.meta(incident_id)["plan_digest"])[:12]


def _asked_about_another_plan(deployment: Deployment, fake: FakePlaybook) -> tuple[str, str]:
    """Lets a person approve a plan that is out of date, so that people are asked about another.

    Returns the incident, and what the first message called its plan.
    """
    incident_id = _approve(deployment, fake)
    shown = _plan_of(deployment, incident_id)
    fake.consequences = "another plan"
    assert _planned_after_approval(incident_id)["decision"] == "approve"
    call(
        "ask",
        incident_id=incident_id,
        task_token="t2",
    )
    deployment.messages("escalations")
    return incident_id, shown


def _answer(incident_id: str, **answer: Any) -> str:
    given = {"approved": True, "by": "bob", **answer}
    return str(call("decide", incident_id=incident_id, answer=given)["next"])


def test_people_are_shown_the_command_that_approves_what_they_see(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = _approve(deployment, fake)
    text = deployment.messages("escalations")[-1]["Message"]
    assert f'"approved": true, "plan": "{_plan_of(deployment, incident_id)}"' in text
    assert f'"INCIDENT#{incident_id}"' in text


@pytest.mark.parametrize("named", [{}, {"plan": "shown"}, {"plan": ""}, {"plan": "0" * 12}])
def test_who_follows_the_first_message_approves_nothing_of_the_second(
    deployment: Deployment, fake: FakePlaybook, named: dict[str, str]
) -> None:
    incident_id, shown = _asked_about_another_plan(deployment, fake)
    if named.get("plan") == "shown":
        named = {"plan": shown}
    assert _answer(incident_id, **named) == "triage"
    assert "answer: refused" in deployment.timeline(incident_id)
    assert _planned_after_approval(incident_id)["decision"] == "approve"
    call(
        "ask",
        incident_id=incident_id,
        task_token="t3",
    )
    [message] = deployment.messages("escalations")
    assert "An answer by bob" in message["Message"], "whoever answered learns it"
    assert _answer(incident_id, plan=_plan_of(deployment, incident_id)) == "triage"
    assert _planned_after_approval(incident_id)["decision"] == "act"


@pytest.mark.parametrize("length", [12, 64])
def test_an_answer_that_names_the_plan_approves_it(
    deployment: Deployment, fake: FakePlaybook, length: int
) -> None:
    incident_id, _ = _asked_about_another_plan(deployment, fake)
    _answer(incident_id, plan=str(deployment.meta(incident_id)["plan_digest"])[:length])
    assert _planned_after_approval(incident_id)["decision"] == "act"


def test_the_plan_after_an_approval_knows_what_the_one_before_has_kept(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    fake.keep = {"former_roles": {"role/app": "app"}}
    incident_id = _approve(deployment, fake, consequences="another plan")
    assert fake.planned[-1].kept == {}
    fake.keep = {"former_roles": {"role/app": "app", "role/other": ""}}
    assert _planned_after_approval(incident_id)["decision"] == "approve"
    assert fake.planned[-1].kept == {ARN: {"former_roles": {"role/app": "app"}}}
    call("ask", incident_id=incident_id, task_token="t")
    _answer(incident_id, plan=_plan_of(deployment, incident_id))
    for _ in ("once", "repeated"):
        assert _planned_after_approval(incident_id)["decision"] == "act"
        assert fake.planned[-1].kept == {ARN: fake.keep}


def test_a_plan_is_rejected_whatever_the_answer_names(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id, shown = _asked_about_another_plan(deployment, fake)
    assert _answer(incident_id, approved=False, plan=shown) == "close"


def test_a_refused_answer_of_an_earlier_run_is_told_no_more(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    incident_id, shown = _asked_about_another_plan(deployment, fake)
    _answer(incident_id, plan=shown)
    record.move(
        incident_id,
        Status.AWAITING_APPROVAL,
        Status.FAILED,
    )
    assert recurrence(record, incident_id, SECOND) == "start"
    assert run_step("plan", incident_id, execution=SECOND)["decision"] == "approve"
    call(
        "ask",
        incident_id=incident_id,
        task_token="t4",
        execution=SECOND,
    )
    assert "An answer by bob" not in deployment.messages("escalations")[-1]["Message"]
    _answer(incident_id)
    assert _planned_after_approval(incident_id, SECOND)["decision"] == "act"
