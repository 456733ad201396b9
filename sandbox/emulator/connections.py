"""MiniStack's server keeps its connections open, as AWS's endpoints do for far longer."""

from __future__ import annotations

from typing import Any

from hypercorn.config import Config

from .patching import replace

_DAY = 86_400

# Idle connections stay open: closing one while a request comes in costs it its answer, and the
# client repeats it.
_always_a_day: Any = property(lambda _: _DAY, lambda *_: None)
replace(
    Config,
    "keep_alive_timeout",
    _always_a_day,
    restores="connections are not cut between two calls of one client",
)
replace(
    Config,
    "keep_alive_max_requests",
    10**9,
    restores="connections are not cut after a thousand calls",
)
replace(Config, "backlog", 1024, restores="several providers may connect at the same moment")
