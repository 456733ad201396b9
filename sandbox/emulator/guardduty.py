"""A small GuardDuty control plane: what Terraform's resources and a responder call, with state per account and Region.

Real behaviour kept: one detector per account and Region, features merged by name (moto replaces the list), an
unknown detector is a BadRequestException, member operations answer with ``unprocessedAccounts``.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .moto_client import Response

Json = dict[str, Any]
_DEFAULT_FEATURES = ("CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS")
_SETS = {
    "ipset": "ipSetId",
    "threatintelset": "threatIntelSetId",
    "publishingDestination": "destinationId",
    "threatentityset": "threatEntitySetId",
    "trustedentityset": "trustedEntitySetId",
}


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


def _route(methods: str, path: str) -> Callable[[Handler], Handler]:
    pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")

    def register(handler: Handler) -> Handler:
        _ROUTES.append((methods, pattern, handler))
        return handler

    return register


def _id() -> str:
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


@_route("POST|GET", "/detector")
def detectors(plane: Plane, call: Call) -> Json:
    if call.method == "GET":
        return {"detectorIds": list(plane.detectors)}
    if plane.detectors:
        raise ApiError("The request is rejected because a detector already exists for the current account.")
    name = _id()
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


@_route("GET|POST|DELETE", "/detector/{detector}")
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


@_route("POST", "/admin/(?P<what>enable|disable)")
def administrator_change(plane: Plane, call: Call) -> Json:
    enabled = call.path["what"] == "enable"
    account = call.body["adminAccountId"]
    plane.administrators = [{"adminAccountId": account, "adminStatus": "ENABLED"}] if enabled else []
    return {}


@_route("GET", "/admin")
def administrators(plane: Plane, _call: Call) -> Json:
    return {"adminAccounts": plane.administrators}


@_route("GET|POST", "/detector/{detector}/admin")
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


@_route("POST|GET", "/detector/{detector}/member")
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
            "detectorId": _id(),
            "updatedAt": _now(),
        }
    return {"unprocessedAccounts": []}


@_route("POST", "/detector/{detector}/member/{operation}")
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


@_route("POST", "/detector/{detector}/member/detector/{operation}")
def member_detectors(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["memberFeatures"]
    for name in call.body["accountIds"]:
        features = kept.setdefault(name, {"accountId": name, "features": []})
        if call.path["operation"] == "update":
            features["features"] = _merge_features(features["features"], call.body.get("features") or [])
    if call.path["operation"] == "update":
        return {"unprocessedAccounts": []}
    return {"members": [kept[name] for name in call.body["accountIds"]], "unprocessedAccounts": []}


@_route("POST|GET", "/detector/{detector}/filter")
def filters(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["filter"]
    if call.method == "GET":
        return {"filterNames": list(kept)}
    fields = ("name", "description", "action", "rank", "findingCriteria", "tags")
    kept[call.body["name"]] = {key: call.body.get(key) for key in fields}
    return {"name": call.body["name"]}


@_route("GET|POST|DELETE", "/detector/{detector}/filter/{name}")
def one_filter(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["filter"]
    name = call.path["name"]
    if name not in kept:
        raise ApiError("The request is rejected since no such resource found.")
    if call.method == "GET":
        return kept[name]
    if call.method == "DELETE":
        del kept[name]
        return {}
    kept[name].update({key: value for key, value in call.body.items() if value is not None})
    return {"name": name}


def _criterion_matches(finding: Json, path: str, wanted: Json) -> bool:
    value: Any = finding
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    equals = wanted.get("equals") or wanted.get("eq")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if equals and text not in equals:
        return False
    least = wanted.get("greaterThanOrEqual", wanted.get("gte"))
    return least is None or (isinstance(value, (int, float)) and value >= least)


@_route("POST", "/detector/{detector}/findings")
def finding_ids(plane: Plane, call: Call) -> Json:
    criteria = (call.body.get("findingCriteria") or {}).get("criterion", {})
    kept = plane.detector(call.path["detector"]).children["findings"]
    found = [
        name
        for name, finding in kept.items()
        if all(_criterion_matches(finding, path, wanted) for path, wanted in criteria.items())
    ]
    return {"findingIds": found, "nextToken": ""}


@_route("POST", "/detector/{detector}/findings/{operation}")
def finding_operation(plane: Plane, call: Call) -> Json:
    kept = plane.detector(call.path["detector"]).children["findings"]
    names = [name for name in call.body.get("findingIds", []) if name in kept]
    operation = call.path["operation"]
    if operation == "get":
        return {"findings": [kept[name] for name in names]}
    if operation == "statistics":
        return {"findingStatistics": {"countBySeverity": {}}}
    for name in names:
        if operation in ("archive", "unarchive"):
            kept[name]["service"]["archived"] = operation == "archive"
        elif operation == "feedback":
            kept[name]["service"]["userFeedback"] = call.body["feedback"]
    return {}


@_route("GET|POST", "/detector/{detector}/(?P<kind>" + "|".join(_SETS) + ")")
def sets(plane: Plane, call: Call) -> Json:
    kind = call.path["kind"]
    kept = plane.detector(call.path["detector"]).children[kind]
    if call.method == "GET" and kind == "publishingDestination":
        return {
            "destinations": [
                {"destinationId": name, "destinationType": item["destinationType"], "status": "PUBLISHING"}
                for name, item in kept.items()
            ]
        }
    if call.method == "GET":
        return {_SETS[kind] + "s": list(kept)}
    name = _id()
    active = "ACTIVE" if call.body.get("activate") else "INACTIVE"
    kept[name] = {key: value for key, value in call.body.items() if key != "clientToken"}
    kept[name]["status"] = "PUBLISHING" if kind == "publishingDestination" else active
    return {_SETS[kind]: name}


@_route("GET|POST|DELETE", "/detector/{detector}/(?P<kind>" + "|".join(_SETS) + ")/{name}")
def one_set(plane: Plane, call: Call) -> Json:
    kind, name = call.path["kind"], call.path["name"]
    kept = plane.detector(call.path["detector"]).children[kind]
    if name not in kept:
        raise ApiError("The request is rejected since no such resource found.")
    if call.method == "DELETE":
        del kept[name]
        return {}
    if call.method == "POST":
        kept[name].update(call.body)
        if "activate" in call.body:
            kept[name]["status"] = "ACTIVE" if call.body["activate"] else "INACTIVE"
        return {}
    document = {key: value for key, value in kept[name].items() if key != "activate"}
    if kind == "publishingDestination":
        return {**document, "destinationId": name, "publishingFailureStartTimestamp": 0}
    return document


@_route("POST|GET", "/malware-protection-plan")
def plans(plane: Plane, call: Call) -> Json:
    if call.method == "GET":
        return {"malwareProtectionPlans": [{"malwareProtectionPlanId": name} for name in plane.plans]}
    name = _id()[:20]
    plane.plans[name] = {
        "arn": f"arn:aws:guardduty:{plane.region}:{plane.account}:malware-protection-plan/{name}",
        "role": call.body["role"],
        "protectedResource": call.body["protectedResource"],
        "actions": call.body.get("actions") or {"tagging": {"status": "DISABLED"}},
        "createdAt": time.time(),
        "status": "ACTIVE",
        "statusReasons": [],
        "tags": call.body.get("tags") or {},
    }
    return {"malwareProtectionPlanId": name}


@_route("GET|PATCH|DELETE", "/malware-protection-plan/{name}")
def one_plan(plane: Plane, call: Call) -> Json:
    name = call.path["name"]
    if name not in plane.plans:
        raise ApiError("The malware protection plan does not exist.", "ResourceNotFoundException", 404)
    if call.method == "DELETE":
        del plane.plans[name]
        return {}
    if call.method == "PATCH":
        plane.plans[name].update(call.body)
        return {}
    return plane.plans[name]


@_route("GET|POST|DELETE", "/tags/(?P<arn>.+)")
def tags(plane: Plane, call: Call) -> Json:
    kept = plane.tags.setdefault(urllib.parse.unquote(call.path["arn"]), {})
    if call.method == "GET":
        return {"tags": kept}
    if call.method == "POST":
        kept.update(call.body["tags"])
    for key in call.query.get("tagKeys", []) if call.method == "DELETE" else []:
        kept.pop(key, None)
    return {}


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
