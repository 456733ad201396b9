"""How long until both interfaces are closed, with 80 ms injected into every AWS call (the lab of
the Lambda tests, on moto).
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

from .gated import decided, gated
from .measure import ROOT, Figure, prepare_process, round_trips
from .victims import quarantine_group

if TYPE_CHECKING:
    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

LATENCY = 0.08  # seconds a call
MOVED, STRIPPED = "ModifyNetworkInterfaceAttribute", "RevokeSecurityGroupEgress"


@dataclass(frozen=True)
class _Run:
    """Seconds from the call of contain until both interfaces are closed, and round trips."""

    seconds: float
    round_trips: int


def _prepare() -> None:
    prepare_process()
    amis = ROOT / "tests" / "unit" / "playbooks" / "ec2_instance" / "amis.json"
    os.environ["MOTO_AMIS_PATH"] = str(amis)


def _run(has_group: bool) -> _Run:
    """``has_group``: the quarantine group is in the VPC, as after the first containment there."""
    from guardduty_response.aws import clients
    from guardduty_response.playbooks.ec2_instance import playbook
    from moto import mock_aws
    from moto.core.botocore_stubber import BotocoreStubber

    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
    from tests.unit.playbooks.own_aws import one_at_a_time

    with patch.object(BotocoreStubber, "process_request", one_at_a_time()), mock_aws():
        clients.client.cache_clear()
        clients._own.cache_clear()
        lab = Lab().build(interfaces=2, ipv6=True, asg=True, targets=True)
        if has_group:
            quarantine_group(lab)
        target = lab.plan()
        context = decided(lab, target, "ec2_instance")
        lab.latency = LATENCY
        lab.calls = []
        start = time.monotonic()
        playbook.contain(gated(context, target, playbook), target)
        _assert_contained(lab)
        closing = [call for call in lab.calls if call.operation in (MOVED, STRIPPED)]
        first = min(call.start for call in closing if call.operation == MOVED)
        assumed = min(call.end for call in lab.calls if call.operation == "AssumeRole")
        last = max(call.end for call in closing)
        return _Run(last - start, 1 + round_trips(lab.calls, first, assumed))


def _assert_contained(lab: Lab) -> None:
    """Read the groups by other clients. Raises RuntimeError."""
    groups = lab.groups()
    in_quarantine = [names == ["guardduty-response-quarantine"] for names in groups.values()]
    if len(groups) != 2 or not all(in_quarantine):
        raise RuntimeError(f"The instance is not contained: {groups}")
    group = lab.group()
    if group["IpPermissions"] or group["IpPermissionsEgress"]:
        raise RuntimeError(f"The quarantine group has rules: {group}")


def containment(runs: int) -> list[Figure]:
    """Measure the EC2 playbook's containment, in a VPC with the quarantine group and without."""
    _prepare()
    return [
        *_figures("the VPC has the group", [_run(True) for _ in range(runs)], 0.30, 1),
        *_figures("the group has to be made", [_run(False) for _ in range(runs)], 0.42, 3),
    ]


def _figures(case: str, measured: list[_Run], seconds: float, round_trips: int) -> list[Figure]:
    runs = len(measured)
    note = (
        f"{int(LATENCY * 1000)} ms injected per call; two interfaces, IPv6 VPC, Auto Scaling group,"
        " two target groups"
    )
    return [
        Figure(
            f"both interfaces closed, v4 and v6; {case}",
            statistics.median(run.seconds for run in measured),
            "s",
            seconds,
            f"AssumeRole included, clients of sts and dynamodb warm; median of {runs}; {note}",
        ),
        Figure(
            f"round trips until the first change; {case}",
            statistics.median_low(run.round_trips for run in measured),
            "",
            round_trips,
            f"after AssumeRole; median of {runs}",
        ),
    ]
