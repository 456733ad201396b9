"""What waits for something says what it waited for, and how long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import processes
from sandbox.settings import SandboxError
from tests.support.patience import until, within

TOKEN = "patience-of-a-test"


def test_what_comes_is_returned_as_soon_as_it_is_there() -> None:
    answers = iter([None, "", "there"])
    assert until(lambda: next(answers), "it comes") == "there"
    assert next(answers, "no more") == "no more"


def test_what_does_not_come_is_named_with_the_time_that_was_waited() -> None:
    with pytest.raises(AssertionError, match=r"Waited 1 s and did not see that it comes\."):
        until(lambda: None, "it comes", 1)
    assert within(lambda: [], 0.1) == []


@pytest.fixture
def silent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens nowhere."""
    program = f"import time; time.sleep(600)  # {TOKEN}"
    process = subprocess.Popen([sys.executable, "-c", program])
    yield process
    process.kill()
    process.wait()


def test_an_emulator_that_does_not_answer_is_named_with_its_log(
    tmp_path: Path, silent: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "log").write_text("its last words\n")
    url = f"http://127.0.0.1:{processes.free_port()}"
    with pytest.raises(SandboxError, match=r"did not answer within 1 s.*\n*its last words"):
        processes.wait_for(url, silent.pid, TOKEN, tmp_path / "log", 1)
    silent.kill()
    with pytest.raises(SandboxError, match=f"process {silent.pid} ended"):
        processes.wait_for(url, silent.pid, TOKEN, tmp_path / "log")
