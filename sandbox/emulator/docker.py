"""MiniStack looks for containers of its own at start and at the end; the sandbox has none."""

from __future__ import annotations

from .ministack import app
from .patching import replace


def _do_nothing(*_: object) -> None:
    return None


for _name in ("_stop_docker_containers", "_reaper_docker_client"):
    replace(
        app,
        _name,
        _do_nothing,
        restores="(no AWS behaviour) the sandbox leaves Docker alone",
    )
