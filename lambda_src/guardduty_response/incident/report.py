"""The incident report: one self-contained HTML page for whoever reviews the incident, and the
record as JSON beside it.
"""

from __future__ import annotations

import json
import os
from html import escape
from typing import Any

from guardduty_response.decision import configuration
from guardduty_response.evidence import store as evidence_store
from guardduty_response.incident.notifications import (
    ask_restore,
    noted,
    open_tasks,
    searches,
    seen,
    undone,
)
from guardduty_response.incident.repository import IncidentRepository, now
from guardduty_response.incident.statuses import TRANSITIONS, Event, Status

Json = dict[str, Any]

_SHORT = ("FAILED", "PARTIAL")  # outcomes of evidence that fall short of what was asked for
_ACTION_COLUMNS = ["Action", "Result", "Detail", "When (UTC)", "AWS request id"]
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--ok:#1a7f37;--bad:#c62828;--mid:#b26a00}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}code{font-size:.85em}
.badge{display:inline-block;padding:.15rem .6rem;border-radius:1rem;color:#fff;font-weight:600}
.badge{background:var(--mid)}
.CONTAINED,.RESTORED,.GONE{background:var(--ok)}.FAILED,.BREACHED,.PARTIAL{background:var(--bad)}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line)}
td,th{vertical-align:top;overflow-wrap:break-word}code{overflow-wrap:anywhere}th{font-weight:600}
.ok{color:var(--ok)}.bad{color:var(--bad);font-weight:600}
.wrap{overflow-x:auto}svg{width:100%;height:auto}footer{margin-top:3rem;font-size:.85em;opacity:.7}
"""


def _table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "<p>None.</p>"
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wrap><table><tr>{cells}</tr>{body}</table></div>"


def _flat(prefix: str, value: Any) -> list[list[str]]:
    """Before-state as rows: nested names joined by dots."""
    if isinstance(value, dict) and value:
        return [
            row
            for name, part in sorted(value.items())
            for row in _flat(f"{prefix}.{name}" if prefix else name, part)
        ]
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return [[f"<code>{escape(prefix)}</code>", escape(text)]]


def _seconds(iso: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


def _picture(timeline: list[Json]) -> str:
    """The timeline as a picture: one row an event, its mark placed by time since the first."""
    if len(timeline) < 2:
        return ""
    start, end = _seconds(timeline[0]["at"]), _seconds(timeline[-1]["at"])
    span, rows = max(end - start, 0.001), []
    for index, event in enumerate(timeline):
        offset = _seconds(event["at"]) - start
        x, y = 20 + 560 * offset / span, 18 + index * 22
        rows.append(
            f'<line x1="20" y1="{y}" x2="580" y2="{y}" stroke="currentColor"'
            f' stroke-opacity=".12"/><circle cx="{x:.1f}" cy="{y}" r="5" fill="#1769aa"/><text'
            f' x="600" y="{y + 4}" font-size="12" fill="currentColor">+{offset:.2f} s '
            f" {escape(event['event'])}</text>"
        )
    height = 22 * len(timeline) + 14
    return (
        f'<svg viewBox="0 0 900 {height}" role="img" aria-label="Timeline of the'
        f' incident">{"".join(rows)}</svg>'
    )


def _evidence(parts: Json) -> str:
    """What was collected and how it ended, and every object with its hash."""
    shown = {name: part for name, part in sorted(parts.items()) if "outcome" in part}
    rows = [
        [
            escape(name),
            (
                "<span"
                f" class={'bad' if part['outcome'] in _SHORT else 'ok'}"
                f">{escape(part['outcome'])}</span>"
            ),
            escape(part["detail"]),
            escape(part.get("at") or ""),
        ]
        for name, part in shown.items()
    ]
    objects = [
        [
            f"<code>{escape(one['key'])}</code>",
            escape(str(one.get("what") or name)),
            escape(str(one.get("bytes", ""))),
            f"<code>{escape(one.get('sha256') or '')}</code>",
        ]
        for name, part in shown.items()
        for one in part.get("objects") or []
    ]
    return (
        f"<h3>Evidence</h3>{_table(['Part', 'Outcome', 'What', 'When (UTC)'], rows)}<h3>Objects in"
        f" the evidence bucket</h3>{_table(['Key', 'What', 'Bytes', 'SHA-256'], objects)}"
    )


def _undo(meta: Json, restore: bool) -> str:
    """How a person undoes the containment or ends the watch, ready to paste."""
    if not (meta.get("playbook") and Event.RESTORED in TRANSITIONS[Status(meta["status"])]):
        return "<p>There is nothing to undo.</p>"
    if not restore:
        return (
            "<p>Restore is switched off (playbooks.*.restore): undo it by hand, from the state"
            " before, below.</p>"
        )
    prefix, asked = (
        str(os.environ.get("GDR_NAME_PREFIX")),
        {"incident_id": meta["incident_id"], "requested_by": "YOU"},
    )
    # the response's Region, which need not be the finding's
    home = str(meta.get("execution")).split(":")
    more_options = f" --region {home[3]}" if len(home) > 3 else ""
    lines = [
        (text, ask_restore(prefix, meta["playbook"], {**asked, **more}, more_options))
        for text, more in (
            ("Restore, from the record:", {}),
            ("Close; what was changed stays, and is watched no longer:", {"close": True}),
        )
    ]
    return "".join(
        f"<p>{escape(text)}<br><code>{escape(command)}</code></p>" for text, command in lines
    )


def _target(target: Json) -> str:
    actions = [
        [
            escape(name),
            (
                "<span"
                f" class={'bad' if a['status'] == 'FAILED' else 'ok'}>{escape(a['status'])}</span>"
            ),
            escape(a["detail"]),
            escape(a["at"]),
            f"<code>{escape(a.get('request_id') or '')}</code>",
        ]
        for name, a in sorted(target["actions"].items(), key=lambda pair: pair[1]["at"])
    ]
    checks = [
        [
            f"<span class={'ok' if c['ok'] else 'bad'}>{seen(c, target)}</span>",
            escape(c["name"]),
            escape(c["detail"]),
        ]
        for c in target["checks"]
    ]
    before = _flat("", target["before"]) if target["before"] else []
    restored = target.get("restored") or {}
    since = "".join(
        f"<p class=bad>{escape(text)}</p>"
        for text in (undone(target["breach"]) if target.get("breach") else [])
    )
    lists = "".join(
        f"<h3>{head}</h3><ul>{''.join(f'<li>{escape(text)}</li>' for text in restored[name])}</ul>"
        for head, name in (("Restored", "restored"), ("Not restored", "not_restored"))
        if restored.get(name)
    )
    return (
        f"<h2>{escape(target['kind'])} <code>{escape(target['arn'])}</code> "
        f'<span class="badge {escape(target["status"])}">{escape(target["status"])}</span></h2>'
        f"<p>{escape(target.get('verdict') or '')}</p>{since}{lists}"
        f"<h3>Read back</h3>{_table(['', 'Check', 'Seen'], checks)}"
        f"<h3>Actions</h3>{_table(_ACTION_COLUMNS, actions)}"
        f"<h3>Before anything changed</h3>{_table(['What', 'Value'], before)}"
        f"{_evidence(target['evidence'])}"
    )


def render(meta: Json, targets: list[Json], timeline: list[Json], restore: bool = False) -> str:
    """The page. ``restore``: whether there is a restore function.

    Every value from the record is escaped: finding text is attacker-influenced.
    """
    state = [
        [escape(name), escape(str(value))]
        for name, value in (
            (
                "Finding",
                (
                    f"{meta.get('finding_type')} (severity {meta.get('severity')}), id"
                    f" {meta.get('finding_id')}"
                ),
            ),
            ("Title", meta.get("title")),
            ("Account and Region", f"{meta.get('account_id')} {meta.get('region')}"),
            ("Mode and decision", f"{meta.get('mode')}, {meta.get('decision')}"),
            ("Why", "; ".join(meta.get("reasons") or [])),
            ("Opened", meta.get("opened_at")),
            ("Emissions", meta.get("emissions")),
            ("Execution", meta.get("execution")),
            ("Policy (SHA-256 of the configuration)", meta.get("config_sha256")),
            ("Finding as delivered", meta.get("finding_key")),
        )
    ]
    tasks = "".join(f"<li>{escape(task)}</li>" for task in open_tasks(meta, targets))
    also = "".join(f"<li>{escape(text)}</li>" for text in noted(targets))
    also = f"<h2>Seen too</h2><ul>{also}</ul>" if also else ""
    search = "".join(
        f"<p>Search: <a href='{escape(url)}'>{escape(url)}</a></p>"
        for url in searches(meta, targets)
    )
    events = [
        [
            escape(e["at"]),
            escape(e["event"]),
            escape(e.get("target", "")),
            escape(e.get("detail", "")),
        ]
        for e in timeline
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport"
        f" content='width=device-width'>"
        f"<title>{escape(meta['incident_id'])}"
        f" {escape(meta['status'])}</title><style>{_STYLE}</style>"
        f"<h1>{escape(meta['incident_id'])} "
        f'<span class="badge {escape(meta["status"])}">{escape(meta["status"])}</span></h1>'
        f"{_table(['', ''], state)}"
        f"<h2>Left for people to do</h2>{f'<ul>{tasks}</ul>' if tasks else '<p>Nothing.</p>'}"
        f"{search}{also}"
        f"<h2>Undo</h2>{_undo(meta, restore)}"
        f"{''.join(_target(target) for target in targets)}"
        f"<h2>Timeline</h2>{_picture(timeline)}"
        f"{_table(['When (UTC)', 'Event', 'Resource', 'Detail'], events)}"
        f"<footer>Written {escape(now())} from the incident record; record.json beside it holds the"
        " same as data.</footer>"
    )


def write(record: IncidentRepository, incident_id: str) -> str:
    """Stores report.html and record.json as evidence; returns the report's key."""
    meta, targets, timeline = record.read(incident_id)
    meta.pop("task_token", None)  # whoever holds it can approve
    document = json.dumps(
        {"incident": meta, "targets": targets, "timeline": timeline}, sort_keys=True, indent=1
    )
    evidence_store.put(incident_id, "record.json", document.encode())
    options = configuration.load().playbooks.get(meta.get("playbook") or "", {})
    page = render(meta, targets, timeline, bool(options.get("restore")))
    return str(evidence_store.put(incident_id, "report.html", page.encode())["key"])
