"""Release 0.1.0 applied to a sandbox of its own, and the present module over the same state.

Only Terraform's files and the zips are the earlier release's; the sandbox is the present one.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox import lifecycle, settings, state
from sandbox.report import Progress
from sandbox.terraform import Terraform
from tests.e2e.e2e_world import World
from tests.support.repository import ROOT, skip_or_fail

TAG = "v0.1.0"
# What the tag names: a checkout may have the history and not the tags.
COMMIT = "cf75ec866d19c2e0358158e302e9acc274a3e466"
# The alarms of the incident module that release 0.1.0 did not have.
ALARMS = (
    "overdue[0]",
    "throttled",
    'outbox["messages-wait"]',
    'outbox["subscriptions"]',
    'silent["watchdog-silent"]',
    'silent["outbox-silent"]',
    'silent["sweeper-silent"]',
    'silent["watch-silent"]',
    'delivery["messages-undelivered"]',
    'delivery["escalations-filtered"]',
)
SWITCHES = Path(__file__).parent / "upgrade.tfvars"


def previous_release(directory: Path) -> Path:
    """Writes the files of the tagged release into a directory, and returns it.

    Without git or without that commit: fails in CI, skips elsewhere.
    """
    git = shutil.which("git")
    if git is None:
        skip_or_fail(f"git is not on the PATH: the release before is taken from the tag {TAG}.")
    for name in (TAG, COMMIT):
        command = [git, "-C", str(ROOT), "archive", "--format=tar", name]
        made = subprocess.run(command, capture_output=True, check=False)
        if made.returncode == 0:
            break
    else:
        skip_or_fail(
            f"The release before is taken from the tag {TAG} (commit {COMMIT[:12]}), which this"
            f" checkout does not have (fetch it with: git fetch --unshallow --tags):"
            f" {made.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory


class UpgradeLab:
    """A sandbox with the earlier release applied, until ``plan`` and ``upgrade``."""

    def __init__(self, previous: Path) -> None:
        self._say = Progress(to_stderr=True)
        lifecycle.emulators_only(self._say)  # the present ones
        with _sources(previous):
            self.world = self._up()

    def _up(self) -> World:
        world = World(lifecycle.up(self._say, [SWITCHES]))
        world.mend()
        return world

    def plan(self) -> list[dict[str, Any]]:
        """Returns what the upgrade would change: ``[{"address", "actions", "changed"}]``."""
        terraform = Terraform(self.world.known.endpoint)
        terraform.init()
        return terraform.drift([SWITCHES])

    def upgrade(self) -> None:
        """Applies the present module in place."""
        self.world = self._up()


@contextmanager
def _sources(root: Path) -> Iterator[None]:
    """Terraform takes the module and the root from ``root`` meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "ROOT", root)
        patch.setattr(settings, "TERRAFORM_ROOT", root / "sandbox" / "terraform")
        yield


@contextmanager
def deployed(directory: Path) -> Iterator[UpgradeLab]:
    """Starts a sandbox, applies the earlier release, and takes the sandbox down at the end."""
    if shutil.which("terraform") is None:
        skip_or_fail("Terraform is not on the PATH: both releases are applied with it.")
    previous = previous_release(directory / "previous")
    patch, say = pytest.MonkeyPatch(), Progress(to_stderr=True)
    patch.setattr(settings, "STATE_DIRECTORY", directory / "state")
    patch.setenv("SANDBOX_SNAPSHOT_SECONDS", "0.1")
    patch.setenv("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "0.5")
    try:
        yield UpgradeLab(previous)
    finally:
        if state.load() is not None:
            lifecycle.down(say)
        patch.undo()
