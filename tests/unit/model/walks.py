"""Walks through a model's rules at random."""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def walk(
    model: type[RuleBasedStateMachine], examples: int, steps: int, seed: int | None = None
) -> None:
    """Walks ``examples`` times, ``steps`` rules each: without a seed, the same walks each time."""
    run_state_machine_as_test(
        model if seed is None else hypothesis.seed(seed)(model),
        settings=settings(
            max_examples=examples,
            derandomize=seed is None,
            stateful_step_count=steps,
            deadline=None,
            database=None,  # a failure of one seed is not to be every seed's
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
