"""Walks many executions at once through the machine's own definition, with its Retry lists, in an
account that has little Lambda concurrency.

Time is simulated: one thread for each execution, of which one runs at a time.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.asl_walker import Failed, Json, Walk

CONCURRENCY = 10
# How long a function works on a step; cold starts are in it.
SECONDS = {
    "open": 0.6,
    "plan": 1.0,
    "contain": 3.0,
    "evidence": 1.0,
    "collect": 2.0,
}
OTHER_SECONDS = 0.5
RANDOM = random.Random()  # noqa: S311 - jitter of a simulation


class Clock:
    """Simulated time. Whoever sleeps lets the next one run."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, threading.Event]] = []
        self._order = itertools.count()
        self._asleep = threading.Event()

    def sleep(self, seconds: float) -> None:
        wake = threading.Event()
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), wake))
        self._asleep.set()
        wake.wait()

    def run(self, threads: list[threading.Thread]) -> None:
        """Runs the threads, which sleep first, until all have ended."""
        for thread in threads:
            self._asleep.clear()
            thread.start()
            self._asleep.wait()
        while self._queue:
            self.now, _, wake = heapq.heappop(self._queue)
            self._asleep.clear()
            wake.set()
            self._asleep.wait()

    def ended(self) -> None:
        self._asleep.set()


class Account:
    """Functions that share a concurrency limit. ``answer``: what they do, and what the table does
    for the machine's own calls.
    """

    def __init__(self, clock: Clock, answer: Callable[[str, Json], Any]) -> None:
        self.clock, self.running, self.throttled = clock, 0, 0
        self.steps: Counter[str] = Counter()
        self.answer = answer

    def __call__(self, function: str, payload: Json) -> Any:
        if function.startswith("dynamodb:"):
            return self.answer(function, payload)
        if self.running >= CONCURRENCY:
            self.throttled += 1
            raise Failed("Lambda.TooManyRequestsException", "Rate Exceeded.")
        step_name = payload["verb"]
        self.running += 1
        try:
            self.clock.sleep(SECONDS.get(step_name, OTHER_SECONDS))
        finally:
            self.running -= 1
        self.steps[step_name] += 1
        return self.answer(function, payload)


class RetryingWalk(Walk):
    """Plays Retry, in the account's time."""

    def __init__(self, account: Account, execution: str) -> None:
        super().__init__("incident", self._invoke, execution)
        self.account = account
        self.retry: list[Json] = []

    def _task(self, state: Json, bound: Json) -> Any:
        self.retry = state.get("Retry", [])
        return super()._task(state, bound)

    def _invoke(self, function: str, payload: Json) -> Any:
        tries: Counter[int] = Counter()
        while True:
            try:
                return self.account(function, payload)
            except Failed as error:
                # States.TaskFailed stands for every error of a task but a time-out.
                named = {error.error, "States.TaskFailed"}
                rule = next((r for r in self.retry if named & set(r["ErrorEquals"])), None)
                if rule is None or tries[id(rule)] >= rule["MaxAttempts"]:
                    raise
                delay = rule["IntervalSeconds"] * rule["BackoffRate"] ** tries[id(rule)]
                tries[id(rule)] += 1
                self.account.clock.sleep(RANDOM.uniform(0, min(delay, rule["MaxDelaySeconds"])))


def deliver(account: Account, events: list[Json], names: Callable[[int], str]) -> Counter[str]:
    """Delivers the events at the same moment; returns how many executions ended in which state, or
    with which error. ``names``: the ARN of each execution.
    """
    ended = Counter[str]()

    def run(number: int, event: Json) -> None:
        account.clock.sleep(0)
        try:
            walk = RetryingWalk(account, names(number))
            walk.run(event)
            ended[walk.entered[-1]] += 1
        except Failed as error:
            ended[error.error] += 1
        finally:
            account.clock.ended()

    account.clock.run(
        [
            threading.Thread(
                target=run,
                args=(number, event),
                daemon=True,
            )
            for number, event in enumerate(events)
        ]
    )
    return ended
