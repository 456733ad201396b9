"""Restores the recorded state before containment, item by item, and says what was not restored.

The present state decides, not what the action log believes was done: so a half-contained target is
restored as far as it was changed, a second restore finds nothing to do, and what somebody else
changed since is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment.contract import Check, RestoreResult
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    TargetContext,
    describe_error,
    run_all,
)
from guardduty_response.incident.statuses import Status

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

# What was changed is seen late: AWS is eventually consistent.
READS = 10
# What AWS throttled is asked for again after 2, 4, 6 and 8 s. All pauses together stay below the
# 120 s that the function has (modules/function).
ATTEMPTS = 5
PAUSE_SECONDS = 2


class RestoreStatus(StrEnum):
    UNCHANGED = "as before"
    TODO = "to be brought back"
    MANUAL = "cannot be brought back"  # containment's state stays, and a person is needed
    RETAINED = "stays by choice"  # containment's state stays, by a switch or by design
    CHANGED_SINCE = "not containment's any more"  # somebody changed it since, or it is gone


@dataclass(frozen=True)
class RestoreItem:
    """One setting that containment recorded before changing it, and what restore says of it.

    ``name``: its key in the prior state, ``network/<interface>`` for interfaces. ``item``: which
    setting under that key. ``call``: restores it and returns the AWS answers. ``throttled``: it
    could not be read, by an error that passes.
    """

    status: RestoreStatus
    name: str
    item: str
    text: str
    manual_command: str = ""
    call: Callable[[], list[AwsAnswer]] | None = None
    throttled: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.item

    @property
    def restored(self) -> bool:
        return self.status is RestoreStatus.UNCHANGED

    @property
    def full_text(self) -> str:
        return f"{self.text}. By hand: {self.manual_command}" if self.manual_command else self.text


def aws_command(target_context: TargetContext, command: str) -> str:
    """Returns an AWS CLI command in the target's Region."""
    return f"aws {command} --region {target_context.target.region}"


def changed_since(name: str, item: str, what: str) -> RestoreItem:
    """Returns the item of a setting that somebody changed after containment: left as it is."""
    text = f"{what}, which is not what containment left: somebody changed it since, left as it is"
    return RestoreItem(
        RestoreStatus.CHANGED_SINCE,
        name,
        item,
        text,
    )


# Reads everything with a fresh session: whether the resource exists, and every recorded setting as
# it is now.
ReadItems = Callable[[], tuple[bool, list[RestoreItem]]]
# What the calls of the items returned, by the item's key: AWS answers, or the error.
Results = dict[tuple[str, str], "list[AwsAnswer] | Exception"]


def restore(target_context: TargetContext, read_items: ReadItems) -> RestoreResult:
    """Restores what ``read_items`` finds to be restored, and verifies it.

    ``target_context.stored`` is the target's record. Raises what ``read_items`` raises before
    anything was changed.
    """
    exists, items = _read_first(read_items)
    done_earlier = set((target_context.stored.get("restored") or {}).get("done") or [])
    if target_context.stored.get("status") == Status.GONE:  # its sessions may be denied since
        done_earlier = set()
    items = [_restored_earlier(item) if item.name in done_earlier else item for item in items]
    calls = {item.key: item.call for item in items if item.call}
    results = _run_calls(calls)
    if results:
        items = _verify(read_items, items, results)
    _log(
        target_context,
        items,
        done_earlier,
        results,
    )
    return _result(exists, items)


def _result(exists: bool, items: list[RestoreItem]) -> RestoreResult:
    restored = [item for item in items if item.restored]
    not_restored = [item for item in items if not item.restored]
    status = Status.RESTORE_PARTIAL if not_restored else Status.RESTORED
    # What is on other resources, and could not be taken back, needs a person all the same.
    if not exists and not any(item.status is RestoreStatus.MANUAL for item in items):
        status = Status.GONE
    contained = (RestoreStatus.MANUAL, RestoreStatus.RETAINED)
    return RestoreResult(
        status,
        sorted({item.name for item in restored} - {item.name for item in not_restored}),
        sorted({item.name for item in not_restored if item.status in contained}),
        [item.text for item in restored],
        list(dict.fromkeys(item.full_text for item in not_restored)),
        [Check(item.item or item.name, item.restored, item.text) for item in items],
    )


def _restored_earlier(item: RestoreItem) -> RestoreItem:
    text = f"{item.item or item.name} was restored earlier"
    return replace(
        item,
        status=RestoreStatus.UNCHANGED,
        call=None,
        manual_command="",
        text=text,
    )


def _read_first(read_items: ReadItems) -> tuple[bool, list[RestoreItem]]:
    """Reads everything, again while AWS throttles some of it."""
    for attempt in range(1, ATTEMPTS):
        try:
            exists, items = read_items()
        except AWS_ERRORS as error:
            if not is_transient(error):
                raise
        else:
            if not any(item.throttled for item in items):
                return exists, items
        time.sleep(PAUSE_SECONDS * attempt)
    return read_items()


def _run_calls(calls: dict[tuple[str, str], Callable[[], list[AwsAnswer]]]) -> Results:
    """Runs the calls at the same time; again what failed of an error that passes."""
    results: Results = {}
    for attempt in range(1, ATTEMPTS + 1):
        results |= run_all(calls, BRANCHES)
        calls = {key: call for key, call in calls.items() if _passes(results[key])}
        if not calls:
            break
        time.sleep(PAUSE_SECONDS * attempt * (attempt < ATTEMPTS))
    return results


def _passes(result: list[AwsAnswer] | Exception) -> bool:
    return isinstance(result, Exception) and is_transient(result)


def _verify(read_items: ReadItems, items: list[RestoreItem], results: Results) -> list[RestoreItem]:
    """Reads again what was changed: it counts only once it is seen."""
    changed = {key for key, result in results.items() if not isinstance(result, Exception)}
    seen = _read_until_seen(read_items, changed)
    return [_verified(item, results.get(item.key), seen.get(item.key)) for item in items]


def _read_until_seen(
    read_items: ReadItems, changed: set[tuple[str, str]]
) -> dict[tuple[str, str], RestoreItem]:
    """Returns what was seen of the changed items last: of those that were seen restored, that."""
    seen: dict[tuple[str, str], RestoreItem] = {}
    found: dict[tuple[str, str], RestoreItem] = {}
    waiting = set(changed)
    for attempt in range(READS):
        if attempt:
            throttled = waiting - found.keys()
            time.sleep(PAUSE_SECONDS * (2 if throttled else 1))
        try:
            found = {item.key: item for item in read_items()[1] if item.key in waiting}
        except AWS_ERRORS:
            found = {}  # what was changed is to be recorded all the same
        seen |= found
        waiting -= {key for key, item in found.items() if item.restored}
        if not waiting:
            break
    return seen


def _verified(
    item: RestoreItem, result: list[AwsAnswer] | Exception | None, seen: RestoreItem | None
) -> RestoreItem:
    if result is None:
        return item
    if isinstance(result, Exception):
        text = f"failed ({describe_error(result)}): {item.text}"
        return replace(
            item,
            status=RestoreStatus.MANUAL,
            call=None,
            text=text,
        )
    if seen and seen.restored:
        return replace(
            item,
            status=RestoreStatus.UNCHANGED,
            manual_command="",
            call=None,
        )
    state = seen.text if seen else "not readable"
    text = f"changed, and not to be seen on reading back ({state}): {item.text}"
    return replace(
        item,
        status=RestoreStatus.MANUAL,
        call=None,
        text=text,
    )


def _log(
    target_context: TargetContext,
    items: list[RestoreItem],
    done_earlier: set[str],
    results: Results,
) -> None:
    """Logs one action for each key of the prior state; an earlier restore's stays when nothing
    is new.
    """
    names = dict.fromkeys(
        item.name.split("/")[0] for item in items if item.name not in done_earlier
    )
    for name in names:
        named = [item for item in items if item.name.split("/")[0] == name]
        answers: list[AwsAnswer] = []
        for item in named:
            result = results.get(item.key)
            if isinstance(result, list):
                answers += result
        restored = [item.text for item in named if item.restored]
        not_restored = dict.fromkeys(item.full_text for item in named if not item.restored)
        texts = [*restored, *(f"NOT restored: {text}" for text in not_restored)]
        request_ids = ",".join(filter(None, map(clients.request_id, answers)))
        target_context.context.log_action(
            target_context.target,
            f"restore_{name}",
            _logged_status(named, bool(answers)),
            "; ".join(texts),
            request_ids,
        )


def _logged_status(items: list[RestoreItem], changed: bool) -> str:
    if any(item.status is RestoreStatus.MANUAL for item in items):
        return FAILED
    if changed:
        return DONE
    return ALREADY if all(item.restored for item in items) else SKIPPED
