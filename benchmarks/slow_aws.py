"""moto behind a local port, each call as slow as a call over the network, and each one noted."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# The Regions that an account has without opting in.
REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-south-1", "ap-southeast-1", "ap-southeast-2"),
)
# What moto lacks: CloudTrail shows nothing, and these Regions are enabled.
ANSWERS: dict[str, Any] = {
    "LookupEvents": {"Events": []},
    "POST /listRegions": {"Regions": [{"RegionName": name} for name in REGIONS]},
}
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


@dataclass(frozen=True)
class Call:
    """One call as the server saw it: moments of time.monotonic()."""

    operation: str
    start: float
    end: float


class SlowAws:
    """A WSGI application: answers each call ``latency`` seconds after it came, or later if moto
    needs longer. ``table_latency``: the same for calls of DynamoDB.

    moto works on one call at a time, because it is not safe for threads; the calls wait side by
    side.
    """

    def __init__(self, moto: Application, latency: float) -> None:
        self.latency = self.table_latency = latency
        self.calls: list[Call] = []
        self.endpoint = ""
        self._moto = moto
        self._turn = threading.RLock()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        start = time.monotonic()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        known = ANSWERS.get(_operation(environ, body))
        if known is not None:
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            answer = [json.dumps(known).encode()]
        else:
            with self._turn:
                answer = list(self._moto(environ, start_response))
        of_table = environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB")
        latency = self.table_latency if of_table else self.latency
        time.sleep(max(0.0, start + latency - time.monotonic()))
        self.calls.append(Call(_operation(environ, body), start, time.monotonic()))
        return answer


def _operation(environ: Environ, body: bytes) -> str:
    """Name the operation as the service's protocol tells it; of S3, the method."""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return str(target).rpartition(".")[2]
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    action = urllib.parse.parse_qs(body.decode()).get("Action") if form else None
    return action[0] if action else f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


@contextmanager
def serving(latency: float) -> Iterator[SlowAws]:
    """Serve moto's state of this process on a free port of the loopback interface."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it writes a line for each call
    application = SlowAws(DomainDispatcherApplication(create_backend_app), latency)
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler
    )
    application.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield application
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
