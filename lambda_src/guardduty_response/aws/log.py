"""Writes structured log lines (AWS Lambda sends standard output to CloudWatch Logs)."""

from __future__ import annotations

import json
import os
import time

NAMESPACE = "GuardDutyResponse"
DIMENSION = "Deployment"


def log(message: str, **fields: object) -> None:
    """Writes a JSON line.

    Never pass a finding's content: more people read log groups than evidence.
    """
    print(json.dumps({"message": message, **fields}, default=str))


def metric(name: str, value: float, **fields: object) -> None:
    """Writes a JSON line of which CloudWatch Logs makes a metric of the deployment.

    The shape is Amazon CloudWatch's embedded metric format: no call, and no permission.
    """
    definition = {
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    log(
        name,
        **fields,
        **{
            "_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [definition]},
            DIMENSION: os.environ.get("GDR_NAME_PREFIX", ""),
            name: value,
        },
    )
