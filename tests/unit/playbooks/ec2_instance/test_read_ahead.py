"""What a plan reads beside DescribeInstances is taken only where it is about what is there now."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from guardduty_response.containment.target_context import Sessions
from guardduty_response.errors import TargetGone
from guardduty_response.functions.ahead import remembering
from guardduty_response.playbooks.ec2_instance import playbook, read_ahead
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext

from tests.unit.deployment import MEMBER
from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

PROFILE = f"arn:aws:iam::{MEMBER}:instance-profile/"


def _asked(lab: Lab) -> Counter[str]:
    return Counter(call.operation for call in lab.calls)


@pytest.mark.parametrize("named", ["app", "another", ""])
def test_the_role_is_that_of_the_present_profile(lab: Lab, named: str) -> None:
    lab.build(profile=True)
    iam = lab.see("iam")
    iam.create_instance_profile(InstanceProfileName="another")
    trust = '{"Version":"2012-10-17","Statement":[]}'
    iam.create_role(RoleName="another", AssumeRolePolicyDocument=trust)
    iam.add_role_to_instance_profile(InstanceProfileName="another", RoleName="another")
    context = lab.context()
    detail: Any = context.finding.detail
    arn = {"arn": f"{PROFILE}{named}"} if named else None
    detail["resource"]["instanceDetails"]["iamInstanceProfile"] = arn
    [planned] = playbook.plan(context)
    assert planned.principals == [f"arn:aws:iam::{MEMBER}:role/app"]


def test_nothing_is_read_twice(lab: Lab) -> None:
    lab.build(profile=True, asg=True, targets=True)
    context = lab.context()
    detail: Any = context.finding.detail
    detail["resource"]["instanceDetails"]["iamInstanceProfile"] = {"arn": f"{PROFILE}app"}
    lab.calls.clear()
    playbook.plan(context)
    asked = _asked(lab)
    once = (
        "DescribeInstances",
        "DescribeIamInstanceProfileAssociations",
        "GetInstanceProfile",
        "DescribeAutoScalingInstances",
        "DescribeTargetGroups",
    )
    assert {name: asked[name] for name in once} == dict.fromkeys(once, 1)


def test_what_is_switched_off_is_not_read(lab: Lab) -> None:
    lab.build(profile=True, asg=True, targets=True)
    lab.options |= {"auto_scaling": "none", "deregister_targets": False}
    lab.calls.clear()
    playbook.plan(lab.context())
    assert not {"DescribeAutoScalingInstances", "DescribeTargetGroups"} & set(_asked(lab))


@pytest.mark.parametrize("group", [True, False])
def test_the_prepared_session_is_that_of_the_plan(lab: Lab, group: bool) -> None:
    """A session that ``plan`` would not use costs a call, and no time is won."""
    lab.build()
    if group:
        lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: lab.ids["group"]}
        lab.forensics = {**lab.forensics, "when": "after"}
    context = lab.context()
    context.assume = remembering(context.assume)
    lab.calls.clear()
    playbook.prepare(context, MEMBER, lab.region)
    playbook.plan(context)
    assert _asked(lab)["AssumeRole"] == 1


def test_no_read_goes_on_when_the_plan_has_ended(lab: Lab) -> None:
    lab.build(targets=True)
    lab.see("ec2").terminate_instances(InstanceIds=[lab.ids["instance"]])
    begun: list[InstanceContext] = []
    begin = read_ahead.begin

    def noted(instance: InstanceContext, sessions: Sessions) -> None:
        begun.append(instance)
        begin(instance, sessions)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_ahead, "begin", noted)
        patch.setattr(read_ahead, "all_target_groups", lambda _: time.sleep(0.3))
        with pytest.raises(TargetGone):
            playbook.plan(lab.context())
    assert all(reading.done() for reading in begun[0].ahead.values())
    assert begun[0].ahead, "some of them nobody needs"
