"""What CloudTrail has of the window: calls on the instance, and calls made with the instance's own credentials.

An instance's role session is named after the instance, so its own calls are those of user name ``i-…``. LookupEvents
takes two calls a second per account and Region and answers management events of 90 days (AWS CloudTrail API Reference).
"""

from __future__ import annotations

import json
import time
from copy import deepcopy
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response import aws
from guardduty_response.finding import get
from guardduty_response.playbooks.common import logs
from guardduty_response.playbooks.common.logs import Budget, Window
from guardduty_response.playbooks.common.part import Json, Outcome, Part
from guardduty_response.playbooks.common.trails import read_trail, trails
from guardduty_response.playbooks.common.work import allow, why
from guardduty_response.playbooks.ec2_instance.core import Work

NAME = "api_calls"
PAUSE_SECONDS = 0.55  # between LookupEvents calls: others of the account need their share
MOST_PAGES, PAGES_A_CALL = 200, 40  # of 50 events each, per question
MOST_ROWS = 80  # of the summary
MOST_RECENT = 300  # events whose ids are remembered
LAG_SECONDS = 15 * 60  # until CloudTrail has delivered an event


def run(work: Work, before: Json) -> Part:
    """State: {window, questions: [{key, value, token, pages, found, done}], trails, rows, files, round, late}."""
    if not work.options.get("copy_logs", True):
        return Part(Outcome.SKIPPED, "switched off (copy_logs)")
    state: Json = deepcopy(before.get("state") or {})
    window = Window.of(work, state)
    state.setdefault("questions", _questions(work))
    state.setdefault("rows", {})
    objects: list[Json] = list(before.get("objects") or [])
    until = time.monotonic() + logs.CALL_SECONDS
    if not _answered(state["questions"]):
        objects += _look_up(work, state, window, until)
    if _answered(state["questions"]) and "trails" not in state:
        state["trails"] = trails(work)
    for trail in [one for one in state.get("trails", []) if not one.get("done")]:
        if time.monotonic() < until:
            objects += read_trail(work, trail, _narrow(window, state), [one["value"] for one in state["questions"]])
    if not _answered(state["questions"]) or not _answered(state["trails"]):
        return Part(Outcome.RUNNING, _text(state, window), 1, objects, state=state)
    return _late(work, state, window, objects) or _end(work, state, window, objects)


def _answered(questions: list[Json]) -> bool:
    return all(one.get("done") for one in questions)


def _narrow(window: Window, state: Json) -> Window:
    return Window(window.end - LAG_SECONDS, int(state["round"])) if state.get("round") else window


def _questions(work: Work) -> list[Json]:
    keys = {str(get(work.ctx.finding.detail, "resource", "accessKeyDetails", "accessKeyId") or "")} - {""}
    asked = [("ResourceName", work.id), ("Username", work.id), *(("AccessKeyId", key) for key in sorted(keys))]
    return [{"key": key, "value": value, "token": "", "pages": 0, "found": 0} for key, value in asked]


# -- LookupEvents -----------------------------------------------------------------------------------------------------


def _look_up(work: Work, state: Json, window: Window, until: float) -> list[Json]:
    """One call's share of the questions; returns what was stored."""
    client = work.open(allow(("cloudtrail:LookupEvents",))).client("cloudtrail")
    seen = set(state.setdefault("recent", []))
    lines: list[str] = []
    paced = _Paced(client)
    take = partial(_take, seen, lines, state, window.end - LAG_SECONDS)
    for question in [one for one in state["questions"] if not one.get("done")]:
        budget = Budget(until, min(MOST_PAGES, question["pages"] + PAGES_A_CALL), question["pages"])
        try:
            _pages(paced, question, _narrow(window, state), budget, take)
        except ClientError as error:
            if aws.transient(error) and lines:
                break  # what there is is kept; the next call goes on from its token
            if aws.transient(error):
                raise
            question |= {"done": True, "note": f"cannot be looked up ({why(error)})"}
        finally:
            question["pages"] = budget.pages
        if budget.pages >= MOST_PAGES and not question.get("done"):
            question |= {"done": True, "cut": f"cut off after {MOST_PAGES} pages, older calls were left"}
    if not lines:
        return []
    state["files"] = state.get("files", 0) + 1
    name = f"{work.id}/api-calls/lookup-{state['files']:03}.jsonl.gz"
    stored = work.ctx.put_evidence(name, logs.packed(lines))
    return [{**stored, "what": f"CloudTrail events on or by {work.id}, {_narrow(window, state)}"}]


class _Paced:
    """LookupEvents no faster than PAUSE_SECONDS allows."""

    def __init__(self, client: Any) -> None:
        self.client, self.last = client, 0.0

    def lookup_events(self, **request: Any) -> Json:
        time.sleep(max(0.0, self.last + PAUSE_SECONDS - time.monotonic()))
        self.last = time.monotonic()
        got: Json = self.client.lookup_events(**request)
        return got


def _pages(client: _Paced, question: Json, window: Window, budget: Budget, take: Any) -> None:
    request: Json = {
        "LookupAttributes": [{"AttributeKey": question["key"], "AttributeValue": question["value"]}],
        "StartTime": window.start, "EndTime": min(window.end, question.get("until", window.end)), "MaxResults": 50,
    }  # fmt: skip
    while budget.more():
        if question["token"]:
            request["NextToken"] = question["token"]
        try:
            got = client.lookup_events(**request)
        except ClientError as error:
            if aws.code(error) != "InvalidNextTokenException" or "oldest" not in question:
                raise
            # The token did not outlive the wait: newest come first, so the rest is what is older than the oldest seen.
            question |= {"token": "", "until": question["oldest"]}
            request.pop("NextToken", None)
            request["EndTime"] = question["oldest"]
            continue
        budget.pages += 1
        for event in got["Events"]:
            question["found"] += take(event)
            question["oldest"] = int(event["EventTime"].timestamp())
        question["token"] = str(got.get("NextToken") or "")
        if not question["token"]:
            question["done"] = True
            return


def _take(seen: set[str], lines: list[str], state: Json, recent: int, event: Json) -> int:
    """1 for an event not met before. Those newer than ``recent`` are remembered over calls, for the second round."""
    id = str(event["EventId"])[:13]
    if id in seen:
        return 0
    seen.add(id)
    if event["EventTime"].timestamp() >= recent and len(state["recent"]) < MOST_RECENT:
        state["recent"].append(id)
    record = json.loads(event["CloudTrailEvent"])
    lines.append(logs.jsonl(record))
    summarize(state["rows"], record)
    return 1


def summarize(rows: Json, record: Json) -> None:
    """Counts one event: ``rows`` is {"who | from | what": [count, first, last, {error: count}]}, at most MOST_ROWS."""
    who = get(record, "userIdentity", "arn") or get(record, "userIdentity", "invokedBy") or get(record, "userIdentity", "type")
    service = str(record.get("eventSource", "")).removesuffix(".amazonaws.com")
    key = f"{str(who)[:200]} | {str(record.get('sourceIPAddress'))[:64]} | {service}:{record.get('eventName')}"
    if key not in rows and len(rows) >= MOST_ROWS:
        key = "others"
    at = str(record.get("eventTime", ""))
    count, first, last, errors = rows.get(key) or [0, at, at, {}]
    if record.get("errorCode"):
        code = str(record["errorCode"])[:60]
        errors = {**errors, code: errors.get(code, 0) + 1} if code in errors or len(errors) < 8 else errors
    rows[key] = [count + 1, min(first, at), max(last, at), errors]


# -- the end ----------------------------------------------------------------------------------------------------------


def _late(work: Work, state: Json, window: Window, objects: list[Json]) -> Part | None:
    """One more round for events CloudTrail had not delivered yet, only as long as other evidence is being collected."""
    wait = logs.late(work, NAME, state, window.end + LAG_SECONDS)
    if wait is None:
        return None
    if wait:
        return Part(Outcome.RUNNING, f"{_text(state, window)}; asked once more for late events", wait, objects, state=state)
    for one in state["questions"]:
        if not one.get("note"):
            one |= {"done": False, "token": "", "pages": 0, "until": state["round"]}
            one.pop("oldest", None)
    return Part(Outcome.RUNNING, f"{_text(state, window)}; asking for late events", 1, objects, state=state)


def _text(state: Json, window: Window) -> str:
    said = []
    for one in state["questions"]:
        found = f"{one['found']} events of {one['key']} {one['value']}"
        said.append(
            f"{one['key']} {one['value']} {one['note']}"
            if one.get("note")
            else f"{found} ({one['cut']})"
            if one.get("cut")
            else found
        )
    said += [f"trail {one['name']}: {one['note']}" for one in state.get("trails", []) if one.get("note")]
    until = logs.iso(state.get("round") or window.end)
    return f"{'; '.join(said)}. From {logs.iso(window.start)} to {until}; CloudTrail delivers up to 15 minutes late"


def _end(work: Work, state: Json, window: Window, objects: list[Json]) -> Part:
    rows = [
        {"who": who, "from": source, "what": what, "count": row[0], "first": row[1], "last": row[2], "errors": row[3]}
        for key, row in sorted(state["rows"].items(), key=lambda item: -item[1][0])
        for who, source, what in [[*key.split(" | "), "", ""][:3]]
    ]
    document = {"instance_id": work.id, "window": str(window), "read_until": logs.iso(state.get("round") or window.end),
                "questions": state["questions"], "trails": state["trails"], "calls": rows}  # fmt: skip
    stored = work.ctx.put_evidence(f"{work.id}/api-calls/summary.json", json.dumps(document, indent=1, default=str).encode())
    objects = [*objects, {**stored, "what": "who called what from where, first and last, with errors"}]
    state["rows"], state["recent"] = {}, []  # written out: the record keeps the short version
    text, region = _text(state, window), work.target.region
    left = [one for one in state["questions"] if one.get("note") or one.get("cut")]
    tasks = [
        f"aws cloudtrail lookup-events --lookup-attributes AttributeKey={one['key']},AttributeValue={one['value']} "
        f"--start-time {logs.iso(window.start)} --end-time {logs.iso(one.get('oldest') or window.end)} --region {region}"
        for one in left
    ] + [one["task"] for one in state["trails"] if one.get("task")]
    outcome = Outcome.COMPLETE if not tasks else Outcome.PARTIAL
    if all(one.get("note") for one in state["questions"]):
        outcome = Outcome.FAILED
    task = f"read the rest of the API calls of {work.id}: {'; '.join(tasks)}" if tasks else ""
    return Part(outcome, text, 0, objects, task, state)
