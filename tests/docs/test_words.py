"""No Python file gives a retired name to anything, and no document uses a retired phrase;
docs/glossary.md has the words in use.

A name counts where it is bound: as a variable, a parameter, an attribute, a function, a class, an
import under another name. Strings do not count, since stored and transmitted keys keep their names;
for the same reason the fields of a ``TypedDict`` do not count. In documents, what is in backticks
or in a code block does not count: it is a deployed name, or quoted.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.repository import ROOT, project_files

NO_NAME = "one"  # says nothing: a name says what the thing is (interface, statement, check …)

# Retired name -> what the same thing is called now. Leading underscores do not matter. Words of
# ordinary English are here only where no other meaning of them makes sense as a name.
RETIRED = {
    # what a function works on
    "ctx": "context",
    "unread": "read_errors, or not_read for checks",
    # steps and actions
    "ledger": "action_log, or stored",
    "by_hand": "manual_command",
    "out_of_reach": "not_containable",
    "OUT_OF_REACH": "NOT_CONTAINABLE",
    "untrack": "flush_tracked_connections",
    "brought": "a name that says bring your own, such as own_groups",
    "brought_along": "bring_your_own",
    "forsaken": "playbook_disabled",
    # verification, monitoring, restore
    "read_back": "verify",
    "breach": "containment_lost",
    "breached": "containment_lost",
    "BREACHED": "CONTAINMENT_LOST",
    "undone": "containment_lost, or failed_checks",
    "culprit": "actor",
    "culprits": "actors, or find_actors",
    "DIED": "EXECUTION_FAILED",
    "machine_died": "execution_failed",
    "sweep": "reconcile",
    "sweeper": "reconciler",
    # evidence and CloudTrail
    "question": "query",
    "questions": "queries",
    "vault": "forensics_account",
    "emission": "recurrence",
    # notifications
    "told": "notified, or messages",
    "told_by": "notified_by",
    "breach_told": "lost_notified",
    "left_told": "manual_notified",
    "death_told": "failure_notified",
}

# The same, for words that mean something else in the sandbox and its emulators (an HTTP verb, a
# unit of work, the LookupEvents calls): retired in the functions and in their unit tests only.
FUNCTIONS = ("lambda_src", "tests/unit")
RETIRED_IN_FUNCTIONS = {
    "Work": "TargetContext",
    "Facts": "InstanceState or PrincipalState",
    "facts": "state",
    "verb": "step",
    "verbs": "steps",
    "VERBS": "STEPS",
    "following": "next_step",
    "patient": "retry_on_conflict",
    "soon": "now_rounded_up",
    "drawn": "random_password",
    "Left": "NeedsHumanDecision",
    "LEFT": "MANUAL",
    "NOTED": "INFO",
    "STUCK": "MANUAL",
    "AS_BEFORE": "UNCHANGED",
    "piece": "evidence_item",
    "pieces": "evidence_items",
    "lookups": "queries",
    "announce": "notify",
}

# Retired phrase of documents, as a regular expression -> what to write.
RETIRED_PHRASES = {
    "brought along": "your own, or bring your own",
    "culprit": "actor",
    "emission": "recurrence",
    "forsaken": "no longer monitored",
    "home Region": "aggregation Region",
    "ledger": "action log",
    r"read(?:ing|s)? (?:\w+ ){0,3}back": "verified, or read again",
    "sweeper": "reconciler",
    "vault": "forensics account",
}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _base_names(node: ast.ClassDef) -> set[str]:
    names = set()
    for base in node.bases:
        if isinstance(base, ast.Name):
            names.add(base.id)
        elif isinstance(base, ast.Attribute):
            names.add(base.attr)
    return names


@cache
def _typed_dicts() -> set[str]:
    """The names of all classes that are a ``TypedDict``, directly or by another of them."""
    bases: dict[str, set[str]] = {}
    for path in project_files("*.py"):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(_base_names(node))
    found = {"TypedDict"}
    while more := {name for name, parents in bases.items() if parents & found} - found:
        found |= more
    return found


def _bound(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each name that the file binds, with its line. Names inside f-strings are seen too."""
    stored_fields = {
        id(field.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and _base_names(node) & _typed_dicts()
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if id(node) in stored_fields:
            continue
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield node.lineno, name
            case ast.MatchStar(name=str(name)):
                yield node.lineno, name
            case ast.MatchMapping(rest=str(name)):
                yield node.lineno, name


def retired_names(tree: ast.Module, in_functions: bool = True) -> list[str]:
    """What the test complains about in one file, a line each."""
    retired = RETIRED | RETIRED_IN_FUNCTIONS if in_functions else RETIRED
    found = []
    for line, name in _bound(tree):
        bare = name.strip("_")
        if bare == NO_NAME:
            found.append(f"{line}: {name}: say what it is")
        elif bare in retired:
            found.append(f"{line}: {name}: now {retired[bare]}")
    return found


def _is_of_functions(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / folder) for folder in FUNCTIONS)


def test_no_retired_name_is_in_use() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{complaint}"
        for path in project_files("*.py")
        for complaint in retired_names(_tree(path), _is_of_functions(path))
    ]
    assert not found, "\n".join(found)


def test_no_document_uses_a_retired_phrase() -> None:
    found = []
    for path in project_files("*.md"):
        text = re.sub(r"```.*?```|`[^`]+`", "", path.read_text(), flags=re.DOTALL)
        for retired, current in RETIRED_PHRASES.items():
            words = r"\s+".join(retired.split())
            if re.search(rf"\b{words}s?\b", text, flags=re.IGNORECASE):
                found.append(f"{path.relative_to(ROOT)}: {retired}: now {current}")
    assert not found, "\n".join(found)


def test_names_are_found_wherever_they_are_bound() -> None:
    source = """
import os as one
def verb(ctx, *culprits, **told): ...
class Facts(_Left):
    ledger: str = ""
    def __init__(self): self.unread = []
for one in []: print(f"{[soon for soon in range(3)]}")
try: ...
except OSError as patient: ...
"""
    assert len(retired_names(ast.parse(source))) == 11


def test_stored_keys_and_other_uses_do_not_count() -> None:
    source = """
class Stored(TypedDict, total=False):
    told: str
    breach_told: list[str]
record.note("inc", told="x", left_told="")
print(item["told"], reply.ctx, no_one, "one")
"""
    assert retired_names(ast.parse(source)) == []


def test_a_retired_name_is_not_its_own_replacement() -> None:
    for retired, current in (RETIRED | RETIRED_IN_FUNCTIONS).items():
        assert retired not in current.replace(",", " ").split(), retired
