"""How one change of a principal is undone: read, decide, record, change, verify, log."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    SKIPPED,
    describe_error,
)
from guardduty_response.errors import RoleUnavailable
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.reversals.changes import Change, sentence
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    MANUAL,
    AnyReversal,
    NotReversed,
)

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

INFO = "NOTED"  # a status beside those of the action log: worth knowing, not undoable
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


def left_to_people(status: str, text: str, commands: list[str]) -> Result:
    """Returns the result of a change that is left to people, who read every command."""
    first, *more = commands or [""]
    return Result(status, text, first, [("more resources of this call", each) for each in more])


class Revert:
    """The revert of one change by the reversal of its kind."""

    def __init__(
        self, eradication: EradicationContext, change: Change, kind: type[AnyReversal]
    ) -> None:
        self.eradication, self.change = eradication, change
        self.target_context = eradication.target_context
        # The key of the change in the record's ``before`` map, and its name in the action log
        self.before_key = f"revert/{change.id}"
        self.action_name = f"revert/{change.name}/{change.id[:8]}"
        self.reversal = eradication.reversals.of(kind, self.before_key, change)
        self.reversal.was_recorded = self.before_key in eradication.recorded

    def run(self) -> Result:
        """Reverts the change, or says why not; writes the action log.

        Raises RetryLater when trying again may help; any other failure concerns this change alone.
        """
        answers: list[AwsAnswer] = []
        try:
            result, answers = self._run()
        except NotReversed as reason:
            result = self._not_reversed(reason)
        except RoleUnavailable as error:
            self.eradication.unavailable = str(error)
            result = left_to_people(FAILED, describe_error(error), self.reversal.manual_commands())
        except RetryLater:
            raise
        except Exception as error:
            retryable = isinstance(error, ClientError) and error_code(error) in RETRYABLE
            if is_transient(error) or retryable:
                raise RetryLater(describe_error(error), error) from error
            text = f"failed ({describe_error(error)})"
            result = left_to_people(FAILED, text, self.reversal.manual_commands())
        self._log(result, answers)
        return result

    def _run(self) -> tuple[Result, list[AwsAnswer]]:
        if self.eradication.unavailable:
            raise RoleUnavailable(self.eradication.unavailable)
        reversal = self.reversal
        reversal.look()
        if reason := self.eradication.protection(self.change, reversal.touched):
            raise NotReversed(MANUAL, reason)
        text = reversal.pending_change()
        if not text:
            return self._already(), []
        reversal.refuse_unknown()
        self._record()
        answers = reversal.change()
        self._verify()
        return Result(DONE, text, remaining=self._remaining, reverted=True), answers

    @property
    def _remaining(self) -> list[tuple[str, str]]:
        return list(self.reversal.remaining.values())

    def _already(self) -> Result:
        """Reports that nothing is left to do.

        Recorded without an entry of the action log: an earlier attempt changed it and did not see
        the change, or ended before it wrote the log.
        """
        logged = self.target_context.logged_action(self.action_name).get("status")
        recorded = self.reversal.was_recorded
        status = DONE if recorded and logged != DONE else ALREADY
        text = self.reversal.text(self.reversal.done_text)
        return Result(status, text, remaining=self._remaining, reverted=recorded)

    def _record(self) -> None:
        """Records how it was. Raises NotReversed when the record has no room for it."""
        if self.reversal.was_recorded:
            return
        before = self.reversal.before()
        size = len(str(before))
        if reason := self.eradication.no_room(size):
            raise NotReversed(MANUAL, reason)
        self.target_context.record_before_state(self.before_key, before)
        self.eradication.recorded[self.before_key] = size
        self.reversal.was_recorded = True

    def _verify(self) -> None:
        """Reads again. Raises RetryLater when the reversal cannot be seen: a later call decides."""
        pending = ""
        for attempt in range(VERIFICATIONS):
            time.sleep(PAUSE_SECONDS * bool(attempt))
            try:
                self.reversal.look()
                pending = self.reversal.pending_change()
            except NotReversed as reason:
                pending = "" if reason.status == ALREADY else reason.text
            if not pending:
                return
        raise RetryLater(f"the change was made, but the verification does not show it: {pending}")

    def _not_reversed(self, reason: NotReversed) -> Result:
        if reason.status == ALREADY:
            recorded = self.reversal.was_recorded
            return Result(ALREADY, reason.text, "", self._remaining, recorded)
        given = [reason.manual_command] if reason.manual_command else []
        result = left_to_people(
            reason.status, reason.text, given or self.reversal.manual_commands()
        )
        return replace(result, remaining=[*result.remaining, *self._remaining])

    def give_up(self, text: str) -> Result:
        """Reports a change that was tried often enough."""
        result = left_to_people(FAILED, f"failed ({text})", self.reversal.manual_commands())
        self._log(result, [])
        return result

    def _log(self, result: Result, answers: list[AwsAnswer]) -> None:
        """Writes the action log; beyond its bound the evidence object alone holds the result."""
        if result.status != DONE and not self.eradication.has_log_room(self.action_name):
            return
        self.eradication.logged.add(self.action_name)
        status = SKIPPED if result.status == MANUAL else result.status
        text = sentence(self.change, result.text, result.manual_command)
        self.target_context.log_action(self.action_name, status, text, answers)
