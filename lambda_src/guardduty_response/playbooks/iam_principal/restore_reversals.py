"""Brings back what eradication undid, from the record: each recorded reversal is judged by the
present state.

A judge gets the state before the reversal and reads the present state. What is still as the
reversal left it is brought back; what somebody changed since is not touched. Trails and detectors
stay on: a mistaken containment did not take the monitoring away.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial

from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.containment.target_context import (
    BRANCHES,
    Json,
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
from guardduty_response.playbooks.iam_principal.recorded_reversal import (
    RecordedReversal,
    assume,
    region_of,
)

ROTATION = "rotation"  # the name of the evidence entry that eradicate/rotate.py writes
Judge = Callable[[RecordedReversal], list[RestoreItem]]
JUDGES: dict[str, Judge] = {
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
    """Return the restore items of every recorded reversal, and of the new access key.

    ``principal.stored`` is the target's record.
    """
    before: dict[str, Json] = principal.stored.get("before") or {}
    recorded = {name: state for name, state in before.items() if name.startswith("revert/")}
    regions = {region_of(principal, state) for state in recorded.values()}
    readers = {region: assume(principal, region, allow(resource_state.READS)) for region in regions}
    calls = {
        name: partial(_judge, RecordedReversal(principal, readers, name, state))
        for name, state in recorded.items()
    }
    items: list[RestoreItem] = []
    for name, result in run_all(calls, BRANCHES).items():
        if isinstance(result, Exception):
            event = recorded[name].get("event")
            text = f"{event} could not be read ({describe_error(result)}): run restore again"
            items.append(RestoreItem(RestoreStatus.MANUAL, name, "", text))
        else:
            items += result
    return items + _new_key(principal)


def _judge(reversal: RecordedReversal) -> list[RestoreItem]:
    judge = JUDGES.get(str(reversal.before_state.get("what")))
    return judge(reversal) if judge else []


def _new_key(principal: TargetContext) -> list[RestoreItem]:
    """Report the access key that eradication made: it stays."""
    evidence = principal.stored.get("evidence") or {}
    state = (evidence.get(ROTATION) or {}).get("state") or {}
    if not state.get("key"):
        return []
    secret = f"secret {state['secret']} ({state.get('region') or principal.target.region})"
    text = f"new access key {state['key']} stays: its owner finds it in {secret}"
    manual_command = (
        f"aws iam delete-access-key --user-name {shlex.quote(principal.id)} --access-key-id"
        f" {state['key']}"
    )
    return [RestoreItem(RestoreStatus.RETAINED, ROTATION, state["key"], text, manual_command)]
