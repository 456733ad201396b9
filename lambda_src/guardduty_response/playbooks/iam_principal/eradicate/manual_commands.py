"""Commands for changes without a reversal: ``manual_commands.json`` has them, by event.

Event and field names are CloudTrail's: request and answer with lower-case first letters (AWS
CloudTrail User Guide, "Record contents"). ``{p.x}`` is a parameter of the request, ``{r.x}`` a
field of the answer.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from guardduty_response.playbooks.iam_principal.reversals.changes import Change, command

COMMANDS: dict[str, str] = json.loads(Path(__file__).with_suffix(".json").read_text())
_FIELD = re.compile(r"\{(account|[pr](?:\.\w+)+)\}")


def template(change: Change) -> str:
    """Returns the command of the table with its placeholders, or empty."""
    return COMMANDS.get(change.key.replace("s3-control:", "s3:"), "")


def command_for(change: Change) -> str:
    """Returns what a person would run, each value quoted.

    Where no command is known or a value is missing, it is the command that looks the event up.
    """
    words = template(change).split()
    if not words:
        return change.lookup_command
    filled = [_FIELD.sub(lambda found: change.value(found[1]) or "\0", word) for word in words]
    if any("\0" in word for word in filled):
        return change.lookup_command
    return command(" ".join(filled[:2]), *filled[2:], region=change.region)
