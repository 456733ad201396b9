"""Terraform's effective_policy and the functions' policy.decide say the same of every known
finding type; rules cover it.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from guardduty_response.decision import configuration, finding, manifests, policy
from guardduty_response.errors import ResponseError

from cli import effective_policy, policy_documents
from tests.support.catalogue import finding_types, playbook_of
from tests.support.repository import load_finding
from tests.terraform.plan.plan_events import (
    delivered_findings,
    made_up,
    malformed,
    matches,
    other_events,
)

if TYPE_CHECKING:
    from tests.support.one_account import OneAccountPlanner
    from tests.support.terraform_tools import Plan

pytestmark = pytest.mark.terraform
ACCOUNT, OTHER = "222222222222", "333333333333"
MAPS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one type": {"remediations": {"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"}},
    "everything acts": {"remediations": {"*": "auto"}},
    "off inside a glob": {
        "remediations": {
            "*:EC2/*": "auto",
            "CryptoCurrency:EC2/BitcoinTool.B": "off",
            "Trojan:EC2/*": "dry_run",
            "*:IAMUser/*": "approve",
            "*!DNS": "approve",
        },
    },
    "accounts": {
        "remediations": {
            "CryptoCurrency:*": "auto",
            "Backdoor:EC2/*": "notify",
            "Recon:EC2/Port*Port": "off",
        },
        "account_remediations": {
            ACCOUNT: {
                "CryptoCurrency:EC2/*": "off",
                "CryptoCurrency:EC2/BitcoinTool.B!DNS": "approve",
                "Backdoor:EC2/C&CActivity.B": "auto",
                "*:S3/*": "auto",
            },
            OTHER: {"*": "dry_run"},
        },
    },
    # one rule of exact types and prefixes
    "prefixes": {
        "remediations": {
            "CryptoCurrency:*": "auto",
            "CryptoCurrency:EC2/*": "off",
            "Backdoor:EC2/C&CActivity.B": "approve",
            "Trojan:EC2/*": "dry_run",
        },
        "account_remediations": {ACCOUNT: {"UnauthorizedAccess:IAMUser/*": "auto"}},
    },
    "types of one's own, and the management account": {
        "remediations": {"*:EC2/*": "auto", "Persistence:IAM/*": "approve"},
        "account_remediations": {ACCOUNT: {"*:IAMUser/*": "dry_run"}},
        "extra_finding_types": ["Backdoor:EC2/NewThing", "Persistence:IAM/OfARule"],
        "management_account_id": OTHER,
    },
    # several rules
    "every type by name": {
        "remediations": {kind: "auto" for kind in finding_types() if playbook_of(kind)}
    },
}


def _settings(planned: Plan) -> configuration.Config:
    return configuration.parse(
        planned.document, hashlib.sha256(planned.document.encode()).hexdigest()
    )


@pytest.fixture(params=MAPS, scope="module")
def planned(request: pytest.FixtureRequest, plan: OneAccountPlanner) -> Plan:
    plan.prepare(*MAPS.values())
    return plan(**MAPS[request.param])


def test_both_decide_alike(planned: Plan) -> None:
    settings, decided = _settings(planned), 0
    for kind, entry in planned.policy.items():
        found = policy.decide(settings, kind, "999999999999", 10, entry["playbook"], "")
        assert (found.mode, found.key, found.scope) == (
            entry["mode"],
            entry["key"],
            entry["scope"],
        ), kind
        for account in settings.account_remediations:
            own = policy.decide(settings, kind, account, 10, entry["playbook"], "")
            exception = entry["accounts"].get(account)
            wanted = (
                (exception["mode"], exception["key"])
                if exception
                else (entry["mode"], entry["key"])
            )
            assert (own.mode, own.key) == wanted, (kind, account)
            assert (own.scope == "account") == bool(exception)
        decided += 1
    assert decided > 250


def test_the_command_shows_the_same(planned: Plan) -> None:
    """cli/effective_policy.py, from what Terraform shows of the plan."""
    [(_, after, unknown)] = policy_documents.deployments(planned.shown).values()
    assert after and not unknown
    shown = effective_policy.effective(after, effective_policy.finding_types(after))
    assert shown.keys() == planned.policy.keys()
    for kind, entry in planned.policy.items():
        found = shown[kind]
        assert (found["mode"], found["key"], found["playbook"], found["below"]) == (
            entry["mode"],
            entry["key"],
            entry["playbook"],
            [],
        ), kind
        own = {account: (what["mode"], what["key"]) for account, what in found["accounts"].items()}
        assert own == {
            account: (what["mode"], what["key"]) for account, what in entry["accounts"].items()
        }, kind


def test_the_command_comments_what_a_plan_changes(plan: OneAccountPlanner) -> None:
    kind = "CryptoCurrency:EC2/BitcoinTool.B"
    shown = plan(remediations={kind: "approve"}, minimum_severity={"approve": 4}).shown
    assert "resource_changes" in shown, "a plan of its own, as a pipeline makes one"
    assert effective_policy.as_markdown(shown) == [
        "### What GuardDuty findings are answered with",
        "",
        "The response is new here.",
        f"- `{kind}`: notify → **approve, dry_run below severity 4 by `{kind}`**",
        "",
        "0 resources are destroyed or replaced.",
    ]


def test_every_type_is_answered_by_exactly_one_machine(planned: Plan) -> None:
    """incident: the rule act matches and the mode acts. notice: the rule notice matches and the
    mode is notify. off: neither.
    """
    settings = _settings(planned)
    for kind, entry in planned.policy.items():
        event = made_up(kind)
        for account in ("999999999999", *settings.account_remediations):
            mode = policy.decide(settings, kind, account, 10, entry["playbook"], "").mode
            acting, notified = mode in policy.ACTING, mode == "notify"
            incident = planned.acts(partial(matches, event=event)) and acting
            notice = matches(planned.patterns["notice"], event) and notified
            assert incident == acting, f"the rule act must let {kind} ({mode} in {account}) through"
            assert notice == notified
            assert incident + notice == (mode != "off")


def test_rule_1_is_simple_enough_for_eventbridge(planned: Plan) -> None:
    """No wildcard (EventBridge refuses complex patterns) and fewer than 2,048 characters."""
    for pattern in planned.patterns.values():
        assert "wildcard" not in pattern
        assert len(pattern) < 2048


def test_rules_take_unarchived_findings_only(planned: Plan) -> None:
    kind = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
    for pattern in planned.patterns.values():
        for archived in (True, "true"):
            assert not matches(pattern, made_up(kind, archived))
        for source, detail_type in (
            ("aws.guardduty", "AWS API Call via CloudTrail"),
            ("my.app", "GuardDuty Finding"),
        ):
            assert not matches(
                pattern, {**made_up(kind), "source": source, "detail-type": detail_type}
            )
    for missing_or_false in (False, "false", ...):
        assert matches(planned.patterns["notice"], made_up(kind, missing_or_false))


def _expected(settings: configuration.Config, event: dict[str, Any]) -> str:
    """The mode of a finding, as Open decides it; "unreadable" for what lacks a field that
    is needed.
    """
    if finding.get(event, "detail", "service", "archived") in (True, "true"):
        return "archived"
    try:
        seen = finding.parse(event)
    except ResponseError:
        return "unreadable"
    return policy.decide(
        settings, seen.type, seen.account_id, seen.severity, *manifests.playbook_for(seen)
    ).mode


def _agree(planned: Plan, name: str, event: dict[str, Any]) -> str:
    settings = _settings(planned)
    mode = _expected(settings, event)
    noticed = matches(planned.patterns["notice"], event)
    acted = planned.acts(partial(matches, event=event))
    if mode == "archived":
        assert not noticed and not acted, name
    else:
        assert noticed, f"the rule notice must take {name}"
        assert acted or mode not in policy.ACTING, f"the rule act must take {name} ({mode})"
    return mode


def test_findings_of_our_own(planned: Plan) -> None:
    for name in (
        "cryptocurrency_ec2_bitcointool_b_dns",
        "recon_ec2_portprobeunprotectedport",
        "unauthorizedaccess_iamuser_consoleloginsuccess_b",
    ):
        _agree(planned, name, load_finding(name))
    scan = load_finding("malware_object_scan_result")
    assert not any(matches(pattern, scan) for pattern in planned.patterns.values())


def test_every_finding_of_the_corpus(planned: Plan) -> None:
    """Every finding the policy lets act reaches the rule act, every unarchived one the rule notice,
    and nothing else reaches either: in its own account and in those with exceptions.
    """
    events = delivered_findings()
    assert len(events) >= 80
    unreadable = set()
    for name, event in events.items():
        for account in (event["detail"].get("accountId"), ACCOUNT, OTHER):
            mode = _agree(
                planned, name, {**event, "detail": {**event["detail"], "accountId": account}}
            )
            if mode == "unreadable":
                unreadable.add(name)
    of_the_corpus = {name for name in unreadable if not name.startswith("added ")}
    assert of_the_corpus and of_the_corpus <= malformed()
    others = other_events()
    assert len(others) >= 10
    for name, event in others.items():
        assert not any(matches(pattern, event) for pattern in planned.patterns.values()), name
