"""Collects the VPC flow log records of the instance's interfaces, wherever they are delivered."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import TYPE_CHECKING, cast

from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, TimeRange, iso
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.ec2_instance.evidence import flow_log_reader, flow_logs
from guardduty_response.playbooks.ec2_instance.evidence.flow_logs import (
    DEFAULT_INTERVAL,
    FlowLogSource,
    NetworkLogsState,
)
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry, StoredObject

NAME = "network_logs"
MAX_SECONDS = 24 * 3600  # of a window; of a longer one the newest part is read
DELIVERY_SECONDS = 300  # beside the aggregation interval: until a record is delivered


def begin_again(_instance: InstanceContext, before: EvidenceEntry) -> NetworkLogsState:
    """Returns the state with which a later run reads on from where reading ended.

    What was not read to its end is read from the beginning.
    """
    state = cast("NetworkLogsState", deepcopy(before.get("state", {})))
    if "window" not in state:
        return {}
    start, end = state["window"]
    now = int(time.time())
    if not state.get("sources") or not all(source.get("done") for source in state["sources"]):
        return {"window": [start, now]}
    read_until = int(state.get("round") or end)
    if end - start <= MAX_SECONDS:  # nothing older was left
        start = max(start, read_until - MAX_SECONDS)
    _read_again(state["sources"])
    return {**state, "window": [start, read_until], "round": now}


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Does one call's share of all flow logs; a second pass asks for late records."""
    if not instance.options.get("copy_logs", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (copy_logs)")
    state = cast("NetworkLogsState", deepcopy(before.get("state", {})))
    window = TimeRange.of(instance, state)
    if "sources" not in state:
        absent = flow_logs.discover(instance, state)
        if absent:
            return absent
    objects: list[StoredObject] = list(before.get("objects") or [])
    until = time.monotonic() + CALL_SECONDS
    for source in state["sources"]:
        if not source.get("done") and time.monotonic() < until:
            objects += flow_log_reader.read(instance, state, source, _window_read(window, state))
    if not all(source.get("done") for source in state["sources"]):
        return EvidenceItem(
            Outcome.RUNNING,
            _text(state, window),
            1,
            objects,
            state=state,
        )
    return _ask_for_late_records(instance, state, window, objects) or _end(
        instance, state, window, objects
    )


def _window_read(window: TimeRange, state: NetworkLogsState) -> TimeRange:
    """Returns the part of the window that this pass reads.

    The second pass: what was not delivered yet, and what has happened since.
    """
    if state.get("round"):
        return TimeRange(window.end - _lag(state), int(state["round"]))
    return TimeRange(max(window.start, window.end - MAX_SECONDS), window.end)


def _lag(state: NetworkLogsState) -> int:
    """Returns the seconds until the slowest flow log has delivered a record."""
    intervals = [int(source.get("interval", DEFAULT_INTERVAL)) for source in state["sources"]]
    return max(intervals, default=DEFAULT_INTERVAL) + DELIVERY_SECONDS


def _ask_for_late_records(
    instance: InstanceContext,
    state: NetworkLogsState,
    window: TimeRange,
    objects: list[StoredObject],
) -> EvidenceItem | None:
    """Makes a second pass for late records, only as long as other evidence is being collected."""
    readable = [source for source in state["sources"] if not source.get("note")]
    if not readable:
        return None
    due = window.end + _lag(state)
    wait = log_reader.wait_for_late_events(instance, NAME, state, due)
    if wait is None:
        return None
    text = _text(state, window)
    if wait:
        text = f"{text}; asked once more for late records"
        return EvidenceItem(
            Outcome.RUNNING,
            text,
            wait,
            objects,
            state=state,
        )
    _read_again(readable)
    text = f"{text}; asking for late records"
    return EvidenceItem(Outcome.RUNNING, text, 1, objects, state=state)


def _read_again(sources: list[FlowLogSource]) -> None:
    for source in sources:
        if not source.get("note"):
            source.update({"done": False, "stream": 0, "token": "", "pages": 0})
            source.update({"period": 0, "after": "", "objects": 0, "bytes": 0})


def _text(state: NetworkLogsState, window: TimeRange) -> str:
    sentences = [
        f"{source['id']} of {source['of']}: {_source_text(source)}" for source in state["sources"]
    ]
    until = iso(state.get("round") or window.end)
    start = max(window.start, window.end - MAX_SECONDS)
    return (
        f"{'. '.join(sentences)}. From {iso(start)} to {until}, without what AWS had not delivered"
        " by then"
    )


def _source_text(source: FlowLogSource) -> str:
    read = "as delivered" if source.get("parquet") else f"{source['records']} records"
    note = source.get("note", "")
    texts = [note or read, source.get("cut", ""), source["warn"].strip()]
    return "; ".join(filter(None, texts))


def _end(
    instance: InstanceContext,
    state: NetworkLogsState,
    window: TimeRange,
    objects: list[StoredObject],
) -> EvidenceItem:
    sources, text = state["sources"], _text(state, window)
    incomplete = [source for source in sources if source.get("note") or source.get("cut")]
    if window.end - window.start > MAX_SECONDS:
        text += f". The window began at {iso(window.start)}: older records were left where they are"
        incomplete = incomplete or sources
    commands = [_manual_command(instance, source, window) for source in incomplete]
    outcome = Outcome.PARTIAL if commands else Outcome.COMPLETE
    if all(source.get("note") for source in sources):
        outcome = Outcome.NOT_POSSIBLE
    task = ""
    if commands:
        interfaces = ", ".join(state["who"]["ids"])
        task = f"copy the flow log records of {interfaces}: {'; '.join(commands)}"
    return EvidenceItem(outcome, text, 0, objects, task, state)


def _manual_command(instance: InstanceContext, source: FlowLogSource, window: TimeRange) -> str:
    if source.get("kind") == "bucket":
        path = f"s3://{source['bucket']}/{source['prefix']}AWSLogs/"
        return f"aws s3 cp --recursive {path} . --exclude '*' --include '*{source['id']}*'"
    if source.get("kind") == "group":
        return (
            f"aws logs filter-log-events --log-group-name {source['arn'].split(':log-group:')[1]}"
            f" --log-stream-name-prefix ENI- --start-time {window.start * 1000} --end-time"
            f" {window.end * 1000} --region {instance.target.region}"
        )
    return f"{source['id']} is {source['note']}"
