"""How many state transitions an incident takes, by a walk through the machine's definition with
what the phases answer.

``incident.py`` counts those of an instance in the sandbox. A principal waits twenty minutes there.
"""

from __future__ import annotations

from typing import Any

from .measure import Figure, prepare_process

# The phases' answers, in their order (functions/steps.py). An instance waits for its snapshots.
DONE: dict[str, Any] = {"done": True, "wait_seconds": 0, "next": "close"}
FINISH = {**DONE, "next": "finish"}
WAIT = {**DONE, "done": False, "wait_seconds": 60}
ERADICATE = {**DONE, "next": "remediate"}
LIST_AGAIN = {**DONE, "next": "collect"}
CASES: dict[str, tuple[dict[str, list[dict[str, Any]]], int]] = {
    "an instance": ({"collect": [DONE]}, 16),
    "an instance, with a further look at its snapshots": ({"collect": [WAIT, DONE]}, 20),
    "a principal, listed twice": ({"collect": [WAIT, FINISH]}, 22),
    "a principal, listed and eradicated twice": (
        {"collect": [ERADICATE, WAIT, ERADICATE], "remediate": [LIST_AGAIN, FINISH]},
        28,
    ),
}


def count(phases: dict[str, list[dict[str, Any]]]) -> int:
    """Count the states that an ``auto`` incident enters whose phases answer so."""
    from tests.unit.functions.machine_walk import walk_incident

    walk, _ = walk_incident(**phases)
    return len(walk.entered)


def transitions() -> list[Figure]:
    """Return the figures, each with its limit; docs/costs.md has them."""
    prepare_process()
    return [
        Figure(
            f"state transitions of {case}",
            count(phases),
            "",
            limit,
            "states entered in the definition, by what the phases answer; no retries",
        )
        for case, (phases, limit) in CASES.items()
    ]
