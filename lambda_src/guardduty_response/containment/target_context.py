"""What every step shares: a target's names and record, calls that run at the same time, and
sessions that may do no more than needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.containment import session_policy
from guardduty_response.containment.contract import Context, Target
from guardduty_response.errors import ResponseError
from guardduty_response.incident.shared_settings import Held

if TYPE_CHECKING:
    from concurrent.futures import Future

    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument, PolicyStatement
    from guardduty_response.incident.model import ActionLogEntry, TargetRecord

# Item -> a setting, in the form in which its control reads and records it.
Settings = dict[str, Any]
Grants = dict[str, tuple[str, ...]]  # an ARN -> the IAM actions on it
K = TypeVar("K")
T = TypeVar("T")
DONE, ALREADY, PLANNED, SKIPPED, FAILED = "DONE", "ALREADY", "PLANNED", "SKIPPED", "FAILED"
AWS_ERRORS = (ClientError, BotoCoreError, ResponseError)
# Branches wait for calls on aws.POOL, so they need threads of their own.
BRANCHES = ThreadPoolExecutor(max_workers=16, thread_name_prefix="branch")


class TargetContext:
    """One target within one incident. ``stored``: its record as earlier attempts left it (empty
    until read). ``logging``: entries of the action log that are being written, where somebody waits
    for them in the end; None: who logs an action waits for that.
    """

    logging: list[Future[None]] | None = None

    def __init__(self, context: Context, target: Target) -> None:
        self.context, self.target = context, target
        self.id, self.options = target.id, context.options
        self.prefix = context.config.name_prefix
        self.stored: TargetRecord = {}
        self.recorded_now: Settings = {}  # prior states that this step has recorded

    @property
    def opened_by(self) -> str:
        """The incident that opened the containment, whose name the resource carries."""
        return self.target.opened_by or self.context.incident_id

    def scope(self, kind: str) -> Any:
        return self.target.scope.get(kind)

    def open_session(self, *statements: PolicyStatement) -> clients.Session:
        return self.context.assume(self.target.account_id, self.target.region, policy(*statements))

    def open_narrowest(self, *choices: list[PolicyStatement]) -> clients.Session:
        """Returns a session of the first of ``choices`` (statements) that AWS STS takes, by the
        estimate and then by its answer, for which this waits; the last is not asked about.
        """
        for statements in choices[:-1]:
            if fits(*statements):
                session = self.open_session(*statements)
                if not session.too_large():
                    return session
        return self.open_session(*choices[-1])

    def arn(self, resource: str, service: str = "ec2") -> str:
        region = "" if service == "iam" else self.target.region
        return (
            f"arn:{self.context.config.partition}:{service}:{region}:{self.target.account_id}:"
            f"{resource}"
        )

    def read_stored(self) -> TargetRecord:
        """Returns the target's record: of its containment where it has one."""
        target = self.target
        return self.context.record.target(
            self.context.incident_id, target.kind, target.id, place=target.place
        )

    def hold(self, arn: str, setting: str, part: str = "") -> AbstractContextManager[Held]:
        """Holds a setting that many containments write. Raises SettingBusy.

        ``part``: of the setting, where this target's parts are written side by side.
        """
        owner = f"{self.context.execution} {self.id} {part}".strip()
        return self.context.record.shared.hold(arn, setting, owner)

    def before_state(self, item: str) -> Any:
        """Returns how ``item`` was before an earlier attempt changed it; None: not recorded."""
        return self.stored.get("before", {}).get(item)

    @property
    def before_states(self) -> Settings:
        """The prior states by item. The first writing stands."""
        return {**self.recorded_now, **(self.stored.get("before") or {})}

    def logged_action(self, name: str) -> Mapping[str, str]:
        """Returns an entry of the action log (``ActionLogEntry``); empty: there is none."""
        entry: ActionLogEntry | None = self.stored.get("actions", {}).get(name)
        return cast("Mapping[str, str]", entry or {})

    def was_done(self, name: str) -> bool:
        """Tells whether containment did an action: what it did and is not so now, was undone."""
        if name in (self.stored.get("weak") or []):
            return False
        logged = self.logged_action(name).get("status")
        return self.target.verify_only or logged in (DONE, ALREADY)

    def record_before_state(self, item: str, state: object) -> None:
        """Records how ``item`` is before it is changed. Raises GateClosed: it must not be."""
        self.record_before_states({item: state})

    def record_before_states(self, states: Mapping[str, object]) -> None:
        """Records how items are before they are changed, in one call where the gate opens for it.

        Raises GateClosed: none of them must be changed.
        """
        if self.context.gate and self.target.place:
            self.context.gate.write_befores(states)
        else:
            before = partial(
                self.context.record.before,
                self.context.incident_id,
                self.target.kind,
                self.id,
                place=self.target.place,
            )
            calls = {item: partial(before, item, state) for item, state in states.items()}
            for answer in run_all(calls).values():
                result_or_raise(answer)
        self.recorded_now.update(states)

    def record_evidence(self, item: str, state: Mapping[str, object]) -> None:
        self.context.record.evidence(
            self.context.incident_id,
            self.target.kind,
            self.id,
            item,
            state,
            place=self.target.place,
        )

    def log_action(
        self, name: str, status: str, detail: str, answers: Iterable[AwsAnswer] = ()
    ) -> None:
        """Logs an action. What an earlier attempt did keeps its own line, with its time and
        request ids.
        """
        if status in (ALREADY, SKIPPED) and self.logged_action(name).get("status") == DONE:
            return
        request_ids = ",".join(filter(None, map(clients.request_id, answers)))
        write = partial(self.context.log_action, self.target, name, status, detail, request_ids)
        if self.logging is None:
            write()
        else:
            self.logging.append(clients.POOL.submit(write))


def allow(
    actions: Iterable[str], resource: list[str] | str = "*", **equals: object
) -> PolicyStatement:
    """Returns a statement that allows ``actions``. ``equals``: condition keys and the values that
    the call must have.
    """
    statement: PolicyStatement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": {"StringEquals": equals}} if equals else statement


def policy(*statements: PolicyStatement) -> PolicyDocument:
    """Returns a session policy of those statements that name a resource."""
    return {
        "Version": "2012-10-17",
        "Statement": [statement for statement in statements if statement["Resource"]],
    }


def fits(*statements: PolicyStatement) -> bool:
    """Says whether AWS STS takes the statements as a session policy."""
    return session_policy.accepted(policy(*statements))


class Sessions:
    """Opens as many role sessions as it takes to allow ``grants`` (ARN -> actions on it), each with
    the statements ``base``.

    AssumeRole is under way when this returns. ``client`` opens a further session for an ARN that
    none covers. A session whose policy AWS STS finds too large, in spite of the estimate, gives way
    to two, each for half of its ARNs, when a call needs it: down to one ARN, whose refusal is the
    call's error (SessionPolicyTooLarge). Threads may share it.
    """

    def __init__(
        self,
        target_context: TargetContext,
        base: list[PolicyStatement],
        grants: Grants,
    ) -> None:
        self.target_context, self.base = target_context, base
        self.opened: list[tuple[clients.Session, Grants]] = []
        self._changing = threading.RLock()  # ``opened``, which is replaced and never edited
        self.extend(grants)

    def extend(self, grants: Grants) -> None:
        remaining = sorted(grants, key=lambda arn: grants[arn])
        while remaining or not self.opened:
            count = len(remaining)
            while count > 1 and not fits(*self._statements(grants, remaining[:count])):
                count -= 1
            arns, remaining = remaining[:count], remaining[count:]
            entry = self._open({arn: grants[arn] for arn in arns})
            with self._changing:
                self.opened = [*self.opened, entry]

    def _open(self, grants: Grants) -> tuple[clients.Session, Grants]:
        statements = self._statements(grants, list(grants))
        return self.target_context.open_session(*statements), grants

    def _statements(self, grants: Grants, arns: list[str]) -> list[PolicyStatement]:
        by_actions: dict[tuple[str, ...], list[str]] = {}
        for arn in arns:
            by_actions.setdefault(grants[arn], []).append(arn)
        return self.base + [allow(actions, named) for actions, named in by_actions.items()]

    def client(self, service: str, arn: str = "", actions: tuple[str, ...] = ()) -> AwsClient:
        while True:
            for session, grants in self.opened:
                if not arn or arn in grants:
                    client = session.client(service)  # is built while STS is asked
                    return SplitClient(self, service, arn) if len(grants) > 1 else client
            self.extend({arn: actions})

    def session_of(self, arn: str, wait: bool = False) -> clients.Session:
        """Returns the session that covers an ARN (empty: the first one).

        ``wait``: until AWS STS has answered. A session that is refused for its size is split first.
        """
        while True:
            entry = next(entry for entry in self.opened if not arn or arn in entry[1])
            session, grants = entry
            if not wait or len(grants) < 2 or not session.too_large():
                return session
            with self._changing:
                if entry in self.opened:  # else another thread has split it
                    arns = list(grants)
                    parts = arns[: len(arns) // 2], arns[len(arns) // 2 :]
                    halves = [self._open({arn: grants[arn] for arn in part}) for part in parts]
                    at = self.opened.index(entry)
                    self.opened = [*self.opened[:at], *halves, *self.opened[at + 1 :]]


class SplitClient:
    """A client of whichever session of ``sessions`` covers ``arn`` when a call is made."""

    def __init__(self, sessions: Sessions, service: str, arn: str) -> None:
        self._sessions, self._service, self._arn = sessions, service, arn

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._sessions.session_of(self._arn).client(self._service), name)
        return partial(self._call, name) if callable(found) else found

    def _call(self, name: str, *values: object, **named: object) -> Any:
        session = self._sessions.session_of(self._arn, wait=True)
        return getattr(session.client(self._service), name)(*values, **named)


def run_all(
    calls: Mapping[K, Callable[[], T]],
    pool: ThreadPoolExecutor = clients.POOL,
    then: Callable[[], object] | None = None,
) -> dict[K, T | Exception]:
    """Runs ``calls`` at the same time; a call that failed yields its error. ``then`` runs when all
    are under way.
    """
    futures = {key: pool.submit(call) for key, call in calls.items()}
    if then:
        then()
    results: dict[K, T | Exception] = {}
    for key, future in futures.items():
        try:
            results[key] = future.result()
        except AWS_ERRORS as error:
            results[key] = error
    return results


def result_or_raise(result: T | Exception) -> T:
    """Returns a result of ``run_all``, or raises the error that it is."""
    if isinstance(result, Exception):
        raise result
    return result


def describe_error(error: Exception) -> str:
    """Returns ``code: message`` of an AWS error, short enough for the action log."""
    if isinstance(error, ClientError):
        return f"{error_code(error)}: {error.response['Error'].get('Message', '')[:300]}"
    return str(error)[:400] or type(error).__name__


def name_of(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
