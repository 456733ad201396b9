"""How one change of a principal is undone: read, decide, record, change, verify, log.

The present state decides, not what the event says: what is gone, already undone, or changed by
somebody since stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    SKIPPED,
    allow,
    describe_error,
)
from guardduty_response.errors import RoleUnavailable
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, command, sentence
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, AwsClient

# Statuses beside those of the action log: a person has to undo it; worth knowing, not undoable.
MANUAL, INFO = "LEFT", "NOTED"
VERIFICATIONS, PAUSE_SECONDS = 3, 1
# These errors pass soon: somebody changes the same entity (AWS IAM), or an instance is still
# starting (EC2).
RETRYABLE = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable",
        "EntityTemporarilyUnmodifiableException",
        "IncorrectInstanceState",
    }
)
State = TypeVar("State")


class NotReversed(Exception):
    """Nothing is to be done about a change (ALREADY), or not by this reversal (MANUAL).

    ``text`` says why; ``manual_command`` is given where it is not the usual command.
    """

    def __init__(self, status: str, text: str, manual_command: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.manual_command = manual_command


class RetryLater(Exception):
    """The change is tried again in a later call: the call was throttled, the entity is being
    changed, or the verification does not show the reversal yet.
    """

    def __init__(self, text: str, cause: Exception | None = None) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True)
class Result:
    """How a change was dealt with.

    ``remaining``: (reason, command) of what a person has to do about a change that was reverted.
    ``reverted``: this incident reverted it, now or earlier.
    """

    status: str
    text: str
    manual_command: str = ""
    remaining: list[tuple[str, str]] = field(default_factory=list)
    reverted: bool = False


class Reversal(Generic[State]):
    """The reversal of one kind of change; ``State`` is what ``read`` finds.

    ``category``: the entry of the option ``remediate`` that switches it on. ``record_type``: the
    form of its before-state, by which restore_reversals.py brings it back. ``done_text``: what is
    true when nothing is left to do.
    """

    category = record_type = ""
    done_text = "it is so already"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        self.eradication = eradication
        self.change = change
        self.target_context = eradication.target_context
        self.remaining: list[tuple[str, str]] = []

    # -- what each kind of change defines ----------------------------------------------------------

    @classmethod
    def applies(cls, _change: Change) -> bool:
        """Tell whether the call did what this undoes; people are told of it otherwise."""
        return True

    def read(self) -> State:
        """Read the present state. Raises NotReversed when nothing is to be done."""
        raise NotImplementedError

    def touched_names(self, current: State) -> list[str]:
        """Return ARNs, IDs or names of everything that would be touched."""
        raise NotImplementedError

    def pending_change(self, current: State) -> str:
        """Describe by a participle what is to be done; empty when nothing is."""
        raise NotImplementedError

    def before_state(self, current: State) -> Mapping[str, object]:
        """Return what restoring needs to know of the present state."""
        raise NotImplementedError

    def undo(self, current: State) -> list[AwsAnswer]:
        """Make the change; return the answers of AWS."""
        raise NotImplementedError

    def manual_command(self) -> str:
        """Return the command that a person runs instead."""
        raise NotImplementedError

    # -- shared by all -----------------------------------------------------------------------------

    def client(self, service: str = "iam") -> AwsClient:
        return self.eradication.reading(self.change.region).client(service)

    def changing(
        self,
        actions: tuple[str, ...],
        resource: list[str] | str,
        service: str = "iam",
        **equals: str,
    ) -> AwsClient:
        """Return a client that may make these calls on this resource and no others."""
        statement = allow(actions, resource, **equals)
        return self.eradication.changing(self.change.region, statement).client(service)

    def command(self, call: str, *values: str) -> str:
        return command(call, *values, region=self.change.region)

    @property
    def before_key(self) -> str:
        """The key of the change in the record's ``before`` map."""
        return f"revert/{self.change.id}"

    @property
    def action_name(self) -> str:
        """The key of the change in the action log."""
        return f"revert/{self.change.name}/{self.change.id[:8]}"

    @property
    def recorded(self) -> bool:
        return self.before_key in self.eradication.recorded

    def run(self) -> Result:
        """Revert the change, or say why not; write the action log.

        Raises RetryLater when trying again may help; any other failure concerns this change alone.
        """
        answers: list[AwsAnswer] = []
        try:
            result, answers = self._run()
        except NotReversed as reason:
            result = self._not_reversed(reason)
        except RoleUnavailable as error:
            self.eradication.unavailable = str(error)
            result = Result(FAILED, describe_error(error), self.manual_command())
        except RetryLater:
            raise
        except Exception as error:
            retryable = isinstance(error, ClientError) and error_code(error) in RETRYABLE
            if is_transient(error) or retryable:
                raise RetryLater(describe_error(error), error) from error
            result = Result(FAILED, f"failed ({describe_error(error)})", self.manual_command())
        self.log(result, answers)
        return result

    def _run(self) -> tuple[Result, list[AwsAnswer]]:
        if self.eradication.unavailable:
            raise RoleUnavailable(self.eradication.unavailable)
        current = self.read()
        if reason := self.eradication.protection(self.change, self.touched_names(current)):
            raise NotReversed(MANUAL, reason)
        text = self.pending_change(current)
        if not text:
            return self._already(), []
        self._record(current)
        answers = self.undo(current)
        self._verify()
        return Result(DONE, text, remaining=self.remaining, reverted=True), answers

    def _already(self) -> Result:
        """Report that nothing is left to do.

        Recorded without an entry of the action log: an earlier attempt changed it and did not see
        the change, or ended before it wrote the log.
        """
        logged = self.target_context.logged_action(self.action_name).get("status")
        status = DONE if self.recorded and logged != DONE else ALREADY
        return Result(status, self.done_text, remaining=self.remaining, reverted=self.recorded)

    def _record(self, current: State) -> None:
        """Record how it was. Raises NotReversed when the record has no room for it."""
        before: dict[str, object] = {
            "what": self.record_type,
            "event": self.change.name,
            "region": self.change.region,
            **self.before_state(current),
        }
        if self.recorded:
            return
        size = len(str(before))
        if reason := self.eradication.no_room(size):
            raise NotReversed(MANUAL, reason)
        self.target_context.record_before_state(self.before_key, before)
        self.eradication.recorded[self.before_key] = size

    def _verify(self) -> None:
        """Read again. Raises RetryLater when the reversal cannot be seen: a later call decides."""
        pending = ""
        for attempt in range(VERIFICATIONS):
            time.sleep(PAUSE_SECONDS * bool(attempt))
            try:
                pending = self.pending_change(self.read())
            except NotReversed as reason:
                pending = "" if reason.status == ALREADY else reason.text
            if not pending:
                return
        raise RetryLater(f"the change was made, but the verification does not show it: {pending}")

    def _not_reversed(self, reason: NotReversed) -> Result:
        if reason.status == ALREADY:
            return Result(ALREADY, reason.text, "", self.remaining, self.recorded)
        manual_command = reason.manual_command or self.manual_command()
        return Result(reason.status, reason.text, manual_command, self.remaining)

    def give_up(self, text: str) -> Result:
        """Report a change that was tried often enough."""
        result = Result(FAILED, f"failed ({text})", self.manual_command())
        self.log(result, [])
        return result

    def log(self, result: Result, answers: list[AwsAnswer]) -> None:
        """Write the action log; beyond its bound the evidence object alone holds the result."""
        if result.status != DONE and not self.eradication.has_log_room(self.action_name):
            return
        self.eradication.logged.add(self.action_name)
        status = SKIPPED if result.status == MANUAL else result.status
        text = sentence(self.change, result.text, result.manual_command)
        self.target_context.log_action(self.action_name, status, text, answers)
