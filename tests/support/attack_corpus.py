"""Reads the attack techniques of tests/fixtures/attacks, says what eradication answers to each of
their calls, and writes docs/attack-techniques.md.

``PYTHONPATH=lambda_src python -m tests.support.attack_corpus``
"""

from __future__ import annotations

import json
from collections.abc import Collection
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from guardduty_response.playbooks.iam_principal import condense
from guardduty_response.playbooks.iam_principal.attribution import made_by
from guardduty_response.playbooks.iam_principal.eradicate import manual_commands, reversal_table
from guardduty_response.playbooks.iam_principal.reversals.changes import Change, parse
from guardduty_response.playbooks.iam_principal.reversals.reversal import AnyReversal

from tests.support.repository import ROOT

Json = dict[str, Any]
FIXTURE = ROOT / "tests" / "fixtures" / "attacks" / "techniques.json"
DOCUMENT = ROOT / "docs" / "attack-techniques.md"
ACCOUNT, REGION = "222222222222", "eu-west-1"


class Answer(StrEnum):
    """What eradication does about a call."""

    REFUSED = "AWS refused the call: no change"
    UNDONE = "undone"
    LISTED = "listed for people"
    NOTED = "noted"


class Call(NamedTuple):
    """A call of a technique.

    ``event``: ``iam:CreateUser``. ``resource``: what the call changed, by the name that the event
    has for it; empty for a setting of the whole account. ``error``: what AWS answered instead.
    """

    event: str
    parameters: Json | None
    response: Json | None
    resource: str
    error: str

    @property
    def record(self) -> Json:
        """The call as CloudTrail records it (CloudTrail User Guide, "Record contents")."""
        source, _, name = self.event.partition(":")
        record = {
            "eventID": "0a1b2c3d-0000-4000-8000-0000000000e1",
            "eventTime": "2026-01-01T10:00:00Z",
            "eventSource": f"{source}.amazonaws.com",
            "eventName": name,
            "awsRegion": REGION,
            "recipientAccountId": ACCOUNT,
            "readOnly": False,
            "sourceIPAddress": "198.51.100.7",
            "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/mallory"},
            "requestParameters": self.parameters,
            "responseElements": self.response,
        }
        return {**record, "errorCode": self.error} if self.error else record

    @property
    def change(self) -> Change | None:
        """The call as eradication reads it; None: it changed nothing."""
        if not condense.mutating(self.record):
            return None
        return parse(condense.change(self.record))

    def answer(self, made: Collection[str] = ()) -> tuple[Answer, list[str]]:
        """Returns what eradication does, and the commands that people are given.

        ``made``: what calls of the technique made (``role/app``).
        For what is undone, the only text is the entry of ``remediate`` that switches it on.
        """
        change = self.change
        if change is None:
            return Answer.REFUSED, []
        if kind := reversal_table.reversal_for(change):
            replaced = kind.replaced(change)
            if replaced and not set(replaced) & set(made):
                return Answer.LISTED, _commands(kind, change)
            return Answer.UNDONE, [kind.category]
        if reversal_table.noteworthy(change):
            return Answer.NOTED, []
        return Answer.LISTED, manual_commands.commands_for(change)


def _commands(kind: type[AnyReversal], change: Change) -> list[str]:
    """Returns what people run instead of the reversal, for which nothing of an account is read."""
    nobody: Any = None
    reversal = kind(nobody, nobody, "", change)
    return [given] if (given := reversal.instead_of_unknown()) else reversal.manual_commands()


class Technique(NamedTuple):
    """An attack technique, by its ID in Stratus Red Team. ``reads``: its calls that only read."""

    id: str
    what: str
    calls: list[Call]
    reads: list[str]


@cache
def techniques() -> tuple[Technique, ...]:
    """Returns the techniques, sorted by ID."""
    stored: dict[str, Json] = json.loads(FIXTURE.read_text(encoding="utf-8"))
    return tuple(
        Technique(
            id,
            entry["what"],
            [
                Call(
                    call["event"],
                    call["parameters"],
                    call["response"],
                    call["resource"],
                    call.get("error", ""),
                )
                for call in entry["calls"]
            ],
            entry["reads"],
        )
        for id, entry in sorted(stored.items())
    )


def _cell(call: Call, made: Collection[str]) -> str:
    answer, texts = call.answer(made)
    name = f"`{call.event}`"
    if answer is Answer.UNDONE:
        return f"{name}: undone (`{texts[0]}`)"
    if answer is Answer.LISTED:
        return f"{name}: {', '.join(f'`{text}`' for text in texts)}"
    return f"{name}: {answer}"


def _row(technique: Technique) -> str:
    made = made_by(change for call in technique.calls if (change := call.change))
    cells = dict.fromkeys(_cell(call, made) for call in technique.calls)
    reads = ", ".join(f"`{event}`" for event in technique.reads)
    if not cells:
        cells = {f"nothing was changed: it only reads ({reads})": None}
    return f"| `{technique.id}` | {technique.what} | {'<br>'.join(cells)} |"


def render() -> str:
    """Returns the text of docs/attack-techniques.md."""
    lines = [
        "# Attack techniques",
        "",
        "What eradication (`iam_principal`) answers to the calls of the AWS techniques of",
        "[Stratus Red Team](https://stratus-red-team.cloud). Written from"
        " `tests/fixtures/attacks/techniques.json` by",
        "`PYTHONPATH=lambda_src .venv/bin/python -m tests.support.attack_corpus`; a test compares.",
        "The values are made up.",
        "",
        "- **undone**: by the response itself, where the named entry of the option `remediate` is"
        " switched on, and the call is",
        "  the finding's credential's or follows from it. Otherwise it is listed for people.",
        "- A **command** is listed for people. A word in capitals, or a `file://`, stands for what"
        " only they know. A call that may",
        "  have replaced what the owner had set, such as a trust policy, or changed nothing,"
        " such as attaching a policy that is attached,",
        "  is undone by the response only where calls of the finding made the resource.",
        "- **noted**: people are told. The call handed out a credential or a sign-in, which"
        " containment ends, and changed no resource.",
        "",
        "| technique | what it does | its calls, and what becomes of them |",
        "|---|---|---|",
        *map(_row, techniques()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
    print(DOCUMENT.relative_to(ROOT))
