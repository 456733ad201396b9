"""Finds the flow logs of an instance's interfaces, subnets and VPCs, and where each is delivered.

What is found here is read by ``flow_log_reader``. Fields: Amazon EC2 API Reference, "FlowLog".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from guardduty_response.cloudtrail import log_reader
from guardduty_response.containment.target_context import allow
from guardduty_response.decision.finding import get
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Outcome
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import describe, filters

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient

DEFAULT_INTERVAL = 600  # seconds of aggregation, where a flow log does not say


class InterfaceNames(TypedDict):
    """What the records of the instance are recognised by."""

    ids: list[str]
    addresses: list[str]


class InterfacePlace(TypedDict):
    """One interface of the instance: what a flow log of it may be attached to."""

    id: str
    subnet: str
    vpc: str
    addresses: list[str]


class FlowLogSource(TypedDict, total=False):
    """One flow log, what is to be read of it, and how far that is; kept between calls.

    ``note``: why it cannot be read. ``cut``: where reading stopped at a limit. ``warn``: what is
    wrong with the flow log itself. ``kind``: ``bucket`` or ``group``; each has fields of its own.
    """

    id: str
    of: str
    interval: int
    records: int
    files: int
    warn: str
    done: bool
    note: str
    cut: str
    kind: str
    # a bucket
    bucket: str
    prefix: str
    period: int
    after: str
    bytes: int
    objects: int
    parquet: bool
    hive: bool
    hourly: bool
    # a log group
    arn: str
    stream: int
    token: str
    pages: int


class NetworkLogsState(TypedDict, total=False):
    """What the evidence item ``network_logs`` keeps between calls.

    ``window``: start and end, in seconds since 1970. ``round``: when the pass for late records
    began.
    """

    window: list[int]
    who: InterfaceNames
    sources: list[FlowLogSource]
    round: int
    late: bool


def discover(instance: InstanceContext, state: NetworkLogsState) -> EvidenceItem | None:
    """Puts the flow logs of the instance's interfaces, subnets and VPCs into ``state``.

    Returns the finished evidence item when there are none.
    """
    ec2 = instance.open_session(
        allow(("ec2:DescribeFlowLogs", "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces"))
    ).client("ec2")
    interfaces = _interfaces(instance, ec2)
    ids = sorted({interface["id"] for interface in interfaces})
    subnets = sorted({interface["subnet"] for interface in interfaces} - {""})
    vpcs = sorted({interface["vpc"] for interface in interfaces} - {""})
    addresses = {address for interface in interfaces for address in interface["addresses"]}
    state["who"] = {"ids": ids, "addresses": sorted(addresses)}
    if not ids:
        state["sources"] = []
        return EvidenceItem(
            Outcome.NOT_POSSIBLE,
            f"the network interfaces of {instance.id} are not known: no flow log can be looked for",
        )
    flow_logs = _flow_logs(ec2, [*ids, *subnets, *vpcs])
    state["sources"] = [_source(instance, flow_log) for flow_log in flow_logs]
    return None if flow_logs else _absent(instance, " ".join(vpcs) or "VPC", state)


def _flow_logs(ec2: AwsClient, resources: list[str]) -> list[AwsAnswer]:
    request: dict[str, object] = {"Filters": [{"Name": "resource-id", "Values": resources}]}
    flow_logs: list[AwsAnswer] = []
    while True:
        page = ec2.describe_flow_logs(**request)
        flow_logs += page["FlowLogs"]
        if not page.get("NextToken"):
            return flow_logs
        request["NextToken"] = page["NextToken"]


def _absent(instance: InstanceContext, vpc: str, state: NetworkLogsState) -> EvidenceItem:
    command = (
        f"aws ec2 create-flow-logs --resource-type VPC --resource-ids {vpc} --traffic-type ALL"
        " --log-destination-type s3 --log-destination "
        f"arn:{instance.context.config.partition}:s3:::BUCKET"
        f" --max-aggregation-interval 60 --region {instance.target.region}"
    )
    text = (
        f"no flow logs: neither {vpc} nor its subnets or interfaces had them on, so who it talked"
        " to is not recorded"
    )
    return EvidenceItem(
        Outcome.NOT_POSSIBLE,
        text,
        task=f"switch flow logs on for {vpc}, for the next time: {command}",
        state=state,
    )


def _interfaces(instance: InstanceContext, ec2: AwsClient) -> list[InterfacePlace]:
    """Returns the interfaces attached now; of an instance that is gone, those of the finding."""
    attached = filters(**{"attachment.instance-id": instance.id})
    described = ec2.describe_network_interfaces(Filters=attached)["NetworkInterfaces"]
    if not described:
        try:
            described = describe(instance, ec2).get("NetworkInterfaces") or []
        except TargetGone:
            described = []
    interfaces = [_place(interface) for interface in described] or _interfaces_of_finding(instance)
    return [interface for interface in interfaces if interface["id"]]


def _place(described: AwsAnswer) -> InterfacePlace:
    private = [
        *(described.get("PrivateIpAddresses") or []),
        *(described.get("Ipv6Addresses") or []),
    ]
    return {
        "id": described["NetworkInterfaceId"],
        "subnet": described.get("SubnetId", ""),
        "vpc": described.get("VpcId", ""),
        "addresses": [
            str(address.get("PrivateIpAddress") or address.get("Ipv6Address"))
            for address in private
        ],
    }


def _interfaces_of_finding(instance: InstanceContext) -> list[InterfacePlace]:
    named = get(instance.context.finding.detail, "resource", "instanceDetails", "networkInterfaces")
    if not isinstance(named, list):
        return []
    return [
        {
            "id": str(get(interface, "networkInterfaceId") or ""),
            "subnet": str(get(interface, "subnetId") or ""),
            "vpc": str(get(interface, "vpcId") or ""),
            "addresses": [str(get(interface, "privateIpAddress") or "")],
        }
        for interface in named
    ]


def _source(instance: InstanceContext, flow_log: AwsAnswer) -> FlowLogSource:
    """Says what is to be read of one flow log; ``done`` with a ``note`` when it cannot be read."""
    destination_type = flow_log.get("LogDestinationType", "cloud-watch-logs")
    destination = str(flow_log.get("LogDestination") or "")
    source: FlowLogSource = {
        "id": flow_log["FlowLogId"],
        "of": flow_log.get("ResourceId", ""),
        "interval": flow_log.get("MaxAggregationInterval", DEFAULT_INTERVAL),
        "records": 0,
        "files": 0,
        "warn": _warning(flow_log),
    }
    if destination_type == "s3":
        _read_from_bucket(source, destination, flow_log.get("DestinationOptions") or {})
    elif destination_type == "cloud-watch-logs":
        arn = destination or (
            f"arn:{instance.context.config.partition}:logs:{instance.target.region}:"
            f"{instance.target.account_id}:log-group:{flow_log['LogGroupName']}"
        )
        _read_from_group(instance, source, arn)
    else:
        source["done"] = True
        source["note"] = (
            f"delivered by {destination_type} ({destination}), which is not read: look in its own"
            " destination"
        )
    return source


def _warning(flow_log: AwsAnswer) -> str:
    warning = ""
    if flow_log.get("TrafficType") not in (None, "ALL"):
        warning = f"it logs {flow_log['TrafficType']} traffic only"
    if flow_log.get("DeliverLogsStatus") == "FAILED":
        reason = flow_log.get("DeliverLogsErrorMessage", "AWS gives no reason")
        warning += f" its delivery fails: {reason}"
    return warning


def _read_from_bucket(source: FlowLogSource, destination: str, options: AwsAnswer) -> None:
    bucket, prefix = log_reader.bucket_of(destination)
    source.update(
        {
            "kind": "bucket",
            "bucket": bucket,
            "prefix": prefix,
            "period": 0,
            "after": "",
            "bytes": 0,
            "objects": 0,
            "parquet": options.get("FileFormat") == "parquet",
            "hive": bool(options.get("HiveCompatiblePartitions")),
            "hourly": bool(options.get("PerHourPartition")),
        }
    )


def _read_from_group(instance: InstanceContext, source: FlowLogSource, arn: str) -> None:
    if arn.split(":")[3:5] != [instance.target.region, instance.target.account_id]:
        source["done"] = True
        source["note"] = (
            f"delivered to {arn}, a log group of another account or Region, which is not read"
        )
        return
    source.update(
        {"kind": "group", "arn": arn.removesuffix(":*"), "stream": 0, "token": "", "pages": 0}
    )
