"""Decides which mode answers a finding, by the rules of the module's ``effective_policy`` output.

A parity test compares the two. An account's keys win over the global keys, and an exact key wins
over globs (patterns with ``*``). Among globs, the one with most literal characters wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from guardduty_response.decision import manifests
from guardduty_response.decision.globs import matches

# For types alone: cli/effective_policy.py decides with this module, and has no botocore.
if TYPE_CHECKING:
    from typing import Protocol

    from guardduty_response.decision.configuration import Config
    from guardduty_response.decision.finding import Finding

    class Switches(Protocol):
        """Declares what of the configuration document decides about a finding type."""

        @property
        def remediations(self) -> dict[str, str]: ...
        @property
        def account_remediations(self) -> dict[str, dict[str, str]]: ...
        @property
        def minimum_severity(self) -> dict[str, float]: ...
        @property
        def active_playbooks(self) -> list[str]: ...


Value = TypeVar("Value")
MODES = ("off", "notify", "dry_run", "approve", "auto")  # from mildest to strictest
ACTING = frozenset({"dry_run", "approve", "auto"})


class Decision(NamedTuple):
    """Holds a mode and how it came about.

    ``key``: the key of the remediation that decided, None for the default. ``scope``: where that
    remediation is (account, global or default). ``doubt``: why a person decides in any case; empty:
    nothing says so.
    """

    mode: str
    key: str | None
    scope: str
    reasons: list[str]
    doubt: str = ""


def milder(mode: str) -> str:
    """Returns the next milder mode; ``off`` stays."""
    return MODES[max(0, MODES.index(mode) - 1)]


def _deciding_key(
    entries: Mapping[str, Value], finding_type: str, mildness: Callable[[Value], float]
) -> str | None:
    """Returns the key that decides: the type itself, else the glob with most literal characters.

    Of equally literal globs the one with the milder value decides.
    """
    matching = [
        key for key in entries if key == finding_type or ("*" in key and matches(key, finding_type))
    ]

    def order(key: str) -> tuple[bool, int, float, str]:
        literal_characters = len(key.replace("*", ""))
        return key != finding_type, -literal_characters, mildness(entries[key]), key

    return min(matching, key=order, default=None)


def decide_about(config: Config, finding: Finding) -> tuple[Decision, str | None]:
    """Returns the mode for a finding, and the playbook that answers it. Raises ConfigError."""
    playbook, why = manifests.playbook_for(finding)
    doubt = manifests.doubt_about(finding)
    decision = decide(
        config, finding.type, finding.account_id, finding.severity, playbook, why, doubt
    )
    return decision, playbook


def decide(
    config: Switches,
    finding_type: str,
    account_id: str,
    severity: float,
    playbook: str | None,
    why: str,
    doubt: str = "",
) -> Decision:
    """Returns the mode for a finding.

    ``playbook``, ``why`` and ``doubt`` are as ``manifests.playbook_for`` and
    ``manifests.doubt_about`` return them; severity is 0 to 10.
    """
    scope, remediations = "account", config.account_remediations.get(account_id, {})
    key = _deciding_key(remediations, finding_type, MODES.index)
    if key is None:
        scope, remediations = "global", config.remediations
        key = _deciding_key(remediations, finding_type, MODES.index)
    if key is None:
        reason = "no remediation names this finding type: notify"
        return Decision("notify", None, "default", [reason], doubt)
    mode = remediations[key]
    reasons = [f"{scope} remediation '{key}' = {mode}"]
    while mode != "off" and severity < config.minimum_severity.get(mode, 0.0):
        minimum = config.minimum_severity[mode]
        reasons.append(f"severity {severity:g} is below the minimum {minimum:g} for {mode}")
        mode = milder(mode)
    if mode in ACTING and playbook not in config.active_playbooks:
        if playbook is not None:
            why = f"playbook {playbook} is not switched on anywhere"
        reasons.append(f"{mode} became notify: {why}")
        mode = "notify"
    if mode == "auto" and doubt:
        reasons.append(f"auto became approve: {doubt}")
        mode = "approve"
    return Decision(_supported(mode, playbook, reasons), key, scope, reasons, doubt)


def _supported(mode: str, playbook: str | None, reasons: list[str]) -> str:
    """Returns the mode, or the next milder one that the playbook supports, and says so."""
    if mode not in ACTING or playbook is None:
        return mode
    supported, asked = manifests.modes_of(playbook), mode
    while mode in ACTING and mode not in supported:
        mode = milder(mode)
    if mode != asked:
        reasons.append(f"{asked} became {mode}: playbook {playbook} does not support {asked}")
    return mode


def collect_first_seconds(config: Config, finding_type: str) -> int:
    """Returns how long containment may wait for forensics; 0: it does not wait.

    Of equally literal globs the shorter deadline counts.
    """
    forensics = config.forensics
    if forensics["when"] != "before":
        return 0
    deadlines = forensics["deadlines"]
    key = _deciding_key(deadlines, finding_type, float)
    return int(forensics["deadline_seconds"] if key is None else deadlines[key])
