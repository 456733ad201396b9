"""What a principal did, as the collector distilled it from CloudTrail, and how people are told of
it.

Everything in a change was chosen by whoever made it: it is shown as one printable line, and quoted
in commands.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from guardduty_response.containment.target_context import Json
from guardduty_response.decision import finding

SENTENCE = 400  # characters of a sentence for people, its command included
COMMAND = 260  # characters of a command; a longer one gives way to the one that looks the event up


@dataclass(frozen=True)
class Change:
    """One successful call. ``parameters``, ``response``: requestParameters and responseElements,
    bounded in size.
    """

    id: str
    at: str
    name: str
    source: str
    region: str
    account: str
    who: str
    origin: str
    parameters: Json
    response: Json

    @property
    def key(self) -> str:
        """``iam:CreateUser``: what tables are looked up by."""
        return f"{self.source.split('.')[0]}:{self.name}"

    def asked(self, *path: str | int) -> str:
        """A text of the request, empty where there is none."""
        return finding.text(finding.get(self.parameters, *path), 300)

    def made(self, *path: str | int) -> str:
        """A text of the answer, empty where there is none."""
        return finding.text(finding.get(self.response, *path), 300)

    @property
    def told(self) -> str:
        """``2026-01-01T12:00:00Z CreateUser by user/alice from 198.51.100.7``."""
        return (
            f"{self.at[:20]} {self.name} by {self.who.split(':')[-1][:100] or 'unknown'} from"
            f" {self.origin[:45] or 'unknown'}"
        )

    @property
    def lookup(self) -> str:
        """The command that shows the whole event."""
        return command(
            "cloudtrail lookup-events --lookup-attributes",
            f"AttributeKey=EventId,AttributeValue={self.id}",
            region=self.region,
        )


def parse(raw: Any) -> Change | None:
    """A distilled event; None for anything that is none."""
    if not isinstance(raw, dict) or not all(
        isinstance(raw.get(name), str) and raw[name] for name in ("id", "name", "source")
    ):
        return None
    words: Json = {
        name: finding.text(raw.get(field), 300)
        for name, field in (
            ("id", "id"),
            ("at", "at"),
            ("name", "name"),
            ("source", "source"),
            ("region", "region"),
            ("account", "account"),
            ("who", "who"),
            ("origin", "from"),
        )
    }
    parts = {
        name: raw[name] if isinstance(raw.get(name), dict) else {}
        for name in ("parameters", "response")
    }
    return Change(**words, **parts)


def items(node: Any, *path: str | int) -> list[Json]:
    """The members of one of EC2's lists (``{"items": [{…}]}``), or of a plain one."""
    found = finding.get(node, *path)
    found = found.get("items") if isinstance(found, dict) else found
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def command(call: str, *values: str, region: str = "") -> str:
    """``aws <call> <values…>``, each value quoted for a shell. IAM has no Region."""
    where = f" --region {shlex.quote(region)}" if region and not call.startswith("iam ") else ""
    return f"aws {' '.join([call, *map(shlex.quote, values)])}{where}"


def sentence(change: Change, why: str, by_hand: str) -> str:
    """Who did what when, why it stands, and the command a person runs: the text gives way, never
    the command.
    """
    by_hand = by_hand if len(by_hand) <= COMMAND else change.lookup
    end = f". By hand: {by_hand}" if by_hand else ""
    text = f"{change.told}: {why}"
    room = SENTENCE - len(end)
    return (text if len(text) <= room else f"{text[: room - 1]}…") + end
