"""Reads a GuardDuty finding as EventBridge delivers it, and refuses anything else.

GuardDuty's format varies: archived may be the string "false", the sample flag may be inside a JSON
string, accountId may be missing, and severity may be a string.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from guardduty_response.errors import MalformedFinding, NotAFinding

# A finding as GuardDuty describes it (Amazon GuardDuty API reference, "Finding"). Anything may be
# missing or of another type: ``get`` reads it.
FindingDetail = dict[str, Any]

# us-east-1, us-gov-west-1, eusc-de-east-1: part of host names
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}")


@dataclass(frozen=True)
class Finding:
    """Holds the fields that every component needs; ``detail`` is the whole finding."""

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
    detail: FindingDetail
    last_seen: str = ""  # service.eventLastSeen, as GuardDuty writes it
    rule: str = ""  # the custom detection rule that raised it; "" for GuardDuty's own types

    @property
    def incident_id(self) -> str:
        """Returns an ID that every recurrence of the same finding shares."""
        return incident_id(f"{self.account_id}/{self.region}/{self.id}")

    @property
    def claim(self) -> str:
        """Returns the sort key of the item that says which execution works on this state of the
        finding. One that does not say when it was last seen has none: any incident of it counts.
        """
        return f"CLAIM#{self.last_seen}" if self.last_seen else "META"

    @property
    def named(self) -> list[str]:
        """Returns what the finding names: the principal, the instance, and a session's key.

        GuardDuty counts activity of the same kind in one finding, and keeps of it only what
        happened last: an update can name another session. What it does not name is empty. A key
        counts only where the principal is a session: a new key is a new token of it.
        """
        details = get(self.detail, "resource", "accessKeyDetails")
        principal = text(get(details, "principalId"), 200) or text(get(details, "userName"), 200)
        key = text(get(details, "accessKeyId"), 200) if ":" in principal else ""
        instance = text(get(self.detail, "resource", "instanceDetails", "instanceId"), 200)
        return [principal, instance, key]

    @property
    def severity_label(self) -> str:
        """Returns GuardDuty's name for the severity."""
        for floor, label in ((9.0, "Critical"), (7.0, "High"), (4.0, "Medium")):
            if self.severity >= floor:
                return label
        return "Low"


def incident_id(key: str) -> str:
    """Returns the incident ID that belongs to ``key``: a finding, or an unreadable event."""
    return "inc-" + hashlib.sha256(key.encode()).hexdigest()[:16]


def canonical(event: object) -> str:
    """Returns the event as stable JSON.

    This is what is stored as evidence, and what an ID is made of when the finding has none.
    """
    return json.dumps(event, sort_keys=True, separators=(",", ":"), default=str)


def get(node: object, *path: str | int) -> Any:
    """Returns ``node[path…]``, or None where something is missing, null or of another type."""
    for key in path:
        if isinstance(key, int):
            found = node if isinstance(node, list) else []
            node = found[key] if -len(found) <= key < len(found) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


def text(value: object, limit: int = 1000) -> str:
    """Returns a printable line of at most ``limit`` characters; "" for anything but a string.

    Senders choose what these fields contain.
    """
    if not isinstance(value, str):
        return ""
    printable = (c if c.isprintable() else " " for c in value[:limit])
    return "".join(printable).strip()


def parse_json(value: str | None) -> Any:
    """Returns what a JSON text holds, or None when it is empty or no JSON."""
    try:
        return json.loads(value or "null")
    except ValueError:
        return None


def _arn_field(arn: str, index: int) -> str:
    fields = arn.split(":")
    return fields[index] if len(fields) > index else ""


def is_sample(detail: FindingDetail) -> bool:
    """Recognises CreateSampleFindings output.

    The flag is ``additionalInfo.sample``, or the same inside the JSON ``additionalInfo.value``.
    """
    info = get(detail, "service", "additionalInfo")
    if get(info, "sample") in (True, "true"):
        return True
    try:
        return get(json.loads(get(info, "value")), "sample") in (True, "true")
    except (ValueError, TypeError, RecursionError):  # no JSON, no string, absurdly nested
        return False


def _severity(detail: FindingDetail) -> float:
    """Returns the severity. Raises MalformedFinding when it is not a number from 0 to 10."""
    try:
        severity = float(detail.get("severity"))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        severity = -1.0
    if not 0 <= severity <= 10:  # also NaN
        raise MalformedFinding(
            f"finding {text(detail.get('id'))} has severity {detail.get('severity')!r:.200}, not a"
            " number from 0 to 10: no mode can be chosen; look at it in the GuardDuty console"
        )
    return severity


def parse(event: object) -> Finding:
    """Reads an EventBridge event.

    Raises NotAFinding (another service's event) or MalformedFinding (which names what is missing).
    """
    if not isinstance(event, dict):
        raise NotAFinding(
            f"expected an EventBridge event (a JSON object), got {type(event).__name__}"
        )
    source, detail_type = event.get("source"), event.get("detail-type")
    if source != "aws.guardduty" or detail_type != "GuardDuty Finding":
        raise NotAFinding(
            f"source {source!r:.200} with detail-type {detail_type!r:.200} is not a GuardDuty"
            " finding; nothing was done"
        )
    detail = event.get("detail")
    if not isinstance(detail, dict):
        raise MalformedFinding("the event has no detail: the finding itself is missing")
    arn = text(detail.get("arn"))
    # The account of the EventBridge event is never used: for a member's finding, it is the
    # administrator's account. A resource that is looked for there would be reported as gone.
    account = text(detail.get("accountId")) or _arn_field(arn, 4)
    region = text(detail.get("region")) or _arn_field(arn, 3)
    required = {
        "id": text(detail.get("id")),
        "type": text(detail.get("type")),
        "accountId": account if re.fullmatch("[0-9]{12}", account) else "",
        "region": region if _REGION.fullmatch(region) else "",
    }
    missing = [name for name, value in required.items() if not value]
    if missing:
        raise MalformedFinding(
            f"the finding lacks a usable {', '.join(missing)} (type {detail.get('type')!r:.200}, id"
            f" {detail.get('id')!r:.200}, accountId {account!r:.200}, region {region!r:.200}):"
            " nothing can be decided; look at it in the GuardDuty console"
        )
    count = get(detail, "service", "count")
    return Finding(
        id=required["id"],
        type=required["type"],
        account_id=account,
        region=region,
        partition=text(detail.get("partition")) or _arn_field(arn, 1) or "aws",
        severity=_severity(detail),
        title=text(detail.get("title")) or required["type"],
        resource_type=text(get(detail, "resource", "resourceType")),
        sample=is_sample(detail),
        archived=get(detail, "service", "archived") in (True, "true"),
        count=count if isinstance(count, int) and not isinstance(count, bool) else 1,
        detail=detail,
        last_seen=text(get(detail, "service", "eventLastSeen"), 64),
        rule=text(detail.get("customDetectionRuleName"), 200),
    )
