"""Lambda functions as processes: an environment is a Python interpreter that imports the handler
and is used again while it is free.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

Json = dict[str, Any]

# What a function prints goes to its log, so that answers have the standard output for themselves.
_RUNTIME = """
import importlib, json, os, sys
sys.path.insert(0, os.getcwd())
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
module, _, name = sys.argv[1].rpartition(".")
handler = getattr(importlib.import_module(module), name)
for line in sys.stdin:
    try:
        answer = {"answer": handler(json.loads(line), None)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=str), file=answers, flush=True)
"""


class FunctionFailed(Exception):
    """A function raised an error, or its process ended."""


@dataclass(frozen=True)
class Invocation:
    """What a function answered, when it was asked (time.monotonic()) and how long it took."""

    answer: Any
    cold: bool
    start: float
    seconds: float


@dataclass
class _Environment:
    """A process; ``free_at``: when its last invocation ends, on the caller's clock."""

    process: subprocess.Popen[str]
    log: IO[str]
    free_at: float = 0.0

    def call(self, event: Json) -> Any:
        """Send an event and wait for the answer. Raises FunctionFailed."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(event) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        said = json.loads(line) if line else {"error": "the process ended"}
        if "error" in said:
            self.log.seek(0)
            raise FunctionFailed(f"{said['error']}\n{self.log.read()[-3000:]}")
        return said["answer"]

    def end(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


@dataclass
class Function:
    """A function: its unpacked code, its handler as ``module.name``, and its environment.

    ``python``: the interpreter whose site-packages stand for what the runtime brings. The code has
    the bytecode of its zip and gets no more, as in Lambda, where it cannot be written.
    """

    code: Path
    handler: str
    variables: Mapping[str, str]
    python: str = sys.executable
    _environments: list[_Environment] = field(default_factory=list)

    def invoke(self, event: Json, at: float = 0.0) -> Invocation:
        """Invoke the function at a moment of the caller's clock: in an environment that is free
        by then, or else in a new one, whose start and import count.

        Raises FunctionFailed.
        """
        start = time.monotonic()
        environment = next((found for found in self._environments if found.free_at <= at), None)
        cold = environment is None
        if environment is None:
            environment = self._start()
        answer = environment.call(event)
        seconds = time.monotonic() - start
        environment.free_at = at + seconds
        return Invocation(answer, cold, start, seconds)

    def _start(self) -> _Environment:
        log = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed with the environment
        process = subprocess.Popen(
            [self.python, "-B", "-c", _RUNTIME, self.handler],
            cwd=self.code,
            env=dict(self.variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        environment = _Environment(process, log)
        self._environments.append(environment)
        return environment

    def rest(self) -> None:
        """Let the caller's clock begin anew: every environment is free."""
        for environment in self._environments:
            environment.free_at = 0.0

    def end(self) -> None:
        """End all environments: the next invocation is cold."""
        for environment in self._environments:
            environment.end()
        self._environments.clear()
