"""Brings back what was reverted of a principal's actions, from the record: one part each, judged by
the present state.

A judge gets the state before the revert and reads how it is now. What is still as the revert left
it is brought back; what somebody changed since is not touched. Trails and detectors stay on:
watching is not what a mistaken containment took away.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial

from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.containment.target_context import (
    BRANCHES,
    TargetContext,
    allow,
    describe_error,
    run_all,
)
from guardduty_response.playbooks.iam_principal import (
    resource_state,
    restore_grants,
    restore_resources,
)
from guardduty_response.playbooks.iam_principal.recorded_reversal import Reverted, assume

ROTATION = "rotation"  # remediate/rotate.py
JUDGES: dict[str, Callable[[Reverted], list[RestoreItem]]] = {
    "access_key": restore_grants.access_key,
    "user": restore_grants.user,
    "role": restore_grants.role,
    "login_profile": restore_grants.login_profile,
    "attached": restore_grants.attached,
    "inline": restore_grants.inline,
    "member": restore_grants.member,
    "trust": restore_grants.trust,
    "instances": restore_resources.instances,
    "rules": restore_resources.rules,
    "bucket": restore_resources.bucket,
    "trail": restore_resources.trail,
    "detector": restore_resources.detector,
    "function": restore_resources.function,
    "sharing": restore_resources.sharing,
}


def parts(principal: TargetContext) -> list[RestoreItem]:
    """Every recorded revert, and the key that was made anew. ``work.kept`` is the target's
    ledger.
    """
    recorded = {
        name: was
        for name, was in (principal.stored.get("before") or {}).items()
        if name.startswith("revert/")
    }
    regions = {str(was.get("region") or principal.target.region) for was in recorded.values()}
    readers = {region: assume(principal, region, allow(resource_state.READS)) for region in regions}
    calls = {
        name: partial(_judge, Reverted(principal, readers, name, was))
        for name, was in recorded.items()
    }
    out: list[RestoreItem] = []
    for name, got in run_all(calls, BRANCHES).items():
        if isinstance(got, Exception):
            text = (
                f"{recorded[name].get('event')} could not be read ({describe_error(got)}): "
                "run restore again"
            )
            out.append(RestoreItem(RestoreStatus.MANUAL, name, "", text))
        else:
            out += got
    return out + _rotated(principal)


def _judge(one: Reverted) -> list[RestoreItem]:
    judge = JUDGES.get(str(one.was.get("what")))
    return judge(one) if judge else []


def _rotated(principal: TargetContext) -> list[RestoreItem]:
    state = ((principal.stored.get("evidence") or {}).get(ROTATION) or {}).get("state") or {}
    if not state.get("key"):
        return []
    where = f"secret {state['secret']} ({state.get('region') or principal.target.region})"
    text = f"access key {state['key']}, made anew, stays: its owner finds it in {where}"
    hand = (
        f"aws iam delete-access-key --user-name {shlex.quote(principal.id)} --access-key-id"
        f" {state['key']}"
    )
    return [RestoreItem(RestoreStatus.RETAINED, ROTATION, state["key"], text, hand)]
