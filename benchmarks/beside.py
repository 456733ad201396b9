"""Whether containment takes longer when evidence hangs or fails: measured by turns in one
sandbox.
"""

from __future__ import annotations

import json
import statistics
import urllib.request

from sandbox import findings, lifecycle, seed, settings
from sandbox.clients import Aws
from sandbox.executions import Execution
from sandbox.report import Progress
from sandbox.state import State

from .measure import FINDING, Figure

# calls of evidence alone
SLOW = ("CreateSnapshots", "GetConsoleOutput", "GetConsoleScreenshot", "DescribeVolumes")
RUNS = 9


def _faults(known: State, method: str, fault: dict[str, object] | None = None) -> None:
    body = None if fault is None else json.dumps(fault).encode()
    request = urllib.request.Request(f"{known.endpoint}/_sandbox/faults", data=body, method=method)
    urllib.request.urlopen(request, timeout=10).close()


def _seconds(known: State, hanging: bool) -> float:
    """Contain an instance; return the seconds from entering Contain to entering Verdict.

    Raises RuntimeError when the incident ends otherwise.
    """
    aws = Aws(known.endpoint)
    victim = seed.instance(aws, interfaces=2, in_asg=False, target_group=False, elastic_ip=False)
    _faults(known, "DELETE")
    for action in SLOW if hanging else ():
        fault = {"service": "ec2", "action": action, "latency_ms": 4000}
        _faults(known, "POST", {**fault, "resource": victim.instance})
    event = findings.prepare(
        aws, findings.read(FINDING), FINDING.name, bindings={"instance": victim.instance}
    )
    sent = findings.send(aws, event)
    incident = lifecycle.follow(known, sent, Progress(to_stderr=True)).until_settled(
        settings.PATIENCE
    )
    if incident["status"] != "CONTAINED":
        raise RuntimeError(f"The incident ended {incident['status']}, not CONTAINED.")
    entered = {
        event["stateEnteredEventDetails"]["name"]: event["timestamp"]
        for event in Execution(aws, str(incident["execution"])).events()
        if event["type"].endswith("StateEntered")
    }
    return float((entered["Verdict"] - entered["Contain"]).total_seconds())


def beside(known: State) -> list[Figure]:
    """Measure by turns, after a warm-up of each kind; medians."""
    measured: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(RUNS + 1):
        for hanging in (False, True):
            seconds = _seconds(known, hanging)
            if turn:
                measured[hanging].append(seconds)
    _faults(known, "DELETE")
    ratio = statistics.median(measured[True]) / statistics.median(measured[False])
    note = f"Contain to Verdict, median of {RUNS} by turns; evidence's calls hang 4 s each; sandbox"
    return [Figure("containment with hanging evidence / without", ratio, "×", 1.05, note)]
