"""Option untrack_connections: interfaces pass through an all-open group, and none is left in it."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.links import erase
from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import (
    QUARANTINE,
    UNTRACK,
    described,
    ids_of_groups,
    let_in,
    make_group,
    put_into,
    text_of,
)

MODIFY = "ModifyNetworkInterfaceAttribute"


@pytest.fixture(autouse=True)
def _switched_on(lab: Lab) -> None:
    lab.options["untrack_connections"] = True


def refuse(lab: Lab, *kinds: str, error: str = "AuthFailure", times: int = 10**6) -> None:
    """Lets no interface be put into groups of these names ("web": its own)."""
    ec2 = lab.see("ec2")

    def names_one(params: Any) -> bool:
        found = ec2.describe_security_groups(GroupIds=params.get("Groups") or [lab.ids["group"]])
        names = {group["GroupName"] for group in found["SecurityGroups"]}
        return "Groups" in params and bool(names & set(kinds))

    lab.fail(
        MODIFY,
        error,
        names_one,
        times,
    )


def flushed(lab: Lab) -> list[Any]:
    """The calls that put an interface into the all-open group."""
    all_open = {
        group["GroupId"]
        for group in lab.see("ec2").describe_security_groups()["SecurityGroups"]
        if group["GroupName"].startswith(UNTRACK)
    }
    return [call for call in lab.calls if set(call.params.get("Groups") or []) & all_open]


@pytest.mark.parametrize("error", ["AuthFailure", "IncorrectState", "RequestLimitExceeded"])
def test_a_refused_second_swap_puts_the_old_groups_back(lab: Lab, error: str) -> None:
    lab.build(interfaces=2)
    refuse(
        lab,
        QUARANTINE,
        error=error,
    )
    step = lab.respond()
    assert flushed(lab), "both were in the all-open group"
    assert list(lab.groups().values()) == [["web"], ["web"]]
    assert step.status is Status.FAILED
    assert lab.actions()["quarantine_network"] == "FAILED"
    assert f"stays as it was ({error}" in text_of(lab)


def test_several_old_groups_are_put_back(lab: Lab) -> None:
    lab.build()
    [interface] = lab.groups()
    both = [
        lab.ids["group"],
        make_group(
            lab,
            "second",
            kind="",
        ),
    ]
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=both)
    refuse(lab, QUARANTINE)
    lab.respond()
    assert [set(ids) for ids in ids_of_groups(lab)] == [set(both)]


def test_what_failed_once_is_closed_in_the_end(lab: Lab) -> None:
    lab.build(interfaces=2)
    refuse(
        lab,
        QUARANTINE,
        times=2,
    )
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]] * 2
    before = lab.stored_record()["before"]["network"]["interfaces"]
    assert [was["groups"] for was in before.values()] == [[lab.ids["group"]]] * 2


def test_an_interface_that_stays_in_the_all_open_group_is_said(lab: Lab) -> None:
    """Neither the quarantine group nor its own groups can be given to it."""
    lab.build()
    refuse(
        lab,
        QUARANTINE,
        "web",
    )
    step = lab.respond()
    [interface] = lab.groups()
    assert lab.groups()[interface] == [UNTRACK]
    assert step.status is Status.FAILED
    assert f"{interface} is OPEN" in step.detail and f"all-open {UNTRACK}" in step.detail
    text = text_of(lab)
    assert "stays as it was" not in text
    assert f"{interface} is OPEN in the all-open {UNTRACK}" in text
    quarantine = lab.group()["GroupId"]
    command = "aws ec2 modify-network-interface-attribute --network-interface-id"
    assert f"{command} {interface} --groups {quarantine}" in text


def test_a_later_attempt_takes_it_out_of_the_all_open_group(lab: Lab) -> None:
    lab.build()
    refuse(
        lab,
        QUARANTINE,
        "web",
        times=2,
    )
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]]


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_what_is_in_the_all_open_group_is_restored(lab: Lab) -> None:
    """It is there by containment, and not by somebody else's change. The option may be off now."""
    lab.build()
    refuse(
        lab,
        QUARANTINE,
        "web",
    )
    lab.respond()
    assert list(lab.groups().values()) == [[UNTRACK]]
    lab.faults.clear()
    lab.options["untrack_connections"] = False
    result = lab.restore()
    assert not [text for text in result.not_restored if "eni-" in text]
    assert list(lab.groups().values()) == [["web"]]


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_the_all_open_group_does_not_pass_for_the_state_before(lab: Lab) -> None:
    """An instance that a containment left there, of which no record is."""
    lab.build()
    refuse(
        lab,
        QUARANTINE,
        "web",
    )
    lab.respond()
    erase(lab.record, lab.stored_record()["arn"])
    lab.faults.clear()
    assert lab.respond(lab.plan()).status is Status.CONTAINED
    result = lab.restore()
    assert list(lab.groups().values()) == [[QUARANTINE]]
    [left] = [text for text in result.not_restored if "eni-" in text]
    assert "choose groups" in left


@pytest.mark.parametrize(
    "existing",
    [False, True],
    ids=["new", "existing"],
)
def test_nothing_is_untracked_before_the_quarantine_group_is_empty(
    lab: Lab, existing: bool
) -> None:
    lab.build(interfaces=2)
    if existing:
        let_in(lab, make_group(lab, rules=True))
    seen: list[bool] = []

    def moving(params: Any) -> bool:
        group = lab.group()
        seen.append(bool(group["IpPermissions"] or group["IpPermissionsEgress"]))
        return False

    lab.fail(
        MODIFY,
        "Never",
        moving,
    )
    assert lab.respond().status is Status.CONTAINED
    assert seen == [False] * 4, "two calls for each interface"


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("CreateSecurityGroup", "SecurityGroupLimitExceeded"),
        ("CreateSecurityGroup", "UnauthorizedOperation"),
        ("RevokeSecurityGroupEgress", "UnauthorizedOperation"),
        ("RevokeSecurityGroupEgress", "RequestLimitExceeded"),
    ],
)
def test_without_an_empty_quarantine_group_nothing_is_untracked(
    lab: Lab, operation: str, error: str
) -> None:
    lab.build(interfaces=2)
    untracks = make_group(
        lab,
        UNTRACK,
        kind="untrack",
        rules=True,
    )
    let_in(lab, untracks)
    lab.fail(operation, error)
    assert lab.respond().status is Status.FAILED
    assert list(lab.groups().values()) == [["web"], ["web"]]
    assert not flushed(lab)


def test_somebody_elses_group_of_that_name_is_not_passed_through(lab: Lab) -> None:
    lab.build()
    theirs = make_group(
        lab,
        UNTRACK,
        kind="",
    )
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]]
    [call] = flushed(lab)
    [passed] = call.params["Groups"]
    assert passed != theirs
    assert described(lab, passed)["GroupName"] == f"{UNTRACK}-2"
    assert not described(lab, theirs)["IpPermissions"], "it is not edited"


def test_an_interface_that_somebody_put_there_later_is_a_loss(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.respond(target)
    put_into(lab, lab.group(UNTRACK)["GroupId"])
    step, _ = ec2_instance.verify(lab.context(), target._replace(verify_only=True))
    assert step.status is Status.FAILED
    assert f"all-open {UNTRACK}" in step.detail
    assert lab.respond(target).status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]]


def test_an_interface_that_is_gone_meanwhile_needs_no_groups(lab: Lab) -> None:
    lab.build(interfaces=2)
    target = lab.plan()
    refuse(
        lab,
        QUARANTINE,
        error="InvalidNetworkInterfaceID.NotFound",
    )
    ec2_instance.contain(lab.context(), target)
    assert "stays as it was" not in text_of(lab)
    assert not [call for call in lab.calls if call.params.get("Groups") == [lab.ids["group"]]]
