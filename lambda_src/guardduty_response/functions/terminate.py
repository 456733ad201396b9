"""The terminate function: the only step that cannot be undone.

It has a function and a role of its own, and is deployed only where switched on.
"""

from __future__ import annotations

import os

from guardduty_response.containment.contract import load_terminator
from guardduty_response.functions import runtime, steps


def _terminate(event: runtime.Payload) -> steps.PhaseAnswer:
    return steps.phase(event, load_terminator(os.environ["GDR_PLAYBOOK"]).terminate)


handler = runtime.dispatch("terminate", {"terminate": _terminate})
