"""Each function finds the configuration document that it was applied with, also after an apply that
failed half-way.
"""

from __future__ import annotations

import pytest

from sandbox.clients import Aws
from tests.sandbox.configuration_lab import FUNCTIONS, Deployment, P, deploy
from tests.sandbox.emulator_helpers import Control

pytestmark = pytest.mark.terraform


@pytest.fixture(scope="module")
def deployed(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return deploy(aws, tmp_path_factory.mktemp("hash"))


def test_an_apply_that_fails_half_way(deployed: Deployment, control: Control) -> None:
    """One function acts by the old document, the others by the new one; the pause is there."""
    late = f"{P}-collect-ec2-instance"
    fault = {
        "service": "lambda",
        "action": "UpdateFunctionConfiguration",
        "resource": late,
    }
    control(
        "POST",
        "faults",
        {**fault, "error": "AccessDeniedException"},
    )
    with deployed.watched():
        code, _ = deployed.apply("auto", paused="true")
    assert code != 0
    hashes = deployed.hashes()
    assert {name: deployed.mode(sha256) for name, sha256 in hashes.items()} == {
        **dict.fromkeys(FUNCTIONS, "auto"),
        late: "dry_run",
    }
    written = deployed.items("CONTROL")["TERRAFORM"]
    assert written["paused"] == {"BOOL": True}
    assert written["config_sha256"]["S"] == hashes[f"{P}-incident"]
    control("DELETE", "faults")
    with deployed.watched():
        code, output = deployed.apply("auto")
    assert code == 0, output[-4000:]
    assert deployed.modes() == {"auto"}
    assert len(deployed.documents()) == 1
