"""Answer what a plan asks AWS without an account: sts:GetCallerIdentity, and whether the definition
of a state machine is valid, which the provider asks where a plan knows the definition.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::{0}:root</Arn><UserId>{0}</UserId>
<Account>{0}</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("X-Amz-Target") == "AWSStepFunctions.ValidateStateMachineDefinition":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"result": "OK", "diagnostics": [], "truncated": false}')
            return
        known = b"GetCallerIdentity" in body
        account = (
            self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        )
        self.send_response(200 if known else 501)
        self.end_headers()
        self.wfile.write(_IDENTITY.format(account).encode() if known else b"")

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def identity() -> Iterator[str]:
    """The URL of a server that knows who is calling (an account's id is its access key), and
    nothing else.
    """
    yield _identity_server()


@functools.cache
def _identity_server() -> str:
    # One for the whole test process, so that one provider process serves all who ask it.
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
