"""The control that CONTRIBUTING.md writes as an example: it contains and restores, and what is
made of it is what the page shows.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import generate
import pytest
import yaml
from generator import policies, runbook, stand_in, undoing
from guardduty_response.containment.control import AnyControl, actions_of
from guardduty_response.containment.target_context import FAILED
from guardduty_response.playbooks.iam_principal import examples, permissions, user

from tests.support import session_policies
from tests.support.repository import ROOT
from tests.unit.playbooks.iam_principal.iam_lab import IamLab

TEXT = (ROOT / "CONTRIBUTING.md").read_text().split("### A worked example\n")[1].split("\n## ")[0]
NAME = "delete_inline_policies"


def _block(beginning: str, language: str) -> str:
    """Returns the code block of a language whose text begins so."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    [found] = [
        block
        for written_in, block in blocks
        if written_in == language and block.startswith(beginning)
    ]
    return str(found)


def _module(directory: Path, name: str, text: str) -> ModuleType:
    path = directory / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[AnyControl]:
    """The control of the page, among those of a user, with the roles' policies that follow."""
    made: type[AnyControl] = _module(
        tmp_path, "inline_policies", _block('"""Takes away', "python")
    ).InlinePolicies
    monkeypatch.setattr(user, "TABLE", (*user.TABLE, made))
    monkeypatch.setattr(user, "CONTROLS", (*user.CONTROLS, made))
    monkeypatch.setattr(user, "READ", (*user.READ, *actions_of(made.reads)))
    monkeypatch.setattr(user, "CHANGE", (*user.CHANGE, *actions_of(made.contains)))
    folder = tmp_path / "iam_principal"
    folder.mkdir()
    for role in permissions.ROLES:
        statements = policies.statements((*permissions.CONTROLS, made), role)
        (folder / f"{role.kind}-policy.json").write_text(policies.template(statements))
    monkeypatch.setattr(session_policies, "TEMPLATES", tuple(folder.iterdir()))
    return made


@pytest.fixture
def options(control: type[AnyControl]) -> dict[str, Any]:
    """The options of the manifest with the page's."""
    added = yaml.safe_load(_block("inline_policies:", "yaml"))
    return {**generate.options("iam_principal"), **added}


@pytest.mark.usefixtures("untrimmed_models", "control")
def test_the_test_of_the_page_passes(iam: IamLab, tmp_path: Path) -> None:
    own = _module(tmp_path, "own_test", _block("import json\n\nimport pytest", "python"))
    own.test_inline_policies_go_and_come_back(iam)


@pytest.mark.usefixtures("untrimmed_models", "control")
def test_what_comes_later_is_contained_and_given_back(iam: IamLab) -> None:
    iam.user().options["inline_policies"] = True
    put_policy(iam, "first")
    before = iam.dump()["inline"]
    assert iam.respond().status == "CONTAINED"
    put_policy(iam, "second")
    before["second"] = iam.dump()["inline"]["second"]
    target = iam.ids["target"]

    assert iam.verify(target).status == "CONTAINED", "it contains again what it had contained"
    assert iam.dump()["inline"] == {}
    iam.restore()
    assert iam.dump()["inline"] == before


@pytest.mark.usefixtures("untrimmed_models", "control")
def test_a_refused_call_is_reported_with_the_command(iam: IamLab) -> None:
    iam.user().options["inline_policies"] = True
    put_policy(iam, "web")
    iam.fail("DeleteUserPolicy", "AccessDenied")
    assert iam.respond().status == "PARTIAL"
    assert iam.actions()[NAME] == FAILED
    command = "By hand: aws iam delete-user-policy --user-name alice --policy-name web"
    assert command in iam.detail(NAME)
    assert set(iam.key_states().values()) == {"Inactive"}


@pytest.mark.usefixtures("untrimmed_models", "control")
def test_what_cannot_be_read_is_not_taken_for_contained(iam: IamLab) -> None:
    iam.user().options["inline_policies"] = True
    iam.fail("ListUserPolicies", "AccessDenied")
    assert iam.respond().status == "PARTIAL"
    check = iam.checks[NAME]
    assert (check.ok, check.read) == (False, False)


@pytest.mark.usefixtures("untrimmed_models", "control")
def test_switched_off_it_changes_nothing(iam: IamLab) -> None:
    iam.user().options["inline_policies"] = False
    put_policy(iam, "web")
    assert iam.respond().status == "CONTAINED"
    assert set(iam.dump()["inline"]) == {"web"}


def put_policy(iam: IamLab, name: str) -> None:
    statement = {"Effect": "Allow", "Action": f"{name}:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    put = {"UserName": "alice", "PolicyName": name, "PolicyDocument": json.dumps(document)}
    iam.see().put_user_policy(**put)


# -- what is made of it ----------------------------------------------------------------------------


def _added(control: type[AnyControl]) -> dict[str, str]:
    """Returns what each file gains by the control, as the page writes it."""
    controls = permissions.CONTROLS
    found = {}
    for role in permissions.ROLES:
        if role.uses:
            before = policies.statements(controls, role)
            after = policies.statements((*controls, control), role)
            gains = {statement.sid: set(statement.actions) for statement in after}
            for statement in before:
                gains[statement.sid] -= set(statement.actions)
            found[f"`{role.kind}-policy.json`"] = _gains(gains)
    calls = json.loads(undoing.undoing_calls((*controls, control)))
    known = json.loads(undoing.undoing_calls(controls))
    gains = {source: set(names) - set(known[source]) for source, names in calls.items()}
    return {**found, "`undoing-calls.json`": _gains(gains)}


def _gains(gains: dict[str, set[str]]) -> str:
    return "; ".join(
        f"{name}: {', '.join(f'`{action}`' for action in sorted(actions))}"
        for name, actions in gains.items()
        if actions
    )


def test_the_files_gain_what_the_page_says(control: type[AnyControl]) -> None:
    rows = re.findall(r"^\| (`[\w-]+\.json`) \| (.+) \|$", TEXT, flags=re.MULTILINE)
    assert dict(rows) == _added(control)


def test_the_row_is_the_one_of_the_page(control: type[AnyControl], options: dict[str, Any]) -> None:
    line = _block("shown(", "python")
    before = re.fullmatch(r"shown\(InlinePolicies, (.+)\)\n", line)
    assert before
    context = stand_in.context(runbook.defaults(options))
    example = examples._example(
        examples.USER, examples._user(context), control, json.loads(before[1])
    )
    rows = runbook.table([example], options).splitlines()[2:]
    assert "\n".join(rows) + "\n" == _block(f"| `{NAME}`", "")
