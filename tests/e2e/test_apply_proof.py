"""An apply that changes switches while findings arrive: no finding is lost, none fails."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.findings import Sent
from sandbox.report import Progress
from tests.e2e.e2e_world import World

pytestmark = pytest.mark.proof  # two applies
WANTED = 200
NOTIFIED, SWITCHED = "UnauthorizedAccess:EC2/TorRelay", "UnauthorizedAccess:EC2/RDPBruteForce"


def test_no_finding_fails_while_the_switches_change(world: World, tmp_path: Path) -> None:
    [original] = world.known.var_files
    text = Path(original).read_text()
    changed = tmp_path / "changed.tfvars"
    changed.write_text(text.replace(f'"{SWITCHED}" = "off"', f'"{SWITCHED}" = "notify"'))
    assert changed.read_text() != text
    before, sent, applied = world.outputs["config_sha256"], list[Sent](), threading.Event()

    def send() -> None:
        while not applied.is_set() or len(sent) < WANTED:
            sent.append(world.send(world.finding(kind=NOTIFIED)))
            applied.wait(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        known = lifecycle.up(Progress(to_stderr=True), [changed])
        after = known.outputs["security"]["config_sha256"]
    finally:
        applied.set()
        thread.join()
        lifecycle.up(Progress(to_stderr=True), [Path(original)])
    assert len(sent) >= WANTED and after != before
    incidents = [world.settled(event) for event in sent]
    others = [
        (incident["status"], incident["reasons"])
        for incident in incidents
        if incident["status"] != "NOTIFIED"
    ]
    assert others == [], json.dumps(others, indent=1)
    # both documents were in use, each of them whole
    used = {
        item["config_sha256"]["S"]
        for incident in incidents
        for item in world.items(f"INCIDENT#{incident['incident_id']}")
        if item["sk"]["S"] == "META"
    }
    assert used == {before, after}
