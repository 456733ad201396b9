"""One thing that containment does: how it is, what is to be done about it, and doing it.

``plan`` shows what ``todo`` says, ``contain`` does it and ``verify`` reads again and finds nothing
left to do: so what was promised is what is done. Sentences are participles: a promise while
PLANNED, the ledger line once DONE.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    PLANNED,
    SKIPPED,
    Json,
    Sessions,
    Work,
    why,
)


class Parts(Protocol):
    """What was read of a target, by part, and why a part could not be read."""

    parts: Json
    unread: dict[str, str]


W = TypeVar("W", bound=Work)
F = TypeVar("F", bound=Parts)


class Action(Generic[W, F]):
    """``option`` switches it on; ``part`` names it in the before-state; ``hand``: the command a
    person runs instead.

    ``good`` and ``none``: what is true when nothing is left to do, because it is as wanted or
    because there is no such thing.
    """

    name = option = part = hand = good = none = ""

    def __init__(self, work: W, sessions: Sessions, facts: F) -> None:
        self.work, self.sessions, self.facts = work, sessions, facts

    @property
    def on(self) -> bool:
        return not self.option or self.work.options[self.option] not in (False, "none")

    @property
    def now(self) -> Any:
        return self.facts.parts.get(self.part)

    def read(self) -> Any:
        raise NotImplementedError

    def todo(self) -> str:
        raise NotImplementedError

    def change(self) -> list[Json]:
        raise NotImplementedError

    def look(self) -> None:
        """Reads into the facts; a failure is kept there too."""
        if self.on:
            try:
                self.facts.parts[self.part] = self.read()
            except Exception as error:
                self.facts.unread[self.part] = why(error)

    def by_hand(self) -> str:
        names = {"id": self.work.id, "prefix": self.work.prefix, **self._names()}
        return f"By hand: aws {self.hand.format(**names)} --region {self.work.target.region}"

    def _names(self) -> Json:
        return {}

    def intent(self) -> tuple[str, str]:
        """(status, sentence): PLANNED, or why nothing is to be done."""
        if not self.on:
            return SKIPPED, f"switched off ({self.option})"
        if self.part in self.facts.unread:
            return FAILED, f"could not be read ({self.facts.unread[self.part]}). {self.by_hand()}"
        if text := self.todo():
            return PLANNED, text
        had = self.work.had(self.part)
        return (ALREADY, self.good) if self.now or had else (SKIPPED, self.none)

    def run(self) -> None:
        """Reads, records, changes and writes the ledger line. Whatever goes wrong touches no
        other branch.
        """
        self.look()
        status, text = self.intent()
        answers: list[Json] = []
        if status == PLANNED:
            try:
                self.work.before(self.part, self.now)
                answers, status = self.change(), DONE
            except Exception as error:
                status, text = FAILED, f"failed ({why(error)}): {text}. {self.by_hand()}"
        self.work.did(self.name, status, text, answers)
