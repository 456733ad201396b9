"""What a forwarder sends on is what the home Region's rules answer: asked of EventBridge's
matcher, with every finding of the corpus.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from guardduty_response.decision import finding

from tests.support.repository import ROOT, load_finding
from tests.terraform.plan.plan_events import (
    delivered_findings,
    made_up,
    matches,
    other_events,
)

if TYPE_CHECKING:
    from tests.support.forwarding_plan import Forwarding
    from tests.support.terraform_tools import Plan, Planner

pytestmark = pytest.mark.terraform
KIND = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
PLAYBOOKS = {"ec2_instance": {KIND: "auto"}, "both": {KIND: "auto", "*:IAMUser/*": "auto"}}


def _home(plan: Planner, which: str) -> Plan:
    return plan(remediations=PLAYBOOKS[which], organization_id="o-sandbox001")


@pytest.mark.parametrize(("module", "which"), [("one_playbook", "ec2_instance"), ("away", "both")])
def test_home_and_forwarder_have_the_same_patterns(
    forwarding: Forwarding, plan: Planner, module: str, which: str
) -> None:
    home = _home(plan, which).patterns
    changes = {name: pattern for name, pattern in home.items() if name.startswith("changes")}
    assert forwarding.patterns(module) == {"findings": home["notice"], **changes}
    assert len(changes) == (2 if which == "both" else 1)


def test_a_member_sends_no_finding_at_all(forwarding: Forwarding) -> None:
    member, away = forwarding.patterns("in_member"), forwarding.patterns("away")
    assert set(member) == {"changes", "changes-2"}
    assert member == {name: away[name] for name in member}
    for changes in member.values():
        assert not matches(changes, made_up(KIND))
        assert not matches(changes, {**made_up(KIND), "detail-type": "AWS API Call via CloudTrail"})


def test_findings_are_sent_on_exactly_when_home_answers_them(
    forwarding: Forwarding, plan: Planner
) -> None:
    away, home = forwarding.patterns("away"), _home(plan, "both").patterns
    events, archived = delivered_findings(), 0
    assert len(events) >= 80
    for name, event in events.items():
        sent = matches(away["findings"], event)
        assert sent == matches(home["notice"], event), name
        assert sent or not matches(home["act"], event), f"what home acts on must be sent on: {name}"
        hidden = finding.get(event["detail"], "service", "archived") in (True, "true")
        archived += hidden
        assert sent != hidden, name
        assert not any(matches(away[change], event) for change in ("changes", "changes-2")), name
    assert archived >= 3
    others = other_events()
    assert len(others) >= 10
    for name, event in others.items():
        assert not any(matches(pattern, event) for pattern in away.values()), name


def test_findings_of_our_own(forwarding: Forwarding) -> None:
    pattern = forwarding.patterns("away")["findings"]
    assert matches(pattern, load_finding())
    for missing_or_false in (False, "false", ...):
        assert matches(pattern, made_up(KIND, missing_or_false))
    for archived in (True, "true"):
        assert not matches(pattern, made_up(KIND, archived))
    assert not matches(pattern, load_finding("malware_object_scan_result"))
    assert not matches(pattern, {**made_up(KIND), "source": "my.app"})
    assert not matches(pattern, {**made_up(KIND), "detail-type": "AWS API Call via CloudTrail"})


def _change(source: str, name: str, **detail: Any) -> Any:
    service = source.removeprefix("aws.")
    record = {
        "eventName": name,
        "eventSource": f"{service}.amazonaws.com",
        "userIdentity": {"type": "IAMUser"},
        **detail,
    }
    return {"source": source, "detail-type": "AWS API Call via CloudTrail", "detail": record}


def test_every_call_that_can_undo_a_containment_is_sent_on(forwarding: Forwarding) -> None:
    """By one rule alone: each rule that takes it would start the reconciler."""
    away = forwarding.patterns("away")
    both = [away["changes"], away["changes-2"]]
    single = forwarding.patterns("one_playbook")["changes"]
    for playbook in ("ec2_instance", "iam_principal"):
        listed = json.loads((ROOT / "playbooks" / playbook / "undoing-calls.json").read_text())
        for source, calls in listed.items():
            for name in calls:
                assert sum(matches(rule, _change(source, name)) for rule in both) == 1, name
                assert matches(single, _change(source, name)) or playbook == "iam_principal", name
    assert not matches(single, _change("aws.iam", "CreateAccessKey")), (
        "a playbook not in use is not watched"
    )
    for event in (
        _change("aws.ec2", "DescribeInstances"),
        _change("aws.s3", "ModifyInstanceAttribute"),
        _change("aws.ec2", "ModifyInstanceAttribute", errorCode="Client.UnauthorizedOperation"),
        {**_change("aws.ec2", "ModifyInstanceAttribute"), "detail-type": "GuardDuty Finding"},
    ):
        assert not any(matches(rule, event) for rule in both)
