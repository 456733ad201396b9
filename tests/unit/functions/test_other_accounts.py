"""Findings and changes of other accounts and Regions: what counts is the finding or record itself,
not how it came.

The response is in account 123456789012, eu-central-1 (tests/unit/deployment.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.aws import clients
from guardduty_response.errors import RoleUnavailable
from guardduty_response.functions import respond
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.monitoring import upkeep

from tests.unit.deployment import REGION, SECURITY, Deployment
from tests.unit.function_calls import EXECUTION, NOTICE, call, notified, watch

Make = Callable[..., dict[str, Any]]
Begin = Callable[..., str]
ENI = "eni-0123456789abcdef0"
ENVELOPES = [
    # as a forwarder sends it on: where it was raised
    {"account": "333333333333", "region": "eu-west-1"},
    {"account": SECURITY, "region": "eu-west-1"},  # as GuardDuty shows it to the administrator
    {"account": "222222222222", "region": "us-east-1"},
    {"account": SECURITY, "region": REGION},
]


@pytest.mark.parametrize(
    "envelope", ENVELOPES, ids=lambda entry: f"{entry['account']} {entry['region']}"
)
def test_a_member_is_asked_for_the_role_in_the_findings_own_account_and_region(
    deployment: Deployment,
    finding_event: Make,
    monkeypatch: pytest.MonkeyPatch,
    envelope: dict[str, str],
) -> None:
    asked: list[tuple[str, str]] = []

    def no_role(role_arn: str, name: str, region: str, policy: Any) -> Any:
        asked.append((role_arn, region))
        raise RoleUnavailable(
            f"cannot assume {role_arn} in account {role_arn.split(':')[4]}: deploy"
            " modules/responder-role there"
        )

    monkeypatch.setattr(clients, "Session", no_role)
    arn = "arn:aws:guardduty:eu-west-1:333333333333:detector/d/finding/f"
    event = {**finding_event(accountId="333333333333", region="eu-west-1", arn=arn), **envelope}
    incident_id = call("open", event=event)["incident_id"]
    answer = respond.handler(
        {"verb": "plan", "incident_id": incident_id, "execution": EXECUTION}, None
    )
    assert set(asked) == {
        ("arn:aws:iam::333333333333:role/guardduty-response-responder-ec2-instance", "eu-west-1")
    }
    assert (answer["decision"], answer["targets"]) == ("failed", [])
    assert "in account 333333333333" in answer["error"]
    meta = deployment.meta(incident_id)
    assert (meta["account_id"], meta["region"]) == ("333333333333", "eu-west-1")


def test_the_same_finding_by_two_ways_is_one_incident(
    deployment: Deployment, finding_event: Make
) -> None:
    ways = [{**finding_event(), **envelope} for envelope in ENVELOPES]
    ids = {
        call("open", event=event, execution=f"{EXECUTION}-{n}")["incident_id"]
        for n, event in enumerate(ways)
    }
    assert len(ids) == 1
    assert len(deployment.incidents()) == 1


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"accountId": None}, "accountId"),
        ({"accountId": "prod"}, "accountId"),
        ({"region": None}, "region"),
        ({"region": "Mars"}, "region"),
        ({"accountId": None, "region": None}, "accountId, region"),
    ],
)
@pytest.mark.parametrize("mode", ["auto", "notify"])
def test_a_finding_that_does_not_say_where_is_told_and_nothing_is_looked_for_in_a_guessed_place(
    deployment: Deployment,
    finding_event: Make,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    lacks: str,
    mode: str,
) -> None:
    """The envelope says where it came through; a resource looked for there would be called gone,
    or be another's.
    """
    deployment.configure({"remediations": {"CryptoCurrency:EC2/*": mode}})
    monkeypatch.setattr(clients, "Session", lambda *_: pytest.fail("a role was assumed"))
    event = {**finding_event(arn=None, **changes), "account": SECURITY, "region": REGION}
    assert call("open", event=event)["next"] == "done"
    assert call("notice", event=event, execution=NOTICE)["next"] == "done"
    [meta] = deployment.incidents()
    assert (meta["status"], meta["playbook"]) == ("SKIPPED", "")
    assert f"lacks a usable {lacks}" in meta["reasons"][0]
    assert "GuardDuty console" in meta["reasons"][0]
    assert notified(deployment) == (["SKIPPED"], []), "once, whichever machine was first"


def test_the_region_of_an_unreadable_finding_is_told_where_it_says_one(
    deployment: Deployment, finding_event: Make
) -> None:
    call("open", event={**finding_event(severity="high", region="eu-west-1"), "region": REGION})
    assert [incident["region"] for incident in deployment.incidents()] == ["eu-west-1"]


# -- changes ---------------------------------------------------------------------------------------


def _change(envelope: dict[str, Any], **detail: Any) -> dict[str, Any]:
    return {
        "source": "aws.ec2",
        "detail-type": "AWS API Call via CloudTrail",
        "id": "b1",
        **envelope,
        "detail": {
            "eventName": "ModifyNetworkInterfaceAttribute",
            "eventID": "ev-1",
            "awsRegion": "us-east-1",
            "recipientAccountId": "222222222222",
            "requestParameters": {"networkInterfaceId": ENI},
            "userIdentity": {"type": "IAMUser", "userName": "bob"},
            **detail,
        },
    }


@pytest.fixture
def held(incident: Begin, record: IncidentRepository) -> str:
    incident_id = incident(status="CONTAINED")
    record.set_target(incident_id, "ec2_instance", "i-1", watched=[ENI, "app"], status="CONTAINED")
    upkeep.take_up(record, [record.meta(incident_id)])
    return incident_id


@pytest.mark.parametrize(
    "envelope", [*ENVELOPES, {}], ids=lambda entry: " ".join(entry.values()) or "none"
)
def test_a_forwarded_change_is_checked_whatever_its_envelope(
    deployment: Deployment, held: str, envelope: dict[str, str]
) -> None:
    assert watch(_change(envelope)) == {"started": [held]}


def test_an_iam_call_of_the_global_region_counts(deployment: Deployment, held: str) -> None:
    """IAM's calls are recorded in us-east-1, wherever the incident is."""
    away = {"account": "222222222222", "region": "us-east-1"}
    change = _change(
        away, eventName="DeleteRolePolicy", requestParameters={"roleName": "app", "policyName": "x"}
    )
    assert watch({**change, "source": "aws.iam"}) == {"started": [held]}


def test_without_the_record_saying_whose_it_is_the_envelope_does(
    deployment: Deployment, held: str
) -> None:
    assert watch(_change({"account": "222222222222"}, recipientAccountId=None)) == {
        "started": [held]
    }
    assert watch(_change({"account": "333333333333"}, recipientAccountId=None, eventID="ev-2")) == {
        "started": []
    }


@pytest.mark.parametrize(
    "envelope", ENVELOPES, ids=lambda entry: f"{entry['account']} {entry['region']}"
)
def test_another_accounts_change_is_none_of_it(
    deployment: Deployment, held: str, envelope: dict[str, str]
) -> None:
    assert watch(_change(envelope, recipientAccountId="444444444444")) == {"started": []}
