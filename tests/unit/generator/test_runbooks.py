"""The tables of the runbooks: what each control does, and how a person does it by hand."""

from __future__ import annotations

import json
import shlex

import generate
import pytest
from botocore import xform_name
from botocore.session import Session
from generator import runbook
from guardduty_response.containment.declared import Example

from tests.support.repository import ROOT

_SESSION = Session()


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
    assert shape
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


def test_a_row_says_how_the_denial_of_older_sessions_is_taken_back() -> None:
    restored = _row("revoke_sessions", 1)[4]
    assert restored.startswith("`aws iam delete-role-policy --role-name ROLE --policy-name AWSRev")


def test_an_example_leaves_its_control_as_it_was() -> None:
    """The table is the same however often it is made."""
    examples = generate.examples("iam_principal")
    options = generate.options("iam_principal")
    before = [_settings(example) for example in examples]
    assert runbook.table(examples, options) == runbook.table(examples, options)
    assert [_settings(example) for example in examples] == before


def _settings(example: Example) -> str:
    return json.dumps(example.control.state.settings, default=str)
