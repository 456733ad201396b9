"""What runs "on the instance" when a command arrives: the document's real Linux script, as a child
of this machine.

It gets ``env -i`` with a plain PATH, a directory of its own and a time limit, and is ended with all
it started. It sees this machine's processes, connections and users, as the user the sandbox runs
as; the script itself only reads.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_OUTPUT = 24_000  # characters of the output that GetCommandInvocation shows (AWS)
_RUNNING: set[subprocess.Popen[bytes]] = set()
_STARTING = threading.Lock()  # held from a script's start until it is in _RUNNING
Tell = Callable[[str, int, str, str], None]  # status, exit code, stdout, stderr


def linux_script(
    content: dict[str, Any], parameters: dict[str, list[str]]
) -> tuple[str, float] | None:
    """(script, its time limit in seconds) of the document's step for Linux, with parameters put
    in; None without one.
    """
    for step in content.get("mainSteps", []):
        platform = (step.get("precondition") or {}).get("StringEquals") or ["platformType", "Linux"]
        if step["action"] == "aws:runShellScript" and "Linux" in platform:
            text = "\n".join(step["inputs"]["runCommand"])
            for name, values in parameters.items():
                pieces = re.split(r"\{\{\s*" + re.escape(name) + r"\s*\}\}", text)
                text = values[0].join(pieces)
            return text, float(step["inputs"].get("timeoutSeconds", 3600))
    return None


class Guest:
    """One run. ``reachable``: asked all the time; once it is False the machine is cut off and
    what runs is ended unseen.
    """

    def __init__(
        self, script: str, limit: float, tell: Tell, reachable: Callable[[], bool]
    ) -> None:
        self._script, self._limit, self._reported, self._reachable = script, limit, tell, reachable
        self._cancelled = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="guest").start()

    def cancel(self) -> None:
        """End it; its status becomes Cancelled."""
        self._cancelled.set()

    def _run(self) -> None:
        home = Path(tempfile.mkdtemp(prefix="guest-"))
        try:
            self._serve(home)
        except OSError as error:
            self._reported("Failed", 1, "", f"the sandbox could not start the script: {error}")
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _serve(self, home: Path) -> None:
        script = home / "_script.sh"
        script.write_text(self._script)
        script.chmod(0o700)
        scratch = home / "tmp"
        scratch.mkdir(mode=0o700)
        with (home / "out").open("wb") as out, (home / "err").open("wb") as err, _STARTING:
            # As the agent does: a file, so that no process list shows its text.
            running = subprocess.Popen(
                ["/bin/sh", "-c", str(script)],
                env={"PATH": _PATH, "TMPDIR": str(scratch)},
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            _RUNNING.add(running)
        self._reported("InProgress", -1, "", "")
        status = self._watch(running)
        _end(running)
        _RUNNING.discard(running)
        if status:
            texts = [(home / name).read_text(errors="replace")[:_OUTPUT] for name in ("out", "err")]
            self._reported(status, running.returncode, texts[0], texts[1])

    def _watch(self, running: subprocess.Popen[bytes]) -> str:
        """Return how it ended; '' when the machine was cut off, so that nobody learns."""
        deadline = time.monotonic() + self._limit
        while running.poll() is None:
            if self._cancelled.is_set():
                return "Cancelled"
            if time.monotonic() > deadline:
                return "TimedOut"
            if not self._reachable():
                return ""
            time.sleep(0.1)
        return "Success" if running.returncode == 0 else "Failed"


@atexit.register
def _end_all() -> None:
    """End what still runs when the sandbox stops: it has a session of its own, and would outlive
    it.
    """
    with _STARTING:
        for running in list(_RUNNING):
            _end(running)


def _end(running: subprocess.Popen[bytes]) -> None:
    """Ends every process of its session (``timeout`` gives its children a group of their own)."""
    for pid in [running.pid, *_session(running.pid)]:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL) if pid != running.pid or running.poll() is None else None
    running.wait()


def _session(leader: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[3]) == leader:
                found.append(int(stat.parent.name))
    return found
