"""What every step shares: a target's names and record, calls that run at the same time, and
sessions that may do no more than needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.containment import session_policy
from guardduty_response.containment.contract import Context, Target
from guardduty_response.errors import ResponseError
from guardduty_response.incident.shared_settings import Held

Json = dict[str, Any]
AwsClient = Any  # a botocore client: its methods are made from AWS's service models
K = TypeVar("K")
DONE, ALREADY, PLANNED, SKIPPED, FAILED = "DONE", "ALREADY", "PLANNED", "SKIPPED", "FAILED"
AWS_ERRORS = (ClientError, BotoCoreError, ResponseError)
# Branches wait for calls on aws.POOL, so they need threads of their own.
BRANCHES = ThreadPoolExecutor(max_workers=16, thread_name_prefix="branch")


class TargetContext:
    """One target within one incident. ``stored``: its record as earlier attempts left it (empty
    until read).
    """

    def __init__(self, context: Context, target: Target) -> None:
        self.context, self.target = context, target
        self.id, self.options = target.id, context.options
        self.prefix = context.config.name_prefix
        self.stored: Json = {}
        self.recorded_now: Json = {}  # states before that this step has recorded

    @property
    def opened_by(self) -> str:
        """The incident that opened the containment, whose name the resource carries."""
        return self.target.opened_by or self.context.incident_id

    def scope(self, kind: str) -> Any:
        return self.target.scope.get(kind)

    def open_session(self, *statements: Json) -> clients.Session:
        return self.context.assume(self.target.account_id, self.target.region, policy(*statements))

    def arn(self, resource: str, service: str = "ec2") -> str:
        region = "" if service == "iam" else self.target.region
        return (
            f"arn:{self.context.config.partition}:{service}:{region}:{self.target.account_id}:"
            f"{resource}"
        )

    def read_stored(self) -> Json:
        """Returns the target's record: of its containment where it has one."""
        target = self.target
        return {
            **self.context.record.target(
                self.context.incident_id, target.kind, target.id, place=target.place
            )
        }

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
    def before_states(self) -> Json:
        """The states before containment by item. The first writing stands."""
        return {**self.recorded_now, **(self.stored.get("before") or {})}

    def logged_action(self, name: str) -> Json:
        return dict(self.stored.get("actions", {}).get(name, {}))

    def record_before_state(self, item: str, state: Any) -> None:
        """Records how ``item`` is before it is changed. Raises GateClosed: it must not be."""
        self.record_before_states({item: state})

    def record_before_states(self, states: Mapping[str, Any]) -> None:
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

    def log_action(self, name: str, status: str, detail: str, answers: Iterable[Json] = ()) -> None:
        """Logs an action. What an earlier attempt did keeps its own line, with its time and
        request ids.
        """
        if status in (ALREADY, SKIPPED) and self.logged_action(name).get("status") == DONE:
            return
        request_ids = ",".join(filter(None, map(clients.request_id, answers)))
        self.context.log_action(self.target, name, status, detail, request_ids)


def allow(actions: Iterable[str], resource: list[str] | str = "*", **equals: Any) -> Json:
    """Returns a statement that allows ``actions``. ``equals``: condition keys and the values that
    the call must have.
    """
    statement: Json = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": {"StringEquals": equals}} if equals else statement


def policy(*statements: Json) -> Json:
    """Returns a session policy of those statements that name a resource."""
    return {
        "Version": "2012-10-17",
        "Statement": [statement for statement in statements if statement["Resource"]],
    }


def fits(*statements: Json) -> bool:
    """Says whether AWS STS takes the statements as a session policy."""
    return session_policy.accepted(policy(*statements))


class Sessions:
    """Opens as many role sessions as it takes to allow ``grants`` (ARN -> actions on it), each with
    the statements ``base``.

    AssumeRole is under way when this returns. ``client`` opens a further session for an ARN that
    none covers.
    """

    def __init__(
        self, target_context: TargetContext, base: list[Json], grants: dict[str, tuple[str, ...]]
    ) -> None:
        self.target_context, self.base = target_context, base
        self.opened: list[tuple[clients.Session, set[str]]] = []
        self.extend(grants)

    def extend(self, grants: dict[str, tuple[str, ...]]) -> None:
        remaining = sorted(grants, key=lambda arn: grants[arn])
        while remaining or not self.opened:
            count = len(remaining)
            while count > 1 and not fits(*self._statements(grants, remaining[:count])):
                count -= 1
            arns, remaining = remaining[:count], remaining[count:]
            session = self.target_context.open_session(*self._statements(grants, arns))
            self.opened.append((session, set(arns)))

    def _statements(self, grants: dict[str, tuple[str, ...]], arns: list[str]) -> list[Json]:
        by_actions: dict[tuple[str, ...], list[str]] = {}
        for arn in arns:
            by_actions.setdefault(grants[arn], []).append(arn)
        return self.base + [allow(actions, named) for actions, named in by_actions.items()]

    def client(self, service: str, arn: str = "", actions: tuple[str, ...] = ()) -> AwsClient:
        while True:
            for session, arns in self.opened:
                if not arn or arn in arns:
                    return session.client(service)
            self.extend({arn: actions})


def run_all(
    calls: Mapping[K, Callable[[], Any]],
    pool: ThreadPoolExecutor = clients.POOL,
    then: Callable[[], object] | None = None,
) -> dict[K, Any]:
    """Runs ``calls`` at the same time; a call that failed yields its error. ``then`` runs when all
    are under way.
    """
    futures = {key: pool.submit(call) for key, call in calls.items()}
    if then:
        then()
    return {key: _settle(future) for key, future in futures.items()}


def _settle(future: Future[Any]) -> Any:
    try:
        return future.result()
    except AWS_ERRORS as error:
        return error


def result_or_raise(result: Any) -> Any:
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
