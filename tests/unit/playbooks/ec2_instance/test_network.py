"""Every interface is closed, whatever else is wrong; and the verdict says what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.errors import NoTarget, TargetGone
from guardduty_response.incident.model import IncidentRecord
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends

from tests.unit.links import erase
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, MEMBER, PREFIX, REGION, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import make_group

QUARANTINE = [f"{PREFIX}-quarantine"]


def closed(lab: Lab) -> bool:
    return all(groups == QUARANTINE for groups in lab.groups().values())


def no_rules(lab: Lab) -> bool:
    group = lab.group()
    return not group["IpPermissions"] and not group["IpPermissionsEgress"]


@pytest.mark.parametrize("interfaces", [1, 2, 4])
@pytest.mark.parametrize("ipv6", [False, True])
def test_every_interface_is_closed_for_both_families(lab: Lab, interfaces: int, ipv6: bool) -> None:
    lab.build(interfaces=interfaces, ipv6=ipv6)
    assert lab.respond().status is Status.CONTAINED
    assert len(lab.groups()) == interfaces
    assert closed(lab)
    assert no_rules(lab)
    before = lab.stored_record()["before"]["network"]["interfaces"]
    assert {id: interface["groups"] for id, interface in before.items()} == {
        id: [lab.ids["group"]] for id in lab.groups()
    }


def test_an_existing_group_is_stripped_while_interfaces_are_attached(lab: Lab) -> None:
    lab.build(interfaces=2)
    ec2, group = lab.see("ec2"), make_group(lab, rules=True)
    rules: list[Any] = [
        {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "198.51.100.7/32", "Description": "me"}],
            "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}],
        },
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": lab.ids["group"]}]},
    ]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    assert lab.respond().status is Status.CONTAINED
    assert closed(lab)
    assert no_rules(lab)
    assert (
        "tcp 22-22 2001:db8::/32" in lab.stored_record()["actions"]["strip_group_rules"]["detail"]
    )


def test_a_configured_group_without_rules_is_contained(lab: Lab) -> None:
    lab.build()
    ec2 = lab.see("ec2")
    mine = ec2.create_security_group(
        GroupName="mine",
        Description="m",
        VpcId=lab.ids["vpc"],
    )["GroupId"]
    ec2.revoke_security_group_egress(
        GroupId=mine, IpPermissions=lab.group("mine")["IpPermissionsEgress"]
    )
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: mine}
    assert lab.respond().status is Status.CONTAINED
    assert set(map(tuple, lab.groups().values())) == {("mine",)}


def test_a_group_created_by_another_incident_meanwhile_is_found_again(lab: Lab) -> None:
    lab.build(interfaces=2)

    def other_incident() -> None:
        lab.see("ec2").create_security_group(
            GroupName=QUARANTINE[0],
            Description="q",
            VpcId=lab.ids["vpc"],
            TagSpecifications=[
                {"ResourceType": "security-group", "Tags": [{"Key": PREFIX, "Value": "quarantine"}]}
            ],
        )

    target = lab.plan()
    lab.hooks.append(("CreateSecurityGroup", other_incident))
    ec2_instance.contain(lab.context(), target)
    assert closed(lab)
    assert lab.verify(target).status is Status.CONTAINED
    assert no_rules(lab)


def test_already_quarantined_changes_nothing(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.respond()
    target = lab.plan()
    done = lab.stored_record()
    lab.calls.clear()
    assert lab.respond(target).status is Status.CONTAINED
    changing = [name for name in lab.operations() if not name.startswith(("Describe", "Get"))]
    own = {"DeleteItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"}
    assert set(changing) <= {"AssumeRole", "ListRegions", "LookupEvents", *own}
    assert lab.stored_record()["before"] == done["before"], (
        "the quarantined state must not pass for the one before"
    )
    kept = lab.stored_record()["actions"]
    first = {name: action for name, action in done["actions"].items() if action["status"] == "DONE"}
    assert first
    assert first == {name: kept[name] for name in first}, (
        "what was done keeps its time and request ids"
    )


def test_quarantined_by_an_earlier_incident_is_already(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.respond()
    erase(lab.record, lab.stored_record()["arn"])
    assert lab.respond().status is Status.CONTAINED
    assert lab.actions()["quarantine_network"] == "ALREADY"
    assert lab.actions()["replace_instance_profile"] == "ALREADY"
    assert lab.actions()["protect_instance"] == "ALREADY"


def test_attached_between_act_and_verify_is_closed_too(lab: Lab) -> None:
    lab.build(interfaces=2)
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    late = lab.attach(5)
    assert lab.verify(target).status is Status.CONTAINED
    assert len(lab.groups()) == 3
    assert closed(lab)
    assert lab.stored_record()["before"][f"network/{late}"]["groups"] == [lab.ids["group"]]


def test_attached_between_plan_and_act_is_closed_by_a_further_session(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    late = lab.attach(5)
    assert lab.respond(target).status is Status.CONTAINED
    assert closed(lab)
    assert sum(late in str(policy) for policy in lab.policies) == 1


def test_an_interface_that_opens_for_ever_is_failed(lab: Lab) -> None:
    lab.build(interfaces=2)
    group = next(iter(lab.groups()))
    lab.fail(
        "ModifyNetworkInterfaceAttribute",
        "UnauthorizedOperation",
        lambda params: params["NetworkInterfaceId"] == group,
    )
    step = lab.respond()
    assert step.status is Status.FAILED
    assert group in step.detail
    assert lab.groups()[group] == ["web"]
    assert [groups for id, groups in lab.groups().items() if id != group] == [QUARANTINE]
    assert lab.actions()["quarantine_network"] == "FAILED"
    tried = [
        c
        for c in lab.calls
        if c.operation == "ModifyNetworkInterfaceAttribute"
        and c.params["NetworkInterfaceId"] == group
    ]
    assert len(tried) == 3, "verify asks for contain twice more"


def test_a_requester_managed_interface_is_named_and_partial(lab: Lab) -> None:
    lab.build(interfaces=2)
    group = list(lab.groups())[1]
    ec2_backends[MEMBER][REGION].enis[group].requester_managed = True
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert group in step.detail
    assert lab.groups()[group] == ["web"]
    assert lab.actions()["quarantine_network"] == "FAILED"
    assert not [
        c
        for c in lab.calls
        if c.operation == "ModifyNetworkInterfaceAttribute" and group in str(c.params)
    ]


def test_unknown_instance_is_gone_and_a_sample_is_rehearsed(lab: Lab) -> None:
    lab.build()
    lab.ids["instance"] = "i-99999999"
    with pytest.raises(TargetGone):
        ec2_instance.plan(lab.context())
    lab.sample = True
    lab.ids["detail"] = {
        "resource": {
            "instanceDetails": {
                "instanceId": "i-99999999",
                "networkInterfaces": [
                    {
                        "networkInterfaceId": "eni-bfcffe88",
                        "vpcId": "vpc-a",
                        "securityGroups": [{"groupId": "sg-old"}],
                    }
                ],
            }
        }
    }
    (planned,) = ec2_instance.plan(lab.context())
    assert planned.actions["quarantine_network"].startswith(
        "sample finding: the instance does not exist"
    )
    assert "eni-bfcffe88 (sg-old ->" in planned.actions["quarantine_network"]
    assert planned.target.scope == {}


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"resource": {"instanceDetails": None}},
        {"resource": {"instanceDetails": {"instanceId": 7}}},
    ],
)
def test_no_instance_id_is_a_clear_sentence(lab: Lab, detail: dict[str, Any]) -> None:
    lab.ids["detail"] = detail or {"resource": {}}
    with pytest.raises(NoTarget, match=r"resource\.instanceDetails\.instanceId"):
        ec2_instance.plan(lab.context())


def test_untracking_goes_through_an_all_open_group(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.options["untrack_connections"] = True
    assert lab.respond().status is Status.CONTAINED
    assert closed(lab)
    opened = lab.group(f"{PREFIX}-untrack")
    for key in ("IpPermissions", "IpPermissionsEgress"):
        text = str(opened[key])
        assert "0.0.0.0/0" in text
        assert "::/0" in text
    for id in lab.groups():
        swaps = [
            c.params["Groups"]
            for c in lab.calls
            if c.operation == "ModifyNetworkInterfaceAttribute" and id in str(c.params)
        ]
        assert swaps == [[opened["GroupId"]], [lab.group()["GroupId"]]]
    assert "best effort" in lab.stored_record()["actions"]["quarantine_network"]["detail"]


def test_untracking_that_fails_does_not_keep_an_interface_open(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.options["untrack_connections"] = True
    lab.fail("AuthorizeSecurityGroupIngress", "UnauthorizedOperation")
    assert lab.respond().status is Status.CONTAINED
    assert closed(lab)
    assert (
        "not untracked (UnauthorizedOperation"
        in lab.stored_record()["actions"]["quarantine_network"]["detail"]
    )


def test_without_a_quarantine_group_no_interface_is_put_into_the_all_open_one(lab: Lab) -> None:
    lab.build(interfaces=2)
    lab.options["untrack_connections"] = True
    lab.fail(
        "CreateSecurityGroup",
        "VpcLimitExceeded",
        lambda params: params["GroupName"] == QUARANTINE[0],
    )
    assert lab.respond().status is Status.FAILED
    assert list(lab.groups().values()) == [["web"], ["web"]]
    assert lab.actions()["quarantine_network"] == "FAILED"


@pytest.mark.parametrize("operation", ["DescribeNetworkInterfaces", "DescribeSecurityGroups"])
def test_a_look_that_is_denied_still_closes_and_is_not_called_contained(
    lab: Lab, operation: str
) -> None:
    lab.build(interfaces=2)
    target = lab.plan()
    lab.fail(operation, "UnauthorizedOperation")
    step = lab.respond(target)
    assert closed(lab)
    assert step.status is Status.PARTIAL
    assert "could not be read" in step.detail


def test_nothing_readable_is_failed(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    lab.fail("DescribeInstances", "UnauthorizedOperation")
    assert lab.verify(target).status is Status.FAILED


def test_describe_denied_changes_nothing_and_says_so(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    lab.fail("DescribeInstances", "UnauthorizedOperation")
    ec2_instance.contain(lab.context(), target)
    assert list(lab.groups().values()) == [["web"]]
    assert "nothing was changed" in lab.stored_record()["actions"]["quarantine_network"]["detail"]


def test_without_a_record_nothing_is_changed(lab: Lab) -> None:
    """Every change must be undoable from the record; the machine repeats the call."""
    lab.build(interfaces=2, asg=True)
    target = lab.plan()
    lab.fail("PutItem", "InternalServerError")
    with pytest.raises(Exception, match="InternalServerError"):
        ec2_instance.contain(lab.context(), target)
    assert set(map(tuple, lab.groups().values())) == {("web",)}
    assert lab.profiles() == ["app"]


def test_another_incident_at_work_is_waited_for_then_linked(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    linked = target._replace(attach=INCIDENT)
    meta: IncidentRecord = {
        "incident_id": INCIDENT,
        "execution": "e",
        "mode": "auto",
        "severity": 8.0,
        "config_sha256": "",
    }
    lab.record.open(meta)
    other = lab.context(incident="inc-other")
    lab.calls.clear()
    assert "nothing was changed" in ec2_instance.contain(other, linked).detail
    assert lab.calls == []
    step, _ = ec2_instance.verify(other, linked)
    assert (step.done, step.wait_seconds) == (False, 5)
    lab.respond(target)
    step, _ = ec2_instance.verify(other, linked)
    assert step.status is Status.CONTAINED
    assert ec2_instance.finish(other, linked).done


def test_what_was_waited_for_another_incident_takes_no_try(lab: Lab) -> None:
    """An interface that is open after a wait of a minute is closed as it is without one."""
    lab.build()
    target = lab.plan()
    early, late = lab.context(attempt=13), lab.context(attempt=13)
    late.waits = 12
    assert ec2_instance.verify(early, target)[0].status is Status.FAILED
    step, _ = ec2_instance.verify(late, target)
    assert (step.done, step.again) == (False, "contain")


def test_verify_only_reads_back_and_changes_nothing(lab: Lab) -> None:
    lab.build()
    target = lab.plan()
    again = target._replace(verify_only=True)
    ec2_instance.contain(lab.context(), again)
    step, _ = ec2_instance.verify(lab.context(), again)
    assert (step.done, step.again, step.status) == (True, "", Status.FAILED)
    assert list(lab.groups().values()) == [["web"]]
