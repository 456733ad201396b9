"""Declares the shape of everything that is stored in the incident table or handed on between steps.

The keys are those of the stored records and of the messages and never change; a name here that
differs from a stored key says so. Times are ISO 8601 in UTC unless a field says otherwise. Records
of an older version may lack keys, hence ``total=False``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from guardduty_response.decision.configuration import PlaybookOptions
    from guardduty_response.decision.planned_options import ContainedWith

# What an action or an evidence item stores about itself: only its own code knows the shape.
StoredState = Mapping[str, Any]
# States before containment, by item: the value of each is one that its control has read.
BeforeStates = dict[str, Any]

# A change that CloudTrail recorded. All values are text. (No class can declare the key ``from``.)
ChangeEvent = TypedDict(
    "ChangeEvent",
    {
        "who": str,
        "what": str,
        "when": str,
        "from": str,
        "agent": str,
        "event_id": str,
    },
)


class StoredObject(TypedDict, total=False):
    """Names an object in the evidence bucket and proves its content."""

    key: str
    sha256: str  # hexadecimal
    bytes: int
    version: str  # S3 version ID, where the bucket is versioned
    what: str  # a description for people


class ActionLogEntry(TypedDict):
    """Records one action on a resource: what was done, when, under which AWS request IDs."""

    status: str  # DONE, ALREADY, PLANNED, SKIPPED, FAILED, NOTED …
    detail: str
    at: str
    request_id: str  # several are joined by commas


class CheckRecord(TypedDict, total=False):
    """Records one fact that verification read (``containment.contract.Check``)."""

    name: str
    ok: bool
    detail: str
    fatal: bool  # without it the resource is not contained at all
    read: bool  # False: the fact could not be read
    minor: bool  # its failing alone leaves the resource contained; absent: it does not


class EvidenceEntry(TypedDict, total=False):
    """Records how far one evidence item is (``evidence.items.EvidenceItem``)."""

    outcome: str  # evidence.items.Outcome
    detail: str
    objects: list[StoredObject]
    task: str  # what a person has to do, or empty
    state: StoredState
    request_ids: list[str]
    tries: int
    tries_paused: int  # while the response was paused
    runs: list[str]  # executions whose containment it covers, where it has a time range
    since: str
    at: str


class ResultEnvelope(TypedDict):
    """Declares what a playbook answers about a target (docs/custom-playbooks.md).

    ``containment.answer`` makes it, ``containment.envelope`` reads it, and
    ``incident.result_writer`` stores it (prior states: the gate, too).
    """

    status: str  # CONTAINED, PARTIAL, FAILED or GONE; BREACHED, where a recheck found a loss
    detail: str  # the verdict in a sentence; empty: made of the checks
    checks: list[CheckRecord]
    actions: dict[str, ActionLogEntry]
    before: BeforeStates  # the first writing of each stands
    watched: list[str]  # IDs and names that a call undoing it would name; none: as stored
    evidence: dict[str, EvidenceEntry]


class ContainmentLoss(TypedDict, total=False):
    """Records a loss of containment (stored key: ``breach``)."""

    at: str  # when it was first seen
    checks: list[str]  # names of the checks that failed
    by: list[ChangeEvent]  # newest first; empty while nobody is known
    unknown: str  # why nobody is known
    ended: str  # when the resource was contained again
    minor: bool  # the resource stayed contained: only minor checks failed


class RestoreRecord(TypedDict, total=False):
    """Records the latest restore of a target."""

    at: str
    by: str
    done: list[str]  # keys of the before-state that are restored
    restored: list[str]  # sentences
    not_restored: list[str]


class ContainmentLink(TypedDict, total=False):
    """Declares the LINK item: an incident that is about a contained resource."""

    incident_id: str
    at: str
    finding_key: str  # the incident's event that named the resource; absent: META's
    released_at: str  # when the incident was closed; absent while the containment is for it too
    reason: str


class ContainmentRecord(TypedDict, total=False):
    """Declares the STATE item: what a resource's containment, of one generation, has come to."""

    pk: str
    sk: str
    arn: str
    kind: str
    id: str
    account_id: str
    region: str
    playbook: str
    generation: int
    immutable_id: str  # AIDA…, AROA…, i-…; empty: not known
    opened_by: str  # the incident under whose name evidence is stored
    status: str
    verdict: str
    opened_at: str
    updated_at: str
    checks_at: str  # the CHECK items that carry this time are the latest verification
    verified: str  # ARN of the execution that verified last
    weak: list[str]
    contained_with: ContainedWith  # what the verdict went by; rechecks and restores go by it too
    held_at: str
    breach: ContainmentLoss
    restored: RestoreRecord
    still_contained: list[str]


class ReadAgain(TypedDict):
    """Declares a check that comes a moment after one that an event triggered: AWS may have shown
    the resource as it was before.
    """

    at: str
    regular_at: str  # when a check is due without it
    change: ChangeEvent  # because of which


class DueRecord(TypedDict, total=False):
    """Declares the DUE item of a monitored containment: when it is checked next, and by whom.

    The index ``due`` has what stands above the line; monitoring/due.py says why.
    """

    pk: str
    sk: str
    due_shard: str  # "0" … "7"
    due_at: str
    arn: str
    generation: int
    account_id: str
    region: str
    playbook: str
    opened_at: str  # when it was contained, or contained again after a loss
    claimed_until: str  # a batch checks it, until then
    # -- not in the index
    incident_id: str  # an incident that the containment is for
    claim: str  # ID of that batch
    interval_minutes: int  # between this check and the next
    seen: ChangeEvent  # a change that waits to be looked at
    read_again: ReadAgain  # a change that was looked at
    held_at: str  # when a check last found it contained
    checked_at: str
    unread: str  # since when checks cannot read it, while that is so
    why_unread: str  # what people are to be told of that; absent once they were
    lost: str  # since when it is lost while its incident waits for an approval
    why_lost: str  # what people are to be told of that; absent once they were
    ended_at: str  # when monitoring ended; the item is in no index since


class TargetReference(TypedDict, total=False):
    """Names a target in the incident's META item."""

    kind: str
    id: str
    arn: str
    account_id: str
    region: str
    attach: str  # the incident that worked on this resource when this one was planned
    generation: int  # of the containment that the incident is linked to; 0: linked to none
    opened_by: str  # the incident that opened the containment
    plan_digest: str  # of the plan that is carried out
    principals: list[str]  # ARNs that the resource involves, for exemptions
    finding_key: str  # S3 key of the event that named it; absent or empty: META's


class TargetPayload(TargetReference, total=False):
    """Names a target as the state machine hands it from step to step (``contract.Target``)."""

    scope: Mapping[str, object]  # IDs and ARNs by kind, for session policies
    verify_only: bool
    contained_with: ContainedWith  # of a recheck, and of containing again
    gone: str  # of a recheck: why its event's plan finds it no more
    unplanned: str  # of a recheck: why its event's plan does not name it


class TargetRecord(TargetReference, total=False):
    """Declares a resource of an incident, and everything that is known of its containment.

    The TARGET item holds what is the incident's own; the containment's items hold the rest
    (incident/containments.py). Items of releases before 0.2 hold all of it.
    """

    pk: str
    sk: str
    status: str
    verdict: str
    scope: Mapping[str, object]
    execution: str  # that carries out its plan; older items lack it
    actions: dict[str, ActionLogEntry]
    before: BeforeStates
    evidence: dict[str, EvidenceEntry]
    checks: list[CheckRecord]
    verified: str  # ARN of the execution that verified last
    weak: list[str]  # checks that failed at the verdict: their failing again is no loss
    contained_with: ContainedWith  # set with the verdict; ContainmentRecord has it
    held_at: str  # when containment was last seen complete
    immutable_id: str  # AIDA…, AROA…, i-…; empty: not known
    watched: list[str]  # IDs and names that a call undoing this containment would name
    incidents: list[str]  # those that the containment is for (not closed), the first ones first
    breach: ContainmentLoss
    restored: RestoreRecord
    still_contained: list[str]  # keys of the before-state that restore left as containment has them


class RecheckReference(TypedDict, total=False):
    """Names the latest recheck of an incident (stored key: ``watch``)."""

    execution: str
    why: str  # schedule, change, or what a person gave
    at: str
    status: str


class IndexedIncident(TypedDict, total=False):
    """Declares what the index ``incidents`` has of a META item (``incident.open_index``)."""

    pk: str
    sk: str
    incident_id: str
    account_id: str
    mode: str
    playbook: str
    targets: list[TargetReference]
    status: str
    open: str  # sparse index: "1#0" to "1#7" in progress, "held#0" to "held#7" contained
    execution: str  # ARN of the state machine's execution that answers it
    opened_at: str
    updated_at: str
    unwatched: str  # since when the playbook is switched off, while that is so


class IncidentRecord(IndexedIncident, total=False):
    """Declares the META item: one finding and what became of it."""

    # the finding
    finding_id: str
    finding_type: str
    finding_key: str  # S3 key of the event as delivered
    region: str
    severity: float
    title: str
    resource_type: str
    detection_rule: str  # the custom detection rule that raised it
    sample: bool
    last_seen: str  # service.eventLastSeen of its latest event
    named: list[str]  # principal, instance and a session's key that finding_key names
    renamed: bool  # an update of the finding has named others than the first event
    earlier_findings: list[str]  # keys of earlier events, of targets without a finding_key
    # the decision
    reasons: list[str]
    in_doubt: str  # why a person decides about it whatever the mode; empty: nothing says so
    decision: str | None
    config_sha256: str
    parent: str  # the incident that handed this one over; empty: GuardDuty's own finding
    children: list[str]  # incidents that were handed over to other playbooks, in that order
    plan_digest: str  # SHA-256 of what was planned; an approval is bound to it
    options: PlaybookOptions  # of its playbook, when it was planned
    planned_actions: dict[str, list[str]]  # ARN -> names of the actions that were planned
    kept: dict[str, dict[str, object]]  # ARN -> what the plan after an approval is to know
    asked_at: str  # when people were first asked in this run
    approved_digest: str  # the plan that a person approved
    approved_by: str
    approved_at: str
    answer_refused: str  # why the last answer approved nothing; empty: it did, or there was none
    # the state
    previous: str  # status before the incident was opened again
    held: str  # status whose containment stood when the incident was opened again
    ended_at: str  # when a restore, a closing, a rejection or the lack of an answer ended it
    refused_at: str  # when its latest run was rejected, or not answered in time
    emissions: int  # how often GuardDuty sent the finding
    task_token: str  # answers the approval; never shown
    report_key: str
    checked_at: str
    answer_told: list[str]  # what a release before 0.2 said was decided, where nothing was done
    run: str  # when it was opened last; messages say in which run they were written
    # monitoring
    watch: RecheckReference
    undone_by: ChangeEvent  # the change that started the latest recheck
    contained_again: str  # execution that contains again after a loss
    left_breached: str  # why a loss was left to people
    unverified: str  # since when containment cannot be read, while that is so


class TimelineEvent(TypedDict, total=False):
    """Declares the EVENT item: one line of an incident's timeline."""

    pk: str
    sk: str
    at: str
    event: str
    detail: str
    target: str
    actor: str


class Lease(TypedDict, total=False):
    """Declares the LEASE item: who has the right to work on a resource, and until when."""

    pk: str
    sk: str
    owner: str  # ARN of an execution, or restore-… or close-…
    incident_id: str
    expires: int  # seconds since 1970
    expires_at: int  # when DynamoDB deletes the item (TTL), seconds since 1970


# Attributes of an SNS message (Amazon SNS, "message attributes"): name -> type and value.
MessageAttributes = dict[str, dict[str, str]]


class MessageRecord(TypedDict, total=False):
    """Declares the MESSAGE item: what people are told about an incident, on one topic, and why.

    Its text is an item of its own (pk ``TEXT#incident``, sk the reason), so that who reads an
    incident does not read every text.
    """

    pk: str
    sk: str  # MESSAGE#topic#reason
    incident_id: str
    topic: str  # notifications or escalations
    reason: str  # why people are told: a word, and a hash of what makes it distinct
    event: str  # started, approval, notice, closing, problem, or a status
    status: str
    subject: str
    attributes: MessageAttributes
    run: str  # of the incident, when it was written
    execution: str  # that wrote it
    losses: list[str]  # lost checks and CloudTrail events that people learn of
    actors: list[str]  # who is said to have undone containment
    answer: list[str]  # what was decided about the finding, where nothing was done
    resource: str  # IDs of the targets that it is about, joined by commas
    written_at: str
    # while it waits
    outbox: str  # sparse index: a number that spreads what waits
    sending_until: str  # somebody is sending it, until then
    group: str  # messages that go out together
    hold_until: str  # not sent before that
    tries: int
    error: str  # why it could not be sent
    # afterwards
    sent_at: str
    message_id: str  # by Amazon SNS
    digest: str  # message ID of the digest that it went out in
    nobody: bool  # the topic had no confirmed subscription
    subscribers: str  # some, none or unknown (outbox.pace.Subscribers); 0.1 lacks it
