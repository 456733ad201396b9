"""CloudTrail for MiniStack: every management event with its real caller, in its Region;
LookupEvents; events on EventBridge.
"""

from __future__ import annotations

import collections
import json
import queue
import re
import threading
import time
from datetime import UTC, datetime
from typing import Any

from . import settings, trail_records
from .events import in_place
from .ministack import app, cloudtrail, evaluator, eventbridge, iam, responses
from .patching import Original, patch
from .trail_headers import SOURCE_HEADER
from .trail_records import Call

Json = dict[str, Any]
# Services whose changes go to EventBridge here; on AWS nearly all do.
_TOLD = frozenset(
    {
        "ec2",
        "iam",
        "autoscaling",
        "elasticloadbalancing",
        "cloudtrail",
        "guardduty",
        "s3",
        "lambda",
        "kms",
    }
)
_GLOBAL = frozenset({"iam", "organizations"})
_IDS = re.compile(
    r"\b(?:i|eni|sg|sgr|vol|snap|ami|vpc|subnet|acl)-[0-9a-f]{8,17}\b|\bA(?:KIA|SIA)[A-Z0-9]{16}\b"
)
_NAMES = {
    "userName": "AWS::IAM::User",
    "roleName": "AWS::IAM::Role",
    "groupName": "AWS::IAM::Group",
    "policyArn": "AWS::IAM::Policy",
    "bucketName": "AWS::S3::Bucket",
    "functionName": "AWS::Lambda::Function",
    "trailName": "AWS::CloudTrail::Trail",
    "instanceProfileName": "AWS::IAM::InstanceProfile",
    "keyId": "AWS::KMS::Key",
    "roleArn": "AWS::IAM::Role",
    "detectorId": "AWS::GuardDuty::Detector",
    "queueUrl": "AWS::SQS::Queue",
}


# -- who -------------------------------------------------------------------------------------------


def _role(account: str, name: str) -> Json:
    found = iam._roles.get_scoped(account, None, name)
    return found or {"Arn": f"arn:aws:iam::{account}:role/{name}", "RoleId": ""}


def _issuer(kind: str, arn: str, unique_id: str, account: str, name: str) -> Json:
    return {
        "type": kind,
        "principalId": unique_id,
        "arn": arn,
        "accountId": account,
        "userName": name,
    }


def identity(key: str) -> tuple[Json, str]:
    """userIdentity and Username for the access key a call was signed with."""
    caller = evaluator.resolve_caller_identity(key) or {}
    arn = str(caller.get("userArn", ""))
    account = str(caller.get("accountId", ""))
    shown: Json = {
        "type": "Root",
        "principalId": caller.get("userId", ""),
        "arn": arn,
        "accountId": account,
        "accessKeyId": key,
    }
    session = caller.get("session")
    context = {}
    if session:
        issued = datetime.fromtimestamp(session.get("IssuedAt", time.time()), UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        context["attributes"] = {"creationDate": issued, "mfaAuthenticated": "false"}
    username = "root"
    if ":assumed-role/" in arn:
        _, role, username = arn.split(":", 5)[5].split("/", 2)
        found = _role(account, role)
        issuer = _issuer(
            "Role",
            found["Arn"],
            shown["principalId"].split(":")[0] or found["RoleId"],
            account,
            role,
        )
        shown["type"], context["sessionIssuer"] = "AssumedRole", issuer
    elif ":federated-user/" in arn:
        username = arn.rsplit("/", 1)[1]
        user = iam._users.get_scoped(account, None, (session or {}).get("PrincipalName", "")) or {}
        shown["type"] = "FederatedUser"
        context["sessionIssuer"] = _issuer(
            "IAMUser",
            user.get("Arn", ""),
            user.get("UserId", ""),
            account,
            user.get("UserName", ""),
        )
    elif ":user/" in arn:
        username = arn.rsplit("/", 1)[1]
        shown |= {"type": "IAMUser", "userName": username}
    if context:
        shown["sessionContext"] = context
    return shown, username


# -- what ------------------------------------------------------------------------------------------


def _resources(record: Json) -> list[Json]:
    """Return what a call names or makes, for LookupEvents by ResourceName."""
    found: dict[str, Json] = {}
    text = json.dumps([record["requestParameters"], record["responseElements"]])
    for name in _IDS.findall(text):
        found[name] = {
            "ResourceName": name,
            **({"ResourceType": "AWS::IAM::AccessKey"} if name.startswith("A") else {}),
        }

    def walk(node: object) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            if key in _NAMES and isinstance(value, str) and value:
                found[value] = {"ResourceType": _NAMES[key], "ResourceName": value}
            elif key in ("arn", "assumedRoleId", "trailARN") and isinstance(value, str):
                found[value] = {"ResourceName": value}
            else:
                walk(value)

    for part in (record["requestParameters"], record["responseElements"]):
        walk(part)
    if record["eventSource"].startswith("cloudtrail.") and (
        trail := (record["requestParameters"] or {}).get("name")
    ):
        found[trail] = {"ResourceType": "AWS::CloudTrail::Trail", "ResourceName": trail}
    return list(found.values())


def _record(call: Call, event: str, key: str, error: tuple[str, str] | None) -> tuple[Json, str]:
    who, username = identity(key)
    account = responses.get_account_id()
    at = time.time()
    record: Json = {
        "eventVersion": "1.11",
        "userIdentity": who,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "eventSource": f"{call.source}.amazonaws.com",
        "eventName": event,
        "awsRegion": settings.REGIONS[0] if call.service in _GLOBAL else call.region,
        "sourceIPAddress": call.headers.get(SOURCE_HEADER) or "127.0.0.1",
        "userAgent": call.headers.get("user-agent", ""),
        "requestParameters": trail_records.request(call, event),
        "responseElements": trail_records.response(call, event),
        "requestID": call.request_id,
        "eventID": responses.new_uuid(),
        "readOnly": trail_records.read_only(call, event),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    if error:
        record |= {"errorCode": error[0], "errorMessage": error[1], "responseElements": None}
    return record, username


def _keep(record: Json, username: str, account: str) -> None:
    region = record["awsRegion"]
    kept = cloudtrail._events.get_scoped(account, region, "events")
    if kept is None:
        kept = collections.deque(maxlen=cloudtrail._MAX_EVENTS)
        cloudtrail._events.set_scoped(account, region, "events", kept)
    kept.append(
        {
            "EventId": record["eventID"],
            "EventName": record["eventName"],
            "EventSource": record["eventSource"],
            "EventTime": time.time(),
            "Username": username,
            "AccessKeyId": record["userIdentity"].get("accessKeyId", ""),
            "ReadOnly": str(record["readOnly"]).lower(),
            "Resources": _resources(record),
            "CloudTrailEvent": json.dumps(record),
        }
    )


def _role_account(record: Json) -> str:
    """Return the account of a role that somebody of another account assumed, else ""."""
    arn = str((record["requestParameters"] or {}).get("roleArn", "")).split(":")
    assumed = (
        record["eventName"] == "AssumeRole"
        and len(arn) > 5
        and arn[4] != record["recipientAccountId"]
    )
    return arn[4] if assumed else ""


def record(call: Call) -> None:
    """Keep one call, and tell EventBridge of a change; never fails the call."""
    try:
        event = trail_records.name(call)
        error = trail_records.refusal(call)
        if not event or not trail_records.authenticated(error) or call.path.startswith("/_"):
            return
        key = app.extract_access_key_id(call.headers, call.query) or "test"
        made, username = _record(call, event, key, error)
        _keep(made, username, made["recipientAccountId"])
        if other := _role_account(made):
            who = {
                "type": "AWSAccount",
                **{name: made["userIdentity"][name] for name in ("principalId", "accountId")},
            }
            _keep(
                {
                    **made,
                    "userIdentity": who,
                    "recipientAccountId": other,
                    "eventID": responses.new_uuid(),
                },
                username,
                other,
            )
        if call.service in _TOLD and not made["readOnly"] and not error and settings.CLOCK.trail:
            _outbox.put((made["recipientAccountId"], made["awsRegion"], made))
    except Exception:
        cloudtrail.logger.exception("CloudTrail: a call of %s was not recorded", call.service)


@patch(
    app,
    "_maybe_record_cloudtrail",
    restores="calls are recorded with their answer, caller and Region (upstream: neither)",
)
def maybe_record(_original: Original, *_: object) -> None:
    """Do nothing: the gateway records, because it has the answer."""


# -- LookupEvents ----------------------------------------------------------------------------------

_asked: dict[tuple[str, str], collections.deque[float]] = collections.defaultdict(collections.deque)
_ATTRIBUTES = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)


def _throttled() -> bool:
    """Two calls a second in an account and Region, on AWS; the clock sets how many here."""
    limit = settings.CLOCK.lookups
    now = time.monotonic()
    asked = _asked[(responses.get_account_id(), responses.get_region())]
    while asked and now - asked[0] > 1:
        asked.popleft()
    if limit and len(asked) >= limit:
        return True
    asked.append(now)
    return False


def _matches(event: Json, name: str, value: str) -> bool:
    if name in ("ResourceName", "ResourceType"):
        return any(item.get(name) == value for item in event["Resources"])
    return str(event.get(name, "")) == value


@patch(
    cloudtrail,
    "_lookup_events",
    restores=(
        "LookupEvents has pages, one attribute, its errors and its rate; events show after a while"
    ),
)
def lookup_events(_original: Original, asked: Json) -> object:
    if _throttled():
        return cloudtrail._err("ThrottlingException", "Rate exceeded")
    attributes = asked.get("LookupAttributes") or []
    if len(attributes) > 1 or any(item["AttributeKey"] not in _ATTRIBUTES for item in attributes):
        return cloudtrail._err(
            "InvalidLookupAttributesException", "Specify one lookup attribute that CloudTrail has."
        )
    start = float(asked.get("StartTime") or 0)
    end = float(asked.get("EndTime") or "inf")
    if start > end:
        return cloudtrail._err(
            "InvalidTimeRangeException", "The start time must be before the end time."
        )
    size = int(asked.get("MaxResults") or 50)
    if not 1 <= size <= 50:
        return cloudtrail._err("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
    kept = (
        cloudtrail._events.get_scoped(responses.get_account_id(), responses.get_region(), "events")
        or ()
    )
    until = min(end + 1, time.time() - settings.CLOCK.lag)  # times are whole seconds on AWS
    found = [event for event in reversed(list(kept)) if int(start) <= event["EventTime"] <= until]
    for item in attributes:
        found = [
            event
            for event in found
            if _matches(event, item["AttributeKey"], item["AttributeValue"])
        ]
    if token := asked.get("NextToken"):
        ids = [event["EventId"] for event in found]
        if token not in ids:
            return cloudtrail._err("InvalidNextTokenException", "The next token is not valid.")
        found = found[ids.index(token) :]
    page = {"Events": found[:size]}
    if len(found) > size:
        page["NextToken"] = found[size]["EventId"]
    return cloudtrail._ok(page)


# -- to EventBridge --------------------------------------------------------------------------------

_outbox: queue.SimpleQueue[tuple[str, str, Json]] = queue.SimpleQueue()


def _dispatch(account: str, region: str, made: Json) -> None:
    eventbridge._ensure_default_bus()
    source = made["eventSource"].partition(".")[0]
    eventbridge._dispatch_event(
        {
            "EventId": responses.new_uuid(),
            "Source": f"aws.{source}",
            "DetailType": "AWS API Call via CloudTrail",
            "Detail": json.dumps(made),
            "EventBusName": "default",
            "Time": int(eventbridge._now_ts()),
            "Resources": [],
            "Account": account,
            "Region": region,
        }
    )


def _deliver() -> None:
    """Beside the calls, as on AWS: to the default bus of the caller's account in the Region of
    the call. Rules take it on.
    """
    while True:
        account, region, made = _outbox.get()
        try:
            in_place(account, region, _dispatch, account, region, made)
        except Exception:
            eventbridge.logger.exception(
                "CloudTrail: an event was not delivered to the bus of %s in %s", account, region
            )


threading.Thread(target=_deliver, daemon=True, name="cloudtrail-events").start()
