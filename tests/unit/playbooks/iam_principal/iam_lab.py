"""A member account, a record table, and the playbook's steps, all on moto.

CloudTrail's LookupEvents and Account's ListRegions are answered where botocore's Stubber answers,
after botocore validated and serialized the request, LookupEvents with CloudTrail's own rules.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from guardduty_response.aws import clients
from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
from guardduty_response.containment.contract import (
    Check,
    Context,
    Planned,
    RestoreResult,
    StepResult,
    Target,
    load_restorer,
)
from guardduty_response.containment.gate import Gate
from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config
from guardduty_response.incident.model import IncidentRecord, StoredObject
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.iam_principal import playbook

from sandbox.emulator.stale_reads import StaleReads
from tests.unit.deployment import CONFIG
from tests.unit.links import link
from tests.unit.playbooks.iam_principal.iam_account import REGION, IamAccount, Json
from tests.unit.playbooks.iam_principal.iam_moto import (
    MEMBER,
    Call,
    Parameters,
    allowed,
    error,
    managed,
    matches_lookup,
    resource,
)
from tests.unit.playbooks.late_answers import Answer, answer_late
from tests.unit.playbooks.own_aws import create_incident_table
from tests.unit.playbooks.watched_session import (
    WatchedSession,
    acting,
    store_restored,
    watch_once,
)

PREFIX = "guardduty-response"
INCIDENT = "inc-0123456789abcdef"
DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
OPTIONS: Json = deepcopy(CONFIG["playbooks"]["iam_principal"])
OWN_ROLES = CONFIG["responder"]


@dataclass
class Fault:
    """An error that an operation answers, ``times`` times, for the parameters that ``when``
    accepts.
    """

    operation: str
    error: str | ClientError
    when: Callable[[Parameters], bool]
    times: int


@dataclass
class IamLab(IamAccount):
    latency: float = 0.0
    job: str = "responder"  # whose member role is assumed
    options: Json = field(default_factory=lambda: dict(OPTIONS))
    finding_type: str = "UnauthorizedAccess:IAMUser/MaliciousIPCaller"
    sample: bool = False
    guardrails: Json = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    # run once, before an operation
    hooks: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    policies: list[PolicyDocument] = field(default_factory=list)
    # what a session asked for beyond its policy: no test may see any
    refused: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # shown when a test failed
    checks: dict[str, Check] = field(default_factory=dict)
    clock_offset: float = 0.0  # how far the clock was put forward
    stale: StaleReads[Answer] | None = None  # the response's reads are answered late

    # -- the record --------------------------------------------------------------------------------

    def build(self) -> IamLab:
        """The record, empty, with the incident open; AWSDenyAll."""
        create_incident_table(REGION)
        managed()
        self.open_incident(INCIDENT, "exec")
        return self

    def open_incident(self, incident_id: str, execution: str) -> None:
        fields: IncidentRecord = {"mode": "auto", "severity": 8, "config_sha256": ""}
        self.record.open({**fields, "incident_id": incident_id, "execution": execution})

    @property
    def record(self) -> IncidentRepository:
        return IncidentRepository("incidents", self.own("dynamodb"))

    def stored_target(self) -> Json:
        target = self.ids["target"]
        return {**self.record.target(INCIDENT, target.kind, target.id)}

    def forget_entries(self) -> None:
        """Leaves the record as an earlier release wrote it: it says of no role who needs what."""
        table = self.own("dynamodb")
        for found in table.scan(TableName="incidents")["Items"]:
            if found["sk"]["S"].startswith("ENTRY#"):
                key = {name: found[name] for name in ("pk", "sk")}
                table.delete_item(TableName="incidents", Key=key)

    def actions(self) -> dict[str, str]:
        """The action log: name -> status."""
        return {name: line["status"] for name, line in self.stored_target()["actions"].items()}

    def detail(self, name: str) -> str:
        """The detail of an action in the log."""
        return str(self.stored_target()["actions"][name]["detail"])

    def timeline(self) -> list[str]:
        return [str(entry["event"]) for entry in self.record.read(INCIDENT)[2]]

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    # -- the response's clients --------------------------------------------------------------------

    def own(self, service: str) -> AwsClient:
        """A client with the function's own role, watched."""
        client = clients.client(service)
        watch_once(client, lambda made: self.hook(made, None, 0))
        return client

    def assume(
        self,
        account: str,
        region: str,
        policy: PolicyDocument,
        role: str = "",
        gate: Gate | None = None,
        job: str = "",
    ) -> clients.Session:
        center = (self.options.get("identity_center") or {}).get("account_id")
        assert (account, role) in ((MEMBER, ""), (center, "GDR_IDENTITY_CENTER_ROLE"))
        assert len(json.dumps(policy, separators=(",", ":"))) <= 2048
        self.policies.append(policy)
        number = len(self.policies)
        job = job or self.job
        name = f"identity-center-{job}" if role else f"{job}-iam-principal"
        arn = f"arn:aws:iam::{account}:role/{PREFIX}-{name}"

        def hook(client: AwsClient) -> None:
            self.hook(client, policy, number)

        return WatchedSession(hook, arn, region, policy, gate)

    def hook(self, client: AwsClient, policy: PolicyDocument | None, session: int) -> None:
        """Records calls, injects faults and latency, and refuses what the session policy does
        not allow.
        """
        local = threading.local()
        region = client.meta.region_name
        service = client.meta.service_model.service_name

        def before(params: Parameters, model: OperationModel, **_: object) -> None:
            call = Call(
                service,
                model.name,
                params,
                policy,
                session,
                region,
            )
            self._run_hooks(model.name)
            if policy is not None:
                # what is answered here is never signed
                client._request_signer._credentials.get_frozen_credentials()
                if not allowed(call):
                    self.refused.append(f"{call.service}:{call.operation} on {resource(call)}")
                    raise error("AccessDenied", model.name, self.refused[-1])
            self.calls.append(call)
            self._raise_fault(call)
            local.call, call.start = call, time.monotonic()

        def send(**_: object) -> None:
            local.call.start = time.monotonic()
            time.sleep(self.latency)

        def after(**_: object) -> None:
            local.call.end = time.monotonic()

        events = client.meta.events
        events.register_first("before-parameter-build", before)
        events.register_first("before-send", send)
        events.register_last("after-call", after)
        events.register("before-call.cloudtrail.LookupEvents", partial(self._look_up, region))
        events.register("before-call.account.ListRegions", self._list_regions)
        if self.stale:
            answer_late(client, self.stale)

    def see_late(self, seconds: float) -> None:
        """Shows the response its changes only so many seconds later."""
        self.stale = StaleReads(lambda: self.clock_offset)
        self.stale.seconds = seconds

    def _run_hooks(self, operation: str) -> None:
        for hook in [hook for hook in self.hooks if hook[0] == operation]:
            self.hooks.remove(hook)
            hook[1]()

    def _raise_fault(self, call: Call) -> None:
        params = {**call.params, "region": call.region}
        for fault in self.faults:
            if fault.operation == call.operation and fault.times > 0 and fault.when(params):
                fault.times -= 1
                raised = fault.error
                raise error(raised, call.operation) if isinstance(raised, str) else raised

    def fail(
        self,
        operation: str,
        error: str | ClientError,
        when: Callable[[Parameters], bool] = lambda _: True,
        times: int = 10**6,
    ) -> None:
        self.faults.append(Fault(operation, error, when, times))

    def _list_regions(self, **_: object) -> tuple[AWSResponse, AwsAnswer]:
        return _answer(
            Regions=[
                {"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"}
                for name in self.regions
            ]
        )

    def _look_up(
        self, region: str, params: Parameters, **_: object
    ) -> tuple[AWSResponse, AwsAnswer]:
        time.sleep(self.latency)
        request = json.loads(params["body"])
        (attribute,) = request["LookupAttributes"]
        key, wanted = attribute["AttributeKey"], attribute["AttributeValue"]
        start = request.get("StartTime", 0)
        found = [
            event
            for event in self.trail
            if event["region"] == region
            and event["shown"] <= self.clock_offset
            and matches_lookup(event["record"], key, wanted)
            and start <= event["at"] + 1
        ]
        found.sort(key=lambda event: -event["at"])
        return _answer(
            Events=[
                {
                    "EventId": event["record"]["eventID"],
                    "EventName": event["record"]["eventName"],
                    "EventTime": datetime.fromtimestamp(event["at"], UTC),
                    "CloudTrailEvent": json.dumps(event["record"]),
                }
                for event in found
            ]
        )

    # -- running -----------------------------------------------------------------------------------

    def finding(self) -> finding.Finding:
        seen = datetime.fromtimestamp(time.time() - 600, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        detail = {
            "id": "f1",
            "type": self.finding_type,
            "accountId": MEMBER,
            "region": REGION,
            "severity": 8.0,
            "title": "t",
            "resource": {"resourceType": "AccessKey", "accessKeyDetails": self.details},
            "service": {"eventFirstSeen": seen, "additionalInfo": {"sample": self.sample}},
        }
        event = self.ids.get("event") or {
            "source": "aws.guardduty",
            "detail-type": "GuardDuty Finding",
            "detail": detail,
        }
        return finding.parse(event)

    def context(self, attempt: int = 1, incident: str = INCIDENT) -> Context:
        self.own("sts")
        settings: Json = dict.fromkeys(Config._fields)
        settings |= {
            "name_prefix": PREFIX,
            "partition": "aws",
            "playbooks": {"iam_principal": self.options},
            "responder": OWN_ROLES,
            "evidence": {"log_window_minutes": 60},
            "forensics": {"when": "off"},
            "guardrails": {"exempt_principals": [], **self.guardrails},
        }
        return Context(
            Config(**settings),
            self.options,
            self.finding(),
            incident,
            "exec",
            self.record,
            self.assume,
            lambda *_: StoredObject(),
            attempt,
        )

    def plan(self) -> Target:
        """As the state machine carries it on."""
        planned = self.planned()
        unique_id = planned.target.scope.get("unique_id") or ""
        target = link(
            self.record,
            INCIDENT,
            planned.target,
            "iam_principal",
            unique_id,
        )
        return Target(**json.loads(json.dumps(target.payload())))

    def planned(self) -> Planned:
        (planned,) = playbook.plan(self.context())
        self.ids |= {"planned": planned, "target": planned.target}
        return planned

    def respond(self, target: Target | None = None) -> StepResult:
        """plan, then contain and verify as the state machine runs them."""
        target = target or self.plan()
        playbook.contain(self.context(), target)
        return self.verify(target)

    def verify(self, target: Target) -> StepResult:
        for attempt in range(1, 60):
            result, checks = playbook.verify(self.context(attempt), target)
            self.checks = {check.name: check for check in checks}
            if result.done and result.again != "contain":
                for name, line in self.stored_target()["actions"].items():
                    self.log.append(f"{name} {line['status']}: {line['detail']}")
                assert result.status is not None
                self.record.set_target(INCIDENT, target.kind, target.id, status=result.status)
                return result
            self.clock_offset += result.wait_seconds
            if result.again == "contain":
                playbook.contain(self.context(attempt + 1), target)
        raise AssertionError(f"verify never ends: {result} {self.clock_offset}")

    def finish(self, target: Target) -> list[StepResult]:
        results = [playbook.finish(self.context(), target)]
        while not results[-1].done:
            assert len(results) < 5
            self.clock_offset += results[-1].wait_seconds
            results.append(playbook.finish(self.context(), target))
        return results

    def restore(self, incident: str = INCIDENT) -> RestoreResult:
        """As the restore function: it knows the record alone, and writes what was seen into it."""
        known = self.ids["target"]
        found = self.record.target(incident, known.kind, known.id)
        named = (known.kind, found["id"], found["arn"], MEMBER, REGION)
        generation, opened_by = found["generation"], found["opened_by"]
        target = Target(*named, generation=generation, opened_by=opened_by)
        context = self.context(incident=incident)
        context.finding = None  # type: ignore[assignment]
        with acting(self, "restorer"):
            result = load_restorer("iam_principal").restore(context, target)
        store_restored(self.record, incident, target.kind, target.id, result)
        self.log += [f"restored: {text}" for text in result.restored]
        self.log += [f"NOT restored: {text}" for text in result.not_restored]
        return result


def _answer(**parsed: object) -> tuple[AWSResponse, AwsAnswer]:
    """An answer as botocore hands it on, already parsed."""
    response = AWSResponse("", 200, HTTPHeaders(), None)
    return response, {**parsed, "ResponseMetadata": {"RequestId": "r"}}
