"""Whether containment takes longer when evidence hangs or fails: measured by turns in one
sandbox.
"""

from __future__ import annotations

import json
import statistics
import urllib.request
from typing import Any

from sandbox import findings, lifecycle, seed
from sandbox.clients import Aws
from sandbox.executions import Execution
from sandbox.report import Progress
from sandbox.state import State

from .measure import FINDING, Figure

# calls of evidence alone
SLOW = ("CreateSnapshots", "GetConsoleOutput", "GetConsoleScreenshot", "DescribeVolumes")
RUNS = 9


def _faults(known: State, method: str, data: Any = None) -> None:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(f"{known.endpoint}/_sandbox/faults", data=body, method=method)
    urllib.request.urlopen(request, timeout=10).close()


def _seconds(known: State, hanging: bool) -> float:
    """From entering Contain to entering Verdict, of one incident."""
    aws = Aws(known.endpoint)
    victim = seed.instance(aws, interfaces=2, in_asg=False, target_group=False, elastic_ip=False)
    _faults(known, "DELETE")
    for action in SLOW if hanging else ():
        _faults(
            known,
            "POST",
            {"service": "ec2", "action": action, "resource": victim.instance, "latency_ms": 4000},
        )
    event = findings.prepare(
        aws, findings.read(FINDING), FINDING.name, bindings={"instance": victim.instance}
    )
    incident = lifecycle.follow(
        known, findings.send(aws, event), Progress(to_stderr=True)
    ).until_settled(180)
    if incident["status"] != "CONTAINED":
        raise RuntimeError(f"the incident ended {incident['status']}")
    entered = {
        one["stateEnteredEventDetails"]["name"]: one["timestamp"]
        for one in Execution(aws, str(incident["execution"])).events()
        if one["type"].endswith("StateEntered")
    }
    return float((entered["Verdict"] - entered["Contain"]).total_seconds())


def beside(known: State) -> list[Figure]:
    """One warm-up of each kind, then by turns; medians."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(RUNS + 1):
        for hanging in (False, True):
            seconds = _seconds(known, hanging)
            if turn:
                found[hanging].append(seconds)
    _faults(known, "DELETE")
    ratio = statistics.median(found[True]) / statistics.median(found[False])
    note = f"Contain to Verdict, median of {RUNS} by turns; evidence's calls hang 4 s each; sandbox"
    return [Figure("containment with hanging evidence / without", ratio, "×", 1.05, note)]
