"""Answers of the sandbox's own HTTP paths, in the shape that MiniStack's application returns."""

from __future__ import annotations

import json
from collections.abc import Mapping

# Status, headers, body.
Response = tuple[int, dict[str, str], bytes]


def json_response(status: int, data: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``data`` as JSON with a status, and further headers."""
    return (
        status,
        {"Content-Type": "application/json", **(headers or {})},
        json.dumps(data).encode(),
    )
