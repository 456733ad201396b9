"""The remediate function: undoes what a contained principal did, where that can be undone again;
only where switched on.
"""

from __future__ import annotations

import os

from guardduty_response.containment.contract import Json, load_eradicator
from guardduty_response.errors import ResponseError
from guardduty_response.functions import runtime, steps


def _work(event: Json) -> Json:
    if event.get("verb") != "remediate":
        raise ResponseError(
            f"the remediate function knows no verb {event.get('verb')!r}; it knows remediate"
        )
    return steps.phase(event, load_eradicator(os.environ["GDR_PLAYBOOK"]).eradicate, "finish")


handler = runtime.entry(_work)
