"""Writes what messages, reports and answers say of an incident's parent and children."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from guardduty_response.incident import commands, html
from guardduty_response.incident.incident_links import (
    ENDED_BY_PEOPLE,
    LinkedIncident,
    Links,
)
from guardduty_response.incident.statuses import IN_PROGRESS, Status

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord

# Tells whether a playbook has a restore function.
CanRestore = Callable[[str], bool]


def lines(links: Links) -> list[str]:
    """Returns a line of a message for the parent and for each child: name, status, resources."""
    found = []
    if links.parent:
        found.append(_line("Parent", links.parent))
    found += [_line("Child", child) for child in links.children]
    if links.more:
        found.append(f"          and {links.more} more children, which the record names")
    return found


def _line(label: str, linked: LinkedIncident) -> str:
    text = f"{label:<9} incident {linked.incident_id}, now {linked.state}"
    if linked.resources:
        text += f": {linked.resources}"
    if linked.report_key:
        text += f" (report s3://{os.environ.get('GDR_BUCKET')}/{linked.report_key})"
    return text


def warning(links: Links, own: str) -> str:
    """Says that children are not contained although the incident itself is better; else empty.

    ``own``: the incident's status.
    """
    worse = links.worse_than(Status(own)) if links.children else []
    if not worse:
        return ""
    named = "; ".join(f"child incident {child.name} is {child.state}" for child in worse[:3])
    if len(worse) > 3:
        named += f"; and {len(worse) - 3} more"
    yet = " yet" if all(child.weight in IN_PROGRESS for child in worse) else ""
    return f"NOT everything is contained{yet}: {named}."


def tag(links: Links, own: str) -> str:
    """Returns what the subject of a message adds to the status: ", with children FAILED"."""
    return f", with children {links.overall(Status(own))}" if warning(links, own) else ""


def left_sentences(meta: IncidentRecord, links: Links, can_restore: CanRestore) -> list[str]:
    """Says which children are left as they are by a restore or a closing of ``meta``.

    Each with the commands that change that.
    """
    if meta["status"] not in ENDED_BY_PEOPLE:
        return []
    return [
        " ".join([f"Child incident {child.name} is {child.state}, left as it is.", *offered])
        for child in links.children
        if (offered := _offered(child, can_restore)) or not child.is_contained
    ]


def _offered(linked: LinkedIncident, can_restore: CanRestore) -> list[str]:
    if linked.meta is None:
        return []
    can = can_restore(linked.meta.get("playbook") or "")
    return [f"{what}: {command}" for what, command in commands.of_incident(linked.meta, can)]


# -- the report ------------------------------------------------------------------------------------


def section(meta: IncidentRecord, links: Links, can_restore: CanRestore) -> str:
    """Returns the report's section about parent and children; nothing where there are none."""
    parents = [("Parent", links.parent)] if links.parent else []
    related = [*parents, *(("Child", child) for child in links.children)]
    if not related:
        return ""
    rows = [
        [
            html.text(label),
            html.code(linked.incident_id),
            html.badge(linked.state) if linked.status else html.text(linked.state),
            html.text(linked.resources),
            html.code(linked.report_key) if linked.report_key else html.text("not written yet"),
        ]
        for label, linked in related
    ]
    columns = ["", "Incident", "Status now", "Resources", "Report in the evidence bucket"]
    more = f"<p>And {links.more} more children.</p>" if links.more else ""
    worse = warning(links, meta["status"])
    return (
        f"<h2>Parent and children</h2>{f'<p class=bad>{html.text(worse)}</p>' if worse else ''}"
        f"{html.table(columns, rows)}{more}"
        f"{_commands(meta, links, can_restore)}"
    )


def _commands(meta: IncidentRecord, links: Links, can_restore: CanRestore) -> str:
    """Lists the commands for all of them: what was contained last is undone first."""
    own = LinkedIncident(meta["incident_id"], meta)
    parents = [links.parent] if links.parent else []
    rows = [
        [html.code(linked.incident_id), html.text(what), html.code(command)]
        for linked in [*reversed(links.children), own, *parents]
        if linked.meta
        for what, command in commands.of_incident(
            linked.meta, can_restore(linked.meta.get("playbook") or "")
        )
    ]
    if not rows:
        return ""
    return (
        "<p>No command acts on another incident than the one it names. In this order, what was"
        f" contained last is undone first:</p>{html.table(['Incident', '', 'Command'], rows)}"
    )
