"""What one incident costs and leaves behind, on the sandbox: transitions, time, artefacts of the
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
    """Everything the response may have made for this instance, counted by an independent client."""
    ec2, iam = aws.client("ec2"), aws.client("iam")
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [victim.vpc]}])[
        "SecurityGroups"
    ]
    snapshots = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return {
        "groups": len(groups),
        "snapshots": len([one for one in snapshots if one["VolumeId"] in victim.volumes]),
        "policies": len(iam.list_role_policies(RoleName=victim.role or "")["PolicyNames"]),
    }


def incident() -> list[Figure]:
    kept = Path(tempfile.mkdtemp(prefix="bench-"))
    settings.STATE_DIRECTORY = kept
    os.environ["SANDBOX_STATE_DIRECTORY"] = str(kept)
    say = Progress()
    known = lifecycle.up(say, [ROOT / "benchmarks" / "bench.tfvars"], elsewhere=False)
    try:
        return [*_measure(known), *beside(known)]
    finally:
        lifecycle.down(say)


def _measure(known: State) -> list[Figure]:
    aws, incidents = Aws(known.endpoint), lifecycle.incidents_of(known)
    victim = seed.instance(
        aws, interfaces=2, in_asg=True, target_group=True, profile_attached=True, ipv6=True
    )
    data = findings.read(FINDING)
    event = findings.prepare(aws, data, FINDING.name, bindings={"instance": victim.instance})
    sent = findings.send(aws, event)
    started = time.monotonic()
    status, verdict = "", 0.0
    while time.monotonic() - started < 60:
        found = incidents.find(sent.incident_id or "")
        status = str((found or {}).get("status"))
        if status == "CONTAINED" and not verdict:
            verdict = time.monotonic() - started
        if any(one["event"] == "ended" for one in (found or {}).get("timeline", [])):
            break
        time.sleep(0.05)
    if status != "CONTAINED":
        raise RuntimeError(f"the incident ended {status}")
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
            18,
            "GetExecutionHistory: states entered and retries; sandbox",
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


def _transitions(aws: Aws) -> int:
    """Of the only execution that has run so far."""
    states = aws.client("stepfunctions", settings.SECURITY_ACCOUNT)
    arns = [
        one["stateMachineArn"]
        for one in states.list_state_machines()["stateMachines"]
        if one["name"].endswith("-incident")
    ]
    executions = states.list_executions(stateMachineArn=arns[0])["executions"]
    return max(Execution(aws, one["executionArn"]).transitions() for one in executions)
