"""How long until a user's credentials are dead, with 80 ms injected into every AWS call (on
moto).
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass
from typing import Any

from .gated import decided, gated
from .measure import Figure, prepare_process, round_trips

LATENCY = 0.08  # seconds a call
USER: dict[str, Any] = {"keys": 2, "console": True, "mfa": ("new",), "ssh": True, "service": True}
ENDING = (
    "AttachUserPolicy",
    "UpdateAccessKey",
    "DeleteLoginProfile",
    "DeactivateMFADevice",
    "UpdateSSHPublicKey",
    "UpdateServiceSpecificCredential",
)


@dataclass(frozen=True)
class _Run:
    """From the call of contain until everything is denied, and until the last credential is dead:
    seconds, and round trips after AssumeRole.
    """

    denied_seconds: float
    dead_seconds: float
    denied_round_trips: int
    dead_round_trips: int


def _run() -> _Run:
    import pytest
    from guardduty_response.aws import clients
    from guardduty_response.cloudtrail import query
    from guardduty_response.playbooks.iam_principal import playbook
    from moto import mock_aws
    from moto.core.botocore_stubber import BotocoreStubber

    from tests.unit.playbooks.iam_principal.iam_account import REGION
    from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, IamLab
    from tests.unit.playbooks.iam_principal.iam_moto import extend
    from tests.unit.playbooks.own_aws import one_at_a_time

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
        context = decided(lab, target, "iam_principal")
        lab.latency = LATENCY
        lab.calls = []
        start = time.monotonic()
        playbook.contain(gated(context, target, playbook), target)
        lab.latency = 0.0
        calls = list(lab.calls)
        _assert_dead(lab.dump(), DENY_ALL)
    assumed = min(call.end for call in calls if call.operation == "AssumeRole")
    ending = [call for call in calls if call.operation in ENDING]
    [denied] = [call for call in ending if call.operation == "AttachUserPolicy"]
    return _Run(
        denied_seconds=denied.end - start,
        dead_seconds=max(call.end for call in ending) - start,
        denied_round_trips=1 + round_trips(calls, denied.start, assumed),
        dead_round_trips=1 + round_trips(calls, max(call.start for call in ending), assumed),
    )


def _assert_dead(credentials: dict[str, Any], deny_all: str) -> None:
    """Judge what other clients read. Raises RuntimeError."""
    states = {state for kind in ("keys", "ssh", "service") for state in credentials[kind].values()}
    alive = credentials["password"] or credentials["mfa"] or states != {"Inactive"}
    if alive or credentials["attached"] != {deny_all}:
        raise RuntimeError(f"The user is not contained: {credentials}")


def credential(runs: int) -> list[Figure]:
    """Measure the IAM playbook's containment of a user."""
    prepare_process()
    measured = [_run() for _ in range(runs)]
    note = (
        f"{int(LATENCY * 1000)} ms injected per call; two keys, console, new MFA device, SSH key,"
        " service-specific credential"
    )
    return [
        Figure(
            "everything denied to a user",
            statistics.median(run.denied_seconds for run in measured),
            "s",
            0.25,
            f"AssumeRole included, clients of sts and dynamodb warm; median of {runs}; {note}",
        ),
        Figure(
            "round trips until everything is denied",
            statistics.median_low(run.denied_round_trips for run in measured),
            "",
            1,
            f"after AssumeRole; median of {runs}",
        ),
        Figure(
            "every credential of a user dead",
            statistics.median(run.dead_seconds for run in measured),
            "s",
            0.7,
            f"as above; median of {runs}",
        ),
        Figure(
            "round trips until every credential is dead",
            statistics.median_low(run.dead_round_trips for run in measured),
            "",
            4,
            f"after AssumeRole; median of {runs}",
        ),
    ]
