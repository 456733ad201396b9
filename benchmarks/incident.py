"""What an incident costs and leaves behind, on the sandbox: transitions, time, artefacts of the
same finding ten times.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import findings, lifecycle, seed, settings
from sandbox.clients import Aws
from sandbox.executions import Execution
from sandbox.report import Progress
from sandbox.state import State

from .beside import beside
from .measure import FINDING, ROOT, Figure


def _artefacts(aws: Aws, victim: seed.Victim) -> dict[str, int]:
    """Count what the response may have made for this instance, by an independent client."""
    ec2, iam = aws.client("ec2"), aws.client("iam")
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [victim.vpc]}])
    snapshots = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    own = [snapshot for snapshot in snapshots if snapshot["VolumeId"] in victim.volumes]
    policies = iam.list_role_policies(RoleName=victim.role or "")
    return {
        "groups": len(groups["SecurityGroups"]),
        "snapshots": len(own),
        "policies": len(policies["PolicyNames"]),
    }


def incident() -> list[Figure]:
    """Apply the module on the emulators, measure, take everything down."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    settings.STATE_DIRECTORY = directory
    os.environ["SANDBOX_STATE_DIRECTORY"] = str(directory)
    say = Progress()
    known = lifecycle.up(say, [ROOT / "benchmarks" / "bench.tfvars"], elsewhere=False)
    try:
        return [*_measure(known), *beside(known)]
    finally:
        lifecycle.down(say)


def _measure(known: State) -> list[Figure]:
    aws = Aws(known.endpoint)
    victim = seed.instance(
        aws, interfaces=2, in_asg=True, target_group=True, profile_attached=True, ipv6=True
    )
    event = findings.prepare(
        aws, findings.read(FINDING), FINDING.name, bindings={"instance": victim.instance}
    )
    verdict = _seconds_to_verdict(known, findings.send(aws, event).incident_id or "")
    time.sleep(1)
    transitions = _transitions(aws)
    before = _artefacts(aws, victim)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: findings.send(aws, event), range(10)))
    time.sleep(10)
    after = _artefacts(aws, victim)
    extra = sum(after[name] - before[name] for name in after)
    return [
        Figure(
            "state transitions of an auto incident",
            transitions,
            "",
            16,
            "GetExecutionHistory: states entered and retries, without polls of snapshots; sandbox",
        ),
        Figure(
            "finding sent to verdict",
            verdict,
            "s",
            None,
            "sandbox: emulators and cold functions included",
        ),
        Figure(
            "extra artefacts of the same finding ×10",
            extra,
            "",
            0,
            "security groups, snapshots, role policies; sandbox",
        ),
    ]


def _seconds_to_verdict(known: State, incident_id: str) -> float:
    """Follow an incident to its end. Raises RuntimeError when it is not CONTAINED within
    ``settings.PATIENCE``."""
    incidents = lifecycle.incidents_of(known)
    started = time.monotonic()
    status, verdict = "", 0.0
    while time.monotonic() - started < settings.PATIENCE:
        found = incidents.find(incident_id) or {}
        status = str(found.get("status"))
        if status == "CONTAINED" and not verdict:
            verdict = time.monotonic() - started
        if any(entry["event"] == "ended" for entry in found.get("timeline", [])):
            break
        time.sleep(0.05)
    if status != "CONTAINED":
        raise RuntimeError(f"The incident ended {status}, not CONTAINED.")
    return verdict


def _transitions(aws: Aws) -> int:
    """Count those of the only execution that has run so far."""
    states = aws.client("stepfunctions", settings.SECURITY_ACCOUNT)
    [machine] = [
        machine["stateMachineArn"]
        for machine in states.list_state_machines()["stateMachines"]
        if machine["name"].endswith("-incident")
    ]
    executions = states.list_executions(stateMachineArn=machine)["executions"]
    return max(without_polls(Execution(aws, item["executionArn"])) for item in executions)


def without_polls(execution: Execution) -> int:
    """Count an execution's transitions, without the four of each further look at snapshots that
    were still pending: how often it looks depends on the snapshots.
    """
    polls = [state for state, _ in execution.news() if state == "WaitForPhase"]
    return execution.transitions() - 4 * len(polls)
