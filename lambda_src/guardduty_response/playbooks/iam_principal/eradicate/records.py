"""The shapes of what eradication stores in the incident's record and in the evidence bucket."""

from __future__ import annotations

from typing import TypedDict


class EradicationState(TypedDict):
    """What the next call needs to know; stored as ``evidence.remediation.state``.

    ``handled``: the last list that was dealt with; ``keys``: how many of its evidence objects were.
    ``asked``: why nothing of the present list is undone by itself (empty: it is).
    ``at``: how many changes of the present list are dealt with; ``again``: [position, tries] of
    those to be tried again. ``left``: sentences for people; ``noted``: what is worth knowing and
    cannot be undone; ``counts``: how many changes ended in which way; ``files``: evidence objects
    written so far.
    """

    handled: int
    keys: int
    asked: str
    at: int
    again: list[list[int]]
    left: list[str]
    noted: list[str]
    counts: dict[str, int]
    files: int


class ReportRow(TypedDict):
    """What became of one change: a row of ``remediation/NNN.json`` in the evidence bucket."""

    id: str
    at: str
    name: str
    region: str
    who: str
    status: str
    text: str
    by_hand: str
    left: list[str]


class RotationState(TypedDict, total=False):
    """``keys``: the user's keys before a new one was made; ``secret``: the secret's name;
    ``region``: where the secret is; ``key``: the new key's ID, once it is stored.
    """

    keys: list[str]
    secret: str
    region: str
    key: str


class RotateKeyOption(TypedDict, total=False):
    """The playbook's option ``rotate_key``."""

    reader_arns: list[str]
    kms_key_id: str | None
