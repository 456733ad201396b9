"""Up and down: the order of things."""

from __future__ import annotations

from pathlib import Path

from . import seed, settings, stack, state
from .clients import Aws
from .settings import SandboxError
from .stack import Say
from .state import State


def running() -> State:
    """The running sandbox; SandboxError when it is down or died."""
    known = state.require()
    if not stack.alive(known):
        raise SandboxError(
            "The sandbox stopped without being asked to. Clear it away with: .venv/bin/python -m sandbox down --fast; "
            f"its logs are in {settings.STATE_DIRECTORY / 'logs'}."
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
    victim = seed.instance(Aws(known.endpoint))
    known.seed = victim.as_dict()
    known.save()
    say(f"Seeded {victim.instance} in account {victim.account}: {len(victim.interfaces)} interfaces.")
    return known


def up(say: Say, var_files: list[Path]) -> State:
    """Emulators, seed and Terraform; friendly when everything runs already."""
    return emulators(say)


def down(say: Say, *, fast: bool = False) -> int:
    """Stop the sandbox; 0 also when there is nothing to stop."""
    known = state.load()
    if known is None:
        say("The sandbox is not running.")
        return 0
    stack.stop(known)
    say("Stopped.")
    return 0
