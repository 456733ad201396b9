"""Writes structured log lines (AWS Lambda sends standard output to CloudWatch Logs)."""

from __future__ import annotations

import json


def log(message: str, **fields: object) -> None:
    """Writes a JSON line.

    Never pass a finding's content: more people read log groups than evidence.
    """
    print(json.dumps({"message": message, **fields}, default=str))
