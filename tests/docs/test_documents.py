"""The documents hold what they promise: links lead somewhere, commands exist, nothing speaks of
somebody's machine.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox import cli
from tests.support.repository import ROOT, project_files

LINES = 400
PACKAGE = ROOT / "lambda_src" / "guardduty_response"
# Paths and hosts of somebody's machine. Each word is split here, so that this file does not contain
# it.
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w.])/wo" + r"rk/",
            r"/op" + r"t/(?:tf|pypi|node)",
            r"/ho" + r"me/\w",
            r"/ro" + r"ot/",
            r"/Use" + r"rs/\w",
            r"files\.pytho" + r"nhosted",
            r"pypi\.o" + r"rg",
            r"registry\.npm" + r"js",
        ]
    )
)


def _documents() -> list[Path]:
    return project_files("*.md")


def _without_code_blocks(document: Path) -> str:
    return re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def _anchors(path: Path) -> set[str]:
    return {
        _slug(line.lstrip("#")) for line in path.read_text().splitlines() if line.startswith("#")
    }


@pytest.mark.parametrize("document", _documents(), ids=_id)
def test_links_lead_somewhere(document: Path) -> None:
    text = _without_code_blocks(document)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), f"{_id(document)} links to {link}"
        assert not anchor or anchor in _anchors(target), (
            f"{_id(document)} links to {link}: no such heading"
        )


@pytest.mark.parametrize("document", _documents(), ids=_id)
def test_commands_exist(document: Path) -> None:
    """Every ``make X`` is a target, every ``python -m sandbox X`` a command."""
    text = document.read_text()
    code = "\n".join(
        [
            *re.findall(
                r"```.*?```",
                text,
                flags=re.DOTALL,
            ),
            *re.findall(r"`[^`\n]+`", text),
        ]
    )
    targets = set(
        re.findall(
            r"^([a-z0-9-]+):",
            (ROOT / "Makefile").read_text(),
            flags=re.MULTILINE,
        )
    )
    for target in re.findall(r"\bmake ([a-z0-9-]+)\b", code):
        assert target in targets, f"{_id(document)} says make {target}"
    [commands] = [action.choices for action in cli.parser()._actions if action.dest == "command"]
    for command in re.findall(r"-m sandbox ([a-z]+)", code):
        assert command in (commands or {}), f"{_id(document)} says python -m sandbox {command}"


def _looks_like_a_path(text: str, document: Path) -> bool:
    """Whether text in backticks names something that this repository should hold: it begins with a
    folder of the project, of the Python package or beside the document, or is the bare name of a
    source or document.
    """
    if not re.fullmatch(r"[\w.*<>-]+(?:/[\w.*<>-]+)*/?", text):
        return False
    first, *deeper = text.rstrip("/").split("/")
    if first in (".", ".."):
        return False
    if not deeper and not text.endswith("/"):
        return bool(re.fullmatch(r"[\w-]+\.(?:py|tf|md|toml)", text))
    top = {name.split("/")[0] for name in map(_id, project_files()) if "/" in name}
    of_the_package = (PACKAGE / first).is_dir() and text.endswith((".py", "/"))
    return first in top or (document.parent / first).is_dir() or of_the_package


def _exists(text: str, document: Path) -> bool:
    """Whether a path, in which ``*`` and ``<name>`` stand for anything, leads to a file or folder:
    from the root, from the document's folder, from the Python package or, for a bare name, from
    anywhere.
    """
    pattern = re.sub(r"<[\w-]+>", "*", text.rstrip("/"))
    if "/" not in text:
        return any(path.name == text for path in project_files())
    return any(any(start.glob(pattern)) for start in (ROOT, document.parent, PACKAGE))


@pytest.mark.parametrize("document", _documents(), ids=_id)
def test_paths_in_backticks_exist(document: Path) -> None:
    text = _without_code_blocks(document)
    missing = [
        name
        for name in re.findall(r"`([^`\s]+)`", text)
        if _looks_like_a_path(name, document) and not _exists(name, document)
    ]
    assert missing == [], _id(document)


def test_switches_named_in_the_readme_exist() -> None:
    """What the README calls a switch is one."""
    variables = "".join(path.read_text() for path in ROOT.glob("variables*.tf"))
    text = (
        (ROOT / "README.md").read_text().split("## The switches")[1].split("## Rolling it out")[0]
    )
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text):
        known = (
            name in variables
            or (ROOT / "playbooks" / name).is_dir()
            or f'"{name}"' in (ROOT / "outputs.tf").read_text()
        )
        assert known, name


def test_changelog_has_a_place_for_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]", text, flags=re.MULTILINE)


def test_no_file_is_long() -> None:
    counted = {
        _id(path): len(path.read_text().splitlines())
        for path in project_files()
        if path.suffix in (".py", ".tf", ".hcl")
    }
    assert {name: lines for name, lines in counted.items() if lines > LINES} == {}


def test_nothing_speaks_of_the_machine_it_was_written_on() -> None:
    found = []
    for path in project_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{_id(path)}: {match.group()}" for match in FOREIGN.finditer(text)]
    assert found == []


def test_runbooks_call_functions_where_they_are() -> None:
    """In the aggregation Region, which need not be the Region of the resource."""
    for path in ROOT.glob("playbooks/*/runbook.md"):
        calls = re.findall(r"aws lambda invoke.*", path.read_text())
        assert calls and all("--region H " in call for call in calls), _id(path)
        assert re.search(r"`H` the (response's )?aggregation Region", path.read_text())


def test_every_playbook_has_its_three_places() -> None:
    """A module, a policy and a runbook."""
    for policy in ROOT.glob("playbooks/*/responder-policy.json"):
        name = policy.parent.name
        assert (policy.parent / "runbook.md").is_file(), f"playbooks/{name}/runbook.md is missing"
        assert (
            ROOT / "lambda_src" / "guardduty_response" / "playbooks" / name / "__init__.py"
        ).is_file()
        assert (ROOT / "lambda_src" / "dist" / f"playbook_{name}.zip").is_file()
