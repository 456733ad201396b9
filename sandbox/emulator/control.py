"""The sandbox's own paths on the endpoint (loopback only): faults, the clock, and lookups for
moto's process.

- ``POST|GET|DELETE /_sandbox/faults``: see faults.py
- ``POST|GET|DELETE /_sandbox/manners``: see manners.py
- ``POST|GET /_sandbox/clock``: see settings.Clock
- ``GET /_sandbox/profiles?account=&name=``: an instance profile of MiniStack's IAM (404 when there
is none)
- ``POST /_sandbox/roles {"account", "name", "path", "trust", "policy"}``: a role as AWS itself
makes it, also where only AWS may
- ``POST /_sandbox/sessions {"account", "role", "session"}``: credentials of a role's session as an
AWS service gets them; ``GET`` with the same in the query: the access key ids of its sessions, the
newest first
- ``POST /_sandbox/mfa {"account", "serial", "enabled"}``: since when an MFA device is enabled (ISO
time)
- ``PUT /_sandbox/findings/<detector>?account=&region=``: store a finding in the fake GuardDuty
- ``GET /_sandbox/health``: ready; lists the patches in force
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .events import in_account
from .faults import FAULTS
from .guardduty_plane import store
from .http_responses import Response, json_response
from .iam_rules import make_role, make_session, sessions
from .instance_profiles import find_profile
from .manners import MANNERS
from .ministack import iam
from .patching import PATCHES
from .settings import CLOCK


def _value(params: dict[str, Any], name: str) -> str:
    values = params.get(name) or [""]
    return str(values[0] if isinstance(values, list) else values)


def _faults(method: str, data: Any) -> Response:
    if method == "POST":
        return json_response(200, FAULTS.add(data))
    if method == "DELETE":
        FAULTS.clear()
    return json_response(200, {"faults": FAULTS.all()})


def _manners(method: str, data: Any) -> Response:
    if method == "DELETE":
        MANNERS.clear()
    return json_response(200, MANNERS.update(data) if method == "POST" else MANNERS.shown())


def _clock(method: str, data: Any) -> Response:
    if method == "POST":
        CLOCK.update(data)
    return json_response(200, asdict(CLOCK))


def _profiles(method: str, params: dict[str, Any]) -> Response:
    found = find_profile(_value(params, "account"), _value(params, "name"))
    return json_response(200 if found else 404, found or {})


def _roles(data: Any) -> Response:
    made = in_account(
        data["account"], make_role, data["name"], data["path"], data["trust"], data.get("policy")
    )
    return json_response(200, {"arn": made["Arn"], "id": made["RoleId"]})


def _sessions(method: str, params: dict[str, Any], data: Any) -> Response:
    if method == "GET":
        return json_response(
            200,
            {
                "keys": sessions(
                    _value(params, "account"), _value(params, "role"), _value(params, "session")
                )
            },
        )
    return json_response(200, make_session(data["account"], data["role"], data["session"]))


def _mfa(data: Any) -> Response:
    device = iam._mfa_devices.get_scoped(data["account"], None, data["serial"])
    if not device:
        return json_response(404, {"message": f"There is no MFA device {data['serial']}."})
    device["EnableDate"] = data["enabled"]
    return json_response(200, {})


def _health() -> Response:
    return json_response(
        200, {"patches": sorted(key for key, item in PATCHES.items() if item.enabled)}
    )


def handle(method: str, path: str, params: dict[str, Any], body: bytes) -> Response:
    """Answer one control request."""
    name = path.removeprefix("/_sandbox/")
    try:
        data = json.loads(body or b"{}")
        answers: dict[str, Callable[[], Response]] = {
            "faults": lambda: _faults(method, data),
            "manners": lambda: _manners(method, data),
            "clock": lambda: _clock(method, data),
            "profiles": lambda: _profiles(method, params),
            "health": _health,
            "roles": lambda: _roles(data),
            "sessions": lambda: _sessions(method, params, data),
            "mfa": lambda: _mfa(data),
        }
        if name in answers:
            return answers[name]()
        if name.startswith("findings/") and method == "PUT":
            store(_value(params, "account"), _value(params, "region"), name.split("/", 1)[1], data)
            return json_response(200, {})
    except (ValueError, TypeError, KeyError) as error:
        return json_response(400, {"message": str(error)})
    return json_response(404, {"message": f"The sandbox has no control path {path}."})
