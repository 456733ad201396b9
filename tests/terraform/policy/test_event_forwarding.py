"""Who may put what onto the home Region's bus: asked of an IAM evaluator.

Across accounts both must say yes: the forwarder's role, and the policy of the bus (AWS IAM User
Guide, "Cross-account policy evaluation logic"). The sandbox's bus asks both as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.forwarding_plan import HOME_BUS, ORGANIZATION, PATH, PREFIX, SECURITY
from tests.support.policy_oracle import decide

if TYPE_CHECKING:
    from tests.support.forwarding_plan import Forwarding

pytestmark = pytest.mark.terraform
MEMBER = "222222222222"
CHANGE, FINDING = "AWS API Call via CloudTrail", "GuardDuty Finding"


def _role(
    name: str = f"{PREFIX}-forwarder-eu-west-1", account: str = MEMBER, path: str = PATH
) -> str:
    return f"arn:aws:iam::{account}:role{path}{name}"


def _bus(
    policy: str,
    role: str,
    detail_type: str = CHANGE,
    organization: str | None = ORGANIZATION,
    action: str = "events:PutEvents",
    resource: str = HOME_BUS,
) -> str:
    context: dict[str, Any] = {"events__detail-type": detail_type}
    if organization:
        context["aws__PrincipalOrgID"] = organization
    return decide([policy], action, resource, principal=role, **context)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-southeast-5"])
@pytest.mark.parametrize("account", [MEMBER, "333333333333"])
def test_a_members_forwarder_is_let_in(forwarding: Forwarding, account: str, region: str) -> None:
    assert _bus(forwarding.bus_policy, _role(f"{PREFIX}-forwarder-{region}", account)) == "Allow"


@pytest.mark.parametrize(
    "case",
    [
        {"organization": "o-another001"},
        {"organization": None},
        {"detail_type": FINDING},
        {"detail_type": "Step Functions Execution Status Change"},
        {"detail_type": "AWS API Call via CloudTrail "},
        {"role": _role("admin")},
        {"role": _role(f"x-{PREFIX}-forwarder-eu-west-1")},
        {"role": _role(f"{PREFIX}-responder-ec2-instance")},
        {"role": _role(path="/")},
        {"role": _role(path="/security/other/")},
        {"role": f"arn:aws:iam::{MEMBER}:user{PATH}{PREFIX}-forwarder-eu-west-1"},
        {"role": f"arn:aws:iam::{MEMBER}:root"},
        {"action": "events:PutRule"},
        {"action": "events:PutTargets"},
        {"action": "events:PutPermission"},
        {"resource": HOME_BUS.replace("default", "other")},
        {"resource": HOME_BUS.replace("us-east-1", "eu-west-1")},
    ],
    ids=lambda case: " ".join(f"{name}={value}" for name, value in case.items()),
)
def test_nobody_else_and_nothing_else_is(forwarding: Forwarding, case: dict[str, Any]) -> None:
    assert _bus(forwarding.bus_policy, case.pop("role", None) or _role(), **case) == "ImplicitDeny"


def test_the_bus_policy_fits_and_says_one_thing(forwarding: Forwarding) -> None:
    document = json.loads(forwarding.bus_policy)
    assert len(document["Statement"]) == 1
    assert len(forwarding.bus_policy) < 10240, "the quota of an event bus's policy"


@pytest.mark.parametrize("module", ["away", "in_member"])
def test_a_forwarder_may_put_onto_that_bus_alone(forwarding: Forwarding, module: str) -> None:
    policy = forwarding.role_policy(module)
    bus = HOME_BUS if module == "away" else HOME_BUS.replace(SECURITY, "999999999999")
    assert decide([policy], "events:PutEvents", bus, principal=_role()) == "Allow"
    for action, resource in [
        ("events:PutEvents", bus.replace("us-east-1", "eu-west-1")),
        ("events:PutEvents", bus.replace("default", "other")),
        ("events:PutEvents", f"arn:aws:events:us-east-1:{MEMBER}:event-bus/default"),
        ("events:PutRule", bus),
        ("events:PutTargets", f"arn:aws:events:us-east-1:{SECURITY}:rule/{PREFIX}-act"),
        ("sts:AssumeRole", f"arn:aws:iam::{SECURITY}:role/{PREFIX}-playbook-ec2-instance"),
        ("sqs:SendMessage", f"arn:aws:sqs:eu-west-1:{SECURITY}:{PREFIX}-undelivered"),
        (
            "lambda:InvokeFunction",
            f"arn:aws:lambda:us-east-1:{SECURITY}:function:{PREFIX}-watchdog",
        ),
    ]:
        assert decide([policy], action, resource, principal=_role()) == "ImplicitDeny", (
            action,
            resource,
        )


def test_both_sides_name_the_same_role(forwarding: Forwarding) -> None:
    """The bus lets in what modules/region-forwarder makes: a name of one length in every Region,
    within IAM's 64.
    """
    for prefix in (PREFIX, "a" * 26):
        assert len(f"{prefix}-forwarder-ap-southeast-1") <= 64
    statement = json.loads(forwarding.bus_policy)["Statement"][0]
    assert (
        statement["Condition"]["ArnLike"]["aws:PrincipalArn"]
        == f"arn:aws:iam::*:role{PATH}{PREFIX}-forwarder-*"
    )
