"""The principal's calls by LookupEvents: the same queries in every Region, Regions side by side,
over many function calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import query
from guardduty_response.cloudtrail.query import LookupQuery
from guardduty_response.cloudtrail.time_range import TimeRange
from guardduty_response.containment.target_context import (
    TargetContext,
    allow,
    describe_error,
    run_all,
)
from guardduty_response.playbooks.iam_principal.evidence.event_collection import (
    MOST_EVENTS,
    EventCollection,
)
from guardduty_response.playbooks.iam_principal.evidence.records import Gap, RegionLookup

AT_ONCE = 24  # Regions
TRIES = 5  # how often a Region may be throttled without a page in between
RETENTION_SECONDS = 90 * 86400 - 600  # LookupEvents answers events of 90 days
Regions = dict[str, RegionLookup]
_POOL = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="region")


def begin(names: list[str], attributes: list[tuple[str, str]], since: int) -> Regions:
    """Return the look-up of every Region: one query for each (attribute, value)."""
    regions: Regions = {}
    for name in names:
        queries = [_query(attribute, value, since) for attribute, value in attributes]
        regions[name] = {"questions": queries, "tries": 0}
    return regions


def _query(attribute: str, value: str, since: int) -> LookupQuery:
    return {**query.new_query(attribute, value), "since": since}


def repeat(regions: Regions, since: int) -> None:
    """Begin the same queries again, for what is newer than ``since``.

    A query or a Region that was refused stays refused.
    """
    for region in regions.values():
        if region.get("note"):
            continue
        region["tries"] = 0
        region["questions"] = [
            lookup if lookup.get("note") else _query(lookup["key"], lookup["value"], since)
            for lookup in region["questions"]
        ]


def add_keys(regions: Regions, keys: list[str], since: int) -> None:
    """Add queries for keys that were met meanwhile, over the whole time range."""
    add(regions, [("AccessKeyId", key) for key in keys], since)


def add(regions: Regions, attributes: list[tuple[str, str]], since: int) -> None:
    """Add a query for each (attribute, value) whose value is not asked for yet."""
    for region in regions.values():
        if region.get("note"):
            continue
        known = {lookup["value"] for lookup in region["questions"]}
        region["questions"] += [
            _query(attribute, value, since) for attribute, value in attributes if value not in known
        ]


def is_complete(regions: Regions) -> bool:
    return not _open_regions(regions)


def _open_regions(regions: Regions) -> list[str]:
    return [
        name
        for name, region in regions.items()
        if not region.get("note") and not query.is_complete(region["questions"])
    ]


def advance(
    principal: TargetContext,
    regions: Regions,
    time_range: TimeRange,
    collection: EventCollection,
    until: float,
) -> bool:
    """Do one function call's share of all Regions.

    Returns False when a Region was throttled or failed. Each Region is paced by itself: CloudTrail
    limits an account in each Region. ``until``: of ``time.monotonic``.
    """
    oldest = int(time.time()) - RETENTION_SECONDS
    for region in regions.values():
        for lookup in region["questions"]:
            lookup["since"] = max(lookup["since"], oldest)
    session = principal.open_session(allow(("cloudtrail:LookupEvents",)))
    calls: dict[str, Callable[[], None]] = {}
    pages_before: dict[str, int] = {}
    for name in _open_regions(regions):
        queries = regions[name]["questions"]
        calls[name] = partial(
            _advance,
            session,
            name,
            queries,
            time_range,
            collection,
            until,
        )
        pages_before[name] = _pages(regions[name])
    results = run_all(calls, _POOL)
    for name, result in results.items():
        error = result if isinstance(result, Exception) else None
        _note_result(regions[name], error, pages_before[name])
    if collection.progress["full"]:
        _end_all(regions)
    return not any(isinstance(result, Exception) for result in results.values())


def _advance(
    session: clients.Session,
    region: str,
    queries: list[LookupQuery],
    time_range: TimeRange,
    collection: EventCollection,
    until: float,
) -> None:
    # A Region that had to wait for its turn begins with the next call.
    if time.monotonic() < until:
        client = session.client("cloudtrail", region)
        query.run(
            client,
            queries,
            time_range,
            until,
            collection.add_lookup_event,
        )


def _note_result(region: RegionLookup, error: Exception | None, pages_before: int) -> None:
    pages = _pages(region)
    region["answered"] = region.get("answered", False) or pages > 0
    if error is None:
        region["tries"] = 0
        return
    region["tries"] = region["tries"] + 1 if pages == pages_before else 0
    if not is_transient(error) or region["tries"] >= TRIES:
        region["tries"] = 0
        _give_up(region, describe_error(error))


def _end_all(regions: Regions) -> None:
    """End every query: the bound on events is reached."""
    text = f"truncated after {MOST_EVENTS} events of the principal, older events are missing"
    for region in regions.values():
        for lookup in region["questions"]:
            if not lookup.get("done"):
                lookup |= {"done": True, "cut": text}


def _pages(region: RegionLookup) -> int:
    return sum(lookup["pages"] for lookup in region["questions"])


def _give_up(region: RegionLookup, text: str) -> None:
    """Give up the Region as a whole when it never answered, otherwise its unfinished queries."""
    if not region["answered"]:
        region["note"] = f"cannot be queried ({text})"
        return
    for lookup in region["questions"]:
        if not lookup.get("done"):
            lookup |= {"done": True, "cut": f"truncated ({text})"}


def refusal(region: RegionLookup) -> str:
    """Say why nothing could ever be read in a Region, or return empty."""
    if region.get("note"):
        return region["note"]
    notes = [str(lookup.get("note") or "") for lookup in region["questions"]]
    if notes and all(notes) and not region.get("answered"):
        return notes[0]
    return ""


def event_counts(region: RegionLookup) -> dict[str, int]:
    """Return how many events each query of this pass has found."""
    return {lookup["value"]: lookup["found"] for lookup in region["questions"]}


def gaps(regions: Regions, time_range: TimeRange) -> list[Gap]:
    """Return what was not read, for each Region and query."""
    found: list[Gap] = []
    for name, region in regions.items():
        for lookup in region["questions"]:
            text = region.get("note") or lookup.get("note") or lookup.get("cut")
            if text:
                command = query.command(lookup, time_range, name)
                cut = bool(lookup.get("cut"))
                found.append({"region": name, "why": text, "command": command, "cut": cut})
    return found
