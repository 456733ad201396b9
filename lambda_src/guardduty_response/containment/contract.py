"""Declares the contract between the state machine and a playbook: steps that are safe to repeat.

A playbook is one name in several places: its package ``guardduty_response/playbooks/<name>``; the
folder ``playbooks/<name>`` with its manifest, the calls that undo it, ``*-policy.json``, what its
roles may do (the responder contains, the collector keeps evidence, the restorer undoes, the
terminator destroys; each is another function with another role), and ``runbook.md``, what people
do; and the Terraform variable of its options. ``decision.manifests.playbook_for`` chooses the
playbook of a finding.
"""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from guardduty_response.aws import clients
from guardduty_response.containment import session_policy
from guardduty_response.containment.gate import Gate
from guardduty_response.decision.configuration import Config, PlaybookOptions
from guardduty_response.decision.finding import Finding
from guardduty_response.decision.planned_options import ContainedWith, as_contained, of_containment
from guardduty_response.errors import ConfigError
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.target_repository import Place

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.protocols import (
        Collector,
        Eradicator,
        Monitor,
        Playbook,
        Restorer,
        Terminator,
    )
    from guardduty_response.incident.model import (
        CheckRecord,
        StoredObject,
        TargetPayload,
        TargetReference,
    )

Event = dict[str, Any]  # of EventBridge: ``detail`` and what is around it
NOTHING: Mapping[str, Any] = MappingProxyType({})  # a default that nobody can change
NO_OPTIONS = cast("ContainedWith", NOTHING)


class StepPayload(TypedDict):
    """Declares a step's result as the state machine receives it."""

    done: bool
    wait_seconds: int
    again: str
    status: Status | None
    detail: str
    waited: bool


class Target(NamedTuple):
    """Names a resource to act on, as ``plan`` found it and the state machine hands it on.

    ``scope``: the IDs or ARNs that session policies are narrowed to, by kind. ``attach`` (the
    stored key): the ID of another incident that had the lease when this target was planned, or
    empty: contain then waits for its lease. ``verify_only``: containment is only verified.
    ``generation``: of the containment that the incident is linked to; 0: none. ``opened_by``: the
    incident that opened it.
    ``principals``: ARNs that the resource involves. ``contained_with``: the options that it was
    contained with, of a recheck and of containing again; empty: those of now count.
    ``finding_key``: where the event that named it is stored; empty (older records): META says.
    ``gone`` and ``unplanned``, of a recheck: why its event's plan finds it no more, or lacks it.
    """

    kind: str
    id: str
    arn: str
    account_id: str
    region: str
    scope: Mapping[str, Any] = NOTHING
    attach: str = ""
    verify_only: bool = False
    generation: int = 0
    opened_by: str = ""
    plan_digest: str = ""  # of the plan that is carried out
    principals: Sequence[str] = ()
    contained_with: ContainedWith = NO_OPTIONS
    finding_key: str = ""
    gone: str = ""
    unplanned: str = ""

    @property
    def place(self) -> Place | None:
        """Returns where the target's containment is stored; None: it has none."""
        return (self.arn, self.generation) if self.generation else None

    def payload(self) -> TargetPayload:
        """Returns the target as the state machine hands it on (``TargetPayload``)."""
        fields = self._asdict() | {"scope": dict(self.scope), "principals": list(self.principals)}
        for name in ("contained_with", "finding_key", "gone", "unplanned"):
            if not fields[name]:
                del fields[name]
        return cast("TargetPayload", fields)

    def reference(self) -> TargetReference:
        """Returns the target as META names it."""
        return {
            "kind": self.kind,
            "id": self.id,
            "arn": self.arn,
            "account_id": self.account_id,
            "region": self.region,
            "attach": self.attach,
            "generation": self.generation,
            "opened_by": self.opened_by,
            "plan_digest": self.plan_digest,
            "principals": list(self.principals),
            "finding_key": self.finding_key,
        }


class Planned(NamedTuple):
    """Holds a target and what the plan found about it.

    ``tags`` and ``principals`` (ARNs) serve the guardrails. ``actions``: name -> sentence.
    ``immutable_id``: what AWS gives the resource for good; empty: not known.
    ``consequences``: what people must know before anything acts (data that will be lost, say), or
    empty. ``hand_over``: what another playbook has to answer as an incident of its own: the
    playbook's name -> a function that makes the event (a finding in EventBridge's shape) when it is
    to be handed over; it raises ResponseError, which says why it cannot. ``foresee``: looks up what
    people are shown besides where they are asked or nothing is done: name -> sentence. It is no
    part of what an approval is bound to. ``keep``: what the plan after an approval is to know, and
    the resource may not show any more by then.
    """

    target: Target
    tags: Mapping[str, str] = NOTHING
    principals: Sequence[str] = ()
    actions: Mapping[str, str] = NOTHING
    consequences: str = ""
    hand_over: Mapping[str, Callable[[], Event]] = NOTHING
    immutable_id: str = ""
    foresee: Callable[[], Mapping[str, str]] | None = None
    keep: Mapping[str, object] = NOTHING


class Check(NamedTuple):
    """Holds one fact that verification read.

    ``fatal``: without it the resource is not contained at all (FAILED rather than PARTIAL).
    ``read``: False when the fact could not be read: it then fails, but is no loss of containment.
    ``minor``: what it is about was done, and its being undone leaves the resource contained: only
    together with another check is it a loss.
    """

    name: str
    ok: bool
    detail: str
    fatal: bool = False
    read: bool = True
    minor: bool = False

    def record(self) -> CheckRecord:
        """Returns the check as it is stored."""
        fields = self._asdict()
        if not self.minor:
            del fields["minor"]
        return cast("CheckRecord", fields)


class StepResult(NamedTuple):
    """Holds a step's answer.

    Not ``done``: call again in ``wait_seconds``. ``again``: verify asks for ``contain`` once more.
    ``waited``: nothing was tried, since somebody else works on the resource.
    ``watched``, of verify: the IDs and names that a call undoing this containment would name.
    ``next_step``, of a step after the verdict: the step that comes next; empty: the usual one.
    """

    done: bool = True
    wait_seconds: int = 0
    again: str = ""
    status: Status | None = None
    detail: str = ""
    watched: Sequence[str] = ()
    next_step: str = ""
    waited: bool = False

    def payload(self) -> StepPayload:
        """Returns the result as the state machine receives it."""
        return {
            "done": self.done,
            "wait_seconds": self.wait_seconds,
            "again": self.again,
            "status": self.status,
            "detail": self.detail[:500],
            "waited": self.waited,
        }


class RestoreResult(NamedTuple):
    """Holds what restore verified in the end.

    ``done`` and ``still_contained``: keys of the before-state. ``restored`` and ``not_restored``:
    sentences for people.
    """

    status: Status  # RESTORED, RESTORE_PARTIAL or GONE
    done: list[str]
    still_contained: list[str]
    restored: list[str]
    not_restored: list[str]
    checks: list[Check]


@dataclass
class Context:
    """Holds what a step may use.

    ``assume(account, region, policy)`` opens a session of this function's member role,
    narrowed to ``policy``; ``role=`` names the environment variable of another role.
    ``put_evidence(name, content)`` stores an object in the evidence bucket. ``record``: the
    repository of incidents (incident/repository.py). ``gate``: guards the changes of the step;
    without it every session can only read. ``attempt``: the number of this call of the step;
    ``waits`` of the calls before it tried nothing, since somebody else worked on the resource.
    ``finding_key``: where ``finding`` is stored; empty: META says. ``expect(target, session)``, in
    a plan: begins what deciding about that target takes, while the playbook reads. ``kept``, in the
    plan after an approval: what the plan that people were asked about has kept, by ARN.
    """

    config: Config
    options: PlaybookOptions
    finding: Finding
    incident_id: str
    execution: str
    record: IncidentRepository
    assume: Callable[..., clients.Session]
    put_evidence: Callable[[str, bytes], StoredObject]
    attempt: int = 1
    waits: int = 0
    gate: Gate | None = None
    finding_key: str = ""
    expect: Callable[[Target, clients.Session], None] | None = None
    kept: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def tries(self) -> int:
        """Returns the number of this call among those that try something."""
        return self.attempt - self.waits

    def as_contained(self, known: ContainedWith) -> Context:
        """Returns the context in which what was contained with ``known`` is verified, contained
        again or restored. Empty: this one.
        """
        if not known:
            return self
        context = copy.copy(self)
        found = of_containment(known, None, self.options)
        context.options = found["options"]
        context.config = as_contained(self.config, found)
        return context

    def log_action(
        self, target: Target, name: str, status: str, detail: str, request_id: str = ""
    ) -> None:
        """Writes an entry of the target's action log."""
        self.record.action(
            self.incident_id,
            target.kind,
            target.id,
            name,
            status,
            detail,
            request_id,
            place=target.place,
        )


def member_session(
    partition: str,
    name: str,
    account_id: str,
    region: str,
    document: PolicyDocument,
    role: str = "GDR_RESPONDER_ROLE",
    gate: Gate | None = None,
) -> clients.Session:
    """Opens a session of this function's member role, narrowed to the policy ``document``.

    ``role``: the environment variable that names the role. A session that can change something
    signs no request without the gate's permission; without a gate it can only read.
    """
    arn = f"arn:{partition}:iam::{account_id}:role/{os.environ[role]}"
    if not session_policy.changes(document):
        return clients.Session(
            arn,
            name,
            region,
            document,
        )
    if gate is None:
        return clients.Session(
            arn,
            name,
            region,
            session_policy.only_reading(document),
        )
    gate.open()
    return clients.Session(
        arn,
        name,
        region,
        document,
        gate.permit,
    )


def knows_state_before(playbook: Playbook) -> bool:
    """Tells whether a prior state comes before the first call of ``contain``."""
    return bool(getattr(playbook, "KNOWS_STATE_BEFORE", False))


def finishes_gone(playbook: Playbook) -> bool:
    """Tells whether ``finish`` has something to do for a target that is gone."""
    return bool(getattr(playbook, "FINISHES_GONE", False))


def load(name: str) -> Playbook:
    """Returns the playbook of that name. Raises ConfigError when this build has none."""
    return cast("Playbook", _load(f"{name}.playbook"))


def load_monitor(name: str) -> Monitor | None:
    """Returns the playbook's monitor; None when it has none."""
    try:
        return cast("Monitor", _load(f"{name}.monitor"))
    except ConfigError:
        return None


def load_collector(name: str) -> Collector:
    """Returns the playbook's collector. Raises ConfigError when this build has none."""
    return cast("Collector", _load(f"{name}.evidence"))


def load_eradicator(name: str) -> Eradicator:
    """Returns the playbook's eradicator. Raises ConfigError when this build has none."""
    return cast("Eradicator", _load(f"{name}.eradicate"))


def load_restorer(name: str) -> Restorer:
    """Returns the playbook's restorer. Raises ConfigError when this build has none."""
    return cast("Restorer", _load(f"{name}.restore"))


def load_terminator(name: str) -> Terminator:
    """Returns the playbook's terminator. Raises ConfigError when this build has none."""
    return cast("Terminator", _load(f"{name}.terminate"))


def _load(name: str) -> object:
    try:
        return importlib.import_module(f"guardduty_response.playbooks.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this function's code holds no {name}: rebuild and redeploy the module"
        ) from error
