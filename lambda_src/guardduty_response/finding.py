"""Reads a GuardDuty finding as EventBridge delivers it, and refuses what is none.

Field paths and their traps: docs/finding-fields.md (archived may be the string "false", the sample flag may hide in a
JSON string, accountId may be missing, severity may be a string).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from guardduty_response.errors import MalformedFinding, NotAFinding

Json = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """The fields every part of the response needs; ``detail`` is the whole finding."""

    id: str
    type: str
    account_id: str
    region: str
    partition: str
    severity: float  # 0.0 to 10.0 (GuardDuty: Low 1-3.9, Medium 4-6.9, High 7-8.9, Critical 9-10)
    title: str
    resource_type: str
    sample: bool
    archived: bool
    count: int
    detail: Json

    @property
    def incident_id(self) -> str:
        """The same for every emission of the same finding."""
        return incident_id(f"{self.account_id}/{self.region}/{self.id}")

    @property
    def severity_label(self) -> str:
        for floor, label in ((9.0, "Critical"), (7.0, "High"), (4.0, "Medium")):
            if self.severity >= floor:
                return label
        return "Low"


def incident_id(key: str) -> str:
    return "inc-" + hashlib.sha256(key.encode()).hexdigest()[:16]


def canonical(event: Any) -> str:
    """The event as stable JSON: what is stored as evidence and what an id is made of when the finding has none."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), default=str)


def get(node: Any, *path: str | int) -> Any:
    """``node[path…]`` or None where a step is missing, null or of another type."""
    for step in path:
        if isinstance(step, int):
            node = node[step] if isinstance(node, list) and -len(node) <= step < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _arn_field(arn: str, index: int) -> str:
    parts = arn.split(":")
    return parts[index] if len(parts) > index else ""


def is_sample(detail: Json) -> bool:
    """True for CreateSampleFindings output: ``additionalInfo.sample`` or the same inside ``additionalInfo.value``."""
    info = get(detail, "service", "additionalInfo")
    if get(info, "sample") in (True, "true"):
        return True
    try:
        return get(json.loads(_text(get(info, "value")) or "{}"), "sample") in (True, "true")
    except ValueError:
        return False


def parse(event: Any) -> Finding:
    """Reads an EventBridge event. Raises NotAFinding (another service's event) or MalformedFinding (what is missing)."""
    if not isinstance(event, dict):
        raise NotAFinding(f"expected an EventBridge event (a JSON object), got {type(event).__name__}")
    source, kind = event.get("source"), event.get("detail-type")
    if source != "aws.guardduty" or kind != "GuardDuty Finding":
        raise NotAFinding(f"source {source!r} with detail-type {kind!r} is not a GuardDuty finding; nothing was done")
    detail = event.get("detail")
    if not isinstance(detail, dict):
        raise MalformedFinding("the event has no detail: the finding itself is missing")
    arn = _text(detail.get("arn"))
    account = _text(detail.get("accountId")) or _arn_field(arn, 4) or _text(event.get("account"))
    region = _text(detail.get("region")) or _arn_field(arn, 3) or _text(event.get("region"))
    required = {
        "id": _text(detail.get("id")),
        "type": _text(detail.get("type")),
        "accountId": account if account.isdigit() and len(account) == 12 else "",
        "region": region,
    }
    missing = [name for name, value in required.items() if not value]
    if missing:
        raise MalformedFinding(
            f"the finding lacks a usable {', '.join(missing)} (type {detail.get('type')!r}, id {detail.get('id')!r}, "
            f"accountId {account!r}): nothing can be decided; look at it in the GuardDuty console"
        )
    try:
        severity = float(detail.get("severity"))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise MalformedFinding(f"finding {required['id']} has severity {detail.get('severity')!r}, not a number") from None
    count = get(detail, "service", "count")
    return Finding(
        id=required["id"],
        type=required["type"],
        account_id=account,
        region=region,
        partition=_text(detail.get("partition")) or _arn_field(arn, 1) or "aws",
        severity=severity,
        title=_text(detail.get("title")) or required["type"],
        resource_type=_text(get(detail, "resource", "resourceType")),
        sample=is_sample(detail),
        archived=get(detail, "service", "archived") in (True, "true"),
        count=count if isinstance(count, int) and not isinstance(count, bool) else 1,
        detail=detail,
    )


def playbook_for(finding: Finding) -> tuple[str | None, str]:
    """(playbook, why): from the resource and its role in the activity, never from the finding type's prefix.

    GuardDuty says TARGET for most findings, so the role alone decides nothing: only inbound network activity
    (a port probe, a brute-force attempt) makes the instance a victim, and isolating a victim serves the attacker.
    """
    if finding.resource_type != "Instance":
        return None, f"no playbook answers resource type {finding.resource_type or 'unknown'} yet"
    service = finding.detail.get("service")
    action = get(service, "action", "actionType")
    inbound = action == "PORT_PROBE" or (
        action == "NETWORK_CONNECTION" and get(service, "action", "networkConnectionAction", "connectionDirection") == "INBOUND"
    )
    if inbound and get(service, "resourceRole") == "TARGET":
        return (
            None,
            "the instance is the target of this inbound activity, not its actor; isolating it would serve the attacker",
        )
    return "ec2_instance", "an EC2 instance is the actor or the infected host"
