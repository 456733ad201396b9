"""Collects what CloudTrail has of the time range: calls on the instance, and calls made with the
instance's own credentials.

An instance's role session is named after the instance, so its own calls are those of user name
``i-…``.
"""

from __future__ import annotations

import json
import time
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, TypedDict, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import log_reader, query
from guardduty_response.cloudtrail.query import LAG_SECONDS
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, TimeRange, iso
from guardduty_response.cloudtrail.trails import Trail, list_trails, read_trail
from guardduty_response.containment.target_context import allow
from guardduty_response.decision.finding import get
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

if TYPE_CHECKING:
    from guardduty_response.incident.model import EvidenceEntry, StoredObject

NAME = "api_calls"
MOST_RECENT = 300  # events whose ids are remembered


class ApiCallsState(TypedDict, total=False):
    """What the evidence item ``api_calls`` keeps between calls.

    ``questions``: the queries (query.new_query). ``rows``: the summary (query.summarize).
    ``recent``: ids of events that the second pass may find again. ``round``: when it began.
    ``runs``: how many later runs it went on for.
    """

    window: list[int]
    questions: list[query.LookupQuery]
    trails: list[Trail]
    rows: query.SummaryRows
    recent: list[str]
    files: int
    round: int
    late: bool
    runs: int


def begin_again(instance: InstanceContext, before: EvidenceEntry) -> ApiCallsState:
    """Returns the state with which a later run reads on from where reading ended.

    What was not read to its end is read from the beginning.
    """
    state = cast("ApiCallsState", deepcopy(before.get("state", {})))
    if "window" not in state:
        return {}
    start, end = state["window"]
    now, runs = int(time.time()), state.get("runs", 0) + 1
    queries, trails = state.get("questions", []), state.get("trails", [])
    read = "trails" in state and all(trail.get("done") for trail in trails)
    if not (read and query.is_complete(queries)):
        return {"window": [start, now], "files": state.get("files", 0), "runs": runs}
    asked = {lookup["value"] for lookup in queries}
    new = [lookup for lookup in _new_queries(instance) if lookup["value"] not in asked]
    _ask_again(queries, now)
    queries += [{**lookup, "since": start} for lookup in new]
    for trail in trails:
        if trail.get("cut") or not trail.get("task"):  # one that refused is not asked again
            trail |= {"done": trail["name"] == "(all)", "token": "", "pages": 0}
            trail |= {"period": 0, "after": "", "objects": 0, "bytes": 0}
    read_until = int(state.get("round") or end)
    return {**state, "window": [start, read_until], "round": now, "runs": runs}


def run(instance: InstanceContext, before: EvidenceEntry) -> EvidenceItem:
    """Does one call's share of the queries and trails; a second pass asks for late events."""
    if not instance.options.get("copy_logs", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (copy_logs)")
    state = cast("ApiCallsState", deepcopy(before.get("state", {})))
    window = TimeRange.of(instance, state)
    state.setdefault("questions", _new_queries(instance))
    state.setdefault("rows", {})
    objects: list[StoredObject] = list(before.get("objects") or [])
    until = time.monotonic() + CALL_SECONDS
    if not query.is_complete(state["questions"]):
        objects += _look_up(instance, state, window, until)
    if query.is_complete(state["questions"]) and "trails" not in state:
        state["trails"] = list_trails(instance)
    for trail in [trail for trail in state.get("trails", []) if not trail.get("done")]:
        if time.monotonic() < until:
            objects += read_trail(
                instance,
                trail,
                _narrow(window, state),
                [lookup["value"] for lookup in state["questions"]],
            )
    if not query.is_complete(state["questions"]) or not all(
        trail.get("done") for trail in state["trails"]
    ):
        return EvidenceItem(Outcome.RUNNING, _text(state, window), 1, objects, state=state)
    return _late(instance, state, window, objects) or _end(instance, state, window, objects)


def _narrow(window: TimeRange, state: ApiCallsState) -> TimeRange:
    return (
        TimeRange(window.end - LAG_SECONDS, int(state["round"])) if state.get("round") else window
    )


def _new_queries(instance: InstanceContext) -> list[query.LookupQuery]:
    keys = {
        str(
            get(instance.context.finding.detail, "resource", "accessKeyDetails", "accessKeyId")
            or ""
        )
    } - {""}
    asked = [
        ("ResourceName", instance.id),
        ("Username", instance.id),
        *(("AccessKeyId", key) for key in sorted(keys)),
    ]
    return [query.new_query(key, value) for key, value in asked]


# -- LookupEvents ----------------------------------------------------------------------------------


def _look_up(
    instance: InstanceContext, state: ApiCallsState, window: TimeRange, until: float
) -> list[StoredObject]:
    """One call's share of the questions; returns what was stored."""
    client = instance.open_session(allow(("cloudtrail:LookupEvents",))).client("cloudtrail")
    seen = set(state.setdefault("recent", []))
    lines: list[str] = []
    take = partial(_take, seen, lines, state, window.end - LAG_SECONDS)
    try:
        query.run(client, state["questions"], _narrow(window, state), until, take)
    except ClientError as error:
        if not (is_transient(error) and lines):
            raise
        # what there is is kept; the next call goes on from its token
    if not lines:
        return []
    state["files"] = state.get("files", 0) + 1
    name = f"{instance.id}/api-calls/lookup-{state['files']:03}.jsonl.gz"
    stored = instance.context.put_evidence(name, log_reader.gzip_lines(lines))
    return [
        {**stored, "what": f"CloudTrail events on or by {instance.id}, {_narrow(window, state)}"}
    ]


def _take(
    seen: set[str], lines: list[str], state: ApiCallsState, recent: int, event: query.LookupEvent
) -> int:
    """1 for an event not met before. Those newer than ``recent`` are remembered over calls, for
    the second round.
    """
    id = str(event["EventId"])[:13]
    if id in seen:
        return 0
    seen.add(id)
    if event["EventTime"].timestamp() >= recent and len(state["recent"]) < MOST_RECENT:
        state["recent"].append(id)
    record = json.loads(event["CloudTrailEvent"])
    lines.append(log_reader.jsonl(record))
    query.summarize(state["rows"], record)
    return 1


# -- the end ---------------------------------------------------------------------------------------


def _late(
    instance: InstanceContext, state: ApiCallsState, window: TimeRange, objects: list[StoredObject]
) -> EvidenceItem | None:
    """One more round for events CloudTrail had not delivered yet, only as long as other evidence
    is being collected.
    """
    wait = log_reader.wait_for_late_events(instance, NAME, state, window.end + LAG_SECONDS)
    if wait is None:
        return None
    if wait:
        return EvidenceItem(
            Outcome.RUNNING,
            f"{_text(state, window)}; asked once more for late events",
            wait,
            objects,
            state=state,
        )
    _ask_again(state["questions"], state["round"])
    return EvidenceItem(
        Outcome.RUNNING, f"{_text(state, window)}; asking for late events", 1, objects, state=state
    )


def _ask_again(queries: list[query.LookupQuery], until: int) -> None:
    for lookup in queries:
        if not lookup.get("note"):
            lookup |= {"done": False, "token": "", "pages": 0, "until": until}
            lookup.pop("oldest", None)
            lookup.pop("since", None)


def _text(state: ApiCallsState, window: TimeRange) -> str:
    texts = [_query_text(lookup) for lookup in state["questions"]]
    for trail in state.get("trails", []):
        if trail.get("note"):
            texts.append(f"trail {trail['name']}: {trail['note']}")
    until = iso(state.get("round") or window.end)
    return (
        f"{'; '.join(texts)}. From {iso(window.start)} to {until}; CloudTrail delivers up to 15"
        " minutes late"
    )


def _query_text(lookup: query.LookupQuery) -> str:
    if lookup.get("note"):
        return f"{lookup['key']} {lookup['value']} {lookup['note']}"
    found = f"{lookup['found']} events of {lookup['key']} {lookup['value']}"
    return f"{found} ({lookup['cut']})" if lookup.get("cut") else found


def _end(
    instance: InstanceContext, state: ApiCallsState, window: TimeRange, objects: list[StoredObject]
) -> EvidenceItem:
    document = {
        "instance_id": instance.id,
        "window": str(window),
        "read_until": iso(state.get("round") or window.end),
        "questions": state["questions"],
        "trails": state["trails"],
        "calls": query.calls(state["rows"]),
    }
    number = f"-{state['runs'] + 1}" if state.get("runs") else ""
    stored = instance.context.put_evidence(
        f"{instance.id}/api-calls/summary{number}.json",
        json.dumps(document, indent=1, default=str).encode(),
    )
    objects = [
        *objects,
        {**stored, "what": "who called what from where, first and last, with errors"},
    ]
    state["rows"] = {}  # written out: the record keeps the short version
    text, region = _text(state, window), instance.target.region
    left = [lookup for lookup in state["questions"] if lookup.get("note") or lookup.get("cut")]
    tasks = [query.command(lookup, window, region) for lookup in left] + [
        trail["task"] for trail in state["trails"] if trail.get("task")
    ]
    outcome = Outcome.COMPLETE if not tasks else Outcome.PARTIAL
    if all(lookup.get("note") for lookup in state["questions"]):
        outcome = Outcome.FAILED
    task = f"read the rest of the API calls of {instance.id}: {'; '.join(tasks)}" if tasks else ""
    return EvidenceItem(outcome, text, 0, objects, task, state)
