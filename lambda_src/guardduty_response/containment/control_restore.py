"""Restores controls: what is still as containment left it gets its value of before."""

from __future__ import annotations

from functools import partial
from typing import Any

from guardduty_response.containment.control import Control
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since


def restore_items(control: Control[Any, Any]) -> list[RestoreItem]:
    """Compares every recorded value with the present one, which is read now.

    Raises the error of reading.
    """
    control.state.settings[control.item] = control.read()
    now, before = control.values(control.current), control.to_restore()
    items = [
        _restore_item(control, name, old, now.get(name)) for name, old in sorted(before.items())
    ]
    return items + [
        _later_item(control, name)
        for name in sorted(now.keys() - before.keys())
        if control.later_stays and control.wanted(name, now[name]) == now[name]
    ]


def _restore_item(control: Control[Any, Any], name: str, old: Any, now: Any) -> RestoreItem:
    if control.as_before(name, old, now):
        text = control.state_text(name, now)
        return RestoreItem(RestoreStatus.UNCHANGED, control.item, name, text)
    command = control.by_hand(name, old)
    if reason := control.retained(name, old, now):
        return RestoreItem(RestoreStatus.RETAINED, control.item, name, reason, command)
    if not control.left(name, old, now):
        if now is None:
            text = control.state_text(name, None)
            return RestoreItem(RestoreStatus.CHANGED_SINCE, control.item, name, text)
        return changed_since(control.item, name, control.state_text(name, now))
    if reason := control.irreversible(name, old, now):
        return RestoreItem(RestoreStatus.MANUAL, control.item, name, reason, command)
    return RestoreItem(
        RestoreStatus.TODO,
        control.item,
        name,
        control.restored_text(name, old),
        command,
        partial(control.restore_value, name, old),
    )


def _later_item(control: Control[Any, Any], name: str) -> RestoreItem:
    """Says of what came after the first containment, and was contained, that it stays so."""
    command = control.by_hand(name, control.later_value)
    text = f"{control.named(name)} {control.later_stays}"
    return RestoreItem(RestoreStatus.RETAINED, control.item, name, text, command)
