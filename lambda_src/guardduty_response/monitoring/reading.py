"""Reads contained resources, as their playbook verifies them, with sessions that only read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.log import metric
from guardduty_response.containment.contract import (
    Check,
    Context,
    StepResult,
    Target,
    load,
    load_monitor,
)
from guardduty_response.decision import configuration, finding, planned_options
from guardduty_response.errors import RoleUnavailable, TargetGone
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident import targets
from guardduty_response.incident.containment import Containment
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.incident.target_repository import Place
from guardduty_response.monitoring import drift, upkeep
from guardduty_response.monitoring.sessions import BatchSessions

if TYPE_CHECKING:
    from guardduty_response.incident.model import DueRecord, IncidentRecord, TargetRecord

REREAD_SECONDS = 2.0  # AWS is eventually consistent


class _RecordOnce(IncidentRepository):
    """The record, in which a containment that was read a moment ago is not read again."""

    def __init__(self, record: IncidentRepository, containment: Containment) -> None:
        super().__init__(record.table.name, record.table.client)
        state = containment.state
        self._place: Place = state["arn"], state["generation"]
        self._containment = containment

    def target(
        self, incident_id: str, kind: str, id: str, place: Place | None = None
    ) -> TargetRecord:
        if place == self._place:
            return targets.view({}, self._containment)
        return super().target(incident_id, kind, id, place)


@dataclass(frozen=True)
class Checked:
    """Holds a containment that is being checked, and the incident that answers for it."""

    found: DueRecord
    containment: Containment
    meta: IncidentRecord

    @property
    def place(self) -> Place:
        return self.found["arn"], self.found["generation"]

    @property
    def waits(self) -> bool:
        """Tells whether the incident waits for an approval: the machine would do nothing."""
        return upkeep.waits(self.meta)


class Reader:
    """Reads the containments of a batch, all with the same sessions. ``batch``: its name."""

    def __init__(self, record: IncidentRepository, batch: str) -> None:
        self.record, self.batch = record, batch
        self.config = configuration.load()
        self.playbook = os.environ["GDR_PLAYBOOK"]
        self.monitor = load_monitor(self.playbook)
        name, monitor = f"{batch}-monitor", self.monitor
        read, elsewhere = (monitor.READ, monitor.READ_ELSEWHERE) if monitor else ((), {})
        self.sessions = BatchSessions(self.config.partition, name, read, elsewhere)

    def can_check(self, checked: Checked) -> bool:
        """Tells whether this function can read the resource.

        It cannot where a member account lacks its role yet, nor what is of a kind that it cannot
        read: the incident machine verifies that, as releases before 0.2 did.
        """
        state = checked.containment.state
        if self.monitor and state["kind"] not in self.monitor.KINDS:
            return False
        account = state["account_id"]
        try:
            self.sessions.check_role(account, state["region"])
            if self.monitor:
                options = self.config.playbooks[self.playbook]
                for role, place in self.monitor.elsewhere(state["kind"], options).items():
                    account = place[0]
                    self.sessions.check_role(*place, role)
        except RoleUnavailable as error:
            metric("MonitorRoleMissing", 1, account=account, detail=str(error)[:300])
            return False
        return True

    def read(self, checked: Checked) -> tuple[StepResult, list[Check], drift.Difference]:
        """Verifies the containment, and once more before it is called lost."""
        context = self._context(checked)
        target = self._target(context, checked)
        verify = self.monitor.verify if self.monitor else load(self.playbook).verify
        stored = targets.view({}, checked.containment)
        for attempt in range(1, drift.READS + 1):
            step, checks = verify(replace(context, attempt=attempt), target)
            step, checks = drift.keep_missing(stored, step, checks)
            difference = drift.compare(stored, checks)
            if step.status is Status.GONE:
                return step, checks, drift.Difference([], [])
            if not difference or attempt == drift.READS:
                break
            time.sleep(REREAD_SECONDS)
        return step, checks, difference

    def _context(self, checked: Checked) -> Context:
        incident_id = checked.meta["incident_id"]
        links = checked.containment.open_links
        named_by = [link for link in links if link["incident_id"] == incident_id]
        key = named_by[0].get("finding_key") if named_by else ""
        key = key or checked.meta["finding_key"]
        event = evidence_store.get_event(key)
        options = self.config.playbooks[self.playbook]
        context = Context(
            config=self.config,
            options=options,
            finding=finding.parse(event),
            incident_id=incident_id,
            execution=f"monitor {self.batch}",
            record=_RecordOnce(self.record, checked.containment),
            assume=self.sessions.assume,
            put_evidence=partial(evidence_store.put, incident_id),
            finding_key=key,
        )
        stored, planned = (
            checked.containment.state.get("contained_with"),
            checked.meta.get("options"),
        )
        return context.as_contained(planned_options.of_containment(stored, planned, options))

    def _target(self, context: Context, checked: Checked) -> Target:
        """Returns the target as it is stored; a playbook without a monitor plans it anew.

        Raises TargetGone where a plan finds it no more.
        """
        state = checked.containment.state
        opened_by = state.get("opened_by") or ""
        if self.monitor:
            return Target(
                state["kind"],
                state["id"],
                state["arn"],
                state["account_id"],
                state["region"],
                scope={"unique_id": state.get("immutable_id") or ""},
                verify_only=True,
                generation=state["generation"],
                opened_by=opened_by,
            )
        for plan in load(self.playbook).plan(context):
            if plan.target.arn == state["arn"]:
                return plan.target._replace(
                    verify_only=True,
                    principals=plan.principals,
                    generation=state["generation"],
                    opened_by=opened_by,
                )
        raise TargetGone(f"the finding's plan no longer names {state['arn']}")
