"""Lets reads answer as before a write, for some seconds after it: AWS is eventually consistent.

Sources: EC2 Developer Guide, "Eventual consistency in the Amazon EC2 API"; IAM User Guide,
"Changes that I make are not always immediately visible". A read that was asked before a write that
names something of it (in the request or in its answer) is answered as then, until ``seconds`` have
passed since that write; any other read is answered as things are. AWS answers so now and then;
here it always does. Knows nothing of HTTP: the unit tests use it too.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Answer = TypeVar("Answer")
_ID = re.compile(r"[a-z]{1,9}(?:-[a-z]{2,7})?-[0-9a-f]{8,17}")
# Parameters whose values name what a call changes, where that has no id.
_NAMING = ("RoleName", "UserName", "GroupName", "InstanceProfileName")


def names_in(parameters: Iterable[tuple[str, str]]) -> set[str]:
    """Return ids and names that a request is about."""
    return {
        value for name, value in parameters if value and (name in _NAMING or _ID.fullmatch(value))
    }


@dataclass
class _Known(Generic[Answer]):
    """A read's answer, and the same in words; ``changed``: when a write named something of it
    first.
    """

    answer: Answer
    text: str
    changed: float | None = None


class StaleReads(Generic[Answer]):
    """The reads of one emulator; thread-safe. ``scope``: service, account and Region."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = 0.0
        self.hits = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], _Known[Answer]] = {}
        self._writes: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget every answer, and answer as things are."""
        with self._lock:
            self._known.clear()
            self.seconds = 0.0

    def begin(self, scope: str) -> int:
        """Return what ``answer`` is given with the answer of a read that begins now."""
        return self._writes[scope]

    def write(self, scope: str, names: set[str]) -> None:
        """Note a write of things with these names, before it is done."""
        now = self._clock()
        with self._lock:
            self._writes[scope] += 1
            for (place, request), known in self._known.items():
                if place != scope or known.changed is not None:
                    continue
                if any(name in request or name in known.text for name in names):
                    known.changed = now

    def answer(self, scope: str, request: str, fresh: Answer, text: str, begun: int) -> Answer:
        """Return what a read is answered: ``fresh``, or the answer before a write.

        ``text``: the fresh answer in words. An answer during which something was written is not
        kept: it may be of before or of after. ``hits`` counts what was answered otherwise than it
        is.
        """
        key = scope, request
        with self._lock:
            known = self._known.get(key)
            if known and known.changed is not None:
                if self._clock() - known.changed < self.seconds:
                    self.hits += known.text != text
                    return known.answer
                del self._known[key]
            if begun == self._writes[scope]:
                self._known[key] = _Known(fresh, text)
            return fresh
