"""Which mode answers a finding."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import pytest
from guardduty_response.decision import globs, manifests, policy
from guardduty_response.decision.configuration import Config, parse
from guardduty_response.decision.policy import MODES, Decision

from tests.unit.deployment import document


def _config(changes: dict[str, Any]) -> Config:
    import hashlib

    text = document(changes)
    return parse(text, hashlib.sha256(text.encode()).hexdigest())


def _decide(
    remediations: dict[str, str],
    kind: str = "A:EC2/X",
    accounts: dict[str, Any] | None = None,
    severity: float = 5,
    minimum: Mapping[str, float] | None = None,
    playbook: str | None = "ec2_instance",
) -> Decision:
    settings = _config(
        {
            "remediations": remediations,
            "account_remediations": accounts or {},
            "minimum_severity": minimum or {},
        }
    )
    return policy.decide(
        settings, kind, "222222222222", severity, playbook, "no playbook answers it"
    )


@pytest.mark.parametrize(
    ("remediations", "accounts", "mode", "key", "scope"),
    [
        ({}, {}, "notify", None, "default"),
        ({"B:EC2/X": "auto"}, {}, "notify", None, "default"),
        ({"A:EC2/X": "auto"}, {}, "auto", "A:EC2/X", "global"),
        ({"a:ec2/x": "auto"}, {}, "notify", None, "default"),
        ({"*": "auto", "A:*": "off"}, {}, "off", "A:*", "global"),
        # as literal as the other: the milder
        ({"A:EC2/*": "off", "*:EC2/X": "auto"}, {}, "off", "A:EC2/*", "global"),
        ({"A:EC2/*": "approve", "A:EC2/X": "dry_run"}, {}, "dry_run", "A:EC2/X", "global"),
        ({"A:EC2/X": "auto"}, {"*": "off"}, "off", "*", "account"),
        (
            {"A:EC2/X": "off"},
            {"A:*": "auto", "A:EC2/X": "approve"},
            "approve",
            "A:EC2/X",
            "account",
        ),
        ({"A:EC2/X": "auto"}, {"B:*": "off"}, "auto", "A:EC2/X", "global"),
    ],
)
def test_precedence(
    remediations: Any, accounts: Any, mode: str, key: str | None, scope: str
) -> None:
    found = _decide(remediations, accounts={"222222222222": accounts, "333333333333": {"*": "off"}})
    assert (found.mode, found.key, found.scope) == (mode, key, scope)
    assert found.reasons


@pytest.mark.parametrize(
    ("severity", "minimum", "mode"),
    [
        (8, {"auto": 7, "approve": 4}, "auto"),
        (7, {"auto": 7, "approve": 4}, "auto"),
        (6.9, {"auto": 7, "approve": 4}, "approve"),
        (3.9, {"auto": 7, "approve": 4}, "dry_run"),
        (3.9, {"auto": 7, "approve": 4, "dry_run": 4}, "notify"),
        (0, {"auto": 7, "approve": 4, "dry_run": 4, "notify": 2}, "off"),
        (1, {"approve": 9}, "auto"),
    ],
)
def test_below_its_minimum_a_mode_becomes_the_next_milder(
    severity: float, minimum: Any, mode: str
) -> None:
    found = _decide(
        {"A:EC2/X": "auto"},
        severity=severity,
        minimum=minimum,
    )
    assert found.mode == mode
    assert len(found.reasons) == 1 + MODES.index("auto") - MODES.index(mode)


@pytest.mark.parametrize(
    ("mode", "result"),
    [
        ("auto", "notify"),
        ("approve", "notify"),
        ("dry_run", "notify"),
        ("notify", "notify"),
        ("off", "off"),
    ],
)
def test_without_a_playbook_nothing_acts_and_it_is_said(mode: str, result: str) -> None:
    found = _decide({"A:EC2/X": mode}, playbook=None)
    assert found.mode == result
    assert ("no playbook answers it" in found.reasons[-1]) == (mode != result)


@pytest.mark.parametrize(
    ("supported", "mode", "result"),
    [
        (["dry_run"], "auto", "dry_run"),
        (["dry_run"], "dry_run", "dry_run"),
        (["approve"], "auto", "approve"),
        (["approve"], "dry_run", "notify"),
        ([], "auto", "notify"),
        (["dry_run"], "off", "off"),
    ],
)
def test_a_mode_that_the_playbook_does_not_support_becomes_the_next_milder(
    monkeypatch: pytest.MonkeyPatch, supported: list[str], mode: str, result: str
) -> None:
    manifest = {"ec2_instance": {"answers": [], "modes": supported}}
    monkeypatch.setattr(manifests, "load", lambda: manifest)
    found = _decide({"A:EC2/X": mode})
    assert found.mode == result
    assert ("does not support" in found.reasons[-1]) == (mode != result)


# -- against a naive reference ---------------------------------------------------------------------


def _naive_match(glob: str, text: str) -> bool:
    if not glob:
        return not text
    if glob[0] == "*":
        return any(_naive_match(glob[1:], text[cut:]) for cut in range(len(text) + 1))
    return bool(text) and text[0] == glob[0] and _naive_match(glob[1:], text[1:])


def _naive(
    kind: str,
    own: dict[str, str],
    everyone: dict[str, str],
    severity: float,
    minimum: Any,
    playbook: bool,
) -> str:
    mode = "notify"
    for table in (own, everyone):
        keys = [k for k in table if k == kind] or [
            k for k in table if "*" in k and _naive_match(k, kind)
        ]
        if keys:
            longest = max(len(k) if k == kind else sum(c != "*" for c in k) for k in keys)
            mode = min(
                (table[k] for k in keys if k == kind or sum(c != "*" for c in k) == longest),
                key=MODES.index,
            )
            while mode != "off" and severity < minimum.get(mode, 0):
                mode = MODES[MODES.index(mode) - 1]
            break
    return "notify" if not playbook and mode in ("dry_run", "approve", "auto") else mode


def _glob(chance: random.Random, kind: str) -> str:
    """A glob cut from a type, so that it often matches; regular-expression characters included."""
    text = list(kind)
    for _ in range(chance.randint(0, 3)):
        start = chance.randrange(len(text))
        text[start : start + chance.randint(0, 4)] = ["*"]
    if chance.random() < 0.2:
        text[chance.randrange(len(text))] = chance.choice(".!+[(\\?")
    return "".join(text)


def test_matching_is_the_naive_one() -> None:
    chance = random.Random(20260302)  # noqa: S311
    for _ in range(3000):
        kind = "".join(chance.choice("AB:/.!") for _ in range(chance.randint(1, 9)))
        glob = _glob(chance, kind)
        assert globs.matches(glob, kind) == _naive_match(glob, kind), (glob, kind)


def test_deciding_is_the_naive_one() -> None:
    chance = random.Random(20260303)  # noqa: S311
    hits = 0
    for _ in range(1500):
        kind = chance.choice(["A:EC2/X.B!DNS", "A:EC2/Y", "B:S3/X", "B:EC2/X"])
        tables = [
            {
                _glob(chance, chance.choice([kind, "A:EC2/X.B!DNS"])): chance.choice(MODES)
                for _ in range(chance.randint(0, 4))
            }
            for _ in range(2)
        ]
        minimum = {mode: chance.choice([0, 2, 4, 7]) for mode in MODES[1:] if chance.random() < 0.5}
        severity, playbook = chance.choice([0.0, 2.0, 3.9, 5.0, 8.0]), chance.random() < 0.8
        expected = _naive(
            kind,
            tables[0],
            tables[1],
            severity,
            minimum,
            playbook,
        )
        found = _decide(
            tables[1],
            kind,
            {"222222222222": tables[0]},
            severity,
            minimum,
            "ec2_instance" if playbook else None,
        )
        assert found.mode == expected, (kind, tables, minimum, severity, playbook)
        hits += found.scope != "default"
    assert hits > 500


def test_a_star_also_matches_line_breaks_and_nothing_else_is_special() -> None:
    assert globs.matches("A*", "A\nB")
    assert not globs.matches("A.C", "ABC")
    assert re.escape("!") in ("!", r"\!")


def test_milder_ends_at_off() -> None:
    assert [policy.milder(mode) for mode in MODES] == ["off", "off", "notify", "dry_run", "approve"]
