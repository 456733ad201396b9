"""One process of the AWS provider for many Terraform commands.

Terraform starts the provider anew for every command, several times over, and each start costs
about a second of CPU. Started with ``-debug``, the provider stays and prints how Terraform reaches
it: the value of ``TF_REATTACH_PROVIDERS``, a socket in a directory of this process's own.

All provider blocks of a configuration share that process, and the one configured last decides for
all of them. So it serves mocked providers, and configurations with a single provider block.
"""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.patience import PATIENCE

_BINARIES = ".terraform/providers/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws*"
_ADDRESS = re.compile(r"TF_REATTACH_PROVIDERS='(?P<value>.+)'")


_started: list[SharedProvider] = []


def stop_all() -> None:
    """End what this process has started: a worker of pytest-xdist runs no exit handlers."""
    for provider in _started:
        provider.stop()


def provider_binary(directory: Path) -> Path | None:
    """Return the AWS provider that ``terraform init`` put there, or None."""
    return next(iter(sorted(directory.glob(_BINARIES))), None)


class SharedProvider:
    """A provider process, started when it is first needed and ended with the test process."""

    def __init__(self, environment: dict[str, str]) -> None:
        """``environment``: what the provider reads its endpoint and credentials from."""
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None
        self._address = ""
        self._scratch = ""

    def reattach(self, directory: Path) -> dict[str, str]:
        """Return the environment variable that leads Terraform to the process.

        It is empty where ``directory`` has no AWS provider, or the process did not start:
        Terraform then starts providers of its own, which takes longer and tests the same.
        """
        if self._process is None:
            binary = provider_binary(directory)
            if binary is None:
                return {}
            self._start(binary)
        if self._process is None or self._process.poll() is not None:
            return {}
        return {"TF_REATTACH_PROVIDERS": self._address}

    def _start(self, binary: Path) -> None:
        # A short path: that of a socket may have no more than about a hundred characters.
        self._scratch = tempfile.mkdtemp(prefix="provider-")
        log = Path(self._scratch) / "output"
        with log.open("w") as output:
            process = subprocess.Popen(
                [binary, "-debug"],
                env={**self._environment, "TMPDIR": self._scratch},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._process = process
        _started.append(self)
        atexit.register(self.stop)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            found = _ADDRESS.search(log.read_text())
            if found:
                self._address = found["value"]
                return
            time.sleep(0.05)
        self.stop()

    def stop(self) -> None:
        """End the process, and no other."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        shutil.rmtree(self._scratch, ignore_errors=True)
