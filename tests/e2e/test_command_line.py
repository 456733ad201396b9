"""``python -m sandbox``, as a person or a script uses it, against the applied module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3

from sandbox import settings
from tests.e2e.e2e_checks import assert_contained
from tests.e2e.e2e_world import MEMBER, MINING, World
from tests.support.repository import FINDINGS, ROOT

FILE = str(FINDINGS / "cryptocurrency_ec2_bitcointool_b_dns.json")
KEYS = (
    "incident_id",
    "finding_id",
    "finding_type",
    "account_id",
    "region",
    "mode",
    "decision",
    "status",
    "targets",
    "timeline",
)


def _sandbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SANDBOX_STATE_DIRECTORY": str(settings.STATE_DIRECTORY)}
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=settings.PATIENCE,
    )


def test_send_and_look(world: World) -> None:
    victim = world.plain()
    sent = _sandbox("send", FILE, "--bind", f"instance={victim.instance}", "--wait", "--json")
    assert sent.returncode == 0, sent.stderr
    incident = json.loads(sent.stdout)
    assert [key for key in KEYS if key not in incident] == []
    assert (incident["finding_type"], incident["account_id"]) == (MINING, MEMBER)
    assert [sorted(action)[:3] for action in incident["targets"][0]["actions"]]
    assert_contained(world, victim, incident)
    shown = _sandbox("show", incident["incident_id"], "--json")
    assert json.loads(shown.stdout)["status"] == "CONTAINED"
    listed = json.loads(_sandbox("incidents", "--json").stdout)
    assert incident["incident_id"] in [listed_incident["incident_id"] for listed_incident in listed]


def test_env_lets_any_client_look(world: World) -> None:
    found = json.loads(_sandbox("env", "--json").stdout)
    keys = found["credentials"][found["accounts"]["member"]]
    ec2 = boto3.client(
        "ec2",
        endpoint_url=found["endpoint"],
        region_name=found["region"],
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
    )
    instance = found["seeded"]["instance"]
    [reservation] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    assert [found["InstanceId"] for found in reservation["Instances"]] == [instance]


def test_mistakes_are_explained(world: World, tmp_path: Path) -> None:
    """A file that is no finding, a binding that does not exist, an unknown incident: a sentence
    and exit code 1.
    """
    word = tmp_path / "word.json"
    word.write_text("not JSON")
    for arguments, sentence in (
        (("send", str(word)), "is not JSON"),
        (("send", str(tmp_path / "absent.json")), "cannot be read"),
        (("send", FILE, "--bind", "bucket=data"), "An instance, a user or a role can be bound"),
        (("send", FILE, "--bind", "user=nobody-of-that-name"), "nobody-of-that-name"),
        (("show", "inc-0000000000000000"), "There is no incident inc-0000000000000000"),
    ):
        done = _sandbox(*arguments)
        assert done.returncode == 1
        assert sentence in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_the_demo_plays_in_a_sandbox_that_is_up(world: World) -> None:
    """What ``make demo`` shows, without its start: it ends well when both are contained, and
    restored.
    """
    world.clock(trail=1)
    known = {found["incident_id"] for found in json.loads(_sandbox("incidents", "--json").stdout)}
    shown = _sandbox("demo")
    assert shown.returncode == 0, f"{shown.stdout[-5000:]}\n{shown.stderr[-2000:]}"
    listed = json.loads(_sandbox("incidents", "--json").stdout)
    played = [found for found in listed if found["incident_id"] not in known]
    assert len(played) >= 2
    assert {found["status"] for found in played} <= {"RESTORED", "RESTORE_PARTIAL"}
    assert "Somebody undoes it" in shown.stdout
    assert shown.stdout.count("Incident report: ") == 2
