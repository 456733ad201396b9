"""The remediate function: undoes, reversibly, what a contained principal did.

Deployed only where switched on.
"""

from __future__ import annotations

import os

from guardduty_response.containment.contract import load_eradicator
from guardduty_response.functions import runtime, steps


def _remediate(event: runtime.Payload) -> steps.PhaseAnswer:
    return steps.phase(event, load_eradicator(os.environ["GDR_PLAYBOOK"]).eradicate, "finish")


handler = runtime.dispatch("remediate", {"remediate": _remediate})
