"""The contract between the machine and a playbook: its verbs, each safe to repeat.

A playbook is one name in three places: its package here, ``playbooks/<name>/*-policy.json`` (what
its roles may do: the responder contains, the collector keeps evidence, the restorer undoes, the
terminator destroys; each is another function with another role) and ``playbooks/<name>/runbook.md``
(what people do). Adding one touches nothing else.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from guardduty_response.aws import clients
from guardduty_response.decision.configuration import Config
from guardduty_response.decision.finding import Finding
from guardduty_response.errors import ConfigError
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status

Json = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One resource to act on, as discovered by ``plan`` and handed from verb to verb by the machine
    (small: ids only).

    ``scope``: the ids or ARNs that session policies are narrowed to, by kind. ``attach``: set when
    another incident already works on the resource: contain then does nothing, verify links to it.
    """

    kind: str
    id: str
    arn: str
    account_id: str
    region: str
    scope: Json = field(default_factory=dict)
    attach: str = ""
    verify_only: bool = False

    def payload(self) -> Json:
        return dict(self.__dict__)


@dataclass(frozen=True)
class Planned:
    """A target with what the plan found: ``tags`` and ``principals`` for the guardrails,
    ``actions`` name -> sentence.

    ``consequences``: what people must know before it is acted on (data that will be lost, say), or
    empty. ``hand_over``: what another playbook is to answer as an incident of its own: its name ->
    makes the event (a finding in EventBridge's shape), when it is to be handed over. Raises
    ResponseError, which says why it cannot.
    """

    target: Target
    tags: dict[str, str] = field(default_factory=dict)
    principals: list[str] = field(default_factory=list)
    actions: dict[str, str] = field(default_factory=dict)
    consequences: str = ""
    hand_over: Mapping[str, Callable[[], Json]] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One read-back fact. ``fatal``: without it the resource is not contained at all (FAILED rather
    than PARTIAL).

    ``read``: False when the fact could not be read at all: then it is not ok, and not undone
    either.
    """

    name: str
    ok: bool
    detail: str
    fatal: bool = False
    read: bool = True


@dataclass(frozen=True)
class StepResult:
    """A verb's answer. Not ``done``: call again in ``wait_seconds``. ``again``: verify asks for
    ``contain`` once more.

    ``watched``, of verify: the ids and names that a call undoing this containment would name (kept
    in the record). ``following``, of a phase after the verdict: the phase that comes next; empty:
    the usual one.
    """

    done: bool = True
    wait_seconds: int = 0
    again: str = ""
    status: Status | None = None
    detail: str = ""
    watched: list[str] = field(default_factory=list)
    next_step: str = ""

    def payload(self) -> Json:
        return {
            "done": self.done,
            "wait_seconds": self.wait_seconds,
            "again": self.again,
            "status": self.status,
            "detail": self.detail[:500],
        }


@dataclass(frozen=True)
class RestoreResult:
    """What restore saw in the end. ``done``, ``still_contained``: parts of the before-state; the
    texts are for people.
    """

    status: Status  # RESTORED, RESTORE_PARTIAL or GONE
    done: list[str]
    still_contained: list[str]
    restored: list[str]
    not_restored: list[str]
    checks: list[Check]


@dataclass
class Context:
    """What a verb may use. ``assume(account, region, policy)`` opens the responder role narrowed to
    ``policy``, with ``role=`` the role that another variable of the environment names.
    """

    config: Config
    options: Json
    finding: Finding
    incident_id: str
    execution: str
    record: IncidentRepository
    assume: Callable[..., clients.Session]
    put_evidence: Callable[[str, bytes], Json]  # (name, content) -> {key, sha256, bytes}
    attempt: int = 1

    def log_action(
        self, target: Target, name: str, status: str, detail: str, request_id: str = ""
    ) -> None:
        self.record.action(
            self.incident_id, target.kind, target.id, name, status, detail, request_id
        )


def member_session(
    partition: str,
    name: str,
    account_id: str,
    region: str,
    document: Json,
    role: str = "GDR_RESPONDER_ROLE",
) -> clients.Session:
    """A session of this function's member role in the account, narrowed to ``document``;
    ``role``: the variable naming it.
    """
    arn = f"arn:{partition}:iam::{account_id}:role/{os.environ[role]}"
    return clients.Session(arn, name, region, document)


class Playbook(Protocol):
    """A playbook's module ``playbook``. Verbs raise botocore errors only for throttling and outages
    (the machine retries).

    ``COLLECTS_FIRST = True``: its collector has something to do before containment
    (Collector.first).

    A module may also have ``culprits(context, target, undone checks, since, seen, watched) ->
    [change]``: who undid it (breach.change), newest first; ``since`` ISO 8601, ``seen`` the change
    that was heard of, if any.
    """

    def plan(self, context: Context) -> list[Planned]:
        """Discovers the targets, read-only. Raises NoTarget, TargetGone, RoleUnavailable."""

    def contain(self, context: Context, target: Target) -> StepResult: ...

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]: ...

    def finish(self, context: Context, target: Target) -> StepResult: ...


class Collector(Protocol):
    """A playbook's package ``collect``, in the zip of its collector function alone. Answers are
    polled while not done.
    """

    def first(self, context: Context, target: Target, seconds_left: int) -> StepResult:
        """Before containment, where switched on. The machine goes on when the deadline passes,
        whatever this answers.
        """

    def evidence(self, context: Context, target: Target) -> StepResult:
        """Beside containment, once: starts what takes long and needs nothing of it."""

    def collect(self, context: Context, target: Target) -> StepResult:
        """After the verdict: all evidence to its end, and the manifest."""


class Terminator(Protocol):
    """A playbook's module ``terminate``, in the zip of its terminate function alone."""

    def terminate(self, context: Context, target: Target) -> StepResult:
        """Destroys the resource once nothing is lost by it; reads back that it is gone."""


class Eradicator(Protocol):
    """A playbook's package ``eradicate``, in the zip of its remediate function alone."""

    def eradicate(self, context: Context, target: Target) -> StepResult:
        """Undoes what the principal did, in reversible forms; says what is left. Safe to repeat."""


class Restorer(Protocol):
    """A playbook's module ``restore``, in the zip of its restore function alone."""

    def restore(self, context: Context, target: Target) -> RestoreResult:
        """Undoes containment from the ledger's before-state and reads back. Safe to repeat.
        Raises RoleUnavailable.
        """


def load_restorer(name: str) -> Restorer:
    """The playbook's restore. Raises ConfigError when this build has none."""
    return _load(f"{name}.restore")  # type: ignore[no-any-return]


def load_collector(name: str) -> Collector:
    """The playbook's evidence. Raises ConfigError when this build has none."""
    return _load(f"{name}.evidence")  # type: ignore[no-any-return]


def load_terminator(name: str) -> Terminator:
    """What destroys the playbook's resource. Raises ConfigError when this build has none."""
    return _load(f"{name}.terminate")  # type: ignore[no-any-return]


def load_eradicator(name: str) -> Eradicator:
    """What undoes a principal's actions. Raises ConfigError when this build has none."""
    return _load(f"{name}.eradicate")  # type: ignore[no-any-return]


def load(name: str) -> Playbook:
    """The module ``playbook`` of the package ``name``. Raises ConfigError when this build has
    none of that name.
    """
    return _load(f"{name}.playbook")  # type: ignore[no-any-return]


def _load(name: str) -> Any:
    try:
        return importlib.import_module(f"guardduty_response.playbooks.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this function's code holds no {name}: rebuild and redeploy the module"
        ) from error
