"""Patches of MiniStack's CloudWatch Logs."""

from __future__ import annotations

from typing import Any

from .ministack import cloudwatch_logs
from .patching import Original, patch


@patch(
    cloudwatch_logs,
    "_filter_log_events",
    restores="FilterLogEvents looks only into streams of logStreamNamePrefix",
)
def filter_log_events(original: Original, data: dict[str, Any]) -> object:
    prefix = data.get("logStreamNamePrefix")
    group = cloudwatch_logs._log_groups.get(cloudwatch_logs._resolve_log_group_name(data))
    if not prefix or group is None:
        return original(data)
    names = [name for name in group["streams"] if name.startswith(prefix)]
    # No stream at all would mean every stream.
    return original({**data, "logStreamNames": names or [prefix]})
