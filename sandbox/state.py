"""What the sandbox remembers between commands, in ``.sandbox/state.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import settings
from .settings import SandboxError

VERSION = 1


@dataclass
class State:
    """``processes``: name -> pid. ``token`` marks their command lines. ``seed``: the seeded
    instance, ``people``: user and role. ``outputs``: Terraform's.
    """

    token: str
    endpoint: str
    processes: dict[str, int] = field(default_factory=dict)
    seed: dict[str, Any] = field(default_factory=dict)
    people: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    var_files: list[str] = field(default_factory=list)
    inbox: str = ""
    version: int = VERSION

    def save(self) -> None:
        """Write the state atomically."""
        settings.STATE_DIRECTORY.mkdir(parents=True, exist_ok=True)
        target = path()
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1))
        partial.replace(target)


def path() -> Path:
    """Return the state file."""
    return settings.STATE_DIRECTORY / "state.json"


def load() -> State | None:
    """Return the state, or None when there is none (or it is another version's)."""
    try:
        data = json.loads(path().read_text())
        return State(**data) if data.get("version") == VERSION else None
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def require() -> State:
    """Return the state; SandboxError when the sandbox is down."""
    found = load()
    if found is None:
        raise SandboxError(
            "The sandbox is not running. Start it with: .venv/bin/python -m sandbox up"
        )
    return found
