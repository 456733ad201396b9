"""Guards every batch of changes: nothing is written to a resource without the gate's permission.

The gate reads what may have changed since the decision: a pause (the CONTROL items), exemptions,
the policy of now, the lease, the containment's generation, and whether the plan which the step
carries out is still the incident's. ``aws.clients._Pending`` calls it before each request is
signed. It runs beside AssumeRole; the session's credentials are held back until it has agreed, so
it costs no round trip of its own (docs/decisions/0030). It can only refuse: it never makes a milder
decision stricter. Without a gate a session can only read.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws.dynamodb_types import Item, item
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.pauses import control_items, newer_config, paused_by
from guardduty_response.decision import guardrails, policy
from guardduty_response.decision.configuration import PAUSED, Config
from guardduty_response.errors import GateClosed
from guardduty_response.incident.containments import (
    ENDED_VALUES,
    NOT_ENDED,
    partition,
    sort_key,
)
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.table import incident_key
from guardduty_response.incident.target_repository import Place, place_of
from guardduty_response.incident.transactions import BEFORES_IN_TRANSACTION

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord, TargetReference

VALID_SECONDS = 5.0
# An opening gate waits so long for the first prior state, where a playbook knows it already, so
# that it goes into the transaction.
FIRST_WRITE_SECONDS = 0.02
LEASE_SECONDS = 900  # longer than any function (120 s) or task state (150 s) may take
# Threads of their own: AssumeRole and the calls that wait for the gate use aws.clients.POOL, and
# an opening gate waits for its calls, so neither may take the other's threads.
_OPENING = ThreadPoolExecutor(max_workers=20, thread_name_prefix="gate")
_CALLS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="gate-call")


class _Write(NamedTuple):
    """Holds a prior state that waits for the gate's transaction."""

    name: str
    token: str
    request: Item
    done: Future[None]


@dataclass
class Gate:
    """Guards the changes of one step on one target.

    ``target``: with the generation of the containment that the changes belong to (none in records
    of releases before 0.2: then the lease alone is checked), and the digest of the plan that the
    step carries out. ``purpose`` says which conditions are checked: ``change`` all; ``evidence``
    and ``upkeep`` (taking out of a role what is needed no more) the pause, the exemptions, the
    management account and the response's own roles; ``restore`` the lease and the generation.
    ``meta`` is asked for when the gate is first used. ``heeds_freeze``: in a freeze window, the
    changes need an approval, as at the decision: they come late, and contain nothing.
    """

    record: IncidentRepository
    config: Config
    incident_id: str
    execution: str
    target: TargetReference
    meta: Callable[[], IncidentRecord]
    purpose: str = "change"
    heeds_freeze: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _agreed_at: float = float("-inf")
    _refusal: GateClosed | None = None
    _reason: str = ""
    # Never held while the gate asks: who opens a session meanwhile must not wait for the answer.
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _opening: Future[None] | None = None
    _queue: threading.Lock = field(default_factory=threading.Lock)  # of _waiting alone
    _waiting: list[_Write] = field(default_factory=list)
    _written: threading.Event = field(default_factory=threading.Event)
    _batch: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self.arn, self.id, self.place = self.target["arn"], self.target["id"], place_of(self.target)
        self._no_lease = f"this step no longer has the lease on {self.id}"
        self._over = (f"{self.id} has a newer containment", f"{self.id} was restored meanwhile")

    # -- permission --------------------------------------------------------------------------------

    def open(self, awaits_write: bool = False) -> None:
        """Begins to ask, in the background, and returns at once: what needs permission soon will
        find it.

        ``awaits_write``: the playbook records a prior state within moments. The gate waits 20 ms
        for it, so that one transaction does both.
        """
        with self._starting:
            if self._opening is None:
                self._opening = _OPENING.submit(self._begin, awaits_write)

    def _begin(self, awaits_write: bool) -> None:
        if awaits_write:
            self._written.wait(FIRST_WRITE_SECONDS)
        self.permit()

    def permit(self) -> None:
        """Returns once changes are permitted, for VALID_SECONDS. Raises GateClosed.

        A refusal stands for the whole step. Raises botocore errors when the table cannot be
        reached: then nothing is permitted.
        """
        if self._is_valid():  # without waiting for a write that is under way
            return
        with self._lock:
            self._raise_refusal()
            if not self._is_valid():
                self._ask_with_waiting()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Permits what this thread does in the block, once it is begun: calls of which the first
        alone would leave the resource more open than it was. Raises as ``permit`` does.
        """
        self.permit()
        self._batch.begun = True
        try:
            yield
        finally:
            self._batch.begun = False

    def _is_valid(self) -> bool:
        if getattr(self._batch, "begun", False):
            return True
        return not self._refusal and time.monotonic() - self._agreed_at < VALID_SECONDS

    @property
    def refusal(self) -> str:
        """Why changes were refused in this step, or an empty string."""
        return str(self._refusal) if self._refusal else ""

    @property
    def is_over(self) -> bool:
        """Tells whether changes were refused because their containment is over, and nothing else
        forbids them: the resource was restored, or has a newer containment.
        """
        return self._reason in self._over

    @property
    def lost_lease(self) -> bool:
        """Tells whether changes were refused because the lease ran out and somebody took it, and
        nothing else forbids them.
        """
        return self._reason == self._no_lease

    @property
    def is_paused(self) -> bool:
        """Tells whether changes were refused because of a pause, which ends."""
        return self._reason.startswith(PAUSED)

    def write_before(self, name: str, value: object) -> None:
        """Records an item's state before containment, as ``write_befores`` does."""
        self.write_befores({name: value})

    def write_befores(self, states: Mapping[str, object]) -> None:
        """Records items' prior states. Raises GateClosed: then none of the items
        must be changed.

        It goes into the transaction that permits the changes, with those that come meanwhile.
        While the permission is valid it is written by itself: DynamoDB refuses transactions on the
        same item side by side.
        """
        place = self.place
        assert place is not None
        if self._is_valid():
            for name, value in states.items():
                self.record.put_before(place, name, value)
            return
        writes = [self._write(place, name, value) for name, value in states.items()]
        with self._queue:
            for write in writes:
                self._waiting.append(write)
        self._written.set()
        with self._lock:
            while not all(write.done.done() for write in writes):
                with suppress(Exception):  # each writer is told its own, below
                    self._ask_with_waiting()
        for write in writes:
            write.done.result()
            self.record.note_before(place, write.name, states[write.name])

    def _write(self, place: Place, name: str, value: object) -> _Write:
        token = uuid.uuid4().hex
        request = self.record.containments.before_write(*place, name, value, token)
        return _Write(name, token, request, Future())

    def _ask_with_waiting(self) -> None:
        """Asks, and writes the prior states that wait. Raises as ``permit`` does."""
        with self._queue:
            batch = self._waiting[:BEFORES_IN_TRANSACTION]
            self._waiting = self._waiting[BEFORES_IN_TRANSACTION:]
        try:
            self._raise_refusal()
            self._ask(batch)
        except Exception as error:
            for write in batch:
                write.done.set_exception(error)
            raise
        for write in batch:
            write.done.set_result(None)

    def _raise_refusal(self) -> None:
        if self._refusal:
            raise self._refusal

    # -- asking ------------------------------------------------------------------------------------

    def _ask(self, writes: list[_Write]) -> None:
        started = time.monotonic()
        try:
            reason = self._refused_because(writes)
        except ClientError as error:
            if is_transient(error):
                raise
            reason = f"whether changes are permitted could not be read ({error})"
        if reason:
            self._reason = reason
            self._refusal = GateClosed(f"nothing is changed any more: {reason}")
            raise self._refusal
        self._agreed_at = started

    def _refused_because(self, writes: list[_Write]) -> str:
        """Asks everything side by side: the first permission takes as long as AssumeRole does.

        A prior state stands for the whole generation, so what was written is taken back where a
        pause or a policy refuses.
        """
        transaction = _CALLS.submit(self._hold, [write.request for write in writes])
        if self.purpose == "restore":
            return transaction.result()
        reason = "the answer did not come"
        try:
            controls = _CALLS.submit(control_items, self.record)
            reason = self._refused_by(self.config) or self._refused_by_controls(controls.result())
        finally:
            if reason and writes and not transaction.result():
                reason += self._take_back(writes)
        return reason or transaction.result()

    def _take_back(self, writes: list[_Write]) -> str:
        """Takes back what these writes were first to record. Returns what could not be, as text."""
        assert self.place is not None
        left = []
        for write in writes:
            try:
                self.record.containments.take_back_before(*self.place, write.name, write.token)
            except (BotoCoreError, ClientError) as error:
                left.append(f"{write.name} ({error})")
        return f"; its state before stays recorded: {', '.join(left)}" if left else ""

    def _refused_by_controls(self, controls: list[Item]) -> str:
        """Returns why a pause or the newest configuration forbids changes, or an empty string.

        An apply that fails half-way stores the newest and does not bring it to every function.
        """
        if paused := paused_by(controls):
            return paused
        newer = newer_config(controls, self.config)
        return self._refused_by(newer) if newer else ""

    def _refused_by(self, config: Config) -> str:
        """Returns why a policy or a guardrail forbids changes, or an empty string."""
        guarded: guardrails.GuardedTarget = {
            "id": self.id,
            "arn": self.arn,
            "principals": self.target["principals"],
        }
        account_id = self.target["account_id"]
        if skip := guardrails.reason_to_skip(config, account_id, [guarded]):
            return skip
        if self.purpose in ("evidence", "upkeep"):
            return ""
        meta = self.meta()  # says of the finding what the policy needs
        decided = policy.decide(
            config,
            meta["finding_type"],
            meta["account_id"],
            meta["severity"],
            meta.get("playbook") or None,
            "",
            meta.get("in_doubt") or "",
        )
        digest = meta.get("approved_digest")
        approved = (bool(digest) and digest == meta.get("plan_digest")) or _was_asked_about(meta)
        freeze = guardrails.frozen(config, datetime.now(UTC)) if self.heeds_freeze else ""
        if freeze and not approved:
            return f"{freeze}, and nobody has approved it: a person decides, or does it by hand"
        if decided.mode == "auto" or (decided.mode == "approve" and approved):
            return ""
        wanted = "a person has to approve it" if decided.mode == "approve" else "nothing may act"
        return f"the policy says {decided.mode} now ({'; '.join(decided.reasons)}): {wanted}"

    def _hold(self, writes: list[Item]) -> str:
        """Holds the lease and the generation, and makes ``writes``, all or nothing.

        Returns why that is not possible, or an empty string.
        """
        if self.purpose in ("evidence", "upkeep"):
            return ""
        conditions = self._conditions()
        failed = self.record.table.transact([write for write, _ in conditions] + writes)
        if not failed:
            return ""
        reasons = [reason for n, (_, reason) in enumerate(conditions) if n in failed]
        # Where the containment is over, the lease went to whoever ended it.
        over = [reason for reason in reasons if reason in self._over]
        return next(iter(over or reasons), "the record refused")

    def _conditions(self) -> list[tuple[Item, str]]:
        """Returns what must hold, as parts of a transaction, each with the reason if it does not.

        The lease is renewed by the way.
        """
        lease = self.record.leases.renewal(self.arn, self.execution, LEASE_SECONDS)
        found = [(lease, self._no_lease)]
        if self.place:
            found += self._generation_conditions(self.place)
        digest = self.target.get("plan_digest")
        if digest and self.purpose == "change":
            check: Item = {
                "Key": item({"pk": incident_key(self.incident_id), "sk": "META"}),
                "ConditionExpression": "plan_digest = :digest",
                "ExpressionAttributeValues": item({":digest": digest}),
            }
            found.append(({"ConditionCheck": check}, "it was planned anew meanwhile"))
        return found

    def _generation_conditions(self, place: Place) -> list[tuple[Item, str]]:
        arn, generation = place
        head: Item = {
            "Key": item({"pk": partition(arn), "sk": "HEAD"}),
            "ConditionExpression": "generation = :generation",
            "ExpressionAttributeValues": item({":generation": generation}),
        }
        found: list[tuple[Item, str]] = [({"ConditionCheck": head}, self._over[0])]
        if self.purpose == "change":
            state: Item = {
                "Key": item({"pk": partition(arn), "sk": sort_key(generation, "STATE")}),
                "ConditionExpression": NOT_ENDED,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": item(ENDED_VALUES),
            }
            found.append(({"ConditionCheck": state}, self._over[1]))
        return found


def _was_asked_about(meta: IncidentRecord) -> bool:
    """Tells whether a release before 0.2, which kept no digests, asked a person about the incident.

    Its state machine came here only after an approval.
    """
    return not meta.get("plan_digest") and meta.get("decision") == "approve"
