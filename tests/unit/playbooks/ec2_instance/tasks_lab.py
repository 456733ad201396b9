"""Amazon ECS as the response reads it, with an answer's entries on pages of one. moto has neither
the filter of ListContainerInstances nor interfaces of tasks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION, Lab
from tests.unit.playbooks.ec2_instance.shared_network_lab import add_branch

Json = dict[str, Any]
ECS = f"arn:aws:ecs:{REGION}:{MEMBER}"


@dataclass
class Cluster:
    """Clusters of which ``name`` has the lab's instance, and the tasks that run on it."""

    lab: Lab
    name: str = "shop"
    registered: bool = True
    others: tuple[str, ...] = ("batch",)
    tasks: dict[str, Json] = field(default_factory=dict)  # by ARN
    interfaces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lab.answers |= {
            "ListClusters": self._clusters,
            "ListContainerInstances": self._container_instances,
            "ListTasks": self._list,
            "DescribeTasks": self._describe,
        }
        self.lab.fail(
            "ModifyNetworkInterfaceAttribute",
            "AuthFailure",
            lambda params: params["NetworkInterfaceId"] in self.interfaces,
        )

    @property
    def container_instance(self) -> str:
        return f"{ECS}:container-instance/{self.name}/0123456789abcdef0123456789abcdef"

    def run(self, interface: str = "", stopping: bool = False, awsvpc: bool = True) -> str:
        """Runs a task, with an interface of the instance's ("": not there yet); returns its name,
        CLUSTER/TASK.
        """
        id = f"{len(self.tasks):032x}"
        details = [{"name": "subnetId", "value": self.lab.ids["subnet"]}]
        if interface:
            details.append({"name": "networkInterfaceId", "value": interface})
            self.interfaces.append(interface)
            describe(interface, id)
        attachment = {
            "id": id,
            "type": "ElasticNetworkInterface",
            "status": "ATTACHED",
            "details": details,
        }
        arn = f"{ECS}:task/{self.name}/{id}"
        self.tasks[arn] = {
            "taskArn": arn,
            "clusterArn": f"{ECS}:cluster/{self.name}",
            "desiredStatus": "STOPPED" if stopping else "RUNNING",
            "lastStatus": "RUNNING",
            "attachments": [{"type": "AmazonElasticBlockStorage"}, *[attachment] * awsvpc],
        }
        return f"{self.name}/{id}"

    def stop(self, name: str) -> None:
        """Stops a task, as Amazon ECS does: its interface goes with it."""
        task = self.tasks[f"{ECS}:task/{name}"]
        task |= {"desiredStatus": "STOPPED", "lastStatus": "STOPPED"}
        for detail in task["attachments"][-1]["details"]:
            if detail["name"] == "networkInterfaceId":
                ec2_backends[MEMBER][REGION].delete_network_interface(detail["value"])

    def branch(self, subnet: str = "") -> str:
        """Makes the branch interface of a task, which the trunk of the instance carries."""
        return add_branch(
            self.lab,
            "",
            subnet,
            description=f"{ECS}:attachment/branch",
        )

    def _clusters(self, params: Json) -> Json:
        return _page(
            params,
            "clusterArns",
            [self._arn(n) for n in (*self.others, self.name)],
        )

    def _arn(self, name: str) -> str:
        return f"{ECS}:cluster/{name}"

    def _container_instances(self, params: Json) -> Json:
        found = re.fullmatch(r"ec2InstanceId == (i-[0-9a-f]+)", params["filter"])
        assert found and found[1] == self.lab.ids["instance"]
        here = self.registered and params["cluster"] == self._arn(self.name)
        return _page(
            params,
            "containerInstanceArns",
            [self.container_instance] * here,
        )

    def _list(self, params: Json) -> Json:
        assert params["cluster"] == self._arn(self.name)
        assert params["containerInstance"] == self.container_instance
        wanted = params.get("desiredStatus", "RUNNING")
        named = [arn for arn, task in self.tasks.items() if task["desiredStatus"] == wanted]
        return _page(
            params,
            "taskArns",
            named,
        )

    def _describe(self, params: Json) -> Json:
        assert params["cluster"] == self._arn(self.name) and len(params["tasks"]) <= 100
        return {"tasks": [self.tasks[arn] for arn in params["tasks"]], "failures": []}


def describe(interface: str, attachment: str) -> None:
    """Describes an interface as that of a task."""
    node = ec2_backends[MEMBER][REGION].enis[interface]
    node.description = f"{ECS}:attachment/{attachment}"


def _page(params: Json, key: str, entries: list[str]) -> Json:
    at = int(params.get("nextToken") or 0)
    more = {"nextToken": str(at + 1)} if at + 1 < len(entries) else {}
    return {key: entries[at : at + 1], **more}
