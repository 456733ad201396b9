"""Repeats changes that AWS refused because somebody else is changing the same thing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code

# Somebody changes the same entity at this moment: AWS IAM (the first two), IAM Identity Center.
# botocore repeats none of them.
BUSY = ("ConcurrentModification", "EntityTemporarilyUnmodifiable", "Conflict")
BUSY_TRIES = 6
T = TypeVar("T")


def retry_on_conflict(call: Callable[[], T]) -> T:
    """Returns the call's answer, repeating it while somebody else changes the same entity: IAM
    refuses changes side by side.
    """
    for attempt in range(BUSY_TRIES):
        try:
            return call()
        except ClientError as error:
            if error_code(error).removesuffix("Exception") not in BUSY or attempt == BUSY_TRIES - 1:
                raise
            time.sleep(random.uniform(0.1, 0.2) * 2**attempt)  # noqa: S311  (no secret)
    raise AssertionError("unreachable")
