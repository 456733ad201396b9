"""The terminate function: the one thing that cannot be undone, in a function and a role of its
own, only where switched on.
"""

from __future__ import annotations

import os

from guardduty_response.containment.contract import Json, load_terminator
from guardduty_response.errors import ResponseError
from guardduty_response.functions import runtime, steps


def _work(event: Json) -> Json:
    if event.get("verb") != "terminate":
        raise ResponseError(
            f"the terminate function knows no verb {event.get('verb')!r}; it knows terminate"
        )
    return steps.phase(event, load_terminator(os.environ["GDR_PLAYBOOK"]).terminate)


handler = runtime.entry(_work)
