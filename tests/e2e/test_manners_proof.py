"""The end-to-end tests once more, on an AWS that throttles, conflicts and shows changes late.

What is asserted is the same: what is said to be CONTAINED is contained, by looking at the resources
with the account's root user, who sees them as they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT

HERE = Path(__file__).parent
# What runs: whole files, or the named tests of one
COVERED: dict[str, tuple[str, ...]] = {
    "approval": (),
    "contain": (),
    "credential": (),
    "faults": (),
    "instance_session": (),
    "mischief": (),
    "modes": (),
    "regions": (
        "test_contained_in_the_second_region_and_nothing_elsewhere_is_touched",
        "test_the_other_member_is_contained_in_itself",
        "test_restored_in_the_second_region",
    ),
    "repeat": (),
    "restore": (),
    "silence": (),
    "watch": (
        "test_the_schedule_finds_what_no_event_told_and_looks_up_who",
        "test_what_still_holds_is_checked_without_a_trace",
        "test_a_person_may_have_it_verified_by_the_machine",
    ),
}
_TOLD_AT_ONCE = (
    "CloudTrail tells of a change at once: the check that answers it may still see what was before,"
    " and the next one comes by the schedule alone"
)
_OWN_CALLS = "its own calls, with the functions' credentials, would be throttled and see late"
_OWN_SANDBOX = "it applies a copy or an older release in a sandbox of its own, for that alone"
# What does not run, and why; of a file that is covered too: the tests that are not named above
LEFT_OUT = {
    "apply_proof": "it applies the module once more, for that alone",
    "bad_input": "nothing is contained",
    "command_line": "what it contains, test_contain.py contains without the command line",
    "deployed": "nothing is contained: it reads what was applied",
    "evidence": "it compares times with deadlines, which throttling moves",
    "expired_denials": "what it contains, test_credential.py contains; less is denied afterwards",
    "lifecycle_end": "it destroys the sandbox",
    "limits": _OWN_CALLS,
    "manners_proof": "it runs the others",
    "many_checks": "it measures times, on an AWS whose every call has a latency",
    "new_playbook": _OWN_SANDBOX,
    "record_limits": "nothing is contained: it asks DynamoDB, which has no such manners here",
    "regions": f"nothing is contained, or {_TOLD_AT_ONCE}",
    "upgrade": _OWN_SANDBOX,
    "waits": _OWN_CALLS,
    "without_gate": _OWN_CALLS,
    "watch": _TOLD_AT_ONCE,
}
# A tenth of AWS's rates, since a few instances must meet what hundreds would; every fifth change of
# IAM conflicts; a change is seen 1.5 s late, and a second of waiting takes 0.25 s: six seconds
# late, to the response.
MANNERS = {"throttle": 0.1, "conflicts": 5, "stale_seconds": 1.5, "waits": 0.25}


def selected() -> list[str]:
    """Returns what pytest is asked to run: paths of files, and node ids."""
    chosen = []
    for name, tests in COVERED.items():
        path = f"tests/e2e/test_{name}.py"
        chosen += [f"{path}::{test}" for test in tests] or [path]
    return chosen


def test_every_file_is_covered_or_left_out_for_a_reason() -> None:
    files = {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")}
    assert COVERED.keys() | LEFT_OUT.keys() == files
    assert COVERED.keys() & LEFT_OUT.keys() == {name for name, tests in COVERED.items() if tests}
    for name, tests in COVERED.items():
        text = (HERE / f"test_{name}.py").read_text()
        assert [test for test in tests if f"\ndef {test}(" not in text] == []


@pytest.mark.proof
def test_statuses_are_true_where_aws_throttles_and_shows_changes_late(tmp_path: Path) -> None:
    environment = {**os.environ, "E2E_MANNERS": json.dumps(MANNERS)}
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "SANDBOX_STATE_DIRECTORY"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "pytest", *selected(), "-q", "-n", "2", "--dist", "loadgroup"]
    command += ["--basetemp", str(tmp_path / "e2e")]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout[-20000:]}\n{ran.stderr[-5000:]}"
