"""MiniStack with the sandbox's patches: ``python -m sandbox.emulator.launcher`` (environment:
stack.py sets it).
"""

from __future__ import annotations

import sys
from typing import Any

from .patching import check_pins


def keep_connections() -> None:
    """Idle connections stay open: one that is closed while a request comes in costs it its
    answer, and the client repeats it.
    """
    from hypercorn.config import Config

    from .patching import replace

    forever: Any = property(lambda _: 86_400, lambda *_: None)
    replace(
        Config,
        "keep_alive_timeout",
        forever,
        restores="connections are not cut between two calls of one client",
    )
    replace(Config, "keep_alive_max_requests", 10**9, restores="nor after a thousand calls")
    replace(Config, "backlog", 1024, restores="several providers may connect at the same moment")


def main() -> None:
    """Check the pins, patch, serve until SIGTERM."""
    check_pins()
    from . import (  # noqa: F401  (they patch)
        cloudformation,
        cloudtrail,
        control,
        event_buses,
        events,
        gateway,
        iam,
        iam_credentials,
        iam_rules,
        lambdas,
        logs,
        nested_executions,
        s3,
        stacksets_api,
        stepfunctions,
    )
    from .ministack import app
    from .patching import replace

    for name in ("_stop_docker_containers", "_reaper_docker_client"):
        replace(
            app,
            name,
            lambda *_: None,
            restores="(no AWS behaviour) the sandbox leaves Docker alone",
        )
    keep_connections()
    # MiniStack parses the command line; the token on it only marks the process as this sandbox's.
    sys.argv = sys.argv[:1]
    app.main()


if __name__ == "__main__":
    main()
