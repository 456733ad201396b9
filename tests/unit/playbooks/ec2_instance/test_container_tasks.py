"""Container instances of Amazon ECS whose tasks have interfaces of their own, which the account
cannot change: what can be closed is closed, and of the rest is said which task to stop.
"""

from __future__ import annotations

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import REGION, Lab
from tests.unit.playbooks.ec2_instance.finish_lab import state_of
from tests.unit.playbooks.ec2_instance.quarantine_lab import QUARANTINE
from tests.unit.playbooks.ec2_instance.shared_network_lab import (
    add_subnet,
    attach_trunk,
    groups_of,
)
from tests.unit.playbooks.ec2_instance.tasks_lab import Cluster, describe

READS = ("ListClusters", "ListContainerInstances", "ListTasks", "DescribeTasks")


def stop_of(task: str) -> str:
    cluster, id = task.split("/")
    return f"aws ecs stop-task --cluster {cluster} --task {id} --region {REGION}"


def test_tasks_behind_a_trunk_are_named_with_the_commands_that_stop_them(lab: Lab) -> None:
    lab.build(asg=True)
    attach_trunk(lab, description="")
    cluster = Cluster(lab)
    branches = [cluster.branch(), cluster.branch(add_subnet(lab))]
    tasks = [cluster.run(branch) for branch in branches]
    elsewhere = cluster.branch()  # of a task on another container instance
    planned = lab.plan()
    assert all(
        stop_of(task) in lab.ids["planned"].actions["quarantine_network"] for task in tasks
    ), "who approves reads it first"
    step = lab.respond(planned)
    assert step.status is Status.PARTIAL, step.detail
    for branch, task in zip(
        branches,
        tasks,
        strict=True,
    ):
        assert f"{branch} is OPEN" in step.detail
        assert f"task {task}" in step.detail and stop_of(task) in step.detail
        assert groups_of(lab, branch) == ["web"]
    assert elsewhere not in step.detail
    assert list(lab.groups().values()) == [[QUARANTINE]] * 2
    touched = [
        call.params["NetworkInterfaceId"]
        for call in lab.calls
        if call.operation == "ModifyNetworkInterfaceAttribute"
    ]
    assert not set(touched) & set(branches), "nothing is tried that Amazon ECS refuses"
    assert lab.waited == 0, "nothing is waited for that no call can change"


def test_an_interface_of_a_task_on_the_instance_is_named(lab: Lab) -> None:
    """Network mode awsvpc without trunking."""
    lab.build(interfaces=2)
    own, of_task = lab.groups()
    task = Cluster(lab).run(of_task)
    step = lab.respond()
    assert step.status is Status.PARTIAL, step.detail
    assert f"{of_task} is OPEN" in step.detail and stop_of(task) in step.detail
    assert lab.groups() == {own: [QUARANTINE], of_task: ["web"]}
    before = lab.stored_record()["before"]["network"]["interfaces"]
    assert before[of_task]["managed"] == f"managed by Amazon ECS for task {task}"


def test_stopped_tasks_let_the_instance_be_contained(lab: Lab) -> None:
    lab.build(interfaces=2)
    of_task = list(lab.groups())[1]
    attach_trunk(
        lab,
        2,
        description="",
    )
    cluster = Cluster(lab)
    tasks = [cluster.run(of_task), cluster.run(cluster.branch())]
    target = lab.plan()
    assert lab.respond(target).status is Status.PARTIAL
    lab.see("ec2").detach_network_interface(
        AttachmentId=next(
            each["Attachment"]["AttachmentId"]
            for each in lab.see("ec2").describe_network_interfaces(NetworkInterfaceIds=[of_task])[
                "NetworkInterfaces"
            ]
        )
    )
    cluster.stop(tasks[0])
    step = lab.verify(target)
    assert step.status is Status.PARTIAL
    assert stop_of(tasks[1]) in step.detail and stop_of(tasks[0]) not in step.detail
    cluster.stop(tasks[1])
    assert lab.verify(target).status is Status.CONTAINED


def test_a_task_that_is_being_stopped_has_its_interface_still(lab: Lab) -> None:
    lab.build()
    attach_trunk(lab, description="")
    cluster = Cluster(lab)
    task = cluster.run(cluster.branch(), stopping=True)
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert stop_of(task) in step.detail


def test_a_task_without_its_interface_yet_is_named(lab: Lab) -> None:
    lab.build()
    attach_trunk(lab, description="")
    task = Cluster(lab).run()
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert f"the interface of task {task} is not shown yet" in step.detail
    assert stop_of(task) in step.detail


def test_tasks_on_the_interfaces_of_the_instance_are_closed_with_them(lab: Lab) -> None:
    """Network modes bridge and host."""
    lab.build()
    attach_trunk(lab, description="")
    Cluster(lab).run(awsvpc=False)
    step = lab.respond()
    assert step.status is Status.CONTAINED, step.detail


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize("trunk", [True, False])
def test_what_could_not_be_read_is_said_with_the_command_that_lists_tasks(
    lab: Lab, operation: str, trunk: bool
) -> None:
    lab.build(interfaces=2)
    of_task = list(lab.groups())[1]
    cluster = Cluster(lab)
    cluster.run(of_task)
    if trunk:
        attach_trunk(
            lab,
            2,
            description="",
        )
        cluster.run(cluster.branch())
    lab.fail(operation, "AccessDeniedException")
    step = lab.respond()
    assert step.status in (Status.PARTIAL, Status.FAILED)
    checks = lab.ids["checks"]
    assert not checks["tasks of Amazon ECS"].ok
    text = checks["tasks of Amazon ECS"].detail
    assert "AccessDeniedException" in text
    assert "aws ecs list-tasks --cluster CLUSTER --container-instance" in text
    assert f"--filter 'ec2InstanceId == {lab.ids['instance']}'" in text


def test_a_trunk_of_an_instance_that_no_cluster_has_is_not_contained(lab: Lab) -> None:
    """Perhaps it was deregistered by force: its tasks go on then, and no list names them."""
    lab.build()
    trunk = attach_trunk(lab, description="")
    Cluster(lab, registered=False)
    step = lab.respond()
    assert step.status is Status.PARTIAL
    assert "no cluster has" in step.detail and trunk in step.detail


def test_a_trunk_that_only_amazon_ecs_may_change_is_no_failure(lab: Lab) -> None:
    lab.build()
    trunk = attach_trunk(lab, description="")
    Cluster(lab).interfaces.append(trunk)
    step = lab.respond()
    assert step.status is Status.PARTIAL, step.detail
    assert f"{trunk} is OPEN" in step.detail and "trunk interface of Amazon ECS" in step.detail


def test_a_description_alone_keeps_no_interface_open(lab: Lab) -> None:
    """Who may change interfaces may describe one as a task's."""
    lab.build(interfaces=2)
    Cluster(lab)
    for interface in lab.groups():
        describe(interface, "of no task")
    step = lab.respond()
    assert step.status is Status.CONTAINED, step.detail
    assert list(lab.groups().values()) == [[QUARANTINE]] * 2


def test_an_instance_that_is_no_container_instance_is_not_asked_about(lab: Lab) -> None:
    lab.build(interfaces=2)
    attach_trunk(lab, 2)
    assert lab.respond().status is Status.CONTAINED
    assert not set(lab.operations()) & set(READS)


def test_it_is_not_stopped_while_a_task_is_open(lab: Lab) -> None:
    """Its containment is PARTIAL: whoever reaches the task could start the instance again."""
    lab.options |= {"finish": "stop", "snapshot": False}
    lab.build()
    attach_trunk(lab, description="")
    cluster = Cluster(lab)
    task = cluster.run(cluster.branch())
    target = lab.plan()
    assert lab.respond(target).status is Status.PARTIAL
    steps = lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "running"
    assert stop_of(task) in steps[-1].detail
    cluster.stop(task)
    lab.wait(ec2_instance.finish, target)
    assert state_of(lab) == "stopped"
