"""What stands between a decision and its execution. Guardrails can only make an answer milder,
never sharper.

Exemptions come from Terraform alone; a tag on the resource can at most turn ``auto`` into
``approve`` (an attacker can tag too).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from guardduty_response.cloudtrail import event as cloudtrail_event
from guardduty_response.decision.configuration import Config, FreezeWindow
from guardduty_response.decision.policy import matches
from guardduty_response.incident.repository import IncidentRepository

Json = dict[str, Any]


@dataclass
class Ruling:
    """``mode`` after the guardrails and why; ``skip`` set: nothing may act and this sentence says
    so; ``alarm``: nothing can, and people must.
    """

    mode: str
    reasons: list[str] = field(default_factory=list)
    skip: str | None = None
    alarm: str | None = None


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def in_freeze(windows: list[FreezeWindow], at: datetime) -> str | None:
    """The name of the freeze window that ``at`` (UTC) lies in."""
    for window in windows:
        if _parse_time(window["start"]) <= at < _parse_time(window["end"]):
            return str(window["name"])
    return None


def _exempt(config: Config, account_id: str, targets: list[Json]) -> str | None:
    rails = config.guardrails
    if account_id in rails["exempt_accounts"]:
        return f"account {account_id} is exempt (guardrails.exempt_accounts)"
    for target in targets:
        for pattern in rails["exempt_resources"]:
            if matches(pattern, target["arn"]) or matches(pattern, target["id"]):
                return f"{target['id']} is exempt (guardrails.exempt_resources: {pattern})"
        for pattern in rails["exempt_principals"]:
            for principal in target.get("principals", []):
                if matches(pattern, principal):
                    return (
                        f"{principal} on {target['id']} is exempt (guardrails.exempt_principals:"
                        f" {pattern})"
                    )
    return None


def _abused(config: Config, account_id: str, targets: list[Json]) -> str | None:
    """Says so when the response itself is what a target names. Nobody is spared in silence: its
    credentials may be stolen.

    Member roles by what they are exactly: anybody may give a role of theirs our prefix. In the
    security account by the prefix: who makes roles there holds the response anyway.
    """
    own, prefix = (
        cloudtrail_event.own_roles(config),
        f":role{config.responder['role_path']}{config.name_prefix}-",
    )
    for principal in [one for target in targets for one in target.get("principals", [])]:
        if cloudtrail_event.is_own(principal, own) or (
            account_id == config.security_account and prefix in principal
        ):
            return (
                f"{principal} is a role of the response itself, and its own policies let it change"
                " none of these. Only its functions have a reason to be that role: who assumed it"
                " stands in CloudTrail (AssumeRole). If it was not a function: paused = true, and"
                " revoke the role's active sessions (IAM console)"
            )
    return None


def judge(
    config: Config,
    record: IncidentRepository,
    mode: str,
    playbook: str,
    account_id: str,
    targets: list[Json],
    at: datetime | None = None,
) -> Ruling:
    """``mode``: the policy's acting mode. ``targets``: {id, arn, tags?, principals?}. Counts
    them for the circuit breaker.
    """
    ruling, rails = Ruling(mode), config.guardrails
    if config.paused:
        ruling.skip = (
            "the response is paused (paused = true): nothing was changed; unpause with Terraform"
        )
        return ruling
    ruling.skip = _exempt(config, account_id, targets)
    if not ruling.skip:
        ruling.alarm = _abused(config, account_id, targets)
    if ruling.skip or ruling.alarm:
        return ruling
    if account_id == rails["management_account_id"]:
        ruling.skip = (
            f"account {account_id} is the organization's management account: people are told,"
            " nothing acts there"
        )
        return ruling
    if mode != "auto":
        return ruling
    asks = []
    tag = rails["approval_tag"]
    for target in targets:
        if tag and target.get("tags", {}).get(tag["key"]) == tag["value"]:
            asks.append(
                f"{target['id']} carries the tag {tag['key']}={tag['value']}; CloudTrail CreateTags"
                " says who set it"
            )
    frozen = in_freeze(rails["freeze_windows"], at or datetime.now(UTC))
    if frozen:
        asks.append(f"the freeze window '{frozen}' is in force")
    breaker = rails["circuit_breaker"]
    if breaker and targets:
        count = record.count_targets(
            playbook, [target["arn"] for target in targets], int(breaker["minutes"])
        )
        if count > breaker["targets"]:
            asks.append(
                f"{count} resources in {breaker['minutes']} minutes exceed the circuit breaker's"
                f" {breaker['targets']}: a person decides, in case the findings are wrong"
            )
    if asks:
        ruling.mode = "approve"
        ruling.reasons = [f"auto became approve: {ask}" for ask in asks]
    return ruling
