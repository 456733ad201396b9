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
    TargetContext,
    describe_error,
)


class ResourceState(Protocol):
    """What was read of a target, by part, and why a part could not be read."""

    settings: Json
    read_errors: dict[str, str]


W = TypeVar("W", bound=TargetContext)
F = TypeVar("F", bound=ResourceState)


class Action(Generic[W, F]):
    """``option`` switches it on; ``part`` names it in the before-state; ``hand``: the command a
    person runs instead.

    ``good`` and ``none``: what is true when nothing is left to do, because it is as wanted or
    because there is no such thing.
    """

    name = option = item = manual_command = done_text = absent_text = ""

    def __init__(self, target_context: W, sessions: Sessions, state: F) -> None:
        self.target_context, self.sessions, self.state = target_context, sessions, state

    @property
    def enabled(self) -> bool:
        return not self.option or self.target_context.options[self.option] not in (False, "none")

    @property
    def current(self) -> Any:
        return self.state.settings.get(self.item)

    def read(self) -> Any:
        raise NotImplementedError

    def pending_change(self) -> str:
        raise NotImplementedError

    def change(self) -> list[Json]:
        raise NotImplementedError

    def read_current(self) -> None:
        """Reads into the facts; a failure is kept there too."""
        if self.enabled:
            try:
                self.state.settings[self.item] = self.read()
            except Exception as error:
                self.state.read_errors[self.item] = describe_error(error)

    def manual_text(self) -> str:
        names = {
            "id": self.target_context.id,
            "prefix": self.target_context.prefix,
            **self._names(),
        }
        return (
            f"By hand: aws {self.manual_command.format(**names)} --region "
            f"{self.target_context.target.region}"
        )

    def _names(self) -> Json:
        return {}

    def intent(self) -> tuple[str, str]:
        """(status, sentence): PLANNED, or why nothing is to be done."""
        if not self.enabled:
            return SKIPPED, f"switched off ({self.option})"
        if self.item in self.state.read_errors:
            return (
                FAILED,
                f"could not be read ({self.state.read_errors[self.item]}). {self.manual_text()}",
            )
        if text := self.pending_change():
            return PLANNED, text
        had = self.target_context.before_state(self.item)
        return (ALREADY, self.done_text) if self.current or had else (SKIPPED, self.absent_text)

    def run(self) -> None:
        """Reads, records, changes and writes the ledger line. Whatever goes wrong touches no
        other branch.
        """
        self.read_current()
        status, text = self.intent()
        answers: list[Json] = []
        if status == PLANNED:
            try:
                self.target_context.record_before_state(self.item, self.current)
                answers, status = self.change(), DONE
            except Exception as error:
                status, text = (
                    FAILED,
                    f"failed ({describe_error(error)}): {text}. {self.manual_text()}",
                )
        self.target_context.log_action(self.name, status, text, answers)
