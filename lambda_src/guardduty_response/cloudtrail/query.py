"""CloudTrail's LookupEvents: paced, page by page, over as many function calls as it takes, and
counted into a summary.

LookupEvents takes two calls a second per account and Region and answers management events of 90
days, newest first (AWS CloudTrail API Reference).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail.time_range import Budget, TimeRange, iso
from guardduty_response.containment.target_context import describe_error
from guardduty_response.decision.finding import get
from guardduty_response.evidence.items import Json

PAUSE_SECONDS = 0.55  # between LookupEvents calls: others of the account need their share
MOST_PAGES, PAGES_A_CALL = 200, 40  # of 50 events each, per question
MOST_ROWS = 80  # of the summary
LAG_SECONDS = 15 * 60  # until CloudTrail has delivered an event

Take = Callable[[Json], int]  # an event of LookupEvents: 1 when it is a new one


def new_query(key: str, value: str) -> Json:
    """``since``, ``until``: set where it is asked for less or more than the window."""
    return {"key": key, "value": value, "token": "", "pages": 0, "found": 0}


def is_complete(questions: list[Json]) -> bool:
    return all(query.get("done") for query in questions)


def run(client: Any, questions: list[Json], window: TimeRange, until: float, take: Take) -> None:
    """One function call's share of the questions, which keep how far they are. ``until``: of
    ``time.monotonic``.

    A question that is refused says so (``note``), one with too many pages too (``cut``). Raises
    what is transient.
    """
    paced = _Paced(client)
    for query in [query for query in questions if not query.get("done")]:
        budget = Budget(until, min(MOST_PAGES, query["pages"] + PAGES_A_CALL), query["pages"])
        try:
            _pages(paced, query, window, budget, take)
        except ClientError as error:
            if is_transient(error):
                raise
            query |= {"done": True, "note": f"cannot be looked up ({describe_error(error)})"}
        finally:
            query["pages"] = budget.pages
        if budget.pages >= MOST_PAGES and not query.get("done"):
            query |= {
                "done": True,
                "cut": f"cut off after {MOST_PAGES} pages, older calls were left",
            }


class _Paced:
    """LookupEvents no faster than PAUSE_SECONDS allows."""

    def __init__(self, client: Any) -> None:
        self.client, self.last = client, 0.0

    def lookup_events(self, **request: Any) -> Json:
        time.sleep(max(0.0, self.last + PAUSE_SECONDS - time.monotonic()))
        self.last = time.monotonic()
        got: Json = self.client.lookup_events(**request)
        return got


def _pages(client: _Paced, query: Json, window: TimeRange, budget: Budget, take: Take) -> None:
    request: Json = {
        "LookupAttributes": [{"AttributeKey": query["key"], "AttributeValue": query["value"]}],
        "StartTime": query.get("since", window.start),
        "EndTime": min(window.end, query.get("until", window.end)),
        "MaxResults": 50,
    }
    while budget.more():
        if query["token"]:
            request["NextToken"] = query["token"]
        try:
            got = client.lookup_events(**request)
        except ClientError as error:
            if error_code(error) != "InvalidNextTokenException" or "oldest" not in query:
                raise
            # The token did not outlive the wait: newest come first, so the rest is what is older
            # than the oldest seen.
            query |= {"token": "", "until": query["oldest"]}
            request.pop("NextToken", None)
            request["EndTime"] = query["oldest"]
            continue
        budget.pages += 1
        for event in got["Events"]:
            query["found"] += take(event)
            query["oldest"] = int(event["EventTime"].timestamp())
        query["token"] = str(got.get("NextToken") or "")
        if not query["token"]:
            query["done"] = True
            return


def summarize(rows: Json, record: Json) -> None:
    """Counts one event: ``rows`` is {"who | from | what": [count, first, last, {error: count}]},
    at most MOST_ROWS.
    """
    who = (
        get(record, "userIdentity", "arn")
        or get(record, "userIdentity", "invokedBy")
        or get(record, "userIdentity", "type")
    )
    service = str(record.get("eventSource", "")).removesuffix(".amazonaws.com")
    key = (
        f"{str(who)[:200]} | {str(record.get('sourceIPAddress'))[:64]} |"
        f" {service}:{record.get('eventName')}"
    )
    if key not in rows and len(rows) >= MOST_ROWS:
        key = "others"
    at = str(record.get("eventTime", ""))
    count, first, last, errors = rows.get(key) or [0, at, at, {}]
    if record.get("errorCode"):
        code = str(record["errorCode"])[:60]
        errors = (
            {**errors, code: errors.get(code, 0) + 1}
            if code in errors or len(errors) < 8
            else errors
        )
    rows[key] = [count + 1, min(first, at), max(last, at), errors]


def calls(rows: Json) -> list[Json]:
    """The rows for people, most frequent first."""
    return [
        {
            "who": who,
            "from": source,
            "what": what,
            "count": row[0],
            "first": row[1],
            "last": row[2],
            "errors": row[3],
        }
        for key, row in sorted(rows.items(), key=lambda item: -item[1][0])
        for who, source, what in [[*key.split(" | "), "", ""][:3]]
    ]


def command(question: Json, window: TimeRange, region: str) -> str:
    """What reads by hand what a question has left. Whoever made the calls chose some of the
    names: quoted for the shell.
    """
    asked = shlex.quote(f"AttributeKey={question['key']},AttributeValue={question['value']}")
    start, end = iso(question.get("since", window.start)), iso(question.get("oldest") or window.end)
    return (
        f"aws cloudtrail lookup-events --lookup-attributes {asked} --start-time {start} --end-time"
        f" {end} --region {region}"
    )
