"""Tests which containments are checked at once because of an API call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.incident.model import TargetReference
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import due, slots, upkeep, watched_names

from tests.unit.checks import due_items, make_due
from tests.unit.deployment import MONITORS, PREFIX, Deployment
from tests.unit.function_calls import watch
from tests.unit.monitoring.watchdog_events import (
    ENI,
    GROUP,
    Begin,
    change_event,
    handed_out,
    run_schedule,
    started_checks,
)


@pytest.mark.parametrize(
    "parameters",
    [
        {"networkInterfaceId": ENI, "groupSet": {"items": [{"groupId": "sg-x"}]}},
        {"groupId": GROUP, "ipPermissions": {"items": [{"ipProtocol": "-1"}]}},
        {"instancesSet": {"items": [{"instanceId": "i-1"}]}},
        {"targetGroupArn": "arn:aws:x", "targets": [{"id": "i-1", "port": 80}]},
        {"roleName": "app", "policyName": "x"},
    ],
    ids=["interface", "group", "instance", "target", "role"],
)
def test_a_change_of_what_contains_is_checked_at_once(
    deployment: Deployment, held: Begin, parameters: Any
) -> None:
    incident_id = held()
    assert watch(change_event(parameters=parameters)) == {"started": [incident_id]}
    [(function, payload)] = deployment.invoked
    given = payload["monitor"]
    assert function == MONITORS["ec2_instance"]
    assert given["why"] == "change"
    assert (given["account_id"], given["region"]) == ("222222222222", "us-east-1")
    assert [named["incident_id"] for named in given["containments"]] == [incident_id]
    assert given["seen"] == {
        "who": "arn:aws:sts::222222222222:assumed-role/admin/bob",
        "what": "ModifyNetworkInterfaceAttribute",
        "when": change_event()["detail"]["eventTime"],
        "from": "198.51.100.7",
        "agent": "aws-cli/2",
        "event_id": "ev-1",
    }
    assert started_checks(deployment) == {}, "only what is lost starts the machine"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (
            change_event(parameters={"networkInterfaceId": "eni-0fffffffffffffff0"}),
            "another interface",
        ),
        (change_event(recipientAccountId="333333333333"), "another account"),
        (change_event(errorCode="Client.UnauthorizedOperation"), "refused"),
        (change_event(f"{PREFIX}-responder-ec2-instance"), "the response itself"),
        (change_event(f"{PREFIX}-restorer-ec2-instance"), "a restore"),
        (change_event(parameters=[]), "nothing named"),
        ({**change_event(), "detail": "text"}, "no record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_change_of_it_starts_nothing(
    deployment: Deployment, held: Begin, event: dict[str, Any], why: str
) -> None:
    held()
    assert watch(event) == {"started": []}
    assert (handed_out(deployment), started_checks(deployment)) == ([], {})


@pytest.mark.parametrize(
    "issuer",
    [
        f"{PREFIX}-responder-ec2-instance-2",
        f"mine/{PREFIX}-responder-ec2-instance",
        f"{PREFIX}-terminator-iam-principal",
        f"{PREFIX}-identity-center-responder",
    ],
)
def test_a_role_that_only_looks_like_the_responses_counts(
    deployment: Deployment, held: Begin, issuer: str
) -> None:
    incident_id = held()
    assert watch(change_event(issuer)) == {"started": [incident_id]}


def test_a_change_that_could_not_be_delivered_is_taken_up(
    deployment: Deployment, held: Begin
) -> None:
    incident_id = held()
    message = {"messageId": "m1", "body": json.dumps(change_event()), "messageAttributes": {}}
    assert watch({"Records": [message]}) == {"batchItemFailures": []}
    assert handed_out(deployment) == [incident_id]


def test_what_a_caller_chose_is_one_printable_line(deployment: Deployment, held: Begin) -> None:
    held()
    watch(change_event(userAgent="x\nChanged by nobody\x1b[2J" + "y" * 1000))
    [(_, payload)] = deployment.invoked
    agent = payload["monitor"]["seen"]["agent"]
    assert agent.isprintable() and len(agent) <= 300


# -- many ------------------------------------------------------------------------------------------


def _contain_many(record: IncidentRepository, number: int) -> None:
    """Contains so many sessions of the role ``app``."""
    for count in range(number):
        target: TargetReference = {
            "kind": "role_session",
            "id": f"app/session-{count}",
            "arn": f"arn:aws:sts::222222222222:assumed-role/app/session-{count}",
            "account_id": "222222222222",
            "region": "us-east-1",
        }
        record.containments.join(target, f"inc-{count}", "ec2_instance")
        state = record.containments.state(str(target["arn"]), 1)
        assert state
        upkeep.begin(record, state, f"inc-{count}", ["app"])


def test_a_name_of_hundreds_of_containments_has_all_of_them_checked(
    deployment: Deployment, record: IncidentRepository
) -> None:
    """Two batches at once, as many as there are slots for changes; the others come first next."""
    _contain_many(record, 120)
    event = change_event(parameters={"roleName": "app"})
    assert len(watch(event)["started"]) == 100
    batches = [payload["monitor"] for _, payload in deployment.invoked]
    assert [len(batch["containments"]) for batch in batches] == [50, 50]
    for batch in batches:
        slots.free(record.table, batch["batch"])
    deployment.invoked.clear()
    assert run_schedule()["containments"] == 20
    [(_, payload)] = deployment.invoked
    assert payload["monitor"]["why"] == "change"
    assert payload["monitor"]["seen"]["event_id"] == "ev-1"


def test_a_change_comes_before_everything_that_is_overdue(
    deployment: Deployment, record: IncidentRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    _contain_many(record, 3)
    make_due(deployment)
    monkeypatch.setenv("GDR_MONITOR_IN_FLIGHT", "1")
    assert slots.take(record.table, "change")
    watch(change_event(parameters={"x": "app/session-2"}))
    run_schedule()
    [(_, payload)] = deployment.invoked[:1]
    assert [named["incident_id"] for named in payload["monitor"]["containments"]] == ["inc-2"]


def test_an_event_costs_a_query_for_each_name_in_it(
    deployment: Deployment, held: Begin, api_calls: list[str]
) -> None:
    held()
    api_calls.clear()
    watch(change_event(parameters={"a": "eni-0fffffffffffffff0", "b": ["sg-0fffffffffffffff0"]}))
    assert set(api_calls) == {"Query"}
    assert api_calls.count("Query") <= 3, "two names, and the configuration"


def test_a_group_that_is_named_by_its_name_is_found_by_the_answers_id(
    deployment: Deployment, held: Begin
) -> None:
    """In a default VPC a call may give the group's name; CloudTrail has what was sent."""
    incident_id = held()
    rules = {"items": [{"groupOwnerId": "222222222222", "groupId": GROUP, "isEgress": False}]}
    event = change_event(
        parameters={"groupName": "quarantine", "ipPermissions": {}},
        eventName="AuthorizeSecurityGroupIngress",
        responseElements={"requestId": "r-1", "_return": True, "securityGroupRuleSet": rules},
    )
    assert watch(event) == {"started": [incident_id]}


def test_an_answer_of_hundreds_of_ids_costs_a_bounded_number_of_queries(
    deployment: Deployment, held: Begin, api_calls: list[str]
) -> None:
    incident_id = held()
    ids = [{"groupId": f"sg-{number:017x}"} for number in range(500)]
    api_calls.clear()
    assert watch(change_event(parameters={}, responseElements={"items": ids})) == {"started": []}
    assert 0 < api_calls.count("Query") <= cloudtrail_event.ANSWER_TEXTS + 1
    deep: Any = ENI
    for _ in range(cloudtrail_event.ANSWER_DEPTH):
        deep = {"nested": deep}
    assert watch(change_event(parameters={}, responseElements={"x": deep})) == {"started": []}
    assert watch(change_event(responseElements={"items": ids})) == {"started": [incident_id]}


@pytest.mark.parametrize("given", ["app", "App", "APP"])
def test_names_are_not_distinguished_by_case(
    deployment: Deployment, held: Begin, given: str
) -> None:
    """As IAM has it."""
    incident_id = held()
    assert watch(change_event(parameters={"roleName": given})) == {"started": [incident_id]}


def test_what_an_earlier_version_wrote_in_its_own_case_is_found_and_removed(
    deployment: Deployment, record: IncidentRepository
) -> None:
    _contain_many(record, 1)
    [new] = deployment.items("WATCHED#222222222222#app")
    record.table.put({**new, "generation": 1, "pk": "WATCHED#222222222222#OldName"})
    assert watch(change_event(parameters={"roleName": "OldName"})) == {"started": ["inc-0"]}
    arn = str(new["arn"])
    watched_names.remove(
        record.table,
        "222222222222",
        arn,
        1,
        ["OldName", "App"],
    )
    assert deployment.items("WATCHED#222222222222#OldName") == []
    assert deployment.items("WATCHED#222222222222#app") == []


def test_what_leads_to_a_containment_that_has_ended_is_removed(
    deployment: Deployment, record: IncidentRepository
) -> None:
    _contain_many(record, 1)
    [item] = due_items(deployment)
    due.end(record.table, item["arn"], int(item["generation"]))
    assert deployment.items("WATCHED#222222222222#app")
    assert watch(change_event(parameters={"roleName": "app"})) == {"started": []}
    assert deployment.items("WATCHED#222222222222#app") == []
    assert handed_out(deployment) == []
