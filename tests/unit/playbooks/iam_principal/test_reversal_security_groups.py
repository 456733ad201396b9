"""Security group rules: reverted, left alone, and brought back."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.reversals import exposure

from tests.unit.deployment import Deployment
from tests.unit.playbooks.iam_principal.eradication_lab import (
    EradicationLab,
)

Json = dict[str, Any]


@pytest.fixture
def lab(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> EradicationLab:
    return EradicationLab(deployment, monkeypatch)


SSH: Json = {
    "IpProtocol": "tcp",
    "FromPort": 22,
    "ToPort": 22,
    "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "d"}],
}


BOTH: Json = {
    "IpProtocol": "-1",
    "IpRanges": [{"CidrIp": "198.51.100.0/24"}],
    "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
}


@pytest.fixture
def group(lab: EradicationLab) -> str:
    ec2 = lab.see("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = str(ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"])
    own = {
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[own])
    return made


def rules(lab: EradicationLab, group: str, egress: bool = False) -> set[tuple[str, int, int, str]]:
    return {
        resource_state.rule_key(rule)
        for rule in resource_state.rules(lab.see("ec2"), group, egress).values()
    }


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("way", ["ingress", "egress"])
def test_rules_are_closed_and_opened_again(
    lab: EradicationLab, group: str, way: str, ids: bool
) -> None:
    before = rules(lab, group, way == "egress")
    also = {} if ids else {"response": {"_return": True}}
    pair = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 9,
        "UserIdGroupPairs": [{"GroupId": group}],
    }
    lab.does(
        "ec2",
        f"authorize_security_group_{way}",
        GroupId=group,
        IpPermissions=[SSH, BOTH, pair],
        also=also,
    )
    opened = rules(lab, group, way == "egress")
    assert len(opened) == len(before) + 4
    lab.eradicate()
    assert (rules(lab, group, way == "egress"), lab.left) == (before, [])
    assert lab.restore().status is Status.RESTORED
    assert rules(lab, group, way == "egress") == opened
    found = lab.see("ec2").describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [group]}]
    )["SecurityGroupRules"]
    assert "d" in [entry.get("Description") for entry in found], "with its description"


def test_a_rule_changed_since(lab: EradicationLab, group: str) -> None:
    """ModifySecurityGroupRules leaves the rule its id."""
    made = lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[SSH])[
        "SecurityGroupRules"
    ][0]
    event = lab.events[-1]["response"]["securityGroupRuleSet"]["items"][0]
    event["cidrIpv4"] = "203.0.113.0/24"  # as if it had been added so
    lab.eradicate()
    assert ("tcp", 22, 22, "0.0.0.0/0") in rules(lab, group)
    assert (
        made["SecurityGroupRuleId"] in lab.left[0] and "changed since, left as it is" in lab.left[0]
    )


def test_rules_closed_by_somebody_already(lab: EradicationLab, group: str) -> None:
    lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[SSH])
    lab.see("ec2").revoke_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    lab.eradicate()
    assert (lab.lines(), lab.changed()) == ({"AuthorizeSecurityGroupIngress": "ALREADY"}, [])


def test_a_group_that_is_gone(lab: EradicationLab, group: str) -> None:
    lab.does("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=[SSH])
    lab.see("ec2").delete_security_group(GroupId=group)
    lab.eradicate()
    assert (lab.lines(), lab.left) == ({"AuthorizeSecurityGroupIngress": "ALREADY"}, [])


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        (
            {
                "groupId": "sg-1",
                "cidrIp": "0.0.0.0/0",
                "ipProtocol": "tcp",
                "fromPort": 3389,
                "toPort": 3389,
            },
            [("tcp", 3389, 3389, "0.0.0.0/0")],
        ),
        (
            {
                "ipPermissions": {
                    "items": [
                        {
                            "ipProtocol": "6",
                            "fromPort": 1,
                            "toPort": 2,
                            "prefixListIds": {"items": [{"prefixListId": "pl-1"}]},
                        }
                    ]
                }
            },
            [("tcp", 1, 2, "pl-1")],
        ),
        (
            {
                "ipPermissions": {
                    "items": [
                        {
                            "ipProtocol": "-1",
                            "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]},
                            "groups": {},
                        }
                    ]
                }
            },
            [("-1", -1, -1, "::/0")],
        ),
        ({"ipPermissions": {"items": "x"}}, []),
        ({}, []),
    ],
)
def test_rules_as_cloudtrail_shows_them(parameters: Json, keys: list[Any]) -> None:
    assert [resource_state.rule_key(rule) for rule in exposure.requested_rules(parameters)] == keys


def test_modified_rules_are_for_people(lab: EradicationLab, group: str) -> None:
    lab.happened(
        "ec2", "ModifySecurityGroupRules", {"ModifySecurityGroupRulesRequest": {"GroupId": group}}
    )
    lab.eradicate()
    assert (
        f"aws ec2 describe-security-group-rules --filters Name=group-id,Values={group}"
        in lab.left[0]
    )
