"""MiniStack with the sandbox's patches: ``python -m sandbox.emulator.launcher`` (environment:
stack.py sets it).
"""

from __future__ import annotations

import sys

from . import patch_modules
from .patching import check_pins


def main() -> None:
    """Check the pins, patch, serve until SIGTERM."""
    check_pins()
    patch_modules.install(patch_modules.GATEWAY)
    from .ministack import app

    # MiniStack parses the command line; the token on it only marks the process as this sandbox's.
    sys.argv = sys.argv[:1]
    app.main()


if __name__ == "__main__":
    main()
