"""The Windows collection script. It cannot run here: it is parsed where a parser is at hand, and
held against what its twin and its reader expect. Seen on Windows by nobody yet (docs/forensics.md
says so).
"""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from typing import Any, cast

import pytest
from guardduty_response.decision.configuration import Forensics
from guardduty_response.playbooks.ec2_instance.evidence import uploads

from tests.support.repository import ROOT, skip_or_fail
from tests.unit.forensics.script_lab import SCRIPT as LINUX

WINDOWS = ROOT / "playbooks" / "ec2_instance" / "forensics" / "windows.ps1"
TEXT = WINDOWS.read_text()
CODE = re.sub(r"^\s*#.*$", "", TEXT, flags=re.MULTILINE)
ALL: dict[str, Any] = {
    "packet_capture_seconds": 1,
    "commands": {"linux": ["x"], "windows": ["x"]},
    "memory": {"linux": {"location": "https://x/y"}, "windows": {"location": "https://x/y"}},
}


def test_it_parses() -> None:
    if shell := shutil.which("pwsh"):
        check = (
            f"$e = $null; [void][Management.Automation.Language.Parser]::ParseFile('{WINDOWS}',"
            " [ref]$null, [ref]$e); $e"
        )
        done = subprocess.run(
            [shell, "-NoProfile", "-Command", check], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == ""
        return
    try:
        sitter, grammar = (
            importlib.import_module("tree_sitter"),
            importlib.import_module("tree_sitter_pwsh"),
        )
    except ImportError:
        skip_or_fail("tree-sitter-pwsh is not installed (make install installs it into .venv).")
    tree = sitter.Parser(sitter.Language(grammar.language())).parse(WINDOWS.read_bytes())
    assert not tree.root_node.has_error


def test_it_is_plain_and_fits() -> None:
    assert TEXT.isascii(), "PowerShell 5.1 would read anything else in the machine's own code page"
    assert "{{" not in TEXT, "Systems Manager would take it for a parameter"
    assert len(TEXT) < 24_000
    for opening, closing in ("{}", "()", "[]"):
        plain = re.sub(r"'[^'\n]*'", "''", CODE)
        assert plain.count(opening) == plain.count(closing)


@pytest.mark.parametrize(("platform", "script"), [("Linux", LINUX), ("Windows", WINDOWS)])
def test_scripts_and_reader_agree_on_names_and_words(platform: str, script: Any) -> None:
    text = script.read_text()
    single, memory = uploads.names(platform, cast(Forensics, ALL))
    for name in (*single, memory, uploads.INDEX):
        assert name in text, f"{script.name} never uploads {name}"
    named = set(re.findall(r"\b[a-z]+\.(?:txt|tsv|pcap|etl|lime|raw)\b", text)) - {"plan.txt"}
    assert named == {*single, memory, uploads.INDEX}, "and nothing else"
    order = [
        text.rindex(f"section {name}" if platform == "Linux" else f"Invoke-Section '{name}'")
        for name in uploads.SECTIONS
    ]
    assert order == sorted(order)
    for state in uploads.STATES:
        assert re.search(rf"\b{state}\b", text)
    for word in ("@deadline", "@part_bytes", "@tool"):
        assert word in text


def test_what_it_collects() -> None:
    chunks = (
        "Win32_Process",
        "CommandLine",
        "openfiles",
        "Test-Path",
        "Get-NetTCPConnection",
        "route.exe",
        "Get-NetNeighbor",
        "Get-DnsClientServerAddress",
        "driverquery",
        "S-1-5-32-544",
        "quser",
        "authorized_keys",
        "schtasks",
        "Win32_Service",
        r"CurrentVersion\$key",
        "netsh.exe trace start",
    )
    for chunk in chunks:
        assert chunk in CODE, chunk


def test_the_url_is_a_secret() -> None:
    assert CODE.count("$GdrPlanUrl") == 1, "used once, to read the plan"
    for function in ("Get-Web", "Send-Range", "Send-File"):
        body = CODE.split(f"function {function}")[1].split("\nfunction ")[0]
        assert "Write-" not in body and "$_.Exception.Message" not in body
    assert "Write-Host" not in CODE and "Write-Output $" not in CODE


def test_nothing_is_evaluated_but_the_configured_commands() -> None:
    assert not re.search(r"Invoke-Expression|\biex\b|ScriptBlock\]::Create|-EncodedCommand", CODE)
    assert CODE.count("$GdrCommands") == 2  # asked whether there are any, and gone through
    assert CODE.count("FromBase64String") == 1


def test_the_memory_tool_is_checked_before_it_runs_and_removed_after() -> None:
    body = CODE.split("function Invoke-Memory")[1]
    checked, run = body.index("$GdrMemorySha256"), body.index("Invoke-Program $tool")
    assert checked < run < body.rindex("Remove-Item -LiteralPath $tool")
    assert "return" in body[checked:run]


def test_the_directory_is_private_and_removed() -> None:
    assert "/inheritance:r" in CODE
    assert CODE.rstrip().endswith("exit 0")
    assert "Remove-Item -LiteralPath $dir -Recurse" in CODE.split("} finally {")[-1]


def test_every_step_is_bounded() -> None:
    assert CODE.count("WaitOne(") == 1 and CODE.count("BeginStop(") == 1
    assert "WaitForExit($limit * 1000)" in CODE and "taskkill.exe" in CODE
    for call in re.findall(r"Invoke-Section '[a-z.]+' (\d+)", CODE):
        assert 0 < int(call) <= 60
    assert "maxsize=$captureMegabytes" in CODE
