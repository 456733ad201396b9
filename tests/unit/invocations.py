"""Keeps which functions the functions invoke, and with what."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from guardduty_response.aws import clients

Json = dict[str, Any]


def catch_invocations(caught: list[tuple[str, Json]]) -> None:
    """Keeps what the functions invoke as events, instead of sending it."""

    def keep(params: Json, **_: Any) -> tuple[Any, Json]:
        assert params["headers"]["X-Amz-Invocation-Type"] == "Event"
        function = unquote(params["url_path"].split("/")[3])
        caught.append((function, json.loads(params["body"])))
        return SimpleNamespace(status_code=202), {"StatusCode": 202}

    events = clients.client("lambda").meta.events
    events.unregister("before-call.lambda.Invoke", unique_id="caught")
    events.register("before-call.lambda.Invoke", keep, unique_id="caught")
