"""Each function always finds the configuration document that it was applied with: while an apply
changes it, after one that was killed, and after one that did not know it at plan.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from sandbox.clients import Aws
from tests.sandbox.configuration_lab import Deployment, P, deploy
from tests.sandbox.emulator_helpers import Control
from tests.support.patience import until
from tests.support.terraform_tools import environment

pytestmark = [pytest.mark.terraform, pytest.mark.proof]


@pytest.fixture(scope="module")
def deployed(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return deploy(aws, tmp_path_factory.mktemp("hash"))


@pytest.fixture(autouse=True)
def begins_with_dry_run(deployed: Deployment, control: Control) -> None:
    code, output = deployed.apply("dry_run")
    assert code == 0, output[-4000:]
    assert deployed.modes() == {"dry_run"}


def test_an_apply_that_changes_the_switches(deployed: Deployment) -> None:
    [old] = deployed.documents()
    with deployed.watched():
        code, output = deployed.apply("auto")
    assert code == 0, output[-4000:]
    assert deployed.modes() == {"auto"}
    [new] = deployed.documents()
    assert new != old, "the old document goes when no function needs it any more"


def test_an_apply_that_is_killed(deployed: Deployment, control: Control) -> None:
    """Terraform has no state of what it had done by then, and goes on all the same."""
    fault = {"service": "lambda", "action": "UpdateFunctionConfiguration"}
    control("POST", "faults", {**fault, "resource": f"{P}-watchdog", "latency_ms": 8000})
    with deployed.watched():
        process = subprocess.Popen(
            ["terraform", *deployed.arguments("auto")],
            cwd=deployed.root,
            env=environment(deployed.scratch, deployed.aws.endpoint),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

        def half_applied() -> bool:
            assert process.poll() is None, "terraform ended too early"
            return len(set(deployed.hashes().values())) == 2

        until(half_applied, "some functions have the new document, and some the old one")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert deployed.modes() == {"auto", "dry_run"}
    control("DELETE", "faults")
    with deployed.watched():
        code, output = deployed.apply("auto")
    assert code == 0, output[-4000:]
    assert deployed.modes() == {"auto"}


def test_a_document_that_is_unknown_in_the_plan_and_the_same_in_the_end(
    deployed: Deployment,
) -> None:
    before = deployed.hashes()
    with deployed.watched():
        code, output = deployed.apply("dry_run", again=str(time.monotonic_ns()))
    assert code == 0, output[-4000:]
    assert deployed.hashes() == before
    assert set(before.values()) <= deployed.documents()
