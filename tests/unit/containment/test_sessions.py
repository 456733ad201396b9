"""Sessions of member roles: without a gate they only read, with one they wait for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from guardduty_response.aws import clients
from guardduty_response.containment import session_policy
from guardduty_response.containment.contract import member_session
from guardduty_response.errors import GateClosed

from tests.support.repository import ROOT
from tests.unit.containment.gates import Lab
from tests.unit.deployment import MEMBER, Deployment, onlooker

Json = dict[str, Any]
WHERE = "us-east-1"
# Every action of playbooks/*/*-policy.json, by its access level in the AWS service authorization
# reference. (A name with a wildcard counts as Write.)
LEVELS: dict[str, list[str]] = json.loads(
    Path(__file__).with_name("access_levels.json").read_text(encoding="utf-8")
)
READS = {*LEVELS["Read"], *LEVELS["List"], "kms:Decrypt"}  # Write there: decrypts what is read
CHANGES = {action for actions in LEVELS.values() for action in actions} - READS
CREATE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "ec2:CreateSecurityGroup", "Resource": "*"},
        {"Effect": "Allow", "Action": ["ec2:DescribeSecurityGroups", "iam:GetRole"]},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
    ],
}


def actions(document: Any) -> set[str]:
    """Returns what a document or a template of one allows."""
    found: set[str] = set()
    for statement in document["Statement"]:
        named = statement.get("Action") or []
        if statement["Effect"] == "Allow":
            found |= {named} if isinstance(named, str) else set(named)
    return found


def deployed_actions(path: Path) -> set[str]:
    """Returns the actions that a policy template names. (As it is no JSON, no document either.)"""
    keys = re.findall(r'"Action": (\[[^\]]*\]|"[^"]*")', path.read_text())
    return {action for key in keys for action in re.findall(r'"([a-z0-9-]+:[A-Za-z*]+)"', key)}


def policies() -> list[Path]:
    return sorted((ROOT / "playbooks").glob("*/*-policy.json"))


def test_the_gate_knows_what_reads() -> None:
    named = set().union(*map(deployed_actions, policies()))
    assert len(named) > 120
    unknown = named - CHANGES - READS
    assert unknown == set(), "look up its access level, and add it to access_levels.json"
    wrong = {action for action in named if session_policy.reads(action) is (action in CHANGES)}
    assert wrong == set()


@pytest.mark.parametrize("action", ["*", "ec2:*", "iam:P*", "s3:PutObject", "", "nothing"])
def test_what_is_not_known_to_read_changes(action: str) -> None:
    assert not session_policy.reads(action)
    statement = {
        "Effect": "Allow",
        "Action": action,
        "Resource": "*",
    }
    assert session_policy.changes({"Statement": [statement]})


@pytest.fixture
def sent(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> list[Json]:
    """Returns the session policies that AWS STS is asked for."""
    documents: list[Json] = []

    def assume(_: str, __: str, document: str, ___: str) -> ReadOnlyCredentials:
        documents.append(json.loads(document))
        return ReadOnlyCredentials("AKIA", "secret", "token")

    monkeypatch.setattr(clients, "_assume", assume)
    return documents


def test_without_a_gate_a_session_is_asked_for_that_only_reads(sent: list[Json]) -> None:
    session = member_session("aws", "inc-1-verify", MEMBER, WHERE, CREATE)
    session._future.result()
    [document] = sent
    assert actions(document) == {"ec2:DescribeSecurityGroups", "iam:GetRole"}
    assert document["Statement"][-1] == CREATE["Statement"][-1], "what it denies stays denied"


def test_every_deployed_action_that_changes_is_left_out(sent: list[Json]) -> None:
    named = sorted(set().union(*map(deployed_actions, policies())))
    everything: Json = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": named, "Resource": "*"},
            *(
                {
                    "Effect": "Allow",
                    "Action": action,
                    "Resource": "*",
                }
                for action in named
            ),
        ],
    }
    session = member_session("aws", "inc-1-plan", MEMBER, WHERE, everything)
    session._future.result()
    [document] = sent
    assert actions(document) & CHANGES == set()
    assert actions(document) == set(named) - CHANGES


def groups() -> list[str]:
    """Returns the security groups of the member account."""
    described = onlooker("ec2", WHERE).describe_security_groups()
    return [found["GroupName"] for found in described["SecurityGroups"]]


def containing(gate: Any) -> Any:
    """Returns the EC2 client of a session that may create a group, as ``gate`` permits."""
    session = member_session(
        "aws",
        "inc-1-contain",
        MEMBER,
        WHERE,
        CREATE,
        gate=gate,
    )
    return session.client("ec2")


def create(client: Any, name: str) -> None:
    client.create_security_group(GroupName=name, Description="x")


def test_an_open_gate_lets_its_session_change(lab: Lab) -> None:
    create(containing(lab.gate()), "made")
    assert "made" in groups()


@pytest.mark.parametrize(
    "close",
    [
        lambda lab: lab.control("OPERATOR", paused=True),
        lambda lab: lab.deployment.configure({"remediations": {}}),
        lambda lab: lab.record.leases.release(*lab.place[:1], lab.lease()["owner"]),
    ],
)
def test_a_closed_gate_signs_no_request(lab: Lab, close: Callable[[Lab], Any]) -> None:
    close(lab)
    gate = lab.gate()
    with pytest.raises(GateClosed):
        create(containing(gate), "made")
    assert "made" not in groups()
    assert gate.refusal


def test_a_session_that_was_opened_before_a_pause_is_stopped_by_it(lab: Lab, clock: Any) -> None:
    client = containing(lab.gate())
    create(client, "before")
    lab.control("OPERATOR", paused=True)
    clock.now += 6
    with pytest.raises(GateClosed):
        create(client, "after")
    assert "before" in groups() and "after" not in groups()


def test_a_session_that_only_reads_asks_no_gate(lab: Lab) -> None:
    """Verifying and planning go on while the response is paused."""
    lab.control("OPERATOR", paused=True)
    reading = session_policy.only_reading(CREATE)
    session = member_session(
        "aws",
        "inc-1-verify",
        MEMBER,
        WHERE,
        reading,
        gate=lab.gate(),
    )
    assert session.client("ec2").describe_security_groups()["SecurityGroups"] != []
