"""Writes digests: many messages as a few lines for each incident, in as few messages as SNS takes.

A digest has the attributes of all messages in it, so that a subscription with a filter policy gets
it if it would have got any of them (Amazon SNS: an attribute of type String.Array matches by any of
its elements).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence

from guardduty_response.decision import finding
from guardduty_response.incident.model import MessageAttributes, MessageRecord
from guardduty_response.incident.outbox.history import MINOR_LOSS, History
from guardduty_response.incident.outbox.sender import Text
from guardduty_response.incident.statuses import ESCALATE, IN_PROGRESS, WATCHED, Status

# SNS refuses more than 256 KiB, attributes included (Amazon SNS API reference, Publish).
MESSAGE_BYTES = 200_000
# Events that ask something of people, beside the statuses that are escalated.
_TASKS = frozenset({"approval", "problem"})
_PERSON_NEEDED, _INFORMATION = "A person is needed", "For your information"
_SAMPLES = "Samples, of which nobody has to act at once"
Incident = list[MessageRecord]


def compose(records: Sequence[MessageRecord]) -> list[tuple[list[MessageRecord], Text]]:
    """Returns digests of the messages, and which messages each has in it, oldest first.

    Incidents that ask something of people come first.
    """
    incidents: dict[str, Incident] = {}
    for record in sorted(records, key=lambda record: record["written_at"]):
        incidents.setdefault(record["incident_id"], []).append(record)
    ordered = sorted(incidents.values(), key=lambda incident: _title(incident) != _PERSON_NEEDED)
    digests: list[tuple[list[MessageRecord], Text]] = []
    while ordered:
        taken = _fitting(ordered)
        inside = [record for incident in ordered[:taken] for record in incident]
        digests.append((inside, Text(_subject(inside), _body(ordered[:taken]))))
        ordered = ordered[taken:]
    return digests


def _title(incident: Incident) -> str:
    """Returns under what an incident is listed. A sample asks nothing of people."""
    if any(map(is_sample, incident)):
        return _SAMPLES
    asks = any(record["event"] in ESCALATE | _TASKS for record in incident)
    return _PERSON_NEEDED if asks else _INFORMATION


def _fitting(incidents: list[Incident]) -> int:
    """Returns how many of the incidents fit into a message; at least the first."""
    room = MESSAGE_BYTES - 2_000  # what stands above the lists
    attributes: set[str] = set()
    for number, incident in enumerate(incidents):
        room -= len("\n".join(_lines(incident)).encode()) + 1
        for value in _values(incident) - attributes:
            attributes.add(value)
            room -= len(json.dumps(value)) + 2  # ", " behind it
        if room < 0:
            return max(1, number)
    return len(incidents)


def _values(incident: Incident) -> set[str]:
    return {
        attribute["StringValue"]
        for record in incident
        for attribute in record["attributes"].values()
    }


def _subject(records: Sequence[MessageRecord]) -> str:
    incidents = len({record["incident_id"] for record in records})
    all_samples = all(map(is_sample, records))
    counts = Counter(
        f"sample {record['event']}" if is_sample(record) and not all_samples else record["event"]
        for record in records
    )
    urgent = sorted(counts, key=lambda event: (event not in ESCALATE | _TASKS, event))
    said = ", ".join(f"{counts[event]} {event}" for event in urgent)
    word = "SAMPLE DIGEST" if all_samples else "DIGEST"
    text = f"[{word}] {len(records)} messages about {incidents} incidents: {said}"
    return finding.text(text.encode("ascii", "replace").decode(), 100)


def is_sample(record: MessageRecord) -> bool:
    """Tells whether a message is about a sample finding."""
    return record["attributes"].get("sample", {}).get("StringValue") == "true"


def _body(incidents: list[Incident]) -> str:
    table, bucket = os.environ.get("GDR_TABLE"), os.environ.get("GDR_BUCKET")
    messages = sum(map(len, incidents))
    lines = [
        f"{messages} messages about {len(incidents)} incidents, because they were too many to send"
        " one by one, or could not be sent before. Each incident is named here.",
        "",
        f"Text      DynamoDB table {table}, key TEXT#<incident>",
        f"Record    DynamoDB table {table}, key INCIDENT#<incident>",
        f"Report    s3://{bucket}/incidents/<incident>/report.html, once the incident has ended",
    ]
    for title in (_PERSON_NEEDED, _INFORMATION, _SAMPLES):
        if listed := [incident for incident in incidents if _title(incident) == title]:
            lines += ["", title]
            lines += [line for incident in listed for line in _lines(incident)]
    return "\n".join(lines)


def _lines(incident: Incident) -> list[str]:
    last = incident[-1]
    events = ", ".join(record["event"] for record in incident)
    actors = Counter(name for record in incident for name in set(record.get("actors") or []))
    changed_by = ", ".join(f"{name} ({count} times)" for name, count in actors.most_common(3))
    return [
        f"  {last['incident_id']}  {events}; status {last['status']}",
        f"      {last['subject']}",
        *([f"      Changed by {changed_by}"] if changed_by else []),
    ]


def attributes_of(records: Sequence[MessageRecord]) -> MessageAttributes:
    """Returns the attributes of a digest: for each name, what any message in it has."""
    values: dict[str, set[str]] = {"event": {"digest"}}
    severities = [0.0]
    for record in records:
        for name, attribute in record["attributes"].items():
            if attribute["DataType"] == "Number":
                severities.append(float(attribute["StringValue"]))
            else:
                values.setdefault(name, set()).add(attribute["StringValue"])
    merged: MessageAttributes = {
        name: {"DataType": "String.Array", "StringValue": json.dumps(sorted(found))}
        for name, found in values.items()
    }
    merged["severity"] = {"DataType": "Number", "StringValue": f"{max(severities):g}"}
    return merged


# -- containment that is undone again and again ----------------------------------------------------


def compose_fight(
    records: Sequence[MessageRecord],
    history: History,
    hours: int,
    latest: str,
    is_now: bool = True,
) -> Text:
    """Returns a message for all that was held back about a containment that is lost repeatedly.

    ``history``: of the incident. ``latest``: the text of the latest of the messages. ``is_now``:
    False where the messages have the status of then, because that of now could not be read.
    """
    last = records[-1]
    status = last["status"]
    resource = last.get("resource", "")
    minor = last["event"] == MINOR_LOSS
    lost_as = MINOR_LOSS if minor else Status.CONTAINMENT_LOST
    losses = history.losses_since(hours, resource, lost_as)
    counted = Counter(name for loss in losses for name in set(loss.get("actors") or ["unknown"]))
    subject = f"[{lost_as.upper()}] {len(losses)} times in {hours} h,"
    subject += f" {'now' if is_now else 'last known'} {status}:"
    names = last["subject"].partition("] ")[2]
    state = f"Its incident is now {status}."
    if not is_now:
        state = f"What its incident is now could not be read; it was last known to be {status}."
    goes_on = not is_now or status in WATCHED | IN_PROGRESS
    lines = [
        f"{'A part of the containment' if minor else 'Containment'} of {resource} was"
        f" {'undone' if minor else 'lost'} {len(losses)} times in the last {hours} hours.",
        state,
        "Changed by:",
        *(f"  - {name} ({count} times)" for name, count in counted.most_common()),
        "Somebody, or a program, undoes the containment again and again. Stop that where it comes"
        " from."
        + (
            " The response goes on to contain; it reports further losses once an hour."
            if goes_on
            else " The response monitors it no more."
        ),
        f"{len(records)} messages are summed up here. The latest of them:",
        "",
        latest,
    ]
    text = f"{subject} {names}".encode("ascii", "replace").decode()
    body = "\n".join(lines).encode()[:MESSAGE_BYTES].decode(errors="ignore")
    return Text(finding.text(text, 100), body)
