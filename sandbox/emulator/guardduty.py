"""A small GuardDuty control plane: what Terraform's resources and a responder call, with state per
account and Region.

Real behaviour kept: one detector per account and Region, features merged by name (moto replaces the
list), an unknown detector is a BadRequestException, a detector with members cannot be deleted. The
organization's side is in guardduty_organization, what hangs under a detector in guardduty_children.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from . import guardduty_children, guardduty_detectors, guardduty_organization
from .guardduty_features import Refused
from .guardduty_plane import LOCK, ApiError, Call, Handler, Plane, plane_of
from .http_responses import Response, json_response

_ROUTES = [
    *guardduty_detectors.ROUTES,
    *guardduty_children.ROUTES,
    *guardduty_organization.ROUTES,
]


def _refusal(message: str, code: str = "BadRequestException", status: int = 400) -> Response:
    document = {"message": message, "__type": code}
    return json_response(status, document, {"x-amzn-errortype": code})


def _answer(handler: Handler, plane: Plane, read_call: Callable[[], Call]) -> Response:
    try:
        with LOCK:
            return json_response(200, handler(plane, read_call()))
    except Refused as error:
        return _refusal(str(error))
    except ApiError as error:
        return _refusal(str(error), error.code, error.status)
    except (KeyError, ValueError) as error:
        return _refusal(
            f"The request is rejected because a parameter is missing or malformed: {error}."
        )


def handle(
    method: str,
    path: str,
    body: bytes,
    query: dict[str, list[str]],
    account: str,
    region: str,
) -> Response:
    """Answer a GuardDuty request of an account in a Region."""
    for route in _ROUTES:
        found = route.pattern.match(path)
        if found and method in route.methods:
            segments = found.groupdict()

            def read_call(segments: dict[str, str] = segments) -> Call:
                return Call(method, json.loads(body or b"{}"), query, segments)

            return _answer(route.handler, plane_of(account, region), read_call)
    return _refusal(f"no route {method} {path}", "NotFoundException", 404)
