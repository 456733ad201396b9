"""What stands between a decision and its execution. Guardrails can only make an answer milder, never sharper.

Exemptions come from Terraform alone; a tag on the resource can at most turn ``auto`` into ``approve`` (an attacker can tag too).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from guardduty_response import breach
from guardduty_response.config import Config
from guardduty_response.policy import matches
from guardduty_response.record import Record

Json = dict[str, Any]


@dataclass
class Ruling:
    """``mode`` after the guardrails and why; ``skip`` set: nothing may act and this sentence says so."""

    mode: str
    reasons: list[str] = field(default_factory=list)
    skip: str | None = None


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def in_freeze(windows: list[Json], at: datetime) -> str | None:
    """The name of the freeze window that ``at`` (UTC) lies in."""
    for window in windows:
        if _parse_time(window["start"]) <= at < _parse_time(window["end"]):
            return str(window["name"])
    return None


def _exempt(config: Config, account_id: str, targets: list[Json]) -> str | None:
    rails = config.guardrails
    if account_id in rails["exempt_accounts"]:
        return f"account {account_id} is exempt (guardrails.exempt_accounts)"
    own = breach.own_roles(config.name_prefix, list(config.playbooks))
    for target in targets:
        for principal in target.get("principals", []):
            if _is_own(config, own, account_id, principal):
                return f"{principal} is a role of the response itself"
        for pattern in rails["exempt_resources"]:
            if matches(pattern, target["arn"]) or matches(pattern, target["id"]):
                return f"{target['id']} is exempt (guardrails.exempt_resources: {pattern})"
        for pattern in rails["exempt_principals"]:
            for principal in target.get("principals", []):
                if matches(pattern, principal):
                    return f"{principal} on {target['id']} is exempt (guardrails.exempt_principals: {pattern})"
    return None


def _is_own(config: Config, own: frozenset[str], account_id: str, principal: str) -> bool:
    """Member roles by their exact names: anybody may give a role of theirs our prefix, and must not be spared for it."""
    name = principal.rsplit("/", 1)[-1]
    in_security = account_id == config.security_account and name.startswith(f"{config.name_prefix}-")
    return ":role/" in principal and (name in own or in_security)


def judge(
    config: Config,
    record: Record,
    mode: str,
    playbook: str,
    account_id: str,
    targets: list[Json],
    at: datetime | None = None,
) -> Ruling:
    """``mode``: the policy's acting mode. ``targets``: {id, arn, tags?, principals?}. Counts them for the circuit breaker."""
    ruling, rails = Ruling(mode), config.guardrails
    if config.paused:
        ruling.skip = "the response is paused (paused = true): nothing was changed; unpause with Terraform"
        return ruling
    ruling.skip = _exempt(config, account_id, targets)
    if ruling.skip:
        return ruling
    if account_id == rails["management_account_id"]:
        ruling.skip = f"account {account_id} is the organization's management account: people are told, nothing acts there"
        return ruling
    if mode != "auto":
        return ruling
    asks = []
    tag = rails["approval_tag"]
    for target in targets:
        if tag and target.get("tags", {}).get(tag["key"]) == tag["value"]:
            asks.append(f"{target['id']} carries the tag {tag['key']}={tag['value']}; CloudTrail CreateTags says who set it")
    frozen = in_freeze(rails["freeze_windows"], at or datetime.now(UTC))
    if frozen:
        asks.append(f"the freeze window '{frozen}' is in force")
    breaker = rails["circuit_breaker"]
    if breaker and targets:
        count = record.count_targets(playbook, [target["arn"] for target in targets], int(breaker["minutes"]))
        if count > breaker["targets"]:
            asks.append(
                f"{count} resources in {breaker['minutes']} minutes exceed the circuit breaker's {breaker['targets']}: "
                "a person decides, in case the findings are wrong"
            )
    if asks:
        ruling.mode = "approve"
        ruling.reasons = [f"auto became approve: {ask}" for ask in asks]
    return ruling
