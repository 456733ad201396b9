"""What every test may use: findings of our own, plans of the module."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.repository import load_finding

if TYPE_CHECKING:
    from tests.support.forwarding_plan import Forwarding
    from tests.support.one_account import OneAccountPlanner
    from tests.support.terraform_tools import Planner


# Terraform and its provider spend a third of their time collecting garbage. They collect a quarter
# as often; without any collection, getting new memory takes the time that was saved.
os.environ.setdefault("GOGC", "400")
# Tests that share something costly run in one worker: an applied module, the emulators, plans. The
# groups begin in this order (with --no-loadscope-reorder), the longest first; what is in no group
# fills the time that is left. The first prefix of a test's path that fits names its group.
GROUPS = (
    ("e2e/test_bad_input", "e2e-2"),
    ("e2e/test_command_line", "e2e-2"),
    ("e2e/test_credential", "e2e-2"),
    ("e2e/test_evidence", "e2e-2"),
    ("e2e/test_expired_denials", "e2e-2"),
    ("e2e/test_instance_session", "e2e-2"),
    ("e2e/test_lifecycle_end", "e2e-2"),  # destroys its sandbox: the other group has its own
    ("e2e/test_limits", "e2e-2"),
    ("e2e/test_mischief", "e2e-2"),
    ("e2e/test_regions", "e2e-2"),
    ("e2e/", "e2e-1"),
    ("examples/test_cdktf", "cdktf"),
    ("examples/", "examples"),
    ("terraform/policy/test_checkov", "checkov"),
    ("terraform/plan/", "terraform"),
    ("terraform/policy/", "terraform"),
    ("sandbox/", "emulators"),
    ("terraform/provider/", "provider"),
    ("terraform/schema/", "terraform-test"),
    ("terraform/", "terraform-test"),
    ("unit/test_packaging", "packaging"),
    ("unit/test_bytecode", "packaging"),
)
ORDER = (
    "e2e-1",
    "e2e-2",
    "terraform",
    "emulators",
    "examples",
    "terraform-test",
    "checkov",
    "cdktf",
    "provider",
    "packaging",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--emulators",
        choices=("changed", "always"),
        default="changed",
        help="run recorded suites when their files changed since they passed, or always",
    )


def pytest_configure(config: pytest.Config) -> None:
    from tests.sandbox.recorded_runs import RecordedRuns

    config.pluginmanager.register(RecordedRuns(config), "recorded-runs")


def pytest_unconfigure() -> None:
    from tests.support import shared_provider

    # pytest collects all garbage five times now, a second each: of a process that ends
    gc.freeze()

    shared_provider.stop_all()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return three workers more than cores for ``-n auto``: the two of the end-to-end tests mostly
    wait, and the others do now and then.
    """
    return (os.cpu_count() or 1) + 3


@functools.cache
def _group_of(path: Path) -> str | None:
    """Return the group of a file's tests, if they have one."""
    place = path.relative_to(Path(__file__).parent).as_posix()
    return next((name for prefix, name in GROUPS if place.startswith(prefix)), None)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "proof" not in str(config.option.markexpr):  # minutes each: make proof runs them
        left_out = [item for item in items if item.get_closest_marker("proof")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    ranks = {}
    for item in items:
        group = _group_of(item.path)
        if group == "e2e-2" and "SANDBOX_STATE_DIRECTORY" in os.environ:
            group = "e2e-1"  # there is one sandbox, which somebody named
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        ranks[item] = ORDER.index(group) if group else len(ORDER)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ranks[item])


@pytest.fixture
def finding_event() -> Callable[..., dict[str, Any]]:
    """(file name without .json, **changes to the detail) -> a fresh EventBridge event."""
    return load_finding


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneAccountPlanner]:
    """(**variables) -> terraform_tools.Plan of the module and the responder role, against no
    account at all. The policies of the responder role name the wrong account.
    """
    from tests.support.identity_server import identity
    from tests.support.one_account import OneAccountPlanner

    with identity() as endpoint:
        yield OneAccountPlanner(tmp_path_factory.mktemp("plan"), endpoint)


@pytest.fixture(scope="session")
def plan_of_two_accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planner]:
    """The same with the responder role in an account of its own, which takes twice the time."""
    from tests.support.identity_server import identity
    from tests.support.terraform_tools import Planner

    with identity() as endpoint:
        yield Planner(tmp_path_factory.mktemp("plan-of-two"), endpoint)


@pytest.fixture(scope="session")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarding]:
    """A plan of forwarders and of the home bus's policy."""
    from tests.support.forwarding_plan import Forwarding
    from tests.support.identity_server import identity

    with identity() as endpoint:
        yield Forwarding(tmp_path_factory.mktemp("forwarding"), endpoint)


@pytest.fixture(scope="session")
def findings_policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Address of a resource => its policy, of the modules around the findings."""
    from tests.support.findings_plan import findings_policies
    from tests.support.identity_server import identity

    with identity() as endpoint:
        return findings_policies(tmp_path_factory.mktemp("findings"), endpoint)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collect garbage rarely: what was imported stays, and botocore's models are many objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(
        50_000,
        20,
        100,
    )
    _refuse_lost_groups(session)


def _refuse_lost_groups(session: pytest.Session) -> None:
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
