"""What every test may use: findings of our own, plans of the module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repository import load_finding

if TYPE_CHECKING:
    from tests.support.forwarding_plan import Forwarding
    from tests.support.terraform_tools import Planner


# Terraform and its provider spend a third of their time collecting garbage that a short run need
# not collect.
os.environ.setdefault("GOGC", "400")
# Tests that share something costly run in one worker: an applied module, the emulators, plans. The
# rest goes where there is time.
GROUPS = {
    "e2e": "e2e",
    "sandbox": "emulators",
    "terraform/plan": "terraform",
    "terraform/policy": "terraform",
    "terraform/provider": "provider",
    "terraform": "terraform-test",
    "examples": "examples",
}


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "proof" not in str(config.option.markexpr):  # minutes each: make proof runs them
        left = [item for item in items if item.get_closest_marker("proof")]
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)
    for item in items:
        place = item.path.parent.relative_to(Path(__file__).parent).as_posix()
        for folder, group in GROUPS.items():
            if f"{place}/".startswith(f"{folder}/"):
                item.add_marker(pytest.mark.xdist_group(group))
                break


@pytest.fixture
def finding_event() -> Callable[..., dict[str, Any]]:
    """(file name without .json, **changes to the detail) -> a fresh EventBridge event."""
    return load_finding


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planner]:
    """(**variables) -> terraform_tools.Plan of the module and the responder role, against no
    account at all.
    """
    from tests.support.terraform_tools import Planner, identity

    with identity() as endpoint:
        yield Planner(tmp_path_factory.mktemp("plan"), endpoint)


@pytest.fixture(scope="session")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarding]:
    """A plan of forwarders and of the home bus's policy."""
    from tests.support.forwarding_plan import Forwarding
    from tests.support.terraform_tools import identity

    with identity() as endpoint:
        yield Forwarding(tmp_path_factory.mktemp("forwarding"), endpoint)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Groups that are silently not formed (pytest-xdist 3.8 under pytest 9.2) would start a
    sandbox in every worker.
    """
    if session.config.getoption("loadgroup", False):
        lost = [
            item.nodeid
            for item in session.items
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid
        ]
        if lost:
            raise pytest.UsageError(
                f"pytest-xdist did not group {len(lost)} tests ({lost[0]}): check the pinned"
                " versions"
            )
