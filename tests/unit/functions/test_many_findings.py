"""Many findings at once, while the account has little Lambda concurrency: none is lost.

The machine's own definition is walked, with its Retry lists, in simulated time: one thread for each
execution, of which one runs at a time.
"""

from __future__ import annotations

import copy
import heapq
import itertools
import random
import threading
from collections import Counter
from typing import Any

import pytest

from tests.support.asl_walker import Failed, Json, Walk
from tests.unit.functions.machine_walk import FINDING, Functions

CONCURRENCY = 10
# How long a function works on a step; cold starts are in it.
SECONDS = {"open": 0.6, "plan": 1.0, "contain": 3.0, "evidence": 1.0, "collect": 2.0}
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
    """Functions that share a concurrency limit, and the table of claims."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.running, self.throttled = clock, 0, 0
        self.claims: dict[tuple[str, str], str] = {}
        self.counted: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.answers = Functions()

    def __call__(self, function: str, payload: Json) -> Any:
        if function == "dynamodb:putItem":
            item = payload["Item"]
            execution = item["execution"]["S"]
            if self.claims.setdefault((item["pk"]["S"], item["sk"]["S"]), execution) != execution:
                raise Failed("DynamoDB.ConditionalCheckFailedException", "lost")
            return {}
        if function == "dynamodb:updateItem":
            self.counted[payload["Key"]["pk"]["S"]] += 1
            return {}
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
        return self.answers.answers.get(step_name, {})


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
                rule = next((r for r in self.retry if error.error in r["ErrorEquals"]), None)
                if rule is None or tries[id(rule)] >= rule["MaxAttempts"]:
                    raise
                delay = rule["IntervalSeconds"] * rule["BackoffRate"] ** tries[id(rule)]
                tries[id(rule)] += 1
                self.account.clock.sleep(RANDOM.uniform(0, min(delay, rule["MaxDelaySeconds"])))


@pytest.mark.parametrize("findings", [50, pytest.param(1000, marks=pytest.mark.proof)])
def test_findings_at_once_are_all_answered(findings: int) -> None:
    """Every tenth is delivered twice, as EventBridge may."""
    RANDOM.seed(findings)
    clock = Clock()
    account, ended = Account(clock), Counter[str]()
    numbers = [*range(findings), *range(0, findings, 10)]

    def run(number: int, execution: str) -> None:
        event = copy.deepcopy(FINDING)
        event["detail"]["id"] = f"finding-{number}"
        clock.sleep(0)
        try:
            walk = RetryingWalk(account, execution)
            walk.run(event)
            ended[walk.entered[-1]] += 1
        except Failed as error:
            ended[error.error] += 1
        finally:
            clock.ended()

    clock.run(
        [
            threading.Thread(target=run, args=(number, f"arn:execution-{index}"), daemon=True)
            for index, number in enumerate(numbers)
        ]
    )
    twice = len(numbers) - findings
    assert ended == {"Close": findings, "Count": twice}, (ended, account.throttled, clock.now)
    assert len(account.claims) == findings
    assert sum(account.counted.values()) == twice
    for step_name in ("open", "plan", "contain", "verdict", "close"):
        assert account.steps[step_name] == findings, "each once: none lost, none silent"
    assert account.throttled > findings, "the limit was felt"
    print(f"{findings} findings: {clock.now:.0f} s simulated, {account.throttled} throttled starts")
