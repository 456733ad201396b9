"""Patches of MiniStack's CloudTrail: real event names, the real caller, the ids a call names."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import Any

from .ministack import app, cloudtrail, evaluator
from .patching import patch

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
    event["CloudTrailEvent"] = json.dumps(record)
    named = _IDS.findall(json.dumps(record["requestParameters"]))
    event["Resources"] += [{"ResourceName": name} for name in dict.fromkeys(named)]
