"""Instances whose network is not all theirs: in a VPC that accounts share, with branch interfaces
of pods, in a cluster.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION, Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import QUARANTINE, make_group, text_of
from tests.unit.playbooks.ec2_instance.shared_network_lab import (
    OTHER,
    add_branch,
    add_subnet,
    attach_trunk,
    give_away,
    group_of_other_account,
    groups_of,
    share_group,
    show_associations,
)

NODE_TAGS = [
    {"Key": "kubernetes.io/cluster/shop", "Value": "owned"},
    {"Key": "eks:nodegroup-name", "Value": "workers"},
]


# -- shared VPCs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", [False, True])
def test_a_participant_makes_its_own_group_in_the_shared_vpc(lab: Lab, flush: bool) -> None:
    """IAM checks CreateSecurityGroup on the VPC too, whose ARN has the account of its owner."""
    lab.vpc_owner = OTHER
    lab.options["untrack_connections"] = flush
    lab.build(interfaces=2)
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]] * 2
    assert lab.group()["OwnerId"] == MEMBER


def test_the_owner_leaves_a_participants_group_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build(interfaces=2)
    theirs = group_of_other_account(
        lab,
        QUARANTINE,
        monkeypatch,
    )
    step = lab.respond()
    assert step.status is Status.CONTAINED, step.detail
    found = lab.see("ec2").describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [QUARANTINE]}]
    )["SecurityGroups"]
    by_owner = {group["OwnerId"]: group for group in found}
    assert by_owner[OTHER]["GroupId"] == theirs
    assert by_owner[OTHER]["IpPermissionsEgress"], "it is another account's, and not edited"
    assert not by_owner[MEMBER]["IpPermissionsEgress"]
    interfaces = lab.see("ec2").describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [lab.ids["instance"]]}]
    )["NetworkInterfaces"]
    assert [[group["GroupId"] for group in node["Groups"]] for node in interfaces] == [
        [by_owner[MEMBER]["GroupId"]]
    ] * 2


@pytest.mark.usefixtures("full_models")  # as restore has them
@pytest.mark.parametrize("vpc_owner", [MEMBER, OTHER])
@pytest.mark.parametrize("flush", [False, True])
def test_a_shared_group_that_is_brought_along_is_another_accounts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, vpc_owner: str, flush: bool
) -> None:
    """IAM checks the change on the group too, whose ARN has its owner's account."""
    lab.vpc_owner = vpc_owner
    lab.options["untrack_connections"] = flush
    lab.build(interfaces=2)
    shared = share_group(
        lab,
        "isolate",
        monkeypatch,
    )
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: shared}
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [["isolate"]] * 2
    assert lab.restore().status is Status.RESTORED
    assert list(lab.groups().values()) == [["web"]] * 2


@pytest.mark.usefixtures("full_models")  # as restore has them
def test_a_shared_group_that_an_interface_was_in_is_given_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.vpc_owner = OTHER
    lab.build()
    shared = share_group(
        lab,
        "central",
        monkeypatch,
        rules=True,
    )
    [interface] = lab.groups()
    groups = [shared, lab.ids["group"]]
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]]
    assert lab.restore().status is Status.RESTORED
    assert set(lab.groups()[interface]) == {"central", "web"}


@pytest.mark.usefixtures("full_models")
def test_a_shared_group_is_given_back_where_the_quarantine_group_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.options["untrack_connections"] = True
    lab.build()
    shared = share_group(
        lab,
        "central",
        monkeypatch,
        rules=True,
    )
    [interface] = lab.groups()
    lab.see("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[shared])
    ours = make_group(lab)
    lab.fail(
        "ModifyNetworkInterfaceAttribute", "AuthFailure", lambda params: ours in params["Groups"]
    )
    assert lab.respond().status is Status.FAILED
    assert lab.groups()[interface] == ["central"], "and not in the all-open group"


@pytest.mark.parametrize("own", [1, 2])
def test_an_interface_of_another_account_is_named_and_left(lab: Lab, own: int) -> None:
    lab.build(interfaces=own + 1)
    theirs = list(lab.groups())[-1]
    give_away(theirs)
    step = lab.respond()
    assert step.status is Status.PARTIAL, step.detail
    assert f"{theirs} is OPEN" in step.detail
    assert f"owned by account {OTHER}" in step.detail and OTHER in text_of(lab)
    assert "aws ec2 detach-network-interface" in step.detail
    assert [groups for id, groups in lab.groups().items() if id != theirs] == [[QUARANTINE]] * own
    assert lab.groups()[theirs] == ["web"]
    touched = [call.params for call in lab.calls if call.operation.startswith("ModifyNetwork")]
    assert theirs not in {params["NetworkInterfaceId"] for params in touched}


def test_an_instance_all_of_whose_interfaces_are_another_accounts_is_not_contained(
    lab: Lab,
) -> None:
    lab.build()
    give_away(next(iter(lab.groups())))
    assert lab.respond().status is Status.FAILED


# -- trunk and branch interfaces -------------------------------------------------------------------


@pytest.mark.usefixtures("full_models")  # as restore has them
def test_branch_interfaces_of_pods_are_closed_and_given_back(lab: Lab) -> None:
    lab.build()
    trunk = attach_trunk(lab)
    branches = [add_branch(lab, trunk) for _ in range(3)]
    other = add_branch(lab, "eni-0123456789abcdef0")  # of another node
    assert lab.respond().status is Status.CONTAINED
    assert [groups_of(lab, id) for id in (trunk, *branches)] == [[QUARANTINE]] * 4
    assert groups_of(lab, other) == ["web"]
    before = lab.stored_record()["before"]["network"]["interfaces"]
    assert before.keys() == {*lab.groups(), *branches}
    assert lab.restore().status is Status.RESTORED
    assert [groups_of(lab, id) for id in (trunk, *branches)] == [["web"]] * 4


def test_a_branch_that_stays_open_is_no_containment(lab: Lab) -> None:
    lab.build()
    branch = add_branch(lab, attach_trunk(lab))
    lab.fail(
        "ModifyNetworkInterfaceAttribute",
        "UnauthorizedOperation",
        lambda params: params["NetworkInterfaceId"] == branch,
    )
    step = lab.respond()
    assert step.status is Status.FAILED
    assert f"{branch} is OPEN" in step.detail


def test_a_pod_that_starts_before_verify_is_closed_too(lab: Lab) -> None:
    lab.build()
    trunk = attach_trunk(lab)
    target = lab.plan()
    ec2_instance.contain(lab.context(), target)
    late = add_branch(lab, trunk)
    assert lab.verify(target).status is Status.CONTAINED
    assert groups_of(lab, late) == [QUARANTINE]


def test_branches_that_cannot_be_listed_are_said(lab: Lab) -> None:
    lab.build()
    branch = add_branch(lab, attach_trunk(lab))
    lab.fail(
        "DescribeNetworkInterfaces",
        "UnauthorizedOperation",
        lambda params: "trunk-eni-id" in str(params) or "interface-type" in str(params),
    )
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert "branch interfaces could not be read" in step.detail
    assert groups_of(lab, branch) == ["web"]


def test_branches_without_a_tag_are_named_and_prevent_the_verdict(lab: Lab) -> None:
    """Nothing tells whose they are: perhaps the trunk of this node carries them."""
    lab.build()
    trunk = attach_trunk(lab)
    tagged = add_branch(lab, trunk)
    of_nobody = [add_branch(lab, "") for _ in range(2)]
    of_no_trunk = add_branch(lab, "unknown")
    other_subnet = add_branch(
        lab,
        "",
        add_subnet(lab),
    )
    step = lab.respond()
    assert step.status is Status.PARTIAL, step.detail
    assert all(branch in step.detail for branch in (*of_nobody, of_no_trunk))
    assert tagged not in step.detail and other_subnet not in step.detail
    assert "neither a tag nor an association" in step.detail
    assert "aws ec2 modify-network-interface-attribute" in step.detail
    assert groups_of(lab, tagged) == [QUARANTINE]
    assert [groups_of(lab, branch) for branch in (*of_nobody, of_no_trunk)] == [["web"]] * 3
    for branch in (*of_nobody, of_no_trunk):
        lab.see("ec2").delete_network_interface(NetworkInterfaceId=branch)
    assert lab.verify(lab.plan()).status is Status.CONTAINED


def test_a_branch_of_another_node_is_not_touched(lab: Lab) -> None:
    lab.build()
    attach_trunk(lab)
    by_tag, by_association = add_branch(lab, "eni-0123456789abcdef0"), add_branch(lab, "")
    show_associations(lab, {by_association: "eni-0123456789abcdef0"})
    step = lab.respond()
    assert step.status is Status.CONTAINED, step.detail
    assert [groups_of(lab, branch) for branch in (by_tag, by_association)] == [["web"]] * 2


def test_a_node_without_a_trunk_has_no_branches(lab: Lab) -> None:
    lab.build(interfaces=2)
    add_branch(lab, "")
    assert lab.respond().status is Status.CONTAINED
    assert "DescribeTrunkInterfaceAssociations" not in lab.operations()


@pytest.mark.usefixtures("full_models")  # as restore has them
def test_associations_add_branches_without_a_tag_in_any_subnet(lab: Lab) -> None:
    """Where AWS shows associations, they are believed too: beside the tag, and on every page."""
    lab.build()
    trunk = attach_trunk(lab)
    branches = [add_branch(lab, "") for _ in range(2)]
    branches += [
        add_branch(
            lab,
            "",
            add_subnet(lab),
        ),
        add_branch(lab, "eni-0123456789abcdef0"),
    ]
    show_associations(lab, dict.fromkeys(branches, trunk))
    step = lab.respond()
    assert step.status is Status.CONTAINED, step.detail
    assert [groups_of(lab, branch) for branch in branches] == [[QUARANTINE]] * 4
    assert lab.restore().status is Status.RESTORED
    assert [groups_of(lab, branch) for branch in branches] == [["web"]] * 4


def test_a_tagged_branch_in_another_subnet_is_found_by_its_tag(lab: Lab) -> None:
    lab.build()
    branch = add_branch(
        lab,
        attach_trunk(lab),
        add_subnet(lab),
    )
    assert lab.respond().status is Status.CONTAINED
    assert groups_of(lab, branch) == [QUARANTINE]


@pytest.mark.parametrize("refused", ["trunk-eni-id", "interface-type"])
def test_either_list_of_branches_that_is_refused_prevents_the_verdict(
    lab: Lab, refused: str
) -> None:
    """What the other one shows is closed all the same."""
    lab.build()
    branch = add_branch(lab, attach_trunk(lab))
    lab.fail(
        "DescribeNetworkInterfaces",
        "UnauthorizedOperation",
        lambda params: refused in str(params),
    )
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert "branch interfaces could not be read" in step.detail
    assert groups_of(lab, branch) == [QUARANTINE]


# -- clusters --------------------------------------------------------------------------------------


def test_an_eks_node_leaves_its_group_with_all_interfaces_closed(lab: Lab) -> None:
    """A node of a managed node group: the CNI's own interfaces, a trunk, an Auto Scaling group."""
    lab.build(interfaces=3, asg=True)
    lab.see("ec2").create_tags(Resources=[lab.ids["instance"]], Tags=NODE_TAGS)
    branch = add_branch(lab, attach_trunk(lab, 3))
    assert lab.respond().status is Status.CONTAINED
    assert list(lab.groups().values()) == [[QUARANTINE]] * 4
    assert groups_of(lab, branch) == [QUARANTINE]
    assert lab.actions()["detach_auto_scaling"] == "DONE"


def managed_by(interface: str, service: str) -> None:
    """EC2 managed instances: their interfaces name the operator, who alone may change them."""
    node: Any = ec2_backends[MEMBER][REGION].enis[interface]
    node.requester_managed, node.requester_id = True, service


@pytest.mark.parametrize("interfaces", [1, 3])
def test_a_node_of_eks_auto_mode_is_not_contained_and_the_way_out_is_said(
    lab: Lab, interfaces: int
) -> None:
    lab.build(interfaces=interfaces)
    for interface in lab.groups():
        managed_by(interface, "eks.amazonaws.com")
    step = lab.respond()
    assert step.status is Status.FAILED
    assert set(map(tuple, lab.groups().values())) == {("web",)}
    assert lab.actions()["quarantine_network"] == "FAILED"
    for text in (step.detail, text_of(lab)):
        assert all(interface in text for interface in lab.groups())
        assert "kubectl drain NODE" in text and "kubectl delete node NODE" in text
        assert lab.ids["instance"] in text, "its node is found by it"


def test_of_a_node_that_another_service_manages_the_service_is_named(lab: Lab) -> None:
    lab.build()
    [interface] = lab.groups()
    managed_by(interface, "workspaces.amazonaws.com")
    step = lab.respond()
    assert step.status is Status.FAILED
    assert "managed by workspaces.amazonaws.com" in step.detail
    assert "end the instance through that service" in step.detail
    assert "kubectl" not in step.detail
    assert "CreateSecurityGroup" not in lab.operations(), "no group is needed"


def test_a_closed_branch_contains_no_node_whose_own_interfaces_are_open(lab: Lab) -> None:
    lab.build()
    branch = add_branch(lab, attach_trunk(lab))
    for interface in lab.groups():
        managed_by(interface, "eks.amazonaws.com")
    assert lab.respond().status is Status.FAILED
    assert groups_of(lab, branch) == [QUARANTINE], "what can be closed is closed all the same"


def test_an_interface_of_an_ecs_task_that_refuses_is_named(lab: Lab) -> None:
    """A task in network mode awsvpc without trunking has an interface on the instance."""
    lab.build(interfaces=2)
    task = list(lab.groups())[1]
    lab.fail(
        "ModifyNetworkInterfaceAttribute",
        "AuthFailure",
        lambda params: params["NetworkInterfaceId"] == task,
    )
    step = lab.respond()
    assert step.status is Status.FAILED
    assert f"{task} is OPEN" in step.detail
    assert [groups for id, groups in lab.groups().items() if id != task] == [[QUARANTINE]]
