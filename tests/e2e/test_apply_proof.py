"""An apply that changes switches while findings arrive, to its end or killed half-way: no finding
is lost, none fails.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox import lifecycle, settings
from sandbox.findings import Sent
from sandbox.report import Progress
from sandbox.seed import Victim
from tests.e2e.e2e_checks import assert_network_closed
from tests.e2e.e2e_world import MINING, PREFIX, SECURITY, Json, World
from tests.support.patience import PATIENCE, until

pytestmark = pytest.mark.proof  # two applies each
WANTED, WANTED_ACTING = 200, 24
HALF_APPLIED, HALF_APPLIED_ACTING = 40, 6  # findings that arrive after the apply was killed
QUIET_SECONDS = 5  # in which Terraform writes no state
NOTIFIED = "UnauthorizedAccess:EC2/TorRelay"


class Switch(NamedTuple):
    """A switch that the apply changes: its key, and its modes before and after."""

    key: str
    before: str
    after: str


OTHER = Switch("UnauthorizedAccess:EC2/RDPBruteForce", "off", "notify")  # of no finding here
# Acting types, by their own switches
ACTING = {
    "Trojan:EC2/DNSDataExfiltration": Switch("Trojan:EC2/*", "dry_run", "auto"),
    MINING: Switch("CryptoCurrency:EC2/*", "auto", "dry_run"),
}
STATUS = {"dry_run": "DRY_RUN", "auto": "CONTAINED"}


class Acting(NamedTuple):
    """A finding of an acting type, about an instance of its own."""

    victim: Victim
    kind: str
    sent: Sent


class Findings:
    """Sends findings, side by side, until an apply has ended and there were enough of them."""

    def __init__(self, world: World) -> None:
        self.world, self.applied = world, threading.Event()
        self.notified: list[Sent] = []
        self.acting: list[Acting] = []
        self.threads = [threading.Thread(target=self._notify), threading.Thread(target=self._act)]

    def _notify(self) -> None:
        while not self.applied.is_set() or len(self.notified) < WANTED:
            self.notified.append(self.world.send(self.world.finding(kind=NOTIFIED)))
            self.applied.wait(0.1)

    def _act(self) -> None:
        while not self.applied.is_set() or len(self.acting) < WANTED_ACTING:
            self._act_once()
            self.applied.wait(2)
        self._act_once()

    def _act_once(self) -> None:
        for kind in ACTING:
            victim = self.world.plain()
            sent = self.world.send(self.world.finding(victim, kind))
            self.acting.append(Acting(victim, kind, sent))


@pytest.fixture
def changed(world: World, tmp_path: Path) -> Iterator[Path]:
    """The variables with the switches changed; those of before are applied again in the end."""
    [original] = world.known.var_files
    text = Path(original).read_text()
    for switch in (OTHER, *ACTING.values()):
        lines = [line for line in text.splitlines() if line.strip().startswith(f'"{switch.key}"')]
        assert len(lines) == 1, lines
        line = lines[0].replace(f'"{switch.before}"', f'"{switch.after}"')
        assert line != lines[0]
        text = text.replace(lines[0], line)
    path = tmp_path / "changed.tfvars"
    path.write_text(text)
    yield path
    lifecycle.up(Progress(to_stderr=True), [Path(original)])


def _document(world: World, incident: Json) -> str:
    [meta] = [
        item
        for item in world.items(f"INCIDENT#{incident['incident_id']}")
        if item["sk"]["S"] == "META"
    ]
    return str(meta["config_sha256"]["S"])


def _assert_judged_by_one(world: World, acting: Acting, incident: Json, newer: bool) -> None:
    """What happened to the instance is what one of the two documents says, and is told."""
    switch = ACTING[acting.kind]
    assert incident["mode"] == (switch.after if newer else switch.before), incident
    [mode] = [
        mode
        for mode in STATUS
        if f"global remediation '{switch.key}' = {mode}" in incident["reasons"]
    ]
    [target] = incident["targets"]
    gate = [action["detail"] for action in target["actions"] if action["name"] == "gate"]
    if gate:  # planned by the one, refused by the other
        assert (mode, incident["status"]) == ("auto", "FAILED"), incident
        assert f"global remediation '{switch.key}' = dry_run" in gate[0]
    else:
        assert incident["status"] == STATUS[mode], incident
    if incident["status"] == "CONTAINED":
        assert_network_closed(world, acting.victim)
    else:
        assert world.quarantine_groups(acting.victim) == []


def _hashes(world: World) -> set[str]:
    """Returns the documents that the functions know."""
    functions = world.aws.client("lambda", SECURITY).get_paginator("list_functions")
    found = functions.paginate().search("Functions[].Environment.Variables.GDR_CONFIG_SHA256")
    return set(found)


def _kill_half_way(world: World, changed: Path) -> None:
    """Applies the changed switches, and kills Terraform while only some functions know them.

    The incident function learns of them last.
    """
    function = f"functions/{PREFIX}-incident/configuration"
    world.fault("lambda", "UpdateFunctionConfiguration", function, latency_ms=600_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "up", "--var-file", str(changed)],
        cwd=settings.ROOT,
        env={**os.environ, "SANDBOX_STATE_DIRECTORY": str(settings.STATE_DIRECTORY)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )

    def half_applied() -> bool:
        assert process.poll() is None, "terraform ended too early"
        return len(_hashes(world)) == 2

    state = settings.STATE_DIRECTORY / "terraform" / "terraform.tfstate"
    try:
        until(
            half_applied,
            "some functions have the new document, and some the old one",
            seconds=4 * PATIENCE,  # beside the findings, a whole plan comes first
        )
        # A local state file that is being written would be lost: S3 replaces the object as a whole.
        until(
            lambda: time.time() - state.stat().st_mtime > QUIET_SECONDS,
            "Terraform waits for nothing but the incident function",
        )
        assert half_applied()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _assert_answered(world: World, findings: Findings, before: str, after: str) -> None:
    """Each finding has an incident that one of the two documents judged, and none failed."""
    assert len(findings.notified) >= WANTED and len(findings.acting) >= WANTED_ACTING
    assert after != before
    incidents = [world.settled(event) for event in findings.notified]
    others = [
        (incident["status"], incident["reasons"])
        for incident in incidents
        if incident["status"] != "NOTIFIED"
    ]
    assert others == [], json.dumps(others, indent=1)
    # both documents were in use, each of them whole
    assert {_document(world, incident) for incident in incidents} == {before, after}
    ended = [(acting, world.settled(acting.sent)) for acting in findings.acting]
    for acting, incident in ended:
        sha256 = _document(world, incident)
        assert sha256 in (before, after)
        _assert_judged_by_one(world, acting, incident, newer=sha256 == after)
    assert {_document(world, incident) for _, incident in ended} == {before, after}


@pytest.mark.parametrize("killed", [False, True], ids=["to its end", "killed half-way"])
def test_no_finding_fails_while_the_switches_change(
    world: World, changed: Path, killed: bool
) -> None:
    before, findings = world.outputs["config_sha256"], Findings(world)
    for thread in findings.threads:
        thread.start()
    try:
        if killed:
            _kill_half_way(world, changed)
            notified, acting = len(findings.notified), len(findings.acting)
            until(
                lambda: (
                    len(findings.notified) >= notified + HALF_APPLIED
                    and len(findings.acting) >= acting + HALF_APPLIED_ACTING
                ),
                "findings arrive while the apply is half done",
            )
            assert len(_hashes(world)) == 2, "nothing has completed the apply meanwhile"
            world.control("DELETE", "faults")
        known = lifecycle.up(Progress(to_stderr=True), [changed])
        after = known.outputs["security"]["config_sha256"]
    finally:
        world.control("DELETE", "faults")
        findings.applied.set()
        for thread in findings.threads:
            thread.join()
    _assert_answered(world, findings, before, after)
