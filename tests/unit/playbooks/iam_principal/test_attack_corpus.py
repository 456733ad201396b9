"""The calls of known attack techniques: each is undone, or people get a command that names its
resource.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.playbooks.iam_principal import condense
from guardduty_response.playbooks.iam_principal.eradicate import manual_commands
from guardduty_response.playbooks.iam_principal.reversals.changes import (
    MOST_COMMAND,
    Change,
    parse,
)

from tests.support import attack_corpus, attack_upstream
from tests.support.attack_corpus import Answer, Call, Technique, techniques
from tests.unit.deployment import REGION, Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import EradicationLab
from tests.unit.playbooks.iam_principal.test_manual_commands import OFFICE

Json = dict[str, Any]
ALL = [(technique.id, call) for technique in techniques() for call in technique.calls]
CHANGES = [pytest.param(call, id=f"{id}-{call.event}") for id, call in ALL if not call.error]
REFUSED = [pytest.param(call, id=f"{id}-{call.event}") for id, call in ALL if call.error]
# A credential or a sign-in was handed out; no resource is there to be changed back.
HANDED_OUT = {"signin:ConsoleLogin", "sts:GetFederationToken"}
# Settings of an account in a Region: the Region is all that names them.
OF_THE_ACCOUNT = {"ec2:EnableSerialConsoleAccess", "bedrock:PutUseCaseForModelAccess"}
# Commands that only show what was done: it has happened, and nothing of it stands.
HAPPENED = {
    "ssm:SendCommand",
    "ssm:TerminateSession",
    "ec2-instance-connect:SendSSHPublicKey",
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
}
# No command of the AWS CLI takes these back; this one says how it is, or how it was.
ONLY_SHOWN = {
    "ec2:DeleteFlowLogs",
    "bedrock:PutFoundationModelEntitlement",
    "bedrock:PutUseCaseForModelAccess",
}


def changed(call: Call) -> Change:
    change = call.change
    assert change is not None
    return change


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


def test_all_techniques_are_there() -> None:
    assert len(techniques()) == 35
    assert all(technique.calls or technique.reads for technique in techniques())


@pytest.mark.parametrize("call", CHANGES)
def test_each_change_is_undone_or_listed_with_a_command_that_names_its_resource(call: Call) -> None:
    answer, texts = call.answer()
    if call.event in HANDED_OUT:
        assert (answer, texts) == (Answer.NOTED, [])
        return
    assert answer in (Answer.UNDONE, Answer.LISTED)
    if answer is Answer.UNDONE:
        return
    [command] = texts
    assert "lookup-events" not in command and len(command) <= MOST_COMMAND
    words = shlex.split(command)
    if call.event in OF_THE_ACCOUNT:
        assert ("--region", attack_corpus.REGION) in pairwise(words)
    else:
        assert (
            call.resource and call.resource in command.replace("=", " ").replace(",", " ").split()
        )


@pytest.mark.parametrize("call", CHANGES)
def test_a_command_changes_it_back_unless_nothing_can(call: Call) -> None:
    answer, texts = call.answer()
    if answer is Answer.LISTED:
        shows = shlex.split(texts[0])[2].startswith(("get-", "describe-", "list-"))
        assert shows == (call.event in HAPPENED | ONLY_SHOWN)


@pytest.mark.parametrize("call", REFUSED)
def test_a_call_that_aws_refused_is_no_change(call: Call) -> None:
    assert call.answer() == (Answer.REFUSED, [])
    assert not condense.mutating(call.record)
    assert not cloudtrail_event.is_outside_change(call.record, frozenset())
    assert call._replace(error="").change is not None, "it is the error alone"


@pytest.mark.parametrize(
    "technique",
    techniques(),
    ids=lambda technique: technique.id,
)
def test_what_only_reads_is_no_change(technique: Technique) -> None:
    for event in technique.reads:
        source, _, name = event.partition(":")
        record = {"eventSource": f"{source}.amazonaws.com", "eventName": name, "readOnly": True}
        assert not condense.mutating(record)


@pytest.mark.parametrize("call", CHANGES)
def test_of_what_is_not_undone_people_read_the_resource(lab: EradicationLab, call: Call) -> None:
    """Made from the owner's address before the finding: nothing is undone by itself."""
    source, _, name = call.event.partition(":")
    lab.happened(
        source,
        name,
        call.parameters or {},
        call.response,
        **OFFICE,
    )
    lab.eradicate()
    assert lab.changed() == []
    if call.event in HANDED_OUT:
        assert lab.left == []
        return
    [left] = lab.left
    assert "By hand: aws " in left and "lookup-events" not in left
    resource = call.resource or f"--region {REGION}"
    if resource == attack_corpus.ACCOUNT:
        resource = lab.account
    assert resource in left.partition("By hand: ")[2]


@pytest.mark.parametrize(
    ("parameters", "command"),
    [
        ({"instanceId": "i-1", "userData": "x"}, "--attribute userData --value file://"),
        ({"instanceId": "i-1", "disableApiTermination": {"value": False}}, "describe-instances"),
        ({"instanceId": "i-1"}, "describe-instances"),
    ],
)
def test_the_command_depends_on_what_was_changed(parameters: Json, command: str) -> None:
    record = Call(
        "ec2:ModifyInstanceAttribute",
        parameters,
        None,
        "i-1",
        "",
    ).record
    change = parse(condense.change(record))
    assert change is not None
    [found] = manual_commands.commands_for(change)
    assert command in found and " i-1 " in found


def test_the_document_is_what_the_fixture_gives() -> None:
    document = attack_corpus.render()
    assert document == attack_corpus.DOCUMENT.read_text(encoding="utf-8"), (
        "run 'PYTHONPATH=lambda_src python -m tests.support.attack_corpus'"
    )
    rows = [line for line in document.splitlines() if line.startswith("| `aws.")]
    assert len(rows) == 35


# -- upstream --------------------------------------------------------------------------------------


def _write_clone(folder: Path) -> Path:
    """A clone whose recorded events are those of the fixture."""
    logs = folder / attack_upstream.LOGS
    logs.mkdir(parents=True)
    for technique in techniques():
        read = {"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole", "readOnly": True}
        records = [read, *(call.record for call in technique.calls)]
        (logs / f"{technique.id}.json").write_text(json.dumps(records))
    return folder


def _git(clone: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(
        ["git", *who, "-C", str(clone), *words],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("bare", [False, True])
def test_the_comparison_reads_a_clone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: bool
) -> None:
    clone = _write_clone(tmp_path / "clone")
    if bare:
        _git(
            clone,
            "init",
            "-q",
        )
        _git(
            clone,
            "add",
            ".",
        )
        _git(
            clone,
            "commit",
            "-qm",
            "logs",
        )
        _git(
            tmp_path,
            "clone",
            "-q",
            "--bare",
            "clone",
            "bare",
        )
        clone = tmp_path / "bare"
    assert attack_upstream.main([str(clone)]) == 0
    assert "has the techniques and calls of the clone" in capsys.readouterr().out


def test_the_comparison_tells_every_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = _write_clone(tmp_path)
    logs = clone / attack_upstream.LOGS
    (logs / "aws.defense-evasion.cloudtrail-stop.json").write_text("[]")
    (logs / "aws.defense-evasion.cloudtrail-delete.json").unlink()
    new = Call(
        "iam:CreateGroup",
        {},
        {},
        "",
        "AccessDenied",
    )
    (logs / "aws.impact.new.json").write_text(json.dumps([new.record]))
    backdoor = logs / "aws.persistence.iam-backdoor-user.json"
    backdoor.write_text(json.dumps([*json.loads(backdoor.read_text()), new.record]))
    assert attack_upstream.main([str(clone)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "aws.impact.new is not in the fixture",
        "aws.defense-evasion.cloudtrail-delete is not in the clone",
        "aws.defense-evasion.cloudtrail-stop: cloudtrail:StopLogging is not in the clone",
        "aws.persistence.iam-backdoor-user: iam:CreateGroup is not in the fixture",
    ]


def test_what_is_no_clone_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert attack_upstream.main([str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
