"""What ``env --json`` prints: everything a boto3 client needs to look at the sandbox."""

from __future__ import annotations

from typing import Any

from . import settings
from .state import State


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{settings.REGION}:{settings.SECURITY_ACCOUNT}:{resource}"


def names(prefix: str) -> dict[str, Any]:
    """Return the names the module gives its parts, from its ``name_prefix``."""
    account = settings.SECURITY_ACCOUNT
    region = settings.REGION
    queues = {"undelivered": f"{prefix}-undelivered", "dead_letters": f"{prefix}-dead-letters"}
    return {
        "table": f"{prefix}-incidents",
        "bucket": f"{prefix}-evidence-{account}-{region}",
        "topics": {
            kind: _arn("sns", f"{prefix}-{kind}") for kind in ("notifications", "escalations")
        },
        "queues": queues,
        "machines": {
            kind: _arn("states", f"stateMachine:{prefix}-{kind}") for kind in ("incident", "notice")
        },
        "functions": {
            kind: f"{prefix}-{kind}"
            for kind in ("incident", "watchdog", "playbook-ec2-instance", "restore-ec2-instance")
        },
        "rules": [
            f"{prefix}-{kind}"
            for kind in ("act", "notice", "execution-status", "sweeper", "outbox")
        ],
        "quarantine": {
            "profile": f"{prefix}-quarantine",
            "security_group_name": f"{prefix}-quarantine",
        },
    }


def _existing(named: dict[str, Any], applied: dict[str, Any]) -> dict[str, Any]:
    """Return the names, with the bring-your-own resources in place of what the module would have
    made.
    """
    topics = {
        kind: applied.get(f"{kind}_topic_arn") or arn for kind, arn in named["topics"].items()
    }
    bucket = applied.get("evidence_bucket") or named["bucket"]
    table = applied.get("table_name") or named["table"]
    return {**named, "topics": topics, "bucket": bucket, "table": table}


def describe(known: State) -> dict[str, Any]:
    """Return the running sandbox as one document."""
    accounts = {
        "security": settings.SECURITY_ACCOUNT,
        "member": settings.MEMBER_ACCOUNT,
        "second_member": settings.SECOND_MEMBER_ACCOUNT,
        "management": settings.MANAGEMENT_ACCOUNT,
    }
    applied = known.outputs.get("security", {})
    prefix = str(known.outputs.get("name_prefix") or "guardduty-response")
    queues = names(prefix)["queues"]
    return {
        "endpoint": known.endpoint,
        "region": settings.REGION,
        "regions": list(settings.REGIONS),
        "accounts": accounts,
        "organization_id": settings.ORGANIZATION_ID,
        "credentials": {
            number: {"access_key_id": number, "secret_access_key": settings.SECRET}
            for number in accounts.values()
        },
        "seeded": {
            **known.seed,
            "user": (known.people.get("user") or {}).get("name"),
            "people": known.people,
        },
        "applied": bool(known.outputs),
        "name_prefix": prefix,
        **_existing(names(prefix), applied),
        "queue_urls": {
            kind: f"{known.endpoint}/{settings.SECURITY_ACCOUNT}/{name}"
            for kind, name in queues.items()
        },
        "inbox_queue_url": known.inbox,
        "outputs": known.outputs,
        "control": {
            "faults": f"{known.endpoint}/_sandbox/faults",
            "clock": f"{known.endpoint}/_sandbox/clock",
        },
        "processes": known.processes,
        "state_directory": str(settings.STATE_DIRECTORY),
    }
