"""Faults that tests ask for: throttling, refusals and latency, per service and action.

``POST /_sandbox/faults {"service": "ec2", "action": "CreateSnapshots", "error":
"RequestLimitExceeded", "count": 3}`` adds one, ``GET`` lists them with their hits, ``DELETE``
clears them.
"""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import asdict, dataclass
from typing import Any

_STATUS = {
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "InternalFailure": 500,
    "Throttling": 400,
    "ThrottlingException": 400,
    "UnauthorizedOperation": 403,
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "ConcurrentModification": 409,
    "LimitExceeded": 409,
}


@dataclass
class Fault:
    """``service`` and ``action`` are globs, ``resource`` a text the request must contain;
    ``count`` None is for ever.
    """

    service: str = "*"
    action: str = "*"
    account: str = "*"
    resource: str = ""
    error: str = ""
    message: str = ""
    status: int = 0
    latency_ms: float = 0
    count: int | None = None
    hits: int = 0

    def http_status(self) -> int:
        """Return the HTTP status the error travels with, as the service sends it."""
        return self.status or _STATUS.get(self.error, 400)


class Faults:
    """The active faults of one emulator process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, data: dict[str, Any]) -> dict[str, Any]:
        """Add a fault; ValueError says which field is unknown or what is missing."""
        unknown = set(data) - set(Fault.__dataclass_fields__)
        if unknown:
            raise ValueError(
                f"A fault has no field {', '.join(sorted(unknown))}; it has"
                f" {', '.join(Fault.__dataclass_fields__)}."
            )
        fault = Fault(**{key: value for key, value in data.items() if key != "hits"})
        if not fault.error and not fault.latency_ms:
            raise ValueError("A fault needs an error code (error) or a delay (latency_ms).")
        with self._lock:
            self._faults.append(fault)
        return asdict(fault)

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[dict[str, Any]]:
        """Return every fault with its hits, used up or not."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def match(self, service: str, action: str, account: str, request: str) -> list[Fault]:
        """Return the faults this call meets; each counts as hit. Delays add up, the first error is
        the answer.
        """
        if not self._faults:
            return []
        hit: list[Fault] = []
        with self._lock:
            for fault in self._faults:
                if fault.count is not None and fault.hits >= fault.count:
                    continue
                if not fnmatch.fnmatchcase(service, fault.service) or not fnmatch.fnmatchcase(
                    action, fault.action
                ):
                    continue
                if not fnmatch.fnmatchcase(account, fault.account) or fault.resource not in request:
                    continue
                if fault.error and any(other.error for other in hit):
                    continue
                fault.hits += 1
                hit.append(fault)
        return hit


FAULTS = Faults()
