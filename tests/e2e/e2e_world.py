"""What the end-to-end tests do and see: findings in, incidents, messages and the resources
themselves out.

Resources are read with boto3 clients of the account's root user, which share nothing with the
response.
"""

from __future__ import annotations

import copy
import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sandbox import findings, lifecycle, seed, settings
from sandbox.clients import Aws
from sandbox.executions import Answers, Execution, at_work
from sandbox.state import State
from tests.e2e.e2e_resources import HOME, MEMBER, PREFIX, Json, Resources, Seen
from tests.support import patience
from tests.support.patience import PATIENCE
from tests.support.repository import load_finding

__all__ = [
    "AWAY",
    "HOME",
    "MEMBER",
    "MEMBER_B",
    "PREFIX",
    "SECURITY",
    "Json",
    "Seen",
    "World",
]
T = TypeVar("T")
SECURITY, MEMBER_B = settings.SECURITY_ACCOUNT, settings.SECOND_MEMBER_ACCOUNT
AWAY = settings.REGIONS[1]
MINING = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
IN_PROGRESS = {"OPEN", "CONTAINING"}
# Lines of the ledger that say what was collected, beside those of what was changed.
EVIDENCE = {
    "api_calls",
    "config_history",
    "copies",
    "forensics",
    "instance",
    "manifest",
    "network_logs",
    "replacement",
    "replication",
}
# How much faster than AWS time passes: Wait states and retries; time-outs; every 5-minute schedule
# each 3 s.
WAITS, TIMEOUTS, RATES = 0.05, 0.05, 0.01
# Throttling and stale reads (sandbox/emulator/manners.py), with ``waits`` beside them: the response
# waits for AWS, so its waits must not be much shorter than what they wait for.
MANNERS: dict[str, float] = json.loads(os.environ.get("E2E_MANNERS", "{}"))
if MANNERS:
    WAITS = TIMEOUTS = MANNERS.pop("waits")
    RATES = 0.05  # a run of the schedule takes longer than 3 s
CHECK_RATES = 1 / 30  # the schedule of each minute comes every 2 s
# Where AWS throttles, a response takes several times as long
SECONDS = PATIENCE * 3 if MANNERS else PATIENCE


class World(Resources):
    """The applied module on its local AWS."""

    def __init__(self, known: State) -> None:
        self.known = known
        super().__init__(Aws(known.endpoint))
        self.outputs: Json = known.outputs["security"]
        self.incidents = lifecycle.incidents_of(known)
        self._received: list[Json] = []
        self.met: dict[str, float] = {}

    # -- the sandbox itself ------------------------------------------------------------------------

    def control(self, method: str, name: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(
            f"{self.known.endpoint}/_sandbox/{name}", data=body, method=method
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def fault(self, service: str, action: str, resource: str, **more: Any) -> None:
        """Calls of ``action`` that name ``resource`` fail (``error``, ``count``) or hang
        (``latency_ms``).
        """
        self.control(
            "POST",
            "faults",
            {
                "service": service,
                "action": action,
                "resource": resource,
                **more,
            },
        )

    def hits(self, action: str, resource: str) -> int:
        """How often the faults of an action and resource were met."""
        found = self.control("GET", "faults")["faults"]
        return sum(
            fault["hits"]
            for fault in found
            if (fault["action"], fault["resource"]) == (action, resource)
        )

    def mend(self) -> None:
        """No faults any more; time and AWS's manners as these tests have them; nothing watches but
        in test_watch.py.
        """
        self.control("DELETE", "faults")
        self.clock(
            waits=WAITS,
            timeouts=TIMEOUTS,
            rates=1,
            long_rates=1,
            trail=0,
            lag=0,
        )
        if MANNERS:
            self.met = self.control("POST", "manners", MANNERS)

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

    def spread(self) -> None:
        """Wait until everybody sees what was changed: GuardDuty and CloudTrail tell of it later."""
        time.sleep(MANNERS.get("stale_seconds", 0))

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
        GuardDuty after new activity.
        """
        if again:
            event = copy.deepcopy(event)
            event.detail["service"]["count"] = event.detail["service"].get("count", 1) + 1
            # A finding's times have no fractions: in the next second it is later than anything now.
            seen = time.gmtime(time.time() + 1)
            event.detail["service"]["eventLastSeen"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", seen)
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

    def ended(self, sent: findings.Sent) -> dict[str, Execution]:
        """Every execution for the event, by machine (incident, notice), once all have ended (but
        the notice machine's, where the other one answers).
        """
        started = self.answers(sent)
        self.until(
            lambda: all(execution.status() != "RUNNING" for execution in at_work(started)),
            f"the executions for {sent.event_id} end",
        )
        return {execution.machine.removeprefix(f"{PREFIX}-"): execution for execution in started}

    def settled(self, sent: findings.Sent) -> Json:
        """The incident of a sent finding when every execution for it has ended."""
        self.ended(sent)
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

    def due(self, name: str) -> list[Json]:
        """The raw items that say when an incident's containments are checked next."""
        arns = sorted({target["arn"] for target in self.incident(name)["targets"]})
        found = [item for arn in arns for item in self.items(f"CONTAINMENT#{arn}")]
        return [item for item in found if "due_at" in item]

    def check_now(self, name: str) -> None:
        """Lets an incident's containments be due, and waits until they were checked."""
        dynamodb, table = self.client("dynamodb", SECURITY), self.outputs["table_name"]
        past = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        for item in self.until(lambda: self.due(name), f"checks of {name} are planned"):
            dynamodb.update_item(
                TableName=table,
                Key={key: item[key] for key in ("pk", "sk")},
                UpdateExpression="SET due_at = :past REMOVE claimed_until",
                ExpressionAttributeValues={":past": {"S": past}},
            )
        self.clock(rates=CHECK_RATES)
        try:
            self.until(
                lambda: all(
                    item["due_at"]["S"] > past and "claimed_until" not in item
                    for item in self.due(name)
                ),
                f"{name} is checked",
            )
        finally:
            self.clock(rates=1)

    def checks(self, name: str) -> list[Json]:
        """The executions that answered a loss of an incident's containment, newest first: {name,
        executionArn, status, …}. A check that finds nothing lost starts none.
        """
        machine = self.outputs["incident_state_machine_arn"]
        found = self.client("stepfunctions", SECURITY).list_executions(stateMachineArn=machine)[
            "executions"
        ]
        return [execution for execution in found if execution["name"].startswith(f"watch-{name}-")]

    def quiet(self, name: str) -> None:
        """Wait until no check of the incident runs: while one does, its resource is leased, and
        people are refused.
        """
        self.until(
            lambda: all(check["status"] != "RUNNING" for check in self.checks(name)),
            f"the checks of {name} end",
        )

    def until(self, there: Callable[[], T | None], what: str, seconds: float = SECONDS) -> T:
        """Wait until ``there()`` is true; its value."""
        return patience.until(there, what, seconds)

    def status(self, of: findings.Sent | str, *wanted: str) -> Json:
        """The incident, of a sent finding or by id, once its status is one of ``wanted``."""
        name = of if isinstance(of, str) else str(of.incident_id)

        def reached() -> Json | None:
            found = self.incidents.find(name)
            return found if found and found["status"] in wanted else None

        return self.until(reached, f"incident {name} is {' or '.join(wanted)}")

    # -- what people are told ----------------------------------------------------------------------

    def messages(self, about: findings.Sent | str, topic: str = "notifications") -> list[Json]:
        """Everything told on a topic about an incident so far: {topic, subject, text, event,
        status, at}, oldest first.
        """
        name = about if isinstance(about, str) else str(about.incident_id)
        self._receive()
        return [
            message
            for message in self._received
            if message["topic"] == topic and message["incident_id"] == name
        ]

    def notified(self, about: findings.Sent | str, topic: str = "notifications") -> list[str]:
        """What the messages about an incident were for: their ``event`` attributes.

        "started" is sent beside containment, so it may come after the verdict: it is named first.
        """
        found = [message["event"] for message in self.messages(about, topic)]
        return sorted(found, key=lambda event: event != "started")

    def _receive(self) -> None:
        sqs = self.client("sqs", SECURITY)
        while found := sqs.receive_message(QueueUrl=self.known.inbox, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for received in found:
                body = json.loads(received["Body"])
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
                sqs.delete_message(
                    QueueUrl=self.known.inbox, ReceiptHandle=received["ReceiptHandle"]
                )

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

    def document(self) -> Json:
        """The item of the configuration document that the functions were applied with."""
        sha256 = self.outputs["config_sha256"]
        [found] = [
            item for item in self.items("CONFIG") if item["sk"]["S"].startswith(f"{sha256}#")
        ]
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
    """Action -> status, of one target of an incident, without what is only said to people."""
    return {
        action["name"]: action["status"]
        for action in incident["targets"][index]["actions"]
        if action["status"] != "NOTED"
    }


def events(incident: Json) -> list[str]:
    """Names of the timeline's events."""
    return [entry["event"] for entry in incident["timeline"]]
