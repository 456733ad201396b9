"""Lambda's environments start sooner, and fewer of them: a cold start takes half a second of a
core, and a burst of findings would start as many as there are findings.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

from .ministack import lambda_runtime, lambdas
from .patching import Original, patch, replace

AT_ONCE = max(2, os.cpu_count() or 1)  # environments that start at the same moment
PATIENCE = 10.0  # seconds until an invocation gets a new one in any case
_PARENT = Path(__file__).with_name("lambda_parent.py")
_CAN_FORK = sys.platform == "linux" and hasattr(os, "pidfd_open")
_changed = threading.Condition()
_starting: dict[object, str] = {}  # environments that start, and of what


class Environment:
    """A fork of the parent; what MiniStack uses of ``subprocess.Popen``."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "w", buffering=1, encoding="utf-8")
        self.stdout = os.fdopen(stdout, encoding="utf-8")
        self.stderr = os.fdopen(stderr, encoding="utf-8", errors="replace")
        try:
            self._process = os.pidfd_open(pid)
        except ProcessLookupError:
            self._process, self.returncode = -1, -1

    def poll(self) -> int | None:
        """Return None while the process runs."""
        return self._ended(0)

    def _ended(self, seconds: float) -> int | None:
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._process, select.POLLIN)
            if waiting.poll(seconds * 1000):
                self.returncode = -1  # of a process that is no child, nobody knows more
                os.close(self._process)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return when the process has ended; subprocess.TimeoutExpired after ``timeout``."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"environment {self.pid}", timeout)
        return code

    def terminate(self) -> None:
        """Ask the process to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._process, number)


class _Parent:
    """The process that forks (``lambda_parent.py``), started when the first environment is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def _connected(self) -> socket.socket:
        if self._channel is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # -P: what lies beside the script is the emulator's, and no function's
                self._process = subprocess.Popen(
                    [sys.executable, "-P", str(_PARENT), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            self._channel = ours
        return self._channel

    def fork(self, script: str, cwd: str, env: dict[str, str]) -> Environment:
        """Start an environment that runs the script."""
        message = json.dumps({"script": script, "cwd": cwd, "env": env}).encode()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        ours_error, theirs_error = os.pipe()
        try:
            pid = self._forked(message, [theirs_in, theirs_out, theirs_error])
        except BaseException:
            for descriptor in (ours_in, ours_out, ours_error):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (theirs_in, theirs_out, theirs_error):
                os.close(descriptor)
        return Environment(pid, ours_in, ours_out, ours_error)

    def _forked(self, message: bytes, descriptors: list[int]) -> int:
        """Return the process ID of a new fork; RuntimeError when the parent has ended."""
        with self._lock:
            channel = self._connected()
            try:
                socket.send_fds(channel, [message], descriptors)
                if answer := channel.recv(64):
                    return int(answer)
            except OSError as error:
                failure: OSError | None = error
            else:
                failure = None
            self._channel = None  # the next environment gets a new parent
            channel.close()
        raise RuntimeError(
            "The process that forks Lambda's environments has ended; the gateway's log says why."
        ) from failure


_parent = _Parent()


class _Subprocess:
    """The module ``subprocess``, whose Popen forks where it would start a Python worker."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: list[str], **how: Any) -> Any:
        env = how.get("env") or {}
        own = Path(how.get("cwd") or ".", "botocore")  # a function's own comes first
        if command[0] != sys.executable or "_LAMBDA_LAYERS_DIRS" in env or own.exists():
            return subprocess.Popen(command, **how)
        return _parent.fork(command[1], how["cwd"], env)


class _CodeOnce(zipfile.ZipFile):
    """A function's code: extracted, and compiled, once for all environments of the same code."""

    def extractall(self, path: Any = None, *more: Any, **named: Any) -> None:
        directory = Path(path)
        if directory.name != "code" or not self.filename:
            super().extractall(path, *more, **named)
            return
        digest = hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
        shared = Path(tempfile.gettempdir(), f"code-{digest}")
        if not shared.exists():
            new = Path(tempfile.mkdtemp(prefix="new-code-"))
            super().extractall(new)
            try:
                new.rename(shared)
            except OSError:  # another environment was sooner
                shutil.rmtree(new, ignore_errors=True)
        directory.rmdir()
        directory.symlink_to(shared)


class _Zipfile:
    """The module ``zipfile`` with ``_CodeOnce``."""

    ZipFile = _CodeOnce

    def __getattr__(self, name: str) -> Any:
        return getattr(zipfile, name)


if _CAN_FORK:
    replace(
        lambda_runtime,
        "subprocess",
        _Subprocess(),
        restores="(no AWS behaviour) an environment is a fork of a process that has imported boto3",
    )
replace(
    lambda_runtime,
    "zipfile",
    _Zipfile(),
    restores="(no AWS behaviour) code is extracted and compiled once, not for each environment",
)


def _has_free(key: str) -> bool:
    with lambda_runtime._lock:
        return any(not worker.in_use for worker in lambda_runtime._workers.get(key, ()))


@patch(
    lambdas,
    "acquire_worker",
    restores=(
        "(no AWS behaviour) one environment of a function starts at a time; an invocation that"
        " waits for the next takes one that gets free (upstream: as many as there are invocations)"
    ),
)
def acquire_worker(
    original: Original,
    name: str,
    config: dict[str, Any],
    code_zip: bytes,
    qualifier: str = "$LATEST",
    **more: Any,
) -> Any:
    key = lambda_runtime._worker_key(name, config, qualifier)

    def may_have_one() -> bool:
        return _has_free(key) or (len(_starting) < AT_ONCE and key not in _starting.values())

    with _changed:
        _changed.wait_for(may_have_one, PATIENCE)
        worker, reason = original(name, config, code_zip, qualifier=qualifier, **more)
        if reason == "spawn":
            _starting[worker] = key
    return worker, reason


def no_longer_starts(worker: object) -> None:
    """Let those who wait look again: an environment has started, or is free."""
    with _changed:
        _starting.pop(worker, None)
        _changed.notify_all()


@patch(
    lambda_runtime.Worker,
    "_spawn",
    restores="(no AWS behaviour) tells who waits for an environment that one has started",
)
def spawn(original: Original, worker: object) -> None:
    try:
        original(worker)
    finally:
        no_longer_starts(worker)
