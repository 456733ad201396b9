"""When recorded suites run: always if asked to, else when a file they depend on changed.

The tests marked ``smoke`` always run. When a suite has passed, its sum is recorded
(recorded_passes.py).
"""

from __future__ import annotations

import pytest

from tests.sandbox import recorded_passes


class RecordedRuns:
    """A pytest plugin, for the process that collects and for the one that hears the results."""

    def __init__(self, config: pytest.Config) -> None:
        self._always = config.getoption("emulators") == "always"
        self._is_worker = hasattr(config, "workerinput")
        self._passed: set[str] = set()
        self._others: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what passed already, except for the smoke tests and those of make proof."""
        if self._always:
            return
        files = {
            file
            for suite in recorded_passes.SUITES
            if recorded_passes.passed(suite)
            for file in recorded_passes.test_files(suite)
        }
        left_out = [
            item
            for item in items
            if item.path in files
            and not any(item.get_closest_marker(name) for name in ("smoke", "proof"))
        ]
        if left_out:
            items[:] = [item for item in items if item not in left_out]
            config.hook.pytest_deselected(items=left_out)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember how each test ended."""
        path, _, rest = report.nodeid.partition("::")
        function = rest.rsplit("::", 1)[-1].split("[")[0].split("@")[0]
        name = f"{path.rsplit('/', 1)[-1]}::{function}"
        if report.when == "call" and report.passed:
            self._passed.add(name)
        elif not report.passed:
            self._others.add(name)

    def pytest_sessionfinish(self) -> None:
        """Record the sum of each suite whose every test has passed."""
        if self._is_worker:
            return
        for suite in recorded_passes.SUITES:
            wanted = recorded_passes.test_names(recorded_passes.test_files(suite))
            if not recorded_passes.passed(suite) and wanted <= self._passed - self._others:
                recorded_passes.write(suite)
