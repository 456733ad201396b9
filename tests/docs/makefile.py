"""The Makefile as make reads it, and a short form of each of its commands."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.repository import ROOT

PYTHON = (".venv/bin/python", sys.executable)
# What prepares a virtual environment or a download, and what only cleans up: never run by a test.
PREPARING = re.compile(
    r"(\S*python\S* -c 'import sys|\S*python\S* -m venv"
    r"|\S+ -m pip (--python \S+ )?(install|download)|touch|mkdir|rm|\[|grep) ?"
)
# Small and quick; a short form of a pytest command runs it with that command's options.
SAMPLE = "tests/unit/decision/test_policy.py"


def targets() -> dict[str, str]:
    """Each documented target and its description."""
    lines = re.findall(
        r"^([a-z0-9-]+):.*?## (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE
    )
    return dict(lines)


def commands(target: str) -> list[str]:
    """Every command line that ``make target`` would run, prerequisites included."""
    dry_run = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert dry_run.returncode == 0, dry_run.stderr
    joined = dry_run.stdout.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("make: ")]  # its own remarks


@dataclass(frozen=True)
class Command:
    """A command line in parts: NAME=value settings, the program, its arguments."""

    settings: dict[str, str]
    program: str
    arguments: tuple[str, ...]


def parsed(line: str) -> Command:
    """Split a command line."""
    words = shlex.split(re.sub(r" (>\S+|\|\| true)", "", line.lstrip("-@")))
    settings = {}
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        name, _, value = words.pop(0).partition("=")
        settings[name] = value
    return Command(settings, words[0], tuple(words[1:]))


def short_form(line: str) -> list[str]:
    """What to run instead of a command so that it is known to work: [] where looking is enough.

    Raises AssertionError when what the command names is not there, or nothing is known of it.
    """
    if PREPARING.match(line):
        return []
    command = parsed(line)
    if command.program not in PYTHON:
        name = Path(command.program).name
        assert shutil.which(name) or (ROOT / command.program).exists(), f"no program {name}"
        return []
    if command.arguments[0] != "-m":
        assert (ROOT / command.arguments[0]).is_file(), f"no script {command.arguments[0]}"
        return []
    return _short_module(*command.arguments[1:])


def _short_module(module: str, *arguments: str) -> list[str]:
    assert importlib.util.find_spec(module) is not None, f"no module {module}"
    if module == "pytest":
        return _short_pytest(list(arguments))
    options = {
        "benchmarks": ["-m", module, "--quick", *arguments],
        "benchmarks.planning": ["-c", f"import {module}"],
        "benchmarks.reading": ["-m", module, "--no-tests", *arguments, "docs"],
        "sandbox": ["-m", module, *arguments, "--help"],
        # AWS's pages are fetched every week. What they say is no fault of a change.
        "tests.support.finding_types_upstream": ["-m", module, "--no-pages", *arguments],
    }
    assert module in options, f"give python -m {module} a short form here"
    return [sys.executable, *options[module]]


def _short_pytest(arguments: list[str]) -> list[str]:
    """The same options and the tests of a small file: a plugin or marker that is gone shows.

    Of proofs none is small: those are collected, which imports them and makes their parameters.
    """
    options: list[str] = []
    for argument in arguments:
        if "/" in argument and not argument.startswith("-"):
            path = argument.partition("::")[0]
            assert (ROOT / path).exists(), f"no tests at {path}"
        else:
            options.append(argument)
    for position, option in enumerate(options):
        if option == "-n":
            options[position + 1] = "0"
        if option == "-m":
            _assert_markers(options[position + 1])
    if any(option.startswith("--cov=") for option in options):
        options.append("--cov-report=")  # of all that so few tests do not reach
    if "proof" in options:
        named = [argument for argument in arguments if argument.startswith("tests/")]
        return [sys.executable, "-m", "pytest", *options, "--collect-only", *(named or proofs())]
    return [sys.executable, "-m", "pytest", *options, SAMPLE]


def proofs() -> list[str]:
    """The files that have a proof."""
    files = (ROOT / "tests").rglob("test_*.py")
    found = [path for path in files if "pytest.mark.proof" in path.read_text()]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def _assert_markers(expression: str) -> None:
    markers = set(re.findall(r"[a-z_]+", expression)) - {"and", "or", "not"}
    text = (ROOT / "pyproject.toml").read_text()
    for marker in markers:
        assert re.search(rf'^  "{marker}: ', text, flags=re.MULTILINE), f"no marker {marker}"
