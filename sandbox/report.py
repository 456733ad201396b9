"""Progress on the terminal: short lines with the time they took, colour on a terminal only."""

from __future__ import annotations

import os
import sys
import time

_CODES = {"bold": "1", "green": "32", "red": "31", "yellow": "33", "dim": "2"}


def paint(text: str, style: str) -> str:
    """Colour the text on a terminal, leave it plain elsewhere (NO_COLOR is honoured)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{_CODES[style]}m{text}\033[0m"


def title(text: str) -> None:
    """Print a heading, with room above it."""
    print(f"\n{paint(text, 'bold')}")


class Progress:
    """Lines with the seconds since the start; ``quiet`` prints to stderr, so that stdout stays
    machine-readable.
    """

    def __init__(self, *, to_stderr: bool = False) -> None:
        self._began = time.monotonic()
        self._stream = sys.stderr if to_stderr else sys.stdout

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def __call__(self, line: str) -> None:
        print(f"[{self.elapsed():6.1f} s] {line}", file=self._stream, flush=True)
