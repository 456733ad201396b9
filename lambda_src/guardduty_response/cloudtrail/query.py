"""The one client of CloudTrail's LookupEvents: paced, page by page, until a deadline or over as
many function calls as it takes, and counted into a summary. It says what it left out.

LookupEvents takes two calls a second per account and Region and answers management events of 90
days, newest first (AWS CloudTrail API Reference).
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail.event import CloudTrailRecord
from guardduty_response.cloudtrail.time_range import Budget, TimeRange, iso
from guardduty_response.containment.target_context import AWS_ERRORS, describe_error
from guardduty_response.decision.finding import get

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient

    class LookupEvent(TypedDict):
        """Declares what is read of an event that LookupEvents answers."""

        EventId: str
        ReadOnly: NotRequired[str]
        EventTime: datetime
        CloudTrailEvent: str  # its record, as JSON


PAUSE_SECONDS = 0.55  # between LookupEvents calls: others of the account need their share
MOST_PAGES, PAGES_A_CALL = 200, 40  # of 50 events each, for each query
MOST_ROWS = 80  # of the summary
LAG_SECONDS = 15 * 60  # until CloudTrail has delivered an event


Take = Callable[["LookupEvent"], int]  # 1 when the event is a new one
# What summarize counts into: "who | from | what" -> [count, first, last, {error: count}].
SummaryRows = dict[str, list[Any]]
# A row of the summary for people. ``from`` is no Python name, so no class can say this.
CallRow = TypedDict(
    "CallRow",
    {
        "who": str,
        "from": str,
        "what": str,
        "count": int,
        "first": str,
        "last": str,
        "errors": dict[str, int],
    },
)


class LookupQuery(TypedDict, total=False):
    """A query by a lookup attribute, with how far it is. ``since``, ``until``: set where less or
    more than the time range is asked for; ``oldest``: the time of the oldest event seen; ``note``:
    why it was refused; ``cut``: why older calls are missing.
    """

    key: str
    value: str
    token: str
    pages: int
    found: int
    since: int
    until: int
    oldest: int
    done: bool
    note: str
    cut: str


class LookupPage(TypedDict):
    """A page that LookupEvents answers; NextToken is absent from the last."""

    Events: list[LookupEvent]
    NextToken: NotRequired[str]


def new_query(key: str, value: str) -> LookupQuery:
    """Returns a query by a lookup attribute that has not begun."""
    return {
        "key": key,
        "value": value,
        "token": "",
        "pages": 0,
        "found": 0,
    }


def is_complete(queries: list[LookupQuery]) -> bool:
    return all(query.get("done") for query in queries)


def run(
    client: AwsClient, queries: list[LookupQuery], window: TimeRange, until: float, take: Take
) -> None:
    """Does one function call's share of the queries. ``until``: of ``time.monotonic``.

    A query that is refused says so (``note``), and so does one with too many pages (``cut``).
    Raises what is transient.
    """
    paced = EventLookup(client)
    for query in queries:
        if query.get("done"):
            continue
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
            cut = f"cut off after {MOST_PAGES} pages, older calls were left"
            query |= {"done": True, "cut": cut}


class EventLookup:
    """LookupEvents in one account and Region, no faster than PAUSE_SECONDS allows."""

    def __init__(self, client: AwsClient) -> None:
        self.client, self.last = client, 0.0

    def page(self, key: str, value: str, start: int | datetime, **more: object) -> LookupPage:
        """Returns a page of events, newest first. ``more``: of the request."""
        time.sleep(max(0.0, self.last + PAUSE_SECONDS - time.monotonic()))
        self.last = time.monotonic()
        attributes = [{"AttributeKey": key, "AttributeValue": value}]
        got: LookupPage = self.client.lookup_events(
            LookupAttributes=attributes, StartTime=start, MaxResults=50, **more
        )
        return got


def records(
    client: AwsClient, attributes: Iterable[tuple[str, str]], start: datetime, seconds: int
) -> tuple[list[CloudTrailRecord], str]:
    """Returns CloudTrail's records since ``start`` of all (attribute, value), and why there may be
    more (empty: there are not).
    """
    found: list[CloudTrailRecord] = []

    def take(event: LookupEvent) -> int:
        found.append(json.loads(event["CloudTrailEvent"]))
        return 1

    queries = [new_query(key, value) for key, value in attributes]
    window = TimeRange(int(start.timestamp()), int(time.time()) + 60)
    until = time.monotonic() + seconds
    late = f"not answered to its end within {seconds} s"
    while not is_complete(queries) and time.monotonic() < until:
        try:
            run(client, queries, window, until, take)
        except AWS_ERRORS as error:  # what was found until then counts
            late = describe_error(error)
            break
    troubles = (
        query.get("note") or query.get("cut") or ("" if query.get("done") else late)
        for query in queries
    )
    return found, next(filter(None, troubles), "")


def _pages(
    client: EventLookup, query: LookupQuery, window: TimeRange, budget: Budget, take: Take
) -> None:
    while budget.more():
        more: dict[str, object] = {"EndTime": min(window.end, query.get("until", window.end))}
        if query["token"]:
            more["NextToken"] = query["token"]
        try:
            got = client.page(
                query["key"], query["value"], query.get("since", window.start), **more
            )
        except ClientError as error:
            if error_code(error) != "InvalidNextTokenException" or "oldest" not in query:
                raise
            # The token did not outlive the wait: newest come first, so the rest is what is older
            # than the oldest seen.
            query |= {"token": "", "until": query["oldest"]}
            continue
        budget.pages += 1
        for event in got["Events"]:
            query["found"] += take(event)
            query["oldest"] = int(event["EventTime"].timestamp())
        query["token"] = str(got.get("NextToken") or "")
        if not query["token"]:
            query["done"] = True
            return


def summarize(rows: SummaryRows, record: CloudTrailRecord) -> None:
    """Counts one event: ``rows`` is {"who | from | what": [count, first, last, {error: count}]},
    at most MOST_ROWS.
    """
    key = _row_key(record)
    if key not in rows and len(rows) >= MOST_ROWS:
        key = "others"
    at = str(record.get("eventTime", ""))
    count, first, last, errors = rows.get(key) or [0, at, at, {}]
    if record.get("errorCode"):
        code = str(record["errorCode"])[:60]
        if code in errors or len(errors) < 8:
            errors = {**errors, code: errors.get(code, 0) + 1}
    rows[key] = [count + 1, min(first, at), max(last, at), errors]


def _row_key(record: CloudTrailRecord) -> str:
    identity = record.get("userIdentity")
    who = get(identity, "arn") or get(identity, "invokedBy") or get(identity, "type")
    source = str(record.get("sourceIPAddress"))[:64]
    service = str(record.get("eventSource", "")).removesuffix(".amazonaws.com")
    return f"{str(who)[:200]} | {source} | {service}:{record.get('eventName')}"


def calls(rows: SummaryRows) -> list[CallRow]:
    """Returns the rows for people, most frequent first."""
    out: list[CallRow] = []
    for key, (count, first, last, errors) in sorted(rows.items(), key=lambda row: -row[1][0]):
        who, source, what = [*key.split(" | "), "", ""][:3]
        out.append(
            {
                "who": who,
                "from": source,
                "what": what,
                "count": count,
                "first": first,
                "last": last,
                "errors": errors,
            }
        )
    return out


def command(query: LookupQuery, window: TimeRange, region: str) -> str:
    """Returns the command that reads what a query has left."""
    start, end = iso(query.get("since", window.start)), iso(query.get("oldest") or window.end)
    times = f" --start-time {start} --end-time {end}"
    return lookup_command((query["key"], query["value"]), region, times)


def lookup_command(lookup: tuple[str, str], region: str, times: str = "") -> str:
    """Returns the command that looks up events by (attribute, value). Whoever made the calls chose
    some of the names: quoted for the shell.
    """
    key, value = lookup
    attribute = shlex.quote(f"AttributeKey={key},AttributeValue={value}")
    return f"aws cloudtrail lookup-events --lookup-attributes {attribute}{times} --region {region}"
