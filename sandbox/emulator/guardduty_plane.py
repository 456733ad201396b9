"""What every part of the GuardDuty control plane shares: its state per account and Region, its
errors, and the table of routes that each part fills.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import guardduty_features as features

Json = dict[str, Any]


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
        """Return the detector; ApiError as AWS answers for a foreign one."""
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


@dataclass(frozen=True)
class Route:
    """The handler of some methods on a path."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    handler: Handler


class Routes(list[Route]):
    """The routes of one part, in the order they are tried."""

    def add(self, methods: str, path: str) -> Callable[[Handler], Handler]:
        """Decorate the handler of ``methods`` (``"GET|POST"``) on a path.

        ``{name}`` in the path is one of its segments; the handler finds it in ``call.path``.
        """
        pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")

        def register(handler: Handler) -> Handler:
            self.append(Route(frozenset(methods.split("|")), pattern, handler))
            return handler

        return register


_PLANES: dict[tuple[str, str], Plane] = {}
LOCK = threading.RLock()


def new_id() -> str:
    """Return an id as GuardDuty gives them: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def now() -> str:
    """Return the time as GuardDuty writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


def plane_of(account: str, region: str) -> Plane:
    """Return GuardDuty of an account in a Region."""
    return _PLANES.setdefault((account, region), Plane(account, region))


def store(account: str, region: str, detector_id: str, finding: Json) -> None:
    """Keep a finding (camelCase) so that GetFindings and ListFindings see it."""
    with LOCK:
        plane = plane_of(account, region)
        plane.detectors.setdefault(detector_id, Detector({"features": [], "status": "ENABLED"}))
        plane.detectors[detector_id].children["findings"][finding["id"]] = finding


def create_detector(plane: Plane, body: Json) -> str:
    """Make a detector for an account that has none; return its id."""
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
