"""Commands for changes without a reversal: ``manual_commands.json`` has them, by event.

Event and field names are CloudTrail's: request and answer with lower-case first letters (AWS
CloudTrail User Guide, "Record contents"). ``{p.x}`` is a parameter of the request, ``{r.x}`` a
field of the answer. ``*`` in a field stands for each member of a list, which are all words of one
command; ``+`` too, with a command for each.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from guardduty_response.playbooks.iam_principal.reversals.changes import Change, command, in_parts
from guardduty_response.playbooks.iam_principal.reversals.compute import MOST_LISTED

COMMANDS: dict[str, str] = json.loads(Path(__file__).with_suffix(".json").read_text())
FIELD = re.compile(r"\{(account|[pr](?:\.[\w*+]+)+)\}")


def template(change: Change) -> str:
    """Returns the command of the table with its placeholders, or empty.

    ``event/parameter`` is the command for a call that has the parameter.
    """
    event = change.key.replace("s3-control:", "s3:")
    by_parameter = (COMMANDS.get(f"{event}/{name}") for name in change.parameters)
    return next(filter(None, by_parameter), COMMANDS.get(event, ""))


def commands_for(change: Change) -> list[str]:
    """Returns what a person would run, each value quoted: all resources of the call are in it.

    Where no command is known or a value is missing, it is the command that looks the event up.
    """
    text = template(change)
    fields = list(dict.fromkeys(FIELD.findall(text)))
    several = next((field for field in fields if set("*+") & set(field)), "")
    fixed = {field: change.value(field) for field in fields if field != several}
    values = change.values(several.replace("+", "*")) if several else []
    if not text or not all([*fixed.values(), *values]) or (several and not values):
        return [change.lookup_command]

    def filled(some: list[str]) -> str:
        words: list[str] = []
        for word in text.split():
            if several and f"{{{several}}}" in word:
                words += [word.replace(f"{{{several}}}", value) for value in some]
            else:
                words.append(FIELD.sub(lambda found: fixed[found[1]], word))
        return command(" ".join(words[:2]), *words[2:], region=change.region)

    if not several:
        return [filled([])]
    apart = "+" in several
    commands = [filled([value]) for value in values] if apart else in_parts(values, filled)
    # CloudTrail's list may be longer than what is kept of it: the event tells the rest.
    return [*commands, change.lookup_command] if len(values) >= MOST_LISTED else commands
