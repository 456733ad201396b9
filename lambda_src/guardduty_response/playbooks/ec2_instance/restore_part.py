"""What restore says of each recorded part: as before, to be brought back, or not, and why.

The present state decides, not what the ledger believes was done: so a half-contained instance is restored as far as it was
changed, a second restore finds nothing to do, and what somebody else changed since is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from guardduty_response.playbooks.ec2_instance.core import Json, Work


class Kind(StrEnum):
    AS_BEFORE = "as before"
    TODO = "to be brought back"
    STUCK = "cannot be brought back"  # containment's state stays, and a person is needed
    KEPT = "stays by choice"  # containment's state stays, by a switch or by design
    FOREIGN = "not containment's any more"  # somebody changed it since, or it is gone


@dataclass(frozen=True)
class Part:
    """``name``: its key in the before-state, ``network/<interface>`` for interfaces. ``call`` brings it back."""

    kind: Kind
    name: str
    item: str
    text: str
    hand: str = ""
    call: Callable[[], list[Json]] | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.item

    @property
    def told(self) -> str:
        return f"{self.text}. By hand: {self.hand}" if self.hand else self.text


def interfaces(before: Json) -> Json:
    """Interface -> how it was: those of the first attempt, and those attached or contained again since."""
    first = (before.get("network") or {}).get("interfaces") or {}
    return {**first, **{name.split("/")[1]: was for name, was in before.items() if name.startswith("network/")}}


def by_hand(work: Work, command: str) -> str:
    return f"aws {command} --region {work.target.region}"


def foreign(name: str, item: str, what: str) -> Part:
    return Part(Kind.FOREIGN, name, item, f"{what}, which is not what containment left: somebody changed it since, left as it is")
