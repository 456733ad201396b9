"""Hands a call to moto without looking for its service among all that moto has, each time.

moto matches the address of every request with the patterns of its 200 services, and builds the
request by way of a client for tests of web applications: a tenth of the unit tests' time. Who
answers at a service's root is looked for once. What is not a plain call to it (S3, Lambda) is built
and answered as moto does it.
"""

from __future__ import annotations

import functools
import importlib
import io
import re
from typing import Any
from urllib.parse import urlsplit

_stubber: Any = importlib.import_module("moto.core.botocore_stubber")
_backends: Any = importlib.import_module("moto.backends")
_exceptions: Any = importlib.import_module("moto.core.exceptions")
_request: Any = importlib.import_module("moto.core.request")
_backend: Any = importlib.import_module("moto.core.base_backend")
_index: Any = importlib.import_module("moto.backend_index")

_make = _request.Request.from_primitives
_urls: Any = _backend.BaseBackend.urls.fget
_DEFAULT_ACCOUNT = importlib.import_module("moto.core").DEFAULT_ACCOUNT_ID
_process = _stubber.BotocoreStubber.process_request
_ROOT = re.compile(r"https://[a-z0-9.-]+\.amazonaws\.com/")
_known: dict[type, dict[str, Any]] = {}
_ERRORS = io.StringIO()


def plain(method: str, url: str, headers: Any, body: Any = None) -> Any:
    """Returns moto's request of a POST to a service's root, as ``Request.from_primitives`` makes
    it; anything else it makes itself.
    """
    parts = urlsplit(url)
    if method != "POST" or parts.path != "/" or parts.query or not isinstance(body, (str, bytes)):
        return _make(method, url, headers, body)
    content = body.encode() if isinstance(body, str) else body
    environ: dict[str, Any] = {
        "HTTP_HOST": parts.netloc,
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "RAW_URI": "/",
        "REQUEST_METHOD": method,
        "REQUEST_URI": "/",
        "SCRIPT_NAME": "",
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or {"http": 80}.get(parts.scheme, 443)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.errors": _ERRORS,
        "wsgi.input": io.BytesIO(content),
        "wsgi.multiprocess": False,
        "wsgi.multithread": False,
        "wsgi.run_once": False,
        "wsgi.url_scheme": parts.scheme,
        "wsgi.version": (1, 0),
        _request.PRESERVED_HEADER_NAMES_ENVIRON_KEY: {},
    }
    for key, value in headers.items():
        if key.lower() != "transfer-encoding":
            text = value.decode() if isinstance(value, bytes) else value
            environ[_request.environ_key_for_header(key)] = text
    environ["CONTENT_LENGTH"] = str(len(content))
    return _request.Request(environ)


def _urls_of(backend: Any) -> dict[str, Any]:
    """Returns which function answers which address: that depends on the service alone."""
    kind = type(backend)
    if kind not in _known:
        _known[kind] = _urls(backend)
    return _known[kind]


def _answer(stubber: Any, request: Any) -> Any:
    """Answers a call as moto does, without looking for who answers each time."""
    url = request.url
    answering = None
    if request.method == "POST" and _ROOT.fullmatch(url):
        answering = _found(url)
    if answering is None:
        return _process(stubber, request)
    made = _request.normalize_request(request)
    try:
        return answering(made, url, made.headers)
    except _exceptions.HTTPException as error:
        return error.code, error.get_headers(), error.get_body()


@functools.cache
def _found(url: str) -> Any:
    """Returns which function of moto answers at an address, as moto looks for it; None: none."""
    for service, pattern in _index.backend_url_patterns:
        if not pattern.match(url):
            continue
        accounts = _backends.get_backend(service)
        if not isinstance(accounts, _backend.BackendDict):
            return None
        regions = accounts[_DEFAULT_ACCOUNT]
        urls = regions["us-east-1" if "us-east-1" in regions else "aws"].urls
        for address, answering in urls.items():
            if re.match(address, url):
                return answering
    return None


def hasten() -> None:
    """Puts all of it in place, in this process."""
    _backend.BaseBackend.urls = property(_urls_of)
    _request.Request.from_primitives = plain
    _stubber.BotocoreStubber.process_request = _answer
