"""The sandbox's own parts, without emulators: files of findings, the record's shape, Terraform's
output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox import (
    cli,
    environment,
    findings,
    incidents,
    processes,
    settings,
    show,
    state,
    terraform,
)
from sandbox.clients import Aws
from sandbox.settings import SandboxError
from tests.support.patience import PATIENCE, until

FIXTURE = (
    settings.ROOT / "tests" / "fixtures" / "findings" / "cryptocurrency_ec2_bitcointool_b_dns.json"
)


def write(directory: Path, content: str | bytes) -> Path:
    path = directory / "finding.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON: .* line 1"),
        ("[1]", "holds a JSON list, not an object"),
        (b"\xff\xfe{}", "not a text file in UTF-8"),
    ],
)
def test_bad_files_are_explained(
    tmp_path: Path, content: str | bytes, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(SandboxError, match=says):
        findings.read(path)
    assert cli.main(["send", str(path)]) == 1
    assert "sandbox: " in capsys.readouterr().err
    with pytest.raises(SandboxError, match="cannot be read"):
        findings.read(tmp_path / "absent.json")


def test_shapes_are_recognised() -> None:
    event = findings.read(FIXTURE)
    detail = event["detail"]
    for data in (event, detail, {"Findings": [detail]}, {**event, "source": "aws.guardduty"}):
        found = findings.recognise(data, "f")
        assert found.source == "aws.guardduty"
        assert found.detail_type == "GuardDuty Finding"
        assert found.detail == detail
    api = {
        "Id": "x",
        "Type": "t",
        "AccountId": "1",
        "Resource": {"InstanceDetails": {"Tags": [{"Key": "a", "Value": "b"}]}},
    }
    assert findings.recognise(api, "f").detail == {
        "id": "x",
        "type": "t",
        "accountId": "1",
        "resource": {"instanceDetails": {"tags": [{"key": "a", "value": "b"}]}},
    }
    other = findings.recognise(
        {
            "source": "aws.ec2",
            "detail-type": "State",
            "detail": {"a": 1},
        },
        "f",
    )
    assert other.source == "aws.ec2"
    assert other.detail_type == "State"
    assert other.detail == {"a": 1}
    assert findings.recognise({"what": "ever"}, "f").detail == {"what": "ever"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"Findings": [{}, {}]}, "holds 2 findings"),
        ({"SchemaVersion": "2018-10-08", "ProductArn": "x"}, "Security Hub"),
        ({"source": "aws.guardduty", "detail": "text"}, "whose detail is not an object"),
    ],
)
def test_what_cannot_be_sent_is_explained(data: dict[str, Any], says: str) -> None:
    with pytest.raises(SandboxError, match=says):
        findings.recognise(data, "f.json")


def test_accounts_and_ids() -> None:
    event = findings.recognise(findings.read(FIXTURE), "f")
    old = event.detail["id"]
    findings.bind_account(event, "333333333333")
    findings.renew(event)
    assert event.detail["id"] != old
    assert event.detail["accountId"] == "333333333333"
    assert event.detail["arn"].split(":")[4] == "333333333333"
    assert event.detail["arn"].endswith(event.detail["id"])
    # sha256("111122223333/us-east-1/f"), first 16 digits
    assert (
        findings.incident_id(
            {
                "accountId": "111122223333",
                "region": "us-east-1",
                "id": "f",
            }
        )
        == "inc-538b8cdbde477607"
    )
    assert findings.incident_id({"accountId": "111122223333", "region": "us-east-1"}) is None


def test_a_finding_is_moved_to_another_region() -> None:
    """Its detail and its ARN say so, and it is put on the bus there; without a Region it stays
    as it is, and at home.
    """
    data = findings.read(FIXTURE)
    aws = Aws("http://127.0.0.1:1")
    moved = findings.prepare(
        aws, data, "f", account="333333333333", region="eu-west-1", keep_id=True
    )
    assert moved.detail["accountId"] == "333333333333"
    assert moved.detail["region"] == "eu-west-1"
    assert moved.region == "eu-west-1"
    assert moved.detail["arn"].split(":")[3:5] == ["eu-west-1", "333333333333"]
    alone = findings.prepare(aws, data, "f", region="eu-west-1", keep_id=True)
    assert alone.detail["accountId"] == data["detail"]["accountId"]
    assert alone.detail["arn"].split(":")[3:5] == ["eu-west-1", data["detail"]["accountId"]]
    left = findings.prepare(
        aws, {**data, "detail": {**data["detail"], "region": "ap-south-1"}}, "f"
    )
    assert left.detail["region"] == "ap-south-1"
    assert left.region == settings.REGION
    with pytest.raises(SandboxError, match="no Region mars-north-1, only us-east-1 and eu-west-1"):
        findings.prepare(aws, data, "f", region="mars-north-1")


def test_the_second_region_is_a_file_that_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is there already stays: what was made with it could not be destroyed without
    its providers.
    """
    monkeypatch.setattr(settings, "STATE_DIRECTORY", tmp_path)
    made = terraform.Terraform("http://127.0.0.1:1")
    made._copy_root(elsewhere=False)
    assert not (made.directory / "elsewhere.tf").exists()
    assert (made.directory / "main.tf").exists()
    for elsewhere in (True, False):
        made._copy_root(elsewhere=elsewhere)
        assert (made.directory / "elsewhere.tf").exists()


def test_an_incident_has_the_agreed_shape() -> None:
    items: list[dict[str, Any]] = [
        {
            "sk": "EVENT#2",
            "at": "2",
            "event": "later",
        },
        {
            "sk": "EVENT#1",
            "at": "1",
            "event": "earlier",
            "actor": "x",
        },
        {
            "sk": "TARGET#ec2_instance#i-1",
            "kind": "ec2_instance",
            "id": "i-1",
            "status": "CONTAINED",
            "actions": {
                "b": {
                    "status": "DONE",
                    "detail": "",
                    "at": "2",
                },
                "a": {
                    "status": "ALREADY",
                    "detail": "",
                    "at": "1",
                },
            },
        },
        {
            "sk": "META",
            "incident_id": "inc-1",
            "status": "CONTAINED",
            "mode": "auto",
            "targets": [{"kind": "x", "id": "y"}],
        },
    ]
    shaped = incidents.shape(items)
    wanted = [
        "incident_id",
        "finding_id",
        "finding_type",
        "account_id",
        "region",
        "mode",
        "decision",
        "status",
        "targets",
        "timeline",
    ]
    assert list(shaped)[:10] == wanted
    assert [action["name"] for action in shaped["targets"][0]["actions"]] == ["a", "b"]
    assert [target["id"] for target in shaped["targets"]] == ["i-1", "y"]
    assert [event["event"] for event in shaped["timeline"]] == ["earlier", "later"]
    assert "CONTAINED" in show.text(shaped)
    assert "inc-1" in show.line(shaped)


def test_terraforms_errors_are_quoted() -> None:
    lines = [
        "module.x: Creating...",
        "╷",
        "│ Error: Invalid value for variable",
        "│ ",
        "│ The mode must be …",
        "╵",
    ]
    assert terraform._error_of(lines).startswith("Error: Invalid value for variable")


def test_a_provider_mirror_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m" / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path / "m"))
    assert terraform.find_mirror() == tmp_path / "m"


def test_state_survives_and_strangers_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setattr(settings, "STATE_DIRECTORY", tmp_path / "s")
    assert state.load() is None
    with pytest.raises(SandboxError, match="not running"):
        state.require()
    known = state.State(
        token="t",
        endpoint="http://127.0.0.1:1",
        processes={"x": os.getpid()},
    )
    known.save()
    assert state.load() == known
    processes.stop([os.getpid()], "a token that is not on this command line")
    state.path().write_text(json.dumps({"version": 0}))
    assert state.load() is None


def test_the_environment_names_everything() -> None:
    known = state.State(
        token="t", endpoint="http://127.0.0.1:1", seed={"instance": "i-1"}, inbox="q"
    )
    described = environment.describe(known)
    assert described["credentials"]["222222222222"] == {
        "access_key_id": "222222222222",
        "secret_access_key": "test",
    }
    assert described["bucket"] == "guardduty-response-evidence-111111111111-us-east-1"
    assert described["machines"]["incident"].endswith("stateMachine:guardduty-response-incident")
    known.outputs = {
        "name_prefix": "x",
        "security": {"table_name": "mine", "notifications_topic_arn": "arn:t"},
    }
    described = environment.describe(known)
    assert described["table"] == "mine"
    assert described["topics"]["notifications"] == "arn:t"
    assert described["queues"]["undelivered"] == "x-undelivered"


def test_commands_without_a_sandbox_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "STATE_DIRECTORY", tmp_path / "none")
    for command in (
        ["env", "--json"],
        ["incidents"],
        ["show", "inc-1"],
        ["send", str(FIXTURE)],
        ["plan"],
    ):
        assert cli.main(command) == 1
        assert "not running. Start it with" in capsys.readouterr().err
    assert cli.main(["down"]) == 0


def test_nothing_outlives_the_sandbox(tmp_path: Path) -> None:
    """A process with a script under way is told to stop, as ``down`` does; the script has a
    session of its own.
    """
    beat = tmp_path / "beat"
    program = (
        "import signal, sys, time\nfrom sandbox.emulator.guest import"
        " Guest\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nGuest('while :; do date"
        f" +%s%N >>{beat}; sleep 0.1; done', 60, lambda *_: None, lambda: True)\ntime.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], cwd=settings.ROOT)
    try:
        until(beat.exists, "the script has begun")
        holder.terminate()
        holder.wait(PATIENCE)
    finally:
        holder.kill()
    last = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == last
