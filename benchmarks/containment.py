"""How long until both interfaces are closed, with 80 ms injected into every AWS call (the lab of
the Lambda tests, on moto).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any
from unittest.mock import patch

from .measure import ROOT, Figure, environment

LATENCY = 0.08  # seconds a call


def _lab() -> None:
    sys.path[:0] = [str(ROOT / "lambda_src")]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(environment())
    labs = ROOT / "tests" / "unit" / "playbooks" / "ec2_instance"
    os.environ["MOTO_AMIS_PATH"] = str(labs / "amis.json")


def _once() -> tuple[float, int, float]:
    """(seconds from the call of contain until both interfaces are closed, round trips, how many
    interfaces).
    """
    from guardduty_response.aws import clients
    from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
    from moto import mock_aws
    from moto.core.botocore_stubber import BotocoreStubber

    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab, one_at_a_time

    with patch.object(BotocoreStubber, "process_request", one_at_a_time()), mock_aws():
        clients.client.cache_clear()
        clients._own.cache_clear()
        lab = Lab().build(interfaces=2, ipv6=True, asg=True, targets=True)
        warm = lab.plan()
        lab.latency, lab.calls = LATENCY, []
        start = time.monotonic()
        ec2_instance.contain(lab.context(), warm)
        groups = lab.groups()
        if len(groups) != 2 or any(
            names != ["guardduty-response-quarantine"] for names in groups.values()
        ):
            raise RuntimeError(f"not contained: {groups}")
        group = lab.group()
        if group["IpPermissions"] or group["IpPermissionsEgress"]:
            raise RuntimeError(f"the group has rules: {group}")
        closing = [
            c
            for c in lab.calls
            if c.operation in ("ModifyNetworkInterfaceAttribute", "RevokeSecurityGroupEgress")
        ]
        first = min(c.start for c in closing if c.operation == "ModifyNetworkInterfaceAttribute")
        assumed = min(c.end for c in lab.calls if c.operation == "AssumeRole")
        return (
            max(c.end for c in closing) - start,
            _rounds(lab.calls, assumed, first),
            float(len(groups)),
        )


def _rounds(calls: list[Any], after: float, until: float) -> int:
    """The longest chain of calls that waited for one another between two moments, the last
    change included.
    """
    chain, moment = 1, after
    for call in sorted(
        (c for c in calls if c.start >= after and c.end <= until), key=lambda c: c.end
    ):
        if call.start >= moment:
            chain, moment = chain + 1, call.end
    return chain


def containment(runs: int) -> list[Figure]:
    _lab()
    got = [_once() for _ in range(runs)]
    note = (
        f"{int(LATENCY * 1000)} ms injected per call; two interfaces, IPv6 VPC, Auto Scaling group,"
        " two target groups"
    )
    return [
        Figure(
            "both interfaces closed, v4 and v6",
            statistics.median(one[0] for one in got),
            "s",
            0.45,
            f"AssumeRole included, clients of sts and dynamodb warm; median of {runs}; {note}",
        ),
        Figure(
            "round trips until the first change",
            max(one[1] for one in got),
            "",
            3,
            f"after AssumeRole; worst of {runs}",
        ),
    ]
