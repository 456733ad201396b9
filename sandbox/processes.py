"""Child processes of the sandbox: started on free loopback ports, recognised again, and stopped
one by one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from .settings import PATIENCE, SandboxError


def free_port() -> int:
    """Return a port nobody listens on at 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(command: list[str], environment: dict[str, str], log: Path, directory: Path) -> int:
    """Start a process in a group of its own, output to ``log``; returns its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return process.pid


def is_ours(pid: int, token: str) -> bool:
    """Return whether ``pid`` is still the process started with ``token`` (pids are used again)."""
    with contextlib.suppress(OSError):
        os.waitpid(pid, os.WNOHANG)  # a child that ended is a zombie until someone asks
    shown = subprocess.run(
        ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return token in shown.stdout and not shown.stdout.lstrip().startswith("Z")


def stop(pids: Iterable[int], token: str, patience: float = 8) -> None:
    """End processes of ours and their children: all asked at once, after ``patience`` seconds by
    force. A pid that is not ours is left alone.
    """
    waiting = [pid for pid in pids if is_ours(pid, token)]
    for pid in waiting:
        os.killpg(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = [pid for pid in waiting if is_ours(pid, token)]
    for pid in waiting:
        os.killpg(pid, signal.SIGKILL)


def wait_for(url: str, pid: int, token: str, log: Path, patience: float = PATIENCE) -> None:
    """Wait until ``url`` answers; SandboxError with the end of the log when the process dies or
    stays silent.
    """
    deadline = time.monotonic() + patience
    why = f"did not answer within {patience:.0f} s"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if not is_ours(pid, token):
                why = "ended"
                break
            time.sleep(0.1)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise SandboxError(
        f"An emulator did not start: process {pid} {why} ({url}). The end of {log}:\n{tail}"
    )
