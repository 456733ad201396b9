"""A small GuardDuty control plane: what Terraform's resources and a responder call, with state per account and Region.

Real behaviour kept: one detector per account and Region, features merged by name (moto replaces the list), an
unknown detector is a BadRequestException, member operations answer with ``unprocessedAccounts``.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .moto_client import Response

Json = dict[str, Any]
_DEFAULT_FEATURES = ("CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS")


class ApiError(Exception):
    """An error of the GuardDuty API."""

    def __init__(self, message: str, code: str = "BadRequestException", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Detector:
    """A detector and what hangs under it; ``children`` is kind -> id -> document."""

    document: Json
    organization: Json = field(default_factory=lambda: {"autoEnableOrganizationMembers": "NONE", "features": []})
    children: dict[str, dict[str, Json]] = field(default_factory=lambda: defaultdict(dict))


@dataclass
class Plane:
    """GuardDuty of one account in one Region."""

    account: str
    region: str
    detectors: dict[str, Detector] = field(default_factory=dict)
    administrators: list[Json] = field(default_factory=list)
    plans: dict[str, Json] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)

    def detector(self, name: str) -> Detector:
        """The detector, or the refusal AWS gives for a foreign one."""
        if name not in self.detectors:
            raise ApiError("The request is rejected because the input detectorId is not owned by the current account.")
        return self.detectors[name]


@dataclass(frozen=True)
class Call:
    """One request: method, decoded body, query parameters, path parameters."""

    method: str
    body: Json
    query: dict[str, list[str]]
    path: dict[str, str]


Handler = Callable[[Plane, Call], Json]
_ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
_PLANES: dict[tuple[str, str], Plane] = {}
_LOCK = threading.RLock()


def route(methods: str, path: str) -> Callable[[Handler], Handler]:
    pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")

    def register(handler: Handler) -> Handler:
        _ROUTES.append((methods, pattern, handler))
        return handler

    return register


def new_id() -> str:
    return uuid.uuid4().hex


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def _merge_features(current: list[Json], new: list[Json]) -> list[Json]:
    by_name = {feature["name"]: feature for feature in current}
    for feature in new:
        kept = by_name.setdefault(feature["name"], {"name": feature["name"]})
        kept["status"] = feature.get("status", kept.get("status"))
        kept["updatedAt"] = time.time()
        extra = {item["name"]: item for item in kept.get("additionalConfiguration", [])}
        for item in feature.get("additionalConfiguration", []):
            extra[item["name"]] = {"name": item["name"], "status": item["status"], "updatedAt": time.time()}
        kept["additionalConfiguration"] = list(extra.values())
    return list(by_name.values())


@route("POST|GET", "/detector")
def detectors(plane: Plane, call: Call) -> Json:
    if call.method == "GET":
        return {"detectorIds": list(plane.detectors)}
    if plane.detectors:
        raise ApiError("The request is rejected because a detector already exists for the current account.")
    name = new_id()
    document = {
        "createdAt": _now(),
        "updatedAt": _now(),
        "status": "ENABLED" if call.body.get("enable") else "DISABLED",
        "findingPublishingFrequency": call.body.get("findingPublishingFrequency", "SIX_HOURS"),
        "serviceRole": f"arn:aws:iam::{plane.account}:role/aws-service-role/guardduty.amazonaws.com/"
        "AWSServiceRoleForAmazonGuardDuty",
        "tags": call.body.get("tags") or {},
    }
    features: list[Json] = [{"name": feature, "status": "ENABLED"} for feature in _DEFAULT_FEATURES]
    document["features"] = _merge_features(features, call.body.get("features") or [])
    plane.detectors[name] = Detector(document)
    plane.tags[f"arn:aws:guardduty:{plane.region}:{plane.account}:detector/{name}"] = document["tags"]
    return {"detectorId": name}


def _data_sources(features: list[Json]) -> Json:
    on = {feature["name"] for feature in features if feature["status"] == "ENABLED"}

    def status(name: str) -> Json:
        return {"status": "ENABLED" if name in on else "DISABLED"}

    return {
        "cloudTrail": status("CLOUD_TRAIL"),
        "dnsLogs": status("DNS_LOGS"),
        "flowLogs": status("FLOW_LOGS"),
        "s3Logs": status("S3_DATA_EVENTS"),
        "kubernetes": {"auditLogs": status("EKS_AUDIT_LOGS")},
        "malwareProtection": {
            "scanEc2InstanceWithFindings": {"ebsVolumes": status("EBS_MALWARE_PROTECTION")},
            "serviceRole": "",
        },
    }


@route("GET|POST|DELETE", "/detector/{detector}")
def detector(plane: Plane, call: Call) -> Json:
    found = plane.detector(call.path["detector"]).document
    if call.method == "GET":
        return {**found, "dataSources": _data_sources(found["features"])}
    if call.method == "DELETE":
        del plane.detectors[call.path["detector"]]
        return {}
    if "enable" in call.body:
        found["status"] = "ENABLED" if call.body["enable"] else "DISABLED"
    if "findingPublishingFrequency" in call.body:
        found["findingPublishingFrequency"] = call.body["findingPublishingFrequency"]
    found["features"] = _merge_features(found["features"], call.body.get("features") or [])
    found["updatedAt"] = _now()
    return {}


@route("POST", "/admin/(?P<what>enable|disable)")
def administrator_change(plane: Plane, call: Call) -> Json:
    enabled = call.path["what"] == "enable"
    account = call.body["adminAccountId"]
    plane.administrators = [{"adminAccountId": account, "adminStatus": "ENABLED"}] if enabled else []
    return {}


@route("GET", "/admin")
def administrators(plane: Plane, _call: Call) -> Json:
    return {"adminAccounts": plane.administrators}


@route("GET|POST", "/detector/{detector}/admin")
def organization(plane: Plane, call: Call) -> Json:
    found = plane.detector(call.path["detector"]).organization
    if call.method == "POST":
        if call.body.get("autoEnableOrganizationMembers"):
            found["autoEnableOrganizationMembers"] = call.body["autoEnableOrganizationMembers"]
        by_name = {feature["name"]: feature for feature in found["features"]}
        for feature in call.body.get("features") or []:
            kept = by_name.setdefault(feature["name"], {"name": feature["name"]})
            kept["autoEnable"] = feature["autoEnable"]
            if feature.get("additionalConfiguration"):
                kept["additionalConfiguration"] = feature["additionalConfiguration"]
        found["features"] = list(by_name.values())
        return {}
    off = {"autoEnable": False}
    return {
        "autoEnable": found["autoEnableOrganizationMembers"] != "NONE",
        "memberAccountLimitReached": False,
        "dataSources": {
            "s3Logs": off,
            "kubernetes": {"auditLogs": off},
            "malwareProtection": {"scanEc2InstanceWithFindings": {"ebsVolumes": off}},
        },
        **found,
    }


@route("POST|GET", "/detector/{detector}/member")
def members(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["member"]
    if call.method == "GET":
        return {"members": list(kept.values())}
    for detail in call.body["accountDetails"]:
        kept[detail["accountId"]] = {
            "accountId": detail["accountId"],
            "email": detail["email"],
            "relationshipStatus": "Created",
            "masterId": plane.account,
            "administratorId": plane.account,
            "detectorId": new_id(),
            "updatedAt": _now(),
        }
    return {"unprocessedAccounts": []}


@route("POST", "/detector/{detector}/member/{operation}")
def member_operation(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["member"]
    names = call.body.get("accountIds", [])
    missing = [{"accountId": name, "result": "not a member"} for name in names if name not in kept]
    if call.path["operation"] == "get":
        return {"members": [kept[name] for name in names if name in kept], "unprocessedAccounts": missing}
    for name in set(names) & set(kept):
        if call.path["operation"] == "invite":
            kept[name].update(relationshipStatus="Enabled", invitedAt=_now())
        elif call.path["operation"] == "disassociate":
            kept[name]["relationshipStatus"] = "Removed"
        elif call.path["operation"] == "delete":
            del kept[name]
    return {"unprocessedAccounts": missing}


@route("POST", "/detector/{detector}/member/detector/{operation}")
def member_detectors(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["memberFeatures"]
    for name in call.body["accountIds"]:
        features = kept.setdefault(name, {"accountId": name, "features": []})
        if call.path["operation"] == "update":
            features["features"] = _merge_features(features["features"], call.body.get("features") or [])
    if call.path["operation"] == "update":
        return {"unprocessedAccounts": []}
    return {"members": [kept[name] for name in call.body["accountIds"]], "unprocessedAccounts": []}


def _plane(account: str, region: str) -> Plane:
    return _PLANES.setdefault((account, region), Plane(account, region))


def store(account: str, region: str, detector_id: str, finding: Json) -> None:
    """Keep a finding (camelCase) so that GetFindings and ListFindings see it."""
    with _LOCK:
        plane = _plane(account, region)
        plane.detectors.setdefault(detector_id, Detector({"features": [], "status": "ENABLED"}))
        plane.detectors[detector_id].children["findings"][finding["id"]] = finding


def _answer(status: int, data: Any, error: str = "") -> Response:
    headers = {"Content-Type": "application/json"}
    if error:
        headers["x-amzn-errortype"] = error
    return status, headers, json.dumps(data).encode()


def handle(method: str, path: str, body: bytes, query: dict[str, Any], account: str, region: str) -> Response:
    """Answer one GuardDuty request of an account in a Region."""
    from . import guardduty_children  # noqa: F401  (registers its routes)

    for methods, pattern, handler in _ROUTES:
        found = pattern.match(path)
        if not found or method not in methods.split("|"):
            continue
        try:
            with _LOCK:
                call = Call(method, json.loads(body or b"{}"), query, found.groupdict())
                return _answer(200, handler(_plane(account, region), call))
        except ApiError as error:
            return _answer(error.status, {"message": str(error), "__type": error.code}, error.code)
        except (KeyError, ValueError) as error:
            message = f"The request is rejected because a parameter is missing or malformed: {error}."
            return _answer(400, {"message": message}, "BadRequestException")
    return _answer(404, {"message": f"no route {method} {path}"}, "NotFoundException")
