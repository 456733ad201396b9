"""Declares what the modules of a playbook offer, for the type checker.

``contract`` loads them; no function imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from guardduty_response.containment.contract import (
    Check,
    Context,
    Planned,
    RestoreResult,
    StepResult,
    Target,
)
from guardduty_response.decision.configuration import PlaybookOptions


class Playbook(Protocol):
    """Declares a playbook's module ``playbook``.

    Its steps raise botocore errors only for throttling and outages: the state machine retries.
    ``COLLECTS_FIRST = True``: its collector has something to do before containment
    (``Collector.first``). ``KNOWS_STATE_BEFORE = True``: ``contain`` records a prior state, as
    ``plan`` read it, before its first call. ``FINISHES_GONE = True``: ``finish`` runs for a target
    that is GONE too.

    ``LATER``: names of modules that its steps import where they need them, for ``respond._warm``,
    which imports them while the incident is opened.

    The module may also have ``prepare(context, account, region)``, which opens the session that
    ``plan`` reads by; it is called while the finding is read, and must not ask for that.

    The module may also have ``find_actors(context, target, failed checks, since, seen, watched)``,
    which returns the changes (``cloudtrail.event.change``) that undid containment, newest first;
    ``since`` is an ISO 8601 time, ``seen`` the change that started the recheck, if any.
    One that denies sessions while a resource exists has ``why_gone(context, target)``, which reads
    whether it does: it returns that it does not, or an empty string, and raises what else AWS
    answers.
    One with minor checks has ``contain_lost(context, target, names)``, which does again what the
    checks of these names found undone, and nothing else.
    """

    def plan(self, context: Context) -> list[Planned]:
        """Discovers the targets, read-only. Raises NoTarget, TargetGone, RoleUnavailable."""

    def contain(self, context: Context, target: Target) -> StepResult:
        """Contains the target."""

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        """Reads whether the target is contained.

        When it is done, ``answer.envelope_of`` makes the result envelope of the answer, with
        the actions and prior states that the step has stored.
        """

    def finish(self, context: Context, target: Target) -> StepResult:
        """Does what comes after evidence: the playbook's option ``finish``."""


class Monitor(Protocol):
    """Declares a playbook's optional module ``monitor``, in the zip of its monitor function alone.

    Without it, the playbook's own ``plan`` and ``verify`` are used, in sessions that only read.
    ``READ``: the IAM actions of all its checks; a batch of checks has one session, which may do
    these and nothing else. ``READ_ELSEWHERE``: the same of further roles, by the environment
    variable with the role's name. ``KINDS``: the kinds of targets that it can check; what is of
    another kind is verified by the incident machine.
    """

    READ: tuple[str, ...]
    READ_ELSEWHERE: Mapping[str, tuple[str, ...]]
    KINDS: frozenset[str]

    def elsewhere(self, kind: str, options: PlaybookOptions) -> Mapping[str, tuple[str, str]]:
        """Returns the further roles that checking a target of this kind takes, and the account and
        Region of each. Raises RoleUnavailable where there is none.
        """

    def verify(self, context: Context, target: Target) -> tuple[StepResult, list[Check]]:
        """Reads whether the target is contained, as ``Playbook.verify`` does; writes nothing."""


class Collector(Protocol):
    """Declares a playbook's package ``evidence``, in the zip of its collector function alone.

    Its steps are polled until they are done.
    """

    def first(self, context: Context, target: Target, seconds_left: int) -> StepResult:
        """Collects before containment, where switched on.

        The state machine goes on when the deadline passes, whatever this answers.
        """

    def evidence(self, context: Context, target: Target) -> StepResult:
        """Starts, beside containment, what takes long and does not depend on it."""

    def collect(self, context: Context, target: Target) -> StepResult:
        """Collects all evidence after the verdict, and writes the manifest."""


class Terminator(Protocol):
    """Declares a playbook's module ``terminate``, in the zip of its terminate function alone."""

    def terminate(self, context: Context, target: Target) -> StepResult:
        """Destroys the resource once nothing is lost by it; verifies that it is gone."""


class Eradicator(Protocol):
    """Declares a playbook's package ``eradicate``, in the zip of its remediate function alone."""

    def eradicate(self, context: Context, target: Target) -> StepResult:
        """Undoes what the principal did, reversibly; says what is left. Safe to repeat."""


class Restorer(Protocol):
    """Declares a playbook's module ``restore``, in the zip of its restore function alone."""

    def restore(self, context: Context, target: Target) -> RestoreResult:
        """Undoes containment from the recorded state before it, and verifies. Safe to repeat.

        Raises RoleUnavailable.
        """
