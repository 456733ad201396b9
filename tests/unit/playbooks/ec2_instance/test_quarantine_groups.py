"""Which security group an interface is put into: one of the response's own, without a rule. A name
alone tells nothing, because anybody may give it to a group.
"""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import (
    QUARANTINE,
    described,
    empty,
    ids_of_groups,
    let_in,
    make_group,
    text_of,
)
from tests.unit.playbooks.ec2_instance.shared_network_lab import group_of_other_account

REVOKES = ("RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress")


@pytest.fixture(autouse=True)
def _no_sleep(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        lab.waited += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)


def refuse_emptying(
    lab: Lab, group: str = "", error: str = "UnauthorizedOperation", times: int = 10**6
) -> None:
    """Lets no rule be taken off a group, or off any."""
    for operation in REVOKES:
        lab.fail(
            operation,
            error,
            lambda params: params["GroupId"] == (group or params["GroupId"]),
            times,
        )


def own_groups(lab: Lab) -> list[str]:
    """The IDs of the groups with the response's tag, by their names."""
    tagged = [{"Name": f"tag:{PREFIX}", "Values": ["quarantine"]}]
    found = lab.see("ec2").describe_security_groups(Filters=tagged)["SecurityGroups"]
    return [group["GroupId"] for group in sorted(found, key=lambda group: group["GroupName"])]


def has_rules(lab: Lab, id: str) -> bool:
    group = described(lab, id)
    return bool(group["IpPermissions"] or group["IpPermissionsEgress"])


def assert_in_new_group(lab: Lab, not_used: str) -> str:
    """Every interface is in one group that the response has made, which has no rules."""
    [[group], *others] = ids_of_groups(lab)
    assert all(each == [group] for each in others)
    assert group != not_used
    assert not has_rules(lab, group)
    assert {"Key": PREFIX, "Value": "quarantine"} in described(lab, group)["Tags"]
    assert described(lab, group)["GroupName"].startswith(QUARANTINE)
    assert not [call for call in lab.calls if not_used in str(call.params.get("Groups"))]
    return group


# -- somebody else's -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [QUARANTINE, QUARANTINE.upper(), QUARANTINE.title()])
@pytest.mark.parametrize("is_open", [False, True], ids=["without rules", "all open"])
def test_a_group_that_has_only_the_name_is_not_used(lab: Lab, name: str, is_open: bool) -> None:
    """EC2 takes no second name that differs in case alone, either."""
    lab.build(interfaces=2)
    theirs = make_group(
        lab,
        name,
        kind="",
        rules=is_open,
    )
    if is_open:
        let_in(lab, theirs)
    refuse_emptying(lab, theirs)  # the role may edit groups with the tag alone
    step = lab.respond()
    assert step.status is Status.CONTAINED
    group = assert_in_new_group(lab, theirs)
    assert described(lab, group)["GroupName"] == f"{QUARANTINE}-2"
    assert has_rules(lab, theirs) is is_open, "it is not edited"
    assert not [call for call in lab.calls if call.params.get("GroupId") == theirs]
    assert group in text_of(lab)
    assert lab.waited < 1, "it is listed: nothing is waited for"


def test_every_name_may_be_somebody_elses(lab: Lab) -> None:
    lab.build()
    taken = [make_group(lab, name, kind="") for name in (QUARANTINE, f"{QUARANTINE}-2")]
    assert lab.respond().status is Status.CONTAINED
    group = assert_in_new_group(lab, taken[0])
    assert group not in taken


def test_a_name_that_is_taken_and_never_listed_is_left(lab: Lab) -> None:
    """The role may see no group of that name, however long it waits."""
    lab.build()
    lab.fail(
        "CreateSecurityGroup",
        "InvalidGroup.Duplicate",
        lambda params: params["GroupName"] == QUARANTINE,
    )
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[f"{QUARANTINE}-2"]]
    assert lab.waited < 15


@pytest.mark.parametrize("kind", ["untrack", "quarantined"])
def test_a_group_with_another_tag_is_not_used(lab: Lab, kind: str) -> None:
    lab.build()
    other = make_group(lab, kind=kind)
    assert lab.respond().status is Status.CONTAINED
    assert_in_new_group(lab, other)


def test_a_group_of_another_account_is_not_used(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of a shared VPC sees the group that a participant's response has made."""
    lab.build()
    theirs = group_of_other_account(
        lab,
        QUARANTINE,
        monkeypatch,
        tagged=True,
    )
    assert lab.respond().status is Status.CONTAINED
    assert_in_new_group(lab, theirs)
    assert has_rules(lab, theirs), "it is not edited"


def test_an_interface_in_somebody_elses_group_of_that_name_is_open(lab: Lab) -> None:
    """The victim's own group has the name."""
    lab.build()
    theirs = make_group(lab, kind="")
    [interface] = lab.groups()
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[theirs])
    assert lab.respond().status is Status.CONTAINED
    assert ids_of_groups(lab) != [[theirs]]
    before = lab.stored_record()["before"]["network"]["interfaces"]
    assert before[interface]["groups"] == [theirs]


# -- the response's own ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [QUARANTINE, QUARANTINE.upper(), "renamed"])
def test_an_own_group_is_found_by_its_tag(lab: Lab, name: str) -> None:
    lab.build()
    group = make_group(lab, name)
    assert lab.respond().status is Status.CONTAINED
    assert ids_of_groups(lab) == [[group]]
    assert own_groups(lab) == [group], "no other one is made"


@pytest.mark.parametrize("kind", ["existing", "new"])
def test_a_group_is_empty_before_anything_is_put_into_it(lab: Lab, kind: str) -> None:
    lab.build(interfaces=2)
    if kind == "existing":
        let_in(lab, make_group(lab, rules=True))
    seen: list[bool] = []

    def moving(params: Any) -> bool:
        if "Groups" in params:
            seen.append(has_rules(lab, params["Groups"][0]))
        return False

    lab.fail("ModifyNetworkInterfaceAttribute", "Never", moving)
    assert lab.respond().status is Status.CONTAINED
    assert seen == [False, False]


def test_a_group_that_cannot_be_emptied_is_not_used(lab: Lab) -> None:
    lab.build(interfaces=2)
    stuck = make_group(lab, rules=True)
    let_in(lab, stuck)
    refuse_emptying(lab, stuck)
    assert lab.respond().status is Status.CONTAINED
    assert_in_new_group(lab, stuck)
    assert "UnauthorizedOperation" in text_of(lab, "strip_group_rules")
    assert own_groups(lab)[0] == stuck and len(own_groups(lab)) == 2

    lab.calls.clear()
    assert lab.respond(lab.plan()).status is Status.CONTAINED
    assert len(own_groups(lab)) == 2, "the one without rules is used from now on"
    assert "ModifyNetworkInterfaceAttribute" not in lab.operations()


def test_where_no_group_can_be_emptied_the_interface_stays_where_it_is(lab: Lab) -> None:
    lab.build()
    refuse_emptying(lab)
    step = lab.respond()
    assert step.status is Status.FAILED
    assert list(lab.groups().values()) == [["web"]], "a group that lets it out closes nothing"
    assert lab.actions()["quarantine_network"] == "FAILED"
    assert lab.actions()["strip_group_rules"] == "FAILED"
    assert "could not be emptied" in text_of(lab)
    assert 1 <= len(own_groups(lab)) <= 3
    made = own_groups(lab)
    lab.respond(lab.plan())
    assert len(own_groups(lab)) <= max(3, len(made)), "no further ones are made without end"


def test_emptying_that_is_throttled_is_done_once_more(lab: Lab) -> None:
    lab.build()
    refuse_emptying(lab, error="RequestLimitExceeded", times=1)
    assert lab.respond().status is Status.CONTAINED
    assert own_groups(lab) == ids_of_groups(lab)[0], "one group is enough"


def test_emptying_that_is_throttled_without_end_is_no_containment(lab: Lab) -> None:
    lab.build()
    refuse_emptying(lab, error="RequestLimitExceeded")
    assert lab.respond().status is Status.FAILED
    assert list(lab.groups().values()) == [["web"]]
    assert len(own_groups(lab)) == 1


@pytest.mark.parametrize("stuck", [False, True], ids=["emptied", "cannot be emptied"])
def test_a_rule_that_came_since_the_plan(lab: Lab, stuck: bool) -> None:
    """Interfaces are put into the plan's group before it is read again."""
    lab.build(interfaces=2)
    group = make_group(lab)
    target = lab.plan()
    let_in(lab, group)
    if stuck:
        refuse_emptying(lab, group)
    assert lab.respond(target).status is Status.CONTAINED
    used = {id for ids in ids_of_groups(lab) for id in ids}
    assert (used == {group}) is not stuck
    assert not any(has_rules(lab, id) for id in used)


def test_the_plan_hands_on_no_group_with_rules(lab: Lab) -> None:
    lab.build()
    group = make_group(lab)
    assert lab.plan().scope["groups"] == {lab.ids["vpc"]: group}
    let_in(lab, group)
    assert lab.plan().scope["groups"] == {}


# -- later -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["IpPermissions", "IpPermissionsEgress"])
def test_a_rule_that_comes_later_is_a_loss_and_is_taken_off_again(lab: Lab, family: str) -> None:
    lab.build(interfaces=2)
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    [[group], _] = ids_of_groups(lab)
    peer = [{"CidrIp": "203.0.113.0/24"}]
    rule = [{"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": peer}]
    ec2 = lab.see("ec2")
    add = ec2.authorize_security_group_ingress
    if family == "IpPermissionsEgress":
        add = ec2.authorize_security_group_egress
    add(GroupId=group, IpPermissions=rule)

    step, checks = ec2_instance.verify(lab.context(), target._replace(verify_only=True))
    assert step.status is Status.FAILED
    failed = [check for check in checks if not check.ok]
    assert all(check.fatal and check.read for check in failed)
    assert f"{group} has rules" in step.detail and "203.0.113.0/24" in step.detail

    assert lab.respond(target).status is Status.CONTAINED
    assert not has_rules(lab, group)
    assert ids_of_groups(lab) == [[group]] * 2


def test_a_rule_that_comes_later_and_stays_leads_to_another_group(lab: Lab) -> None:
    lab.build(interfaces=2)
    target = lab.plan()
    lab.respond(target)
    [[group], _] = ids_of_groups(lab)
    let_in(lab, group)
    refuse_emptying(lab, group)
    assert lab.respond(target).status is Status.CONTAINED
    [[other], _] = ids_of_groups(lab)
    assert other != group and not has_rules(lab, other)
    empty(lab, group)  # both can be used now: neither is a loss
    step, _ = ec2_instance.verify(lab.context(), target._replace(verify_only=True))
    assert step.status is Status.CONTAINED
    assert {other, f"{QUARANTINE}-2"} <= set(step.watched), "calls that name it are noticed"


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_a_rule_that_came_later_hinders_no_restore(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.respond()
    [[group], _] = ids_of_groups(lab)
    let_in(lab, group)
    assert lab.restore().status is Status.RESTORED
    assert list(lab.groups().values()) == [["web"]] * 2


# -- configured ------------------------------------------------------------------------------------


def test_a_configured_group_with_rules_is_neither_used_nor_edited(lab: Lab) -> None:
    lab.build(interfaces=2)
    mine = make_group(
        lab,
        "mine",
        kind="",
        rules=True,
    )  # as EC2 makes it
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: mine}
    assert lab.respond().status is Status.CONTAINED
    assert_in_new_group(lab, mine)
    assert has_rules(lab, mine)
    assert f"{mine}, which quarantine_security_group_ids names" in text_of(lab)
    assert "egress all" in text_of(lab)


@pytest.mark.parametrize("when", ["after the plan", "after containment"])
def test_a_configured_group_that_gets_a_rule_is_left(lab: Lab, when: str) -> None:
    lab.build(interfaces=2)
    mine = make_group(lab, "mine", kind="")
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: mine}
    target = lab.plan()
    if when == "after containment":
        assert lab.respond(target).status is Status.CONTAINED
        assert ids_of_groups(lab) == [[mine]] * 2
    let_in(lab, mine)
    step, _ = ec2_instance.verify(lab.context(), target._replace(verify_only=True))
    assert step.status is Status.FAILED
    if when == "after containment":
        assert f"{mine} has rules" in step.detail
    assert lab.respond(target).status is Status.CONTAINED
    [[group], other] = ids_of_groups(lab)
    assert group != mine and other == [group]
    assert not has_rules(lab, group)
    assert has_rules(lab, mine), "it is not edited"


def test_a_configured_group_is_used_once_its_rules_are_gone(lab: Lab) -> None:
    """The plan saw rules, which its owner has taken off since."""
    lab.build()
    mine = make_group(
        lab,
        "mine",
        kind="",
        rules=True,
    )
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: mine}
    target = lab.plan()
    empty(lab, mine)
    assert lab.respond(target).status is Status.CONTAINED
    assert ids_of_groups(lab) == [[mine]]
