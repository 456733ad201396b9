"""Builds the record of a new incident, from a finding or from an event that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardduty_response.decision import finding, policy
from guardduty_response.errors import MalformedFinding, NotAFinding

if TYPE_CHECKING:
    from guardduty_response.incident.model import IncidentRecord


def from_finding(
    seen: finding.Finding,
    decision: policy.Decision,
    playbook: str | None,
    execution: str,
    config_sha256: str,
) -> IncidentRecord:
    """Returns the fields of META for a finding and the mode that answers it."""
    found: IncidentRecord = {
        "incident_id": seen.incident_id,
        "finding_id": seen.id,
        "finding_type": seen.type,
        "account_id": seen.account_id,
        "region": seen.region,
        "severity": seen.severity,
        "title": seen.title[:500],
        "resource_type": seen.resource_type,
        "sample": seen.sample,
        "last_seen": seen.last_seen,
        "named": seen.named,
        "mode": decision.mode,
        "reasons": decision.reasons,
        "in_doubt": decision.doubt,
        "playbook": playbook or "",
        "execution": execution,
        "config_sha256": config_sha256,
    }
    if seen.rule:
        found["detection_rule"] = seen.rule
    return found


def from_event(event: object, execution: str, why: str) -> IncidentRecord:
    """Returns the fields of META for an event that no execution could answer.

    Takes whatever the event still tells; ``why`` is the reason that people read.
    """
    detail = finding.get(event, "detail")
    try:
        seen = finding.parse(event)
        incident_id, severity, sample = seen.incident_id, seen.severity, seen.sample
    except (NotAFinding, MalformedFinding):
        incident_id, severity, sample = finding.incident_id(finding.canonical(event)), 0.0, False
    # The envelope's account is the one that delivered: for a member's finding, the administrator's
    # (docs/decisions/0025). It is never shown as the finding's.
    account_id = finding.text(finding.get(detail, "accountId"))
    reasons = [why]
    delivered_by = finding.text(finding.get(event, "account"), 20)
    if not account_id and delivered_by:
        reasons.append(f"the finding names no account; it was delivered through {delivered_by}")
    region = finding.get(detail, "region") or finding.get(event, "region")
    return {
        "incident_id": incident_id,
        "finding_id": finding.text(finding.get(detail, "id")),
        "finding_type": finding.text(finding.get(detail, "type")) or "unreadable",
        "severity": severity,
        "account_id": account_id,
        "region": finding.text(region),
        "title": finding.text(finding.get(detail, "title"), 500) or why[:500],
        "resource_type": "",
        "sample": sample,
        "mode": "notify",
        "reasons": reasons,
        "playbook": "",
        "execution": execution,
        "config_sha256": "",
    }
