"""Takes in a finding, for the incident function: opens its incident, or only notifies of it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from guardduty_response.aws import clients
from guardduty_response.decision import configuration, finding, policy
from guardduty_response.errors import MalformedFinding, NotAFinding
from guardduty_response.evidence import store as evidence_store
from guardduty_response.functions.runtime import Answer, Payload
from guardduty_response.incident import notifications, opening
from guardduty_response.incident.moments import seconds_left
from guardduty_response.incident.notifications import Draft
from guardduty_response.incident.outbox.message import reason_for
from guardduty_response.incident.repository import IncidentRepository, Opened
from guardduty_response.incident.statuses import Event, OnFinding, Status
from guardduty_response.incident.table import incident_key
from guardduty_response.monitoring import recheck

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord

# The notice machine looks at the claim once, two minutes after its own first step
# (look_after_seconds). If Open runs later than this after the claim, that look may be over, so Open
# notifies people itself.
IN_TIME_SECONDS = 60


class IntakeAnswer(TypedDict, total=False):
    """Declares what a state machine goes on with; ``next``: triage, wait, done or look.

    ``wait``: the finding names others than the run at work. After ``wait_seconds``, an execution of
    its own takes it in once more, by ``finding_key``.

    ``look``: the notice machine looks for the item ``pk``/``sk`` after a while, and where there is
    none it starts the incident machine under ``name``.
    """

    incident_id: str
    playbook: str
    finding_key: str
    account_id: str
    region: str
    next: str
    wait_seconds: int
    verify_only: bool
    why: str
    pk: str
    sk: str
    name: str


class Decided(NamedTuple):
    """Holds a finding and what the policy says about it."""

    finding: finding.Finding
    decision: policy.Decision
    playbook: str | None
    config: configuration.Config

    def record(self, execution: str) -> IncidentRecord:
        """Returns the fields of the incident's META."""
        return opening.from_finding(
            self.finding, self.decision, self.playbook, execution, self.config.sha256
        )


def incidents() -> IncidentRepository:
    """Returns this deployment's incidents."""
    return IncidentRepository(os.environ["GDR_TABLE"])


def _delivered(event: object) -> object:
    """Returns the event, or the stored one that a pointer names.

    A finding can be larger than the state machine's payload may be.
    """
    key = _pointer(event)
    if not key:
        return event
    try:
        return evidence_store.get_event(key)
    except MalformedFinding as error:
        return {"finding_key": key, "error": str(error)}  # not a finding: reported as such


def _pointer(event: object) -> str:
    """Returns the key that a pointer names; empty: the event is the finding itself."""
    key = finding.get(event, "finding_key")
    return key if isinstance(key, str) else ""


def done(incident_id: str = "", why: str = "") -> IntakeAnswer:
    return {
        "incident_id": incident_id,
        "playbook": "",
        "verify_only": False,
        "next": "done",
        "why": why,
    }


def _decide(event: object) -> Decided:
    """Raises NotAFinding or MalformedFinding.

    In a new environment, the client that stores the finding is built while the configuration is
    read: reading S3's model takes as long as a call.
    """
    clients.client("dynamodb")  # first, because the configuration waits for it
    clients.POOL.submit(clients.client, "s3")
    config, seen = configuration.load(), finding.parse(event)
    decision, playbook = policy.decide_about(config, seen)
    return Decided(seen, decision, playbook, config)


def _report_unreadable(event: object, execution: str, why: str) -> IntakeAnswer:
    """Stores and reports what could not be read, once for each distinct event."""
    meta: IncidentRecord = {**opening.from_event(event, execution, why), "title": why[:500]}
    incident_id = meta["incident_id"]
    meta["finding_key"] = evidence_store.put_event(incident_id, event)["key"]
    record = incidents()
    opened = record.open(meta)
    if opened.outcome is OnFinding.START:
        record.event(incident_id, "skipped", why)
        # Written before the status moves: a retry then writes what was not written.
        reason = reason_for("unreadable", execution)
        skipped: IncidentRecord = {**opened.meta, "status": Status.SKIPPED}
        notifications.notify(
            record,
            skipped,
            [],
            Draft(Status.SKIPPED, reason),
        )
        record.transition(incident_id, Event.SKIPPED, decision="skip")
    return done(incident_id, why)


def _open_record(
    event: object, decided: Decided, execution: str
) -> tuple[IncidentRepository, Opened]:
    """Stores the event and opens its incident, side by side.

    If the event cannot be stored this raises the error, and the repetition finds the record as its
    own.
    """
    record, seen, meta = incidents(), decided.finding, decided.record(execution)
    name, content = evidence_store.event_file(event)
    meta["finding_key"] = evidence_store.key_of(seen.incident_id, name)
    meta["parent"] = finding.text(finding.get(event, "handedOverBy"), 40)
    storing = clients.POOL.submit(
        evidence_store.put,
        seen.incident_id,
        name,
        content,
    )
    detail = f"{seen.type}, severity {seen.severity:g} ({seen.severity_label}), mode {meta['mode']}"
    try:
        opened = record.open(meta, detail=detail)
    finally:
        storing.result()
    if opened.outcome is OnFinding.WAIT:
        return record, opened
    if opened.outcome is OnFinding.COUNT:
        detail = (
            f"GuardDuty sent the finding again (count {seen.count}) while the incident was"
            f" {opened.previous}: counted, nothing started"
        )
        record.event(seen.incident_id, "finding recurred", detail)
        return record, opened
    if opened.previous is not None:
        record.event(seen.incident_id, "reopened", detail)
    return record, opened


def open_incident(event: Payload) -> Answer:
    """Opens an incident or a recheck: the incident machine's state Open, after Claim.

    Where the policy lets nothing act, the finding is left to the notice machine, and only the claim
    says so. If that machine may have looked already, this notifies people itself.
    """
    execution = event["execution"]
    if (request := finding.get(event["event"], "watch")) is not None:
        opened_recheck = recheck.open_recheck(incidents(), request, execution)
        return opened_recheck or done(why="the incident contains nothing any more")
    delivered, pointer = _delivered(event["event"]), _pointer(event["event"])
    if pointer:
        from guardduty_response.functions import updates

        delivered = updates.newest(incidents(), pointer, delivered)
    try:
        decided = _decide(delivered)
    except (NotAFinding, MalformedFinding) as error:
        return _report_unreadable(delivered, execution, str(error))
    seen, mode = decided.finding, decided.decision.mode
    if seen.archived:
        return done(why="the finding is archived (suppressed)")
    if mode not in policy.ACTING or decided.playbook is None:
        return _leave(event, seen, mode)
    record, opened = _open_record(delivered, decided, execution)
    if pointer or opened.outcome is not OnFinding.START:
        from guardduty_response.functions import updates  # for a recurrence alone

        if left := updates.answer(record, opened, seen, delivered, pointer):
            return left
    return {
        "incident_id": seen.incident_id,
        "playbook": decided.playbook,
        "finding_key": opened.meta["finding_key"],
        "account_id": seen.account_id,
        "region": seen.region,
        "next": "triage",
        "verify_only": opened.outcome is OnFinding.VERIFY,
    }


def _leave(event: Payload, seen: finding.Finding, mode: str) -> Answer:
    """Leaves a finding to the notice machine, and says so in this execution's claim.

    While an apply changes the policy, the notice machine may have read another one, by which the
    finding is not its own either. It finds this, and decides again. Who was started by it when it
    had looked, or with a pointer, which has no claim, answers itself.
    """
    if finding.get(event["event"], "finding_key") or _is_started_by_notice(event, seen):
        return notify_only(event)
    table, key, mine = incidents().table, incident_key(seen.incident_id), event["execution"]
    left = done(why=f"mode {mode}: left to the notice machine")
    claimed = {"execution": mine}
    if not seen.last_seen or not table.update(key, seen.claim, {"left": mode}, only_if=claimed):
        return left
    claim = table.get(key, seen.claim) or {}
    return left if seconds_left(str(claim["at"]), IN_TIME_SECONDS) else notify_only(event)


def _is_started_by_notice(event: Payload, seen: finding.Finding) -> bool:
    return str(event["execution"]).rsplit(":", 1)[-1] == _name_of_start(seen)


def _name_of_start(seen: finding.Finding) -> str:
    """Returns the name under which the notice machine starts the incident machine."""
    digest = hashlib.sha256(seen.last_seen.encode()).hexdigest()
    return f"{seen.incident_id}-{digest[:12]}"


def _look_for(seen: finding.Finding, mode: str) -> IntakeAnswer:
    """Returns where the notice machine finds the claim of this state of the finding."""
    return {
        "incident_id": seen.incident_id,
        "next": "look",
        "why": f"mode {mode}: for the incident machine",
        "pk": incident_key(seen.incident_id),
        "sk": seen.claim,
        "name": _name_of_start(seen),
    }


def notify_only(event: Payload) -> Answer:
    """Notifies of a finding that nothing acts on: the notice machine's first state.

    A finding that something acts on is looked for later (docs/decisions/0028).
    """
    execution, delivered = event["execution"], _delivered(event["event"])
    try:
        decided = _decide(delivered)
    except (NotAFinding, MalformedFinding) as error:
        return _report_unreadable(delivered, execution, str(error))
    seen, mode = decided.finding, decided.decision.mode
    if mode in policy.ACTING and decided.playbook and not seen.archived:
        return _look_for(seen, mode)
    if mode != "notify" or seen.archived:
        return done(why=f"mode {mode}: not for the notice machine")
    record, opened = _open_record(delivered, decided, execution)
    if opened.outcome is not OnFinding.START:
        return done(seen.incident_id, "finding recurred")
    # Written before the status moves: a retry then writes what was not written.
    shown: IncidentRecord = {**opened.meta, "status": Status.NOTIFIED}
    draft = Draft("notice", reason_for("notice", execution))
    sent = notifications.notify(record, shown, [], draft)
    if sent.reached:
        detail = f"a message was sent to the notification topic{sent.doubt}"
        record.event(seen.incident_id, "notified", detail)
    record.transition(seen.incident_id, Event.NOTIFIED, decision="notify")
    return done(seen.incident_id, "notified")
