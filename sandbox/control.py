"""The emulator's control paths, asked from outside (emulator/control.py answers)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from .settings import PATIENCE, SandboxError


def ask(endpoint: str, method: str, name: str, data: object = None) -> Any:
    """Make one request and return its answer. SandboxError with the emulator's sentence when it
    refuses.
    """
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(f"{endpoint}/_sandbox/{name}", data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SandboxError(
            f"The emulator refused {method} {name}: {error.read().decode('utf-8', 'replace')}"
        ) from None
