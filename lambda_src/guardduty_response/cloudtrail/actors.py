"""Finds who undid a containment: the newest successful CloudTrail events that could have, the
response's own left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.cloudtrail.query import EventLookup
from guardduty_response.containment.contract import Check
from guardduty_response.containment.target_context import TargetContext, allow, policy
from guardduty_response.decision.own_roles import own_roles

if TYPE_CHECKING:
    from guardduty_response.incident.model import ChangeEvent

# where IAM's events are recorded
IAM_REGION = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
MAX_QUERIES = 6  # a page of each
MAX_CHANGES = 5
# kind of check (its name up to the first space) -> what can undo it
Calls = dict[str, tuple[str, ...]]


def find_actors(
    target_context: TargetContext,
    calls: Calls,
    queries: list[tuple[str, str, str]],
    failed: list[Check],
    since: str,
    seen: ChangeEvent | None,
    ids: set[str],
    session: Callable[[str], clients.Session] | None = None,
) -> list[ChangeEvent]:
    """Returns changes (cloudtrail.event.change), newest first, at most MAX_CHANGES; none while
    CloudTrail does not show any yet.

    ``queries``: (Region, attribute, value) of LookupEvents, the likeliest first. ``since``: when
    containment was last seen to hold (ISO 8601, or empty: 24 hours back). ``seen``: the change that
    was reported. ``ids``: what an undoing call would name. ``session``: opens the session of a
    Region; without it the target's account is asked. Raises botocore errors when CloudTrail cannot
    be asked.
    """
    kinds = {check.name.split(" ")[0] for check in failed} & calls.keys()
    names = {call for kind in kinds for call in calls[kind]}
    start = _start(since)
    if seen and seen["what"] in names and _time(seen["when"]) >= start:
        return [seen]
    wanted = cloudtrail_event.folded(ids)
    own = own_roles(target_context.context.config)
    found: dict[str, ChangeEvent] = {}
    clients_of: dict[str, EventLookup] = {}
    for region, key, value in list(dict.fromkeys(queries))[:MAX_QUERIES]:
        if region not in clients_of:
            opened = session(region) if session else _session(target_context, region)
            clients_of[region] = EventLookup(opened.client("cloudtrail"))
        for event in clients_of[region].page(key, value, start)["Events"]:
            record = json.loads(event["CloudTrailEvent"])
            outside = cloudtrail_event.is_outside_change(record, own)
            named = cloudtrail_event.folded(cloudtrail_event.named_texts(record)) & wanted
            if record.get("eventName") in names and outside and named:
                found[str(record.get("eventID"))] = cloudtrail_event.change(record)
        found_calls = {change["what"] for change in found.values()}
        if all(found_calls & set(calls[kind]) for kind in kinds):
            break
    newest_first = sorted(found.values(), key=lambda change: str(change["when"]), reverse=True)
    return newest_first[:MAX_CHANGES]


def _start(since: str) -> datetime:
    """Returns from when on a call can have undone it, to the second, as event times are: what came
    before containment was seen to hold has undone nothing.
    """
    start = datetime.now(UTC) - timedelta(days=1)
    if since:
        start = datetime.fromisoformat(since.replace("Z", "+00:00"))
    return start.replace(microsecond=0)


def _session(target_context: TargetContext, region: str) -> clients.Session:
    return target_context.context.assume(
        target_context.target.account_id, region, policy(allow(("cloudtrail:LookupEvents",)))
    )


def iam_region(target_context: TargetContext) -> str:
    return IAM_REGION.get(
        str(target_context.context.config.partition), target_context.target.region
    )


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
