"""Writes the incident report: a self-contained HTML page, and the record as JSON beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence

from guardduty_response.decision import configuration
from guardduty_response.incident import commands, html, linked_texts, summary
from guardduty_response.incident.incident_links import Links, Reading
from guardduty_response.incident.model import (
    EvidenceEntry,
    IncidentRecord,
    MessageRecord,
    StoredObject,
    TargetRecord,
    TimelineEvent,
)
from guardduty_response.incident.moments import now
from guardduty_response.incident.notifications import can_restore, search_links
from guardduty_response.incident.outbox.pace import Subscribers
from guardduty_response.incident.repository import IncidentRepository

# Stores evidence: (incident ID, name, content) -> the stored object (``evidence.store.put``).
PutEvidence = Callable[[str, str, bytes], StoredObject]

_NO_LINKS = Links()
_INCOMPLETE = ("FAILED", "PARTIAL")  # outcomes of evidence that fall short of what was asked for
_ACTION_COLUMNS = ["Action", "Result", "Detail", "When (UTC)", "AWS request ID"]


def _finding_section(meta: IncidentRecord) -> str:
    severity = meta.get("severity")
    rows = {
        "Finding": f"{meta.get('finding_type')} (severity {severity}), id {meta.get('finding_id')}",
        "Title": meta.get("title"),
        "Custom detection rule": meta.get("detection_rule"),
        "Sample": "a sample finding: nothing was attacked" if meta.get("sample") else None,
        "Account and Region": f"{meta.get('account_id')} {meta.get('region')}",
        "Mode and decision": f"{meta.get('mode')}, {meta.get('decision')}",
        "Why": "; ".join(meta.get("reasons") or []),
        "Opened": meta.get("opened_at"),
        "Times received": meta.get("emissions"),
        "Execution": meta.get("execution"),
        "Policy (SHA-256 of the configuration)": meta.get("config_sha256"),
        "Finding as delivered": meta.get("finding_key"),
    }
    return html.table(
        ["", ""],
        [
            [html.text(name), html.text(str(value))]
            for name, value in rows.items()
            if value is not None
        ],
    )


def _undo_section(meta: IncidentRecord, restore: bool) -> str:
    """Says how a person undoes the containment or ends monitoring, ready to paste."""
    if not (meta.get("playbook") and commands.is_restorable(meta)):
        return "<p>There is nothing to undo.</p>"
    if not restore:
        return (
            "<p>Restore is switched off (playbooks.*.restore). Undo the containment manually, from"
            " the state before it, below.</p>"
        )
    prefix = str(os.environ.get("GDR_NAME_PREFIX"))
    # The Region of this deployment, which need not be the finding's.
    execution = str(meta.get("execution")).split(":")
    region = execution[3] if len(execution) > 3 else ""
    request = {"incident_id": meta["incident_id"], "requested_by": "YOU"}
    restore_command = commands.invoke_restore(
        prefix,
        meta["playbook"],
        request,
        region,
    )
    close_command = commands.close_incident(
        prefix,
        meta["playbook"],
        meta["incident_id"],
        region,
    )
    return (
        f"<p>Restore from the record:<br>{html.code(restore_command)}</p>"
        "<p>Close the incident. Its changes stay and are no longer monitored:"
        f"<br>{html.code(close_command)}</p>"
    )


def _evidence_section(evidence: dict[str, EvidenceEntry]) -> str:
    """Lists what was collected, how it ended, and every object with its hash."""
    items, objects = [], []
    for name, entry in sorted(evidence.items()):
        if "outcome" not in entry:
            continue
        result = html.outcome(entry["outcome"], good=entry["outcome"] not in _INCOMPLETE)
        at = html.text(entry.get("at"))
        items.append([html.text(name), result, html.text(entry["detail"]), at])
        for stored in entry.get("objects") or []:
            objects.append(
                [
                    html.code(stored["key"]),
                    html.text(stored.get("what") or name),
                    html.text(stored.get("bytes", "")),
                    html.code(stored.get("sha256")),
                ]
            )
    return (
        f"<h3>Evidence</h3>{html.table(['Item', 'Outcome', 'Detail', 'When (UTC)'], items)}"
        "<h3>Objects in the evidence bucket</h3>"
        f"{html.table(['Key', 'What', 'Bytes', 'SHA-256'], objects)}"
    )


def _action_rows(target: TargetRecord) -> list[list[str]]:
    """Returns the action log, oldest entry first."""
    rows = []
    for name, entry in sorted(target["actions"].items(), key=lambda pair: pair[1]["at"]):
        rows.append(
            [
                html.text(name),
                html.outcome(entry["status"], good=entry["status"] != "FAILED"),
                html.text(entry["detail"]),
                html.text(entry["at"]),
                html.code(entry.get("request_id")),
            ]
        )
    return rows


def _target_section(target: TargetRecord, incident_id: str) -> str:
    others = summary.other_incidents(target, incident_id)
    shared = f"<p>Its containment is for {html.text(', '.join(others))} too.</p>" if others else ""
    checks = [
        [
            html.outcome(summary.check_result(check), good=check["ok"]),
            html.text(check["name"]),
            html.text(check["detail"]),
        ]
        for check in target["checks"]
    ]
    before = html.flatten("", target["before"]) if target["before"] else []
    loss = summary.containment_loss(target["breach"]) if target.get("breach") else []
    loss_paragraphs = "".join(f"<p class=bad>{html.text(sentence)}</p>" for sentence in loss)
    restored = target.get("restored") or {}
    lists = ""
    if restored.get("restored"):
        lists += f"<h3>Restored</h3>{html.bullets(restored['restored'])}"
    if restored.get("not_restored"):
        lists += f"<h3>Not restored</h3>{html.bullets(restored['not_restored'])}"
    return (
        f"<h2>{html.text(target['kind'])} {html.code(target['arn'])} "
        f"{html.badge(target['status'])}</h2>"
        f"<p>{html.text(target.get('verdict'))}</p>{shared}{loss_paragraphs}{lists}"
        f"<h3>Verification</h3>{html.table(['Result', 'Check', 'Seen'], checks)}"
        f"<h3>Actions</h3>{html.table(_ACTION_COLUMNS, _action_rows(target))}"
        f"<h3>State before containment</h3>{html.table(['Setting', 'Value'], before)}"
        f"{_evidence_section(target['evidence'])}"
    )


def _messages_section(messages: Sequence[MessageRecord]) -> str:
    """Lists what people were told, and whether anybody could get it."""
    rows = [
        [
            html.text(message["written_at"]),
            html.text(message["topic"]),
            html.text(message["subject"]),
            html.text(_delivery(message)),
        ]
        for message in sorted(messages, key=lambda message: message["written_at"])
    ]
    columns = ["Written (UTC)", "Topic", "Message", "Sent (UTC)"]
    return f"<h2>Messages</h2>{html.table(columns, rows)}"


def _delivery(message: MessageRecord) -> str:
    if not message.get("sent_at"):
        return f"waits {message.get('error', '')}".strip()
    way = f" in digest {message['digest']}" if message.get("digest") else ""
    nobody = ", published to nobody: no confirmed subscription" if message.get("nobody") else ""
    unknown = message.get("subscribers") == Subscribers.UNKNOWN
    doubt = ", taken by Amazon SNS: whether anybody is subscribed was not known" if unknown else ""
    return f"{message['sent_at']}{way}{nobody}{doubt}"


def render(
    meta: IncidentRecord,
    targets: list[TargetRecord],
    events: list[TimelineEvent],
    restore: bool = False,
    messages: Sequence[MessageRecord] = (),
    links: Links = _NO_LINKS,
) -> str:
    """Returns the page. ``restore``: whether there is a restore function.

    Every value from the record is escaped: attackers influence the text of findings.
    """
    all_tasks = [*summary.open_tasks(meta, targets), *links.tasks()]
    tasks = html.bullets(all_tasks) or "<p>None.</p>"
    observations = html.bullets(summary.observations(targets))
    if observations:
        observations = f"<h2>Also observed</h2>{observations}"
    searches = "".join(
        f"<p>Search: <a href='{html.text(url)}'>{html.text(url)}</a></p>"
        for url in search_links(meta, targets)
    )
    event_rows = [
        [
            html.text(event["at"]),
            html.text(event["event"]),
            html.text(event.get("target")),
            html.text(event.get("detail")),
        ]
        for event in events
    ]
    incident_id, status = html.text(meta["incident_id"]), html.text(meta["status"])
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{incident_id} {status}</title><style>{html.STYLE}</style>"
        f"<h1>{incident_id} {html.badge(meta['status'])}</h1>"
        f"{_finding_section(meta)}"
        f"<h2>Open tasks</h2>{tasks}"
        f"{searches}{observations}"
        f"<h2>Undo</h2>{_undo_section(meta, restore)}"
        f"{linked_texts.section(meta, links, can_restore)}"
        f"{''.join(_target_section(target, meta['incident_id']) for target in targets)}"
        f"{_messages_section(messages)}"
        f"<h2>Timeline</h2>{html.timeline(events)}"
        f"{html.table(['When (UTC)', 'Event', 'Resource', 'Detail'], event_rows)}"
        f"<footer>Written {html.text(now())} from the incident record. record.json beside this page"
        " has the same as data.</footer>"
    )


def write(record: IncidentRepository, incident_id: str, put: PutEvidence) -> str:
    """Stores report.html and record.json as evidence; returns the report's key in the bucket."""
    meta, targets, events, _, messages = record.read_whole(incident_id, timeline=True)
    reading = Reading(record, meta)  # while the record is stored
    meta.pop("task_token", None)  # whoever has it can approve
    document = json.dumps(
        {"incident": meta, "targets": targets, "timeline": events, "messages": messages},
        sort_keys=True,
        indent=1,
    )
    put(incident_id, "record.json", document.encode())
    options = configuration.load().playbooks.get(meta.get("playbook") or "", {})
    page = render(
        meta,
        targets,
        events,
        bool(options.get("restore")),
        messages,
        reading.links,
    )
    return put(incident_id, "report.html", page.encode())["key"]


def write_parent(record: IncidentRepository, meta: IncidentRecord, put: PutEvidence) -> None:
    """Writes the report of an incident's parent anew, if it has one: it says what children have
    come to. What fails is in the incident's timeline.
    """
    parent = meta.get("parent")
    if not parent:
        return
    try:
        if record.meta(parent).get("report_key"):
            write(record, parent, put)
    except Exception as error:
        detail = f"of parent {parent}: {type(error).__name__}: {error}"
        record.event(meta["incident_id"], "report failed", detail)
