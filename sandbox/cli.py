"""The command line: ``python -m sandbox COMMAND``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import environment, lifecycle, settings, state
from .report import Progress
from .settings import SandboxError


def _print(data: object) -> None:
    print(json.dumps(data, indent=2, default=str))


def _up(arguments: argparse.Namespace) -> int:
    lifecycle.up(Progress(), [Path(name) for name in arguments.var_file or []])
    return 0


def _emulators(arguments: argparse.Namespace) -> int:
    known = lifecycle.emulators(Progress(to_stderr=True))
    _print(environment.describe(known))
    return 0


def _env(arguments: argparse.Namespace) -> int:
    described = environment.describe(lifecycle.running())
    if arguments.json:
        _print(described)
        return 0
    print(f"endpoint  {described['endpoint']}")
    for role, account in described["accounts"].items():
        print(f"{role:9} {account} (access key {account}, secret {settings.SECRET})")
    print(f"instance  {described['seeded'].get('instance')}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    return lifecycle.down(Progress(), fast=arguments.fast)


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    root = argparse.ArgumentParser(
        prog="python -m sandbox", description="The GuardDuty response module on a local AWS."
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    up = add("up", _up, "Start the emulators, seed a workload, apply the module.")
    up.add_argument("--var-file", action="append", metavar="FILE", help="Terraform variables (default: the sandbox's)")
    add("emulators", _emulators, "Start the emulators and seed, without Terraform; prints the environment.")
    show_env = add("env", _env, "Where everything is.")
    show_env.add_argument("--json", action="store_true", help="as JSON, for boto3 clients")
    down = add("down", _down, "Destroy what Terraform made, stop the emulators, forget the state.")
    down.add_argument("--fast", action="store_true", help="without terraform destroy")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a failure that is explained, 130 when interrupted."""
    parsed = parser().parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        return code
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("sandbox: interrupted", file=sys.stderr)
        return 130


__all__ = ["main", "parser", "state"]
