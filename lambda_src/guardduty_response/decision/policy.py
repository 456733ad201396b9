"""Which mode answers a finding: the same rules as the module's ``effective_policy`` output (a
parity test compares).

Precedence: account exact > account glob > global exact > global glob; among globs the most literal
characters win.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from guardduty_response.decision.configuration import Config

T = TypeVar("T")
MODES = ("off", "notify", "dry_run", "approve", "auto")  # from mildest to sharpest
ACTING = frozenset({"dry_run", "approve", "auto"})


@dataclass(frozen=True)
class Decision:
    """``mode`` and how it came about: ``key`` is the map key that decided (None: the default),
    ``scope`` where it stands.
    """

    mode: str
    key: str | None
    scope: str  # "account" | "global" | "default"
    reasons: list[str] = field(default_factory=list)


def milder(mode: str) -> str:
    return MODES[max(0, MODES.index(mode) - 1)]


@lru_cache(maxsize=4096)
def _regex(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in glob.split("*")), re.DOTALL)


def matches(glob: str, text: str) -> bool:
    """``*`` stands for any run of characters, also none; everything else is literal and
    case-sensitive.
    """
    return _regex(glob).fullmatch(text) is not None


def _deciding(
    entries: Mapping[str, T], finding_type: str, mildness: Callable[[T], float]
) -> str | None:
    """The key that decides: the type itself, else the glob with the most literal characters,
    else the milder entry.
    """
    hits = [
        key for key in entries if key == finding_type or ("*" in key and matches(key, finding_type))
    ]

    def order(key: str) -> tuple[bool, int, float, str]:
        return key != finding_type, -len(key.replace("*", "")), mildness(entries[key]), key

    return min(hits, key=order, default=None)


def _best(remediations: dict[str, str], finding_type: str) -> tuple[str, str] | None:
    """(mode, key) of the deciding entry. Equally literal globs: the milder mode (the plan
    refuses such ties).
    """
    key = _deciding(remediations, finding_type, MODES.index)
    return None if key is None else (remediations[key], key)


def decide(
    config: Config,
    finding_type: str,
    account_id: str,
    severity: float,
    playbook: str | None,
    why: str,
) -> Decision:
    """The mode for one finding. ``playbook``/``why`` as from ``finding.playbook_for``; severity
    0-10.
    """
    scope, found = "account", _best(config.account_remediations.get(account_id, {}), finding_type)
    if found is None:
        scope, found = "global", _best(config.remediations, finding_type)
    if found is None:
        return Decision(
            "notify", None, "default", ["no remediation names this finding type: notify"]
        )
    mode, key = found
    reasons = [f"{scope} remediation '{key}' = {mode}"]
    while mode != "off" and severity < config.minimum_severity.get(mode, 0.0):
        reasons.append(
            f"severity {severity:g} is below the minimum {config.minimum_severity[mode]:g} for"
            f" {mode}"
        )
        mode = milder(mode)
    if mode in ACTING and playbook not in config.active_playbooks:
        reasons.append(
            f"{mode} became notify:"
            f" {why if playbook is None else f'playbook {playbook} is not switched on anywhere'}"
        )
        mode = "notify"
    return Decision(mode, key, scope, reasons)


def collect_first_seconds(config: Config, finding_type: str) -> int:
    """How long containment may wait for forensics at most; 0: it does not wait. Equally literal
    globs: the shorter.
    """
    forensics = config.forensics
    if forensics["when"] != "before":
        return 0
    deadlines = forensics["deadlines"]
    key = _deciding(deadlines, finding_type, float)
    return int(forensics["deadline_seconds"] if key is None else deadlines[key])
