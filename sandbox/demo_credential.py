"""The demonstration's second act: a stolen key does mischief, its user is contained, what it did
is undone and named.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import findings, human_request, lifecycle, seed_iam, settings, snapshot, snapshot_iam
from .clients import Aws
from .incidents import Json
from .report import Progress, title
from .state import State

FINDING = (
    settings.ROOT
    / "tests"
    / "fixtures"
    / "findings"
    / "unauthorizedaccess_iamuser_unusualasncaller.json"
)
# What stays after a restore: it cannot come back, and the incident names it.
RESTORED = {"RESTORED", "RESTORE_PARTIAL"}


@dataclass(frozen=True)
class Ended:
    """How the act ended: its incident, and what is not as it should be (empty when all is)."""

    incident: Json
    wrong: list[str]


def _rows(aws: Aws, user: seed_iam.User, done: seed_iam.Mischief) -> snapshot.Rows:
    return {**snapshot_iam.user(aws, user), **snapshot_iam.mischief(aws, done, user.account)}


def actions(incident: Json) -> list[str]:
    """Return what the principal did and what became of it, a line an action; what is left for
    people, with its command.
    """
    lines = []
    for target in incident["targets"]:
        reverts = [action for action in target["actions"] if action["name"].startswith("revert/")]
        lines += [f"{action.get('status', ''):8} {action.get('detail', '')}" for action in reverts]
        remediation = (target.get("evidence") or {}).get("remediation") or {}
        lines += [f"MANUAL   {text}" for text in (remediation.get("state") or {}).get("left") or []]
    return lines


def wrong(before: snapshot.Rows, after: snapshot.Rows, done: seed_iam.Mischief) -> list[str]:
    """Credentials that still work, and traces of the thief that are as it left them (but for the
    one that only people undo).
    """
    alive = [label for label, text in after.items() if text.endswith("works")]
    stays = f"KMS key {done.kms_key[:8]}"
    same = [
        label
        for label in snapshot_iam.traces(done)
        if before[label] == after[label] and not label.startswith(stays)
    ]
    return [f"{label}: {after[label]}" for label in dict.fromkeys([*alive, *same])]


def play(known: State, say: Progress) -> Ended:
    """Seed a user, let a thief act with its key, send the finding, and restore the user
    afterwards.
    """
    aws = Aws(known.endpoint)
    title("A key is stolen")
    user = seed_iam.user(
        aws, keys=2, console=True, mfa_after=True, ssh_key=True, temporary=True, sessions=1
    )
    done = seed_iam.mischief(aws, user.keys[0])
    say(
        f"With {user.keys[0].id} of {user.name}, somebody at {seed_iam.THIEF} made a user, a key,"
        " an instance and an open door,"
    )
    say("stopped a trail, and ordered the end of a KMS key.")
    before = _rows(aws, user, done)
    print(snapshot.table(before))
    title("The finding arrives")
    event = findings.prepare(
        aws, findings.read(FINDING), str(FINDING), bindings={"user": user.name}
    )
    print(f"{event.detail['type']}, severity {event.detail['severity']}: {event.detail['title']}")
    began = say.elapsed()
    sent = findings.send(aws, event)
    incident = lifecycle.follow(known, sent, say).until_settled(settings.PATIENCE)
    say(f"Settled {say.elapsed() - began:.1f} s after the finding.")
    after = _rows(aws, user, done)
    title("The user and what was done with its key, before and after")
    print(snapshot.table(before, after))
    title("What it did, and what became of it")
    print("\n".join(actions(incident)))
    problems = (
        []
        if incident["status"] == "CONTAINED"
        else [f"{user.name} is {incident['status']}, not CONTAINED"]
    )
    problems += wrong(before, after, done)
    if incident["status"] != "CONTAINED":
        return Ended(incident, problems)
    title("A person calls it a false alarm, and restores all of it")
    answer = human_request.ask(known, incident)
    for text in answer["restored"]:
        say(f"  restored: {text}")
    for text in answer["not_restored"]:
        say(f"  NOT restored: {text}")
    print(snapshot.table(before, _rows(aws, user, done)))
    incident = lifecycle.incidents_of(known).get(str(incident["incident_id"]))
    if incident["status"] not in RESTORED:
        problems.append(f"{user.name} is {incident['status']}, not restored")
    return Ended(incident, problems)
