"""Up and down: the order of things."""

from __future__ import annotations

import threading
from pathlib import Path

from . import inbox, seed, seed_iam, settings, stack, state
from .clients import Aws
from .executions import Answers
from .findings import Sent
from .follow import Follow
from .incidents import Incidents
from .settings import SandboxError
from .stack import Say
from .state import State
from .terraform import Terraform


def running(*, applied: bool = False) -> State:
    """Return the running sandbox; SandboxError when it is down or died, or when the module is asked
    for and not applied.
    """
    known = state.require()
    if not stack.alive(known):
        raise SandboxError(
            "The sandbox stopped without being asked to. Clear it away with: .venv/bin/python -m"
            f" sandbox down; its logs are in {settings.STATE_DIRECTORY / 'logs'}."
        )
    if applied and not known.outputs:
        raise SandboxError(
            "The emulators run, but the module is not applied. Apply it with: .venv/bin/python -m"
            " sandbox up"
        )
    return known


def emulators(say: Say) -> State:
    """Start the emulators and seed the workload, or take the ones that run."""
    known = stack.recover(say)
    if known is not None:
        say(f"The emulators run already at {known.endpoint}.")
        return known
    known = stack.start()
    say(f"Emulators ready at {known.endpoint} (IAM enforced).")
    return known


def _seed(known: State, say: Say) -> None:
    if known.seed:
        return
    aws = Aws(known.endpoint)
    victim = seed.instance(aws)
    people = seed_iam.people(aws)
    known.seed, known.people = victim.as_dict(), people
    known.save()
    say(
        f"Seeded in account {victim.account}: {victim.instance} with {len(victim.interfaces)}"
        f" interfaces, user {people['user']['name']}, role {people['role']['name']}."
    )


def emulators_only(say: Say) -> State:
    """Start the emulators and seed the workload, without Terraform."""
    known = emulators(say)
    _seed(known, say)
    return known


def up(say: Say, var_files: list[Path], *, elsewhere: bool = True) -> State:
    """Start, seed and apply; when everything runs already, Terraform applies what changed.

    ``elsewhere``: also in member B and in the second Region.
    """
    files = [file.resolve() for file in var_files] or [settings.DEFAULT_VAR_FILE]
    known = emulators(say)
    terraform = Terraform(known.endpoint)
    known.var_files = [str(file) for file in files]
    known.save()
    # The workload is seeded while Terraform starts.
    failures: list[BaseException] = []

    def sow() -> None:
        try:
            _seed(known, say)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=sow)
    thread.start()
    try:
        terraform.init(elsewhere=elsewhere)
        say("Applying the module (Terraform waits for some resources to settle, as on AWS) ...")
        known.outputs = terraform.apply(files, say)
    finally:
        thread.join()
    if failures:
        raise SandboxError(f"The workload could not be seeded: {failures[0]}")
    topics = [
        known.outputs["security"].get(f"{kind}_topic_arn")
        for kind in ("notifications", "escalations")
    ]
    if any(topics):
        known.inbox = inbox.create(Aws(known.endpoint), [topic for topic in topics if topic])
    known.save()
    say("Up. Look around with: .venv/bin/python -m sandbox env --json")
    return known


def incidents_of(known: State) -> Incidents:
    """Return the incident table of the applied module."""
    table = known.outputs["security"].get("table_name")
    if not table:
        raise SandboxError("The module has no incident table (create = false?).")
    return Incidents(Aws(known.endpoint), table)


def follow(known: State, sent: Sent, say: Say) -> Follow:
    """Follow a sent finding through the applied module."""
    applied = known.outputs["security"]
    machines = [applied.get(f"{kind}_state_machine_arn") for kind in ("incident", "notice")]
    answers = Answers(Aws(known.endpoint), [arn for arn in machines if arn], sent.event_id, sent.at)
    return Follow(incidents_of(known), answers, sent, say)


def plan() -> list[dict[str, object]]:
    """Return what a second plan would change."""
    known = running(applied=True)
    return list(Terraform(known.endpoint).drift([Path(name) for name in known.var_files]))


def _destroy(known: State, terraform: Terraform, say: Say) -> bool:
    """Run terraform destroy where there is something to destroy; whether that succeeded."""
    if not stack.alive(known):
        say("The emulators have ended by themselves: there is nothing left to destroy.")
        return True
    if not (terraform.directory / "terraform.tfstate").exists():
        say("The module is not applied: there is nothing to destroy.")
        return True
    say("Destroying what Terraform made (about a minute: the provider waits as on AWS) ...")
    try:
        terraform.destroy([Path(name) for name in known.var_files], say)
    except SandboxError as error:
        say(str(error))
        return False
    say("Everything that Terraform made is destroyed, except GuardDuty itself, which stays on.")
    return True


def down(say: Say, *, destroy: bool = False) -> int:
    """Stop the emulators and forget the state; 0 also when there is nothing to stop.

    Everything lives in the emulators' memory and ends with them, so that this takes seconds however
    many incidents there are. ``destroy``: run terraform destroy before, as on AWS; 1 when it failed
    (the emulators are stopped all the same).
    """
    known = state.load()
    if known is None:
        say("The sandbox is not running.")
        return 0
    terraform = Terraform(known.endpoint)
    destroyed = _destroy(known, terraform, say) if destroy else True
    say(f"Stopping {len(known.processes)} processes: {', '.join(known.processes)} ...")
    stack.stop(known)
    terraform.forget()
    say("Stopped. The emulated AWS is gone, and with it the module, its incidents and evidence.")
    say(f"Logs and reports stay in {settings.STATE_DIRECTORY}.")
    return 0 if destroyed else 1
