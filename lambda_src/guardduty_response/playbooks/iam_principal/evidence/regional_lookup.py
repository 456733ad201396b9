"""The principal's calls by LookupEvents: the same questions in every Region, Regions side by
side, over many function calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import query
from guardduty_response.cloudtrail.time_range import TimeRange
from guardduty_response.containment.target_context import (
    TargetContext,
    allow,
    describe_error,
    run_all,
)
from guardduty_response.evidence.items import Json
from guardduty_response.playbooks.iam_principal.evidence.event_collection import MOST_EVENTS, Found

AT_ONCE = 24  # Regions
TRIES = 5  # how often a Region may be throttled without a page in between
RETENTION = 90 * 86400 - 600  # LookupEvents answers events of 90 days
_POOL = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="region")


def begin(regions: list[str], asked: list[tuple[str, str]], since: int) -> Json:
    """{Region: {questions, tries, answered?, note?}}; ``note``: why nothing at all could be
    asked there.
    """
    return {
        name: {
            "questions": [{**query.new_query(*one), "since": since} for one in asked],
            "tries": 0,
        }
        for name in regions
    }


def again(regions: Json, since: int) -> None:
    """The same questions once more, for what is newer than ``since``. Where nothing could be
    asked it stays so.
    """
    for one in [one for one in regions.values() if not one.get("note")]:
        one["tries"] = 0
        one["questions"] = [
            (
                {**query.new_query(old["key"], old["value"]), "since": since}
                if not old.get("note")
                else old
            )
            for old in one["questions"]
        ]


def add(regions: Json, keys: list[str], since: int) -> None:
    """Questions for keys that were met meanwhile, over the whole window."""
    for one in regions.values():
        known = {question["value"] for question in one["questions"]}
        if not one.get("note"):
            one["questions"] += [
                {**query.new_query("AccessKeyId", key), "since": since}
                for key in keys
                if key not in known
            ]


def done(regions: Json) -> bool:
    return all(one.get("note") or query.is_complete(one["questions"]) for one in regions.values())


def ask(
    principal: TargetContext, regions: Json, window: TimeRange, found: Found, until: float
) -> bool:
    """One function call's share of all Regions; False when one answered that it is asked too often,
    or not at all.

    Each is paced by itself: CloudTrail limits an account in each Region.
    """
    oldest = int(time.time()) - RETENTION
    for question in [question for one in regions.values() for question in one["questions"]]:
        question["since"] = max(question["since"], oldest)
    open_ones = [
        name
        for name, one in regions.items()
        if not one.get("note") and not query.is_complete(one["questions"])
    ]
    session = principal.open_session(allow(("cloudtrail:LookupEvents",)))
    calls: dict[str, Callable[[], Any]] = {
        name: partial(_ask, session, name, regions[name]["questions"], window, found, until)
        for name in open_ones
    }
    pages = {name: _pages(regions[name]) for name in open_ones}
    results = run_all(calls, _POOL)
    for name, result in results.items():
        one = regions[name]
        one["answered"] = one.get("answered", False) or _pages(one) > 0
        if not isinstance(result, Exception):
            one["tries"] = 0
            continue
        one["tries"] = one["tries"] + 1 if _pages(one) == pages[name] else 0
        if not is_transient(result) or one["tries"] >= TRIES:
            one["tries"] = 0
            _give_up(one, describe_error(result))
    if found.progress["full"]:
        for question in [
            question
            for one in regions.values()
            for question in one["questions"]
            if not question.get("done")
        ]:
            question |= {
                "done": True,
                "cut": f"cut off after {MOST_EVENTS} events of the principal, older ones were left",
            }
    return not any(isinstance(result, Exception) for result in results.values())


def _ask(
    session: clients.Session,
    region: str,
    questions: list[Json],
    window: TimeRange,
    found: Found,
    until: float,
) -> None:
    if time.monotonic() < until:  # a Region that had to wait for its turn begins with the next call
        query.run(session.client("cloudtrail", region), questions, window, until, found.take_event)


def _pages(one: Json) -> int:
    return sum(question["pages"] for question in one["questions"])


def _give_up(one: Json, text: str) -> None:
    """Nothing answered: the Region as a whole. Otherwise what is left of its questions."""
    if not one["answered"]:
        one["note"] = f"cannot be asked ({text})"
        return
    for question in [question for question in one["questions"] if not question.get("done")]:
        question |= {"done": True, "cut": f"cut off ({text})"}


def refused(one: Json) -> str:
    """Why nothing could ever be asked in a Region, or empty."""
    notes = [str(question.get("note") or "") for question in one["questions"]]
    return str(one.get("note") or "") or (
        notes[0] if notes and all(notes) and not one.get("answered") else ""
    )


def found(one: Json) -> Json:
    """How many events each question of this round has found."""
    return {question["value"]: question["found"] for question in one["questions"]}


def left(regions: Json, window: TimeRange) -> list[Json]:
    """What was not read: {region, why, command, cut: whether some of it was read} each."""
    out = []
    for name, one in regions.items():
        for question in one["questions"]:
            text = one.get("note") or question.get("note") or question.get("cut")
            if text:
                command = query.command(question, window, name)
                out.append(
                    {
                        "region": name,
                        "why": text,
                        "command": command,
                        "cut": bool(question.get("cut")),
                    }
                )
    return out
