"""Each module is public, with tables of its variables and outputs, or says that it is internal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import module_tables
from tests.support.repository import ROOT

DOCUMENTS = module_tables.documents()
FOLDERS = sorted(path.parent for path in ROOT.glob("modules/**/main.tf"))


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize(
    "folder",
    DOCUMENTS,
    ids=_id,
)
def test_the_tables_are_written_from_the_module(folder: Path) -> None:
    document = DOCUMENTS[folder]
    written = document.read_text(encoding="utf-8")
    assert written == module_tables.render(folder, document), (
        "run 'python -m tests.support.module_tables'"
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=_id)
def test_a_module_is_public_or_says_that_it_is_internal(folder: Path) -> None:
    """Terraform's standard module structure: a nested module with a README is for others to use."""
    has_document = (folder / "README.md").exists()
    if not module_tables.internal(folder):
        assert folder in DOCUMENTS and has_document
    elif has_document:
        assert "This module is internal" in (folder / "README.md").read_text()


def test_the_examples_and_documents_call_public_modules_only() -> None:
    public = {folder.name for folder in DOCUMENTS if folder != ROOT}
    called = {
        part
        for path in [*ROOT.glob("examples/*/*.tf"), *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
        for line in path.read_text().splitlines()
        if line.strip().startswith("source ") and "/modules/" in line
        for part in [line.split("/modules/")[1].split('"')[0]]
    }
    assert called <= public and len(called) >= 8


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("string", "string"),
        ("${list(string)}", "list(string)"),
        ("${object({a = string})}", "object"),
        ("${map(object({a = list(object({b = string})), c = number}))}", "map(object)"),
        ("${object({a = object({b = string})})}", "object"),
        ("any", "any"),
    ],
)
def test_types_are_short(written: str, short: str) -> None:
    assert module_tables.short_type(written) == short


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One sentence.", "One sentence."),
        ("In two\nlines. And more.", "In two lines."),
        ("Names such as a.b.c, and more. Then.", "Names such as a.b.c, and more."),
        ("Such as { a }. docs/settings.md has all.", "Such as { a }."),
        ("No full stop", "No full stop"),
        ("Settings:\n- a: b", "Settings."),
    ],
)
def test_the_first_sentence_is_taken(text: str, sentence: str) -> None:
    assert module_tables.first_sentence(text) == sentence


def test_texts_are_read_as_terraform_does() -> None:
    assert module_tables.text_of('"with \\"quotes\\""') == 'with "quotes"'
    assert module_tables.text_of('"<<-EOT\n    Two\n    lines.\n  EOT"') == "Two\nlines."


def test_a_document_without_the_lines_is_an_error() -> None:
    document = ROOT / "docs" / "glossary.md"
    with pytest.raises(ValueError, match=r"glossary\.md has no lines <!-- inputs -->"):
        module_tables.render(ROOT / "modules" / "region", document)
