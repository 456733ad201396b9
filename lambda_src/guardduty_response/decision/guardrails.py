"""Applies the guardrails to the mode that the policy chose. They only make a response milder.

Exemptions come from Terraform alone. A tag on the resource can at most turn ``auto`` into
``approve``: an attacker can tag too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypedDict

from guardduty_response.decision.configuration import PAUSED, Config, FreezeWindow
from guardduty_response.decision.globs import matches
from guardduty_response.decision.own_roles import is_own, own_roles
from guardduty_response.incident.circuit_breaker import Limits
from guardduty_response.incident.repository import IncidentRepository


class GuardedTarget(TypedDict, total=False):
    """Describes a target for the guardrails; ``principals`` are the ARNs it involves."""

    id: str
    arn: str
    tags: Mapping[str, str]
    principals: Sequence[str]


# Counts targets for the circuit breaker, and returns which of its limits they exceed.
Exceeded = Callable[[list[GuardedTarget]], list[str]]


class Ruling(NamedTuple):
    """Holds the mode after the guardrails, and why.

    ``skip``: nothing is changed, and this sentence says why. ``alarm``: the response is not able to
    change anything, so the incident fails, and this sentence says what people must do.
    """

    mode: str
    reasons: Sequence[str] = ()
    skip: str | None = None
    alarm: str | None = None


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def in_freeze(windows: list[FreezeWindow], at: datetime) -> str | None:
    """Returns the name of the freeze window that ``at`` (UTC) lies in, or None."""
    for window in windows:
        if _parse_time(window["start"]) <= at < _parse_time(window["end"]):
            return window["name"]
    return None


def frozen(config: Config, at: datetime) -> str:
    """Says which freeze window ``at`` (UTC) lies in, or ''."""
    window = in_freeze(config.guardrails["freeze_windows"], at)
    return f"the freeze window '{window}' is in force" if window else ""


def reason_to_skip(config: Config, account_id: str, targets: list[GuardedTarget]) -> str | None:
    """Returns why nothing may act, whatever triage has decided, or None.

    A pause, an exempt account, resource or principal, a role of the response itself, or the
    management account: what triage asks of a configuration, the gate asks of the newest one.
    """
    return (
        _exemption(config, account_id, targets)
        or _own_role_involved(config, account_id, targets)
        or _management_account(config, account_id)
    )


def _management_account(config: Config, account_id: str) -> str | None:
    if account_id != config.guardrails.get("management_account_id"):
        return None
    return (
        f"account {account_id} is the organization's management account: people are notified,"
        " nothing acts there"
    )


def _exemption(config: Config, account_id: str, targets: list[GuardedTarget]) -> str | None:
    """Returns why nothing may act: a pause, or an exempt account, resource or principal."""
    guardrails = config.guardrails
    if config.paused:
        return f"{PAUSED} (paused = true): nothing was changed; unpause with Terraform"
    if account_id in guardrails["exempt_accounts"]:
        return f"account {account_id} is exempt (exempt_accounts)"
    for target in targets:
        for pattern in guardrails["exempt_resources"]:
            if matches(pattern, target["arn"]) or matches(pattern, target["id"]):
                return f"{target['id']} is exempt (exempt_resources: {pattern})"
        for pattern in guardrails["exempt_principals"]:
            for principal in target.get("principals", []):
                if matches(pattern, principal):
                    return f"{principal} on {target['id']} is exempt (exempt_principals: {pattern})"
    return None


def _own_role_involved(config: Config, account_id: str, targets: list[GuardedTarget]) -> str | None:
    """Returns an alarm when a target is a role of the response itself, or None.

    Its credentials may be stolen, so it is not left alone in silence. Roles in member accounts are
    recognised by their exact names: anybody may give a role our prefix. In the security account the
    prefix is enough: whoever creates roles there controls the response anyway.
    """
    own = own_roles(config)
    prefix = f":role{config.responder['role_path']}{config.name_prefix}-"
    principals = [principal for target in targets for principal in target.get("principals", [])]
    for principal in principals:
        in_security_account = account_id == config.security_account and prefix in principal
        if in_security_account or is_own(principal, own):
            return (
                f"{principal} is a role of the response itself, and its own policies let it change"
                " none of these. Only its functions have a reason to use that role: CloudTrail"
                " (AssumeRole) shows who assumed it. If it was not a function: set paused = true,"
                " and revoke the role's active sessions (IAM console)"
            )
    return None


def _reasons_to_ask(
    config: Config,
    targets: list[GuardedTarget],
    at: datetime,
    exceeded: Exceeded,
) -> list[str]:
    """Returns why a person decides: a tag, a freeze window, or too many resources."""
    guardrails = config.guardrails
    reasons = []
    tag = guardrails["approval_tag"]
    for target in targets:
        if tag and target.get("tags", {}).get(tag["key"]) == tag["value"]:
            reasons.append(
                f"{target['id']} carries the tag {tag['key']}={tag['value']}; CloudTrail CreateTags"
                " says who set it"
            )
    if freeze := frozen(config, at):
        reasons.append(freeze)
    return reasons + exceeded(targets)


def exceeded_limits(
    config: Config,
    record: IncidentRepository,
    playbook: str,
    account_id: str,
    targets: list[GuardedTarget],
    at: float | None = None,
) -> list[str]:
    """Counts the targets for the circuit breaker; returns which of its limits are exceeded.

    ``at``: seconds since 1970, by which the count can be withdrawn; now unless given.
    """
    breaker = config.guardrails["circuit_breaker"]
    if not breaker or not targets:
        return []
    minutes = int(breaker["minutes"])
    arns = [target["arn"] for target in targets]
    limits = Limits(
        breaker["targets"], breaker.get("targets_per_account"), breaker.get("targets_in_all")
    )
    counts = record.circuit_breaker.count_targets(
        playbook,
        account_id,
        arns,
        minutes,
        limits,
        at,
    )
    whose = ("", f" of account {account_id}", " of all playbooks")
    at_least = "" if counts.complete else "at least "
    return [
        f"{at_least}{count} resources{of} in {minutes} minutes exceed the circuit breaker's"
        f" {limit}: a person decides, in case the findings are wrong"
        for limit, count, of in zip(limits, counts.numbers, whose, strict=True)
        if limit is not None and count > limit
    ]


def apply(
    config: Config,
    record: IncidentRepository,
    mode: str,
    playbook: str,
    account_id: str,
    targets: list[GuardedTarget],
    at: datetime | None = None,
    exceeded: Exceeded | None = None,
) -> Ruling:
    """Returns the mode after the guardrails; ``mode`` is the policy's acting mode.

    Counts the targets for the circuit breaker, by ``exceeded`` where it is given. ``at``: the time
    to compare freeze windows with, now unless given.
    """
    if skip := _exemption(config, account_id, targets):
        return Ruling(mode, skip=skip)
    if alarm := _own_role_involved(config, account_id, targets):
        return Ruling(mode, alarm=alarm)
    if skip := _management_account(config, account_id):
        return Ruling(mode, skip=skip)
    if mode != "auto":
        return Ruling(mode)
    count = exceeded or partial(exceeded_limits, config, record, playbook, account_id)
    reasons = _reasons_to_ask(config, targets, at or datetime.now(UTC), count)
    if not reasons:
        return Ruling(mode)
    return Ruling("approve", [f"auto became approve: {reason}" for reason in reasons])
