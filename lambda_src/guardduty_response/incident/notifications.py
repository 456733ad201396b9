"""Writes and sends the messages people get: what happened, to what, what is left to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardduty_response.aws.log import log
from guardduty_response.decision import configuration, finding
from guardduty_response.incident import linked_texts, siem_link, summary, timeline
from guardduty_response.incident.incident_links import Links, Reading
from guardduty_response.incident.moments import iso, now
from guardduty_response.incident.outbox.history import MINOR_LOSS
from guardduty_response.incident.outbox.message import (
    NOTIFICATIONS,
    reason_for,
    sort_key,
    topic_arns,
)
from guardduty_response.incident.outbox.sender import Sent, Text, write_and_send
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import ESCALATE, Status
from guardduty_response.incident.table import incident_key

if TYPE_CHECKING:
    from guardduty_response.incident.model import (
        IncidentRecord,
        MessageAttributes,
        MessageRecord,
        TargetRecord,
    )

_HEADLINES = {
    "started": "Response started",
    "approval": "Approval needed. Nothing has been changed yet.",
    "notice": "Finding reported. The policy lets nothing act on it.",
    "closing": "Evidence collected, response finished",
    MINOR_LOSS: "A part of the containment was undone. The resource stays contained.",
    "problem": "The response met a problem. The status is the one last verified.",
    Status.CONTAINED: "Contained and verified",
    Status.PARTIAL: "Partially contained. A person must finish it.",
    Status.FAILED: "NOT contained. A person must act now.",
    Status.CONTAINMENT_LOST: "Containment lost. A person must act now.",
    Status.GONE: "The resource no longer exists",
    Status.DRY_RUN: "Dry run. Nothing was changed; this is what would have been done.",
    Status.SKIPPED: "Nothing was done",
    Status.REJECTED: "Containment rejected. Nothing was changed.",
    Status.TIMED_OUT: "Approval timed out. Nothing was changed.",
    Status.RESTORED: "Restored and verified: every setting is as it was before containment",
    Status.RESTORE_PARTIAL: "Partially restored. What was not restored is listed.",
    Status.CLOSED: "Incident closed by a person",
}
_SAMPLE = "Sample finding. Nothing was attacked, and nobody has to act at once."
_SAMPLE_FAILED = "The rehearsal failed. Find out why before the next real finding."
_NO_LINKS = Links()
# Sent before there is anything for people to finish.
_WITHOUT_TASKS = ("started", "approval", "notice")
# SNS refuses more than 256 KiB, attributes included (Amazon SNS API reference, Publish).
_MESSAGE_BYTES = 200_000


def _setting(name: str) -> str:
    """Returns a link from ``notifications``, or "" where there is none.

    A configuration that cannot be read must not silence a message.
    """
    try:
        return str(configuration.load().notifications.get(name) or "")
    except Exception as error:
        log("no configuration for a message", detail=str(error)[:300])
        return ""


def search_links(meta: IncidentRecord, targets: list[TargetRecord]) -> list[str]:
    """Returns notifications.siem_search_url, filled in for each principal."""
    template = _setting("siem_search_url")
    if not template or meta.get("playbook") != "iam_principal":
        return []
    return [siem_link.link(template, siem_link.values(meta, target)) for target in targets]


def can_restore(playbook: str) -> bool:
    """Tells whether a playbook has a restore function; False where that cannot be read."""
    try:
        options = configuration.load().playbooks.get(playbook, {})
    except Exception as error:
        log("no configuration for a command", detail=str(error)[:300])
        return False
    return bool(options.get("restore"))


def _subject(tag: str, meta: IncidentRecord, targets: list[TargetRecord]) -> str:
    """Returns what SNS takes: ASCII, at most 100 characters, no line breaks."""
    names = [target["id"] for target in targets or meta.get("targets") or []]
    resources = f"{len(names)} resources" if names else ""
    if len(names) == 1:
        resources = names[0]
    text = f"[{tag}] {meta.get('finding_type')} {resources} in {meta.get('account_id')}"
    ascii_text = text.encode("ascii", "replace").decode()
    return finding.text(" ".join(ascii_text.split()), 100)


def _severity(meta: IncidentRecord) -> str:
    return f"{meta.get('severity', 0):g}"


def _describe_finding(meta: IncidentRecord, links: Links) -> list[str]:
    rule = meta.get("detection_rule")
    return [
        f"Finding   {meta.get('finding_type')} (severity {_severity(meta)})",
        f"          {meta.get('title', '')}",
        *([f"Rule      {rule} (custom detection rule)"] if rule else []),
        f"Account   {meta.get('account_id')}   Region {meta.get('region')}",
        f"Incident  {meta['incident_id']}   status {meta['status']}",
        *linked_texts.lines(links),
        f"Mode      {meta.get('mode')}",
        *(f"          {reason}" for reason in meta.get("reasons") or []),
    ]


def _section(title: str, sentences: list[str], indent: str = "") -> list[str]:
    """Returns the lines of a list under ``title``; nothing when it is empty."""
    if not sentences:
        return []
    return [f"{indent}{title}", *(f"{indent}  - {text}" for text in sentences)]


def _describe_target(target: TargetRecord, incident_id: str) -> list[str]:
    lines = [f"Resource  {target['kind']} {target['id']}: {target['status']}"]
    if others := summary.other_incidents(target, incident_id):
        lines.append(f"          Its containment is for {', '.join(others)} too.")
    if target.get("verdict"):
        lines.append(f"          {target['verdict']}")
    if target.get("breach"):
        lines += [f"  {text}" for text in summary.containment_loss(target["breach"])]
    for name, action in sorted(target.get("actions", {}).items()):
        lines.append(f"  {action['status']:<8} {name}: {action['detail']}")
    restored = target.get("restored") or {}
    lines += _section("Restored", restored.get("restored") or [], "  ")
    lines += _section("Not restored", restored.get("not_restored") or [], "  ")
    for check in target.get("checks", []):
        result = summary.check_result(check)
        lines.append(f"  {result:<8} {check['name']}: {check['detail']}")
    return lines


def _links(meta: IncidentRecord, targets: list[TargetRecord]) -> list[str]:
    table = os.environ.get("GDR_TABLE")
    lines = [f"Record    DynamoDB table {table}, key INCIDENT#{meta['incident_id']}"]
    if meta.get("report_key"):
        lines.append(f"Report    s3://{os.environ.get('GDR_BUCKET')}/{meta['report_key']}")
    if url := _setting("runbook_url"):
        lines.append(f"Runbook   {url}")
    return lines + [f"Search    {url}" for url in search_links(meta, targets)]


def compose(
    event: str,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    note: str = "",
    links: Links = _NO_LINKS,
) -> tuple[str, str]:
    """Returns subject and body. ``event``: started, approval, notice, closing, problem or a Status.

    ``note``: a paragraph below the finding. ``links``: the incident's parent and children.
    """
    tag = meta["status"] if event == "closing" else event.upper()
    own, is_result = meta["status"], event not in _WITHOUT_TASKS
    headlines = _headlines(event, meta)
    if is_result and (warning := linked_texts.warning(links, own)):
        # First: whoever reads no further must not take a part for the whole.
        headlines = [warning, f"Its own resources: {headlines[0]}", *headlines[1:]]
        tag += linked_texts.tag(links, own)
    lines = [*headlines, "", *_describe_finding(meta, links)]
    if note:
        lines += ["", note]
    for target in targets:
        lines += ["", *_describe_target(target, meta["incident_id"])]
    if is_result and (tasks := [*summary.open_tasks(meta, targets), *links.tasks()]):
        lines += ["", *_section("Open tasks", tasks)]
    if left := linked_texts.left_sentences(meta, links, can_restore):
        lines += ["", *_section("Children left as they are", left)]
    if event == "closing" and (observations := summary.observations(targets)):
        lines += ["", *_section("Also observed", observations)]
    lines += ["", *_links(meta, targets)]
    if meta.get("sample"):
        tag = f"SAMPLE {tag}"
    return _subject(tag, meta, targets), "\n".join(lines)


def _headlines(event: str, meta: IncidentRecord) -> list[str]:
    headline = _HEADLINES.get(event, event)
    if not meta.get("sample"):
        return [headline]
    return [_SAMPLE, _SAMPLE_FAILED if event in ESCALATE else headline]


@dataclass(frozen=True)
class Draft:
    """Says what to tell people of an incident, and why.

    ``event`` and ``note``: as for ``compose``. ``reason``: as ``outbox.message.reason_for`` makes
    it; nobody is told twice for the same reason. ``escalate``: to the escalation topic, too.
    ``entry``: name and detail of an event that is written to the timeline with the message.
    """

    event: str
    reason: str
    note: str = ""
    escalate: bool = False
    execution: str = ""
    losses: Sequence[str] = ()
    answer: Sequence[str] = ()
    entry: tuple[str, str] | None = None
    target: str = ""
    actor: str = ""
    held_for: str = ""  # the resource whose repeated losses are told of once an hour

    def known(self, meta: IncidentRecord, targets: list[TargetRecord]) -> MessageRecord:
        """Returns the message as the history has it once it is written."""
        return {**_message(self, meta, targets), "written_at": now()}


def _message(
    draft: Draft, meta: IncidentRecord, targets: list[TargetRecord], links: Links = _NO_LINKS
) -> MessageRecord:
    changes = [
        change for target in targets for change in (target.get("breach") or {}).get("by", [])
    ]
    message: MessageRecord = {
        "incident_id": meta["incident_id"],
        "reason": draft.reason,
        "event": draft.event,
        "status": meta["status"],
        "attributes": _attributes(draft.event, meta, links),
        "run": meta.get("run") or "",
        "execution": draft.execution,
        "losses": list(draft.losses),
        "actors": sorted({change["who"] or "unknown" for change in changes})
        if draft.losses
        else [],
        "answer": list(draft.answer),
        "resource": ",".join(target["id"] for target in targets)[:300],
    }
    if draft.held_for:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        message["group"] = f"{draft.held_for} {hour:%Y-%m-%dT%H}"
        message["hold_until"] = iso(hour + timedelta(hours=1))
    return message


def _attributes(event: str, meta: IncidentRecord, links: Links) -> MessageAttributes:
    """Returns the message's attributes, which serve filter policies.

    ``status`` is that of the incident's own resources, ``overall`` that of its children too.
    """
    texts = {
        "event": event,
        "status": meta["status"],
        "overall": links.overall(Status(meta["status"])),
        "finding_type": meta.get("finding_type") or "unknown",
        "account_id": meta.get("account_id") or "unknown",
        "incident_id": meta["incident_id"],
        "sample": "true" if meta.get("sample") else "false",
    }
    attributes = {
        name: {"DataType": "String", "StringValue": str(value)} for name, value in texts.items()
    }
    attributes["severity"] = {"DataType": "Number", "StringValue": _severity(meta)}
    return attributes


def notify(
    record: IncidentRepository,
    meta: IncidentRecord,
    targets: list[TargetRecord],
    draft: Draft,
    reading: Reading | None = None,
) -> Sent:
    """Writes a message for the notification topic, and sends it (outbox/sender.py).

    A sample finding escalates nothing. ``reading``: of the incident's parent and children, for who
    has begun it. Raises botocore ClientError when the message cannot be written. One that cannot be
    sent waits.
    """
    links = (reading or Reading(record, meta)).links
    subject, body = compose(
        draft.event,
        meta,
        targets,
        draft.note,
        links,
    )
    text = Text(subject, body.encode()[:_MESSAGE_BYTES].decode(errors="ignore"))
    escalate = draft.escalate and not meta.get("sample")
    topics = [topic for topic in topic_arns() if escalate or topic == NOTIFICATIONS]
    event = None
    if draft.entry:
        event = timeline.entry(
            meta["incident_id"],
            *draft.entry,
            draft.target,
            draft.actor,
        )
    message = _message(draft, meta, targets, links)
    return write_and_send(
        record.table,
        message,
        text,
        topics,
        event,
    )


def is_written(record: IncidentRepository, incident_id: str, reason: str) -> bool:
    """Tells whether a message was written for this reason."""
    key = sort_key(NOTIFICATIONS, reason)
    return record.table.get(incident_key(incident_id), key) is not None


def notify_unverified(
    record: IncidentRepository, meta: IncidentRecord, targets: list[TargetRecord], why: str
) -> None:
    """Notifies and escalates, once, that containment could not be read.

    Sends nothing more until it was read again.
    """
    since = meta.get("unverified") or now()
    if not _is_time(since):
        return  # people were told by a release before 0.2
    if not meta.get("unverified"):
        record.note(meta["incident_id"], unverified=since)
    elif is_written(record, meta["incident_id"], reason_for("unverified", since)):
        return
    note = (
        f"Containment could not be verified: {why}. Every recheck tries again; this message is sent"
        " once."
    )
    draft = Draft(
        "problem",
        reason_for("unverified", since),
        note=note,
        escalate=True,
        entry=("not verified", why),
        actor="watch",
    )
    notify(
        record,
        meta,
        targets,
        draft,
    )


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
