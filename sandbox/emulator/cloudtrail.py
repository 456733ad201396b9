"""Patches of MiniStack's CloudTrail: real event names, the real caller, the ids a call names; its events on EventBridge."""

from __future__ import annotations

import json
import queue
import re
import threading
import urllib.parse
from typing import Any

from . import settings
from .events import in_account
from .ministack import app, cloudtrail, evaluator, eventbridge, responses
from .patching import patch
from .trail_parameters import parameters

# Services whose changes go to EventBridge here; on AWS nearly all do.
_TOLD = frozenset({"ec2", "iam", "autoscaling", "elasticloadbalancing"})
_IDS = re.compile(r"\b(?:i|eni|sg|vol|snap|vpc|subnet|acl)-[0-9a-f]{8,17}\b")


@patch(app, "_maybe_record_cloudtrail", restores="eventName of a query-protocol call is its Action (upstream: POST.ec2)")
def maybe_record(
    original: Any, service: str, method: str, path: str, headers: Any, body: bytes, params: Any, rid: str, region: str
) -> Any:
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        params = {**urllib.parse.parse_qs(body.decode(errors="replace")), **params}
    return original(service, method, path, headers, body, params, rid, region)


@patch(
    cloudtrail,
    "record_event",
    restores="userIdentity is the real caller: AssumedRole with its issuer, user or root; Username the session name",
)
def record_event(original: Any, **details: Any) -> None:
    original(**details)
    event = cloudtrail._get_event_queue()[-1]
    record = json.loads(event["CloudTrailEvent"])
    caller = evaluator.resolve_caller_identity(details["access_key_id"]) or {}
    arn, identity = caller.get("userArn", ""), record["userIdentity"]
    identity.update(arn=arn, principalId=caller.get("userId", ""), accountId=caller.get("accountId", ""))
    identity.pop("userName", None)
    if ":assumed-role/" in arn:
        _, role, session = arn.split(":", 5)[5].split("/", 2)
        issuer = {
            "type": "Role",
            "arn": f"arn:aws:iam::{identity['accountId']}:role/{role}",
            "userName": role,
            "principalId": identity["principalId"].split(":")[0],
        }
        identity.update(type="AssumedRole", sessionContext={"sessionIssuer": issuer})
        event["Username"] = session
    elif ":user/" in arn:
        event["Username"] = identity["userName"] = arn.rsplit("/", 1)[1]
    else:
        identity.update(type="Root")
        event["Username"] = "root"
    service = str(details["service"])
    if service in _TOLD:
        record["requestParameters"] = parameters(record["requestParameters"] or {}, items=service == "ec2")
    event["CloudTrailEvent"] = json.dumps(record)
    named = _IDS.findall(json.dumps(record["requestParameters"]))
    named += [record["requestParameters"]["roleName"]] if "roleName" in (record["requestParameters"] or {}) else []
    event["Resources"] += [{"ResourceName": name} for name in dict.fromkeys(named)]
    if service in _TOLD and event["ReadOnly"] == "false" and settings.CLOCK.trail:
        _outbox.put((responses.get_account_id(), str(details["region"]), record))


# -- to EventBridge ---------------------------------------------------------------------------------------------------

_outbox: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()


def _dispatch(account: str, region: str, record: dict[str, Any]) -> None:
    responses._request_region.set(region)
    eventbridge._ensure_default_bus()
    source = record["eventSource"].partition(".")[0]
    eventbridge._dispatch_event({
        "EventId": responses.new_uuid(), "Source": f"aws.{source}", "DetailType": "AWS API Call via CloudTrail",
        "Detail": json.dumps(record), "EventBusName": "default", "Time": int(eventbridge._now_ts()), "Resources": [],
        "Account": account, "Region": region,
    })  # fmt: skip


def _deliver() -> None:
    """Beside the calls, as on AWS: to the default bus of the caller's account, and, as a forwarder there would, to the
    security account's."""
    while True:
        account, region, record = _outbox.get()
        for bus in dict.fromkeys((account, settings.SECURITY_ACCOUNT)):
            try:
                in_account(bus, _dispatch, account, region, record)
            except Exception:
                eventbridge.logger.exception("CloudTrail: an event was not delivered to the bus of %s", bus)


threading.Thread(target=_deliver, daemon=True, name="cloudtrail-events").start()
