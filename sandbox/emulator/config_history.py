"""AWS Config's GetResourceConfigHistory, which MiniStack lacks: nothing has been recorded."""

from __future__ import annotations

import json
from typing import Any

from .ministack import config, responses
from .patching import Original, patch


@patch(
    config,
    "handle_request",
    restores="GetResourceConfigHistory exists, and says that there is no recorder, or no resource",
)
async def handle_request(
    original: Original,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: dict[str, Any],
) -> object:
    if not headers.get("x-amz-target", "").endswith(".GetResourceConfigHistory"):
        return await original(method, path, headers, body, query)
    if not list(config._recorders.values()):
        return responses.error_response_json(
            "NoAvailableConfigurationRecorderException",
            "No customer managed configuration recorder is available.",
            400,
        )
    asked = json.loads(body)
    return responses.error_response_json(
        "ResourceNotDiscoveredException",
        f"Resource {asked['resourceId']} of resourceType:{asked['resourceType']} is unknown or has"
        " not been discovered",
        400,
    )
