"""What restore says of each recorded part: as before, to be brought back, or not, and why.

The present state decides, not what the ledger believes was done: so a half-contained instance is
restored as far as it was changed, a second restore finds nothing to do, and what somebody else
changed since is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from guardduty_response.aws import clients
from guardduty_response.containment.contract import Check, RestoreResult
from guardduty_response.containment.target_context import (
    ALREADY,
    AWS_ERRORS,
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    Json,
    TargetContext,
    describe_error,
    run_all,
)
from guardduty_response.incident.statuses import Status

READ_BACKS, PAUSE_SECONDS = 10, 2  # what was changed is seen late: AWS is eventually consistent


class RestoreStatus(StrEnum):
    UNCHANGED = "as before"
    TODO = "to be brought back"
    MANUAL = "cannot be brought back"  # containment's state stays, and a person is needed
    RETAINED = "stays by choice"  # containment's state stays, by a switch or by design
    CHANGED_SINCE = "not containment's any more"  # somebody changed it since, or it is gone


@dataclass(frozen=True)
class RestoreItem:
    """``name``: its key in the before-state, ``network/<interface>`` for interfaces. ``call``
    brings it back.
    """

    status: RestoreStatus
    name: str
    item: str
    text: str
    manual_command: str = ""
    call: Callable[[], list[Json]] | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.item

    @property
    def full_text(self) -> str:
        return f"{self.text}. By hand: {self.manual_command}" if self.manual_command else self.text


def aws_command(target_context: TargetContext, command: str) -> str:
    return f"aws {command} --region {target_context.target.region}"


def changed_since(name: str, item: str, what: str) -> RestoreItem:
    return RestoreItem(
        RestoreStatus.CHANGED_SINCE,
        name,
        item,
        f"{what}, which is not what containment left: somebody changed it since, left as it is",
    )


# Reads everything with a fresh session: (whether the resource exists, every recorded part as it is
# now).
ReadItems = Callable[[], tuple[bool, list[RestoreItem]]]


def restore(target_context: TargetContext, look: ReadItems) -> RestoreResult:
    """Brings back what ``look`` finds to be brought back, and reads it back. ``work.kept`` is
    the target's ledger.
    """
    exists, parts = look()
    done = set((target_context.stored.get("restored") or {}).get("done") or [])
    parts = [_earlier(item) if item.name in done else item for item in parts]
    got = run_all({item.key: item.call for item in parts if item.call}, BRANCHES)
    if got:
        parts = _read_back(look, parts, got)
    _write(target_context, parts, done, got)
    good, bad = (
        [item for item in parts if item.status is RestoreStatus.UNCHANGED],
        [item for item in parts if item.status is not RestoreStatus.UNCHANGED],
    )
    return RestoreResult(
        Status.GONE if not exists else Status.RESTORE_PARTIAL if bad else Status.RESTORED,
        sorted({item.name for item in good} - {item.name for item in bad}),
        sorted(
            {
                item.name
                for item in bad
                if item.status in (RestoreStatus.MANUAL, RestoreStatus.RETAINED)
            }
        ),
        [item.text for item in good],
        list(dict.fromkeys(item.full_text for item in bad)),
        [
            Check(item.item or item.name, item.status is RestoreStatus.UNCHANGED, item.text)
            for item in parts
        ],
    )


def _earlier(part: RestoreItem) -> RestoreItem:
    return replace(
        part,
        status=RestoreStatus.UNCHANGED,
        call=None,
        manual_command="",
        text=f"{part.item or part.name} was restored earlier",
    )


def _read_back(
    look: ReadItems, parts: list[RestoreItem], got: dict[tuple[str, str], object]
) -> list[RestoreItem]:
    """What was changed counts only once it is seen."""
    changed = {key for key, result in got.items() if not isinstance(result, Exception)}
    now: dict[tuple[str, str], RestoreItem] = {}
    for attempt in range(READ_BACKS):
        time.sleep(PAUSE_SECONDS * bool(attempt))
        try:
            now = {item.key: item for item in look()[1]}
        except AWS_ERRORS:
            continue  # what was changed is to be recorded all the same
        if all(key in now and now[key].status is RestoreStatus.UNCHANGED for key in changed):
            break
    out = []
    for item in parts:
        if item.key in changed:
            seen = now.get(item.key)
            if seen and seen.status is RestoreStatus.UNCHANGED:
                out.append(
                    replace(item, status=RestoreStatus.UNCHANGED, manual_command="", call=None)
                )
            else:
                text = (
                    "changed, and not to be seen on reading back"
                    f" ({seen.text if seen else 'not readable'}): {item.text}"
                )
                out.append(replace(item, status=RestoreStatus.MANUAL, call=None, text=text))
        elif isinstance(error := got.get(item.key), Exception):
            out.append(
                replace(
                    item,
                    status=RestoreStatus.MANUAL,
                    call=None,
                    text=f"failed ({describe_error(error)}): {item.text}",
                )
            )
        else:
            out.append(item)
    return out


def _write(
    target_context: TargetContext,
    parts: list[RestoreItem],
    done: set[str],
    got: dict[tuple[str, str], object],
) -> None:
    """One ledger line a kind of part. What an earlier restore wrote stands when nothing is new."""
    names = dict.fromkeys(item.name.split("/")[0] for item in parts if item.name not in done)
    for name in names:
        mine = [item for item in parts if item.name.split("/")[0] == name]
        bad = [item for item in mine if item.status is not RestoreStatus.UNCHANGED]
        answers = [
            answer
            for item in mine
            if isinstance(made := got.get(item.key), list)
            for answer in made
        ]
        status = (
            FAILED
            if any(item.status is RestoreStatus.MANUAL for item in bad)
            else DONE
            if answers
            else SKIPPED
            if bad
            else ALREADY
        )
        lines = [item.text for item in mine if item.status is RestoreStatus.UNCHANGED] + [
            f"NOT restored: {told}" for told in dict.fromkeys(item.full_text for item in bad)
        ]
        target_context.context.log_action(
            target_context.target,
            f"restore_{name}",
            status,
            "; ".join(lines),
            ",".join(filter(None, map(clients.request_id, answers))),
        )
