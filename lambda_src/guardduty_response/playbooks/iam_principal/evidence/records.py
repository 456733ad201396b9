"""The shapes of what the listing of a principal's calls keeps between function calls."""

from __future__ import annotations

from typing import TypedDict

from guardduty_response.cloudtrail.query import LookupQuery, SummaryRows
from guardduty_response.playbooks.iam_principal.call_records import ChangeRecord, IssuedSession
from guardduty_response.playbooks.iam_principal.records import HandedOut


class Gap(TypedDict, total=False):
    """Something that is not in the list: where, why, and the command that reads it.

    ``cut``: whether some of it was read.
    """

    region: str
    why: str
    command: str
    cut: bool


class RegionLookup(TypedDict, total=False):
    """LookupEvents in one Region.

    ``tries``: throttled answers in a row; ``answered``: whether a page was read; ``note``: why
    nothing at all could be read there.
    """

    questions: list[LookupQuery]
    tries: int
    answered: bool
    note: str


class TrailQuery(TypedDict, total=False):
    """A query over a trail.

    ``left``: [column, value, since] to be queried yet; ``known``: values queried or to be;
    ``whole``: the time range; ``id``, ``token``, ``began``: of the running query; ``rows``: of its
    answer; ``cut``: why events are missing.
    """

    left: list[tuple[str, str, int]]
    known: list[str]
    whole: list[int]
    id: str
    token: str
    began: int
    tries: int
    pages: int
    rows: int
    cut: str


class Progress(TypedDict, total=False):
    """What must outlive a function call: an object in the evidence bucket.

    ``seen``: event IDs; ``rows``: of the summary; ``changes``: of this pass; ``bytes``: of these;
    ``left_out``: changes beyond the bound; ``issued``: credentials the principal was handed;
    ``handed_out``: these and others, with who asked for them; ``full``: whether the bound on events
    is reached; ``earlier``: gaps of the first pass.
    """

    seen: list[str]
    rows: SummaryRows
    changes: list[ChangeRecord]
    bytes: int
    left_out: int
    issued: list[IssuedSession]
    handed_out: list[HandedOut]
    full: bool
    regions: dict[str, RegionLookup]
    query: TrailQuery | None
    earlier: list[Gap]


class ListingState(TypedDict, total=False):
    """What the record keeps of the listing, for eradication, messages and the report.

    ``round``: the pass (an odd one is a run's first); ``listed``: the pass that is complete;
    ``changes``: keys of the changes of each pass; ``cut_off``: later events are not listed;
    ``due``: when a run's second pass begins; ``window``: the time range; ``since``, ``until``: of
    a later pass; ``again``: a later run begins its own; ``events``, ``mutating``: counts;
    ``issued``: credentials handed out; ``handed_out``: these and others, with who asked for them;
    ``key``: the finding's; ``said``: the text for people; ``source``: what was queried;
    ``fell_back``, ``remark``: what failed; ``progress``: key of the ``Progress``; ``files``,
    ``parity``: for the names of objects.
    """

    round: int
    listed: int
    changes: list[str]
    cut_off: str
    due: int
    window: list[int]
    since: int
    until: int
    again: bool
    events: int
    mutating: int
    issued: list[IssuedSession]
    handed_out: list[HandedOut]
    key: str
    said: str
    source: str
    fell_back: str
    remark: str
    progress: str
    files: int
    parity: int
