"""What a principal did, as the collector reduced it from CloudTrail, and how people are told.

Whoever made the calls chose everything in a change: it is shown as a single printable line, and
quoted in commands.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from guardduty_response.cloudtrail.event import CallFields
from guardduty_response.decision import finding

MOST_SENTENCE = 400  # characters of a sentence for people, its command included
MOST_COMMAND = 260  # characters of a command; a longer command gives way to the event's look-up
MOST_NAMED = 160  # characters of the request's own words, where no command has them


@dataclass(frozen=True)
class Change:
    """One successful call.

    ``parameters`` and ``response`` are CloudTrail's requestParameters and responseElements, bounded
    in size. ``actor`` is the ARN of the caller, ``origin`` its address, ``access_key`` the ID of
    the key that signed the call.
    """

    id: str
    at: str
    name: str
    source: str
    region: str
    account: str
    actor: str
    origin: str
    parameters: CallFields
    response: CallFields
    access_key: str = ""

    @property
    def key(self) -> str:
        """``iam:CreateUser``: the key of the change in the reversal and command tables."""
        return f"{self.source.split('.')[0]}:{self.name}"

    def request_text(self, *path: str | int) -> str:
        """Returns a text of the request, empty where there is none."""
        return finding.text(finding.get(self.parameters, *path), 300)

    def response_text(self, *path: str | int) -> str:
        """Returns a text of the answer, empty where there is none."""
        return finding.text(finding.get(self.response, *path), 300)

    def value(self, path: str) -> str:
        """Returns what a path names, or empty: ``p.x`` is a parameter of the request, ``r.x`` a
        field of the answer; ``account``; ``caller``: the user who called, whose name IAM leaves out
        of a call about oneself.
        """
        if path == "account":
            return self.account
        if path == "caller":
            return self.actor.rsplit("/", 1)[-1] if ":user/" in self.actor else ""
        source, *fields = path.split(".")
        keys = [int(field) if field.isdigit() else field for field in fields]
        read = self.request_text if source == "p" else self.response_text
        return read(*keys)

    def values(self, path: str) -> list[str]:
        """Returns what a path names, each once: ``*`` in it stands for each member of a list.

        A member that is named by itself, as EC2 does with a single one, is a list of one. Empty
        texts stand for members without the value.
        """
        source, *keys = path.split(".")
        nodes: list[object] = [self.parameters if source == "p" else self.response]
        for key in keys:
            if key == "*":
                nodes = [each for node in nodes for each in _members(node)]
            else:
                nodes = [finding.get(node, key) for node in nodes]
        return list(dict.fromkeys(finding.text(node, 300) for node in nodes))

    @property
    def named(self) -> str:
        """``modelId=x, name=y``: the texts of the request, where no command is known."""
        texts = {name: finding.text(value, 60) for name, value in self.parameters.items()}
        words = ", ".join(f"{name[:40]}={value}" for name, value in texts.items() if value)
        return words if len(words) <= MOST_NAMED else f"{words[: MOST_NAMED - 1]}…"

    @property
    def summary(self) -> str:
        """``2026-01-01T12:00:00Z CreateUser by user/alice from 198.51.100.7``."""
        actor = self.actor.split(":")[-1][:100] or "unknown"
        origin = self.origin[:45] or "unknown"
        return f"{self.at[:20]} {self.name} by {actor} from {origin}"

    @property
    def lookup_command(self) -> str:
        """The command that shows the whole event."""
        return command(
            "cloudtrail lookup-events --lookup-attributes",
            f"AttributeKey=EventId,AttributeValue={self.id}",
            region=self.region,
        )


def parse(raw: object) -> Change | None:
    """Reads a reduced event (``ChangeRecord``); None for anything that is not one."""
    if not isinstance(raw, dict):
        return None
    for name in ("id", "name", "source"):
        if not isinstance(raw.get(name), str) or not raw[name]:
            return None

    def text(name: str) -> str:
        return finding.text(raw.get(name), 300)

    def mapping(name: str) -> CallFields:
        value = raw.get(name)
        return value if isinstance(value, dict) else {}

    return Change(
        id=text("id"),
        at=text("at"),
        name=text("name"),
        source=text("source"),
        region=text("region"),
        account=text("account"),
        actor=text("who"),
        origin=text("from"),
        parameters=mapping("parameters"),
        response=mapping("response"),
        access_key=text("key"),
    )


def _members(node: object) -> list[object]:
    if node is None:
        return []
    return node if isinstance(node, list) else [node]


def in_parts(values: Sequence[str], make: Callable[[list[str]], str]) -> list[str]:
    """Returns commands that name all the values, as few as are short enough for people.

    ``make`` returns the command for some of them.
    """
    size = len(values)
    while True:
        parts = [make(list(values[at : at + size])) for at in range(0, len(values), size or 1)]
        if size <= 1 or max(map(len, parts)) <= MOST_COMMAND:
            return parts
        size -= 1


def items(node: object, *path: str | int) -> list[CallFields]:
    """Returns the members of one of EC2's lists (``{"items": [{…}]}``), or of a plain list."""
    found = finding.get(node, *path)
    if isinstance(found, dict):
        found = found.get("items")
    if not isinstance(found, list):
        return []
    return [item for item in found if isinstance(item, dict)]


def command(call: str, *values: str, region: str = "") -> str:
    """Returns ``aws <call> <values…>`` with every value quoted for a shell. IAM has no Region."""
    words = " ".join([call, *map(shlex.quote, values)])
    if region and not call.startswith("iam "):
        return f"aws {words} --region {shlex.quote(region)}"
    return f"aws {words}"


def sentence(change: Change, reason: str, manual_command: str) -> str:
    """Says who did what when, why it stands, and which command a person runs.

    The sentence has at most MOST_SENTENCE characters: the text is shortened, never the command.
    """
    if len(manual_command) > MOST_COMMAND:
        manual_command = change.lookup_command
    end = f". By hand: {manual_command}" if manual_command else ""
    text = f"{change.summary}: {reason}"
    room = MOST_SENTENCE - len(end)
    if len(text) > room:
        text = f"{text[: room - 1]}…"
    return text + end
