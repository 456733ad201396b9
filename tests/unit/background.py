"""Ends a test's background calls with the test."""

from __future__ import annotations

import threading

from guardduty_response.aws import clients

from tests.support.patience import PATIENCE


def drain(timeout: float = PATIENCE) -> None:
    """Wait until nothing runs in the background any more: a late call would make its client
    without this test's credentials, and leave it to the next test.
    """
    for pool in (clients.POOL, clients.ASSUMING):
        workers = pool._max_workers
        barrier = threading.Barrier(workers)
        waits = [pool.submit(barrier.wait, timeout) for _ in range(workers)]
        for wait in waits:
            wait.exception(timeout + 1)
