"""Records of an incident and a target, as messages and reports get them."""

from __future__ import annotations

from typing import Any, cast

from guardduty_response.incident import notifications
from guardduty_response.incident.model import IncidentRecord, TargetRecord

META: IncidentRecord = {
    "incident_id": "inc-1",
    "finding_id": "f1",
    "finding_type": "CryptoCurrency:EC2/BitcoinTool.B!DNS",
    "severity": 8.0,
    "account_id": "222222222222",
    "region": "us-east-1",
    "title": "i-1 queries a mining pool",
    "status": "CONTAINED",
    "mode": "auto",
    "reasons": ["global remediation 'CryptoCurrency:EC2/*' = auto"],
    "targets": [{"id": "i-1"}],
    "execution": "execution-1",
    "config_sha256": "c0",
}
TARGET: TargetRecord = {
    "kind": "ec2_instance",
    "id": "i-1",
    "arn": "arn:i-1",
    "status": "PARTIAL",
    "attach": "",
    "verdict": "1 of 2 interfaces closed",
    "actions": {
        "detach": {
            "status": "FAILED",
            "detail": "denied; detach it by hand",
            "at": "2026-03-02T08:00:01Z",
            "request_id": "r1",
        },
        "network": {
            "status": "DONE",
            "detail": "closed",
            "at": "2026-03-02T08:00:00Z",
            "request_id": "",
        },
    },
    "checks": [
        {"name": "eni-1", "ok": True, "detail": "closed", "fatal": True},
        {"name": "eni-2", "ok": False, "detail": "still in sg-web", "fatal": True},
    ],
    "before": {"interfaces": {"eni-1": ["sg-web"]}},
    "evidence": {
        "snapshots": {
            "outcome": "COMPLETE",
            "detail": "one set: snap-1",
            "at": "2026-03-02T08:00:02Z",
            "objects": [],
        },
        "network_logs": {
            "outcome": "PARTIAL",
            "detail": "cut off",
            "at": "2026-03-02T08:00:03Z",
            "task": "read the rest by hand",
            "objects": [
                {
                    "key": "incidents/inc-1/i-1/flow.gz",
                    "sha256": "ab" * 32,
                    "bytes": 7,
                    "what": "flow log",
                }
            ],
        },
    },
}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def incident_record(**changes: Any) -> IncidentRecord:
    return cast(IncidentRecord, {**META, **changes})


def target_record(**changes: Any) -> TargetRecord:
    return cast(TargetRecord, {**TARGET, **changes})


def compose(
    event: str, targets: list[TargetRecord] | None = None, /, **changes: Any
) -> tuple[str, str]:
    return notifications.compose(event, incident_record(**changes), targets or [])
