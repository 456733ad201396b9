"""AWS is full, slow to show a change, or busy: what is said of the principal stays true."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from sandbox.emulator.policy_sizes import INLINE
from tests.unit.deployment import Deployment
from tests.unit.playbooks import iam_quotas
from tests.unit.playbooks.iam_principal.eradication_lab import EradicationLab
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, IamLab

Json = dict[str, Any]


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    iam_quotas.enforce(monkeypatch)
    return EradicationLab(deployment, monkeypatch)


def filling(size: int) -> str:
    """A policy of about that many characters, as IAM counts them."""
    statement = {"Effect": "Allow", "Action": ["s3:Get" + "x" * (size - 200)], "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# -- quotas ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["user", "group"])
def test_an_inline_policy_that_no_longer_fits_is_not_restored_and_says_so(
    lab: EradicationLab, of: str
) -> None:
    """A permission was undone, its owner has used the room since."""
    iam = lab.see("iam")
    lab.options["remediate"] = ["policies"]
    who: Json = {f"{of.title()}Name": "bob"}
    lab.does("iam", f"create_{of}", **who)
    named: Json = {f"{of.title()}Name": "bob", "PolicyDocument": filling(600)}
    lab.does("iam", f"put_{of}_policy", **named, PolicyName="door")
    lab.eradicate()
    put = getattr(iam, f"put_{of}_policy")
    put(**{**named, "PolicyDocument": filling(INLINE[of] - 100)}, PolicyName="own")
    result = lab.restore()
    assert result.status is Status.RESTORE_PARTIAL
    [left] = result.not_restored
    assert f"LimitExceeded: Maximum policy size of {INLINE[of]} bytes" in left
    assert f"aws iam put-{of}-policy" in left and "bob" in left
    assert getattr(iam, f"list_{of}_policies")(**{f"{of.title()}Name": "bob"})["PolicyNames"] == [
        "own"
    ]


def test_a_rule_that_no_longer_fits_is_not_restored_and_says_so(lab: EradicationLab) -> None:
    ec2 = lab.see("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]

    def ports(number: int, count: int = 1) -> Json:
        ranges = [{"CidrIp": f"10.0.{number}.{host}/32"} for host in range(count)]
        rule = {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": ranges,
        }
        return {"GroupId": group, "IpPermissions": [rule]}

    lab.does("ec2", "authorize_security_group_ingress", **ports(1))
    lab.eradicate()
    ec2.authorize_security_group_ingress(**ports(2, 60))
    result = lab.restore()
    assert result.status is Status.RESTORE_PARTIAL
    [left] = result.not_restored
    assert "RulesPerSecurityGroupLimitExceeded" in left
    assert f"aws ec2 authorize-security-group-ingress --group-id {group}" in left


# -- seen late, and busy ---------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 4, 9])
def test_a_denial_that_is_not_seen_yet_is_waited_for(iam: IamLab, seconds: float) -> None:
    iam.see_late(seconds)
    iam.user(keys=2, console=True)
    assert iam.respond().status is Status.CONTAINED
    assert iam.stale is not None and iam.stale.hits, "it was shown late"
    attached = iam.see("iam").list_attached_user_policies(UserName="alice")["AttachedPolicies"]
    assert DENY_ALL in [policy["PolicyArn"] for policy in attached]
    assert "FAILED" not in iam.actions().values()
    assert iam.clock_offset >= seconds


@pytest.mark.parametrize("seconds", [1, 4, 9])
def test_a_denied_session_that_is_not_seen_yet_is_waited_for(iam: IamLab, seconds: float) -> None:
    iam.see_late(seconds)
    iam.role()
    assert iam.respond().status is Status.CONTAINED
    assert len(iam.role_policies()) == 1
    assert "FAILED" not in iam.actions().values()


@pytest.mark.parametrize(
    "operation", ["AttachUserPolicy", "UpdateAccessKey", "DeleteLoginProfile", "TagUser"]
)
def test_what_was_throttled_is_done_once_more(iam: IamLab, operation: str) -> None:
    """Beyond what the SDK repeats."""
    iam.user(keys=1, console=True)
    iam.fail(operation, "Throttling", times=1)
    assert iam.respond().status is Status.CONTAINED
    assert set(iam.actions().values()) <= {"DONE", "ALREADY", "SKIPPED", "NOTED"} or (
        operation == "TagUser"  # a label: nothing is contained again for it
    )


def test_what_is_throttled_again_and_again_is_done_in_the_end(iam: IamLab) -> None:
    iam.user(keys=1)
    iam.fail("UpdateAccessKey", "Throttling", times=5)
    assert iam.respond().status is Status.CONTAINED
    assert "FAILED" not in iam.actions().values()


def test_a_verification_that_is_throttled_is_repeated(iam: IamLab) -> None:
    iam.user(keys=1)
    target = iam.plan()
    iam.fail(
        "ListAccessKeys",
        "Throttling",
        lambda _: bool(iam.ids.get("late")),
        times=1,
    )
    iam.hooks.append(("TagUser", lambda: iam.ids.update(late=True)))
    assert iam.respond(target).status is Status.CONTAINED


def test_what_is_throttled_for_long_is_read_back_less_and_less_often(iam: IamLab) -> None:
    """Many principals at once meet IAM's limits together, and none is called PARTIAL for that."""
    iam.user(keys=1)
    target = iam.plan()
    playbook.contain(iam.context(), target)
    iam.fail("ListAccessKeys", "Throttling", times=10)  # in containing again, too
    began = iam.clock_offset
    assert iam.verify(target).status is Status.CONTAINED
    assert iam.clock_offset - began >= 2 + 4 + 6 + 8 + 10
