"""AWS is full, slow to show a change, or busy: what is said of the instance stays true."""

from __future__ import annotations

import hashlib
import json
import random
import time
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment import restoration
from guardduty_response.containment.session_policy import accepted
from guardduty_response.errors import RoleUnavailable
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import action_order, network
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from sandbox.emulator import moto_quotas
from sandbox.emulator.policy_sizes import packed_percent
from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import QUARANTINE, empty, make_group
from tests.unit.playbooks.ec2_instance.test_sessions import big

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_sleep(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        lab.waited += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)


def closed(lab: Lab) -> bool:
    return set(map(tuple, lab.groups().values())) == {(QUARANTINE,)}


def detail(lab: Lab, name: str) -> str:
    return str(lab.stored_record()["actions"][name]["detail"])


# -- names and quotas ------------------------------------------------------------------------------


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_an_interface_with_too_many_groups_is_not_restored_and_says_so(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota that was lowered while it was contained."""
    lab.build()
    [interface] = lab.groups()
    own = [lab.ids["group"], *(make_group(lab, f"own-{number}", "") for number in range(4))]
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=own)
    assert lab.respond().status is Status.CONTAINED
    with monkeypatch.context() as lowered:
        lowered.setattr(moto_quotas, "GROUPS_OF_AN_INTERFACE", 4)
        result = lab.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert closed(lab)
    [left] = [text for text in result.not_restored if interface in text]
    assert "SecurityGroupsPerInterfaceLimitExceeded" in left
    assert "aws ec2 modify-network-interface-attribute" in left
    assert lab.restore().status is Status.RESTORED, "asked again, with the quota raised"
    assert len(lab.groups()[interface]) == 5


def test_a_role_with_room_for_no_policy_is_partial_with_the_command(lab: Lab) -> None:
    lab.build()
    statement = {"Effect": "Allow", "Action": "s3:Get" + "x" * 10_100, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    lab.see("iam").put_role_policy(RoleName="app", PolicyName="own", PolicyDocument=document)
    lab.fail("CreatePolicy", "LimitExceeded")
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert set(lab.role_policies()) == {"own"}
    assert lab.profiles() == [QUARANTINE]
    text = detail(lab, "revoke_sessions")
    assert "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role app" in text
    assert f"aws iam put-role-policy --role-name app --policy-name {lab.deny_name()}" in text


def test_a_session_policy_that_sts_cannot_pack_is_not_called_contained(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build()
    target = lab.plan()
    monkeypatch.setattr(clients.client("sts"), "assume_role", _too_large)
    with pytest.raises(RoleUnavailable) as caught:
        ec2_instance.contain(lab.context(), target)
    text = str(caught.value)
    assert MEMBER in text and "by hand (runbook)" in text
    assert "Deploy" not in text, "the role is there"
    assert not closed(lab)


def _too_large(**_: object) -> Any:
    error: Any = {"Error": {"Code": "PackedPolicyTooLarge", "Message": "Packed policy: 103%"}}
    raise ClientError(error, "AssumeRole")


# -- seen late -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 3, 10])
def test_what_was_done_and_is_not_seen_yet_is_waited_for(lab: Lab, seconds: float) -> None:
    lab.see_late(seconds)
    lab.build(interfaces=2)
    assert lab.respond().status is Status.CONTAINED
    assert closed(lab)
    assert lab.stale is not None and lab.stale.hits, "it was shown late"
    assert "FAILED" not in lab.actions().values()
    assert lab.waited >= seconds


def test_a_new_group_that_exists_and_is_not_listed_yet_is_waited_for(lab: Lab) -> None:
    """Another incident makes it at the same moment."""
    lab.see_late(3)
    lab.build()
    target = lab.plan()

    def other_incident() -> None:
        make_group(lab)
        assert lab.stale is not None
        lab.stale.write("ec2", {QUARANTINE, lab.ids["vpc"]})

    lab.hooks.append(("CreateSecurityGroup", other_incident))
    assert lab.respond(target).status is Status.CONTAINED
    assert closed(lab)


def test_what_is_opened_again_at_once_is_closed_again(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    [interface] = lab.groups()
    lab.see("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=interface, Groups=[lab.ids["group"]]
    )
    assert lab.verify(target).status is Status.CONTAINED
    assert closed(lab)


def test_what_containing_read_too_early_is_done_once_more(lab: Lab) -> None:
    """Rules of the quarantine group that were not shown yet."""
    lab.build()
    group = make_group(lab, rules=True)
    ec2, rules = lab.see("ec2"), lab.group()["IpPermissionsEgress"]
    empty(lab, group)
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    assert lab.actions()["strip_group_rules"] == "SKIPPED"
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rules)
    assert lab.verify(target).status is Status.CONTAINED
    assert lab.group()["IpPermissionsEgress"] == []


# -- busy ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_a_role_that_somebody_else_changes_is_waited_for(lab: Lab) -> None:
    """Several instances of one role, contained at the same moment."""
    lab.build()
    lab.fail("PutRolePolicy", "ConcurrentModification", times=3)
    assert lab.respond().status is Status.CONTAINED
    assert lab.deny_name() in lab.role_policies()
    lab.fail("DeleteRolePolicy", "ConcurrentModification", times=3)
    assert lab.restore().status is Status.RESTORED
    assert lab.role_policies() == {}


@pytest.mark.parametrize(
    "operation",
    [
        "ModifyInstanceAttribute",
        "ModifyNetworkInterfaceAttribute",
        "PutRolePolicy",
        "ReplaceIamInstanceProfileAssociation",
        "RevokeSecurityGroupEgress",
    ],
)
def test_what_was_throttled_is_done_once_more(lab: Lab, operation: str) -> None:
    """Beyond what the SDK repeats."""
    lab.build()
    lab.fail(operation, "RequestLimitExceeded", times=1)
    assert lab.respond().status is Status.CONTAINED
    assert closed(lab)
    assert "FAILED" not in lab.actions().values()


@pytest.mark.parametrize("operation", ["ModifyInstanceAttribute", "PutRolePolicy"])
def test_what_is_throttled_again_and_again_is_done_in_the_end(lab: Lab, operation: str) -> None:
    """As where hundreds of instances of an account are contained at once."""
    lab.build()
    lab.fail(operation, "RequestLimitExceeded", times=5)
    assert lab.respond().status is Status.CONTAINED
    assert "FAILED" not in lab.actions().values()


def test_what_was_done_and_could_not_be_read_later_is_not_logged_as_failed(lab: Lab) -> None:
    """Contained once more for something else, and throttled."""
    lab.build()
    lab.fail("PutRolePolicy", "RequestLimitExceeded", times=1)
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    assert (lab.actions()["revoke_sessions"], lab.actions()["protect_instance"]) == (
        "FAILED",
        "DONE",
    )
    lab.fail("DescribeInstanceAttribute", "RequestLimitExceeded", times=2)
    ec2_instance.contain(lab.context(2), target)
    assert lab.actions()["protect_instance"] == "FAILED"
    assert lab.verify(target).status is Status.CONTAINED
    assert "FAILED" not in lab.actions().values()
    assert "protected against termination" in detail(lab, "protect_instance")


@pytest.mark.parametrize(
    ("unreadable", "said"), [("", "ALREADY"), ("DescribeNetworkInterfaces", "FAILED")]
)
def test_an_interface_that_is_seen_closed_is_not_logged_as_failed(
    lab: Lab, unreadable: str, said: str
) -> None:
    """Unless more interfaces may be there than are seen."""
    lab.build()
    target = lab.plan()
    lab.fail("ModifyNetworkInterfaceAttribute", "UnauthorizedOperation")
    ec2_instance.contain(lab.context(), target)
    assert lab.actions()["quarantine_network"] == "FAILED"
    [interface] = lab.groups()
    lab.see("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=interface, Groups=[lab.group()["GroupId"]]
    )
    if unreadable:
        lab.fail(unreadable, "UnauthorizedOperation")
    lab.verify(target)
    assert lab.actions()["quarantine_network"] == said


def test_what_is_throttled_without_end_is_not_called_contained(lab: Lab) -> None:
    lab.build()
    lab.fail("ModifyInstanceAttribute", "RequestLimitExceeded")
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert closed(lab)
    assert "aws ec2 modify-instance-attribute" in detail(lab, "protect_instance")


@pytest.mark.parametrize(
    "operation",
    ["DescribeInstances", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "GetRolePolicy"],
)
def test_a_verification_that_is_throttled_is_repeated(lab: Lab, operation: str) -> None:
    lab.build()
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    lab.fail(operation, "RequestLimitExceeded", times=2)
    assert lab.verify(target).status is Status.CONTAINED
    assert closed(lab)


@pytest.mark.parametrize(
    ("operation", "times", "seconds"),
    [
        ("DescribeInstances", 7, 2 + 4 + 6 + 8 + 10 + 12 + 14),
        ("DescribeInstanceAttribute", 15, 110 + 5 * 20),  # the network is seen to be closed
    ],
)
def test_what_is_throttled_for_long_is_read_back_less_and_less_often(
    lab: Lab, operation: str, times: int, seconds: int
) -> None:
    """Many instances at once meet EC2's limits together, and none is said to be open for that."""
    lab.build()
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    lab.fail(
        operation,
        "RequestLimitExceeded",
        lambda params: params.get("Attribute", "disableApiTermination") == "disableApiTermination",
        times=times,
    )
    lab.waited = 0
    assert lab.verify(target).status is Status.CONTAINED
    assert lab.waited >= seconds


def test_a_verification_that_is_throttled_without_end_is_failed(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    lab.fail("DescribeInstances", "RequestLimitExceeded")
    step = lab.verify(target)
    assert step.status is Status.FAILED
    assert "treat it as not contained" in step.detail


@pytest.mark.usefixtures("full_models")  # of the restore function
@pytest.mark.parametrize(
    ("operation", "times", "seconds"),
    [
        ("DescribeInstances", 4, 2 + 4 + 6 + 8),  # nothing could be read
        ("DescribeIamInstanceProfileAssociations", 4, 2 + 4 + 6 + 8),
        ("ModifyNetworkInterfaceAttribute", 4, 2 + 4 + 6 + 8),
    ],
)
def test_a_restore_that_is_throttled_is_done_in_the_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str, times: int, seconds: int
) -> None:
    monkeypatch.setattr(restoration, "PAUSE_SECONDS", 2)
    lab.build()
    assert lab.respond().status is Status.CONTAINED
    lab.fail(operation, "RequestLimitExceeded", times=times)
    lab.waited = 0
    result = lab.restore()
    assert (result.status, result.not_restored) == (Status.RESTORED, [])
    assert not closed(lab)
    assert lab.waited >= seconds


@pytest.mark.usefixtures("full_models")
def test_what_a_restore_saw_before_it_was_throttled_counts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS throttles another part of every verification: each part was seen all the same."""
    monkeypatch.setattr(restoration, "PAUSE_SECONDS", 2)
    lab.build()
    assert lab.respond().status is Status.CONTAINED
    lab.calls.clear()

    def throttled(turn: int, _: Json) -> bool:
        names = lab.operations()
        verifies = "ReplaceIamInstanceProfileAssociation" in names
        return verifies and names.count("DescribeInstances") % 2 == turn

    for turn, operation in enumerate(
        ("DescribeInstanceAttribute", "DescribeIamInstanceProfileAssociations")
    ):
        lab.fail(operation, "RequestLimitExceeded", partial(throttled, turn))
    result = lab.restore()
    assert (result.status, result.not_restored) == (Status.RESTORED, [])


@pytest.mark.usefixtures("full_models")
@pytest.mark.parametrize(
    "operation", ["DescribeIamInstanceProfileAssociations", "ModifyNetworkInterfaceAttribute"]
)
def test_a_restore_that_is_throttled_without_end_says_what_it_left(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(restoration, "PAUSE_SECONDS", 2)
    lab.build()
    assert lab.respond().status is Status.CONTAINED
    lab.fail(operation, "RequestLimitExceeded")
    lab.waited = 0
    result = lab.restore()
    assert result.status is Status.RESTORE_PARTIAL
    [left] = result.not_restored
    assert "RequestLimitExceeded" in left
    assert closed(lab) is (operation == "ModifyNetworkInterfaceAttribute")
    assert (lab.profiles() == [QUARANTINE]) is not closed(lab)
    assert lab.waited <= 80, "the function has 120 s"


@pytest.mark.parametrize("count", [1, 6, 15, 60])
def test_every_session_of_a_large_instance_can_be_packed(lab: Lab, count: int) -> None:
    instance = big(lab)
    scope: Any = instance.target.scope
    for name in ("interfaces", "volumes", "addresses"):
        prefix = {"interfaces": "eni", "volumes": "vol", "addresses": "eipalloc"}[name]
        ids = (hashlib.sha256(f"{name} {n}".encode()).hexdigest()[:17] for n in range(count))
        scope[name] = [f"{prefix}-{each}" for each in ids]
    network.sessions(
        instance,
        instance.scope("interfaces"),
        instance.scope("vpcs"),
        {},
    )
    action_order.changing(instance)
    action_order.reading(instance)
    assert len(lab.policies) > count // 8
    for policy in lab.policies:
        assert accepted(policy)
        assert packed_percent(json.dumps(policy, separators=(",", ":"))) <= 100
