"""The VPC flow log records of the instance's interfaces, from wherever its flow logs are delivered.

Layouts of deliveries: Amazon VPC User Guide, "Flow log files" (S3) and "Publish flow logs to
CloudWatch Logs".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail import log_reader
from guardduty_response.cloudtrail.time_range import CALL_SECONDS, Budget, TimeRange, iso
from guardduty_response.containment.target_context import allow, describe_error
from guardduty_response.decision.finding import get
from guardduty_response.errors import TargetGone
from guardduty_response.evidence.items import EvidenceItem, Json, Outcome
from guardduty_response.playbooks.ec2_instance.instance_context import InstanceContext
from guardduty_response.playbooks.ec2_instance.state import describe, filters

NAME = "network_logs"
MOST_SECONDS = 24 * 3600  # of a window; of a longer one the newest part is read
MOST_PAGES, PAGES_A_CALL = 60, 15  # of FilterLogEvents, 10,000 records or 1 MB each, per flow log
MOST_OBJECTS, MOST_BYTES = 300, 256 << 20  # of a delivery to S3, as delivered, per flow log
DELIVERY_SECONDS = 300  # beside the aggregation interval: until a record is delivered


def run(instance: InstanceContext, before: Json) -> EvidenceItem:
    """State: {window, who: {ids, addresses}, sources: [{id, kind, …, done, note}], round, late}."""
    if not instance.options.get("copy_logs", True):
        return EvidenceItem(Outcome.SKIPPED, "switched off (copy_logs)")
    state: Json = deepcopy(before.get("state") or {})
    window = TimeRange.of(instance, state)
    if "sources" not in state:
        absent = _discover(instance, state)
        if absent:
            return absent
    objects: list[Json] = list(before.get("objects") or [])
    until = time.monotonic() + CALL_SECONDS
    for source in state["sources"]:
        if not source.get("done") and time.monotonic() < until:
            objects += _read(instance, state, source, _narrow(window, state))
    if not all(source.get("done") for source in state["sources"]):
        return EvidenceItem(Outcome.RUNNING, _text(state, window), 1, objects, state=state)
    return _late(instance, state, window, objects) or _end(instance, state, window, objects)


def _narrow(window: TimeRange, state: Json) -> TimeRange:
    # the second round: what was not delivered yet, and what has happened since
    if state.get("round"):
        return TimeRange(window.end - _lag(state), int(state["round"]))
    return TimeRange(max(window.start, window.end - MOST_SECONDS), window.end)


def _read_until(state: Json) -> int:
    """When the first round began: what was delivered since is what the second is for."""
    return int(state["window"][1])


def _lag(state: Json) -> int:
    return (
        max((int(source.get("interval", 600)) for source in state["sources"]), default=600)
        + DELIVERY_SECONDS
    )


# -- which flow logs -------------------------------------------------------------------------------


def _discover(instance: InstanceContext, state: Json) -> EvidenceItem | None:
    """The flow logs of the instance's interfaces, subnets and VPCs into ``state``; a Part when
    there are none.
    """
    ec2 = instance.open_session(
        allow(("ec2:DescribeFlowLogs", "ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces"))
    ).client("ec2")
    interfaces = _interfaces(instance, ec2)
    ids, subnets, vpcs = (
        sorted({interface[key] for interface in interfaces if interface[key]})
        for key in ("id", "subnet", "vpc")
    )
    state["who"] = {
        "ids": ids,
        "addresses": sorted(
            {address for interface in interfaces for address in interface["addresses"]}
        ),
    }
    request: Json = {"Filters": [{"Name": "resource-id", "Values": [*ids, *subnets, *vpcs]}]}
    found: list[Json] = []
    while ids:
        got = ec2.describe_flow_logs(**request)
        found += got["FlowLogs"]
        if not got.get("NextToken"):
            break
        request["NextToken"] = got["NextToken"]
    state["sources"] = [_source(instance, flow_log) for flow_log in found]
    if found:
        return None
    if not ids:
        return EvidenceItem(
            Outcome.NOT_POSSIBLE,
            f"the network interfaces of {instance.id} are not known: no flow log can be looked for",
        )
    vpc = " ".join(vpcs) or "VPC"
    hand = (
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
        task=f"switch flow logs on for {vpc}, for the next time: {hand}",
        state=state,
    )


def _interfaces(instance: InstanceContext, ec2: Any) -> list[Json]:
    """The interfaces as attached now; of an instance that is gone, as the finding has them."""
    got = ec2.describe_network_interfaces(
        Filters=filters(**{"attachment.instance-id": instance.id})
    )["NetworkInterfaces"]
    if not got:
        try:
            got = describe(instance, ec2).get("NetworkInterfaces") or []
        except TargetGone:
            got = []
    out = [
        {
            "id": described["NetworkInterfaceId"],
            "subnet": described.get("SubnetId", ""),
            "vpc": described.get("VpcId", ""),
            "addresses": [
                str(ip.get("PrivateIpAddress") or ip.get("Ipv6Address"))
                for ip in [
                    *(described.get("PrivateIpAddresses") or []),
                    *(described.get("Ipv6Addresses") or []),
                ]
            ],
        }
        for described in got
    ]
    said = get(instance.context.finding.detail, "resource", "instanceDetails", "networkInterfaces")
    if not out and isinstance(said, list):
        out = [
            {
                "id": str(get(named, "networkInterfaceId") or ""),
                "subnet": str(get(named, "subnetId") or ""),
                "vpc": str(get(named, "vpcId") or ""),
                "addresses": [str(get(named, "privateIpAddress") or "")],
            }
            for named in said
        ]
    return [interface for interface in out if interface["id"]]


def _source(instance: InstanceContext, flow: Json) -> Json:
    """What is to be read of one flow log; ``done`` with a ``note`` when it cannot be."""
    kind, where = (
        flow.get("LogDestinationType", "cloud-watch-logs"),
        str(flow.get("LogDestination") or ""),
    )
    out: Json = {
        "id": flow["FlowLogId"],
        "of": flow.get("ResourceId", ""),
        "interval": flow.get("MaxAggregationInterval", 600),
        "records": 0,
        "files": 0,
        "warn": "",
    }
    if flow.get("TrafficType") not in (None, "ALL"):
        out["warn"] = f"it logs {flow['TrafficType']} traffic only"
    if flow.get("DeliverLogsStatus") == "FAILED":
        out["warn"] += (
            f" its delivery fails: {flow.get('DeliverLogsErrorMessage', 'AWS gives no reason')}"
        )
    if kind == "s3":
        bucket, prefix = log_reader.bucket_of(where)
        options = flow.get("DestinationOptions") or {}
        return {
            **out,
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
    if kind != "cloud-watch-logs":
        return {
            **out,
            "done": True,
            "note": (
                f"delivered by {kind} ({where}), which is not read: look in its own destination"
            ),
        }
    arn = (
        where
        or f"arn:{instance.context.config.partition}:logs:{instance.target.region}:"
        f"{instance.target.account_id}:log-group:{flow['LogGroupName']}"
    )
    if arn.split(":")[3:5] != [instance.target.region, instance.target.account_id]:
        return {
            **out,
            "done": True,
            "note": (
                f"delivered to {arn}, a log group of another account or Region, which is not read"
            ),
        }
    return {
        **out,
        "kind": "group",
        "arn": arn.removesuffix(":*"),
        "stream": 0,
        "token": "",
        "pages": 0,
    }


# -- reading ---------------------------------------------------------------------------------------


def _read(instance: InstanceContext, state: Json, source: Json, window: TimeRange) -> list[Json]:
    """One call's share of one flow log; returns what was stored."""
    try:
        return (
            _group(instance, state, source, window)
            if source["kind"] == "group"
            else _bucket(instance, state, source, window)
        )
    except ClientError as error:
        if is_transient(error):
            raise
        where = (
            f"bucket {source['bucket']}"
            if source["kind"] == "bucket"
            else f"log group {source['arn'].split(':')[-1]}"
        )
        source |= {
            "done": True,
            "note": f"{where} cannot be read ({describe_error(error)}): "
            "its owner has to give the records",
        }
        return []


def _store(
    instance: InstanceContext, state: Json, source: Json, content: bytes, ending: str, what: str
) -> list[Json]:
    source["files"] += 1
    late = "-late" if state.get("round") else ""
    name = f"{instance.id}/flow-logs/{source['id']}{late}-{source['files']:03}.{ending}"
    return [{**instance.context.put_evidence(name, content), "what": what}]


def _group(instance: InstanceContext, state: Json, source: Json, window: TimeRange) -> list[Json]:
    client, lines = log_reader.group_client(instance, source["arn"]), list[str]()
    since = _read_until(state) * 1000 if state.get("round") else 0
    budget = Budget.start(min(MOST_PAGES, source["pages"] + PAGES_A_CALL), source["pages"])
    ids: list[str] = state["who"]["ids"]
    while source["stream"] < len(ids) and budget.more():
        prefix = f"{ids[source['stream']]}-"
        request: Json = {
            "logGroupName": source["arn"].split(":log-group:")[1],
            "logStreamNamePrefix": prefix,
            "startTime": window.start * 1000,
            "endTime": window.end * 1000,
        }
        if source["token"]:
            request["nextToken"] = source["token"]

        def take(event: Json, prefix: str = prefix) -> None:
            if (
                str(event.get("logStreamName", "")).startswith(prefix)
                and event.get("ingestionTime", since) >= since
            ):
                lines.append(
                    log_reader.jsonl(
                        {key: event.get(key) for key in ("logStreamName", "timestamp", "message")}
                    )
                )

        source["token"] = log_reader.filter_events(client, request, budget, take)
        source["stream"] += 0 if source["token"] else 1
    source["pages"], source["records"] = budget.pages, source["records"] + len(lines)
    source["done"] = source["stream"] >= len(ids)
    if not source["done"] and budget.pages >= MOST_PAGES:
        source |= {"done": True, "cut": f"cut off after {MOST_PAGES} pages"}
    what = f"flow log records of {source['id']} from CloudWatch Logs, {window}"
    return (
        _store(instance, state, source, log_reader.gzip_lines(lines), "jsonl.gz", what)
        if lines
        else []
    )


def _prefixes(instance: InstanceContext, source: Json, window: TimeRange) -> list[str]:
    """Where S3 holds the window's objects of one flow log, as far as the names of its objects
    go.
    """
    account, region, out = instance.target.account_id, instance.target.region, []
    name = f"{account}_vpcflowlogs_{region}_{source['id']}_"
    for at in window.days(source["hourly"]):
        if source["hive"]:
            path = (
                f"AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/"
                f"aws-region={region}/{at:year=%Y/month=%m/day=%d}/"
            )
            path += f"{at:hour=%H}/" if source["hourly"] else ""
        else:
            path = f"AWSLogs/{account}/vpcflowlogs/{region}/{at:%Y/%m/%d}/" + (
                f"{at:%H}/" if source["hourly"] else ""
            )
        out.append(f"{source['prefix']}{path}{name}")
    return out


def _bucket(instance: InstanceContext, state: Json, source: Json, window: TimeRange) -> list[Json]:
    account, lines, out = instance.target.account_id, list[str](), list[Json]()
    roots = [
        f"{source['prefix']}AWSLogs/{part}"
        for part in (f"{account}/vpcflowlogs/", f"aws-account-id={account}/")
    ]
    s3, prefixes = (
        log_reader.bucket_client(instance, source["bucket"], roots),
        _prefixes(instance, source, window),
    )
    until = time.monotonic() + CALL_SECONDS

    def read(prefix: str) -> bool:
        """False: this call has done its share, or the flow log its own."""
        for stored in log_reader.list_objects(
            s3, source["bucket"], prefix, source["after"], window
        ):
            if state.get("round") and stored["LastModified"].timestamp() < _read_until(state):
                continue  # read in the first round
            if source["objects"] >= MOST_OBJECTS or source["bytes"] + stored["Size"] > MOST_BYTES:
                source["cut"] = (
                    f"cut off after {source['objects']} objects of {source['bytes']} bytes, at"
                    f" {stored['Key']}"
                )
                return False
            if source["parquet"]:
                content = s3.get_object(Bucket=source["bucket"], Key=stored["Key"])["Body"].read()
                out.extend(
                    _store(
                        instance,
                        state,
                        source,
                        content,
                        "parquet",
                        f"flow log records as delivered, all of it: {stored['Key']}",
                    )
                )
            else:
                lines.extend(
                    keep(
                        log_reader.read_lines(s3, source["bucket"], stored["Key"]),
                        state["who"],
                        header=not lines,
                    )
                )
            source.update(
                objects=source["objects"] + 1,
                bytes=source["bytes"] + stored["Size"],
                after=stored["Key"],
            )
            if time.monotonic() >= until or sum(map(len, lines)) > log_reader.OBJECT_BYTES:
                return False
        source.update(period=source["period"] + 1, after="")
        return True

    while (
        source["period"] < len(prefixes)
        and time.monotonic() < until
        and read(prefixes[source["period"]])
    ):
        pass
    source["done"] = bool(source.get("cut")) or source["period"] >= len(prefixes)
    if len(lines) > 1:  # more than the header
        source["records"] += len(lines) - 1
        out += _store(
            instance,
            state,
            source,
            log_reader.gzip_lines(lines),
            "log.gz",
            f"flow log records of {source['id']} from S3, {window}",
        )
    return out


def keep(lines: Iterable[str], who: Json, header: bool) -> Iterator[str]:
    """The lines of these interfaces (where the format has no interface: of their addresses),
    below the header if asked for.
    """
    lines = iter(lines)
    first = next(lines, "")
    names = first.split()
    fields = [index for index, name in enumerate(names) if name == "interface-id"]
    wanted = set(who["ids"])
    if not fields:
        fields = [
            index
            for index, name in enumerate(names)
            if name in ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")
        ]
        wanted = set(who["addresses"])
    if header and first:
        yield first
    for line in lines:
        values = line.split()
        if not fields or any(index < len(values) and values[index] in wanted for index in fields):
            yield line


# -- the end ---------------------------------------------------------------------------------------


def _late(
    instance: InstanceContext, state: Json, window: TimeRange, objects: list[Json]
) -> EvidenceItem | None:
    """One more round for what was not delivered yet, only as long as other evidence is still
    being collected.
    """
    readable = [source for source in state["sources"] if not source.get("note")]
    wait = (
        log_reader.wait_for_late_events(instance, NAME, state, window.end + _lag(state))
        if readable
        else None
    )
    if wait is None:
        return None
    if wait:
        return EvidenceItem(
            Outcome.RUNNING,
            f"{_text(state, window)}; asked once more for late records",
            wait,
            objects,
            state=state,
        )
    for source in readable:
        source |= {
            "done": False,
            "stream": 0,
            "token": "",
            "pages": 0,
            "period": 0,
            "after": "",
            "objects": 0,
            "bytes": 0,
        }
    return EvidenceItem(
        Outcome.RUNNING, f"{_text(state, window)}; asking for late records", 1, objects, state=state
    )


def _text(state: Json, window: TimeRange) -> str:
    said = []
    for source in state["sources"]:
        read = "as delivered" if source.get("parquet") else f"{source['records']} records"
        more = [
            text for text in (source.get("note"), source.get("cut"), source["warn"].strip()) if text
        ]
        said.append(
            f"{source['id']} of {source['of']}: "
            + "; ".join([*([] if source.get("note") else [read]), *more])
        )
    until = iso(state.get("round") or window.end)
    start = max(window.start, window.end - MOST_SECONDS)
    return (
        f"{'. '.join(said)}. From {iso(start)} to {until}, without what AWS had not delivered by"
        " then"
    )


def _end(
    instance: InstanceContext, state: Json, window: TimeRange, objects: list[Json]
) -> EvidenceItem:
    sources, text = state["sources"], _text(state, window)
    left = [source for source in sources if source.get("note") or source.get("cut")]
    if window.end - window.start > MOST_SECONDS:
        text += f". The window began at {iso(window.start)}: older records were left where they are"
    tasks = [_by_hand(instance, source, window) for source in left]
    if window.end - window.start > MOST_SECONDS and not tasks:
        tasks = [_by_hand(instance, source, window) for source in sources]
    outcome = Outcome.COMPLETE if not tasks else Outcome.PARTIAL
    if all(source.get("note") for source in sources):
        outcome = Outcome.NOT_POSSIBLE
    task = (
        f"copy the flow log records of {', '.join(state['who']['ids'])}: {'; '.join(tasks)}"
        if tasks
        else ""
    )
    return EvidenceItem(outcome, text, 0, objects, task, state)


def _by_hand(instance: InstanceContext, source: Json, window: TimeRange) -> str:
    if source.get("kind") == "bucket":
        path = f"s3://{source['bucket']}/{source['prefix']}AWSLogs/"
        return f"aws s3 cp --recursive {path} . --exclude '*' --include '*{source['id']}*'"
    if source.get("kind") == "group":
        return (
            f"aws logs filter-log-events --log-group-name {source['arn'].split(':log-group:')[1]}"
            f" --log-stream-name-prefix ENI- --start-time {window.start * 1000} --end-time"
            f" {window.end * 1000} --region {instance.target.region}"
        )
    return f"{source['id']} is {source['note']}"
