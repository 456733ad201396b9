"""Findings that name another resource in an update, approvals, and refusals by the gate, while the
resources are contained, changed by others, restored and closed: what must hold, held by random
walks.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import strategies
from hypothesis.stateful import invariant, precondition, rule

from tests.support.asl_walker import Failed
from tests.unit.model.decisions import KEPT, Run, answers, worst
from tests.unit.model.settings_playbook import ALWAYS, ARNS, CLOSED, MORE
from tests.unit.model.two_resources import (
    FINDINGS,
    WATCHED,
    Json,
    TwoResources,
    is_closed,
)
from tests.unit.model.walks import walk

IN_PROGRESS = ("OPEN", "AWAITING_APPROVAL", "CONTAINING")
RESTORABLE = (*WATCHED, "FAILED", "RESTORE_PARTIAL")
REFUSING = ["terraform", "operator", "exempt", "freeze", "approve", "auto"]

findings = strategies.sampled_from(sorted(FINDINGS))
resources = strategies.sampled_from(["i-1", "i-2"])
# What happens while people are asked, and between a plan and the first change.
asked_meanwhile = strategies.sampled_from(
    ["nothing", "drift", "another finding", "another resource", *REFUSING]
)
planned_meanwhile = strategies.sampled_from(
    ["nothing", "nothing", "drift", "lease lost", "lease lost for a while", *REFUSING]
)
given_answers = strategies.lists(
    strategies.sampled_from(
        ["approved", "approved", "unnamed", "another", "rejected", "unclear", "silence"]
    ),
    min_size=2,
    max_size=2,
)


class DecisionsModel(TwoResources):
    """Holds what must be true of two resources and three findings, each about one of them now."""

    # -- what happens ------------------------------------------------------------------------------

    @rule(
        name=findings,
        about=resources,
        asked=asked_meanwhile,
        planned=planned_meanwhile,
        given=given_answers,
    )
    def finding_arrives(
        self, name: str, about: str, asked: str, planned: str, given: list[str]
    ) -> None:
        """GuardDuty sends a finding, or an update of it that may name another resource."""
        self._respond(name, about, asked, planned, given)

    @rule(what=strategies.sampled_from([*REFUSING, "all clear"]), about=resources)
    def conditions_change(self, what: str, about: str) -> None:
        self.conditions.change(what, about)

    @precondition(lambda self: self.incidents)
    @rule(about=resources, item=strategies.sampled_from([ALWAYS, MORE]))
    def somebody_changes_it(self, about: str, item: str) -> None:
        self._change(about, item)

    @precondition(lambda self: self.incidents)
    @rule()
    def schedule_verifies(self) -> None:
        """What is lost is contained again where that is permitted; else the status says it."""
        self.machine.scheduled()
        for name in self.incidents:
            lost = [resource.id for resource in self._standing(name) if not is_closed(resource)]
            if self._status(name) == "CONTAINED":
                assert not lost, f"{name}: CONTAINED, and {lost} is open"
            if self._status(name) in WATCHED and self._watches(name):
                assert not lost or any(map(self._asks, self._targets(name))), f"{lost} stays lost"

    @precondition(lambda self: self.incidents)
    @rule(data=strategies.data(), busy=strategies.sampled_from([False, False, True]))
    def person_restores(self, data: Any, busy: bool) -> None:
        """It needs no permission but the leases: neither a pause nor an exemption stops it."""
        name = data.draw(strategies.sampled_from(sorted(self.incidents)))
        was, standing = self._status(name), self._standing(name)
        values = {id: dict(resource.values) for id, resource in self.resources.items()}
        wanted = copy.deepcopy(values)
        answer = self._ask_to_restore(name, busy)
        if not answer["refused"] and was != "RESTORED":
            for resource in standing:
                for item, before in resource.before.items():
                    if values[resource.id][item] == CLOSED:
                        wanted[resource.id][item] = before
                resource.before = {}
        else:
            changed = [resource for resource in standing if resource.before]
            assert busy or was not in RESTORABLE or not changed, answer["refused"]
        assert {id: resource.values for id, resource in self.resources.items()} == wanted
        if not answer["refused"]:
            assert self._status(name) not in WATCHED, "nothing of it is contained any more"

    @precondition(lambda self: self.incidents)
    @rule(
        data=strategies.data(),
        keep=strategies.booleans(),
        busy=strategies.sampled_from([False, False, True]),
    )
    def person_closes(self, data: Any, keep: bool, busy: bool) -> None:
        name = data.draw(strategies.sampled_from(sorted(self.incidents)))
        was = self._status(name)
        more = {"keep_contained": True, "reason": "decided"} if keep else {}
        answer = self._ask_to_restore(name, busy, close=True, **more)
        if answer["refused"]:
            assert self._status(name) == was
            assert busy or (was in RESTORABLE and not keep)
        else:
            assert self._status(name) == "CLOSED"
            if keep:
                self.kept |= {resource.id for resource in self._standing(name)}

    def _ask_to_restore(self, name: str, busy: bool, **more: Any) -> Json:
        """Asks the restore function; ``busy``: while somebody else works on the resources."""
        for id in self.resources if busy else ():
            self._take_lease(id)
        self.restoring = not busy
        try:
            return self.machine.restore(self.incidents[name], **more)
        finally:
            self.restoring = False
            self._release_leases({})

    # -- a response --------------------------------------------------------------------------------

    def _respond(
        self,
        name: str,
        about: str,
        asked: str = "nothing",
        planned: str = "nothing",
        given: list[str] | None = None,
        event: Json | None = None,
    ) -> None:
        """Runs an execution, with what happens meanwhile, and judges how it ends."""
        self.clock += 1
        resource, was = self.resources[about], self._status(name)
        run = Run(
            name,
            resource,
            was,
            self.named.get(name, about) != about,
        )
        run.course.before = {
            "plan": lambda payload: self._before_plan(run, payload),
            "contain": lambda payload: self._before_contain(run, planned, payload),
            "verdict": self._release_leases,
        }
        run.course.answer = lambda: self._answer(run, asked, given or ["approved"])
        at_work = was in IN_PROGRESS
        self.runs.append(run)
        self.machine.run(event or self._event(name, about), run.course)
        self.runs.pop()
        self.incidents.setdefault(name, self._incident_id(name))
        assert run.course.plans == run.expected, self._story(run)
        if at_work:
            assert not run.course.plans, "one execution at a time works for an incident"
            return
        counted = not run.course.plans and not self._verifies(run)
        if not counted:
            self.named[name] = about
        self._judge_end(run, counted)
        if run.expected:
            self.decided[name] = run.expected[-1]
        while self.machine.started and not self.runs:
            self._respond(
                name,
                self.waiting,
                event=self.machine.started.pop(),
            )

    def _before_plan(self, run: Run, payload: Json) -> None:
        if payload["verify_only"]:
            return
        decision = self.conditions.decision(run.resource.id)
        seen = {item: run.resource.values[item] for item in self._wanted(run.name)}
        if self._verifies(run):
            asks = any(map(self._asks, self._targets(run.name)))
            decision = "none" if asks else "act"
        generation = self._generation(run.resource.id)
        meanwhile = bool(run.asked) and generation > run.asked_in
        run.plan(decision, seen, meanwhile)

    def _verifies(self, run: Run) -> bool:
        """Tells whether an event is about what the latest run of its finding has contained."""
        acted = self.decided.get(run.name, "act") in ("act", "none")
        return run.was == "CONTAINED" and not run.named_another and acted

    def _before_contain(self, run: Run, planned: str, payload: Json) -> None:
        run.attempt = payload["attempt"]
        about = run.resource.id
        if payload["attempt"] > 1:
            if planned == "lease lost for a while":
                self._release_leases({})
        elif planned.startswith("lease lost") and not payload["targets"][0].get("verify_only"):
            self._take_lease(about)
        elif planned == "drift":
            self._change(about, ALWAYS)
        elif planned in REFUSING:
            self.conditions.change(planned, about)

    def _answer(self, run: Run, asked: str, given: list[str]) -> Json:
        run.asked += 1
        run.shown = run.seen
        about = run.resource.id
        if run.asked == 1:
            run.asked_in = self._generation(about)
            if asked == "drift":
                self._change(about, ALWAYS)
            elif asked == "another finding":
                self._respond("abca"["abc".index(run.name) + 1], about)
            elif asked == "another resource":
                self.waiting = "i-2" if about == "i-1" else "i-1"
                self._respond(run.name, self.waiting)
                assert self.machine.started, "it waits until the run has ended"
            elif asked in REFUSING:
                self.conditions.change(asked, about)
        kind = given[run.asked - 1] if run.asked <= len(given) else "rejected"
        run.answer(kind)
        if kind == "silence":
            raise Failed("States.Timeout", "nobody has answered")
        incident_id = self._incident_id(run.name)
        return answers(kind, self.deployment.meta(incident_id)["plan_digest"])

    def _judge_end(self, run: Run, counted: bool) -> None:
        """Asserts the incident's status when an execution has ended (docs/statuses.md)."""
        status, was = self._status(run.name), run.was
        last = run.expected[-1] if run.expected else ""
        if counted:
            left = self.decided.get(run.name) == "skip"
            assert was == "SKIPPED" or left, "a finding that is answered as before"
            assert self._asks(run.resource), "what is permitted now is not left"
            assert status == was
        elif last in ("skip", "approve"):
            assert status == KEPT.get(was, run.ended if last == "approve" else "SKIPPED"), (
                self._story(run)
            )
        elif last == "act":
            contained = self._is_contained(run)
            others = self._other_statuses(run)
            assert status == worst({"CONTAINED" if contained else "FAILED", *others}), self._story(
                run
            )
        else:
            # The event is about one resource; what else stands is checked in its own time.
            own = "CONTAINED" if is_closed(run.resource) else "BREACHED"
            assert status == worst({own, *self._other_statuses(run)}), self._story(run)

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def nothing_was_changed_without_permission(self) -> None:
        assert not self.wrong, self.wrong

    @invariant()
    def recorded_states_before_are_those_that_were_changed(self) -> None:
        for resource in self.resources.values():
            items = self.deployment.items(f"CONTAINMENT#{ARNS}{resource.id}")
            begin = f"{self._generation(resource.id):04d}#BEFORE#"
            for item in items:
                if "#BEFORE#" in item["sk"] and "value" in item:
                    assert item["value"]["inline"] != CLOSED, item
            if resource.before:
                recorded = {
                    item["name"]: item["value"]["inline"]
                    for item in items
                    if item["sk"].startswith(begin) and "value" in item
                }
                assert recorded == resource.before

    @invariant()
    def nothing_is_left_locked_or_at_work(self) -> None:
        for id in self.resources:
            assert self.deployment.items(f"RESOURCE#{ARNS}{id}") == []
        assert not {self._status(name) for name in self.incidents} & set(IN_PROGRESS)

    @invariant()
    def whatever_is_contained_can_be_restored(self) -> None:
        """By an incident that people see as contained, unless one was closed to keep it so."""
        for resource in self.resources.values():
            if resource.before and resource.id not in self.kept:
                linked = [
                    self._status(name)
                    for name in self.incidents
                    if resource in self._standing(name)
                ]
                assert set(linked) & set(RESTORABLE), f"{resource.id}: {linked}"

    @invariant()
    def one_snapshot_set_for_each_generation(self) -> None:
        for id, resource in self.resources.items():
            assert len(resource.snapshots) <= self._generation(id)


def test_walks() -> None:
    walk(DecisionsModel, examples=3, steps=6)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_walks(seed: int) -> None:
    walk(
        DecisionsModel,
        examples=200,
        steps=12,
        seed=seed,
    )
