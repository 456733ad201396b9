"""Replace functions of the pinned emulators, and remember why.

A patch that no longer finds its function stops the emulator at start instead of silently testing
less. ``SANDBOX_DISABLED_PATCHES`` (comma-separated names) leaves patches out: a test of a patch has
to fail then.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PINS = {"ministack": "1.5.33", "moto": "5.2.5"}
# A function of an emulator that a patch replaces and may call.
Original = Callable[..., Any]
_MISSING = object()


@dataclass(frozen=True)
class Patch:
    """One replaced function: ``name`` is ``module.function``, ``restores`` the AWS behaviour it
    brings back.
    """

    name: str
    package: str
    restores: str
    enabled: bool


PATCHES: dict[str, Patch] = {}


class PatchError(RuntimeError):
    """The installed emulator is not the release this sandbox was written for."""


def disabled() -> set[str]:
    """Return the names of the patches that the environment leaves out."""
    return {name for name in os.environ.get("SANDBOX_DISABLED_PATCHES", "").split(",") if name}


def check_pins() -> None:
    """Raise PatchError unless every emulator is installed in its pinned release."""
    for package, wanted in PINS.items():
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found = "not installed"
        if found != wanted:
            raise PatchError(
                f"The sandbox patches private functions of {package} {wanted}, but here {package}"
                f" is {found}. Install requirements/dev.txt into the virtual environment:"
                " make install"
            )


def _name_of(target: Any, attribute: str) -> tuple[str, str]:
    module = getattr(target, "__module__", None) or target.__name__
    owner = target.__name__.rsplit(".", 1)[-1]
    return f"{owner}.{attribute}", module.split(".", 1)[0]


def _record(name: str, package: str, restores: str) -> bool:
    """Remember a patch; returns whether it is to be applied."""
    enabled = name not in disabled()
    PATCHES[name] = Patch(name, package, restores, enabled)
    return enabled


def _mismatch(package: str, what: str, restores: str) -> PatchError:
    pinned = f" {package} {PINS[package]} is expected." if package in PINS else ""
    return PatchError(f"{package} {what} ({restores}).{pinned}")


def replace(target: object, attribute: str, value: object, *, restores: str) -> None:
    """Set ``target.attribute`` (a module's or a class's) to ``value`` and record what that
    restores.

    PatchError when there is no such attribute.
    """
    name, package = _name_of(target, attribute)
    original = getattr(target, attribute, _MISSING)
    if original is _MISSING:
        raise _mismatch(package, f"has no {name}, which the sandbox patches", restores)
    if not _record(name, package, restores):
        return
    setattr(target, attribute, value)
    # Dispatch tables hold the function they were built with.
    for table in list(vars(target).values()):
        if type(table) is dict:
            for key, entry in list(table.items()):
                if entry is original:
                    table[key] = value


def add(target: object, attribute: str, value: object, *, restores: str) -> None:
    """Set an attribute that the emulator lacks; PatchError when it has its own by now."""
    name, package = _name_of(target, attribute)
    if hasattr(target, attribute):
        raise _mismatch(package, f"now has {name}, which the sandbox adds", restores)
    if _record(name, package, restores):
        setattr(target, attribute, value)


def extend(target: object, table: str, key: str, value: object, *, restores: str) -> None:
    """Add an entry to a table of the emulator's (a dispatch table, its seeds); PatchError when it
    has its own by now.

    The patch is named ``module.last part of the key``.
    """
    name, package = _name_of(target, key.rsplit("/", 1)[-1])
    entries = getattr(target, table)
    if key in entries:
        raise _mismatch(package, f"now has {name}, which the sandbox adds", restores)
    if _record(name, package, restores):
        entries[key] = value


def patch(
    target: object, attribute: str, *, restores: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that receives the original function first, then the call's own
    arguments.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        original = getattr(target, attribute, None)

        @functools.wraps(function)
        def replacement(*args: object, **kwargs: object) -> Any:
            return function(original, *args, **kwargs)

        replace(target, attribute, replacement, restores=restores)
        return replacement

    return decorate
