"""An update of a finding names another session, principal or instance than its first event.

GuardDuty keeps of a finding only what happened last.
"""

from __future__ import annotations

import pytest
from guardduty_response.errors import TargetGone
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import named
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Event, Status
from guardduty_response.incident.table import incident_key

from tests.unit.deployment import Deployment
from tests.unit.fake_playbook import ARN, FakePlaybook
from tests.unit.function_calls import call, notified
from tests.unit.functions.machine_walk import walk_incident
from tests.unit.functions.respond_steps import SECOND, lease_owners, open_incident, run_step
from tests.unit.functions.updated_finding import (
    FIRST,
    Json,
    contained,
    contained_update,
    event_about,
    minutes_from_now,
    update,
)

OTHERS = [
    pytest.param({"principal": "AROAEXAMPLE:mallory", "key": "ASIATWO"}, id="session"),
    pytest.param({"key": "ASIATWO"}, id="later token"),
    pytest.param({"instance": "i-2"}, id="instance"),
]


@pytest.mark.parametrize("named", OTHERS)
def test_who_is_named_only_now_is_contained_by_the_event_that_names_it(
    deployment: Deployment, fake: FakePlaybook, named: Json
) -> None:
    incident_id = contained(fake, deployment)
    first_key = deployment.meta(incident_id)["finding_key"]
    event = event_about(**named)
    opened = update(event)
    assert (opened["next"], opened["verify_only"]) == ("triage", False)
    assert evidence_store.get_event(opened["finding_key"]) == event
    meta = deployment.meta(incident_id)
    assert (meta["status"], meta["finding_key"]) == ("OPEN", opened["finding_key"])
    assert evidence_store.get_event(first_key)["detail"]["id"] == event["detail"]["id"]
    run_step(
        "plan",
        incident_id,
        execution=SECOND,
        finding_key=opened["finding_key"],
    )
    assert fake.planned[-1].finding.named == [
        named.get("principal", FIRST[0]),
        named.get("instance", "i-1"),
        named.get("key", FIRST[1]),
    ]


def test_the_same_session_is_only_verified(deployment: Deployment, fake: FakePlaybook) -> None:
    incident_id = contained(fake, deployment)
    opened = update(event_about())
    assert opened["verify_only"]
    assert deployment.meta(incident_id)["status"] == "CONTAINED"


def test_a_new_key_of_a_user_is_no_news(deployment: Deployment, fake: FakePlaybook) -> None:
    """Containing a user covers every key."""
    contained(
        fake,
        deployment,
        principal="AIDAEXAMPLE",
    )
    assert update(event_about(principal="AIDAEXAMPLE", key="ASIATWO"))["verify_only"]


def test_if_that_is_not_contained_the_incident_is_partial(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """What was contained stands; what the finding names now was skipped or rejected."""
    incident_id = contained(fake, deployment)
    update(event_about(instance="i-2"))
    call(
        "close",
        incident_id=incident_id,
        decision="rejected",
        execution=SECOND,
    )
    assert deployment.meta(incident_id)["status"] == "PARTIAL"


def _contained_both(fake: FakePlaybook, deployment: Deployment) -> str:
    """Lets the finding name i-1 first, and i-2 in its update; returns the incident."""
    incident_id = contained(fake, deployment)
    opened = update(event_about(instance="i-2"))
    fake.by_instance = True
    key = opened["finding_key"]
    answer = run_step("plan", incident_id, execution=SECOND, finding_key=key)
    assert [target["id"] for target in answer["targets"]] == ["i-2"]
    run_step("contain", incident_id, answer["targets"][0], execution=SECOND)
    targets = answer["targets"]
    call("verdict", incident_id=incident_id, targets=targets, error="", execution=SECOND)
    call("close", incident_id=incident_id, decision="act", execution=SECOND)
    assert deployment.meta(incident_id)["status"] == "CONTAINED"
    return incident_id


def _verified_by(incident_id: str, execution: str) -> list[str]:
    """Opens and plans a recheck; returns what it verifies."""
    event = {"watch": {"incident_id": incident_id}}
    assert call("open", event=event, execution=execution)["verify_only"]
    answer = run_step("plan", incident_id, execution=execution, verify_only=True)
    return sorted(target["id"] for target in answer["targets"])


def test_what_the_first_event_named_is_still_verified(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = _contained_both(fake, deployment)
    assert _verified_by(incident_id, "third") == ["i-1", "i-2"]


@pytest.mark.parametrize("decision", ["act", "none", "failed"])
def test_a_recheck_leaves_no_lease_on_what_the_first_event_named(
    deployment: Deployment, fake: FakePlaybook, decision: str
) -> None:
    incident_id = _contained_both(fake, deployment)
    _verified_by(incident_id, "third")
    assert lease_owners(deployment, ARN) == ["third"]
    call("close", incident_id=incident_id, decision=decision, execution="third")
    assert [lease_owners(deployment, arn) for arn in (ARN, ARN.replace("i-1", "i-2"))] == [[], []]


def test_what_was_contained_is_not_gone_with_what_is_named_now(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    incident_id = contained(fake, deployment)
    opened = update(event_about(instance="i-2"))
    fake.error = TargetGone("i-2 is terminated")
    key = opened["finding_key"]
    answer = run_step(
        "plan",
        incident_id,
        execution=SECOND,
        finding_key=key,
    )
    decided = {"decision": answer["decision"], "error": answer["error"]}
    call("close", incident_id=incident_id, execution=SECOND, **decided)
    assert deployment.meta(incident_id)["status"] == "PARTIAL"
    assert "i-2 is terminated" in deployment.meta(incident_id)["reasons"]
    [stored] = deployment.targets(incident_id)
    assert (stored["id"], stored["status"]) == ("i-1", "CONTAINED")


@pytest.mark.parametrize("status", [Status.DRY_RUN, Status.SKIPPED])
@pytest.mark.parametrize(
    ("named", "next_step"),
    [({"instance": "i-2"}, "triage"), ({"key": "ASIATWO"}, "done"), ({}, "done")],
)
def test_a_quiet_incident_is_decided_anew(
    record: IncidentRepository, fake: FakePlaybook, status: Status, named: Json, next_step: str
) -> None:
    incident_id = open_incident(**event_about())
    assert record.move(incident_id, Status.OPEN, status)
    assert update(event_about(**named))["next"] == next_step


@pytest.mark.parametrize("asked", [True, False])
def test_it_waits_for_the_run_at_work_and_people_know(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, asked: bool
) -> None:
    incident_id = open_incident(**event_about())
    record.transition(incident_id, Event.ASK if asked else Event.ACT)
    notified(deployment)
    event = event_about(instance="i-2")
    waits = update(event)
    assert (waits["next"], waits["wait_seconds"]) == ("wait", 900 if asked else 60)
    [message] = deployment.messages()
    assert "it names AROAEXAMPLE:alice i-2 ASIAFIRST now" in message["Message"]
    assert len(deployment.messages("escalations")) == int(asked)
    assert update({"finding_key": waits["finding_key"]}, "third")["next"] == "wait"
    assert notified(deployment) == ([], []), "told once"
    record.transition(incident_id, Event.FAILED)
    opened = update({"finding_key": waits["finding_key"]}, "fourth")
    assert (opened["next"], opened["finding_key"]) == ("triage", waits["finding_key"])
    assert deployment.meta(incident_id)["emissions"] == 2


ENDS = [
    (Event.ASK, "rejected", "REJECTED"),
    (Event.ASK, "approval_timed_out", "TIMED_OUT"),
    (Event.ACT, "gone", "GONE"),
]


@pytest.mark.parametrize(("start", "decision", "status"), ENDS)
def test_what_waits_is_answered_however_the_run_ends(
    deployment: Deployment,
    fake: FakePlaybook,
    record: IncidentRepository,
    start: Event,
    decision: str,
    status: str,
) -> None:
    """Although GuardDuty saw it before that end. Whom the run was about stays as it was ended."""
    incident_id = open_incident(**event_about(seen="2020-01-01T00:00:00Z"))
    record.transition(incident_id, start)
    waits = update(event_about(instance="i-2", seen=minutes_from_now(-1)))
    call("close", incident_id=incident_id, decision=decision, error="x")
    assert deployment.meta(incident_id)["status"] == status
    assert update(event_about(seen=minutes_from_now(-1)), "late")["next"] == "done"
    opened = update({"finding_key": waits["finding_key"]}, "third")
    assert (opened["next"], opened["verify_only"]) == ("triage", False)
    call("close", incident_id=incident_id, decision="skip", error="", execution="third")
    assert update(event_about(seen=minutes_from_now(-1)), "later")["next"] == "done"
    assert update(event_about(), "fourth")["next"] == "triage", "but not for later activity"


@pytest.mark.parametrize("status", [Status.RESTORED, Status.CLOSED])
def test_a_restore_ends_it_for_all_that_were_contained_and_for_nobody_else(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository, status: Status
) -> None:
    incident_id = contained(fake, deployment)
    fake.by_instance = True
    contained_update(incident_id, instance="i-2")
    assert record.move(incident_id, Status.CONTAINED, status)
    assert update(event_about(seen=minutes_from_now(-1)), "third")["next"] == "done"
    late = event_about(instance="i-3", seen=minutes_from_now(-1))
    assert update(late, "fourth")["next"] == "triage"


def test_people_are_notified_of_another_once(deployment: Deployment, fake: FakePlaybook) -> None:
    deployment.configure({"remediations": {"*": "notify"}})
    for number, instance in enumerate(["i-1", "i-2", "i-1", "i-2"]):
        call("notice", event=event_about(instance=instance), execution=f"notice{number}")
        assert len(notified(deployment)[0]) == int(number < 2)


def test_of_all_updates_that_name_the_same_one_execution_waits(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """An approval can take a week, and an update comes every 15 minutes."""
    incident_id = open_incident(**event_about())
    record.transition(incident_id, Event.ASK)
    waits = update(event_about(instance="i-2", seen=minutes_from_now(1)), "one")
    newest = event_about(instance="i-2", seen=minutes_from_now(3))
    assert update(newest, "two")["next"] == "done"
    assert update(event_about(instance="i-2", seen=minutes_from_now(2)), "late")["next"] == "done"
    assert update(event_about(instance="i-3"), "other")["next"] == "wait", "it names another"
    again = update({"finding_key": waits["finding_key"]}, "three")
    assert (again["next"], again["finding_key"]) == ("wait", waits["finding_key"])
    record.transition(incident_id, Event.FAILED)
    opened = update({"finding_key": waits["finding_key"]}, "four")
    assert opened["next"] == "triage"
    assert evidence_store.get_event(opened["finding_key"]) == newest


def test_who_waits_again_later_waits_anew(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """Nobody asks for it any more since it was answered, or since its execution was lost."""
    incident_id = open_incident(**event_about())
    record.transition(incident_id, Event.ACT)
    waits = update(event_about(instance="i-2"), "one")
    record.transition(incident_id, Event.FAILED)
    assert update({"finding_key": waits["finding_key"]}, "two")["next"] == "triage"
    record.transition(incident_id, Event.FAILED)
    assert update(event_about(instance="i-3"), "three")["next"] == "triage"
    assert update(event_about(instance="i-2"), "four")["next"] == "wait"
    key = (incident_key(incident_id), named.sort_key([FIRST[0], "i-2"]))
    record.table.update(*key, {"until": minutes_from_now(-1)})
    assert update(event_about(instance="i-2", seen=minutes_from_now(9)), "five")["next"] == "wait"


def test_a_rejection_counts_until_there_is_later_activity(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    """Also where the incident is PARTIAL then, because what was contained before stands."""
    incident_id = contained(fake, deployment)
    update(event_about(instance="i-2", seen=minutes_from_now(-9)))
    call("close", incident_id=incident_id, decision="rejected", execution=SECOND)
    assert deployment.meta(incident_id)["status"] == "PARTIAL"
    assert update(event_about(instance="i-2", seen=minutes_from_now(-1)), "third")["next"] == "done"
    assert update(event_about(instance="i-2"), "fourth")["next"] == "triage"


def test_a_new_token_before_anything_is_denied_is_only_counted(
    deployment: Deployment, fake: FakePlaybook, record: IncidentRepository
) -> None:
    """Once approved, triage runs anew, and denies every token until then."""
    incident_id = open_incident(**event_about())
    record.transition(incident_id, Event.ASK)
    assert update(event_about(key="ASIATWO"))["next"] == "done"


def test_activity_after_people_were_told_of_containment_is_told_once(
    deployment: Deployment, fake: FakePlaybook
) -> None:
    contained(fake, deployment)
    update(event_about(seen="2020-01-02T00:00:00Z"))
    assert notified(deployment) == ([], []), "it was before that"
    update(event_about(), "third")
    [message] = deployment.messages()
    assert "GuardDuty saw activity" in message["Message"]
    update(event_about(), "fourth")
    assert notified(deployment) == ([], [])


def test_the_machine_opens_it_again_later() -> None:
    waits = {"next": "wait", "wait_seconds": 900, "finding_key": "incidents/inc-1/two.json"}
    opened = {"incident_id": "inc-1", "playbook": "", "verify_only": False, **waits}
    walk, functions = walk_incident(open=opened)
    assert walk.entered[-2:] == ["WaitForRun", "OpenAgain"]
    assert walk.waited == [900]
    [started] = functions.asked("start")
    assert started["Input"]["finding_key"] == "incidents/inc-1/two.json"
