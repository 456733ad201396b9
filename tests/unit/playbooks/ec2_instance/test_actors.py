"""Who undid a containment. moto has no LookupEvents: CloudTrail is a botocore Stubber here, which
checks every parameter against AWS's model; tests/e2e/test_watch.py asks the sandbox's CloudTrail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from guardduty_response.cloudtrail import actors as cloudtrail_actors
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.cloudtrail import query
from guardduty_response.containment.contract import Check
from guardduty_response.containment.session_policy import accepted
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.playbooks.ec2_instance import actors
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from tests.support.repository import ROOT
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX, REGION, Lab

ENI, SINCE = "eni-0123456789abcdef0", "2026-11-24T08:00:00.500000Z"
OPENED = Check(f"interface {ENI}", False, "is OPEN", fatal=True)


class Trail:
    """A stubbed CloudTrail per Region."""

    def __init__(self) -> None:
        self.clients: dict[str, tuple[Any, Stubber]] = {}
        self.policies: list[Any] = []

    def on(self, region: str) -> Stubber:
        if region not in self.clients:
            client = boto3.client("cloudtrail", region_name=region)
            stub = Stubber(client)
            stub.activate()
            self.clients[region] = client, stub
        return self.clients[region][1]

    def answer(self, key: str, value: str, *trails: Any, region: str = REGION) -> None:
        events = [
            {"EventId": str(event.get("eventID")), "CloudTrailEvent": json.dumps(event)}
            for event in trails
        ]
        asked = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}],
            "StartTime": ANY,
            "MaxResults": 50,
        }
        self.on(region).add_response("lookup_events", {"Events": events}, asked)

    def assume(self, _account: str, region: str, policy: Any) -> Any:
        self.policies.append(policy)
        self.on(region)
        client = self.clients[region][0]

        class Session:
            def client(self, service: str) -> Any:
                assert service == "cloudtrail"
                return client

        return Session()


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trail]:
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0)
    made = Trail()
    yield made
    for _, stub in made.clients.values():
        stub.assert_no_pending_responses()


@pytest.fixture
def instance(lab: Lab, trail: Trail) -> InstanceContext:
    lab.build()
    target = lab.plan()
    lab.record.before(
        INCIDENT, target.kind, target.id, "profile", {"role": "arn:aws:iam::222222222222:role/app"}
    )
    context = lab.context()
    context.assume = trail.assume
    return InstanceContext(context, target)


def _event(
    name: str = "ModifyNetworkInterfaceAttribute", at: str = "2026-11-24T08:05:00Z", **more: Any
) -> dict[str, Any]:
    """A record as CloudTrail writes it."""
    user = {"type": "IAMUser", "arn": "arn:aws:iam::222222222222:user/bob"}
    return {
        "eventName": name,
        "eventTime": at,
        "eventID": f"{name}-{at}",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2",
        "userIdentity": user,
        "requestParameters": {"networkInterfaceId": ENI},
        **more,
    }


def _who(
    instance: InstanceContext,
    *failed_checks: Check,
    since: str = SINCE,
    seen: Any = None,
    watched: Any = (),
) -> list[Any]:
    return actors.find(instance, list(failed_checks), since, seen, list(watched))


def test_the_event_of_the_interface_is_found(instance: InstanceContext, trail: Trail) -> None:
    trail.answer("ResourceName", ENI, _event())
    assert _who(instance, OPENED) == [
        {
            "who": "arn:aws:iam::222222222222:user/bob",
            "what": "ModifyNetworkInterfaceAttribute",
            "when": "2026-11-24T08:05:00Z",
            "from": "198.51.100.7",
            "agent": "aws-cli/2",
            "event_id": "ModifyNetworkInterfaceAttribute-2026-11-24T08:05:00Z",
        }
    ]
    assert trail.policies == [policy(allow(("cloudtrail:LookupEvents",)))]
    assert accepted(trail.policies[0])


def test_it_is_asked_from_when_it_was_last_seen_to_hold(
    instance: InstanceContext, trail: Trail
) -> None:
    stub, asked = trail.on(REGION), {}
    client = trail.clients[REGION][0]
    client.meta.events.register(
        "provide-client-params.cloudtrail.LookupEvents", lambda params, **_: asked.update(params)
    )
    stub.add_response("lookup_events", {"Events": [{"CloudTrailEvent": json.dumps(_event())}]})
    _who(instance, OPENED)
    assert asked["StartTime"] == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "event",
    [
        _event(errorCode="Client.UnauthorizedOperation"),
        _event("DescribeNetworkInterfaces"),
        _event("CreateTags"),
        _event(requestParameters={"networkInterfaceId": "eni-0fffffffffffffff0"}),
        _event(
            userIdentity={
                "type": "AssumedRole",
                "arn": "x",
                "sessionContext": {
                    "sessionIssuer": {
                        "arn": f"arn:aws:iam::222222222222:role/{PREFIX}-responder-ec2-instance"
                    }
                },
            }
        ),
    ],
    ids=["refused", "only read", "no undoing call", "another interface", "the response itself"],
)
def test_what_is_none_of_it_is_left_out(
    instance: InstanceContext, trail: Trail, event: Any
) -> None:
    trail.answer("ResourceName", ENI, event)
    for name in actors.CALLS["interface"]:
        trail.answer("EventName", name)
    assert _who(instance, OPENED) == []


def test_the_newest_come_first_and_no_more_than_a_reader_can_use(
    instance: InstanceContext, trail: Trail
) -> None:
    trail.answer("ResourceName", ENI, *[_event(at=f"2026-11-24T08:0{n}:00Z") for n in range(9)])
    assert [change["when"][14:16] for change in _who(instance, OPENED)] == [
        "08",
        "07",
        "06",
        "05",
        "04",
    ]


def test_a_call_under_which_no_resource_is_recorded_is_found_by_its_name(
    instance: InstanceContext, trail: Trail
) -> None:
    failed_checks = Check("replace_instance_profile", False, "not replaced")
    parameters = {"ReplaceIamInstanceProfileAssociationRequest": {"AssociationId": "iip-assoc-1"}}
    trail.answer("ResourceName", instance.id)
    trail.answer(
        "EventName",
        "ReplaceIamInstanceProfileAssociation",
        _event("ReplaceIamInstanceProfileAssociation", requestParameters=parameters),
    )
    [found] = _who(instance, failed_checks, watched=["iip-assoc-1"])
    assert found["what"] == "ReplaceIamInstanceProfileAssociation"


def test_a_group_that_was_named_by_its_name_is_found(
    instance: InstanceContext, trail: Trail
) -> None:
    group = "sg-0123456789abcdef0"
    failed, call = Check(f"group {group}", False, "has rules"), "AuthorizeSecurityGroupIngress"
    parameters = {"groupName": "quarantine"}
    rules = {"securityGroupRuleSet": {"items": [{"groupId": group}]}}
    by_answer = _event(call, requestParameters=parameters, responseElements=rules)
    trail.answer("ResourceName", group, by_answer)
    assert [change["what"] for change in _who(instance, failed)] == [call]
    by_name = _event(call, requestParameters=parameters, responseElements={"_return": True})
    trail.answer("ResourceName", group, by_name)
    assert [change["what"] for change in _who(instance, failed, watched=["quarantine"])] == [call]


def test_iam_is_asked_where_it_records(instance: InstanceContext, trail: Trail) -> None:
    instance.target = instance.target._replace(region="eu-central-1")
    gone = _event("DeleteRolePolicy", requestParameters={"roleName": "app", "policyName": "x"})
    trail.answer("ResourceName", "app", gone, region="us-east-1")
    assert [
        change["what"]
        for change in _who(instance, Check("revoke_sessions", False, "gone"), watched=["app"])
    ] == ["DeleteRolePolicy"]


def test_what_was_heard_of_is_taken_when_it_fits(instance: InstanceContext, trail: Trail) -> None:
    seen = cloudtrail_event.change(_event())
    assert _who(instance, OPENED, seen=seen) == [seen]
    assert trail.policies == [], "CloudTrail is not asked"


@pytest.mark.parametrize(
    "change", [{"what": "RegisterTargets"}, {"when": "2026-11-24T07:00:00Z"}, {"when": "yesterday"}]
)
def test_what_was_heard_of_is_not_blamed_for_something_else(
    instance: InstanceContext, trail: Trail, change: Any
) -> None:
    trail.answer("ResourceName", ENI, _event())
    [found] = _who(
        instance, OPENED, seen={**cloudtrail_event.change(_event()), "event_id": "other", **change}
    )
    assert found["event_id"].startswith("ModifyNetworkInterfaceAttribute")


def test_many_undone_parts_are_asked_about_within_bounds(
    instance: InstanceContext, trail: Trail
) -> None:
    failed_checks = [
        Check(f"interface eni-0123456789abcdef{n}", False, "is OPEN") for n in range(9)
    ]
    for n in range(cloudtrail_actors.MAX_QUERIES):
        trail.answer("ResourceName", f"eni-0123456789abcdef{n}")
    assert _who(instance, *failed_checks) == []
    assert len(trail.policies) == 1, "one session asks them all"


def test_twice_a_second(
    instance: InstanceContext, trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(query, "PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(time, "sleep", slept.append)
    trail.answer("ResourceName", ENI)
    for name in actors.CALLS["interface"]:
        trail.answer("EventName", name)
    _who(instance, OPENED)
    assert [round(seconds, 1) for seconds in slept] == [0, 0.5, 0.5, 0.5]


def test_a_refusal_is_the_callers_to_tell(instance: InstanceContext, trail: Trail) -> None:
    trail.on(REGION).add_client_error("lookup_events", "AccessDeniedException", "no")
    with pytest.raises(ClientError, match="AccessDenied"):
        _who(instance, OPENED)


def test_the_rules_list_and_the_lookups_are_the_same() -> None:
    listed = json.loads((ROOT / "playbooks" / "ec2_instance" / "undoing-calls.json").read_text())
    assert {call for calls in listed.values() for call in calls} == {
        call for calls in actors.CALLS.values() for call in calls
    }


def test_every_call_exists() -> None:
    """By AWS's models, under the event source it is listed for."""
    listed = json.loads((ROOT / "playbooks" / "ec2_instance" / "undoing-calls.json").read_text())
    services = {
        "aws.ec2": "ec2",
        "aws.iam": "iam",
        "aws.autoscaling": "autoscaling",
        "aws.elasticloadbalancing": "elbv2",
    }
    for source, calls in listed.items():
        create_client: Callable[..., Any] = boto3.client
        client = create_client(services[source], region_name=REGION)
        known = client.meta.service_model.operation_names
        assert set(calls) <= set(known), source
