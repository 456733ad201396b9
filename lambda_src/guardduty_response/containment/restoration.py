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
    parts = [_earlier(one) if one.name in done else one for one in parts]
    got = run_all({one.key: one.call for one in parts if one.call}, BRANCHES)
    if got:
        parts = _read_back(look, parts, got)
    _write(target_context, parts, done, got)
    good, bad = (
        [one for one in parts if one.status is RestoreStatus.UNCHANGED],
        [one for one in parts if one.status is not RestoreStatus.UNCHANGED],
    )
    return RestoreResult(
        Status.GONE if not exists else Status.RESTORE_PARTIAL if bad else Status.RESTORED,
        sorted({one.name for one in good} - {one.name for one in bad}),
        sorted(
            {
                one.name
                for one in bad
                if one.status in (RestoreStatus.MANUAL, RestoreStatus.RETAINED)
            }
        ),
        [one.text for one in good],
        list(dict.fromkeys(one.full_text for one in bad)),
        [
            Check(one.item or one.name, one.status is RestoreStatus.UNCHANGED, one.text)
            for one in parts
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
    changed = {key for key, one in got.items() if not isinstance(one, Exception)}
    now: dict[tuple[str, str], RestoreItem] = {}
    for attempt in range(READ_BACKS):
        time.sleep(PAUSE_SECONDS * bool(attempt))
        try:
            now = {one.key: one for one in look()[1]}
        except AWS_ERRORS:
            continue  # what was changed is to be recorded all the same
        if all(key in now and now[key].status is RestoreStatus.UNCHANGED for key in changed):
            break
    out = []
    for one in parts:
        if one.key in changed:
            seen = now.get(one.key)
            if seen and seen.status is RestoreStatus.UNCHANGED:
                out.append(
                    replace(one, status=RestoreStatus.UNCHANGED, manual_command="", call=None)
                )
            else:
                text = (
                    "changed, and not to be seen on reading back"
                    f" ({seen.text if seen else 'not readable'}): {one.text}"
                )
                out.append(replace(one, status=RestoreStatus.MANUAL, call=None, text=text))
        elif isinstance(error := got.get(one.key), Exception):
            out.append(
                replace(
                    one,
                    status=RestoreStatus.MANUAL,
                    call=None,
                    text=f"failed ({describe_error(error)}): {one.text}",
                )
            )
        else:
            out.append(one)
    return out


def _write(
    target_context: TargetContext,
    parts: list[RestoreItem],
    done: set[str],
    got: dict[tuple[str, str], object],
) -> None:
    """One ledger line a kind of part. What an earlier restore wrote stands when nothing is new."""
    names = dict.fromkeys(one.name.split("/")[0] for one in parts if one.name not in done)
    for name in names:
        mine = [one for one in parts if one.name.split("/")[0] == name]
        bad = [one for one in mine if one.status is not RestoreStatus.UNCHANGED]
        answers = [
            answer for one in mine if isinstance(made := got.get(one.key), list) for answer in made
        ]
        status = (
            FAILED
            if any(one.status is RestoreStatus.MANUAL for one in bad)
            else DONE
            if answers
            else SKIPPED
            if bad
            else ALREADY
        )
        lines = [one.text for one in mine if one.status is RestoreStatus.UNCHANGED] + [
            f"NOT restored: {told}" for told in dict.fromkeys(one.full_text for one in bad)
        ]
        target_context.context.log_action(
            target_context.target,
            f"restore_{name}",
            status,
            "; ".join(lines),
            ",".join(filter(None, map(clients.request_id, answers))),
        )
