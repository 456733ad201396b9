"""What containing an instance takes from others is said in the plan, before anybody approves."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends
from moto.ec2.models.route_tables import RouteTable
from moto.elbv2.models import elbv2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION, Lab
from tests.unit.playbooks.ec2_instance.shared_network_lab import add_branch, attach_trunk

Json = dict[str, Any]


def consequences(lab: Lab) -> str:
    lab.plan()
    return str(lab.ids["planned"].consequences)


def tag(lab: Lab, **tags: str) -> None:
    pairs = [{"Key": key.replace("__", "/"), "Value": value} for key, value in tags.items()]
    lab.see("ec2").create_tags(Resources=[lab.ids["instance"]], Tags=pairs)


# -- who runs on it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"kubernetes.io__cluster__shop": "owned"}, "Kubernetes node of cluster shop: "),
        (
            {"eks:cluster-name": "shop", "eks:nodegroup-name": "web"},
            "Kubernetes node of cluster shop (node group web): ",
        ),
        ({"eks:nodegroup-name": "web"}, "Kubernetes node (node group web): "),
        (
            {"aws:eks:cluster-name": "shop", "karpenter.sh__nodepool": "spot"},
            "Kubernetes node of cluster shop (node group spot): ",
        ),
        ({"KubernetesCluster": "kops.example.com"}, "Kubernetes node of cluster kops.example.com:"),
    ],
)
def test_a_node_of_kubernetes(lab: Lab, tags: Json, said: str) -> None:
    lab.build()
    backend = ec2_backends[MEMBER][REGION]
    backend.create_tags(
        [lab.ids["instance"]], {key.replace("__", "/"): value for key, value in tags.items()}
    )
    text = consequences(lab)
    assert said in text
    assert "every pod on it loses its network." in text
    [described] = lab.see("ec2").describe_instances()["Reservations"][0]["Instances"]
    node = described["NetworkInterfaces"][0].get("PrivateDnsName") or "NODE"
    assert f"kubectl drain {node} --ignore-daemonsets" in text


def test_pods_with_interfaces_of_their_own_are_counted(lab: Lab) -> None:
    lab.build()
    tag(lab, **{"eks:cluster-name": "shop"})
    trunk = attach_trunk(lab)
    add_branch(lab, trunk)
    add_branch(lab, trunk)
    text = consequences(lab)
    assert "every pod on it loses its network, also the 2 with interfaces of their own." in text


@pytest.mark.parametrize(
    ("tags", "cluster"),
    [({"AmazonECSManaged": ""}, "CLUSTER"), ({"aws:ecs:clusterName": "jobs"}, "jobs")],
)
def test_a_container_instance_of_ecs(lab: Lab, tags: Json, cluster: str) -> None:
    lab.build()
    ec2_backends[MEMBER][REGION].create_tags([lab.ids["instance"]], tags)
    text = consequences(lab)
    assert "ECS container instance: every task on it loses its network" in text
    assert f"--cluster {cluster} --filter 'ec2InstanceId == {lab.ids['instance']}'" in text
    assert "drain" in text
    assert "--status DRAINING" in text


def test_a_container_instance_is_known_by_its_role(lab: Lab) -> None:
    lab.build(profile=False)
    iam, name = lab.see("iam"), "ecsInstanceRole"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    lab.see("ec2").associate_iam_instance_profile(
        IamInstanceProfile={"Name": name}, InstanceId=lab.ids["instance"]
    )
    assert "ECS container instance" in consequences(lab)


def test_a_container_instance_is_known_by_its_tasks_interfaces(lab: Lab) -> None:
    """With a role of a name of its own, and no capacity provider."""
    lab.build()
    attach_trunk(lab, description="")
    assert "ECS container instance" in consequences(lab)


# -- whom it serves --------------------------------------------------------------------------------


@pytest.fixture
def routes_by_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto lacks the filter, and does not show the instance of a route to an interface."""
    known = RouteTable.get_filter_value

    def value(table: RouteTable, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name != "route.instance-id":
            return known(
                table,
                filter_name,
                method_name,
            )
        nodes: list[Any] = [route.instance or route.interface for route in table.routes]
        return [
            getattr(
                node,
                "instance",
                node,
            ).id
            for node in nodes
            if node
        ]

    monkeypatch.setattr(
        RouteTable,
        "get_filter_value",
        value,
    )


def forward(lab: Lab) -> None:
    """Switches the source/destination check off, as on a NAT instance."""
    instance = ec2_backends[MEMBER][REGION].get_instance(lab.ids["instance"])
    for interface in instance.nics.values():
        interface.source_dest_check = False


def route(lab: Lab, table: str, destination: str = "0.0.0.0/0", interface: str = "") -> None:
    by = {"NetworkInterfaceId": interface} if interface else {"InstanceId": lab.ids["instance"]}
    lab.see("ec2").create_route(
        RouteTableId=table,
        DestinationCidrBlock=destination,
        **by,
    )


def subnet_with_table(lab: Lab, block: str) -> tuple[str, str]:
    ec2 = lab.see("ec2")
    subnet = ec2.create_subnet(VpcId=lab.ids["vpc"], CidrBlock=block)["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=lab.ids["vpc"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    return subnet, table


@pytest.mark.usefixtures("routes_by_instance")
def test_subnets_that_a_nat_instance_routes_for(lab: Lab) -> None:
    lab.build(interfaces=2)
    forward(lab)
    first, table = subnet_with_table(lab, "10.0.2.0/24")
    route(lab, table)
    second, other = subnet_with_table(lab, "10.0.3.0/24")
    instance = ec2_backends[MEMBER][REGION].get_instance(lab.ids["instance"])
    [interface] = set(lab.groups()) - {instance.nics[0].id}
    route(
        lab,
        other,
        "192.168.0.0/16",
        interface,
    )
    text = consequences(lab)
    assert "it forwards the traffic of others, as a NAT or appliance instance does" in text
    assert f"subnets {first} ({table}: 0.0.0.0/0)" in text
    assert f"subnets {second} ({other}: 192.168.0.0/16)" in text
    assert "lose their routes by it" in text


@pytest.mark.usefixtures("routes_by_instance")
def test_the_main_route_table_names_the_subnets_without_one(lab: Lab) -> None:
    lab.build()
    forward(lab)
    [main] = lab.see("ec2").describe_route_tables(
        Filters=[
            {"Name": "association.main", "Values": ["true"]},
            {"Name": "vpc-id", "Values": [lab.ids["vpc"]]},
        ]
    )["RouteTables"]
    route(lab, main["RouteTableId"])
    every = f"every subnet of {lab.ids['vpc']} without a route table of its own"
    assert every in consequences(lab)


@pytest.mark.usefixtures("routes_by_instance")
def test_an_appliance_to_which_nothing_is_routed(lab: Lab) -> None:
    lab.build()
    forward(lab)
    assert "no route table that this account sees routes to it" in consequences(lab)


def test_routes_that_cannot_be_read_are_unknown(lab: Lab) -> None:
    lab.build()
    forward(lab)
    lab.fail("DescribeRouteTables", "UnauthorizedOperation")
    text = consequences(lab)
    assert "which subnets lose their way out is unknown (UnauthorizedOperation" in text


def test_who_forwards_nothing_is_not_asked_about(lab: Lab) -> None:
    lab.build()
    assert consequences(lab) == ""
    assert "DescribeRouteTables" not in lab.operations()


def set_health(states: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """moto says that every target is healthy."""
    backend = elbv2_backends[MEMBER][REGION]
    for group in backend.target_groups.values():
        known = group.health_for

        def health(target: Any, ec2: Any, known: Any = known) -> Any:
            found = known(target, ec2)
            found.status = states.get(target["Id"], found.status)
            return found

        monkeypatch.setattr(
            group,
            "health_for",
            health,
        )


def second_target(lab: Lab, group: str) -> str:
    made = lab.see("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=lab.ids["subnet"]
    )["Instances"][0]["InstanceId"]
    lab.see("elbv2").register_targets(
        TargetGroupArn=lab.ids["target_groups"][group == "api"],
        Targets=[{"Id": made, "Port": 80}],
    )
    return str(made)


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ("healthy", "healthy", False),
        ("healthy", "unhealthy", True),
        ("healthy", "draining", True),
        ("unhealthy", "unhealthy", False),
        ("unhealthy", "draining", True),
        ("unused", "unused", False),
        ("draining", "unhealthy", False),
    ],
)
def test_the_last_healthy_target(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, own: str, other: str, said: bool
) -> None:
    lab.build(targets=True)
    lab.see("elbv2").delete_target_group(TargetGroupArn=lab.ids["target_groups"].pop())
    beside = second_target(lab, "web")
    set_health({lab.ids["instance"]: own, beside: other}, monkeypatch)
    text = "no other target of target group web is healthy: its clients lose the service"
    assert (text in consequences(lab)) is said


def test_the_only_target_of_two_groups(lab: Lab) -> None:
    lab.build(targets=True)
    assert "no other target of target group api, web is healthy" in consequences(lab)


def test_target_groups_that_were_not_read_are_unknown(lab: Lab) -> None:
    lab.build(targets=True)
    lab.fail("DescribeTargetHealth", "AccessDenied")
    unknown = "whether it is the last healthy target of a target group is unknown"
    assert f"{unknown} (AccessDenied" in consequences(lab)
    lab.options["deregister_targets"] = False
    assert f"{unknown} (deregister_targets is off)" in consequences(lab)


# -- who takes its place ---------------------------------------------------------------------------


def tag_scaling(lab: Lab) -> None:
    """Auto Scaling tags what it launches; moto does not tag what is attached to a group."""
    ec2_backends[MEMBER][REGION].create_tags(
        [lab.ids["instance"]], {"aws:autoscaling:groupName": "web"}
    )


@pytest.mark.parametrize("option", ["detach", "standby"])
def test_a_replacement_is_launched_or_not(lab: Lab, option: str) -> None:
    lab.options["auto_scaling"] = option
    lab.build(asg=True)
    tag_scaling(lab)
    assert consequences(lab) == "Auto Scaling group web launches a replacement"
    lab.see("autoscaling").suspend_processes(
        AutoScalingGroupName="web", ScalingProcesses=["Launch"]
    )
    none = "Auto Scaling group web launches no replacement: its process Launch is suspended"
    assert consequences(lab) == none


def test_whether_a_replacement_is_launched_may_be_unknown(lab: Lab) -> None:
    lab.build(asg=True)
    tag_scaling(lab)
    lab.fail("DescribeAutoScalingGroups", "AccessDenied")
    unknown = "whether Auto Scaling group web launches a replacement is unknown (AccessDenied"
    assert unknown in consequences(lab)
    lab.fail("DescribeAutoScalingInstances", "AccessDenied")
    unknown = "whether an Auto Scaling group launches a replacement is unknown (AccessDenied"
    assert unknown in consequences(lab)


def test_who_stays_in_its_group_may_be_terminated_by_it(lab: Lab) -> None:
    lab.options["auto_scaling"] = "none"
    lab.build(asg=True)
    tag_scaling(lab)
    assert "it stays in Auto Scaling group web (auto_scaling is none)" in consequences(lab)


# -- time ------------------------------------------------------------------------------------------


def test_the_reads_run_beside_those_of_the_controls(lab: Lab) -> None:
    """What is said delays no containment: no call waits for the reads of this page."""
    lab.build(targets=True, asg=True)
    tag_scaling(lab)
    forward(lab)
    lab.fail("DescribeRouteTables", "UnauthorizedOperation")  # moto lacks the filter
    lab.latency = 0.2
    context = lab.context()
    lab.calls.clear()
    ec2_instance.plan(context)
    group = next(call for call in lab.calls if call.operation == "DescribeAutoScalingGroups")
    first = min(call.end for call in lab.calls if call.operation == "DescribeInstances")
    last = max(call.start for call in lab.calls if call is not group)
    assert first <= group.start < last
    assert max(call.end for call in lab.calls if call is not group) >= group.end
