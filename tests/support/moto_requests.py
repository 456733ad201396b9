"""Hands a call to moto without looking for its service among all that moto has, each time.

moto matches the address of every request with the patterns of its 200 services, and builds the
request by way of a client for tests of web applications: a tenth of the unit tests' time. What is
not a plain call to a service's root (S3, Lambda) is built as moto does it.
"""

from __future__ import annotations

import importlib
import io
from typing import Any
from urllib.parse import urlsplit

_request: Any = importlib.import_module("moto.core.request")
_backend: Any = importlib.import_module("moto.core.base_backend")
_index: Any = importlib.import_module("moto.backend_index")

_make = _request.Request.from_primitives
_urls: Any = _backend.BaseBackend.urls.fget
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


def hasten(*services: str) -> None:
    """Puts all of it in place, in this process. ``services``: those to look for first."""
    _index.backend_url_patterns.sort(key=lambda pattern: pattern[0] not in services)
    _backend.BaseBackend.urls = property(_urls_of)
    _request.Request.from_primitives = plain
