"""How AWS behaves under load and across its copies: throttling, conflicts, stale reads.

``POST /_sandbox/manners {"throttle": 1, "conflicts": 5, "stale_seconds": 3}`` switches them on,
``GET`` shows them and how often each was met, ``DELETE`` ends them. An account's root user meets
none of it and sees everything as it is: those are the eyes of tests, and Terraform's.

- ``throttle``: token buckets of EC2 and IAM, with that share of AWS's size and rate (1: AWS's own).
  LookupEvents has its rate always (settings.Clock.lookups).
- ``conflicts``: every so many-th change in IAM is refused with ConcurrentModification.
- ``stale_seconds``: see stale_reads.py.
"""

from __future__ import annotations

import fnmatch
import re
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

from .http_responses import Response
from .stale_reads import StaleReads, names_in

READS = ("Describe", "Get", "List", "Search", "Lookup", "Simulate")
STALE = ("ec2", "iam")  # services whose reads may be stale
_REQUEST_ID = re.compile(r"<[rR]equestId>[^<]*</[rR]equestId>")


class Bucket(NamedTuple):
    """Tokens a bucket holds, and how many come back a second."""

    size: float
    rate: float


class Limit(NamedTuple):
    """The buckets of calls: each call has its own in an account and Region."""

    service: str
    call: str
    bucket: Bucket
    error: str


# EC2 Developer Guide, "Request throttling for the Amazon EC2 API": each call has its own bucket in
# an account and Region; those that only read hold 100 tokens, 20 come back a second. Calls that
# change something have less (50 and 5). AWS publishes no rate of IAM's: these are assumed.
LIMITS = (
    *(Limit("ec2", f"{verb}*", Bucket(100, 20), "RequestLimitExceeded") for verb in READS),
    Limit("ec2", "*", Bucket(50, 5), "RequestLimitExceeded"),
    *(Limit("iam", f"{verb}*", Bucket(50, 20), "Throttling") for verb in READS),
    Limit("iam", "*", Bucket(25, 5), "Throttling"),
)
_MESSAGES = {
    "RequestLimitExceeded": "Request limit exceeded.",
    "Throttling": "Rate exceeded",
    "ConcurrentModification": (
        "Request was unable to complete because another request was changing the same entity."
    ),
}


class Refusal(NamedTuple):
    """An error that a call meets."""

    code: str
    message: str
    status: int


def reads(action: str) -> bool:
    """Tell whether a call changes nothing."""
    return action.startswith(READS)


def as_it_is(response: Response) -> Response:
    """Return the answer of a call as it is."""
    return response


def _text(response: Response) -> str:
    body: bytes | str = response[2]
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return _REQUEST_ID.sub("", text)


def _tells(status: int, text: str) -> bool:
    """Tell whether an answer says what is there, or that something is not."""
    return status == 200 or "NoSuchEntity" in text or ".NotFound" in text


class Manners:
    """The manners of one emulator process; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.stale: StaleReads[Response] = StaleReads(clock)
        self._tokens: dict[tuple[str, ...], tuple[float, float]] = {}
        self._changes = 0
        self.throttle, self.conflicts = 0.0, 0
        self.throttled = self.conflicted = 0

    def update(self, wanted: dict[str, Any]) -> dict[str, float]:
        """Switch manners on or off; ValueError names an unknown one or a value below 0."""
        known = self.shown()
        for name, value in wanted.items():
            if name not in known or name.startswith("met_"):
                raise ValueError(
                    f"There is no manner {name}; there are throttle, conflicts, stale_seconds."
                )
            if not isinstance(value, (int, float)) or value < 0:
                raise ValueError(f"{name} must be a number, 0 or more, not {value!r}.")
        with self._lock:
            self.throttle = float(wanted.get("throttle", self.throttle))
            self.conflicts = int(wanted.get("conflicts", self.conflicts))
            self.stale.seconds = float(wanted.get("stale_seconds", self.stale.seconds))
            self._tokens.clear()
        return self.shown()

    def clear(self) -> None:
        """End all manners; the counts of what was met stay."""
        self.stale.clear()
        self.update({"throttle": 0, "conflicts": 0})

    def shown(self) -> dict[str, float]:
        """Return what is on, and how often each was met since the emulator started."""
        return {
            "throttle": self.throttle,
            "conflicts": self.conflicts,
            "stale_seconds": self.stale.seconds,
            "met_throttle": self.throttled,
            "met_conflicts": self.conflicted,
            "met_stale": self.stale.hits,
        }

    def refusal(self, service: str, action: str, account: str, region: str) -> Refusal | None:
        """Return the error this call meets, or None."""
        with self._lock:
            error = self._throttled(service, action, account, region)
            if error:
                self.throttled += 1
                return Refusal(error, _MESSAGES[error], 503 if service == "ec2" else 400)
            if self._conflicts(service, action):
                self.conflicted += 1
                name = "ConcurrentModification"
                return Refusal(name, _MESSAGES[name], 409)
        return None

    def watch(
        self, service: str, action: str, account: str, region: str, body: bytes
    ) -> Callable[[Response], Response]:
        """Note a call that begins; return what makes the answer to be given of its own answer."""
        if not self.stale.seconds or service not in STALE:
            return as_it_is
        parameters = urllib.parse.parse_qsl(body.decode("utf-8", "replace"))
        scope = f"{service} {account} {region if service == 'ec2' else ''}"
        if not reads(action):
            self.stale.write(scope, names_in(parameters))
            return as_it_is
        request, begun = repr(sorted(parameters)), self.stale.begin(scope)

        def late(response: Response) -> Response:
            text = _text(response)
            if not _tells(response[0], text):
                return response
            return self.stale.answer(scope, request, response, text, begun)

        return late

    def _throttled(self, service: str, action: str, account: str, region: str) -> str:
        if not self.throttle:
            return ""
        for limit in LIMITS:
            if limit.service == service and fnmatch.fnmatchcase(action, limit.call):
                place = "" if service == "iam" else region
                return "" if self._take(limit, (service, action, account, place)) else limit.error
        return ""

    def _take(self, limit: Limit, key: tuple[str, ...]) -> bool:
        """Take a token of a bucket that fills all the time; False: it is empty."""
        size = max(1.0, limit.bucket.size * self.throttle)
        now = self._clock()
        tokens, at = self._tokens.get(key, (size, now))
        tokens = min(size, tokens + (now - at) * limit.bucket.rate * self.throttle)
        self._tokens[key] = (max(0.0, tokens - 1) if tokens >= 1 else tokens, now)
        return tokens >= 1

    def _conflicts(self, service: str, action: str) -> bool:
        if not self.conflicts or service != "iam" or reads(action):
            return False
        self._changes += 1
        return self._changes % self.conflicts == 0


MANNERS = Manners()
