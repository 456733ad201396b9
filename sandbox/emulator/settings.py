"""Settings of the emulator processes, from the environment; the clock can be changed while they
run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields


def _float(name: str, default: float) -> float:
    return float(os.environ.get(name, str(default)))


@dataclass
class Clock:
    """How much faster than AWS time passes: 1 is real time, 0.05 twenty times faster.

    ``waits``: Wait states and retries. ``timeouts``: time-outs of executions and of tasks that wait
    for a token. ``rates``: ``rate(...)`` schedules up to ten minutes, ``long_rates``: longer ones.
    ``trail``: 0 keeps CloudTrail's events from EventBridge, as in an account without a trail.
    ``lag``: seconds until LookupEvents shows an event; ``lookups``: its calls a second in an
    account and Region (0: as many as one likes).
    """

    waits: float = field(default_factory=lambda: _float("SANDBOX_WAIT_SCALE", 1))
    timeouts: float = field(default_factory=lambda: _float("SANDBOX_TIMEOUT_SCALE", 1))
    rates: float = field(default_factory=lambda: _float("SANDBOX_RATE_SCALE", 1))
    long_rates: float = field(default_factory=lambda: _float("SANDBOX_RATE_SCALE", 1))
    trail: float = 1
    lag: float = 0
    lookups: float = 2

    def update(self, values: dict[str, float]) -> None:
        """Change some of the scales; ValueError names an unknown or negative one."""
        known = {item.name for item in fields(self)}
        for name, value in values.items():
            if name not in known or not isinstance(value, (int, float)) or value < 0:
                raise ValueError(
                    f"The clock has {', '.join(sorted(known))} (numbers, 0 or more), not"
                    f" {name}={value!r}."
                )
        for name, value in values.items():
            setattr(self, name, float(value))


CLOCK = Clock()
MOTO_URL = os.environ.get("SANDBOX_MOTO_URL", "")
GATEWAY_URL = os.environ.get("SANDBOX_GATEWAY_URL", "")
SECURITY_ACCOUNT = os.environ.get("MINISTACK_ACCOUNT_ID", "111111111111")
ORGANIZATION_ID = os.environ.get("SANDBOX_ORGANIZATION_ID", "o-sandbox001")
ORGANIZATION_ACCOUNTS = frozenset(
    os.environ.get("SANDBOX_ACCOUNTS", "111111111111 222222222222 333333333333").split()
)
MANAGEMENT_ACCOUNT = os.environ.get("SANDBOX_MANAGEMENT_ACCOUNT", "999999999999")
# Regions the accounts have enabled; the first has the events of global services.
REGIONS = os.environ.get("SANDBOX_REGIONS", "us-east-1 eu-west-1").split()
# Services MiniStack lacks or serves thinly; moto has them.
MOTO_SERVICES = frozenset(
    {
        "ec2",
        "ssm",
        "autoscaling",
        "elasticloadbalancing",
        "organizations",
        "monitoring",
        "securityhub",
    }
)
