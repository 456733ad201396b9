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
    """The running sandbox; SandboxError when it is down or died, or when the module is asked for
    and not applied.
    """
    known = state.require()
    if not stack.alive(known):
        raise SandboxError(
            "The sandbox stopped without being asked to. Clear it away with: .venv/bin/python -m"
            f" sandbox down --fast; its logs are in {settings.STATE_DIRECTORY / 'logs'}."
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
    victim, people = seed.instance(aws), seed_iam.people(aws)
    known.seed, known.people = victim.as_dict(), people
    known.save()
    say(
        f"Seeded in account {victim.account}: {victim.instance} with {len(victim.interfaces)}"
        f" interfaces, user {people['user']['name']}, role {people['role']['name']}."
    )


def emulators_only(say: Say) -> State:
    """Emulators and seed, without Terraform."""
    known = emulators(say)
    _seed(known, say)
    return known


def up(say: Say, var_files: list[Path], *, elsewhere: bool = True) -> State:
    """Emulators, seed and Terraform; when everything runs already, Terraform applies what changed.

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
    """The incident table of the applied module."""
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
    """What a second plan would change."""
    known = running(applied=True)
    return list(Terraform(known.endpoint).drift([Path(name) for name in known.var_files]))


def down(say: Say, *, fast: bool = False) -> int:
    """Destroy (unless ``fast``), stop and forget; 0 also when there is nothing to stop, 1 when
    destroy failed.
    """
    known = state.load()
    if known is None:
        say("The sandbox is not running.")
        return 0
    code = 0
    terraform = Terraform(known.endpoint)
    if not fast and stack.alive(known) and (terraform.directory / "terraform.tfstate").exists():
        say("Destroying what Terraform made ...")
        try:
            terraform.destroy([Path(name) for name in known.var_files], say)
        except SandboxError as error:
            say(str(error))
            code = 1
    stack.stop(known)
    terraform.forget()
    say("Stopped.")
    return code
