"""What follows from the controls: policies, undoing calls, the runbooks' tables and
docs/permissions.md.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import generate
import pytest
from botocore import xform_name
from botocore.session import Session
from generator import permissions, policies, runbook, undoing
from guardduty_response.containment import session_policy
from guardduty_response.containment.control import Control, Grant
from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    Example,
    MemberRole,
    Permission,
)

from tests.support.member_policies import rendered
from tests.support.policy_oracle import decide
from tests.support.repository import ROOT
from tests.unit.test_packaging import build

Json = dict[str, Any]
MEMBER, PREFIX = "222222222222", "guardduty-response"
INSTANCES = "arn:${partition}:ec2:*:${account_id}:instance/*"
VOLUMES = "arn:${partition}:ec2:*:${account_id}:volume/*"
OWN = "arn:${partition}:ec2:*:${account_id}:security-group/*"
TAGGED = {"StringEquals": {"aws:ResourceTag/${name_prefix}": "quarantine"}}
_SESSION = Session()


class Stop(Control[Any, Any]):
    name = "stop"
    service = "ec2"
    reads = (Grant(("ec2:DescribeInstances",), "*"),)
    contains = (Grant(("ec2:StopInstances",), INSTANCES),)
    restores = (Grant(("ec2:StartInstances",), INSTANCES),)
    undone_by = ("StartInstances",)


class KeepVolumes(Control[Any, Any]):
    name = "keep_volumes"
    service = "ec2"
    reads = (Grant(("ec2:DescribeInstances", "ec2:DescribeVolumes"), "*"),)
    contains = (
        Grant(("ec2:ModifyInstanceAttribute",), INSTANCES),
        Grant(("ec2:ModifyInstanceAttribute",), VOLUMES),
        Grant(("ec2:RevokeSecurityGroupEgress",), OWN, TAGGED),
    )
    undone_by = ("ModifyInstanceAttribute",)


class OutOfLoadBalancers(Control[Any, Any]):
    name = "deregister"
    service = "elbv2"
    undone_by = ("RegisterTargets",)


class Label(Control[Any, Any]):
    name = "tag"
    label = True
    undone_by = ("UntagUser",)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is generated, in place of the repository's."""
    shutil.copytree(ROOT / "playbooks", tmp_path / "playbooks")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / generate.DOCUMENT, tmp_path / "docs")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return tmp_path


# -- the committed files ---------------------------------------------------------------------------


def test_what_is_committed_is_what_the_controls_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err
    assert "iam_principal" in generate.ported()


def test_changed_files_are_found_and_written_again(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a runbook, the table alone."""
    texts = {name: (copied / name).read_text() for name in generate.files()}
    assert len(texts) > 10
    for name, text in texts.items():
        changed = (
            text.replace(":", "::") if name.endswith(".json") else text.replace("aws ", "asw ")
        )
        assert changed != text or name == generate.DOCUMENT
        (copied / name).write_text(changed if changed != text else f"{text}\n")
    assert generate.main(["--check"]) == 1
    said = capsys.readouterr().err
    for name in texts:
        assert f"{name} is not what the controls give: run 'make zips'" in said
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    for name, text in texts.items():
        assert (copied / name).read_text() == text or name.endswith("runbook.md")


def test_a_missing_file_is_written(copied: Path) -> None:
    policy = copied / "playbooks" / "iam_principal" / "monitor-policy.json"
    policy.unlink()
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert policy.read_text() == (ROOT / policy.relative_to(copied)).read_text()


def test_a_runbook_keeps_what_people_wrote(copied: Path) -> None:
    page = copied / "playbooks" / "iam_principal" / "runbook.md"
    page.write_text(page.read_text() + "\nAsk the owner first.\n")
    assert generate.main([]) == 0
    assert page.read_text().endswith("\nAsk the owner first.\n")


def test_a_runbook_without_a_place_for_the_table_is_refused(copied: Path) -> None:
    page = copied / "playbooks" / "iam_principal" / "runbook.md"
    page.write_text(page.read_text().replace(runbook.END, ""))
    with pytest.raises(ValueError, match=r"iam_principal/runbook\.md has no place for the table"):
        generate.main([])


def test_what_only_documents_need_is_in_no_zip() -> None:
    for name, files in build.contents().items():
        declared = [
            file
            for file in files
            if "/permissions/" in file or file.endswith(("/examples.py", "containment/declared.py"))
        ]
        assert declared == [], name


# -- policies --------------------------------------------------------------------------------------


def _of(role: MemberRole, *controls: type[Control[Any, Any]]) -> list[Json]:
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
        contains = (Grant(("ec2:DescribeInstances",), "*"),)

    assert len(_of(MemberRole("responder", (READS, CONTAINS), ()), Again)) == 1


def test_two_statements_never_share_a_sid() -> None:
    other = {"StringEquals": {"aws:ResourceTag/${name_prefix}": "untrack"}}

    class Both(KeepVolumes):
        contains = (
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
        contains = (Grant(("ec2:AuthorizeSecurityGroupEgress",), OWN, TAGGED, "untrack"),)

    role = MemberRole("responder", (CONTAINS,), ())
    found = policies.statements([KeepVolumes, Untrack], role)
    assert [(statement.actions, statement.switch) for statement in found[1:]] == [
        (("ec2:RevokeSecurityGroupEgress",), ""),
        (("ec2:AuthorizeSecurityGroupEgress",), "untrack"),
    ]


def test_what_finds_a_setting_is_read_with_it() -> None:
    class Found(Stop):
        finds = (Grant(("ec2:DescribeTags",), "*"),)

    [statement] = _of(MemberRole("monitor", (READS, FINDS), ()), Found)
    assert statement["Action"] == ["ec2:DescribeInstances", "ec2:DescribeTags"]
    [statement] = _of(MemberRole("restorer", (READS,), ()), Found)
    assert statement["Action"] == "ec2:DescribeInstances"


def test_a_policy_of_switched_statements_alone_is_refused() -> None:
    switched = Permission("x", ("ec2:CreateTags",), sid="TagGroups", switch="rotate")
    found = policies.statements([], MemberRole("responder", (), (switched,)))
    with pytest.raises(ValueError, match="needs a statement that no switch adds"):
        policies.template(found)


@pytest.mark.parametrize("kind", ["responder", "restorer", "remediator"])
@pytest.mark.parametrize("switched_on", [True, False])
def test_no_role_changes_one_of_the_response(kind: str, switched_on: bool) -> None:
    """Whichever control asks for it: each action on roles has to be among what is denied."""
    template = ROOT / "playbooks" / "iam_principal" / f"{kind}-policy.json"
    policy = rendered(template, switched_on, MEMBER, PREFIX)
    own = f"arn:aws:iam::{MEMBER}:role/{PREFIX}-responder-ec2-instance"
    other = f"arn:aws:iam::{MEMBER}:role/app"
    keys = {
        "aws__TagKeys": [PREFIX],
        "iam__PermissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll",
    }
    changing = {
        action
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
        if "Role" in action and not session_policy.reads(action)
    }
    assert changing
    for action in changing:
        assert decide([policy], action, other, **keys) == "Allow", action
        assert decide([policy], action, own, **keys) == "Deny", action


# -- undoing calls ---------------------------------------------------------------------------------


def test_undoing_calls_are_listed_by_the_source_of_their_events() -> None:
    controls = [Stop, KeepVolumes, OutOfLoadBalancers, Label]
    assert json.loads(undoing.undoing_calls(controls)) == {
        "aws.ec2": ["ModifyInstanceAttribute", "StartInstances"],
        "aws.elasticloadbalancing": ["RegisterTargets"],
    }


# -- runbooks --------------------------------------------------------------------------------------


def _commands() -> list[str]:
    return sorted(
        {
            command
            for name in generate.ported()
            for example in generate.examples(name)
            for command in runbook.commands(example)
        }
    )


@pytest.mark.parametrize("command", _commands())
def test_a_command_can_be_pasted(command: str) -> None:
    """AWS has the call, knows every option of it, and misses none."""
    program, service, call, *words = shlex.split(command)
    model = _SESSION.get_service_model(service)
    [operation] = [
        name for name in model.operation_names if xform_name(name).replace("_", "-") == call
    ]
    shape = model.operation_model(operation).input_shape
    known = {f"--{xform_name(member, '-')}": member for member in shape.members}
    known |= {option.replace("--", "--no-", 1): member for option, member in known.items()}
    given = {word for word in words if word.startswith("--")} - {"--region"}
    assert program == "aws"
    assert given <= known.keys()
    assert {known[option] for option in given} >= set(shape.required_members)
    for value in words:
        if value.startswith(("{", "[")):
            assert json.loads(value)


def test_a_table_shows_every_control() -> None:
    for name in generate.ported():
        text = (ROOT / "playbooks" / name / "runbook.md").read_text()
        shown = text.partition(runbook.BEGIN)[2].partition(runbook.END)[0]
        for control in generate.declared(name).controls:
            assert f"\n| `{control.name}` (" in shown, control.name


def test_a_control_without_an_example_is_refused() -> None:
    declared = permissions.Declared("own", (Stop,), (MemberRole("responder", (READS,), ()),), ())
    with pytest.raises(ValueError, match=r"stop of own has no example: add it to playbooks/own/"):
        permissions.document([declared])


def _row(name: str, nth: int = 0) -> list[str]:
    """Returns the cells of a control's row."""
    examples = generate.examples("iam_principal")
    table = runbook.table(examples, generate.options("iam_principal"))
    rows = [line for line in table.splitlines() if line.startswith(f"| `{name}` ")]
    return [cell.strip() for cell in rows[nth].strip("|").split(" | ")]


@pytest.mark.parametrize(
    ("name", "critical", "option"),
    [
        ("deny_all", "yes: else FAILED", "always"),
        ("deactivate_access_keys", "no: else PARTIAL", "always"),
        ("tag_user", "no: a label", "always"),
        ("deactivate_mfa", "no: else PARTIAL", "`deactivate_mfa`, on by default"),
        ("console_password", "no: else PARTIAL", "`console_password = remove`, the default"),
    ],
)
def test_a_row_says_what_depends_on_a_control(name: str, critical: str, option: str) -> None:
    cells = _row(name)
    assert (cells[2], cells[5]) == (critical, option)


def test_a_row_says_why_a_setting_cannot_come_back() -> None:
    restored = _row("console_password")[4]
    assert restored.startswith("the console password of USER was removed and cannot come back")
    assert restored.endswith(
        "`aws iam create-login-profile --user-name USER --password NEW --password-reset-required`"
    )


def test_a_row_says_what_stays_by_design() -> None:
    restored = _row("revoke_sessions", 1)[4]
    assert "stay dead by design" in restored
    assert "aws iam delete-role-policy" in restored


def test_an_example_leaves_its_control_as_it_was() -> None:
    """The table is the same however often it is made."""
    examples = generate.examples("iam_principal")
    options = generate.options("iam_principal")
    before = [_settings(example) for example in examples]
    assert runbook.table(examples, options) == runbook.table(examples, options)
    assert [_settings(example) for example in examples] == before


def _settings(example: Example) -> str:
    return json.dumps(example.control.state.settings, default=str)


# -- docs/permissions.md ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", generate.ported())
def test_the_page_has_every_action_of_every_role(name: str) -> None:
    text = (ROOT / generate.DOCUMENT).read_text()
    for role in generate.declared(name).roles:
        section = text.partition(f"### {name}: {role.kind}\n")[2].partition("\n### ")[0]
        template = ROOT / "playbooks" / name / f"{role.kind}-policy.json"
        document = rendered(template, True, MEMBER, PREFIX)
        for statement in document["Statement"]:
            named = statement["Action"]
            for action in [named] if isinstance(named, str) else named:
                assert f"`{action}`" in section, f"{role.kind}: {action}"


SETTINGS: tuple[tuple[str, Callable[[MemberRole], bool]], ...] = (
    ("a reason", lambda role: all(permission.why for permission in role.permissions)),
    (
        "a name for what is denied or switched",
        lambda role: all(
            permission.sid
            for permission in role.permissions
            if permission.denies or permission.switch
        ),
    ),
)


@pytest.mark.parametrize(("what", "holds"), SETTINGS, ids=[what for what, _ in SETTINGS])
def test_every_permission_has(what: str, holds: Callable[[MemberRole], bool]) -> None:
    for name in generate.ported():
        for role in generate.declared(name).roles:
            assert holds(role), f"{name}: {role.kind} lacks {what}"
