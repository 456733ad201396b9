"""Several findings about a resource in every order of contain, drift, restore and close, and the
resource made anew under the same ARN: what must hold, held by random walks.
"""

from __future__ import annotations

import copy
import itertools
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from guardduty_response.containment import restoration
from guardduty_response.functions import contain_step
from guardduty_response.monitoring import executions
from hypothesis import strategies
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from tests.support.repository import load_finding
from tests.unit.deployment import deployed
from tests.unit.model.machine import Machine
from tests.unit.model.settings_playbook import (
    ALWAYS,
    ARN,
    CLOSED,
    MORE,
    NEEDS_MORE,
    Resource,
    SettingsPlaybook,
)
from tests.unit.model.walks import walk

FINDINGS = {
    "a": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "b": f"UnauthorizedAccess:EC2/{NEEDS_MORE}.Model",
    "c": "Backdoor:EC2/C&CActivity.B!DNS",
}
ENDED = ("RESTORED", "RESTORE_PARTIAL", "CLOSED", "GONE")
PLAYBOOK = "guardduty_response.playbooks.ec2_instance"
PARTS = (".playbook", ".evidence", ".restore")
kinds = strategies.sampled_from(sorted(FINDINGS))


class ContainmentModel(RuleBasedStateMachine):
    """Holds what must be true of one resource and three findings.

    ``before``: how each setting was when this generation first changed it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.deployment = self.stack.enter_context(deployed())
        self.machine, self.resource = Machine(self.deployment), Resource()
        self.playbook = SettingsPlaybook(self.resource)
        modules = {f"{PLAYBOOK}{name}": self.playbook for name in PARTS}
        without: dict[str, Any] = {f"{PLAYBOOK}.monitor": None}  # its plan and verify are used
        self.stack.enter_context(patch.dict(sys.modules, {**modules, **without}))
        # Losses of one slot share an execution; in a walk each has a slot of its own.
        slots = map(str, itertools.count())
        self.stack.enter_context(patch.object(executions, "slot_of", lambda _: next(slots)))
        # No time passes while a walk waits: what a restore gave back is seen at once.
        self.stack.enter_context(patch.object(contain_step, "SPREAD_SECONDS", 0))
        self.deployment.configure(
            {
                "playbooks.ec2_instance": {"finish": "none", "restore": True},
                "remediations": {"*": "auto"},
                "guardrails.circuit_breaker": None,
            }
        )
        self.before: dict[str, str] = {}
        self.generations = 0
        self.number = 0
        self.clock = 0
        # A finding is named "<type>/<immutable id>": another resource has findings of its own.
        self.incidents: dict[str, str] = {}  # finding -> incident

    def teardown(self) -> None:
        self.stack.close()

    # -- what happens ------------------------------------------------------------------------------

    @rule(kind=kinds)
    def finding_arrives(self, kind: str) -> None:
        """GuardDuty sends a finding, or sends it again after more activity."""
        name = f"{kind}/{self.resource.immutable_id}"
        was, values = self._status(name), dict(self.resource.values)
        self._send(name)
        if was == "CONTAINED" and self._contained(name, values):
            assert self.resource.values == values
            return
        self._expect_contained(name, values)

    @precondition(lambda self: self._of_earlier_resources())
    @rule(data=strategies.data())
    def finding_about_an_earlier_resource_arrives(self, data: Any) -> None:
        name = data.draw(strategies.sampled_from(self._of_earlier_resources()))
        values = dict(self.resource.values)
        self._send(name)
        assert self.resource.values == values, "the resource that has its name now is left alone"
        assert self._status(name) not in ("CONTAINED", "OPEN", "CONTAINING")

    def _send(self, name: str) -> None:
        self.clock += 1
        self.machine.run(self._event(name))
        self.incidents.setdefault(name, self._incident_id(name))

    def _of_earlier_resources(self) -> list[str]:
        present = f"/{self.resource.immutable_id}"
        return sorted(name for name in self.incidents if not name.endswith(present))

    @precondition(lambda self: self.incidents)
    @rule(item=strategies.sampled_from([ALWAYS, MORE]))
    def somebody_changes_it(self, item: str) -> None:
        self.number += 1
        self.resource.values[item] = f"open-{self.number + 1}"

    @precondition(lambda self: self.incidents)
    @rule()
    def schedule_verifies(self) -> None:
        """Whoever is monitored is verified, and contained again where containment is lost."""
        values = dict(self.resource.values)
        watched, earlier = self._watching(), set(self._of_earlier_resources())
        checked = self.machine.scheduled()
        assert bool(checked) == bool(watched)
        assert all(self._status(name) == "GONE" for name in watched & earlier)
        if watched - earlier:
            assert all(self.resource.values[item] == CLOSED for item in self.before), (
                "what was lost is contained again"
            )
            for item, value in self.resource.values.items():
                assert value in (CLOSED, values[item])

    @precondition(lambda self: self.incidents)
    @rule(data=strategies.data())
    def person_restores(self, data: Any) -> None:
        name = data.draw(strategies.sampled_from(sorted(self.incidents)))
        values, was = dict(self.resource.values), self._status(name)
        answer = self.machine.restore(self.incidents[name])
        if answer["refused"]:
            latest = self._generation(name) == self._latest_generation()
            assert was not in (*self.WATCHED, "FAILED", "RESTORE_PARTIAL") or not latest
        if answer["refused"] or was == "RESTORED":
            assert self.resource.values == values
            return
        if name in self._of_earlier_resources():
            assert self.resource.values == values
            return
        for item, before in self.before.items():
            wanted = before if values[item] == CLOSED else values[item]
            assert self.resource.values[item] == wanted, item
        self.before = {}
        for other in self.incidents:
            if self._generation(other) == self.generations:
                assert self._status(other) in ENDED, "every linked incident is told"

    @precondition(lambda self: self._contained_and_new()[0] and self._contained_and_new()[1])
    @rule(data=strategies.data())
    def new_finding_arrives_during_a_restore(self, data: Any) -> None:
        """It is contained in a generation of its own when the restore has ended."""
        contained, new = self._contained_and_new()
        restored, name = (data.draw(strategies.sampled_from(names)) for names in (contained, new))
        self.clock += 1
        restored_values = {**self.resource.values, **self.before}
        self.machine.restore_during(
            self.incidents[restored], self._event(name), self._in_the_midst_of_a_restore
        )
        self.incidents[name] = self._incident_id(name)
        assert self._status(restored) == "RESTORED"
        assert self._generation(name) == self._generation(restored) + 1
        self._expect_contained(name, restored_values)

    @contextmanager
    def _in_the_midst_of_a_restore(self, start: Any) -> Iterator[None]:
        restore = self.playbook.restore

        def started(*given: Any) -> Any:
            start()
            return restore(*given)

        with patch.object(self.playbook, "restore", started):
            yield

    def _contained_and_new(self) -> tuple[list[str], list[str]]:
        present = [f"{kind}/{self.resource.immutable_id}" for kind in sorted(FINDINGS)]
        contained = [
            name
            for name in present
            if self._status(name) == "CONTAINED"
            and all(self.resource.values[item] == CLOSED for item in self.before)
        ]
        return contained, [name for name in present if name not in self.incidents]

    @precondition(lambda self: self.incidents)
    @rule(data=strategies.data(), keep=strategies.booleans())
    def person_closes(self, data: Any, keep: bool) -> None:
        name = data.draw(strategies.sampled_from(sorted(self.incidents)))
        was = self._status(name)
        others = {
            other
            for other in self._watching() - {name}
            if self._generation(other) == self._generation(name)
        }
        more = {"keep_contained": True, "reason": "decided"} if keep else {}
        answer = self.machine.restore(
            self.incidents[name],
            close=True,
            **more,
        )
        if answer["refused"]:
            assert was in (*self.WATCHED, "FAILED", "RESTORE_PARTIAL")
            assert not keep
            assert not others or was not in self.WATCHED
        else:
            assert self._status(name) == "CLOSED"
            left = was in (*self.WATCHED, "FAILED", "RESTORE_PARTIAL") and self._was_changed(name)
            assert keep or others or not left, "nobody watches what stays contained"

    @precondition(lambda self: self._ended())
    @rule(data=strategies.data())
    def old_update_arrives_late(self, data: Any) -> None:
        """GuardDuty saw nothing since a person restored or closed: nothing starts."""
        name = data.draw(strategies.sampled_from(self._ended()))
        was, values = self._status(name), dict(self.resource.values)
        self.clock += 1
        self.machine.run(self._event(name, year=2001))
        assert (self._status(name), self.resource.values) == (was, values)

    def _ended(self) -> list[str]:
        return sorted(
            name
            for name in self.incidents
            if self._status(name) in ("RESTORED", "RESTORE_PARTIAL", "CLOSED")
        )

    @rule()
    def made_anew_under_the_same_arn(self) -> None:
        self.number += 1
        self.resource.immutable_id = f"id-{self.number + 1}"
        self.before = {}
        self.resource.values = dict.fromkeys((ALWAYS, MORE), f"new-{self.number}")

    # -- what must hold ----------------------------------------------------------------------------

    WATCHED = ("CONTAINED", "PARTIAL", "BREACHED")

    @invariant()
    def recorded_states_before_are_never_contained_ones(self) -> None:
        for item in self._items():
            if "#BEFORE#" in item["sk"] and "value" in item:
                assert item["value"]["inline"] != CLOSED, item

    @invariant()
    def nothing_is_left_locked(self) -> None:
        assert self.deployment.items(f"RESOURCE#{ARN}") == []

    @invariant()
    def one_snapshot_set_for_each_generation(self) -> None:
        assert len(self.resource.snapshots) == self._latest_generation()

    @invariant()
    def linked_incidents_agree(self) -> None:
        """Incidents of the same generation show the same.

        One that came again and ended without linking to it (its resource is gone) counts no more.
        """
        shown: dict[int, set[str]] = {}
        for name in self.incidents:
            status, linked = self._status(name), self.deployment.meta(self.incidents[name])
            if status not in ("CLOSED",) and linked["targets"]:
                shown.setdefault(self._generation(name), set()).add(status)
        assert all(len(statuses) == 1 for statuses in shown.values()), shown

    # -- looking -----------------------------------------------------------------------------------

    def _items(self) -> list[dict[str, Any]]:
        return self.deployment.items(f"CONTAINMENT#{ARN}")

    def _latest_generation(self) -> int:
        heads = [item for item in self._items() if item["sk"] == "HEAD"]
        return int(heads[0]["generation"]) if heads else 0

    def _was_changed(self, name: str) -> bool:
        before = f"{self._generation(name):04d}#BEFORE#"
        return any(item["sk"].startswith(before) and "value" in item for item in self._items())

    def _incident_id(self, name: str) -> str:
        [found] = [
            meta["incident_id"]
            for meta in self.deployment.incidents()
            if meta["finding_id"] == f"model-{name}"
        ]
        return str(found)

    def _event(self, name: str, year: int = 2999) -> dict[str, Any]:
        event = copy.deepcopy(load_finding())
        kind, immutable_id = name.split("/")
        event["detail"] |= {
            "id": f"model-{name}",
            "type": FINDINGS[kind],
            "title": f"about {immutable_id}",
        }
        event["detail"]["resource"]["instanceDetails"]["instanceId"] = self.resource.id
        event["detail"]["service"]["eventLastSeen"] = f"{year}-01-01T00:{self.clock % 60:02d}:00Z"
        event["detail"]["service"]["count"] = self.clock
        return event

    def _status(self, name: str) -> str:
        if name not in self.incidents:
            return ""
        return str(self.deployment.meta(self.incidents[name])["status"])

    def _generation(self, name: str) -> int:
        [target] = self.deployment.targets(self.incidents[name])
        return int(target.get("generation") or 0)

    def _watching(self) -> set[str]:
        return {name for name in self.incidents if self._status(name) in self.WATCHED}

    def _wanted(self, name: str) -> list[str]:
        return [ALWAYS, MORE] if NEEDS_MORE in FINDINGS[name[0]] else [ALWAYS]

    def _contained(self, name: str, values: dict[str, str]) -> bool:
        return all(values[item] == CLOSED for item in {*self._wanted(name), *self.before})

    def _expect_contained(self, name: str, values: dict[str, str]) -> None:
        assert self._status(name) == "CONTAINED"
        for item in self._wanted(name):
            assert self.resource.values[item] == CLOSED
        if self._generation(name) != self.generations:
            self.generations, self.before = self._generation(name), {}
        for item in self._wanted(name):
            if values[item] != CLOSED:
                self.before.setdefault(item, values[item])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        restoration,
        "PAUSE_SECONDS",
        0,
    )


def test_walks() -> None:
    walk(ContainmentModel, examples=2, steps=8)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_walks(seed: int) -> None:
    walk(ContainmentModel, examples=200, steps=12, seed=seed)
