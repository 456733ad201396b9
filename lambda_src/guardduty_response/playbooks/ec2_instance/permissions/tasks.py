"""Says what finding the tasks of Amazon ECS on an instance may read."""

from __future__ import annotations

from guardduty_response.containment.declared import Permission

_ECS = "arn:${partition}:ecs:*:${account_id}:"
_WHY = "finds tasks of Amazon ECS whose interfaces nobody but Amazon ECS can close"

TASKS = (
    Permission(_WHY, ("ecs:ListClusters",)),
    Permission(
        _WHY,
        ("ecs:DescribeTasks", "ecs:ListContainerInstances", "ecs:ListTasks"),
        (f"{_ECS}cluster/*", f"{_ECS}container-instance/*", f"{_ECS}task/*"),
        sid="Tasks",
    ),
)
