"""A parent and its children tell one story, and nothing acts on another incident."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.decision import finding
from guardduty_response.functions import respond
from guardduty_response.incident.statuses import Status

from tests.support.repository import load_finding
from tests.unit.deployment import EXECUTIONS, Deployment
from tests.unit.fake_playbook import FakePlaybook, configure
from tests.unit.function_calls import call, notified
from tests.unit.functions.shared_world import World, ask

Json = dict[str, Any]
NOT_ALL = "NOT everything is contained"


@pytest.fixture(autouse=True)
def restorable(world: World) -> None:
    options = {"finish": "none", "restore": True}
    configure(world.deployment, **{"playbooks.fake": options, "guardrails.circuit_breaker": None})


def link(world: World, parent: str, *children: str) -> None:
    """Writes what a hand-over writes."""
    world.record.note(parent, children=list(children))
    for child in children:
        world.record.note(child, parent=parent)


def family(world: World, child_verdict: Status = Status.CONTAINED) -> tuple[str, str]:
    """Returns a contained parent, about i-1, and its child, about i-2."""
    world.verdicts = {"i-2": child_verdict}
    parent, child = world.contain("credential", "i-1"), world.contain("instance", "i-2")
    link(world, parent, child)
    return parent, child


def close(world: World, incident_id: str, name: str) -> None:
    """Ends the execution, as the machine does."""
    execution = world.execution(name)
    call(
        "close",
        incident_id=incident_id,
        execution=execution,
        decision="act",
        error="",
    )


def report(world: World, incident_id: str) -> str:
    return world.deployment.evidence(incident_id)["report.html"].decode()


# -- the links -------------------------------------------------------------------------------------


def test_a_hand_over_links_both_ways_and_keeps_earlier_children(
    deployment: Deployment, fake: FakePlaybook, world: World
) -> None:
    event = load_finding()
    parent = finding.parse(event).incident_id
    other = load_finding()
    other["detail"] |= {"id": f"{event['detail']['id']}-i-0abc"}
    fake.hand_over = {"ec2_instance": lambda: {**other, "handedOverBy": parent}}
    execution = f"{EXECUTIONS}incident:one"
    call("open", event=event, execution=execution)
    world.record.note(parent, children=["inc-earlier"])
    plan = {
        "verb": "plan",
        "incident_id": parent,
        "execution": execution,
        "verify_only": False,
    }
    [handed] = respond.handler(plan)["hand_over"]
    opened = call("open", event=handed, execution=f"{EXECUTIONS}incident:two")
    assert deployment.meta(parent)["children"] == ["inc-earlier", opened["incident_id"]]
    assert deployment.meta(opened["incident_id"])["parent"] == parent


# -- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("child", "first_line", "subject", "overall"),
    [
        ("FAILED", f"{NOT_ALL}: child incident {{}} ", "with children FAILED]", "FAILED"),
        ("PARTIAL", f"{NOT_ALL}: child incident {{}} ", "with children PARTIAL]", "PARTIAL"),
        ("CONTAINING", f"{NOT_ALL} yet: child incident {{}} ", "CONTAINING]", "CONTAINING"),
        ("CONTAINED", "Contained and verified", "[CONTAINED] ", "CONTAINED"),
        ("RESTORED", "Contained and verified", "[CONTAINED] ", "CONTAINED"),
        ("CLOSED", "Contained and verified", "[CONTAINED] ", "CONTAINED"),
    ],
)
def test_the_verdict_of_a_parent_is_not_better_than_its_child(
    world: World, child: str, first_line: str, subject: str, overall: str
) -> None:
    other = world.contain("instance", "i-2")
    world.record.move(other, Status.CONTAINED, Status(child))
    parent, targets = world.open("credential", "i-1")
    link(world, parent, other)
    notified(world.deployment)
    world.act("credential", parent, targets)
    [message] = world.deployment.messages()
    assert message["Message"].startswith(first_line.format(other))
    assert subject in message["Subject"]
    assert f"Child     incident {other}, now {child}: ec2_instance i-2" in message["Message"]
    assert message["MessageAttributes"]["status"]["Value"] == "CONTAINED"
    assert message["MessageAttributes"]["overall"]["Value"] == overall
    assert world.status(parent) == "CONTAINED", "its own status is its own resources'"


def test_a_child_that_has_not_begun_is_said(world: World) -> None:
    parent, targets = world.open("credential", "i-1")
    link(world, parent)
    world.record.note(parent, children=["inc-0000000000000000"])
    notified(world.deployment)
    world.act("credential", parent, targets)
    [message] = world.deployment.messages()
    assert message["Message"].startswith("NOT everything is contained yet")
    assert "child incident inc-0000000000000000 is not begun" in message["Message"]
    assert message["MessageAttributes"]["overall"]["Value"] == "OPEN"


def test_the_message_of_a_child_names_its_parent(world: World) -> None:
    parent = world.contain("credential", "i-1")
    child, targets = world.open("instance", "i-2")
    link(world, parent, child)
    notified(world.deployment)
    world.act("instance", child, targets)
    [message] = world.deployment.messages()
    assert message["Message"].startswith("Contained and verified")
    assert f"Parent    incident {parent}, now CONTAINED: ec2_instance i-1" in message["Message"]


def test_the_last_message_of_a_parent_says_what_is_left(world: World) -> None:
    parent, child = family(world, Status.FAILED)
    close(world, parent, "credential")
    [message] = world.deployment.messages()
    assert message["Subject"].startswith("[CONTAINED, with children FAILED]")
    assert message["MessageAttributes"]["overall"]["Value"] == "FAILED"
    tasks = message["Message"].split("Open tasks")[1]
    assert f"child incident {child} (ec2_instance i-2) is FAILED: its message and its" in tasks
    assert world.deployment.messages("escalations") == [], "the child has escalated"


def test_an_incident_of_an_earlier_release_reads_as_before(world: World) -> None:
    world.contain("alone")
    incident_id, targets = world.open("another", "i-2")
    notified(world.deployment)
    world.act("another", incident_id, targets)
    [message] = world.deployment.messages()
    for word in ("Parent", "Child", "NOT everything", "with children"):
        assert word not in message["Message"] + message["Subject"]
    assert message["MessageAttributes"]["overall"]["Value"] == "CONTAINED"


def test_what_is_restored_is_so_as_a_whole_whatever_its_child_is(world: World) -> None:
    """A person has ended it: nothing of it is open that they did not decide about."""
    parent, _ = family(world, Status.FAILED)
    notified(world.deployment)
    assert ask(parent)["status"] == "RESTORED"
    message = world.deployment.messages()[-1]
    assert message["MessageAttributes"]["status"]["Value"] == "RESTORED"
    assert message["MessageAttributes"]["overall"]["Value"] == "RESTORED"


# -- reports ---------------------------------------------------------------------------------------


def test_reports_name_each_other_and_the_commands_in_order(world: World) -> None:
    parent, child = family(world)
    close(world, child, "instance")
    close(world, parent, "credential")
    page = report(world, parent)
    section = page.split("<h2>Parent and children</h2>")[1].split("<h2>")[0]
    assert f"incidents/{child}/report.html" in section
    assert "ec2_instance i-2" in section
    restores = [section.index(f"&quot;incident_id&quot;: &quot;{id}") for id in (child, parent)]
    assert restores == sorted(restores), "what was contained last is undone first"
    assert section.count("--function-name guardduty-response-restore-fake") == 4
    assert section.count("stateMachine:guardduty-response-incident") == 2, "a recheck for each"
    of_child = report(world, child).split("<h2>Parent and children</h2>")[1].split("<h2>")[0]
    assert "Parent" in of_child and parent in of_child


def test_a_child_that_ends_is_in_the_report_of_its_parent(world: World) -> None:
    parent, child = family(world, Status.FAILED)
    world.record.move(child, Status.FAILED, Status.CONTAINING)
    close(world, parent, "credential")
    assert "contained yet" in report(world, parent)
    close(world, child, "instance")
    assert "NOT everything is contained: child incident" in report(world, parent)


def test_a_report_without_family_has_no_section(world: World) -> None:
    incident_id = world.contain("alone")
    close(world, incident_id, "alone")
    assert "Parent and children" not in report(world, incident_id)


# -- restoring and closing -------------------------------------------------------------------------


def test_restoring_a_parent_leaves_the_child_and_says_how_to_go_on(world: World) -> None:
    parent, child = family(world)
    answer = ask(parent)
    assert answer["status"] == "RESTORED"
    [left] = answer["children_left"]
    assert left.startswith(f"Child incident {child} (ec2_instance i-2) is CONTAINED, left as it")
    assert f'"incident_id": "{child}", "requested_by": "YOU"' in left
    assert world.status(child) == "CONTAINED"
    assert ("restore", "i-2") not in world.done
    assert "children left" in world.deployment.timeline(parent)
    [message] = world.deployment.messages()
    assert left in message["Message"].split("Children left as they are")[1]
    assert ask(parent)["children_left"] == [left], "asked once more"


def test_closing_a_parent_leaves_the_child_and_says_so(world: World) -> None:
    parent, child = family(world, Status.FAILED)
    answer = ask(parent, close=True, keep_contained=True, reason="a drill")
    assert answer["status"] == "CLOSED"
    [left] = answer["children_left"]
    assert left.startswith(f"Child incident {child} (ec2_instance i-2) is FAILED, left as it is.")
    assert world.status(child) == "FAILED"


def test_restoring_a_child_leaves_its_parent_which_then_has_nothing_left(world: World) -> None:
    parent, child = family(world)
    close(world, parent, "credential")
    notified(world.deployment)
    assert "children_left" not in ask(child)
    [message] = world.deployment.messages()
    assert f"Parent    incident {parent}, now CONTAINED" in message["Message"]
    assert world.status(parent) == "CONTAINED"
    assert "RESTORED" in report(world, parent).split("<h2>Parent and children</h2>")[1]
    assert "children_left" not in ask(parent)


def test_without_a_restore_function_no_command_is_offered(world: World) -> None:
    parent, child = family(world)
    off = {"playbooks.fake": {"finish": "none"}, "guardrails.circuit_breaker": None}
    configure(world.deployment, **off)
    [left] = ask(parent)["children_left"]
    assert "restore-fake" not in left
    assert f'{{"watch": {{"incident_id": "{child}"' in left, "it is still rechecked"


def test_incidents_that_name_each_other_as_children_end(world: World) -> None:
    parent, child = family(world)
    world.record.note(child, children=[parent, child])
    world.record.note(parent, parent=child)
    assert ask(parent)["status"] == "RESTORED"
    assert ask(child)["status"] == "RESTORED"
