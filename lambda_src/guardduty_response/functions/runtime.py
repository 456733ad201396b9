"""What every handler does around its work: one structured log line, and errors sorted into
'repeat' and 'tell a person'.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from guardduty_response.aws.errors import is_transient
from guardduty_response.errors import TransientError

Json = dict[str, Any]


def log(message: str, **fields: Any) -> None:
    """One JSON line; never a finding's content (log groups are read by more people than evidence
    is).
    """
    print(json.dumps({"message": message, **fields}, default=str))


def entry(work: Callable[[Json], Json]) -> Callable[[Json, Any], Json]:
    """A Lambda handler from ``work``. Raises TransientError where the state machine shall
    repeat.
    """

    def handler(event: Json, _context: Any = None) -> Json:
        started = time.monotonic()
        fields = {
            "verb": event.get("verb"),
            "incident_id": event.get("incident_id"),
            "attempt": event.get("attempt"),
        }
        try:
            result = work(event)
        except Exception as error:
            log(
                "failed",
                **fields,
                error=type(error).__name__,
                detail=str(error)[:500],
                ms=_ms(started),
            )
            if is_transient(error):
                raise TransientError(str(error)) from error
            raise
        log("done", **fields, ms=_ms(started))
        return result

    return handler


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
