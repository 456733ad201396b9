"""``sandbox down`` stops in seconds and says what it does; ``--destroy`` says how far it is."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import cli, lifecycle, settings, state
from sandbox.settings import SandboxError
from sandbox.stack import Say
from sandbox.terraform import Terraform
from sandbox.terraform_progress import TerraformProgress

TOKEN = "sandbox-test-of-down"
_OBEDIENT = "import time; time.sleep(60)"
_DEAF = f"import signal, time; signal.signal({signal.SIGTERM}, signal.SIG_IGN); time.sleep(60)"


@pytest.fixture
def started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., list[subprocess.Popen[bytes]]]]:
    """Starts processes that look like a sandbox's, with a Terraform state beside them."""
    monkeypatch.setattr(
        settings,
        "STATE_DIRECTORY",
        tmp_path,
    )
    running: list[subprocess.Popen[bytes]] = []

    def start(**programs: str) -> list[subprocess.Popen[bytes]]:
        known = state.State(token=TOKEN, endpoint="http://127.0.0.1:1")
        for name, program in programs.items():
            process = subprocess.Popen(
                [sys.executable, "-c", program, TOKEN], start_new_session=True
            )
            running.append(process)
            known.processes[name] = process.pid
        known.save()
        (tmp_path / "terraform").mkdir()
        (tmp_path / "terraform" / "terraform.tfstate").write_text("{}")
        return running

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_down_stops_without_destroying_and_says_so(
    started: Callable[..., list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("terraform destroy was not asked for")

    monkeypatch.setattr(
        Terraform,
        "destroy",
        refuse,
    )
    for arguments in (["down"], ["down", "--fast"]):
        processes = started(moto=_OBEDIENT, gateway=_OBEDIENT)
        began = time.monotonic()
        assert cli.main(arguments) == 0
        assert time.monotonic() - began < 6
        assert all(process.wait(settings.PATIENCE) is not None for process in processes)
        notified = capsys.readouterr().out
        assert "Stopping 2 processes: moto, gateway ..." in notified
        assert "Stopped. The emulated AWS is gone" in notified
        assert state.load() is None
        assert not (settings.STATE_DIRECTORY / "terraform").exists()
        processes.clear()


def test_a_process_that_does_not_listen_is_ended_by_force(
    started: Callable[..., list[subprocess.Popen[bytes]]],
) -> None:
    from sandbox import processes

    [deaf] = started(gateway=_DEAF)
    time.sleep(0.5)
    processes.stop(
        [deaf.pid],
        TOKEN,
        patience=0.3,
    )
    assert deaf.wait(settings.PATIENCE) == -signal.SIGKILL


@pytest.mark.parametrize("fails", [False, True])
def test_destroy_runs_first_and_its_failure_is_the_exit_code(
    started: Callable[..., list[subprocess.Popen[bytes]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: bool,
) -> None:
    def destroy(_: Terraform, files: list[Path], say: Say) -> None:
        say("  25 of 174 resources ...")
        if fails:
            raise SandboxError("terraform destroy failed (log: x).")

    monkeypatch.setattr(
        Terraform,
        "destroy",
        destroy,
    )
    [process] = started(gateway=_OBEDIENT)
    assert cli.main(["down", "--destroy"]) == int(fails)
    notified = capsys.readouterr().out
    assert notified.index("Destroying what Terraform made") < notified.index("25 of 174")
    assert ("destroy failed" in notified) is fails
    assert ("Everything that Terraform made is destroyed" in notified) is not fails
    assert notified.index("25 of 174") < notified.index("Stopping 1 processes")
    assert process.wait(settings.PATIENCE) is not None
    assert state.load() is None


def test_destroying_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        settings,
        "STATE_DIRECTORY",
        tmp_path,
    )
    state.State(token=TOKEN, endpoint="http://127.0.0.1:1").save()
    notified: list[str] = []
    assert lifecycle.down(notified.append, destroy=True) == 0
    assert notified[0].startswith("The emulators have ended by themselves")


def test_terraforms_progress_has_counts_and_names_what_it_waits_for() -> None:
    notified: list[str] = []
    now = 0.0
    progress = TerraformProgress(notified.append, lambda: now)
    waiting = (
        "module.security.module.incident[0].aws_sqs_queue_redrive_policy.undelivered: "
        "Still destroying... [id=http://127.0.0.1:1/1/q, {} elapsed]"
    )
    for number in range(60):
        progress.read(f"aws_iam_role.this[{number}]: Refreshing state... [id=x]")
    progress.read("Plan: 0 to add, 0 to change, 60 to destroy.")
    for number in range(50):
        progress.read(f'module.a.aws_iam_role.this["{number} b"]: Destruction complete after 0s')
    progress.read("module.a.aws_iam_role.this: Destroying... [id=x]")
    progress.read(waiting.format("10s"))
    now = 20.0
    progress.read(waiting.format("20s"))
    now = 21.0
    progress.read(waiting.format("21s"))
    assert notified == [
        "  50 resources read ...",
        "  0 of 60 resources ...",
        "  25 of 60 resources ...",
        "  50 of 60 resources ...",
        "  50 of 60 resources; waiting for aws_sqs_queue_redrive_policy.undelivered (20s) ...",
    ]
