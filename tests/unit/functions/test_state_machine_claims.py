"""Tests how the machines claim a finding, and what the rule act does not start."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from tests.support.asl_walker import OWN_ARN, Failed, Json, Walk
from tests.unit.deployment import TABLE, Deployment
from tests.unit.functions.machine_walk import FINDING, INCIDENT_ID, Functions, walk_incident

# -- the claim -------------------------------------------------------------------------------------

WRONG: list[Any] = [None, 7, ["a", "b"], {}]
LOST = Failed("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")


def test_the_claim_is_the_findings_and_its_last_activity() -> None:
    _, functions = walk_incident()
    [claim] = functions.claims
    assert claim["Item"]["pk"] == {"S": f"INCIDENT#{INCIDENT_ID}"}
    assert claim["Item"]["sk"] == {"S": "CLAIM#2031-02-03T04:05:06Z"}
    assert claim["Item"]["execution"] == {"S": "arn:execution"}
    lifetime = int(claim["Item"]["expires_at"]["N"]) - time.time()
    assert 364 * 86400 < lifetime < 366 * 86400


@pytest.mark.parametrize("missing", ["accountId", "region"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_the_account_and_the_region_may_be_in_the_arn_alone(missing: str, value: Any) -> None:
    """The functions read them there too: claim and incident have the same id."""
    arn = "arn:aws:guardduty:us-east-1:222222222222:detector/d/finding/f-1"
    event = {
        **FINDING,
        "detail": {
            **FINDING["detail"],
            "arn": arn,
            missing: value,
        },
    }
    _, functions = walk_incident(event=event)
    assert functions.claims[0]["Item"]["pk"] == {"S": f"INCIDENT#{INCIDENT_ID}"}
    _, functions = walk_incident(event=event, **{"dynamodb:putItem": LOST})
    assert functions.claims[1]["Key"]["pk"] == {"S": f"INCIDENT#{INCIDENT_ID}"}


def test_who_loses_the_claim_is_counted_and_calls_no_function() -> None:
    walk, functions = walk_incident(**{"dynamodb:putItem": LOST})
    assert walk.entered == ["Claim", "Count"]
    assert functions.calls == []
    [_, count] = functions.claims
    assert count["Key"] == {"pk": {"S": f"INCIDENT#{INCIDENT_ID}"}, "sk": {"S": "META"}}
    walk, functions = walk_incident(**{"dynamodb:putItem": LOST, "dynamodb:updateItem": LOST})
    assert walk.entered[-1] == "NothingToDo", "there is no record to count in"


@pytest.mark.parametrize(("mode", "counted"), [("auto", 2), ("notify", 1)])
def test_what_the_notice_machine_counts_is_not_counted_twice(
    deployment: Deployment, mode: str, counted: int
) -> None:
    _, functions = walk_incident(**{"dynamodb:putItem": LOST})
    [_, count] = functions.claims
    stored = {"mode": {"S": mode}, "emissions": {"N": "1"}}
    deployment.dynamodb.put_item(TableName=TABLE, Item={**count["Key"], **stored})
    with suppress(deployment.dynamodb.exceptions.ConditionalCheckFailedException):
        deployment.dynamodb.update_item(**{**count, "TableName": TABLE})
    assert deployment.meta(INCIDENT_ID)["emissions"] == counted


def test_a_claim_that_fails_leaves_the_decision_to_the_record() -> None:
    _, functions = walk_incident(
        **{"dynamodb:putItem": Failed("DynamoDB.AmazonDynamoDBException", "down")}
    )
    assert functions.asked("open") and functions.asked("contain")


@pytest.mark.parametrize(
    "event",
    [
        {},
        [],
        "a text",
        7,
        [FINDING],
        {"finding_key": "incidents/inc-1/finding.json"},
        {"watch": {"incident_id": "inc-1"}},
        {"source": "aws.guardduty"},
        {**FINDING, "source": "aws.ec2"},
        {**FINDING, "detail": None},
        {**FINDING, "detail": "text"},
        *(
            {**FINDING, "detail": {**FINDING["detail"], name: value}}
            for name in ("id", "accountId", "region", "service")
            for value in WRONG
        ),
    ],
)
def test_what_is_no_finding_claims_its_own_execution_and_is_opened(event: Any) -> None:
    walk, functions = walk_incident(event=event)
    assert functions.claims[0]["Item"]["pk"] == {"S": "EXECUTION#execution"}
    assert functions.asked("open")[0]["event"] == event
    assert walk.entered[-1] == "Close"


def test_what_will_be_needed_is_warmed_and_nobody_waits_for_its_failure() -> None:
    walk, functions = walk_incident(warm=RuntimeError("throttled"))
    assert len(functions.asked("warm")) == 1
    assert walk.entered[-1] == "Close"
    assert ("warm", 5) in walk.timeouts
    for event in ({"watch": {"incident_id": "inc-1"}}, {**FINDING, "detail": {"resource": {}}}):
        _, functions = walk_incident(event=event, warm={})
        assert functions.asked("warm") == []


# -- what the rule act does not start --------------------------------------------------------------

LOOK: Json = {
    "incident_id": INCIDENT_ID,
    "next": "look",
    "pk": f"INCIDENT#{INCIDENT_ID}",
    "sk": "CLAIM#x",
    "name": f"{INCIDENT_ID}-0123456789ab",
}


def _notice(**answers: Any) -> tuple[Walk, Functions]:
    functions = Functions(**answers)
    walk = Walk("notice", functions)
    walk.run(FINDING)
    return walk, functions


def test_the_notice_machine_starts_an_incident_that_nobody_claimed() -> None:
    walk, functions = _notice(notice=LOOK)
    assert walk.waited == [120]
    [look] = functions.claims
    assert look["Key"] == {"pk": {"S": LOOK["pk"]}, "sk": {"S": LOOK["sk"]}}
    assert look["ConsistentRead"] is True
    [start] = functions.asked("start")
    assert (start["StateMachineArn"], start["Name"]) == (OWN_ARN, LOOK["name"])
    assert start["Input"] == FINDING


def test_a_claimed_incident_is_not_started_again() -> None:
    _, functions = _notice(notice=LOOK, **{"dynamodb:getItem": {"Item": {"pk": {"S": "x"}}}})
    assert functions.asked("start") == []


UNANSWERED: Json = {"dynamodb:getItem": {"Item": {"pk": {"S": "x"}, "left": {"S": "notify"}}}}


def test_a_finding_that_both_machines_left_to_each_other_is_decided_again() -> None:
    """An apply may change the policy between the two: neither a message nor an incident came."""
    walk, functions = _notice(notice=[LOOK, {"next": "done"}], **UNANSWERED)
    assert [payload["event"] for payload in functions.asked("notice")] == [FINDING, FINDING]
    assert (walk.entered[-1], functions.asked("start")) == ("Told", [])
    _, functions = _notice(notice=[LOOK, LOOK], **UNANSWERED)
    [start] = functions.asked("start")
    assert (start["Name"], start["Input"]) == (LOOK["name"], FINDING)


def test_a_claim_that_cannot_be_read_is_taken_for_absent() -> None:
    failed = Failed("DynamoDB.AmazonDynamoDBException", "down")
    _, functions = _notice(notice=LOOK, **{"dynamodb:getItem": failed})
    assert len(functions.asked("start")) == 1


def test_an_incident_that_was_started_already_is_fine_and_any_other_failure_is_not() -> None:
    again = Failed("StepFunctions.ExecutionAlreadyExistsException", "exists")
    walk, _ = _notice(notice=LOOK, start=again)
    assert walk.entered[-1] == "Told"
    with pytest.raises(Failed, match="AccessDenied"):
        _notice(notice=LOOK, start=Failed("StepFunctions.AccessDenied", "no"))


def test_what_nothing_acts_on_is_told_and_not_looked_for() -> None:
    walk, functions = _notice(notice={"next": "done"})
    assert walk.entered == ["Notice", "Acting?", "Told"]
    assert functions.claims == []
