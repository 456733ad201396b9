"""Begins, for the plan step, what deciding about a target waits for, while its playbook reads.

A round trip that is under way beside the playbook's own costs no time before containment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.pauses import pause_reason
from guardduty_response.decision import guardrails, policy
from guardduty_response.incident.containments import Present

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.decision.guardrails import GuardedTarget
    from guardduty_response.incident.model import IncidentRecord

FRESH_SECONDS = 1.0  # most plans take less than half of it


@dataclass
class _Counting:
    """Holds a count that was begun: ``counts`` once a decision is made by it."""

    target: Target
    exceeded: Future[list[str]] | None = None
    marked_at: float = 0.0
    counts: bool = False


class Ahead:
    """What is known, or being read, of the target that a playbook expects to plan.

    ``end`` must be called when the plan is decided, however it ends.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.meta: Future[IncidentRecord] = clients.POOL.submit(
            context.record.meta, context.incident_id
        )
        self._pause: Future[str] | None = None
        self._present: dict[str, Future[Present]] = {}
        self._counting: list[_Counting] = []
        self._began = time.monotonic()

    def expect(self, target: Target, session: clients.Session) -> None:
        """Begins to read what deciding about ``target`` takes, and to count it for the circuit
        breaker. ``session``: of the target's account, whose role the count waits for.
        """
        self.present(target)
        self._pause = self._pause or clients.POOL.submit(pause_reason, self.context.record)
        if self._is_to_be_counted(target):
            counting = _Counting(target)
            counting.exceeded = clients.ASSUMING.submit(self._count, counting, session)
            self._counting.append(counting)

    def present(self, target: Target) -> Future[Present]:
        """Returns what the resource's containment is now, with what old records have of it."""
        if target.arn not in self._present:
            self._present[target.arn] = clients.POOL.submit(_present, self.context, target)
        return self._present[target.arn]

    def is_fresh(self) -> bool:
        """Tells whether what ``present`` read is of a moment ago. A restore ends one."""
        return time.monotonic() - self._began < FRESH_SECONDS

    def pause(self) -> Future[str]:
        """Returns why changes are paused by a CONTROL item, or an empty string."""
        return self._pause or clients.POOL.submit(pause_reason, self.context.record)

    def exceeded(self, targets: list[GuardedTarget]) -> list[str]:
        """Returns which limits of the circuit breaker these targets exceed, and counts them."""
        arns = [target["arn"] for target in targets]
        for counting in self._counting:
            if arns == [counting.target.arn] and not counting.counts and counting.exceeded:
                exceeded = counting.exceeded.result()
                counting.counts = True
                return exceeded
        return self._exceeded_limits(targets)

    def end(self) -> None:
        """Waits for what is under way, and takes back a count of what was not decided about."""
        self.meta.exception()
        counted = [counting.exceeded for counting in self._counting]
        for reading in (self._pause, *counted, *self._present.values()):
            if reading:
                reading.exception()
        for counting in self._counting:
            if counting.marked_at and not counting.counts:
                self.context.record.circuit_breaker.withdraw(
                    os.environ["GDR_PLAYBOOK"], [counting.target.arn], counting.marked_at
                )

    def _is_to_be_counted(self, target: Target) -> bool:
        """Tells whether nothing that is known yet keeps the target from being contained by itself.

        Principals are known when the playbook has read: where some are exempt, nothing is counted
        before that. Thousands of findings about them would let one that counts wait for a person.
        """
        config, seen = self.context.config, self.context.finding
        decided, _ = policy.decide_about(config, seen)
        guarded: GuardedTarget = {"id": target.id, "arn": target.arn}
        return (
            decided.mode == "auto"
            and not seen.sample
            and not config.guardrails["exempt_principals"]
            and not guardrails.reason_to_skip(config, seen.account_id, [guarded])
        )

    def _count(self, counting: _Counting, session: clients.Session) -> list[str]:
        session.wait()  # nothing is contained where there is no role, so nothing is counted
        counting.marked_at, target = time.time(), counting.target
        return self._exceeded_limits([{"id": target.id, "arn": target.arn}], counting.marked_at)

    def _exceeded_limits(self, targets: list[GuardedTarget], at: float | None = None) -> list[str]:
        context, playbook = self.context, os.environ["GDR_PLAYBOOK"]
        account_id = context.finding.account_id
        return guardrails.exceeded_limits(
            context.config, context.record, playbook, account_id, targets, at
        )


def _present(context: Context, target: Target) -> Present:
    playbook = os.environ["GDR_PLAYBOOK"]
    context.record.take_over_for(context.incident_id, playbook, target.reference())
    return context.record.containments.present(target.arn)


def remembering(assume: Callable[..., clients.Session]) -> Callable[..., clients.Session]:
    """Returns ``assume`` that opens the same session once: one that was opened before the finding
    was read serves the plan. One that failed in passing is opened anew.
    """
    opened: dict[str, clients.Session] = {}

    def assume_once(
        account_id: str, region: str, document: PolicyDocument, **more: object
    ) -> clients.Session:
        name = json.dumps([account_id, region, document, sorted(more)], sort_keys=True)
        known = opened.get(name)
        if more or known is None or known.failed_in_passing():
            known = opened[name] = assume(account_id, region, document, **more)
        return known

    return assume_once
