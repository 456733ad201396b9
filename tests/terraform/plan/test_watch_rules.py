"""Which API calls wake the watch: the rule's pattern against CloudTrail's events, by
EventBridge's matcher.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repository import ROOT
from tests.terraform.plan.plan_events import matches

if TYPE_CHECKING:
    from tests.support.one_account import OneAccountPlanner
    from tests.support.terraform_tools import Plan

pytestmark = pytest.mark.terraform
RULE = "module.security.module.incident[0].aws_cloudwatch_event_rule"
LISTED = json.loads((ROOT / "playbooks" / "ec2_instance" / "undoing-calls.json").read_text())


SWITCHES = {
    "remediations": {"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"},
    "organization_id": "o-sandbox001",
}
LONG_PREFIX = {**SWITCHES, "name_prefix": "g" * 20}


@pytest.fixture(scope="module")
def planned(plan: OneAccountPlanner) -> Plan:
    plan.prepare(SWITCHES, LONG_PREFIX)
    return plan(**SWITCHES)


def _event(
    name: str = "ModifyNetworkInterfaceAttribute",
    source: str = "aws.ec2",
    issuer: str = "admin",
    **more: Any,
) -> Any:
    """AWS CloudTrail, "AWS API Call via CloudTrail", of a role's session."""
    identity = {
        "type": "AssumedRole",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": issuer}},
    }
    detail = {
        "eventName": name,
        "eventSource": source.replace("aws.", "") + ".amazonaws.com",
        "userIdentity": identity,
        **more,
    }
    return {"source": source, "detail-type": "AWS API Call via CloudTrail", "detail": detail}


@pytest.mark.parametrize(
    ("source", "name"), [(source, name) for source, calls in LISTED.items() for name in calls]
)
def test_every_call_that_can_undo_containment_wakes_it(
    planned: Plan, source: str, name: str
) -> None:
    assert matches(planned.patterns["changes"], _event(name, source))


@pytest.mark.parametrize(
    "identity",
    [
        {"type": "IAMUser", "userName": "bob", "arn": "arn:aws:iam::222222222222:user/bob"},
        {"type": "Root", "arn": "arn:aws:iam::222222222222:root"},
        {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"},
        {
            "type": "IAMUser",
            "userName": "bob",
            "sessionContext": {"attributes": {"mfaAuthenticated": "true"}},
        },
    ],
    ids=["user", "root", "service", "user with MFA"],
)
def test_whoever_calls_counts(planned: Plan, identity: Any) -> None:
    """An identity without a session issuer too: anything-but alone would not match an absent
    field.
    """
    assert matches(planned.patterns["changes"], _event(userIdentity=identity))


@pytest.mark.parametrize("kind", ["restorer", "remediator", "terminator"])
def test_a_name_that_may_be_free_is_no_way_past_it(planned: Plan, kind: str) -> None:
    """Roles that are off by default: the watchdog knows by ARN which of them there are."""
    assert matches(
        planned.patterns["changes"], _event(issuer=f"guardduty-response-{kind}-ec2-instance")
    )


@pytest.mark.parametrize("kind", ["responder", "collector"])
def test_the_response_does_not_wake_itself(planned: Plan, kind: str) -> None:
    own = f"guardduty-response-{kind}-ec2-instance"
    assert not matches(planned.patterns["changes"], _event(issuer=own))
    assert matches(planned.patterns["changes"], _event(issuer=f"{own}-2")), "only the very name"


@pytest.mark.parametrize(
    "event",
    [
        _event("DescribeInstances"),
        _event("CreateTags"),
        _event("RunInstances"),
        _event(errorCode="Client.UnauthorizedOperation"),
        _event(source="aws.s3"),
        {**_event(), "detail-type": "AWS Console Sign In via CloudTrail"},
    ],
    ids=["read", "tags", "run", "refused", "another service", "no API call"],
)
def test_nothing_else_wakes_it(planned: Plan, event: Any) -> None:
    assert not matches(planned.patterns["changes"], event)


def test_the_pattern_fits_also_with_a_long_prefix(plan: OneAccountPlanner) -> None:
    assert len(plan(**LONG_PREFIX).patterns["changes"]) < 2048


def test_the_schedule(planned: Plan) -> None:
    """Every minute: which checks are due then is written with each containment."""
    assert planned.values(f"{RULE}.watch[0]")["schedule_expression"] == "rate(1 minute)"
    target = planned.values(
        'module.security.module.incident[0].aws_cloudwatch_event_target.this["watch"]'
    )
    [transformer] = target["input_transformer"]
    assert transformer["input_paths"] == {"id": "$.id"}
    assert json.loads(transformer["input_template"].replace("<id>", '"e1"')) == {
        "source": "guardduty-response.watch",
        "id": "e1",
    }


def test_without_a_playbook_in_use_nothing_is_watched(plan: OneAccountPlanner) -> None:
    idle = plan(remediations={"*": "notify"}, organization_id="o-sandbox001")
    ours = [address for address in idle.resources if address.startswith("module.security.")]
    assert ours
    assert not [address for address in ours if "watch[0]" in address or "changes[0]" in address]
