"""What CloudTrail writes of one call: its name, parameters, answer and errors, as AWS names them.

Source of the shapes: the CloudTrail user guide (record contents, examples per service) and records
published by AWS.
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

from .ministack import actions
from .trail_parameters import camel, parameters, typed

Json = dict[str, Any]
actions._BOTOCORE_SERVICE_MAP.setdefault("lambda", ["lambda"])
_SOURCES = {"stepfunctions": "states", "cloudwatch": "monitoring", "alb": "elasticloadbalancing"}
# Lambda's event names carry the date of the API's version, some a second version.
_SECOND = {
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "AddPermission",
    "RemovePermission",
    "TagResource",
    "UntagResource",
}
_BUCKET_PARTS = {
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "acl": "BucketAcl",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycle",
    "logging": "BucketLogging",
    "website": "BucketWebsite",
    "cors": "BucketCors",
    "notification": "BucketNotification",
    "replication": "BucketReplication",
    "ownershipControls": "BucketOwnershipControls",
    "object-lock": "ObjectLockConfiguration",
    "location": "BucketLocation",
}
# Data events: a trail may be told to log them, LookupEvents never shows them.
_DATA = {
    "dynamodb": (
        r"(Put|Get|Update|Delete|BatchGet|BatchWrite|TransactGet|TransactWrite)Items?|Query|Scan"
    ),
    "lambda": r"Invoke.*",
    "sqs": r"(Send|Receive|Delete)Message(Batch)?|ChangeMessageVisibility.*",
    "sns": r"Publish(Batch)?",
    "logs": r"PutLogEvents",
    "events": r"PutEvents",
    "monitoring": r"PutMetricData|GetMetricData",
}
_READS = re.compile(
    r"(Get|List|Describe|Head|Lookup|Search|Select|Assume|Decrypt|Encrypt|GenerateDataKey|"
    r"Simulate|Filter|Poll)"
)
_SECRET = re.compile(
    r"secretaccesskey|(new|old|service|master|masteruser)?password|secretstring|secretbinary|"
    r"clientsecret|keymaterial|privatekey",
    re.IGNORECASE,
)
_HIDDEN = {"userData": "<sensitiveDataRemoved>"}
_NOT_AUTHENTICATED = re.compile(
    r"InvalidClientTokenId|AuthFailure|UnrecognizedClient|InvalidAccessKeyId|Signature|"
    r"ExpiredToken|InvalidToken|MissingAuth"
)


@dataclass(frozen=True)
class Call:
    """A request to the endpoint and its answer."""

    service: str
    method: str
    path: str
    headers: Any
    body: bytes
    query: Json
    region: str
    request_id: str
    status: int
    answer: bytes

    @property
    def form(self) -> Json:
        """Return the fields of a query-protocol request, {} for others."""
        if "x-www-form-urlencoded" not in self.headers.get("content-type", ""):
            return {}
        return dict(
            urllib.parse.parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        )

    @property
    def source(self) -> str:
        """Return the service's name in eventSource."""
        return _SOURCES.get(self.service, self.service)


@functools.cache
def _uris(service: str) -> dict[str, str]:
    """Operation -> the pattern of its path, of a REST service."""
    found: dict[str, str] = {}
    for name in actions._BOTOCORE_SERVICE_MAP.get(service) or [service]:
        for operation, model in actions._load_botocore_model(name).get("operations", {}).items():
            found.setdefault(operation, model.get("http", {}).get("requestUri", "").split("?")[0])
    return found


def _named_in_path(call: Call, operation: str) -> Json:
    """Return the parameters that stand in the path of a REST call."""
    uri = _uris(call.service).get(operation, "").rstrip("/")
    matched = (
        re.fullmatch(re.sub(r"\{(\w+)\+?\}", r"(?P<\1>.+?)", uri) + "/?", call.path)
        if "{" in uri
        else None
    )
    return {
        key: urllib.parse.unquote(value)
        for key, value in (matched.groupdict() if matched else {}).items()
    }


def _bucket(call: Call) -> tuple[str, str]:
    bucket, _, key = call.path.lstrip("/").partition("/")
    return urllib.parse.unquote(bucket), key


def name(call: Call) -> str:
    """Return the event's name; "" for calls CloudTrail's management events leave out."""
    found = call.form.get("Action") or actions._query_param(call.query, "Action")
    target = call.headers.get("x-amz-target", "")
    if target:
        found = target.rsplit(".", 1)[-1]
    elif call.service == "s3":
        bucket, key = _bucket(call)
        part = next((_BUCKET_PARTS[item] for item in call.query if item in _BUCKET_PARTS), "")
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head"}.get(call.method, "")
        if key or not bucket or not verb:
            return "" if bucket else "ListBuckets"
        return (
            f"{verb}{part}"
            if part
            else {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}.get(
                call.method, ""
            )
        )
    elif not found:
        operation = (
            actions._match_rest_action(call.service, call.method, call.path, call.query) or ""
        )
        found = (
            _dated(call.path, operation) if call.service == "lambda" and operation else operation
        )
    return "" if re.fullmatch(_DATA.get(call.source, "-"), found) else str(found)


def _dated(path: str, operation: str) -> str:
    date = re.match(r"/(\d{4})-(\d\d)-(\d\d)/", path)
    return (
        operation
        + ("".join(date.groups()) if date else "")
        + ("v2" if operation in _SECOND else "")
    )


def read_only(call: Call, event: str) -> bool:
    """Return whether the call only reads."""
    return bool(_READS.match(event)) or (call.service == "sts" and event != "SetSourceIdentity")


def scrub(value: object) -> Any:
    """Return the value without secrets."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if not _SECRET.fullmatch(key)}
        return {key: _HIDDEN.get(key, scrub(item)) for key, item in kept.items()}
    return [scrub(item) for item in value] if isinstance(value, list) else value


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw or b"{}")
    except ValueError:
        return {}


def request(call: Call, event: str) -> Json | None:
    """requestParameters."""
    if call.form:
        shaped = parameters(call.form, items=call.service == "ec2")
    elif call.service == "s3":
        shaped = _s3(call, event)
    else:
        shaped = camel(_json(call.body)) if isinstance(_json(call.body), dict) else {}
        if not call.headers.get("x-amz-target"):
            shaped = {**camel(_named_in_path(call, re.sub(r"\d{8}(v2)?$", "", event))), **shaped}
    return scrub(_unrevealing(call, shaped)) or None


def _unrevealing(call: Call, shaped: Json) -> Json:
    """Without what Lambda never records: code and environment."""
    if call.service != "lambda":
        return shaped
    return {
        key: {} if key in ("code", "environment") else value
        for key, value in shaped.items()
        if key != "zipFile"
    }


def _s3(call: Call, event: str) -> Json:
    bucket, _ = _bucket(call)
    shaped: Json = {"bucketName": bucket, "Host": f"{bucket}.s3.amazonaws.com"}
    shaped |= {part: "" for part in call.query if part in _BUCKET_PARTS}
    shaped |= {
        key: [value]
        for key, value in call.headers.items()
        if key.startswith("x-amz-") and ("acl" in key or "grant" in key)
    }
    if event == "PutBucketPolicy":
        shaped["bucketPolicy"] = _json(call.body)
    elif call.body.lstrip().startswith(b"<"):
        root = ET.fromstring(call.body)  # noqa: S314  (a caller on this machine)
        shaped[_plain(root.tag)] = _tree(root, lower=False)
    return shaped


def _plain(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _tree(node: ET.Element, *, lower: bool = True, items: bool = False) -> Any:
    """Return an XML element as CloudTrail shows it: EC2's lists are {items: [...]}."""
    children = list(node)
    if not children:
        text = node.text or ""
        return (
            ({} if items and _plain(node.tag).endswith("Set") else "")
            if not text
            else typed(_plain(node.tag), text)
        )
    tags = {_plain(child.tag) for child in children}
    if tags in ({"item"}, {"member"}):
        values = [_tree(child, lower=lower, items=items) for child in children]
        return {"items": values} if items else values
    found: Json = {}
    for child in children:
        key = _plain(child.tag)
        key = "_return" if key == "return" else key[:1].lower() + key[1:] if lower else key
        found[key] = _tree(child, lower=lower, items=items)
    return found


def response(call: Call, event: str) -> Json | None:
    """responseElements of a successful change (and of STS's calls); None for what has none."""
    if (
        call.status >= 400
        or (read_only(call, event) and call.service != "sts")
        or call.service == "s3"
    ):
        return None
    if not call.answer.lstrip().startswith(b"<"):
        found = _json(call.answer)
        return scrub(_unrevealing(call, camel(found))) or None if isinstance(found, dict) else None
    root = ET.fromstring(call.answer)  # noqa: S314  (an emulator's own)
    if call.service == "ec2":
        return scrub(_tree(root, items=True)) or None
    result = next((child for child in root if _plain(child.tag).endswith("Result")), None)
    return None if result is None else scrub(_tree(result)) or None


def refusal(call: Call) -> tuple[str, str] | None:
    """errorCode and errorMessage; None for a call that succeeded."""
    if call.status < 400:
        return None
    text = call.answer.decode("utf-8", "replace")
    code = re.search(r"<Code>(.*?)</Code>", text)
    message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    if code:
        return ("Client." if call.service == "ec2" else "") + code.group(1), (
            message.group(1) if message else ""
        )
    found = _json(call.answer)
    found = found if isinstance(found, dict) else {}
    kind = found.get("__type") or found.get("code") or call.headers.get("x-amzn-errortype", "")
    return str(kind).rsplit("#", 1)[-1].split(":")[0] or str(call.status), str(
        found.get("message") or found.get("Message") or ""
    )


def authenticated(error: tuple[str, str] | None) -> bool:
    """Return whether the caller was known: calls with dead keys are in no account's trail."""
    return error is None or not _NOT_AUTHENTICATED.search(error[0])
