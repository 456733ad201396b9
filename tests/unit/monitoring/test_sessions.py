"""Tests the sessions of a batch of checks: one, that can only read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.client import BaseClient
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.errors import RoleUnavailable
from guardduty_response.monitoring.sessions import BatchSessions

from tests.unit.deployment import PREFIX, Deployment

READ = ("ec2:DescribeInstances", "iam:GetRole")


@pytest.fixture
def assumed(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keeps with what roles are assumed."""
    made: list[dict[str, Any]] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def keep(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "AssumeRole":
            made.append(arguments)
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", keep)
    return made


def test_a_batch_has_one_session_for_whatever_its_checks_ask_for(
    assumed: list[dict[str, Any]],
) -> None:
    sessions = BatchSessions("aws", "schedule-0-ab monitor", READ)
    sessions.check_role("222222222222", "us-east-1")
    for action in ("ec2:DescribeInstances", "iam:PutRolePolicy"):
        asked = policy(allow((action,), "arn:aws:iam::222222222222:role/app"))
        sessions.assume("222222222222", "us-east-1", asked).wait()
    [request] = assumed
    assert request["RoleArn"] == f"arn:aws:iam::222222222222:role/{PREFIX}-monitor-ec2-instance"
    assert request["RoleSessionName"] == "schedule-0-ab-monitor"
    [statement] = json.loads(request["Policy"])["Statement"]
    assert sorted(statement["Action"]) == sorted(READ)


def test_a_call_that_hangs_leaves_time_for_the_others_of_the_batch(deployment: Deployment) -> None:
    session = BatchSessions("aws", "batch", READ).assume(
        "222222222222", "us-east-1", policy(allow(READ))
    )
    config = session.client("ec2").meta.config
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) <= 21


def test_a_playbook_that_names_no_actions_gets_the_reading_part_of_what_it_asks_for(
    assumed: list[dict[str, Any]],
) -> None:
    sessions = BatchSessions("aws", "batch", ())
    asked = policy(allow(("ec2:DescribeInstances", "ec2:StopInstances")))
    for _ in range(2):
        sessions.assume("222222222222", "us-east-1", asked).wait()
    [request] = assumed
    [statement] = json.loads(request["Policy"])["Statement"]
    assert statement["Action"] == ["ec2:DescribeInstances"]


def test_a_further_role_has_a_session_of_its_own_for_all_that_is_read_with_it(
    assumed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDR_IDENTITY_CENTER_ROLE", f"security/{PREFIX}-identity-center-monitor")
    role, account = "GDR_IDENTITY_CENTER_ROLE", "999999999999"
    further = {role: ("sso:DescribePermissionSet", "sso:GetInlinePolicyForPermissionSet")}
    sessions = BatchSessions("aws", "batch", READ, further)
    sessions.check_role(account, "eu-west-1", role)
    for name in ("a", "b"):
        asked = policy(allow(("sso:PutInlinePolicyToPermissionSet",), f"arn:aws:sso:::{name}"))
        sessions.assume(account, "eu-west-1", asked, role).wait()
    [request] = assumed
    wanted = f"arn:aws:iam::{account}:role/security/{PREFIX}-identity-center-monitor"
    assert request["RoleArn"] == wanted
    [statement] = json.loads(request["Policy"])["Statement"]
    assert sorted(statement["Action"]) == sorted(further[role])


def test_another_role_is_not_to_be_had(deployment: Deployment) -> None:
    sessions = BatchSessions("aws", "batch", READ)
    with pytest.raises(RoleUnavailable, match="GDR_IDENTITY_CENTER_ROLE"):
        sessions.assume(
            "222222222222", "us-east-1", policy(allow(READ)), role="GDR_IDENTITY_CENTER_ROLE"
        )
