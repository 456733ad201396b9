"""Two resources, three findings that name one of them each, and who changes what of them."""

from __future__ import annotations

import copy
import itertools
import sys
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from guardduty_response.containment import restoration
from guardduty_response.functions import contain_step
from guardduty_response.monitoring import executions
from hypothesis.stateful import RuleBasedStateMachine

from tests.support.repository import load_finding
from tests.unit.deployment import TABLE, deployed
from tests.unit.model.decisions import Conditions, Run
from tests.unit.model.machine import Machine
from tests.unit.model.settings_playbook import (
    ALWAYS,
    ARNS,
    CLOSED,
    MORE,
    NEEDS_MORE,
    Resource,
    SettingsPlaybook,
)

Json = dict[str, Any]
FINDINGS = {
    "a": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "b": f"UnauthorizedAccess:EC2/{NEEDS_MORE}.Model",
    "c": "Backdoor:EC2/C&CActivity.B!DNS",
}
PLAYBOOK = "guardduty_response.playbooks.ec2_instance"
PARTS = (".playbook", ".evidence", ".restore")
WATCHED = ("CONTAINED", "PARTIAL", "BREACHED")
RESTORED = ("RESTORED", "RESTORE_PARTIAL", "GONE")


class TwoResources(RuleBasedStateMachine):
    """Holds what stands in the account, and what is stored of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.deployment = self.stack.enter_context(deployed())
        self.machine = Machine(self.deployment)
        self.resources = {id: Resource(id, f"id-{id}", judge=self._judge) for id in ("i-1", "i-2")}
        playbook = SettingsPlaybook(*self.resources.values())
        modules: dict[str, Any] = {f"{PLAYBOOK}{name}": playbook for name in PARTS}
        modules[f"{PLAYBOOK}.monitor"] = None  # its plan and verify are used
        self.stack.enter_context(patch.dict(sys.modules, modules))
        # Losses of one slot share an execution; in a walk each has a slot of its own.
        slots = map(str, itertools.count())
        self.stack.enter_context(patch.object(executions, "slot_of", lambda _: next(slots)))
        # No time passes while a walk waits.
        self.stack.enter_context(patch.object(contain_step, "SPREAD_SECONDS", 0))
        self.stack.enter_context(patch.object(contain_step, "BUSY_ATTEMPTS", 3))
        self.stack.enter_context(patch.object(restoration, "PAUSE_SECONDS", 0))
        self.other = self.deployment.start("other")
        self.conditions = Conditions(self.deployment)
        self.conditions.store()
        self.incidents: dict[str, str] = {}  # finding -> incident
        self.named: dict[str, str] = {}  # finding -> the resource that it named last
        self.decided: dict[str, str] = {}  # finding -> what its latest run decided
        self.kept: set[str] = set()  # findings whose incident was closed with its containment
        self.runs: list[Run] = []  # at work, the innermost last
        self.restoring = False
        self.leased: set[str] = set()  # resources that somebody else works on
        self.wrong: list[str] = []  # changes that nobody had permitted
        self.waiting: str = ""  # the resource that an update names which waits for a run
        self.number = self.clock = 0

    def teardown(self) -> None:
        self.stack.close()

    # -- looking -----------------------------------------------------------------------------------

    def _judge(self, resource: Resource, item: str, value: str) -> None:
        """Notes a change that the conditions forbid, and how the setting was before."""
        if value != CLOSED:
            if not self.restoring:
                self.wrong.append(f"{item} of {resource.id} was restored, and nobody asked")
            return
        run = self.runs[-1] if self.runs else None
        about = f"{item} of {resource.id}, {self.conditions}, {run}"
        forbidden = self.conditions.forbids(resource.id)
        asks = run.forbids(self.conditions) if run else self._asks(resource)
        if forbidden or asks or resource.id in self.leased:
            self.wrong.append(about)
        was = run.value_before(resource, item) if run else resource.values[item]
        resource.before.setdefault(item, was)

    def _asks(self, resource: Resource) -> bool:
        """Tells whether nothing may be changed by itself now."""
        return self.conditions.decision(resource.id) != "act"

    def _change(self, about: str, item: str) -> None:
        self.number += 1
        self.resources[about].values[item] = f"open-{self.number + 1}"

    def _take_lease(self, id: str) -> None:
        self.leased.add(id)
        key = {"pk": {"S": f"RESOURCE#{ARNS}{id}"}, "sk": {"S": "LEASE"}}
        values = {"owner": {"S": self.other}, "incident_id": {"S": "inc-other"}}
        item: Json = {**key, **values, "expires": {"N": "32503680000"}}
        self.deployment.dynamodb.put_item(TableName=TABLE, Item=item)

    def _release_leases(self, _: Json) -> None:
        for id in self.leased:
            key = {"pk": {"S": f"RESOURCE#{ARNS}{id}"}, "sk": {"S": "LEASE"}}
            self.deployment.dynamodb.delete_item(TableName=TABLE, Key=key)
        self.leased.clear()

    def _generation(self, id: str) -> int:
        for item in self.deployment.items(f"CONTAINMENT#{ARNS}{id}"):
            if item["sk"] == "HEAD":
                return int(item["generation"])
        return 0

    def _targets(self, name: str) -> list[Resource]:
        """Returns the resources whose present containment the incident is linked to."""
        return [
            self.resources[target["id"]]
            for target in self._linked(name)
            if target.get("generation") and target["generation"] == self._generation(target["id"])
        ]

    def _standing(self, name: str) -> list[Resource]:
        return [resource for resource in self._targets(name) if resource.before]

    def _other_statuses(self, run: Run) -> set[str]:
        """Returns the statuses of what an earlier event of the finding named, until a restore."""
        others = [other for other in self._targets(run.name) if other is not run.resource]
        linked = [t for t in self._linked(run.name) if t["id"] in {other.id for other in others}]
        return {target["status"] for target in linked} - set(RESTORED)

    def _story(self, run: Run) -> str:
        """Returns what happened, for whoever reads that it was not as expected."""
        items = self.deployment.items(f"INCIDENT#{self.incidents[run.name]}")
        events = [item for item in items if item["sk"].startswith("EVENT#")]
        story = "\n".join(f"{event['event']}: {event['detail']}" for event in events)
        return f"{self._status(run.name)}, {run}\n{story}"

    def _linked(self, name: str) -> list[Json]:
        return self.deployment.targets(self.incidents[name]) if name in self.incidents else []

    def _watches(self, name: str) -> bool:
        return all(target["status"] in WATCHED for target in self._linked(name))

    def _status(self, name: str) -> str:
        if name not in self.incidents and not any(run.name == name for run in self.runs):
            return ""
        return str(self.deployment.meta(self._incident_id(name))["status"])

    def _incident_id(self, name: str) -> str:
        if name in self.incidents:
            return self.incidents[name]
        [found] = [
            meta["incident_id"]
            for meta in self.deployment.incidents()
            if meta["finding_id"] == f"model-{name}"
        ]
        return str(found)

    def _event(self, name: str, about: str) -> Json:
        event = copy.deepcopy(load_finding())
        detail: Json = event["detail"]
        title = f"about {self.resources[about].immutable_id}"
        detail |= {"id": f"model-{name}", "type": FINDINGS[name], "title": title}
        detail["resource"]["instanceDetails"]["instanceId"] = about
        detail["service"]["eventLastSeen"] = f"2999-01-01T00:{self.clock % 60:02d}:00Z"
        detail["service"]["count"] = self.clock
        return event

    def _wanted(self, name: str) -> list[str]:
        return [ALWAYS, MORE] if NEEDS_MORE in FINDINGS[name] else [ALWAYS]

    def _is_contained(self, run: Run) -> bool:
        wanted = {*self._wanted(run.name), *run.resource.before}
        return all(run.resource.values[item] == CLOSED for item in wanted)


def is_closed(resource: Resource) -> bool:
    return all(resource.values[item] == CLOSED for item in resource.before)
