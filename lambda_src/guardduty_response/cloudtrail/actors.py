"""Who undid a containment: the newest successful CloudTrail events that could have, the
response's own left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from guardduty_response.aws import clients
from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.containment.contract import Check
from guardduty_response.containment.target_context import Json, TargetContext, allow, policy

# where IAM's events are recorded
IAM_REGION = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
# AWS CloudTrail answers LookupEvents twice a second for each account and Region.
LOOKUPS, PAUSE_SECONDS, MOST = 6, 0.5, 5
# kind of check (its name up to the first space) -> what can undo it
Calls = dict[str, tuple[str, ...]]


def find_actors(
    target_context: TargetContext,
    calls: Calls,
    questions: list[tuple[str, str, str]],
    undone: list[Check],
    since: str,
    seen: Json | None,
    ids: set[str],
    session: Callable[[str], clients.Session] | None = None,
) -> list[Json]:
    """Changes (breach.change), newest first, at most MOST; empty when CloudTrail does not show any
    yet.

    ``questions``: (Region, attribute, value) of LookupEvents, the likeliest first. ``since``: when
    it was last seen to hold (ISO 8601, or empty: 24 hours back). ``seen``: the change that was
    heard of. ``ids``: what an undoing call would name. ``session``: asks CloudTrail of a Region;
    without it the target's account is asked. Raises botocore errors when CloudTrail cannot be
    asked.
    """
    kinds = {check.name.split(" ")[0] for check in undone} & calls.keys()
    names = {call for kind in kinds for call in calls[kind]}
    # To the second, as event times are: what came before it was seen to hold has undone nothing.
    start = (
        datetime.fromisoformat(since.replace("Z", "+00:00"))
        if since
        else datetime.now(UTC) - timedelta(days=1)
    )
    start = start.replace(microsecond=0)
    if seen and seen["what"] in names and _time(seen["when"]) >= start:
        return [seen]
    own = cloudtrail_event.own_roles(target_context.context.config)
    found: dict[str, Json] = {}
    for asked, (region, key, value) in enumerate(list(dict.fromkeys(questions))[:LOOKUPS]):
        time.sleep(PAUSE_SECONDS * bool(asked))
        attribute = {"AttributeKey": key, "AttributeValue": value}
        answer = (
            (session(region) if session else _session(target_context, region))
            .client("cloudtrail")
            .lookup_events(LookupAttributes=[attribute], StartTime=start, MaxResults=50)
        )
        for event in answer["Events"]:
            trail = json.loads(event["CloudTrailEvent"])
            if (
                trail.get("eventName") in names
                and cloudtrail_event.is_outside_change(trail, own)
                and cloudtrail_event.request_texts(trail) & ids
            ):
                found[str(trail.get("eventID"))] = cloudtrail_event.change(trail)
        seen_calls = {change["what"] for change in found.values()}
        if all(seen_calls & set(calls[kind]) for kind in kinds):
            break
    return sorted(found.values(), key=lambda change: str(change["when"]), reverse=True)[:MOST]


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
