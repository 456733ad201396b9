"""One change of a principal, and how it is undone: read -> what is to do -> record -> change ->
read back -> ledger line.

The present state decides, not what the event says: what is gone, already undone, or changed by
somebody since stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    TargetContext,
    allow,
    describe_error,
    name_of,
    policy,
)
from guardduty_response.decision.policy import matches
from guardduty_response.errors import RoleUnavailable
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change, command, sentence

# The record's item takes 400 KB (Amazon DynamoDB): what reverts may add to it, in entries and in
# characters of before-state.
MOST_REVERTS, MOST_LINES, MOST_CHARACTERS = 120, 200, 150_000
# beside the ledger's: for people to undo; worth knowing, nothing to undo
MANUAL, INFO = "LEFT", "NOTED"
READ_BACKS, PAUSE_SECONDS = 3, 1
# Soon again: somebody changes the same entity (AWS IAM), or an instance is still starting (EC2).
SOON = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable",
        "EntityTemporarilyUnmodifiableException",
        "IncorrectInstanceState",
    }
)


class Settled(Exception):
    """Nothing is to be done about a change (ALREADY), or not by this (LEFT), and why.
    ``by_hand``: not the usual command.
    """

    def __init__(self, status: str, text: str, by_hand: str = "") -> None:
        super().__init__(text)
        self.status, self.text, self.by_hand = status, text, by_hand


class NotYet(Exception):
    """To be asked again in a later call: throttled, an entity that is being changed, or not to
    be seen on reading back.
    """

    def __init__(self, text: str, cause: Exception | None = None) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(frozen=True)
class Result:
    """How a change was dealt with. ``rest``: (why, command) of what is left to people of a
    change that was reverted.
    """

    status: str
    text: str
    by_hand: str = ""
    rest: list[tuple[str, str]] = field(default_factory=list)
    reverted: bool = False  # by this incident, now or earlier


class Job:
    """What every revert of one call shares: sessions, what may be touched, how much the record
    still takes.
    """

    def __init__(self, principal: TargetContext) -> None:
        self.target_context, self.config = principal, principal.context.config
        self.readers: dict[str, clients.Session] = {}
        # A role's name is one role's in an account, and often all that is known here.
        here = [
            one
            for one in cloudtrail_event.own_roles(self.config)
            if one.startswith(("*:", f"{principal.target.account_id}:"))
        ]
        self.own = {name_of(one) for one in here} | {
            f"{self.target_context.prefix}-quarantine",
            f"{self.target_context.prefix}-quarantine-ssm",
        }
        self.recorded = {name: len(str(was)) for name, was in _reverts(principal, "before")}
        self.lines = {name for name, _ in _reverts(principal, "actions")}
        self.unavailable = ""

    @property
    def deny_all(self) -> str:
        return f"arn:{self.config.partition}:iam::aws:policy/AWSDenyAll"

    def reading(self, region: str) -> clients.Session:
        """Reads anything a revert asks for, changes nothing."""
        if region not in self.readers:
            self.readers[region] = self._assume(region, allow(resource_state.READS))
        return self.readers[region]

    def changing(self, region: str, *statements: Json) -> clients.Session:
        return self._assume(region, *statements)

    def _assume(self, region: str, *statements: Json) -> clients.Session:
        return self.target_context.context.assume(
            self.target_context.target.account_id, region, policy(*statements)
        )

    def full(self, characters: int) -> str:
        """Why the record takes no further before-state of this size, or empty: what is not
        recorded is not changed.
        """
        if len(self.recorded) >= MOST_REVERTS:
            return f"{MOST_REVERTS} changes were reverted, and the incident's record takes no more"
        if sum(self.recorded.values()) + characters > MOST_CHARACTERS:
            return "how it was is too long for the incident's record"
        return ""

    def untouchable(self, change: Change, names: Iterable[str]) -> str:
        """Why none of ``names`` (ARNs, ids, names) may be touched, or empty."""
        rails, account = self.config.guardrails, self.target_context.target.account_id
        if change.account != account:
            return f"it was done in account {change.account or 'unknown'}, not in {account}"
        if account in rails["exempt_accounts"]:
            return f"account {account} is exempt (guardrails.exempt_accounts)"
        for name in names:
            short = name_of(name)
            if short in self.own or (
                account == self.config.security_account
                and short.startswith(f"{self.target_context.prefix}-")
            ):
                return f"{short} belongs to the response itself"
            if ":role/aws-service-role/" in name or ":role/aws-reserved/" in name:
                return f"{short} is a role that only its AWS service can change"
            for rail in ("exempt_principals", "exempt_resources"):
                for pattern in rails[rail]:
                    if matches(pattern, name) or matches(pattern, short):
                        return f"{short} is exempt (guardrails.{rail}: {pattern})"
        return ""


def _reverts(principal: TargetContext, what: str) -> list[tuple[str, Json]]:
    return [
        (name, one)
        for name, one in (principal.stored.get(what) or {}).items()
        if name.startswith("revert/")
    ]


class Revert:
    """``kind``: the option that switches it on; ``what``: the form its before-state has, for
    restoring it (restore_reverts).
    """

    kind = what = ""

    def __init__(self, job: Job, change: Change) -> None:
        self.job, self.change, self.target_context = job, change, job.target_context
        self.rest: list[tuple[str, str]] = []

    # -- what a kind of change says of itself ------------------------------------------------------

    @classmethod
    def applies(cls, _change: Change) -> bool:
        """Whether the call did what this undoes; else it is told like any other."""
        return True

    def read(self) -> Any:
        """How it is now. Raises Settled when nothing is to be done."""
        raise NotImplementedError

    def names(self, now: Any) -> list[str]:
        """ARNs, ids or names of everything that would be touched."""
        raise NotImplementedError

    def todo(self, now: Any) -> str:
        """A participle, or empty when it is as it should be."""
        raise NotImplementedError

    good = "it is so already"

    def before(self, now: Any) -> Json:
        raise NotImplementedError

    def undo(self, now: Any) -> list[Json]:
        raise NotImplementedError

    def by_hand(self) -> str:
        raise NotImplementedError

    # -- shared by all -----------------------------------------------------------------------------

    def client(self, service: str = "iam") -> Any:
        return self.job.reading(self.change.region).client(service)

    def changing(
        self,
        actions: tuple[str, ...],
        resource: list[str] | str,
        service: str = "iam",
        **equals: Any,
    ) -> Any:
        return self.job.changing(self.change.region, allow(actions, resource, **equals)).client(
            service
        )

    def command(self, call: str, *values: str) -> str:
        return command(call, *values, region=self.change.region)

    @property
    def part(self) -> str:
        return f"revert/{self.change.id}"

    @property
    def line(self) -> str:
        return f"revert/{self.change.name}/{self.change.id[:8]}"

    def run(self) -> Result:
        """Reverts the change, or says why not; writes the ledger line.

        Raises NotYet when asking again may help; whatever else goes wrong is this change's alone.
        """
        try:
            result, answers = self._run()
        except Settled as settled:
            result, answers = self._settled(settled), []
        except RoleUnavailable as error:
            self.job.unavailable = str(error)
            result, answers = Result(FAILED, describe_error(error), self.by_hand()), []
        except NotYet:
            raise
        except Exception as error:
            if is_transient(error) or (
                isinstance(error, ClientError) and error_code(error) in SOON
            ):
                raise NotYet(describe_error(error), error) from error
            result, answers = (
                Result(FAILED, f"failed ({describe_error(error)})", self.by_hand()),
                [],
            )
        self.say(result, answers)
        return result

    def _run(self) -> tuple[Result, list[Json]]:
        if self.job.unavailable:
            raise RoleUnavailable(self.job.unavailable)
        now = self.read()
        if reason := self.job.untouchable(self.change, self.names(now)):
            raise Settled(MANUAL, reason)
        text = self.todo(now)
        mine = self.part in self.job.recorded
        if not text:
            # Recorded, and no line of it: an earlier attempt changed it and did not see it, or did
            # not come to its line.
            status = (
                DONE
                if mine and self.target_context.logged_action(self.line).get("status") != DONE
                else ALREADY
            )
            return Result(status, self.good, rest=self.rest, reverted=mine), []
        was = {
            "what": self.what,
            "event": self.change.name,
            "region": self.change.region,
            **self.before(now),
        }
        if not mine:
            if reason := self.job.full(len(str(was))):
                raise Settled(MANUAL, reason)
            self.target_context.record_before_state(self.part, was)
            self.job.recorded[self.part] = len(str(was))
        answers = self.undo(now)
        self._seen()
        return Result(DONE, text, rest=self.rest, reverted=True), answers

    def _seen(self) -> None:
        """Reads back. Raises NotYet when the change is not to be seen: judged anew in a later
        call.
        """
        left = ""
        for attempt in range(READ_BACKS):
            time.sleep(PAUSE_SECONDS * bool(attempt))
            try:
                left = self.todo(self.read())
            except Settled as settled:
                left = "" if settled.status == ALREADY else settled.text
            if not left:
                return
        raise NotYet(f"changed, and not to be seen on reading back: {left}")

    def _settled(self, settled: Settled) -> Result:
        return Result(
            settled.status,
            settled.text,
            "" if settled.status == ALREADY else settled.by_hand or self.by_hand(),
            self.rest,
            settled.status == ALREADY and self.part in self.job.recorded,
        )

    def given_up(self, text: str) -> Result:
        """Asked often enough."""
        result = Result(FAILED, f"failed ({text})", self.by_hand())
        self.say(result, [])
        return result

    def say(self, result: Result, answers: list[Json]) -> None:
        status = SKIPPED if result.status == MANUAL else result.status
        if status != DONE and self.line not in self.job.lines and len(self.job.lines) >= MOST_LINES:
            return  # the evidence object has it
        self.job.lines.add(self.line)
        self.target_context.log_action(
            self.line, status, sentence(self.change, result.text, result.by_hand), answers
        )
