"""The base class of actions: what an action reads, what it would change, and the change.

The step plan shows what ``pending_change`` returns, contain makes the change, and verify reads
again and expects that ``pending_change`` returns ''. So the same code plans, contains and verifies.
The sentences are participles ("detached from ..."), because the same sentence is shown while the
action is PLANNED and logged when it is DONE.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
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
from guardduty_response.incident.shared_settings import Held, SettingBusy


class ResourceState(Protocol):
    """What was read of a target: its settings by item, and why an item could not be read."""

    settings: Json
    read_errors: dict[str, str]


ContextType = TypeVar("ContextType", bound=TargetContext)
StateType = TypeVar("StateType", bound=ResourceState)


class Action(Generic[ContextType, StateType]):
    """One action of a playbook on its target.

    ``option``: the option that switches it on. ``item``: its key among the settings and in the
    state before. ``manual_command``: what a person runs instead. ``done_text``, ``absent_text``:
    what is true when nothing is left to change, because it is as wanted or because there is no such
    thing.
    """

    held: Held | None = None  # ``shared_setting``, while ``run`` holds it
    name = option = item = manual_command = done_text = absent_text = ""

    def __init__(self, target_context: ContextType, sessions: Sessions, state: StateType) -> None:
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
        """Reads the item into the state; a failure is kept there too."""
        if self.enabled:
            try:
                self.state.settings[self.item] = self.read()
            except Exception as error:
                self.state.read_errors[self.item] = describe_error(error)

    def manual_text(self) -> str:
        command = self.manual_command.format(
            id=self.target_context.id, prefix=self.target_context.prefix, **self._names()
        )
        return f"By hand: aws {command} --region {self.target_context.target.region}"

    def _names(self) -> Json:
        return {}

    def intent(self) -> tuple[str, str]:
        """Returns (status, sentence): PLANNED, or why nothing is to be changed."""
        if not self.enabled:
            return SKIPPED, f"switched off ({self.option})"
        if self.item in self.state.read_errors:
            error = self.state.read_errors[self.item]
            return FAILED, f"could not be read ({error}). {self.manual_text()}"
        if text := self.pending_change():
            return PLANNED, text
        if self.current or self.target_context.before_state(self.item):
            return ALREADY, self.done_text
        return SKIPPED, self.absent_text

    def record_before(self) -> None:
        """Records the item before it is changed."""
        self.target_context.record_before_state(self.item, self.current)

    def correct_log(self) -> None:
        """Corrects the action log where it says FAILED of what is seen to be as wanted: the last
        attempt could not read what an earlier one had done, say.
        """
        logged = self.target_context.logged_action(self.name)
        if logged.get("status") == FAILED and self.intent()[0] == ALREADY:
            self.target_context.log_action(self.name, ALREADY, self.done_text)

    def shared_setting(self) -> tuple[str, str] | None:
        """Returns the ARN and the name of a setting that other containments write too, or None."""
        return None

    def run(self) -> None:
        """Reads, records the state before, changes and logs the action. Whatever goes wrong
        touches no other branch.
        """
        shared = self.shared_setting()
        holding: AbstractContextManager[Held | None] = nullcontext()
        if shared:
            holding = self.target_context.hold(*shared)
        try:
            with holding as self.held:
                self._run()
        except SettingBusy as busy:
            self.target_context.log_action(self.name, FAILED, f"{busy}. {self.manual_text()}")

    def _run(self) -> None:
        self.read_current()
        status, text = self.intent()
        answers: list[Json] = []
        if status == PLANNED:
            try:
                self.record_before()
                answers = self.change()
                status = DONE
            except Exception as error:
                status = FAILED
                text = f"failed ({describe_error(error)}): {text}. {self.manual_text()}"
        self.target_context.log_action(self.name, status, text, answers)
