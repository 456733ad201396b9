"""The demonstration: a contained instance, a breach that is answered, a restore; then a stolen
key; and the reports.
"""

from __future__ import annotations

from pathlib import Path

from . import (
    demo_credential,
    demo_instance,
    findings,
    inbox,
    lifecycle,
    seed,
    settings,
    show,
    snapshot,
    stack,
    state,
)
from .clients import Aws
from .executions import Execution
from .incidents import Json
from .report import Progress, paint, title
from .settings import SandboxError
from .state import State

FINDING = (
    settings.ROOT / "tests" / "fixtures" / "findings" / "cryptocurrency_ec2_bitcointool_b_dns.json"
)


def _victim(known: State, aws: Aws, fresh: bool) -> seed.Victim:
    """Return the seeded instance of a new sandbox; in one that was up already, a new instance."""
    if fresh:
        return seed.Victim(**known.seed)
    return seed.instance(aws)


def _save_report(aws: Aws, bucket: str, incident: Json) -> Path | None:
    key = incident.get("report_key")
    if not key:
        return None
    body = (
        aws.client("s3", settings.SECURITY_ACCOUNT)
        .get_object(Bucket=bucket, Key=key)["Body"]
        .read()
    )
    path = settings.STATE_DIRECTORY / f"report-{incident['incident_id']}.html"
    path.write_bytes(body)
    return path


def _tell_messages(aws: Aws, known: State, incident: Json) -> None:
    """Print the verdict in full, the other messages by their subject."""
    messages = [
        item for item in inbox.read(aws, known.inbox) if incident["incident_id"] in item["message"]
    ]
    if not messages:
        return
    verdict = next(
        (item for item in messages if f"[{incident['status']}]" in str(item["subject"])),
        messages[-1],
    )
    title(f"What a person is told ({len(messages)} messages)")
    for message in messages:
        mark = ", in full below" if message is verdict else ""
        print(
            f"  {message['topic']}: {message['subject']}"
            f" ({message['message'].splitlines()[0]}){mark}"
        )
    print()
    print("\n".join(f"  | {line}" for line in verdict["message"].splitlines()))


def _instance(known: State, finding: Path, fresh: bool, say: Progress) -> tuple[Json, str]:
    """Play the first act, an instance. Returns its incident and the status it should have."""
    aws = Aws(known.endpoint)
    victim = _victim(known, aws, fresh)
    before = snapshot.take(aws, victim)
    title("The instance before")
    print(snapshot.table(before))
    title("The finding arrives")
    event = findings.prepare(
        aws, findings.read(finding), str(finding), bindings={"instance": victim.instance}
    )
    print(f"{event.detail['type']}, severity {event.detail['severity']}: {event.detail['title']}")
    began = say.elapsed()
    sent = findings.send(aws, event)
    incident = lifecycle.follow(known, sent, say).until_settled(settings.PATIENCE)
    say(f"Settled {say.elapsed() - began:.1f} s after the finding.")
    transitions = Execution(aws, str(incident["execution"])).transitions()
    title("The instance before and after")
    print(snapshot.table(before, snapshot.take(aws, victim)))
    title("The evidence")
    print("\n".join(demo_instance.evidence(incident)))
    _tell_messages(aws, known, incident)
    wanted = "CONTAINED"
    if (
        incident["status"] == wanted
        and incident["mode"] == "auto"
        and "ec2_instance" in _restorable(known)
    ):
        title("Somebody undoes it")
        incident = demo_instance.contained_again(known, incident, say)
        title("A person restores it")
        incident = demo_instance.restored(known, victim, incident, before, say)
        wanted = _restored_as(known)
    print(f"\n{transitions} state transitions from the finding to the end of its evidence.")
    return incident, wanted


def _play(known: State, finding: Path, fresh: bool, say: Progress) -> int:
    instance, wanted = _instance(known, finding, fresh, say)
    wrong = (
        []
        if instance["status"] == wanted
        else [f"The instance is {instance['status']}, not {wanted}"]
    )
    incidents = [instance]
    if "iam_principal" in _restorable(known):
        ended = demo_credential.play(known, say)
        incidents.append(ended.incident)
        wrong += ended.wrong
    title("The record")
    print("\n\n".join(show.text(incident) for incident in incidents))
    bucket = known.outputs["security"]["evidence_bucket"]
    for incident in incidents:
        if report := _save_report(Aws(known.endpoint), bucket, incident):
            print(f"Incident report: {report}")
    for text in wrong:
        say(paint(f"{text}.", "red"))
    return 1 if wrong else 0


def _restored_as(known: State) -> str:
    """Return the status of a restore that gives back all it may: an instance goes back into its
    Auto Scaling group by option.
    """
    options: Json = known.outputs["security"]["playbook_options"]["ec2_instance"]
    return "RESTORED" if options["reattach_auto_scaling"] else "RESTORE_PARTIAL"


def _restorable(known: State) -> Json:
    return known.outputs["security"].get("restore_function_arns") or {}


def run(finding: Path, *, keep: bool, var_files: list[Path]) -> int:
    """Run the demonstration; 0 when all that was attacked was contained and, where that is
    switched on, restored.
    """
    say = Progress()
    findings.read(finding)
    running = state.load()
    fresh = running is None or not stack.alive(running) or not running.outputs
    if fresh:
        known = lifecycle.up(say, var_files, elsewhere=False)
    else:
        known = lifecycle.running(applied=True)
        say("The sandbox is up already: its module is used as it is applied, on a new instance.")
    try:
        code = _play(known, finding, fresh, say)
    except SandboxError:
        say(f"Logs are in {settings.STATE_DIRECTORY / 'logs'}.")
        raise
    finally:
        if fresh and not keep:
            print()
            lifecycle.down(say)
    if keep or not fresh:
        print(
            "The sandbox stays up. Look around: .venv/bin/python -m sandbox env --json; end it: ..."
            " sandbox down"
        )
    say(f"Done in {say.elapsed():.0f} s.")
    return code
