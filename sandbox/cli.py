"""The command line: ``python -m sandbox COMMAND``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import (
    demo,
    environment,
    findings,
    human_request,
    lifecycle,
    settings,
    show,
    undo_containment,
)
from .clients import Aws
from .incidents import Json
from .report import Progress
from .settings import SandboxError


def _print(data: object) -> None:
    print(json.dumps(data, indent=2, default=str))


def _up(arguments: argparse.Namespace) -> int:
    lifecycle.up(Progress(), [Path(name) for name in arguments.var_file or []])
    return 0


def _emulators(arguments: argparse.Namespace) -> int:
    known = lifecycle.emulators_only(Progress(to_stderr=True))
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
    for kind, item in described["seeded"]["people"].items():
        print(f"{kind:9} {item['name']}")
    return 0


def _send(arguments: argparse.Namespace) -> int:
    say = Progress(to_stderr=arguments.json)
    data = findings.read(arguments.file)
    known = lifecycle.running(applied=True)
    aws = Aws(known.endpoint)
    bindings = dict(_binding(text) for text in arguments.bind or [])
    event = findings.prepare(
        aws,
        data,
        str(arguments.file),
        bindings=bindings,
        account=arguments.account,
        region=arguments.region,
        keep_id=arguments.keep_id,
        keep_times=arguments.keep_times,
    )
    if event.region != settings.REGION and not known.outputs.get("second_region"):
        raise SandboxError(
            f"Nothing takes events of {event.region} home yet. Apply that with: .venv/bin/python -m"
            " sandbox up"
        )
    sent = findings.send(aws, event)
    kind = event.detail.get("type") or event.detail_type
    where = f"account {settings.SECURITY_ACCOUNT}, {event.region}"
    say(f"Sent {kind} to {where} (event {sent.event_id}).")
    if not arguments.wait:
        if arguments.json:
            _print(
                {
                    "event_id": sent.event_id,
                    "incident_id": sent.incident_id,
                    "finding_id": event.detail.get("id"),
                }
            )
        elif sent.incident_id:
            say(f"Its incident is {sent.incident_id}.")
        return 0
    incident = lifecycle.follow(known, sent, say).until_settled(arguments.timeout)
    _print_incident(incident, arguments.json)
    return 0


def _binding(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not value:
        raise SandboxError(
            f"--bind takes instance=ID, user=NAME or role=NAME/SESSION, not {text!r}."
        )
    return name, value


def _print_incident(incident: Json, as_json: bool) -> None:
    if as_json:
        _print(incident)
    else:
        print(show.text(incident))


def _incidents(arguments: argparse.Namespace) -> int:
    found = lifecycle.incidents_of(lifecycle.running(applied=True)).all()
    if arguments.json:
        _print(found)
        return 0
    for incident in found:
        print(show.line(incident))
    if not found:
        print("No incidents yet. Send a finding with: .venv/bin/python -m sandbox send FILE --wait")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    known = lifecycle.running(applied=True)
    _print_incident(lifecycle.incidents_of(known).get(arguments.id), arguments.json)
    return 0


def _undo(arguments: argparse.Namespace) -> int:
    known = lifecycle.running(applied=True)
    incidents = lifecycle.incidents_of(known)
    human_request.ask(known, incidents.get(arguments.id), close=arguments.command == "close")
    _print_incident(incidents.get(arguments.id), arguments.json)
    return 0


def _undo_containment(arguments: argparse.Namespace) -> int:
    known = lifecycle.running(applied=True)
    done = undo_containment.undo(known, lifecycle.incidents_of(known).get(arguments.id))
    print(f"{done.who} put {done.interface} back into {', '.join(done.groups)}.")
    print(f"See what answers: .venv/bin/python -m sandbox show {arguments.id}")
    return 0


def _plan(_arguments: argparse.Namespace) -> int:
    _print(lifecycle.plan())
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    return demo.run(
        arguments.finding,
        keep=arguments.keep,
        var_files=[Path(name) for name in arguments.var_file or []],
    )


def _down(arguments: argparse.Namespace) -> int:
    return lifecycle.down(Progress(), destroy=arguments.destroy)


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    root = argparse.ArgumentParser(
        prog="python -m sandbox", description="The GuardDuty response module on a local AWS."
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    up = add("up", _up, "Start the emulators, seed a workload, apply the module.")
    up.add_argument(
        "--var-file",
        action="append",
        metavar="FILE",
        help="Terraform variables (default: the sandbox's)",
    )
    add(
        "emulators",
        _emulators,
        "Start the emulators and seed, without Terraform; prints the environment.",
    )
    show_env = add("env", _env, "Where everything is.")
    show_env.add_argument("--json", action="store_true", help="as JSON, for boto3 clients")
    send = add("send", _send, "Put a finding on the event bus, as GuardDuty would.")
    send.add_argument("file", type=Path, metavar="FILE", help="an event, or a finding in any shape")
    send.add_argument(
        "--bind",
        action="append",
        metavar="KIND=NAME",
        help=(
            "make it a finding about instance=ID, user=NAME[/KEY] or role=NAME[/SESSION]; may be"
            " given twice"
        ),
    )
    send.add_argument("--account", metavar="ID", help="make it a finding of this account")
    send.add_argument(
        "--region", metavar="NAME", help="make it a finding of this Region, put on the bus there"
    )
    send.add_argument(
        "--keep-id",
        action="store_true",
        help="keep the finding's id (default: a new one each time)",
    )
    send.add_argument(
        "--keep-times",
        action="store_true",
        help="keep the finding's times (default: moved together, so that it was last seen now)",
    )
    send.add_argument("--wait", action="store_true", help="follow the incident until it is settled")
    send.add_argument(
        "--timeout",
        type=float,
        default=settings.PATIENCE,
        metavar="S",
        help="give up waiting after so many seconds",
    )
    send.add_argument(
        "--json", action="store_true", help="print the incident as JSON (progress goes to stderr)"
    )
    listing = add("incidents", _incidents, "List the incidents.")
    listing.add_argument("--json", action="store_true")
    shown = add("show", _show, "One incident: targets, actions, timeline.")
    shown.add_argument("id", metavar="ID")
    shown.add_argument("--json", action="store_true")
    for name, text in (
        ("restore", "Undo an incident's containment, as a person does; the incident afterwards."),
        ("close", "Close an incident, as a person does."),
    ):
        asked = add(name, _undo, text)
        asked.add_argument("id", metavar="ID")
        asked.add_argument("--json", action="store_true")
    changed = add(
        "breach",
        _undo_containment,
        "Undo an incident's containment behind its back, as an attacker or a hasty administrator"
        " does.",
    )
    changed.add_argument("id", metavar="ID")
    add("plan", _plan, "What a second plan would change, as JSON (an empty list is a clean plan).")
    demonstration = add(
        "demo", _demo, "Watch a mining instance being contained, from nothing to the report."
    )
    demonstration.add_argument("--finding", type=Path, default=demo.FINDING, metavar="FILE")
    demonstration.add_argument(
        "--keep", action="store_true", help="leave the sandbox up afterwards"
    )
    demonstration.add_argument("--var-file", action="append", metavar="FILE")
    down = add("down", _down, "Stop the emulators and forget the state (seconds).")
    how = down.add_mutually_exclusive_group()
    how.add_argument(
        "--destroy",
        action="store_true",
        help="run terraform destroy before; exits with 1 when it fails (about a minute)",
    )
    how.add_argument("--fast", action="store_true", help="without terraform destroy (the default)")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for a failure that is explained, 130 when
    interrupted.
    """
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
