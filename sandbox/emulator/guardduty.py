"""A small GuardDuty control plane: what Terraform's resources and a responder call, with state per
account and Region.

Real behaviour kept: one detector per account and Region, features merged by name (moto replaces the
list), an unknown detector is a BadRequestException, a detector with members cannot be deleted. The
organization's side is in guardduty_organization, what hangs under a detector in guardduty_children.
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

from . import guardduty_features as features
from .moto_client import Response

Json = dict[str, Any]
_HAS_MEMBERS = (
    "The request is rejected because the current account cannot delete detector while it has"
    " invited or associated members."
)
# AWS says that a member cannot; the sentence is the sandbox's.
_MANAGED = (
    "The request is rejected because the protection plans of a member account are set by its"
    " administrator account."
)


class ApiError(Exception):
    """An error of the GuardDuty API."""

    def __init__(self, message: str, code: str = "BadRequestException", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Detector:
    """A detector and what hangs under it; ``children`` is kind -> id -> document."""

    document: Json
    organization: Json = field(default_factory=dict)
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
            raise ApiError(
                "The request is rejected because the input detectorId is not owned by the current"
                " account."
            )
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


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def create_detector(plane: Plane, body: Json) -> str:
    """A new detector of an account that has none; its id."""
    name = new_id()
    document = {
        "createdAt": now(),
        "updatedAt": now(),
        "status": "ENABLED" if body.get("enable") else "DISABLED",
        "findingPublishingFrequency": body.get("findingPublishingFrequency", "SIX_HOURS"),
        "serviceRole": (
            f"arn:aws:iam::{plane.account}:role/aws-service-role/guardduty.amazonaws.com/"
            "AWSServiceRoleForAmazonGuardDuty"
        ),
        "tags": body.get("tags") or {},
        "features": features.merge(features.new_detector(), body.get("features") or []),
    }
    plane.detectors[name] = Detector(document)
    plane.tags[f"arn:aws:guardduty:{plane.region}:{plane.account}:detector/{name}"] = document[
        "tags"
    ]
    return name


@route("POST|GET", "/detector")
def detectors(plane: Plane, call: Call) -> Json:
    if call.method == "GET":
        return {"detectorIds": list(plane.detectors)}
    if plane.detectors:
        raise ApiError(
            "The request is rejected because a detector already exists for the current account."
        )
    return {"detectorId": create_detector(plane, call.body)}


def _data_sources(found: list[Json]) -> Json:
    on = {feature["name"] for feature in found if feature["status"] == "ENABLED"}

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
        from .guardduty_organization import may_be_deleted

        if not may_be_deleted(plane.detectors[call.path["detector"]]):
            raise ApiError(_HAS_MEMBERS)
        del plane.detectors[call.path["detector"]]
        return {}
    if call.body.get("features"):
        from .guardduty_organization import is_a_member

        if is_a_member(plane):
            raise ApiError(_MANAGED)
    found["features"] = features.merge(found["features"], call.body.get("features") or [])
    if "enable" in call.body:
        found["status"] = "ENABLED" if call.body["enable"] else "DISABLED"
    if "findingPublishingFrequency" in call.body:
        found["findingPublishingFrequency"] = call.body["findingPublishingFrequency"]
    found["updatedAt"] = now()
    return {}


def plane_of(account: str, region: str) -> Plane:
    """GuardDuty of an account in a Region."""
    return _PLANES.setdefault((account, region), Plane(account, region))


def store(account: str, region: str, detector_id: str, finding: Json) -> None:
    """Keep a finding (camelCase) so that GetFindings and ListFindings see it."""
    with _LOCK:
        plane = plane_of(account, region)
        plane.detectors.setdefault(detector_id, Detector({"features": [], "status": "ENABLED"}))
        plane.detectors[detector_id].children["findings"][finding["id"]] = finding


def _answer(status: int, data: Any, error: str = "") -> Response:
    headers = {"Content-Type": "application/json"}
    if error:
        headers["x-amzn-errortype"] = error
    return status, headers, json.dumps(data).encode()


def handle(
    method: str, path: str, body: bytes, query: dict[str, Any], account: str, region: str
) -> Response:
    """Answer one GuardDuty request of an account in a Region."""
    # They register their routes.
    from . import guardduty_children, guardduty_organization  # noqa: F401

    for methods, pattern, handler in _ROUTES:
        found = pattern.match(path)
        if not found or method not in methods.split("|"):
            continue
        try:
            with _LOCK:
                call = Call(method, json.loads(body or b"{}"), query, found.groupdict())
                return _answer(200, handler(plane_of(account, region), call))
        except features.Refused as error:
            return _answer(
                400, {"message": str(error), "__type": "BadRequestException"}, "BadRequestException"
            )
        except ApiError as error:
            return _answer(error.status, {"message": str(error), "__type": error.code}, error.code)
        except (KeyError, ValueError) as error:
            message = (
                f"The request is rejected because a parameter is missing or malformed: {error}."
            )
            return _answer(400, {"message": message}, "BadRequestException")
    return _answer(404, {"message": f"no route {method} {path}"}, "NotFoundException")
