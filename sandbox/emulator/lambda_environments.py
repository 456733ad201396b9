"""Patches of MiniStack's Lambda: an update of a function ends no invocation that runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from . import lambda_starts
from .ministack import lambda_runtime, lambdas
from .patching import Original, patch

_lock = threading.Lock()
_ending: list[object] = []  # environments of earlier versions in which an invocation still runs


def _set_aside(name: str) -> None:
    """Take a function's busy environments out of the pool, so that an update does not kill them."""
    with lambda_runtime._lock, _lock:
        for key, workers in lambda_runtime._workers.items():
            if name in key.split(":"):
                busy = [worker for worker in workers if worker.in_use]
                workers[:] = [worker for worker in workers if worker not in busy]
                _ending.extend(busy)


@patch(
    lambdas,
    "release_worker",
    restores="an environment of an earlier version ends when its invocation has ended",
)
def release_worker(original: Original, worker: object) -> None:
    original(worker)
    lambda_starts.no_longer_starts(worker)
    with _lock:
        ended = worker in _ending
        if ended:
            _ending.remove(worker)
    if ended:
        lambda_runtime.kill_workers([worker])


def _let_invocations_end(attribute: str) -> None:
    @patch(
        lambdas,
        attribute,
        restores="invocations that run while a function is updated end in their environment",
    )
    def update(original: Callable[..., object], name: str, data: object) -> object:
        _set_aside(name)
        return original(name, data)


for _name in ("_update_code", "_update_config"):
    _let_invocations_end(_name)
