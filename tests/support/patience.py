"""How long a test waits for what shall come.

Where all is well, waiting longer costs nothing; a slow machine, or one that does much else, takes
its time. What must not come, and what the response itself limits, has times of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sandbox.settings import PATIENCE

__all__ = ["PATIENCE", "until", "within"]
T = TypeVar("T")
_PAUSE = 0.05
_SHARE = 0.04  # of the time waited so far: what takes long is looked at less often


def until(there: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Returns what ``there`` returns once it is true.

    ``what``: what is waited for, as a clause. AssertionError says it after ``seconds``.
    """
    found = within(there, seconds)
    assert found, f"Waited {seconds:.0f} s and did not see that {what}."
    return found


def within(there: Callable[[], T], seconds: float) -> T:
    """Returns what ``there`` returns once it is true; the last value after ``seconds``."""
    start = time.monotonic()
    while not (found := there()) and (waited := time.monotonic() - start) < seconds:
        time.sleep(max(_PAUSE, _SHARE * waited))
    return found
