"""How dense the code is to read: ``python -m benchmarks.reading [FOLDER …]``.

Counted over Git's files of each folder: tokens per code line (without comments, docstrings and
blank lines), lines over 100 columns, exemptions from the formatter, ``one`` as a name, ``Json`` and
``Any`` as types; and the tests that pytest collects.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from .measure import ROOT

FOLDERS = ("lambda_src", "sandbox", "tests", "benchmarks", "docs")
COLUMNS = 100
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
DOCUMENTED = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# Split here, so that this file does not count itself.
EXEMPTION = "fmt: " + "skip"
VAGUE = "on" + "e"


@dataclass
class Counts:
    """Sums over files."""

    files: int = 0
    code_lines: int = 0
    tokens: int = 0
    long_lines: int = 0
    exemptions: int = 0
    vague_names: int = 0
    untyped: int = 0

    def __add__(self, other: Counts) -> Counts:
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
        }
        return Counts(**sums)

    def row(self, name: str) -> str:
        density = self.tokens / self.code_lines if self.code_lines else 0
        cells = [
            name,
            self.files,
            self.code_lines,
            f"{density:.2f}",
            self.long_lines,
            self.exemptions,
            self.vague_names,
            self.untyped,
        ]
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _docstring_lines(tree: ast.Module) -> set[int]:
    """The lines on which docstrings begin."""
    return {
        node.body[0].lineno
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED) and node.body and ast.get_docstring(node) is not None
    }


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    """Tokens as every version of Python counts them: an f-string is one, as it was before 3.12."""
    start, end = getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None)
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        depth -= token.type == end
        if depth == 0 and token.type != start:
            yield token
        depth += token.type == start


def count(source: str) -> Counts:
    """Count one file's source. Raises SyntaxError where it is no Python."""
    docstrings = _docstring_lines(ast.parse(source))
    counts = Counts(files=1, exemptions=source.count(EXEMPTION))
    counts.long_lines = sum(len(line) > COLUMNS for line in source.splitlines())
    code_lines: set[int] = set()
    for token in _tokens(source):
        is_docstring = token.type == tokenize.STRING and token.start[0] in docstrings
        if token.type in NOT_CODE or is_docstring:
            continue
        counts.tokens += 1
        code_lines.update(range(token.start[0], token.end[0] + 1))
        if token.type == tokenize.NAME:
            counts.vague_names += token.string == VAGUE
            counts.untyped += token.string in ("Json", "Any")
    counts.code_lines = len(code_lines)
    return counts


def python_files(folder: str) -> list[Path]:
    """Git's Python files below a folder of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", f"{folder}/*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def of_folder(folder: str) -> Counts:
    """Count every Python file below a folder of the project."""
    return sum((count(path.read_text()) for path in python_files(folder)), Counts())


def number_of_tests() -> int:
    """Ask pytest how many tests there are. Raises RuntimeError when it cannot collect them."""
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^(\d+)(?:/\d+)? tests collected", collected.stdout, flags=re.MULTILINE)
    if not found:
        raise RuntimeError(f"pytest collected nothing:\n{collected.stdout[-2000:]}")
    return int(found.group(1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", default=list(FOLDERS), metavar="FOLDER")
    parser.add_argument("--no-tests", action="store_true", help="do not count the tests")
    arguments = parser.parse_args()
    counted = {folder: of_folder(folder) for folder in arguments.folders}
    print(
        "| folder | files | code lines | tokens/line | lines over 100"
        f" | {EXEMPTION} | `{VAGUE}` | Json/Any |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for folder, counts in counted.items():
        print(counts.row(folder))
    print(sum(counted.values(), Counts()).row("all"))
    if not arguments.no_tests:
        print(f"\n{number_of_tests()} tests")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
