"""What the end-to-end tests do and see: findings in, incidents, messages and the resources
themselves out.

Resources are read with boto3 clients of the account's root user, which share nothing with the
response.
"""

from __future__ import annotations

import copy
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox import findings, lifecycle, seed, settings
from sandbox.clients import Aws
from sandbox.executions import Answers, Execution
from sandbox.state import State
from tests.support.repository import load_finding

Json = dict[str, Any]
T = TypeVar("T")
SECURITY, MEMBER, MEMBER_B = (
    settings.SECURITY_ACCOUNT,
    settings.MEMBER_ACCOUNT,
    settings.SECOND_MEMBER_ACCOUNT,
)
HOME, AWAY = settings.REGIONS
MINING = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
PREFIX = "guardduty-response"
IN_PROGRESS = {"OPEN", "CONTAINING"}
# Lines of the ledger that say what was collected, beside those of what was changed.
EVIDENCE = {
    "api_calls",
    "copies",
    "forensics",
    "instance",
    "manifest",
    "network_logs",
    "replacement",
}
# How much faster than AWS time passes: Wait states and retries; time-outs; every 5-minute schedule
# each 3 s.
WAITS, TIMEOUTS, RATES = 0.05, 0.05, 0.01
PATIENCE = 2  # other tests run beside these on the same cores


@dataclass
class Seen:
    """An instance and what surrounds it, as boto3 reads it now. ``interfaces``: id -> groups;
    ``rules``: group -> its rules.
    """

    instance: Json
    interfaces: dict[str, list[str]]
    rules: dict[str, list[Json]]
    profile: str | None
    role_policies: dict[str, Json]
    scaling_group: str | None
    targets: dict[str, str]
    attributes: dict[str, Any]
    keeps_volumes: dict[str, bool]
    tags: dict[str, str]
    snapshots: list[Json]
    addresses: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return str(self.instance["State"]["Name"])


class World:
    """The applied module on its local AWS."""

    def __init__(self, known: State) -> None:
        self.known = known
        self.aws = Aws(known.endpoint)
        self.outputs: Json = known.outputs["security"]
        self.incidents = lifecycle.incidents_of(known)
        self._received: list[Json] = []

    def client(self, service: str, account: str = MEMBER, region: str = HOME) -> Any:
        return self.aws.client(service, account, region=region)

    def near(self, victim: seed.Victim, service: str) -> Any:
        """A client of the victim's account in its Region."""
        return self.client(service, victim.account, victim.region)

    # -- the sandbox itself ------------------------------------------------------------------------

    def control(self, method: str, name: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{self.known.endpoint}/_sandbox/{name}", data=body, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def fault(self, service: str, action: str, resource: str, **more: Any) -> None:
        """Calls of ``action`` that name ``resource`` fail (``error``, ``count``) or hang
        (``latency_ms``).
        """
        self.control(
            "POST", "faults", {"service": service, "action": action, "resource": resource, **more}
        )

    def hits(self, action: str, resource: str) -> int:
        """How often the faults of an action and resource were met."""
        found = self.control("GET", "faults")["faults"]
        return sum(
            one["hits"] for one in found if (one["action"], one["resource"]) == (action, resource)
        )

    def mend(self) -> None:
        """No faults any more; time as these tests have it; nothing watches but in test_watch.py."""
        self.control("DELETE", "faults")
        self.clock(waits=WAITS, timeouts=TIMEOUTS, rates=1, long_rates=1, trail=0)

    def clock(self, **scales: float) -> None:
        self.control("POST", "clock", scales)

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """The sweeper's schedule comes every few seconds meanwhile."""
        self.clock(rates=RATES)
        try:
            yield
        finally:
            self.clock(rates=1)

    def aws_now(self) -> str:
        """As findings have times."""
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())

    # -- findings in -------------------------------------------------------------------------------

    def victim(self, account: str = MEMBER, **traits: Any) -> seed.Victim:
        """An instance with everything a workload has (see seed.instance), in a VPC of its own
        unless told otherwise.
        """
        return seed.instance(self.aws, account, **traits)

    def plain(self, **traits: Any) -> seed.Victim:
        """A lone instance with one interface."""
        bare = {
            "interfaces": 1,
            "profile_attached": False,
            "in_asg": False,
            "target_group": False,
            "elastic_ip": False,
        }
        return self.victim(**{**bare, **traits})

    def finding(
        self,
        victim: seed.Victim | str | None = None,
        kind: str = MINING,
        account: str | None = None,
        **changes: Any,
    ) -> findings.Event:
        """A new finding about the instance, where that is. ``changes``: dotted names with __ set
        below the detail; ... removes the field.
        """
        event, region = load_finding(), None
        event["detail"] |= {"type": kind}
        if isinstance(victim, seed.Victim):
            account, region, victim = account or victim.account, victim.region, victim.instance
        bound = {"instance": victim} if victim else {}
        ready = findings.prepare(
            self.aws, event, kind, bindings=bound, account=account or MEMBER, region=region
        )
        for path, value in changes.items():
            _set(ready.detail, path.split("__"), value)
        return ready

    def send(self, event: findings.Event, *, again: bool = False) -> findings.Sent:
        """Put it on the bus. ``again``: as a further emission of the same finding, counted up by
        GuardDuty.
        """
        if again:
            event = copy.deepcopy(event)
            event.detail["service"]["count"] = event.detail["service"].get("count", 1) + 1
        return findings.send(self.aws, event)

    def incident_id(self, event: findings.Event) -> str:
        """The incident that a finding will be."""
        return str(findings.incident_id(event.detail))

    def answers(self, sent: findings.Sent) -> list[Execution]:
        """The executions that the event started (delivery is synchronous here: they all exist
        when it is sent).
        """
        machines = [self.outputs[f"{kind}_state_machine_arn"] for kind in ("incident", "notice")]
        return Answers(self.aws, machines, sent.event_id, sent.at).look()

    def ended(self, sent: findings.Sent, seconds: float = 60) -> dict[str, Execution]:
        """Every execution for the event, by machine (incident, notice), once all have ended."""
        started = self.answers(sent)
        self.until(
            lambda: all(one.status() != "RUNNING" for one in started), "its executions end", seconds
        )
        return {one.machine.removeprefix(f"{PREFIX}-"): one for one in started}

    def settled(self, sent: findings.Sent, seconds: float = 60) -> Json:
        """The incident of a sent finding when every execution for it has ended."""
        self.ended(sent, seconds)
        return self.incident(sent)

    def respond(
        self, victim: seed.Victim | str | None = None, kind: str = MINING, **more: Any
    ) -> Json:
        """Send a finding about the victim; the settled incident."""
        return self.settled(self.send(self.finding(victim, kind, **more)))

    def incident(self, of: findings.Sent | str) -> Json:
        """The incident, of a sent finding or by id."""
        name = of if isinstance(of, str) else str(of.incident_id)
        return self.incidents.get(name)

    def checks(self, name: str) -> list[Json]:
        """The executions that checked an incident's containment, newest first: {name,
        executionArn, status, …}.
        """
        machine = self.outputs["incident_state_machine_arn"]
        found = self.client("stepfunctions", SECURITY).list_executions(stateMachineArn=machine)[
            "executions"
        ]
        return [one for one in found if one["name"].startswith(f"watch-{name}-")]

    def quiet(self, name: str) -> None:
        """Wait until no check of the incident runs: while one does, its resource is leased, and
        people are refused.
        """
        self.until(
            lambda: all(one["status"] != "RUNNING" for one in self.checks(name)),
            f"the checks of {name} end",
            60,
        )

    def until(self, there: Callable[[], T | None], what: str, seconds: float = 20) -> T:
        """Wait until ``there()`` is true; its value."""
        deadline = time.monotonic() + seconds * PATIENCE
        while not (found := there()):
            assert time.monotonic() < deadline, (
                f"Waited {seconds * PATIENCE:.0f} s and did not see that {what}."
            )
            time.sleep(0.1)
        return found

    def status(self, sent: findings.Sent, *wanted: str, seconds: float = 30) -> Json:
        """The incident once its status is one of ``wanted``."""

        def reached() -> Json | None:
            found = self.incidents.find(str(sent.incident_id))
            return found if found and found["status"] in wanted else None

        return self.until(reached, f"incident {sent.incident_id} is {' or '.join(wanted)}", seconds)

    # -- what people are told ----------------------------------------------------------------------

    def messages(self, about: findings.Sent | str, topic: str = "notifications") -> list[Json]:
        """Everything told on a topic about an incident so far: {topic, subject, text, event,
        status, at}, oldest first.
        """
        name = about if isinstance(about, str) else str(about.incident_id)
        self._receive()
        return [
            one for one in self._received if one["topic"] == topic and one["incident_id"] == name
        ]

    def told(self, about: findings.Sent | str, topic: str = "notifications") -> list[str]:
        """What the messages about an incident were for: their ``event`` attributes."""
        return [one["event"] for one in self.messages(about, topic)]

    def _receive(self) -> None:
        sqs = self.client("sqs", SECURITY)
        while found := sqs.receive_message(QueueUrl=self.known.inbox, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for one in found:
                body = json.loads(one["Body"])
                attributes = {
                    name: value["Value"]
                    for name, value in body.get("MessageAttributes", {}).items()
                }
                self._received.append(
                    {
                        **attributes,
                        "topic": body["TopicArn"].rsplit("-", 1)[-1],
                        "subject": body.get("Subject"),
                        "text": body["Message"],
                        "at": body["Timestamp"],
                    }
                )
                sqs.delete_message(QueueUrl=self.known.inbox, ReceiptHandle=one["ReceiptHandle"])

    # -- what is true ------------------------------------------------------------------------------

    def look(self, victim: seed.Victim) -> Seen:
        """Read everything back."""
        ec2 = self.near(victim, "ec2")
        shown = seed.describe(self.aws.at(victim.region), victim.account, victim.instance)
        interfaces = ec2.describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [victim.instance]}]
        )["NetworkInterfaces"]
        on = {
            one["NetworkInterfaceId"]: sorted(group["GroupId"] for group in one["Groups"])
            for one in interfaces
        }
        groups = ec2.describe_security_groups(
            GroupIds=sorted({group for each in on.values() for group in each})
        )
        scaling = self.near(victim, "autoscaling").describe_auto_scaling_instances(
            InstanceIds=[victim.instance]
        )
        members = [one["AutoScalingGroupName"] for one in scaling["AutoScalingInstances"]]
        return Seen(
            instance=shown,
            interfaces=on,
            rules={
                one["GroupId"]: one["IpPermissions"] + one["IpPermissionsEgress"]
                for one in groups["SecurityGroups"]
            },
            profile=self._profile(victim),
            role_policies=self.role_policies(victim),
            scaling_group=members[0] if members else None,
            targets=self._targets(victim),
            attributes={
                name: self._attribute(victim, name)
                for name in ("disableApiTermination", "instanceInitiatedShutdownBehavior")
            },
            keeps_volumes={
                one["DeviceName"]: not one["Ebs"]["DeleteOnTermination"]
                for one in shown["BlockDeviceMappings"]
            },
            tags={one["Key"]: one["Value"] for one in shown.get("Tags", [])},
            snapshots=self.snapshots(victim),
            addresses=[one["PublicIp"] for one in self._addresses(victim)],
        )

    def _profile(self, victim: seed.Victim) -> str | None:
        found = self.near(victim, "ec2").describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [victim.instance]}]
        )["IamInstanceProfileAssociations"]
        live = [one for one in found if one["State"] in ("associating", "associated")]
        assert len(live) < 2, live
        return live[0]["IamInstanceProfile"]["Arn"].rsplit("/", 1)[-1] if live else None

    def _attribute(self, victim: seed.Victim, name: str) -> Any:
        ec2 = self.near(victim, "ec2")
        answer = ec2.describe_instance_attribute(InstanceId=victim.instance, Attribute=name)
        return answer[name[0].upper() + name[1:]]["Value"]

    def _addresses(self, victim: seed.Victim) -> list[Json]:
        ec2 = self.near(victim, "ec2")
        found: list[Json] = ec2.describe_addresses(
            Filters=[{"Name": "instance-id", "Values": [victim.instance]}]
        )["Addresses"]
        return found

    def role_policies(self, victim: seed.Victim) -> dict[str, Json]:
        """Inline policies of the victim's own role: name -> document."""
        if not victim.role:
            return {}
        iam = self.near(victim, "iam")
        names = iam.list_role_policies(RoleName=victim.role)["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName=victim.role, PolicyName=name)["PolicyDocument"]
            for name in names
        }

    def _targets(self, victim: seed.Victim) -> dict[str, str]:
        if not victim.target_group:
            return {}
        health = self.near(victim, "elbv2").describe_target_health(
            TargetGroupArn=victim.target_group
        )
        return {
            one["Target"]["Id"]: one["TargetHealth"]["State"]
            for one in health["TargetHealthDescriptions"]
        }

    def snapshots(self, victim: seed.Victim) -> list[Json]:
        """Snapshots of the victim's volumes."""
        ec2 = self.near(victim, "ec2")
        wanted = [{"Name": "volume-id", "Values": victim.volumes}]
        found: list[Json] = ec2.describe_snapshots(OwnerIds=[victim.account], Filters=wanted)[
            "Snapshots"
        ]
        return found

    def quarantine_groups(self, victim: seed.Victim) -> list[str]:
        """The quarantine groups of the victim's VPC."""
        found = self.near(victim, "ec2").describe_security_groups(
            Filters=[
                {"Name": "vpc-id", "Values": [victim.vpc]},
                {"Name": "group-name", "Values": [f"{PREFIX}-quarantine"]},
            ]
        )
        return [one["GroupId"] for one in found["SecurityGroups"]]

    def items(self, pk: str) -> list[Json]:
        """Raw items of the incident table."""
        request = {":pk": {"S": pk}}
        found: list[Json] = self.client("dynamodb", SECURITY).query(
            TableName=self.outputs["table_name"],
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=request,
        )["Items"]
        return found


def _set(node: Json, path: list[str], value: Any) -> None:
    *way, last = path
    for step in way:
        node = node[step]
    if value is ...:
        node.pop(last, None)
    else:
        node[last] = value


def actions(incident: Json, index: int = 0) -> dict[str, str]:
    """Action -> status, of one target of an incident."""
    return {one["name"]: one["status"] for one in incident["targets"][index]["actions"]}


def events(incident: Json) -> list[str]:
    """Names of the timeline's events."""
    return [one["event"] for one in incident["timeline"]]
