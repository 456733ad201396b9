"""Finds the tasks that Amazon ECS runs on an instance with interfaces of their own (network mode
awsvpc). The account can neither change nor detach these (Amazon ECS Developer Guide, "Allocate a
network interface for an Amazon ECS task"): only stopping the task ends their traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import describe_error, name_of, run_all
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.ec2_instance.branch_interfaces import all_pages

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient

Entry = TypeVar("Entry")

READ = ("ecs:DescribeTasks", "ecs:ListClusters", "ecs:ListContainerInstances", "ecs:ListTasks")
OF_TASK = "managed by Amazon ECS for task "  # and CLUSTER/TASK
MOST = 100  # tasks in a call of DescribeTasks


class Task(NamedTuple):
    """``name``: CLUSTER/TASK. ``interfaces``: IDs; empty where the task has none yet."""

    name: str
    interfaces: tuple[str, ...]


class Tasks(NamedTuple):
    """``running``: those with interfaces of their own. ``registered``: whether a cluster has the
    instance as a container instance. ``errors``: what could not be read.
    """

    running: list[Task]
    registered: bool
    errors: list[str]


def find(ecs: AwsClient, instance: str) -> Tasks:
    """Returns the tasks of an instance, whichever cluster it belongs to."""
    found = Tasks(
        [],
        False,
        [],
    )
    clusters = _run(
        found,
        {
            "": partial(
                _list,
                ecs.list_clusters,
                "clusterArns",
            )
        },
    )
    of_instance = f"ec2InstanceId == {instance}"
    container_instances = _run(
        found,
        {
            cluster: partial(
                _list,
                partial(
                    ecs.list_container_instances,
                    cluster=cluster,
                    filter=of_instance,
                ),
                "containerInstanceArns",
            )
            for _, cluster in clusters
        },
    )
    # STOPPED are those that are to be stopped, too: until they are, they have their interfaces.
    tasks = _run(
        found,
        {
            f"{cluster} {arn} {status}": partial(
                _list,
                partial(
                    ecs.list_tasks, cluster=cluster, containerInstance=arn, desiredStatus=status
                ),
                "taskArns",
            )
            for cluster, arn in container_instances
            for status in ("RUNNING", "STOPPED")
        },
    )
    by_cluster: dict[str, list[str]] = {}
    for key, arn in tasks:
        by_cluster.setdefault(key.split(" ", 1)[0], []).append(arn)
    described = _run(
        found,
        {
            f"{cluster} {at}": partial(
                _describe,
                ecs,
                cluster,
                arns[at : at + MOST],
            )
            for cluster, arns in by_cluster.items()
            for at in range(
                0,
                len(arns),
                MOST,
            )
        },
    )
    found.running.extend(task for _, task in described if task)
    return found._replace(registered=bool(container_instances))


def stop_command(managed: str, region: str) -> str:
    """Returns the command that stops the task for which an interface is managed; '' where it is
    managed otherwise.
    """
    if not managed.startswith(OF_TASK):
        return ""
    cluster, _, task = managed.removeprefix(OF_TASK).partition("/")
    return f"aws ecs stop-task --cluster {cluster} --task {task} --region {region}"


def list_commands(instance: str, region: str) -> str:
    """Returns the commands that list the tasks of an instance."""
    return (
        f"`aws ecs list-clusters --region {region}`, of each cluster `aws ecs"
        f" list-container-instances --cluster CLUSTER --filter 'ec2InstanceId == {instance}'"
        f" --region {region}`, and `aws ecs list-tasks --cluster CLUSTER --container-instance"
        f" CONTAINER_INSTANCE --region {region}`"
    )


def _run(found: Tasks, calls: dict[str, Callable[[], list[Entry]]]) -> list[tuple[str, Entry]]:
    """Returns (key, entry) of every list. A list that failed is kept among the errors."""
    entries = []
    for key, answer in run_all(calls).items():
        if not isinstance(answer, Exception):
            entries += [(key, entry) for entry in answer]
        elif error_code(answer) != "ClusterNotFoundException":  # deleted meanwhile
            found.errors.append(describe_error(answer))
    return entries


def _list(call: Callable[..., AwsAnswer], key: str) -> list[str]:
    return all_pages(
        call,
        key,
        "nextToken",
    )


def _describe(ecs: AwsClient, cluster: str, arns: list[str]) -> list[Task | None]:
    answer = ecs.describe_tasks(cluster=cluster, tasks=arns)
    for failure in answer.get("failures") or []:
        if failure.get("reason") != "MISSING":  # it has ended meanwhile
            raise ResponseError(f"{failure.get('arn')}: {failure.get('reason')}")
    return [_task(cluster, task) for task in answer["tasks"]]


def _task(cluster: str, task: AwsAnswer) -> Task | None:
    """Returns a task; None: it has stopped, or uses the interfaces of the instance."""
    attached = [
        attachment
        for attachment in task.get("attachments") or []
        if attachment.get("type") in ("ElasticNetworkInterface", "eni")
        and attachment.get("status") != "DELETED"
    ]
    if not attached or task.get("lastStatus") == "STOPPED":
        return None
    ids = tuple(filter(None, map(_interface, attached)))
    return Task(f"{name_of(cluster)}/{name_of(task['taskArn'])}", ids)


def _interface(attachment: AwsAnswer) -> str:
    details = attachment.get("details") or []
    ids = [detail["value"] for detail in details if detail.get("name") == "networkInterfaceId"]
    return str(ids[0]) if ids else ""
