"""moto answers a client's reads as before a write, for a while: sandbox/emulator/stale_reads.py."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel

from sandbox.emulator.manners import reads
from sandbox.emulator.stale_reads import StaleReads, names_in

# Status and parsed body of an answer.
Answer = tuple[int, dict[str, Any]]


def answer_late(client: Any, stale: StaleReads[Answer]) -> None:
    """Lets the client see changes late. Other clients see everything as it is."""
    service = client.meta.service_model.service_name
    if service not in ("ec2", "iam"):
        return
    local = threading.local()

    def before(model: OperationModel, params: dict[str, Any], **_: object) -> None:
        request = sorted((name, str(value)) for name, value in params["body"].items())
        local.request = repr(request)
        if reads(model.name):
            local.begun = stale.begin(service)
        else:
            stale.write(service, names_in(request))

    def after(
        http_response: AWSResponse, parsed: dict[str, Any], model: OperationModel, **_: object
    ) -> None:
        if not reads(model.name):
            return
        said = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
        fresh = http_response.status_code, copy.deepcopy(parsed)
        text = json.dumps(said, default=str, sort_keys=True)
        status, shown = stale.answer(service, local.request, fresh, text, local.begun)
        http_response.status_code = status
        parsed.clear()
        parsed.update(copy.deepcopy(shown))

    client.meta.events.register("before-call", before)
    client.meta.events.register("after-call", after)
