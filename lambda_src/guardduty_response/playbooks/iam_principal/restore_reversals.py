"""Brings back what eradication undid, from the record. What is still as the reversal left it is
brought back; what somebody changed since is not touched.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial

from guardduty_response.containment.control_restore import read_all, restore_items
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.playbooks.iam_principal.reversals import KINDS, Reversals
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    AnyReversal,
    NotReversed,
    ReversalRecord,
)

ROTATION = "rotation"  # the name of the evidence entry that eradicate/rotate.py writes
BY_RECORD = {kind.what: kind for kind in KINDS}


def parts(principal: TargetContext) -> list[RestoreItem]:
    """Returns the restore items of every recorded reversal, and of the new access key.

    ``principal.stored`` is the target's record.
    """
    before: dict[str, ReversalRecord] = principal.stored.get("before") or {}
    reversals = Reversals(principal)
    calls = {
        name: partial(_items, reversals.of(BY_RECORD[record["what"]], name, record))
        for name, record in before.items()
        if name.startswith("revert/") and record.get("what") in BY_RECORD
    }
    return [*read_all(calls), *_new_key(principal)]


def _items(reversal: AnyReversal) -> list[RestoreItem]:
    try:
        items = restore_items(reversal)
    except NotReversed as gone:
        text = f"{gone.text} and is not created again"
        return [RestoreItem(RestoreStatus.CHANGED_SINCE, reversal.item, "", text)]
    return [replace(item, item=reversal.named(item.item)) for item in items]


def _new_key(principal: TargetContext) -> list[RestoreItem]:
    """Reports the access key that eradication made: it stays."""
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
