"""Source text without comments, docstrings and wide indentation, line for line.

The functions' zips are stored uncompressed (see build.py), so this keeps them small; line numbers stay, so a traceback
from Lambda points into the repository's file. The meaning stays too: a test compares the syntax trees.
"""

from __future__ import annotations

import ast
import io
import tokenize


def _docstrings(tree: ast.Module) -> list[tuple[ast.Expr, bool]]:
    """(docstring statement, whether it is its block's only statement)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                found.append((first, len(node.body) == 1 and not isinstance(node, ast.Module)))
    return found


def _inside_strings(tree: ast.Module, source: str) -> set[int]:
    """Numbers of the lines that begin inside a triple-quoted string: their leading blanks are data."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            end = node.end_lineno or node.lineno
            segment = ast.get_source_segment(source, node) if end > node.lineno else None
            if segment and ('"""' in segment or "'''" in segment):
                lines.update(range(node.lineno + 1, end + 1))
    return lines


def compact(source: str) -> str:
    """``source`` (indented by fours, as ruff formats) made smaller. Raises SyntaxError as ``ast.parse`` does."""
    tree = ast.parse(source)
    lines = source.split("\n")
    keep = _inside_strings(tree, source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for node, alone in _docstrings(tree):
        end = node.end_lineno or node.lineno
        for row in range(node.lineno, end + 1):
            lines[row - 1] = ""
            keep.discard(row)
        if alone:
            lines[node.lineno - 1] = " " * node.col_offset + "..."
    for row, line in enumerate(lines, 1):
        if row not in keep:
            text = line.lstrip(" ")
            lines[row - 1] = " " * ((len(line) - len(text)) // 4) + text
    return "\n".join(lines)
