"""The modules that patch the emulators, by the process they patch.

A patch is applied when its module is imported. ``install`` is the only place that imports them for
this: what is not listed here is not in force.
"""

from __future__ import annotations

import importlib

GATEWAY = (
    "cloudformation",
    "cloudtrail",
    "config_history",
    "connections",
    "docker",
    "dynamodb_keys",
    "gateway",
    "event_buses",
    "events",
    "iam",
    "iam_credentials",
    "iam_quotas",
    "iam_rules",
    "lambda_environments",
    "lambda_starts",
    "lambdas",
    "logs",
    "ministack_speed",
    "nested_executions",
    "s3",
    "stacksets_api",
    "stepfunctions",
    "stepfunctions_api",
)
MOTO = (
    "moto_evidence",
    "moto_instances",
    "moto_network",
    "moto_organization",
    "moto_quotas",
    "moto_speed",
    "moto_ssm",
    "moto_stacksets",
)


def install(names: tuple[str, ...]) -> None:
    """Apply the patches of these modules (once: a second call changes nothing).

    PatchError when the installed emulator lacks what a patch replaces.
    """
    for name in names:
        importlib.import_module(f"{__package__}.{name}")
