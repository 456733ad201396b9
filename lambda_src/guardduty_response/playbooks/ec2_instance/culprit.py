"""Who undid a containment: the newest successful CloudTrail events that could have, the response's own left out."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from guardduty_response import breach
from guardduty_response.playbooks import Check
from guardduty_response.playbooks.common.work import Json, allow, name_of, policy
from guardduty_response.playbooks.ec2_instance.core import Work

# What can undo each check, by the check's name up to its first space. playbooks/ec2_instance/undoing-calls.json, from which
# the event rule is made, lists the same calls (a test compares).
CALLS: dict[str, tuple[str, ...]] = {
    "interface": ("ModifyNetworkInterfaceAttribute", "ModifyInstanceAttribute", "AttachNetworkInterface"),
    "group": ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "ModifySecurityGroupRules"),
    "replace_instance_profile": ("ReplaceIamInstanceProfileAssociation", "AssociateIamInstanceProfile",
                                 "DisassociateIamInstanceProfile"),
    "revoke_sessions": ("DeleteRolePolicy", "PutRolePolicy"),
    "protect_instance": ("ModifyInstanceAttribute",),
    "detach_auto_scaling": ("AttachInstances",),
    "standby_auto_scaling": ("ExitStandby", "AttachInstances"),
    "deregister_targets": ("RegisterTargets",),
    "disassociate_elastic_ip": ("AssociateAddress",),
}  # fmt: skip
IAM_REGION = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}  # where IAM's events are recorded
# AWS CloudTrail answers LookupEvents twice a second for each account and Region.
LOOKUPS, PAUSE_SECONDS, MOST = 6, 0.5, 5


def who(work: Work, undone: list[Check], since: str, seen: Json | None, watched: list[str]) -> list[Json]:
    """Changes (breach.change), newest first, at most MOST; empty when CloudTrail does not show any yet.

    ``since``: when it was last seen to hold (ISO 8601, or empty: 24 hours back). ``seen``: the change that was heard of.
    Raises botocore errors when CloudTrail cannot be asked.
    """
    kinds = {one.name.split(" ")[0] for one in undone} & CALLS.keys()
    calls = {call for kind in kinds for call in CALLS[kind]}
    # To the second, as event times are: what came before it was seen to hold has undone nothing.
    start = datetime.fromisoformat(since.replace("Z", "+00:00")) if since else datetime.now(UTC) - timedelta(days=1)
    start = start.replace(microsecond=0)
    if seen and seen["what"] in calls and _time(seen["when"]) >= start:
        return [seen]
    ids = {work.id, *watched, *(one.name.split(" ")[1] for one in undone if " " in one.name)}
    found: dict[str, Json] = {}
    for asked, (region, attribute) in enumerate(_questions(work, undone, watched)[:LOOKUPS]):
        time.sleep(PAUSE_SECONDS * bool(asked))
        answer = _cloudtrail(work, region).lookup_events(LookupAttributes=[attribute], StartTime=start, MaxResults=50)
        for event in answer["Events"]:
            trail = json.loads(event["CloudTrailEvent"])
            if trail.get("eventName") in calls and breach.undoes(trail, _own(work)) and _names(trail, ids):
                found[str(trail.get("eventID"))] = breach.change(trail)
        if calls_found(kinds, found):
            break
    return sorted(found.values(), key=lambda one: str(one["when"]), reverse=True)[:MOST]


def calls_found(kinds: set[str], found: dict[str, Json]) -> bool:
    """Whether every kind of undone check has an event that could have undone it."""
    seen = {one["what"] for one in found.values()}
    return all(seen & set(CALLS[kind]) for kind in kinds)


def _questions(work: Work, undone: list[Check], watched: list[str]) -> list[tuple[str, Json]]:
    """(Region, lookup attribute): by the resources' names first, then by the calls' names where AWS may record no resource."""
    home = work.target.region
    iam = IAM_REGION.get(str(work.ctx.config.partition), home)
    names: list[tuple[str, str, str]] = []
    for one in undone:
        kind, _, id = one.name.partition(" ")
        if kind in ("interface", "group"):
            names.append((home, "ResourceName", id))
        elif kind == "revoke_sessions":
            role = name_of(str((work.ledger()["before"].get("profile") or {}).get("role") or ""))
            names += [(iam, "ResourceName", role)] if role else []
        elif kind in CALLS:
            names.append((home, "ResourceName", work.id))
    for one in undone:
        kind = one.name.split(" ")[0]
        names += [(iam if kind == "revoke_sessions" else home, "EventName", call) for call in CALLS.get(kind, ())]
    return [(region, {"AttributeKey": key, "AttributeValue": value}) for region, key, value in dict.fromkeys(names)]


def _cloudtrail(work: Work, region: str) -> Any:
    session = work.ctx.assume(work.target.account_id, region, policy_for_lookup())
    return session.client("cloudtrail")


def policy_for_lookup() -> Json:
    return policy(allow(("cloudtrail:LookupEvents",)))


def _own(work: Work) -> frozenset[str]:
    return breach.own_roles(work.prefix, list(work.ctx.config.playbooks))


def _names(trail: Json, ids: set[str]) -> bool:
    return bool(breach.named(trail) & ids)


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
