"""How grants become the statements of a role's policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from generator import policies
from guardduty_response.containment import session_policy
from guardduty_response.containment.control import AnyControl, Grant
from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    MemberRole,
    Permission,
)

from tests.support.member_policies import rendered
from tests.support.policy_oracle import decide
from tests.support.repository import ROOT
from tests.unit.generator.own_controls import (
    INSTANCES,
    OWN,
    TAGGED,
    VOLUMES,
    Grants,
    KeepVolumes,
    Stop,
)

Json = dict[str, Any]
MEMBER, PREFIX = "222222222222", "guardduty-response"


def _of(role: MemberRole, *controls: type[AnyControl]) -> list[Json]:
    found = [statement.document() for statement in policies.statements(controls, role)]
    text = policies.template(policies.statements(controls, role))
    assert json.loads(text)["Statement"] == found
    return found


def test_grants_with_the_same_resources_and_condition_share_a_statement() -> None:
    assert _of(MemberRole("responder", (READS, CONTAINS), ()), Stop, KeepVolumes) == [
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": ["ec2:DescribeInstances", "ec2:DescribeVolumes"],
            "Resource": "*",
        },
        {
            "Sid": "ContainInstances",
            "Effect": "Allow",
            "Action": "ec2:StopInstances",
            "Resource": INSTANCES,
        },
        {
            "Sid": "ContainInstancesVolumes",
            "Effect": "Allow",
            "Action": "ec2:ModifyInstanceAttribute",
            "Resource": [INSTANCES, VOLUMES],
        },
        {
            "Sid": "ContainSecurityGroupsByResourceTag",
            "Effect": "Allow",
            "Action": "ec2:RevokeSecurityGroupEgress",
            "Resource": OWN,
            "Condition": TAGGED,
        },
    ]


def test_a_role_has_only_what_it_is_for() -> None:
    restorer = MemberRole("restorer", (RESTORES,), ())
    [statement] = _of(restorer, Stop, KeepVolumes)
    assert (statement["Sid"], statement["Action"]) == ("RestoreInstances", "ec2:StartInstances")


def test_what_is_read_already_is_not_allowed_twice() -> None:
    class Again(Stop):
        contains: ClassVar[Grants] = (Grant(("ec2:DescribeInstances",), "*"),)

    assert len(_of(MemberRole("responder", (READS, CONTAINS), ()), Again)) == 1


def test_two_statements_never_share_a_sid() -> None:
    other = {"StringEquals": {"aws:ResourceTag/${name_prefix}": "untrack"}}

    class Both(KeepVolumes):
        contains: ClassVar[Grants] = (
            Grant(("ec2:RevokeSecurityGroupEgress",), OWN, TAGGED),
            Grant(("ec2:AuthorizeSecurityGroupEgress",), OWN, other),
        )

    found = _of(MemberRole("responder", (CONTAINS,), ()), Both)
    name = "ContainSecurityGroupsByResourceTag"
    assert [statement["Sid"] for statement in found] == [name, f"{name}2"]


def test_what_belongs_to_no_control_is_read_or_has_a_statement_of_its_own() -> None:
    own = Permission("x", ("ec2:CreateTags",), OWN, sid="TagGroups")
    asks = Permission("y", ("cloudtrail:LookupEvents",))
    denied = Permission("z", ("iam:*",), "*", sid="Never", denies=True)
    found = _of(MemberRole("responder", (READS,), (denied, own, asks)), Stop)
    assert [(statement["Sid"], statement["Effect"]) for statement in found] == [
        ("Read", "Allow"),
        ("TagGroups", "Allow"),
        ("Never", "Deny"),
    ]
    assert found[0]["Action"] == ["cloudtrail:LookupEvents", "ec2:DescribeInstances"]


@pytest.mark.parametrize("denies", [True, False])
def test_a_switched_statement_is_there_with_its_switch(denies: bool, tmp_path: Path) -> None:
    role = MemberRole(
        "responder",
        (READS,),
        (
            Permission("x", ("ec2:CreateTags",), OWN, sid="TagGroups", switch="rotate"),
            *([Permission("y", ("iam:*",), sid="Never", denies=True)] if denies else []),
        ),
    )
    template = tmp_path / "playbooks" / "own" / "responder-policy.json"
    template.parent.mkdir(parents=True)
    template.write_text(policies.template(policies.statements([Stop], role)))
    sids = [
        [statement["Sid"] for statement in rendered(template, on, MEMBER, PREFIX)["Statement"]]
        for on in (True, False)
    ]
    last = ["Never"] if denies else []
    switched, always = (
        (["Read", "TagGroups"], ["Read"]) if denies else (["TagGroups", "Read"], ["Read"])
    )
    assert sids == [switched + last, always + last]


def test_a_grant_with_an_option_has_a_switched_statement() -> None:
    class Untrack(KeepVolumes):
        contains: ClassVar[Grants] = (
            Grant(("ec2:AuthorizeSecurityGroupEgress",), OWN, TAGGED, "untrack"),
        )

    role = MemberRole("responder", (CONTAINS,), ())
    found = policies.statements([KeepVolumes, Untrack], role)
    assert [(statement.actions, statement.switch) for statement in found[1:]] == [
        (("ec2:RevokeSecurityGroupEgress",), ""),
        (("ec2:AuthorizeSecurityGroupEgress",), "untrack"),
    ]


def test_what_finds_a_setting_is_read_with_it() -> None:
    class Found(Stop):
        finds: ClassVar[Grants] = (Grant(("ec2:DescribeTags",), "*"),)

    [statement] = _of(MemberRole("monitor", (READS, FINDS), ()), Found)
    assert statement["Action"] == ["ec2:DescribeInstances", "ec2:DescribeTags"]
    [statement] = _of(MemberRole("restorer", (READS,), ()), Found)
    assert statement["Action"] == "ec2:DescribeInstances"


def test_a_policy_of_switched_statements_alone_is_refused() -> None:
    switched = Permission("x", ("ec2:CreateTags",), sid="TagGroups", switch="rotate")
    found = policies.statements([], MemberRole("responder", (), (switched,)))
    with pytest.raises(ValueError, match="needs a statement that no switch adds"):
        policies.template(found)


@pytest.mark.parametrize(
    "template", sorted((ROOT / "playbooks").glob("*/*-policy.json")), ids=lambda path: path.name
)
def test_a_policy_names_every_statement_once(template: Path) -> None:
    sids = [found["Sid"] for found in rendered(template, True, MEMBER, PREFIX)["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)


def test_what_is_denied_without_a_name_is_refused() -> None:
    """Else it would be allowed, as what is read."""
    denied = Permission("x", ("iam:*",), denies=True)
    with pytest.raises(ValueError, match="a permission that denies needs a Sid: x"):
        policies.statements([], MemberRole("responder", (READS,), (denied,)))


def _actions(statement: Json) -> list[str]:
    named = statement["Action"]
    return [named] if isinstance(named, str) else list(named)


@pytest.mark.parametrize("switched_on", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "ec2_instance/responder",
        "ec2_instance/restorer",
        "iam_principal/responder",
        "iam_principal/restorer",
        "iam_principal/remediator",
    ],
)
def test_no_role_changes_one_of_the_response(path: str, switched_on: bool) -> None:
    """Whichever control asks for it: each action on roles has to be among what is denied."""
    template = ROOT / "playbooks" / f"{path}-policy.json"
    policy = rendered(template, switched_on, MEMBER, PREFIX)
    keys: Json = {
        "aws__TagKeys": [PREFIX],
        "iam__PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll",
        "iam__PassedToService": "ec2.amazonaws.com",
    }
    changing = {
        action
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in _actions(statement)
        if action.startswith("iam:") and "Role" in action and not session_policy.reads(action)
    }
    role = f"arn:aws:iam::{MEMBER}:role"
    changing = {a for a in changing if decide([policy], a, f"{role}/app", **keys) == "Allow"}
    assert changing
    own = f"{role}/{PREFIX}-responder-ec2-instance"
    for action in changing:
        assert decide([policy], action, own, **keys) == "Deny", action
