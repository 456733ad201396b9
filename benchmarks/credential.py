"""How long until a user's credentials are dead, with 80 ms injected into every AWS call (on
moto).
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from typing import Any

from .measure import ROOT, Figure, environment

LATENCY = 0.08  # seconds a call
USER: dict[str, Any] = {"keys": 2, "console": True, "mfa": ("new",), "ssh": True, "service": True}
ENDED = (
    "AttachUserPolicy",
    "UpdateAccessKey",
    "DeleteLoginProfile",
    "DeactivateMFADevice",
    "UpdateSSHPublicKey",
    "UpdateServiceSpecificCredential",
)


def _lab() -> None:
    sys.path[:0] = [str(ROOT / "lambda_src")]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(environment())


def _once() -> dict[str, float]:
    """Seconds from the call of contain until everything is denied and until the last credential is
    dead, and round trips after AssumeRole until then.
    """
    import pytest
    from guardduty_response.aws import clients
    from guardduty_response.cloudtrail import query
    from guardduty_response.playbooks.iam_principal import playbook
    from moto import mock_aws
    from moto.core.botocore_stubber import BotocoreStubber

    from tests.unit.playbooks.iam_principal.eradication_lab import one_at_a_time
    from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, REGION, IamLab
    from tests.unit.playbooks.iam_principal.iam_moto import extend

    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        extend(monkeypatch)
        monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time())
        monkeypatch.setattr(query, "PAUSE_SECONDS", 0)
        monkeypatch.setattr(random, "uniform", lambda *_: 0.0)
        clients.client.cache_clear()
        clients._own.cache_clear()
        lab = IamLab().build().user(**USER)
        target = lab.plan()
        lab.latency, lab.calls = LATENCY, []
        start = time.monotonic()
        playbook.contain(lab.context(), target)
        lab.latency, made = 0.0, list(lab.calls)
        _dead(lab.dump(), DENY_ALL)
        assumed = min(c.end for c in made if c.operation == "AssumeRole")
        ended = [c for c in made if c.operation in ENDED]
        [denied] = [c for c in ended if c.operation == "AttachUserPolicy"]
        return {
            "denied": denied.end - start,
            "dead": max(c.end for c in ended) - start,
            "denied_rounds": _rounds(made, assumed, denied),
            "dead_rounds": max(_rounds(made, assumed, c) for c in ended),
        }


def _dead(found: dict[str, Any], deny_all: str) -> None:
    """Read by other clients. Raises RuntimeError."""
    switched = {state for kind in ("keys", "ssh", "service") for state in found[kind].values()}
    if (
        found["attached"] != {deny_all}
        or switched != {"Inactive"}
        or found["password"]
        or found["mfa"]
    ):
        raise RuntimeError(f"not contained: {found}")


def _rounds(calls: list[Any], after: float, last: Any) -> int:
    """The longest chain of calls begun after ``after``, each begun when the one before had
    ended, that leads to ``last``.
    """
    depth: dict[int, int] = {}
    for call in sorted((c for c in calls if c.start >= after and c.end), key=lambda c: c.start):
        depth[id(call)] = 1 + max(
            (depth[id(c)] for c in calls if id(c) in depth and c.end <= call.start), default=0
        )
    return depth[id(last)]


def credential(runs: int) -> list[Figure]:
    _lab()
    got = [_once() for _ in range(runs)]
    note = (
        f"{int(LATENCY * 1000)} ms injected per call; two keys, console, new MFA device, SSH key,"
        " service-specific credential"
    )

    def median(name: str) -> float:
        return statistics.median(one[name] for one in got)

    def worst(name: str) -> float:
        return max(one[name] for one in got)

    return [
        Figure(
            "everything denied to a user",
            median("denied"),
            "s",
            0.35,
            f"AssumeRole included, clients of sts and dynamodb warm; median of {runs}; {note}",
        ),
        Figure(
            "round trips until everything is denied",
            worst("denied_rounds"),
            "",
            2,
            f"after AssumeRole; worst of {runs}",
        ),
        Figure(
            "every credential of a user dead",
            median("dead"),
            "s",
            1.0,
            f"as above; median of {runs}",
        ),
        Figure(
            "round trips until every credential is dead",
            worst("dead_rounds"),
            "",
            6,
            f"after AssumeRole; worst of {runs}",
        ),
    ]
