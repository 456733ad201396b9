"""When the tests of the emulators run: always if asked to, else when something they test changed.

Of each file, the tests marked ``smoke`` always run. When all have passed, the sum of what they
tested is recorded (emulator_fingerprint.py).
"""

from __future__ import annotations

import pytest

from tests.sandbox import emulator_fingerprint


class EmulatorRuns:
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
        """Leave out what passed already, except for the smoke tests."""
        if self._always or emulator_fingerprint.tested():
            files = set() if self._always else set(emulator_fingerprint.test_files())
            left_out = [
                item
                for item in items
                if item.path in files and not item.get_closest_marker("smoke")
            ]
            if left_out:
                items[:] = [item for item in items if item not in left_out]
                config.hook.pytest_deselected(items=left_out)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember how each test of the emulators ended."""
        path, _, rest = report.nodeid.partition("::")
        function = rest.rsplit("::", 1)[-1].split("[")[0].split("@")[0]
        name = f"{path.rsplit('/', 1)[-1]}::{function}"
        if report.when == "call" and report.passed:
            self._passed.add(name)
        elif not report.passed:
            self._others.add(name)

    def pytest_sessionfinish(self) -> None:
        """Record the sum when every test of the emulators has passed."""
        if self._is_worker or emulator_fingerprint.tested():
            return
        wanted = emulator_fingerprint.test_names(emulator_fingerprint.test_files())
        if wanted <= self._passed - self._others:
            emulator_fingerprint.write()
