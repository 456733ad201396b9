"""A configured quarantine group that lets out to a prefix list: only AWS's own are endpoints. A
customer's list may have any addresses, and whoever manages it changes them without a call that
names the group.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

OF_AWS, CUSTOMERS = "of AWS", "customer's"
CALL = "DescribeManagedPrefixLists"


@pytest.fixture(autouse=True)
def _forensics_after(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    context = lab.context

    def after(*args: Any, **more: Any) -> Any:
        made: Any = context(*args, **more)
        made.config = made.config._replace(forensics={"when": "after"})
        return made

    monkeypatch.setattr(
        lab,
        "context",
        after,
    )
    lab.build()


def prefix_list(lab: Lab, kind: str) -> str:
    ec2 = lab.see("ec2")
    if kind == OF_AWS:
        shown = ec2.describe_managed_prefix_lists()["PrefixLists"]
        named = {each["PrefixListName"]: each["PrefixListId"] for each in shown}
        return next(str(id) for name, id in named.items() if name.endswith(".s3"))
    made = ec2.create_managed_prefix_list(
        PrefixListName="com.amazonaws.eu-central-1.s3",  # the name tells nothing
        AddressFamily="IPv4",
        MaxEntries=2,
        Entries=[{"Cidr": "0.0.0.0/1"}, {"Cidr": "128.0.0.0/1"}],
    )
    return str(made["PrefixList"]["PrefixListId"])


def configure(lab: Lab, *kinds: str) -> str:
    """A group of one's own that lets out to these prefix lists, tcp/443."""
    ec2 = lab.see("ec2")
    group = str(
        ec2.create_security_group(
            GroupName="endpoints-only", Description="q", VpcId=lab.ids["vpc"]
        )["GroupId"]
    )
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=shown["IpPermissionsEgress"])
    to = [{"PrefixListId": prefix_list(lab, kind)} for kind in kinds]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": to}
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule])
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: group}
    return group


def test_a_prefix_list_of_aws_is_an_endpoint(lab: Lab) -> None:
    group = configure(lab, OF_AWS)
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [["endpoints-only"]]
    assert lab.profiles() == ["guardduty-response-quarantine-ssm"]
    assert "but to endpoints" in lab.ids["checks"][f"group {group}"].detail


@pytest.mark.parametrize("kinds", [(CUSTOMERS,), (OF_AWS, CUSTOMERS)])
def test_a_customers_prefix_list_is_none(lab: Lab, kinds: tuple[str, ...]) -> None:
    """Whatever it is called. The group is not used, and people are told which rule it is."""
    group = configure(lab, *kinds)
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [["guardduty-response-quarantine"]]
    assert lab.profiles() == ["guardduty-response-quarantine"]
    text = lab.stored_record()["actions"]["quarantine_network"]["detail"]
    assert f"{group}, which quarantine_security_group_ids names" in text
    assert "pl-" in text


@pytest.mark.parametrize("error", ["UnauthorizedOperation", "RequestLimitExceeded"])
def test_whose_it_is_could_not_be_read(lab: Lab, error: str) -> None:
    """Then it is no success: the sentence names the group, the list and the error."""
    group = configure(lab, OF_AWS)
    lab.fail(CALL, error)
    step = lab.respond()
    assert step.status is Status.PARTIAL
    checks = lab.ids["checks"]
    assert not checks["groups"].ok and not checks["groups"].read
    detail = checks["groups"].detail
    assert group in detail and "pl-" in detail and error in detail


def test_what_was_contained_and_cannot_be_read_later_is_not_lost(lab: Lab) -> None:
    configure(lab, OF_AWS)
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    lab.fail(CALL, "UnauthorizedOperation")
    lab.verify(target)
    failed = [check for check in lab.ids["checks"].values() if not check.ok]
    assert [check.name for check in failed] == ["groups"]
    assert not failed[0].read, "it is neither contained nor lost"


def test_a_group_without_a_prefix_list_needs_no_answer(lab: Lab) -> None:
    ec2 = lab.see("ec2")
    configure(lab)
    group = lab.options["quarantine_security_group_ids"][lab.ids["vpc"]]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    pairs = [{"GroupId": lab.ids["group"]}]
    ec2.authorize_security_group_egress(
        GroupId=group, IpPermissions=[{**rule, "UserIdGroupPairs": pairs}]
    )
    lab.fail(CALL, "UnauthorizedOperation")
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [["endpoints-only"]]


def test_nobody_asks_where_no_group_may_have_rules(lab: Lab) -> None:
    assert lab.respond().status is Status.CONTAINED
    assert CALL not in [call.operation for call in lab.calls]
