"""The demonstration's acts after containment: evidence, a breach that is answered, and a
restore.
"""

from __future__ import annotations

import time

from . import human_request, lifecycle, snapshot, undo_containment
from .clients import Aws
from .executions import Execution
from .incidents import Json
from .report import Progress
from .seed import Victim
from .settings import PATIENCE, SandboxError
from .state import State


def evidence(incident: Json) -> list[str]:
    """Return what was collected, a line for each evidence item: its outcome, its objects, and what
    it says.
    """
    lines = []
    for target in incident["targets"]:
        for name, item in sorted((target.get("evidence") or {}).items()):
            if "outcome" in item:
                count = len(item["objects"])
                lines.append(
                    f"{item['outcome']:13} {name:13} {f'{count} objects' if count else '':11}"
                    f" {item['detail'][:150]}"
                )
    return lines


def _show_news(incident: Json, shown: set[str], say: Progress) -> None:
    for event in incident["timeline"]:
        if event["at"] + event["event"] not in shown:
            shown.add(event["at"] + event["event"])
            say(f"  {event['event']}: {event.get('detail', '')[:300]}".rstrip(": "))


def contained_again(known: State, incident: Json, say: Progress) -> Json:
    """Undo containment as an identity of the member account; return the incident once that is
    answered.
    """
    incidents = lifecycle.incidents_of(known)
    name = str(incident["incident_id"])
    shown = {event["at"] + event["event"] for event in incident["timeline"]}
    done = undo_containment.undo(known, incident)
    say(f"{done.who} puts {done.interface} back into {', '.join(done.groups)}.")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = incidents.get(name)
        _show_news(found, shown, say)
        events = [event["event"] for event in found["timeline"]]
        again = "contained again" in events and events[-1] == "ended"
        if (
            again
            and found["status"] == "CONTAINED"
            and Execution(Aws(known.endpoint), str(found["execution"])).status() != "RUNNING"
        ):
            return found
        time.sleep(0.3)
    raise SandboxError(
        f"{name} was undone and is {incidents.get(name)['status']} after {PATIENCE:.0f} s, not"
        " contained again."
    )


def restored(
    known: State, victim: Victim, incident: Json, before: snapshot.Rows, say: Progress
) -> Json:
    """Restore as a person does, and print how it is now beside how it was. Returns the incident."""
    answer = human_request.ask(known, incident)
    for text in answer["restored"]:
        say(f"  restored: {text}")
    for text in answer["not_restored"]:
        say(f"  NOT restored: {text}")
    print(snapshot.table(before, snapshot.take(Aws(known.endpoint), victim)))
    return lifecycle.incidents_of(known).get(str(incident["incident_id"]))
