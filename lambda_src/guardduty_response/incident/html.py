"""Builds the HTML pieces of the incident report. Every text is escaped: attackers choose some."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardduty_response.incident.model import TimelineEvent

STYLE = """
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
# The timeline's drawing, in SVG units.
_MARGIN_X, _END_X, _LABEL_X, _ROW_HEIGHT = 20, 580, 600, 22


def text(value: object) -> str:
    """Returns ``value`` as escaped text; None gives nothing."""
    return escape("" if value is None else str(value))


def code(value: object) -> str:
    """Returns ``value`` as an escaped code element."""
    return f"<code>{text(value)}</code>"


def outcome(value: str, good: bool) -> str:
    """Returns a coloured word."""
    return f"<span class={'ok' if good else 'bad'}>{text(value)}</span>"


def badge(status: str) -> str:
    """Returns a status on its colour."""
    return f'<span class="badge {text(status)}">{text(status)}</span>'


def bullets(sentences: Iterable[str]) -> str:
    """Returns a list; nothing when there are no sentences."""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Returns a table. ``rows`` hold HTML: cells are made by the functions above."""
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th>{text(name)}</th>" for name in columns)
    body = ""
    for row in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in row)
        body += f"<tr>{cells}</tr>"
    return f"<div class=wrap><table><tr>{head}</tr>{body}</table></div>"


def flatten(prefix: str, value: object) -> list[list[str]]:
    """Returns nested values as rows of a table, their names joined by dots."""
    if isinstance(value, dict) and value:
        rows: list[list[str]] = []
        for name, member in sorted(value.items()):
            rows += flatten(f"{prefix}.{name}" if prefix else name, member)
        return rows
    shown = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return [[code(prefix), text(shown)]]


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


def timeline(events: list[TimelineEvent]) -> str:
    """Draws the timeline: a row for each event, its mark placed by the time since the first."""
    if len(events) < 2:
        return ""
    start, end = _seconds(events[0]["at"]), _seconds(events[-1]["at"])
    span = max(end - start, 0.001)
    rows = ""
    for index, event in enumerate(events):
        offset = _seconds(event["at"]) - start
        x = _MARGIN_X + (_END_X - _MARGIN_X) * offset / span
        y = 18 + index * _ROW_HEIGHT
        rows += (
            f'<line x1="{_MARGIN_X}" y1="{y}" x2="{_END_X}" y2="{y}" stroke="currentColor"'
            ' stroke-opacity=".12"/>'
            f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="#1769aa"/>'
            f'<text x="{_LABEL_X}" y="{y + 4}" font-size="12" fill="currentColor">'
            f"+{offset:.2f} s  {text(event['event'])}</text>"
        )
    height = _ROW_HEIGHT * len(events) + 14
    return (
        f'<svg viewBox="0 0 900 {height}" role="img" aria-label="Timeline of the incident">'
        f"{rows}</svg>"
    )
