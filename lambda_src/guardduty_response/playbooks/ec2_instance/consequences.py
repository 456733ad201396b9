"""Says, before anything is done, what containing and finishing an instance takes from others: from
the pods or tasks on it, from subnets that it routes for, from the clients of a target group.

What the plan reads anyway is not read again. The other reads run beside those, so that they delay
no containment. What could not be read is said as unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.aws import clients
from guardduty_response.containment.target_context import AWS_ERRORS, Sessions, describe_error
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.instance_control import InstanceControl
from guardduty_response.playbooks.ec2_instance.state import InstanceState, filters
from guardduty_response.playbooks.ec2_instance.traffic import Deregister, Scaling

if TYPE_CHECKING:
    from concurrent.futures import Future

    from guardduty_response.aws.api import AwsAnswer

READ = (
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeRouteTables",
    "autoscaling:DescribeAutoScalingGroups",
)
SHOWN = 8  # names of a list; a line of the action log has 1,000 characters
# Tags that name the cluster of a Kubernetes node: as the value, or as the end of the key.
_CLUSTER_TAGS = (
    "eks:cluster-name",
    "aws:eks:cluster-name",
    "eks:eks-cluster-name",
    "alpha.eksctl.io/cluster-name",
    "KubernetesCluster",
)
_CLUSTER_KEYS = ("kubernetes.io/cluster/", "k8s.io/cluster/")
_NODE_GROUP_TAGS = (
    "eks:nodegroup-name",
    "alpha.eksctl.io/nodegroup-name",
    "karpenter.sh/nodepool",
)
# Amazon ECS puts the first on instances of its capacity providers; its own tags begin so.
_ECS_TAG, _ECS_KEYS, _ECS_ROLE = "AmazonECSManaged", "aws:ecs:", "ecsInstanceRole"
_SCALING_TAG = "aws:autoscaling:groupName"


class Consequences:
    """What containing an instance means for others. The reads are under way when this is made."""

    def __init__(
        self, instance: InstanceContext, current: InstanceState, sessions: Sessions
    ) -> None:
        self.instance, self.current = instance, current
        ec2, described = sessions.client("ec2"), current.instance
        self.finish = str(instance.options["finish"])
        self.reads: dict[str, Future[AwsAnswer]] = {}
        kind = described.get("InstanceType")
        if self.finish != "none" and kind and not self._rooted_in_store():
            types = partial(ec2.describe_instance_types, InstanceTypes=[kind])
            self.reads["types"] = clients.POOL.submit(types)
        if self._forwards():
            routes = partial(
                ec2.describe_route_tables, Filters=filters(**{"route.instance-id": instance.id})
            )
            self.reads["routes"] = clients.POOL.submit(routes)
        if group := current.tags.get(_SCALING_TAG):
            groups = sessions.client("autoscaling").describe_auto_scaling_groups
            self.reads["scaling"] = clients.POOL.submit(
                partial(groups, AutoScalingGroupNames=[group])
            )

    def text(self, controls: Iterable[InstanceControl]) -> str:
        """Returns what people must know before they approve; '' when nothing. ``controls`` have
        read their settings.
        """
        by_item = {control.item: control for control in controls}
        deregister, scaling = by_item[Deregister.item], by_item[Scaling.item]
        assert isinstance(deregister, Deregister)
        assert isinstance(scaling, Scaling)
        said = [
            *self._node(),
            *self._tasks(),
            *self._routed(),
            *self._targets(deregister),
            *self._replacement(scaling),
            *self._lost(),
        ]
        return "; ".join(said)

    # -- who runs on it ----------------------------------------------------------------------------

    def _node(self) -> list[str]:
        tags = self.current.tags
        clusters = {tags[key] for key in _CLUSTER_TAGS if tags.get(key)}
        for start in _CLUSTER_KEYS:
            clusters |= {key.removeprefix(start) for key in tags if key.startswith(start)}
        groups = {tags[key] for key in _NODE_GROUP_TAGS if tags.get(key)}
        if not (clusters or groups):
            return []
        where = f" of cluster {', '.join(sorted(clusters))}" if clusters else ""
        where += f" (node group {', '.join(sorted(groups))})" if groups else ""
        branches = sum(interface.branch for interface in self.current.interfaces)
        own = f", also the {branches} with interfaces of their own" if branches else ""
        node = self._node_name()
        return [
            f"Kubernetes node{where}: every pod on it loses its network{own}. Which pods is unknown"
            f" here: kubectl get pods -A --field-selector spec.nodeName={node}. To move them"
            f" first, drain it: kubectl drain {node} --ignore-daemonsets --delete-emptydir-data"
        ]

    def _node_name(self) -> str:
        interfaces = self.current.instance.get("NetworkInterfaces") or [{}]
        return str(interfaces[0].get("PrivateDnsName") or "NODE")

    def _tasks(self) -> list[str]:
        tags = self.current.tags
        role = (self.current.settings.get("profile") or {}).get("role") or ""
        if not (
            _ECS_TAG in tags
            or any(key.startswith(_ECS_KEYS) for key in tags)
            or role.endswith(f"/{_ECS_ROLE}")
            or self.current.for_tasks
        ):
            return []
        cluster = tags.get("aws:ecs:clusterName") or "CLUSTER"
        return [
            "ECS container instance: every task on it loses its network. Which tasks is unknown"
            f" here: aws ecs list-container-instances --cluster {cluster} --filter 'ec2InstanceId"
            f" == {self.instance.id}'. To move them first, drain it: aws ecs"
            f" update-container-instances-state --cluster {cluster} --container-instances ARN"
            " --status DRAINING"
        ]

    # -- whom it serves ----------------------------------------------------------------------------

    def _forwards(self) -> bool:
        interfaces = self.current.instance.get("NetworkInterfaces") or []
        return any(interface.get("SourceDestCheck") is False for interface in interfaces)

    def _routed(self) -> list[str]:
        if not self._forwards():
            return []
        tables, error = self._answer("routes", "RouteTables")
        what = "it forwards the traffic of others, as a NAT or appliance instance does"
        what = f"{what} (its source/destination check is off)"
        if error:
            return [f"{what}: which subnets lose their way out is unknown ({error})"]
        if not tables:
            return [f"{what}; no route table that this account sees routes to it"]
        return [f"{what}: {self._subnets(tables)} lose their routes by it"]

    def _subnets(self, tables: list[AwsAnswer]) -> str:
        """Returns who is routed to the instance, and for which destinations."""
        found = []
        for table in sorted(tables, key=lambda table: str(table["RouteTableId"])):
            subnets, main = set(), ""
            for association in table.get("Associations") or []:
                subnets |= {association.get("SubnetId") or ""} - {""}
                if association.get("Main"):
                    main = f"every subnet of {table.get('VpcId')} without a route table of its own"
            who = [*([f"subnets {_listed(subnets)}"] if subnets else []), *([main] if main else [])]
            routes = {
                str(
                    route.get("DestinationCidrBlock")
                    or route.get("DestinationIpv6CidrBlock")
                    or route.get("DestinationPrefixListId")
                )
                for route in table.get("Routes") or []
                if self._is_by_it(route)
            }
            by = f"{table['RouteTableId']}: {_listed(routes)}"
            found.append(f"{' and '.join(who) or 'no subnet'} ({by})")
        return ", ".join(found)

    def _is_by_it(self, route: AwsAnswer) -> bool:
        own = {interface.id for interface in self.current.interfaces}
        by_interface = route.get("NetworkInterfaceId") in own
        return by_interface or route.get("InstanceId") == self.instance.id

    def _targets(self, control: Deregister) -> list[str]:
        unknown = "whether it is the last healthy target of a target group is unknown"
        if not control.enabled:
            return [f"{unknown} (deregister_targets is off)"]
        if error := self.current.read_errors.get(control.item):
            return [f"{unknown} ({error})"]
        if not control.last_healthy:
            return []
        names = _listed(arn.split("/")[1] for arn in control.last_healthy)
        return [f"no other target of target group {names} is healthy: its clients lose the service"]

    # -- who takes its place -----------------------------------------------------------------------

    def _replacement(self, control: Scaling) -> list[str]:
        group = self.current.tags.get(_SCALING_TAG) or ""
        if not control.enabled and group:
            stays = f"it stays in Auto Scaling group {group} (auto_scaling is none)"
            return [f"{stays}, which may terminate it once a health check fails"]
        if error := self.current.read_errors.get(control.item):
            return [f"whether an Auto Scaling group launches a replacement is unknown ({error})"]
        return [self._launch(name) for name in control.pending]

    def _launch(self, group: str) -> str:
        """Says whether an Auto Scaling group launches a replacement when the instance leaves it."""
        answer, error = self._answer("scaling", "AutoScalingGroups")
        found = [each for each in answer if each["AutoScalingGroupName"] == group]
        if not found:
            why = error or "DescribeAutoScalingGroups does not show it"
            return f"whether Auto Scaling group {group} launches a replacement is unknown ({why})"
        suspended = {each["ProcessName"] for each in found[0].get("SuspendedProcesses") or []}
        if "Launch" in suspended:
            return (
                f"Auto Scaling group {group} launches no replacement: its process Launch is"
                " suspended"
            )
        return f"Auto Scaling group {group} launches a replacement"

    # -- what is lost with it ----------------------------------------------------------------------

    def _rooted_in_store(self) -> bool:
        return bool(self.current.instance.get("RootDeviceType") == "instance-store")

    def _lost(self) -> list[str]:
        said = []
        if self.current.spot:
            said.append(
                "Spot instance: EC2 may reclaim it at any moment; its volumes are kept then, its"
                " memory is lost"
            )
            if self.finish == "stop":
                said.append(
                    "EC2 refuses to stop the instance of a one-time Spot request: it then stays"
                    " running, contained"
                )
        if self._rooted_in_store():
            said.append(
                "its root is an instance-store volume: no snapshot can keep it, and it cannot be"
                " stopped"
            )
        elif "types" in self.reads:
            kind = self.current.instance["InstanceType"]
            types, error = self._answer("types", "InstanceTypes")
            if not types:
                why = error or "EC2 does not describe it"
                said.append(f"whether {kind} has instance-store volumes could not be read ({why})")
            elif types[0].get("InstanceStorageSupported"):
                said.append(
                    f"{kind} has instance-store volumes, which no snapshot keeps: {self.finish} is"
                    " left to a person"
                )
        if self.finish == "terminate":
            said.append(
                "terminating cannot be undone; it is done only once the snapshots are complete and"
                " readable"
            )
        return said

    def _answer(self, read: str, key: str) -> tuple[list[AwsAnswer], str]:
        """Returns what a read answered, and why it could not be read ('': it could)."""
        if read not in self.reads:
            return [], ""
        try:
            return list(self.reads[read].result()[key]), ""
        except AWS_ERRORS as error:
            return [], describe_error(error)


def _listed(names: Iterable[str]) -> str:
    """Returns names in order, the first of many."""
    ordered = sorted(names)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more
