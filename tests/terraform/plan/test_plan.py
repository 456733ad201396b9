"""What the module plans: the values that matter, and how much of it there is."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from guardduty_response.decision import configuration

from tests.support.catalogue import finding_types, playbook_of

if TYPE_CHECKING:
    from tests.support.one_account import OneAccountPlanner
    from tests.support.terraform_tools import Plan, Planner

pytestmark = pytest.mark.terraform
SECURITY, MEMBER = "111111111111", "222222222222"
ONE = {"CryptoCurrency:EC2/BitcoinTool.B!DNS": "auto"}
INCIDENT = "module.security.module.incident[0]"


BOUNDARY = f"arn:aws:iam::{SECURITY}:policy/boundary"
ALL_THAT_ONE_PLAYBOOK_ANSWERS = {
    kind: "auto" for kind in finding_types() if playbook_of(kind) == "ec2_instance"
}
CASES: dict[str, dict[str, Any]] = {
    "default": {"remediations": ONE, "organization_id": "o-sandbox001"},
    "many": {"remediations": ALL_THAT_ONE_PLAYBOOK_ANSWERS, "organization_id": "o-sandbox001"},
    "idle": {"remediations": {"*": "notify"}, "organization_id": "o-sandbox001"},
    "off": {"remediations": {"*": "off"}},
    "nothing": {"create": False, "guardduty": None, "remediations": ONE},
    "everything": {
        "remediations": {"*": "auto"},
        "forensics": {"when": "before"},
        "ec2_instance": {"restore": True, "finish": "terminate"},
        "iam_principal": {
            "restore": True,
            "remediate": ["users"],
            "rotate_key": {"reader_arns": [f"arn:aws:iam::{SECURITY}:role/owner"]},
        },
    },
    "boundary": {
        "remediations": ONE,
        "iam": {"path": "/security/", "permissions_boundary": BOUNDARY},
    },
}


@pytest.fixture(scope="module")
def planned(plan: OneAccountPlanner) -> dict[str, Plan]:
    """The plan of each case."""
    plan.prepare(*CASES.values())
    return {name: plan(**case) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def default(planned: dict[str, Plan]) -> Plan:
    return planned["default"]


def test_more_finding_types_cost_next_to_nothing(planned: dict[str, Plan]) -> None:
    """Within one playbook: one type, and every type that it answers by name. Only the rule act
    takes more rules for more types, each with its target.
    """
    default, many = planned["default"], planned["many"]
    assert len(ALL_THAT_ONE_PLAYBOOK_ANSWERS) > 50
    more = many.resources.keys() - default.resources.keys()
    assert default.resources.keys() <= many.resources.keys()
    rules = [name for name in many.patterns if name.startswith("act[")]
    assert len(more) == 2 * len(rules) <= 10
    assert all("_rule.act[" in address or '_target.this["act-' in address for address in more)


def test_a_playbook_costs_little(planned: dict[str, Plan]) -> None:
    """And nothing at all while no switch uses it."""
    default, idle = planned["default"], planned["idle"]
    more = default.resources.keys() - idle.resources.keys()
    logs = {address for address in more if "aws_cloudwatch_log_group" in address}
    # each a rule and a target; the watchdog lets two of them in
    rules = ("act", "watch", "changes")
    rule = {
        address
        for address in more
        if any(f"_rule.{name}[" in address or f'["{name}"]' in address for name in rules)
    }
    assert len(logs) == 3  # one function contains, another collects, a third monitors
    assert len(rule) == 8
    # a function, a role, its policy and settings for each, their alarms; that of the rule watch;
    # the alias by which the watchdog has one step run
    assert len(more - logs - rule) <= 17
    assert "act" not in idle.patterns
    assert not [address for address in idle.resources if "module.function" in address]


def test_off_and_create_false_leave_nothing(planned: dict[str, Plan]) -> None:
    off, nothing = planned["off"], planned["nothing"]
    assert "act" not in off.patterns
    assert {entry["mode"] for entry in off.policy.values()} == {"off"}
    assert [address for address in nothing.resources if address.startswith("module.security")] == []


def test_a_first_plan_knows_what_members_take(planned: dict[str, Plan]) -> None:
    """So members can be applied before the security account is (UPGRADING.md)."""
    for name in ("default", "everything"):
        outputs = planned[name].outputs
        handed = json.loads(outputs["for_member_accounts_json"])
        assert handed == outputs["for_member_accounts"]
        trusted = handed["roles"]["responder/ec2_instance"]["trusted_function_role_arn"]
        assert trusted.endswith(f":{SECURITY}:role/guardduty-response-playbook-ec2-instance")
    bus = planned["default"].outputs["for_member_accounts"]["forwarder"]["event_bus_arn"]
    assert bus.endswith(f":{SECURITY}:event-bus/default")


def test_functions_know_one_document(default: Plan) -> None:
    """The document that Terraform writes is one that the functions read."""
    parsed = configuration.parse(
        default.document, hashlib.sha256(default.document.encode()).hexdigest()
    )
    assert parsed.remediations == ONE
    assert (parsed.security_account, parsed.partition, parsed.paused) == (SECURITY, "aws", False)
    assert parsed.active_playbooks == ["ec2_instance"]
    assert parsed.guardrails["approval_timeout_minutes"] == 60


def test_functions(default: Plan) -> None:
    functions = default.of_type("aws_lambda_function")
    assert {function["function_name"]: function["handler"] for function in functions.values()} == {
        "guardduty-response-incident": "guardduty_response.functions.incident.handler",
        "guardduty-response-watchdog": "guardduty_response.functions.reconcile.handler",
        "guardduty-response-playbook-ec2-instance": "guardduty_response.functions.respond.handler",
        "guardduty-response-collect-ec2-instance": "guardduty_response.functions.collect.handler",
        "guardduty-response-monitor-ec2-instance": "guardduty_response.functions.monitor.handler",
    }
    for function in functions.values():
        assert function["runtime"] == "python3.13"
        assert function["timeout"] < 150, "shorter than the state that calls it waits"


def test_every_target_retries_for_a_day_and_keeps_what_it_cannot_deliver(default: Plan) -> None:
    targets = default.of_type("aws_cloudwatch_event_target")
    assert len(targets) == 9  # two of them the member's, of the changes there
    for target in targets.values():
        assert target["retry_policy"] == [
            {"maximum_event_age_in_seconds": 86400, "maximum_retry_attempts": 185}
        ]
        assert len(target["dead_letter_config"]) == 1


def test_who_trusts_whom(default: Plan) -> None:
    """Roles of services trust the service; the responder role trusts the playbook function's
    role, by condition.
    """
    trust = json.loads(default.outputs["trust_policies"]["responder"]["ec2_instance"])["Statement"]
    function = default.values(
        'module.security.module.function["ec2_instance/playbook"].aws_iam_role.this'
    )
    assert trust == [
        {
            "Sid": "PlaybookFunction",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": f"arn:aws:iam::{SECURITY}:root"},
            "Condition": {
                "ArnEquals": {
                    "aws:PrincipalArn": f"arn:aws:iam::{SECURITY}:role/{function['name']}"
                },
                "StringEquals": {"aws:PrincipalOrgID": "o-sandbox001"},
            },
        }
    ]
    service = {"events": "events", "incident_machine": "states", "notice_machine": "states"}
    for address, role in default.of_type("aws_iam_role").items():
        if not address.startswith("module.security"):
            continue
        [statement] = json.loads(role["assume_role_policy"])["Statement"]
        word = role["name"].removeprefix("guardduty-response-").replace("-", "_")
        assert statement["Principal"] == {
            "Service": f"{service.get(word, 'lambda')}.amazonaws.com"
        }, address
        assert role["permissions_boundary"] is None


def test_security_account_and_member_may_be_one(planned: dict[str, Plan]) -> None:
    """No role of the one has the name of a role of the other, whatever is switched on."""
    names = [
        (address.split(".")[1], role["name"])
        for address, role in planned["everything"].of_type("aws_iam_role").items()
    ]
    ours, theirs = ({name for side, name in names if side == of} for of in ("security", "member"))
    assert len(ours) >= 13 and len(theirs) >= 9
    assert ours & theirs == set()


def test_boundary_and_path_reach_every_role(planned: dict[str, Plan]) -> None:
    bounded = planned["boundary"]
    roles = bounded.of_type("aws_iam_role")
    assert len(roles) == 15
    assert {(role["path"], role["permissions_boundary"]) for role in roles.values()} == {
        ("/security/", BOUNDARY)
    }
    [trust] = json.loads(bounded.outputs["trust_policies"]["responder"]["ec2_instance"])[
        "Statement"
    ]
    assert (
        trust["Condition"]["ArnEquals"]["aws:PrincipalArn"]
        .split(":role")[1]
        .startswith("/security/guardduty-response-playbook")
    )


def test_nothing_is_kept_in_the_clear(default: Plan) -> None:
    table = default.values(f"{INCIDENT}.aws_dynamodb_table.incidents")
    assert table["server_side_encryption"][0]["enabled"] is True
    assert table["point_in_time_recovery"][0]["enabled"] is True
    access = default.values(f"{INCIDENT}.aws_s3_bucket_public_access_block.evidence[0]")
    names = (
        "block_public_acls",
        "block_public_policy",
        "ignore_public_acls",
        "restrict_public_buckets",
    )
    assert [access[name] for name in names] == [True] * 4
    machines = default.of_type("aws_sfn_state_machine")
    assert [
        machine["logging_configuration"][0]["include_execution_data"]
        for machine in machines.values()
    ] == [False, False]


@pytest.mark.parametrize(
    ("variables", "sentences"),
    [
        (
            {
                "remediations": {
                    "CryptoCurency:EC2/*": "auto",
                    "Backdoor:EC2/*": "automatic",
                },
            },
            ("CryptoCurrency:EC2/*", "allowed are off, notify, dry_run, approve, auto"),
        ),
        (
            {
                "remediations": ONE,
                "account_remediations": {"12233334444": {}},
                "kms": {"key_arn": "arn:aws:kms:eu-central-1:111122223333:key/1"},
                "notifications": {"email_addresses": ["soc@example.com", "soc@example"]},
                "exempt_accounts": ["1234"],
                "circuit_breaker": {"target": 5},
                "approval_tag": {"kye": "guardduty-response"},
            },
            (
                "12 digits",
                'write "012233334444" with them',
                "Set kms.create = false to use",
                'for example ["soc@example.com"]; it is "soc@example".',
                'not "1234"',
                "circuit_breaker has no target: its keys are targets, minutes,",
                "approval_tag has no kye: its keys are key and value.",
            ),
        ),
    ],
    ids=["misspelt key, unknown mode", "variables"],
)
def test_bad_switches_fail_the_plan_with_a_sentence(
    plan: Planner, variables: dict[str, Any], sentences: tuple[str, ...]
) -> None:
    from tests.support.terraform_tools import PlanError

    with pytest.raises(PlanError) as caught:
        plan(**variables)
    text = " ".join(str(caught.value).replace("│", " ").split())
    for sentence in sentences:
        assert sentence in text, text
