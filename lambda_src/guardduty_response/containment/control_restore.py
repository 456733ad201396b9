"""Restores controls: what is still as containment left it gets its value of before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.target_context import BRANCHES, describe_error, run_all

if TYPE_CHECKING:
    from guardduty_response.containment.control import AnyControl

# Compares an item of the prior state with how it is now.
ReadItem = Callable[[], list[RestoreItem]]


def read_all(calls: Mapping[str, ReadItem]) -> list[RestoreItem]:
    """Returns what every call finds; an item that cannot be read is left to a person."""
    items: list[RestoreItem] = []
    for name, answer in run_all(calls, BRANCHES).items():
        if isinstance(answer, Exception):
            text = f"{name} could not be read ({describe_error(answer)}): run restore again"
            throttled = is_transient(answer)
            items.append(RestoreItem(RestoreStatus.MANUAL, name, "", text, throttled=throttled))
        else:
            items += answer
    return items


def restore_items(control: AnyControl) -> list[RestoreItem]:
    """Compares every recorded value with the present one, which is read now.

    Raises the error of reading.
    """
    control.state.settings[control.item] = control.read_recorded()
    now, before = control.values(control.current), control.to_restore()
    items = [
        _restore_item(control, name, old, now.get(name)) for name, old in sorted(before.items())
    ]
    return items + [
        _later_item(control, name)
        for name in sorted(now.keys() - before.keys())
        if control.later_stays and control.wanted(name, now[name]) == now[name]
    ]


def _restore_item(control: AnyControl, name: str, old: object, now: object) -> RestoreItem:
    key = control.key_of(name)
    if control.as_before(name, old, now):
        text = control.state_text(name, now)
        return RestoreItem(RestoreStatus.UNCHANGED, key, name, text)
    command = control.full_command(name, old)
    if reason := control.retained(name, old, now):
        return RestoreItem(RestoreStatus.RETAINED, key, name, reason, command)
    if not control.left(name, old, now):
        if now is None:
            text = control.state_text(name, None)
            return RestoreItem(RestoreStatus.CHANGED_SINCE, key, name, text)
        return changed_since(key, name, control.state_text(name, now))
    if reason := control.irreversible(name, old, now):
        return RestoreItem(RestoreStatus.MANUAL, key, name, reason, command)
    call = partial(control.restore_value, name, old)
    text = control.restored_text(name, old)
    return RestoreItem(RestoreStatus.TODO, key, name, text, command, call)


def _later_item(control: AnyControl, name: str) -> RestoreItem:
    """Says of what came after the first containment, and was contained, that it stays so."""
    command = control.full_command(name, control.later_value)
    text = f"{control.named(name)} {control.later_stays}"
    return RestoreItem(RestoreStatus.RETAINED, control.key_of(name), name, text, command)
