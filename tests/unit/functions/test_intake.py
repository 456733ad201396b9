"""What the two machines do with a finding that they cannot read, or that is the other's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.decision import finding
from guardduty_response.evidence import store as evidence_store

from tests.support.asl_walker import definition
from tests.unit.background import drain
from tests.unit.deployment import BUCKET, EXECUTIONS, REGION, TABLE, Deployment
from tests.unit.function_calls import EXECUTION, NOTICE, call, notified

Make = Callable[..., dict[str, Any]]


def _id(event: Any) -> str:
    return finding.parse(event).incident_id


def test_the_account_that_delivered_is_never_shown_as_the_findings(
    deployment: Deployment, finding_event: Make
) -> None:
    """For a member's finding, the envelope names the administrator's account."""
    event = finding_event(severity="high", accountId=None)
    event["account"] = "444444444444"
    call("open", event=event)
    [meta] = deployment.incidents()
    assert (meta["status"], meta["account_id"]) == ("SKIPPED", "")
    assert meta["reasons"][1].endswith("it was delivered through 444444444444")
    [message] = deployment.messages()
    assert "Account   444444444444" not in message["Message"]
    assert message["MessageAttributes"]["account_id"]["Value"] == "unknown"


@pytest.mark.parametrize("mode", ["auto", "approve", "dry_run"])
def test_the_notice_machine_looks_for_the_claim_of_what_something_acts_on(
    deployment: Deployment, finding_event: Make, mode: str
) -> None:
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": mode}})
    event = finding_event()
    answer = call("notice", event=event, execution=NOTICE)
    seen = event["detail"]["service"]["eventLastSeen"]
    assert (answer["next"], answer["pk"]) == ("look", f"INCIDENT#{_id(event)}")
    assert answer["sk"] == f"CLAIM#{seen}"
    assert re.fullmatch(rf"{_id(event)}-[0-9a-f]{{12}}", answer["name"])
    assert (deployment.incidents(), notified(deployment)) == ([], ([], []))
    event["detail"]["service"].pop("eventLastSeen")
    assert (
        call(
            "notice",
            event=event,
            execution=NOTICE,
        )["sk"]
        == "META"
    )
    archived = finding_event(service={**event["detail"]["service"], "archived": True})
    assert (
        call(
            "notice",
            event=archived,
            execution=NOTICE,
        )["next"]
        == "done"
    )


def test_an_incident_whose_finding_could_not_be_stored_is_opened_by_the_repetition(
    deployment: Deployment, finding_event: Make
) -> None:
    """Both are written side by side: if storing fails there is a record that says so in time."""
    event = finding_event()
    deployment.s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        call("open", event=event)
    [meta] = deployment.incidents()
    assert (meta["status"], deployment.timeline(meta["incident_id"])) == ("OPEN", ["opened"])
    location: Any = {"LocationConstraint": REGION}
    deployment.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
    assert call("open", event=event)["next"] == "triage"
    incident_id = meta["incident_id"]
    assert deployment.timeline(incident_id) == ["opened"]
    [name] = deployment.evidence(incident_id)
    assert deployment.meta(incident_id)["finding_key"] == f"incidents/{incident_id}/{name}"


def test_the_client_that_stores_the_finding_is_built_beside_reading_the_configuration(
    deployment: Deployment, finding_event: Make
) -> None:
    """Shown by a finding that is not stored: its client is there all the same."""
    deployment.configure({"remediations": {}})
    clients.client.cache_clear()
    assert call("open", event=finding_event())["next"] == "done"
    drain()
    built = clients.client.cache_info().misses
    clients.client("s3")
    assert clients.client.cache_info().misses == built


def claim(deployment: Deployment, event: Any, execution: str, seconds_ago: int = 0) -> bool:
    """Claims a finding as the machine's first state does; returns whether that won."""
    arguments = definition("incident")["States"]["Claim"]["Arguments"]
    key = {"pk": f"INCIDENT#{_id(event)}", "sk": f"CLAIM#{finding.parse(event).last_seen}"}
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    stored = {
        **key,
        "execution": execution,
        "at": at.isoformat(),
    }
    try:
        deployment.dynamodb.put_item(
            TableName=TABLE,
            Item={name: {"S": value} for name, value in stored.items()},
            ConditionExpression=arguments["ConditionExpression"],
            ExpressionAttributeNames=arguments["ExpressionAttributeNames"],
            ExpressionAttributeValues={":execution": {"S": execution}},
        )
    except deployment.dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def claims(deployment: Deployment, event: Any) -> list[Any]:
    items = deployment.items(f"INCIDENT#{_id(event)}")
    return [item for item in items if item["sk"].startswith("CLAIM#")]


@pytest.mark.parametrize("mode", ["off", "notify"])
def test_who_leaves_a_finding_to_the_other_machine_leaves_its_claim_too(
    deployment: Deployment, finding_event: Make, mode: str
) -> None:
    """While an apply changes the policy, both machines may leave the finding to each other."""
    event = finding_event()
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": mode}})
    call("open", event=event)
    assert claims(deployment, event) == [], "it was started by other means"
    assert claim(deployment, event, "another")
    call("open", event=event)
    assert not claim(deployment, event, EXECUTION), "the claim of another execution stands"
    call("open", event=event, execution="another")
    assert claims(deployment, event)[0]["left"] == mode
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": "auto"}})
    notice = "started by the notice machine"
    assert claim(deployment, event, notice)
    assert (
        call(
            "open",
            event=event,
            execution=notice,
        )["next"]
        == "triage"
    )
    assert not claim(deployment, event, "a third")


@pytest.mark.parametrize(("seconds", "messages"), [(0, []), (200, ["notice"])])
def test_who_leaves_a_finding_when_the_other_machine_has_looked_tells_people_itself(
    deployment: Deployment, finding_event: Make, seconds: int, messages: list[str]
) -> None:
    """Its function was throttled meanwhile."""
    event = finding_event()
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": "notify"}})
    assert claim(deployment, event, EXECUTION, seconds)
    assert call("open", event=event)["next"] == "done"
    assert notified(deployment) == (messages, [])
    call("notice", event=event, execution=NOTICE)
    assert len(notified(deployment)[0]) == 1 - len(messages), "told once"


def test_who_was_started_by_the_notice_machine_leaves_nothing_to_it(
    deployment: Deployment, finding_event: Make
) -> None:
    """An apply changes the rule first, and the policy while the notice machine waits to look."""
    event = finding_event()
    look = call("notice", event=event, execution=NOTICE)
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": "notify"}})
    started = f"{EXECUTIONS}incident:{look['name']}"
    assert claim(deployment, event, started)
    assert (
        call(
            "open",
            event=event,
            execution=started,
        )["next"]
        == "done"
    )
    assert notified(deployment) == (["notice"], [])


def test_who_was_started_with_a_pointer_leaves_nothing_to_the_notice_machine(
    deployment: Deployment, finding_event: Make
) -> None:
    """It has no claim: nobody looks for the finding."""
    event = finding_event()
    key = evidence_store.put_event(_id(event), event)["key"]
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": "notify"}})
    for _ in range(2):
        assert call("open", event={"finding_key": key})["next"] == "done"
    assert notified(deployment) == (["notice"], []), "told once"
