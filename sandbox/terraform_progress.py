"""What Terraform is doing, from the lines it prints: how far it is and what it waits for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

_TOTAL = re.compile(r"^Plan: (\d+) to add, (\d+) to change, (\d+) to destroy\.")
_COMPLETE = re.compile(r"^\S.*: (?:Creation|Modifications|Destruction) complete after")
_WAITING = re.compile(
    r"^(?P<address>\S.*): Still (?:creating|modifying|destroying)\.\.\. \[(?:id=.*, )?"
    r"(?P<elapsed>\S+) elapsed\]"
)
_READ = re.compile(r"^\S.*: (?:Refreshing state\.\.\.|Read complete after)")
_EVERY = 25
_READ_EVERY = 50
_QUIET_SECONDS = 10


class TerraformProgress:
    """Tells ``say`` every 50 resources read, every 25 changed, and every ten seconds what is still
    waited for.
    """

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._clock = clock
        self._read = 0
        self._done = 0
        self._total = 0
        self._told_at = clock()

    def _tell(self, text: str) -> None:
        self._told_at = self._clock()
        self._say(f"  {text}")

    def _quiet(self) -> bool:
        return self._clock() - self._told_at >= _QUIET_SECONDS

    def _count(self) -> str:
        return f"{self._done} of {self._total} resources" if self._total else f"{self._done}"

    def read(self, line: str) -> None:
        """Take one line of Terraform's output."""
        if found := _TOTAL.match(line):
            self._total = sum(int(number) for number in found.groups())
            self._tell(f"0 of {self._total} resources ...")
        elif _READ.match(line) and not self._total:
            self._read += 1
            if self._read % _READ_EVERY == 0:
                self._tell(f"{self._read} resources read ...")
        elif _COMPLETE.match(line):
            self._done += 1
            if self._done % _EVERY == 0:
                self._tell(f"{self._count()} ...")
        elif (found := _WAITING.match(line)) and self._quiet():
            resource = ".".join(found["address"].rsplit(".", 2)[-2:])
            self._tell(f"{self._count()}; waiting for {resource} ({found['elapsed']}) ...")
