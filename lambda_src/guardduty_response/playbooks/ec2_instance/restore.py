"""Undoes containment from the record: every part that is still as containment left it, read back afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from guardduty_response import aws
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks import Check, Context, Restored, Target
from guardduty_response.playbooks.ec2_instance import restore_access, restore_network, table
from guardduty_response.playbooks.ec2_instance.core import (
    ALREADY,
    AWS_ERRORS,
    BRANCHES,
    DONE,
    FAILED,
    SKIPPED,
    Sessions,
    Work,
    gather,
    why,
)  # fmt: skip
from guardduty_response.playbooks.ec2_instance.restore_part import Kind, Part, by_hand
from guardduty_response.playbooks.ec2_instance.state import Facts, look
from guardduty_response.statuses import Status

JUDGES: dict[str, Callable[[Work, Sessions, Any], list[Part]]] = {
    "network": restore_network.network, "addresses": restore_network.addresses, "profile": restore_access.profile,
    "sessions": restore_access.denials, "protection": restore_access.protection, "tags": restore_access.tags,
    "target_groups": restore_network.target_groups, "auto_scaling": restore_network.auto_scaling,
}  # fmt: skip
READ_BACKS, PAUSE_SECONDS = 10, 2  # IAM, Auto Scaling and load balancers are eventually consistent


def restore(ctx: Context, target: Target) -> Restored:
    """Brings back what the ledger's before-state says, and reads it back. Raises RoleUnavailable, or the error of
    DescribeInstances: then nothing was changed."""
    work = Work(ctx, target)
    work.kept = work.ledger()
    facts, parts = _look(work)
    if other := _contained_by_another(work, facts):
        parts = [replace(one, kind=Kind.KEPT, call=None, hand="", text=other) if one.call else one for one in parts]
    done = set((work.kept.get("restored") or {}).get("done") or [])
    parts = [_earlier(one) if one.name in done else one for one in parts]
    got = gather({one.key: one.call for one in parts if one.call}, BRANCHES)
    if got:
        parts = _read_back(work, parts, got)
    _write(work, parts, done, got)
    good, bad = [one for one in parts if one.kind is Kind.AS_BEFORE], [one for one in parts if one.kind is not Kind.AS_BEFORE]
    return Restored(
        Status.GONE if facts is None else Status.RESTORE_PARTIAL if bad else Status.RESTORED,
        sorted({one.name for one in good} - {one.name for one in bad}),
        sorted({one.name for one in bad if one.kind in (Kind.STUCK, Kind.KEPT)}),
        [one.text for one in good], list(dict.fromkeys(one.told for one in bad)),
        [Check(one.item or one.name, one.kind is Kind.AS_BEFORE, one.text) for one in parts],
    )  # fmt: skip


def _look(work: Work) -> tuple[Facts | None, list[Part]]:
    """A fresh session each time: it reads everything and changes nothing."""
    reading = table.reading(work)
    try:
        facts = look(work, reading.client("ec2"))
    except TargetGone:
        return None, _judge(work, reading, None)
    return facts, _judge(work, reading, facts)


def _judge(work: Work, reading: Sessions, facts: Facts | None) -> list[Part]:
    """Every recorded part. What cannot be read is not touched; the others go on. ``facts``: None when the instance is gone."""
    names = {name.split("/")[0] for name in work.kept.get("before", {})}
    calls = {
        name: partial(one, work, reading, facts)
        for name, one in JUDGES.items()
        if name in names and (facts or name == "sessions")
    }
    parts = [
        Part(Kind.FOREIGN, name, "", f"{name} of {work.id}: the instance no longer exists")
        for name in sorted(names - calls.keys())
    ]
    for name, got in gather(calls, BRANCHES).items():
        if isinstance(got, Exception):
            parts.append(Part(Kind.STUCK, name, "", f"{name} could not be read ({why(got)}): run restore again"))
        else:
            parts += got
    return parts + (_stopped(work, facts) if facts else [])


def _stopped(work: Work, facts: Facts) -> list[Part]:
    """Starting what was compromised is a decision of its own."""
    if work.acted("stop_instance").get("status") != DONE or facts.instance["State"]["Name"] not in ("stopping", "stopped"):
        return []
    hand = by_hand(work, f"ec2 start-instances --instance-ids {work.id}")
    return [Part(Kind.KEPT, "stop", work.id, f"{work.id} was stopped when contained, and is not started by itself", hand)]


def _contained_by_another(work: Work, facts: Facts | None) -> str:
    """A later incident found the instance as we left it, and holds it so: undoing ours would undo that one's."""
    key = f"{work.prefix}-incident"
    tag = facts.tags.get(key, "") if facts else ""
    if tag in ("", work.ctx.incident_id, (work.had("tags") or {}).get(key)):
        return ""
    return f"incident {tag} contains {work.id} too, by its tag {key}: restore that one first (no such incident: remove the tag)"


def _earlier(part: Part) -> Part:
    return replace(part, kind=Kind.AS_BEFORE, call=None, hand="", text=f"{part.item or part.name} was restored earlier")


def _read_back(work: Work, parts: list[Part], got: dict[tuple[str, str], object]) -> list[Part]:
    """What was changed counts only once it is seen."""
    changed = {key for key, one in got.items() if not isinstance(one, Exception)}
    now: dict[tuple[str, str], Part] = {}
    for attempt in range(READ_BACKS):
        time.sleep(PAUSE_SECONDS * bool(attempt))
        try:
            now = {one.key: one for one in _look(work)[1]}
        except AWS_ERRORS:
            continue  # what was changed is to be recorded all the same
        if all(key in now and now[key].kind is Kind.AS_BEFORE for key in changed):
            break
    out = []
    for one in parts:
        if one.key in changed:
            seen = now.get(one.key)
            if seen and seen.kind is Kind.AS_BEFORE:
                out.append(replace(one, kind=Kind.AS_BEFORE, hand="", call=None))
            else:
                text = f"changed, and not to be seen on reading back ({seen.text if seen else 'not readable'}): {one.text}"
                out.append(replace(one, kind=Kind.STUCK, call=None, text=text))
        elif isinstance(error := got.get(one.key), Exception):
            out.append(replace(one, kind=Kind.STUCK, call=None, text=f"failed ({why(error)}): {one.text}"))
        else:
            out.append(one)
    return out


def _write(work: Work, parts: list[Part], done: set[str], got: dict[tuple[str, str], object]) -> None:
    """One ledger line a kind of part. What an earlier restore wrote stands when nothing is new."""
    names = dict.fromkeys(one.name.split("/")[0] for one in parts if one.name not in done)
    for name in names:
        mine = [one for one in parts if one.name.split("/")[0] == name]
        bad = [one for one in mine if one.kind is not Kind.AS_BEFORE]
        answers = [answer for one in mine if isinstance(made := got.get(one.key), list) for answer in made]
        status = FAILED if any(one.kind is Kind.STUCK for one in bad) else DONE if answers else SKIPPED if bad else ALREADY
        lines = [one.text for one in mine if one.kind is Kind.AS_BEFORE] + [
            f"NOT restored: {told}" for told in dict.fromkeys(one.told for one in bad)
        ]
        work.ctx.action(
            work.target, f"restore_{name}", status, "; ".join(lines), ",".join(filter(None, map(aws.request_id, answers)))
        )
