"""One sandbox for all end-to-end tests: started, applied and taken down once. They run in one
process (no pytest-xdist).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import lifecycle, seed, settings, stack, state
from sandbox.findings import Sent
from sandbox.report import Progress
from tests.e2e.credential_world import People
from tests.e2e.e2e_world import MANNERS, MEMBER, TIMEOUTS, WAITS, World
from tests.e2e.function_credentials import FunctionCredentials
from tests.e2e.function_steps import FunctionSteps, OneOfEach, contain_one_of_each, forget
from tests.support.repository import skip_or_fail

HERE = Path(__file__).parent
LAST = "test_lifecycle_end.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need the sandbox; the one that destroys it comes last."""
    here = f"{HERE}{os.sep}"
    ours = [item for item in items if str(item.path).startswith(here)]
    for item in ours:
        item.add_marker(pytest.mark.sandbox)
    known = set(ours)
    slots = [index for index, item in enumerate(items) if item in known]
    ordered = sorted(ours, key=lambda item: item.path.name == LAST)
    for index, item in zip(
        slots,
        ordered,
        strict=True,
    ):
        items[index] = item


def _exempt(directory: Path, victim: seed.Victim) -> Path:
    """The switches that need an id of this run: one instance that is exempt by its ARN."""
    text = (HERE / "e2e.tfvars").read_text()
    arn = f"arn:aws:ec2:{settings.REGION}:{MEMBER}:instance/{victim.instance}"
    path = directory / "e2e.tfvars"
    path.write_text(text.replace("EXEMPT_RESOURCE", arn))
    return path


@pytest.fixture(scope="session")
def _sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if shutil.which("terraform") is None:
        skip_or_fail("Terraform is not on the PATH: the end-to-end tests apply the module with it.")
    patch = pytest.MonkeyPatch()
    directory = tmp_path_factory.mktemp("e2e")
    if "SANDBOX_STATE_DIRECTORY" not in os.environ:
        patch.setattr(settings, "STATE_DIRECTORY", directory)
    # Snapshots are pending for a moment only; the function's retries after an error come soon.
    patch.setenv("SANDBOX_SNAPSHOT_SECONDS", "0.1")
    patch.setenv("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.5")
    say = Progress(to_stderr=True)
    found = state.load()
    # somebody's sandbox, named by the environment: it stays up
    kept = found is not None and stack.alive(found)
    known = lifecycle.emulators_only(say)
    try:
        world = World(lifecycle.up(say, [_exempt(directory, seed.Victim(**known.seed))]))
        world.clock(waits=WAITS, timeouts=TIMEOUTS)
        _wait_for_subscribers(world)
        yield world
        if MANNERS:  # else the proof would prove nothing
            met = {name: world.met[f"met_{name}"] for name in ("throttle", "conflicts", "stale")}
            say(f"Met: {met}")
            assert all(met.values()), met
    finally:
        if not kept and state.load() is not None:
            lifecycle.down(say)
        patch.undo()


def _wait_for_subscribers(world: World) -> None:
    """The inbox subscribed after the apply: until the schedule has seen it, nobody is told."""

    def seen() -> bool:
        topics = ("notifications", "escalations")
        known = [item for topic in topics for item in world.items(f"OUTBOX#{topic}")]
        return sum(int(item.get("confirmed", {}).get("N", 0)) > 0 for item in known) == 2

    with world.sweeping():
        world.until(seen, "the subscriptions are looked at")


@pytest.fixture
def world(_sandbox: World) -> Iterator[World]:
    """The sandbox, without faults before and after each test."""
    _sandbox.mend()
    yield _sandbox
    if stack.alive(_sandbox.known):
        _sandbox.mend()


@pytest.fixture(scope="session")
def exempt_victim(_sandbox: World) -> seed.Victim:
    """The instance that exempt_resources names."""
    return seed.Victim(**_sandbox.known.seed)


@pytest.fixture(scope="session")
def together(_sandbox: World) -> Callable[..., dict[str, tuple[seed.Victim, Sent]]]:
    """name -> (traits of a victim, changes to its finding): sends all findings at once; name ->
    (victim, sent).
    """

    def send(
        wanted: dict[str, tuple[dict[str, Any], dict[str, Any]]],
    ) -> dict[str, tuple[seed.Victim, Sent]]:
        _sandbox.mend()
        victims = {name: _sandbox.victim(**traits) for name, (traits, _) in wanted.items()}
        ready = {
            name: _sandbox.finding(victims[name], **changes)
            for name, (_, changes) in wanted.items()
        }
        return {name: (victims[name], _sandbox.send(event)) for name, event in ready.items()}

    return send


@pytest.fixture(scope="session")
def as_function(_sandbox: World) -> Iterator[FunctionCredentials]:
    """Credentials of a session of a function's role, by the role's name."""
    found = FunctionCredentials(_sandbox)
    yield found
    if stack.alive(_sandbox.known):
        found.end()


@pytest.fixture(scope="session")
def one_of_each(_sandbox: World) -> OneOfEach:
    """An instance and a user that stay contained."""
    _sandbox.mend()
    return contain_one_of_each(_sandbox)


@pytest.fixture(scope="module")
def functions(_sandbox: World, as_function: FunctionCredentials) -> Iterator[FunctionSteps]:
    """Runs steps of the functions in this process."""
    yield FunctionSteps(_sandbox, as_function)
    forget()


@pytest.fixture
def iam(world: World) -> People:
    """Gets who makes principals in the member account, and reads them back."""
    return People(world)
