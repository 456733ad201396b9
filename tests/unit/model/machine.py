"""Walks the incident machine's real definition with the real functions."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from guardduty_response.functions import collect, incident, respond, restore

from tests.support.asl_walker import Walk
from tests.support.patience import PATIENCE
from tests.unit.checks import check_all
from tests.unit.deployment import MACHINES, Deployment

Json = dict[str, Any]
_HANDLERS: dict[str, Callable[..., Json]] = {
    "incident": incident.handler,
    "playbook": respond.handler,
    "collector": collect.handler,
}
_NUMBERS = itertools.count(1)


@dataclass
class Course:
    """Says what happens while an execution is at work, and keeps what its steps answered.

    ``before``: what happens directly before a step, by its name; it is given the step's payload.
    ``answer``: what people answer. ``plans``: the decision of each plan but those of rechecks.
    """

    before: dict[str, Callable[[Json], object]] = field(default_factory=dict)
    answer: Callable[[], Json] = dict
    plans: list[str] = field(default_factory=list)


class Machine:
    """Starts executions of the incident machine, and ends them in the emulator when they end."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.before_contain: Callable[[], object] = lambda: None
        self.started: list[Json] = []  # inputs of executions that others have started

    def run(self, event: Json, course: Course | None = None) -> list[str]:
        """Runs an execution to its end; returns the states that it entered."""
        course = course or Course()
        arn = self.deployment.start(f"model-{next(_NUMBERS)}")
        walk = Walk("incident", partial(self._invoke, course), arn, token=course.answer)
        try:
            walk.run(event)
        finally:
            self.deployment.kill(arn)
        return walk.entered

    def _invoke(self, course: Course, function: str, payload: Json) -> Any:
        step = payload.get("verb", "")
        if step == "contain":
            self.before_contain()
        if step in course.before:
            course.before[step](payload)
        if function == "states":
            self.started.append(payload["Input"])
            return {}
        answer = _HANDLERS[function](payload, None)
        if step == "plan" and not payload["verify_only"]:
            course.plans.append(answer["decision"])
        return answer

    def restore(self, incident_id: str, **more: Any) -> Json:
        """Asks the restore function."""
        return restore.handler({"incident_id": incident_id, "requested_by": "a person", **more})

    def restore_during(self, incident_id: str, event: Json, during: Callable[..., Any]) -> Json:
        """Asks the restore function, while a finding's execution has planned and not contained.

        ``during``: lets the playbook call what it is given in the midst of the restore.
        """
        planned, restored = threading.Event(), threading.Event()

        def wait() -> None:
            planned.set()
            assert restored.wait(PATIENCE)

        def run() -> None:
            try:
                self.run(event)
            finally:
                planned.set()

        execution = threading.Thread(target=run, daemon=True)

        def start() -> None:
            execution.start()
            assert planned.wait(PATIENCE)

        self.before_contain = wait
        try:
            with during(start):
                return self.restore(incident_id)
        finally:
            restored.set()
            if execution.ident is not None:
                execution.join(60)
            self.before_contain = lambda: None

    def scheduled(self) -> list[str]:
        """Has everything checked that is monitored, and runs the rechecks that this starts.

        Returns what was done: a word for each check that judged, and the incident of each recheck.
        """
        before = set(self._executions())
        done = ["checked"] * check_all(self.deployment)["checked"]
        for arn in sorted(set(self._executions()) - before):
            described = self.deployment.sfn.describe_execution(executionArn=arn)
            event = json.loads(described["input"])
            if "watch" in event:
                done.append(event["watch"]["incident_id"])
                self.run(event)
        return done

    def _executions(self) -> list[str]:
        machine = f"{MACHINES}incident"
        pages = self.deployment.sfn.get_paginator("list_executions").paginate(
            stateMachineArn=machine
        )
        return [found["executionArn"] for page in pages for found in page["executions"]]
