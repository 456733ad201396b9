"""What a thief got of another role with an instance's credentials ends when the instance is
contained.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import human_request, seed_iam, settings
from sandbox.seed import Victim
from sandbox.seed_iam import Credential, Role
from tests.e2e.credential_world import People
from tests.e2e.e2e_world import MEMBER, PREFIX, SECURITY, World
from tests.support.repository import ROOT

ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}


@dataclass
class Theft:
    """An instance, another role, and what a thief got of it with the instance's credentials."""

    victim: Victim
    other: Role
    held: Credential


@pytest.fixture
def theft(world: World, iam: People) -> Theft:
    victim = world.plain(profile_attached=True)
    reach = {"Version": "2012-10-17", "Statement": [ASSUME]}
    world.client("iam", MEMBER).put_role_policy(
        RoleName=victim.role, PolicyName="reach", PolicyDocument=json.dumps(reach)
    )
    stolen = seed_iam.role_session(world.aws, MEMBER, str(victim.role), victim.instance)
    other = iam.role(sessions=["somebody"])
    got = stolen.client(world.aws, "sts", source=seed_iam.THIEF).assume_role(
        RoleArn=other.arn, RoleSessionName="loot"
    )
    held = Credential.of(got["Credentials"])
    assert iam.works(held)
    world.spread()  # CloudTrail tells of it later
    return Theft(victim, other, held)


def test_a_session_got_with_an_instances_credentials_ends_with_its_containment(
    world: World, iam: People, theft: Theft
) -> None:
    """The finding is about the instance alone; the thief went on to another role with them."""
    other, before = theft.other, iam.role_policies(theft.other.name)
    incident = world.respond(theft.victim)
    assert incident["status"] == "CONTAINED", (incident["targets"], incident["reasons"])
    assert not iam.works(theft.held)
    assert iam.works(other.sessions["somebody"]), "who has not to do with it goes on"
    [statement] = iam.role_policies(other.name)[f"{PREFIX}-sessions"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "*")
    assert statement["Condition"]["StringEquals"]["aws:userid"] == [f"{other.id}:loot"]

    human_request.ask(world.known, incident)
    assert world.incident(incident["incident_id"])["status"] == "RESTORED"
    assert iam.role_policies(other.name) == before
    assert iam.works(theft.held), "nothing of the denial is left"


def test_what_a_person_checks_on_aws_runs_here(
    world: World, iam: People, theft: Theft, tmp_path: Path
) -> None:
    """docs/live_smoke.py, with everything that it checks of an instance."""
    held = tmp_path / "held.json"
    keys = {
        "AccessKeyId": theft.held.id,
        "SecretAccessKey": theft.held.secret,
        "SessionToken": theft.held.token,
    }
    held.write_text(json.dumps({"Credentials": keys}))
    options = {
        "table": world.outputs["table_name"],
        "machine-arn": world.outputs["incident_state_machine_arn"],
        "account": MEMBER,
        "region": theft.victim.region,
        "contain": theft.victim.instance,
        "held": held,
    }
    done = subprocess.run(
        [
            sys.executable,
            "docs/live_smoke.py",
            "--evidence",
            *(str(part) for name, value in options.items() for part in (f"--{name}", value)),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "AWS_ENDPOINT_URL": world.known.endpoint,
            "AWS_ACCESS_KEY_ID": SECURITY,
            "AWS_SECRET_ACCESS_KEY": settings.SECRET,
            "AWS_DEFAULT_REGION": theft.victim.region,
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=settings.PATIENCE * 2,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as expected" in done.stdout.splitlines()
    assert not iam.works(theft.held)
