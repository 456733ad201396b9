"""What is committed is what the controls give: policies, undoing calls, the runbooks' tables and
docs/permissions.md.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import generate
import pytest
from generator import permissions, runbook, undoing
from guardduty_response.containment.declared import (
    CONTAINS,
    FINDS,
    READS,
    RESTORES,
    MemberRole,
    grants_of,
)

from tests.support.member_policies import rendered
from tests.support.repository import ROOT
from tests.unit.generator.own_controls import KeepVolumes, Label, OutOfLoadBalancers, Stop
from tests.unit.packaging import build

MEMBER, PREFIX = "222222222222", "guardduty-response"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is generated, in place of the repository's."""
    shutil.copytree(ROOT / "playbooks", tmp_path / "playbooks")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / generate.DOCUMENT, tmp_path / "docs")
    monkeypatch.setattr(
        generate,
        "ROOT",
        tmp_path,
    )
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
        assert f"{name} is not what the controls give: run lambda_src/generate.py" in said
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


def test_a_runbook_without_a_place_for_the_table_is_refused(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = copied / "playbooks" / "iam_principal" / "runbook.md"
    page.write_text(page.read_text().replace(runbook.END, ""))
    assert generate.main([]) == 1
    said = capsys.readouterr().err
    assert "playbooks/iam_principal/runbook.md has no place for the table" in said


def test_an_option_that_the_manifest_lacks_is_named(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = copied / "playbooks" / "iam_principal" / "playbook.yaml"
    manifest.write_text(manifest.read_text().replace("  deactivate_mfa:", "  deactivate_totp:"))
    assert generate.main(["--check"]) == 1
    assert "the manifest has no option deactivate_mfa, which the control" in capsys.readouterr().err


def test_what_only_documents_need_is_in_no_zip() -> None:
    for name, files in build.contents().items():
        declared = [
            file
            for file in files
            if "/permissions/" in file or file.endswith(("/examples.py", "containment/declared.py"))
        ]
        assert declared == [], name


# -- undoing calls ---------------------------------------------------------------------------------


def test_undoing_calls_are_listed_by_the_source_of_their_events() -> None:
    controls = [Stop, KeepVolumes, OutOfLoadBalancers, Label]
    assert json.loads(undoing.undoing_calls(controls)) == {
        "aws.ec2": ["ModifyInstanceAttribute", "StartInstances"],
        "aws.elasticloadbalancing": ["RegisterTargets"],
    }


# -- docs/permissions.md ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", generate.ported())
def test_the_page_has_every_action_of_every_role(name: str) -> None:
    text = (ROOT / generate.DOCUMENT).read_text()
    for role in generate.declared(name).roles:
        section = text.partition(f"### {name}: {role.kind}\n")[2].partition("\n### ")[0]
        template = ROOT / "playbooks" / name / f"{role.kind}-policy.json"
        document = rendered(
            template,
            True,
            MEMBER,
            PREFIX,
        )
        for statement in document["Statement"]:
            named = statement["Action"]
            for action in [named] if isinstance(named, str) else named:
                assert f"`{action}`" in section, f"{role.kind}: {action}"


@pytest.mark.parametrize("name", generate.ported())
def test_every_permission_has_a_reason(name: str) -> None:
    for role in generate.declared(name).roles:
        assert all(permission.why for permission in role.permissions), role.kind


@pytest.mark.parametrize("name", generate.ported())
def test_every_reason_is_of_an_action_of_a_control(name: str) -> None:
    declared = generate.declared(name)
    granted = {
        (control.name, action)
        for control in declared.controls
        for purpose in (READS, FINDS, CONTAINS, RESTORES)
        for grant in grants_of(control, purpose)
        for action in grant.actions
    }
    assert declared.why and declared.why.keys() <= granted


def test_a_control_without_an_example_is_refused() -> None:
    roles = (MemberRole("responder", (READS,), ()),)
    declared = permissions.Declared(
        "own",
        (Stop,),
        roles,
        (),
        {},
    )
    with pytest.raises(ValueError, match=r"stop of own has no example: add it to playbooks/own/"):
        permissions.document([declared])
