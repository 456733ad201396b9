"""Calls from MiniStack's process to moto's: forwarded AWS requests, and facts about EC2
resources for IAM.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from typing import Any, TypedDict

from . import settings
from .http_responses import Response


class Fact(TypedDict, total=False):
    """What moto's process tells of a resource; ``resources`` are those an association is about."""

    tags: dict[str, str]
    arn: str
    vpc: str
    subnet: str
    profile: str | None
    volumes: list[str]
    resources: list[str]


_HOP = {"content-length", "connection", "expect", "transfer-encoding"}
_KEPT = {"content-type", "x-amzn-requestid", "x-amzn-errortype", "smithy-protocol"}


def _request(method: str, target: str, headers: dict[str, str], body: bytes | None) -> Response:
    address = urllib.parse.urlsplit(settings.MOTO_URL)
    connection = http.client.HTTPConnection(
        address.hostname or "127.0.0.1", address.port, timeout=60
    )
    try:
        connection.request(method, target, body=body or None, headers=headers)
        answer = connection.getresponse()
        kept = {key: value for key, value in answer.getheaders() if key.lower() in _KEPT}
        return answer.status, kept, answer.read()
    finally:
        connection.close()


def forward(
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    params: dict[str, Any],
    account: str,
) -> Response:
    """Send one AWS request to moto as the caller's account."""
    query = (
        urllib.parse.urlencode(params, doseq=True) if params and method in ("GET", "DELETE") else ""
    )
    sent = {key: value for key, value in headers.items() if key.lower() not in _HOP}
    sent["x-moto-account-id"] = account
    target = urllib.parse.quote(path, safe="/%:@+~,=") + ("?" + query if query else "")
    return _request(method, target, sent, body)


def facts(account: str, region: str, names: list[str]) -> dict[str, Fact]:
    """Return what moto knows about resources, by id: ``{"tags": {...}, "vpc": id, "instance": id,
    "volumes": [...]}``.

    Unknown ids are absent. ``names`` may hold EC2 ids, ``asg:<name>`` and ``tg:<arn>``.
    """
    if not names:
        return {}
    query = urllib.parse.urlencode({"account": account, "region": region, "id": names}, doseq=True)
    status, _, body = _request("GET", f"/_sandbox/facts?{query}", {}, None)
    if status != 200:
        return {}
    found: dict[str, Fact] = json.loads(body)
    return found
