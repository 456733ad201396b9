"""A member account with a user and roles in it, its CloudTrail, a record table, and the playbook's
verbs, all on moto.

State is asserted through ``IamLab.see``: boto3 clients of their own, in the member account.
iam_moto adds what moto lacks of IAM; CloudTrail's LookupEvents and Account's ListRegions are
answered where botocore's Stubber answers, after botocore validated and serialized the request,
LookupEvents with CloudTrail's own rules for ``Username`` and ``AccessKeyId``.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment.contract import (
    Check,
    Context,
    Planned,
    RestoreResult,
    StepResult,
    Target,
    load_restorer,
)
from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.iam_principal import playbook
from moto.iam.models import iam_backends

from tests.unit.lambda_world import CONFIG, onlooker
from tests.unit.playbooks.iam_principal.iam_moto import (
    HOME,
    MEMBER,
    Call,
    allowed,
    certificate_pem,
    error,
    managed,
    resource,
    told_by,
)

Json = dict[str, Any]
REGION, THIRD = "eu-central-1", "ap-southeast-2"
PREFIX, INCIDENT, DENY_ALL = (
    "guardduty-response",
    "inc-0123456789abcdef",
    "arn:aws:iam::aws:policy/AWSDenyAll",
)
OPTIONS: Json = {
    "console_password": "remove",
    "deactivate_mfa": True,
    "other_credentials": True,
    "revoke_sessions": "session",
    "user_role_sessions": True,
    "list_actions": True,
    "lookup_hours": 24,
    "lookup_regions": [],
    "repeat_minutes": 20,
    "remediate": [],
    "rotate_key": None,
    "restore": True,
    "trail_query": None,
    "identity_center": None,
}
_HOOKING, OWN = threading.Lock(), CONFIG["responder"]


@dataclass
class Fault:
    operation: str
    error: str
    when: Callable[[Json], bool]
    times: int


@dataclass
class IamLab:
    latency: float = 0.0
    options: Json = field(default_factory=lambda: dict(OPTIONS))
    details: Json = field(default_factory=dict)  # of the finding: resource.accessKeyDetails
    finding_type: str = "UnauthorizedAccess:IAMUser/MaliciousIPCaller"
    sample: bool = False
    rails: Json = field(default_factory=dict)
    # what CloudTrail has: {at, region, record, shown}
    trail: list[Json] = field(default_factory=list)
    regions: list[str] = field(default_factory=lambda: [HOME, REGION, THIRD])
    ids: Json = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    # run once, before an operation
    hooks: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    policies: list[Json] = field(default_factory=list)
    # what a session asked for beyond its policy: no test may see any
    refused: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)
    ahead: float = 0.0  # how far the clock was put forward
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)

    # -- looking with other eyes -------------------------------------------------------------------

    def see(self, service: str = "iam") -> Any:
        if (service, REGION) not in self.seen:
            self.seen[service, REGION] = onlooker(service, REGION)
        return self.seen[service, REGION]

    def key_states(self, user: str = "alice") -> dict[str, str]:
        listed = self.see().list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {one["AccessKeyId"]: one["Status"] for one in listed}

    def attached(self, user: str = "alice") -> set[str]:
        return {
            one["PolicyArn"]
            for one in self.see().list_attached_user_policies(UserName=user)["AttachedPolicies"]
        }

    def boundary(self, user: str = "alice") -> str | None:
        found = self.see().get_user(UserName=user)["User"].get("PermissionsBoundary") or {}
        return found.get("PermissionsBoundaryArn")

    def password(self, user: str = "alice") -> Json | None:
        try:
            found = self.see().get_login_profile(UserName=user)["LoginProfile"]
        except ClientError:
            return None
        return {"reset": bool(found.get("PasswordResetRequired"))}

    def dump(self, user: str = "alice") -> Json:
        """Everything of the user that IAM shows."""
        iam = self.see()
        shown = iam.get_user(UserName=user)["User"]
        ssh = iam.list_ssh_public_keys(UserName=user)["SSHPublicKeys"]
        certificates = iam.list_signing_certificates(UserName=user)["Certificates"]
        service = iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"]
        inline = iam.list_user_policies(UserName=user)["PolicyNames"]
        return {
            "id": shown["UserId"],
            "tags": {one["Key"]: one["Value"] for one in shown.get("Tags") or []},
            "boundary": self.boundary(user),
            "attached": self.attached(user),
            "keys": self.key_states(user),
            "password": self.password(user),
            "groups": iam.list_groups_for_user(UserName=user)["Groups"],
            "mfa": sorted(
                one["SerialNumber"] for one in iam.list_mfa_devices(UserName=user)["MFADevices"]
            ),
            "ssh": {one["SSHPublicKeyId"]: one["Status"] for one in ssh},
            "certificates": {one["CertificateId"]: one["Status"] for one in certificates},
            "service": {one["ServiceSpecificCredentialId"]: one["Status"] for one in service},
            "inline": {
                name: iam.get_user_policy(UserName=user, PolicyName=name)["PolicyDocument"]
                for name in inline
            },
        }

    def role_dump(self, role: str = "app") -> Json:
        tags = self.see().list_role_tags(RoleName=role)["Tags"]
        return {
            "policies": self.role_policies(role),
            "tags": {one["Key"]: one["Value"] for one in tags},
        }

    def role_policies(self, role: str = "app") -> dict[str, Json]:
        iam = self.see()
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in names
        }

    def ledger(self) -> Json:
        target = self.ids["target"]
        return self.record.target(INCIDENT, target.kind, target.id)

    def actions(self) -> dict[str, str]:
        return {name: one["status"] for name, one in self.ledger()["actions"].items()}

    def said(self, name: str) -> str:
        return str(self.ledger()["actions"][name]["detail"])

    def timeline(self) -> list[str]:
        return [str(one["event"]) for one in self.record.read(INCIDENT)[2]]

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    # -- building ----------------------------------------------------------------------------------

    def build(self) -> IamLab:
        """The record, empty, with the incident open; AWSDenyAll."""
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName="incidents",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
        )
        managed()
        self.record.open(
            {
                "incident_id": INCIDENT,
                "execution": "exec",
                "mode": "auto",
                "severity": 8,
                "config_sha256": "",
            }
        )
        return self

    def user(
        self,
        name: str = "alice",
        keys: int = 1,
        console: bool = False,
        mfa: tuple[str, ...] = (),
        ssh: bool = False,
        service: bool = False,
        certificate: bool = False,
        policies: int = 0,
        boundary: str = "",
        path: str = "/",
    ) -> IamLab:
        """A user, whom the finding is about. ``mfa``: of ``old`` (a year) and ``new`` (now)."""
        iam = self.see()
        iam.create_user(UserName=name, Path=path, Tags=[{"Key": "team", "Value": "web"}])
        # moto's have another form
        iam_backends[MEMBER]["aws"].users[name].id = f"AIDA{uuid.uuid4().hex[:17].upper()}"
        made = iam.get_user(UserName=name)["User"]
        self.ids |= {"user": made["UserId"], "keys": [], "arn": made["Arn"]}
        for _ in range(keys):
            self.ids["keys"].append(
                iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
            )
        if console:
            iam.create_login_profile(UserName=name, Password="correct horse battery")
        for age in mfa:
            serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=f"{name}-{age}")[
                "VirtualMFADevice"
            ]["SerialNumber"]
            iam.enable_mfa_device(
                UserName=name,
                SerialNumber=serial,
                AuthenticationCode1="123456",
                AuthenticationCode2="654321",
            )
            if age == "old":
                since = datetime.now(UTC) - timedelta(days=365)
                iam_backends[MEMBER]["aws"].users[name].mfa_devices[serial].enable_date = since
            self.ids[f"mfa_{age}"] = serial
        if ssh:
            self.ids["ssh"] = iam.upload_ssh_public_key(
                UserName=name, SSHPublicKeyBody="ssh-rsa AAAA"
            )["SSHPublicKey"]["SSHPublicKeyId"]
        if service:
            made = iam.create_service_specific_credential(
                UserName=name, ServiceName="codecommit.amazonaws.com"
            )
            self.ids["service"] = made["ServiceSpecificCredential"]["ServiceSpecificCredentialId"]
        if certificate:
            made = iam.upload_signing_certificate(UserName=name, CertificateBody=certificate_pem())
            self.ids["certificate"] = made["Certificate"]["CertificateId"]
        for number in range(policies):
            iam.attach_user_policy(UserName=name, PolicyArn=managed(f"Full{number}"))
        if boundary:
            iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
        key = self.ids["keys"][0] if keys else ""
        self.details = {
            "accessKeyId": key,
            "principalId": self.ids["user"],
            "userType": "IAMUser",
            "userName": name,
        }
        return self

    def rename(self, old: str, new: str) -> None:
        self.see().update_user(UserName=old, NewUserName=new)
        # moto lets them keep the old name
        for key in iam_backends[MEMBER]["aws"].users[new].access_keys:
            key.user_name = new

    def role(
        self, name: str = "app", session: str | None = "carol", trust: Any = None, path: str = "/"
    ) -> IamLab:
        """A role; ``session``: whom the finding is about (None: it is about something else)."""
        statement = {
            "Effect": "Allow",
            "Principal": trust or {"AWS": f"arn:aws:iam::{MEMBER}:root"},
            "Action": "sts:AssumeRole",
        }
        made = self.see().create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [statement]}
            ),
        )["Role"]
        self.ids.setdefault("roles", {})[name] = made["RoleId"]
        if session is not None:
            self.ids["arn"] = made["Arn"]
            self.details = {
                "accessKeyId": "ASIAFINDING000000001",
                "principalId": f"{made['RoleId']}:{session}",
                "userType": "AssumedRole",
                "userName": name,
            }
        return self

    def happened(
        self,
        name: str,
        who: Json,
        ago: float = 60,
        region: str = REGION,
        shown: float = 0,
        **more: Any,
    ) -> Json:
        """An event of ``ago`` seconds ago, which CloudTrail shows from ``shown`` seconds ahead
        on.
        """
        at = time.time() - ago
        record = {
            "eventVersion": "1.11",
            "eventID": str(uuid.uuid4()),
            "eventName": name,
            "eventSource": "iam.amazonaws.com",
            "awsRegion": region,
            "recipientAccountId": MEMBER,
            "sourceIPAddress": "198.51.100.7",
            "userAgent": "aws-cli/2",
            "userIdentity": who,
            "eventTime": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **more,
        }
        self.trail.append({"at": at, "region": region, "record": record, "shown": shown})
        return record

    def assumed(
        self,
        who: Json,
        role: str,
        name: str,
        key: str,
        seconds: int | None = None,
        account: str = MEMBER,
        **more: Any,
    ) -> str:
        """``who`` got session ``name`` of a role. Returns its aws:userid."""
        unique_id = self.ids.get("roles", {}).get(role, "AROAOTHER00000000001")
        parameters = {"roleArn": f"arn:aws:iam::{account}:role/{role}", "roleSessionName": name}
        answer = {
            "credentials": {"accessKeyId": key, "sessionToken": "x"},
            "assumedRoleUser": {
                "assumedRoleId": f"{unique_id}:{name}",
                "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
            },
        }
        parameters |= {"durationSeconds": seconds} if seconds else {}
        self.happened(
            "AssumeRole",
            who,
            eventSource="sts.amazonaws.com",
            requestParameters=parameters,
            responseElements=answer,
            **more,
        )
        return f"{unique_id}:{name}"

    # -- running -----------------------------------------------------------------------------------

    @property
    def record(self) -> IncidentRepository:
        return IncidentRepository("incidents", self.own("dynamodb"))

    def own(self, service: str) -> Any:
        client = clients.client(service)
        if not getattr(client, "_hooked", False):
            self.hook(client, None, 0)
            client._hooked = True
        return client

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
        document = dict.fromkeys((one.name for one in dataclasses.fields(Config)), None) | {
            "name_prefix": PREFIX,
            "partition": "aws",
            "playbooks": {"iam_principal": self.options},
            "responder": OWN,
            "evidence": {"log_window_minutes": 60},
            "guardrails": {"exempt_principals": [], **self.rails},
        }
        config = Config(**document)  # type: ignore[arg-type]
        return Context(
            config,
            self.options,
            self.finding(),
            incident,
            "exec",
            self.record,
            self.assume,
            lambda *_: {},
            attempt,
        )

    def assume(self, account: str, region: str, policy: Json, role: str = "") -> clients.Session:
        center = self.options.get("identity_center") or {}
        assert (account, role) in (
            (MEMBER, ""),
            (center.get("account_id"), "GDR_IDENTITY_CENTER_ROLE"),
        )
        assert len(json.dumps(policy, separators=(",", ":"))) <= 2048
        self.policies.append(policy)
        lab, number = self, len(self.policies)

        class Watched(clients.Session):
            def client(self, service: str, region: str = "") -> Any:
                client = super().client(service, region)
                with _HOOKING:  # branches share a session's clients
                    if not getattr(client, "_hooked", False):
                        lab.hook(client, policy, number)
                        client._hooked = True
                return client

        name = "identity-center-responder" if role else "responder-iam-principal"
        return Watched(f"arn:aws:iam::{account}:role/{PREFIX}-{name}", "lab", region, policy)

    def hook(self, client: Any, policy: Json | None, session: int) -> None:
        """Records calls, injects faults and latency, and refuses what the session policy does
        not allow.
        """
        local, region = threading.local(), client.meta.region_name

        def before(params: Json, model: Any, **_: Any) -> None:
            call = Call(
                client.meta.service_model.service_name, model.name, params, policy, session, region
            )
            for hook in [one for one in self.hooks if one[0] == model.name]:
                self.hooks.remove(hook)
                hook[1]()
            if policy is not None:
                # what is answered here is never signed
                client._request_signer._credentials.get_frozen_credentials()
                if not allowed(call):
                    self.refused.append(f"{call.service}:{call.operation} on {resource(call)}")
                    raise error("AccessDenied", model.name, self.refused[-1])
            for fault in self.faults:
                if (
                    fault.operation == model.name
                    and fault.times > 0
                    and fault.when({**params, "region": region})
                ):
                    fault.times -= 1
                    self.calls.append(call)
                    raise error(fault.error, model.name)
            self.calls.append(call)
            local.call, call.start = call, time.monotonic()

        def send(**_: Any) -> None:
            local.call.start = time.monotonic()
            time.sleep(self.latency)

        def after(**_: Any) -> None:
            local.call.end = time.monotonic()

        client.meta.events.register_first("before-parameter-build", before)
        client.meta.events.register_first("before-send", send)
        client.meta.events.register_last("after-call", after)
        client.meta.events.register(
            "before-call.cloudtrail.LookupEvents", partial(self._look_up, region)
        )
        client.meta.events.register("before-call.account.ListRegions", self._list_regions)

    def _list_regions(self, **_: Any) -> Any:
        found = [
            {"RegionName": name, "RegionOptStatus": "ENABLED_BY_DEFAULT"} for name in self.regions
        ]
        return AWSResponse("", 200, {}, None), {
            "Regions": found,
            "ResponseMetadata": {"RequestId": "r"},
        }

    def _look_up(self, region: str, params: Json, **_: Any) -> Any:
        time.sleep(self.latency)
        asked = json.loads(params["body"])
        (attribute,) = asked["LookupAttributes"]
        key, wanted = attribute["AttributeKey"], attribute["AttributeValue"]
        found = [
            one for one in self.trail if one["region"] == region and one["shown"] <= self.ahead
        ]
        found = [
            one
            for one in found
            if told_by(one["record"], key, wanted) and asked.get("StartTime", 0) <= one["at"] + 1
        ]
        events = [
            {
                "EventId": one["record"]["eventID"],
                "EventName": one["record"]["eventName"],
                "EventTime": datetime.fromtimestamp(one["at"], UTC),
                "CloudTrailEvent": json.dumps(one["record"]),
            }
            for one in sorted(found, key=lambda one: -one["at"])
        ]
        return AWSResponse("", 200, {}, None), {
            "Events": events,
            "ResponseMetadata": {"RequestId": "r"},
        }

    def plan(self) -> Target:
        """As the machine carries it on."""
        planned = self.planned()
        target = Target(**json.loads(json.dumps(planned.target.payload())))
        self.record.put_target(
            INCIDENT,
            {
                name: target.payload()[name]
                for name in ("kind", "id", "arn", "account_id", "region")
            },
        )
        return target

    def planned(self) -> Planned:
        (planned,) = playbook.plan(self.context())
        self.ids |= {"planned": planned, "target": planned.target}
        return planned

    def respond(self, target: Target | None = None) -> StepResult:
        """plan, then contain and verify as the machine runs them."""
        target = target or self.plan()
        playbook.contain(self.context(), target)
        return self.verify(target)

    def verify(self, target: Target) -> StepResult:
        for attempt in range(1, 60):
            step, checks = playbook.verify(self.context(attempt), target)
            self.checks = {one.name: one for one in checks}
            if step.done and step.again != "contain":
                self.told += [
                    f"{name} {one['status']}: {one['detail']}"
                    for name, one in self.ledger()["actions"].items()
                ]
                assert step.status is not None
                self.record.set_target(INCIDENT, target.kind, target.id, status=step.status)
                return step
            self.ahead += step.wait_seconds
            if step.again == "contain":
                playbook.contain(self.context(attempt + 1), target)
        raise AssertionError(
            f"verify never ends: {step.detail} {step.wait_seconds} {step.again} {self.ahead}"
        )

    def finish(self, target: Target) -> list[StepResult]:
        steps = [playbook.finish(self.context(), target)]
        while not steps[-1].done:
            assert len(steps) < 5
            self.ahead += steps[-1].wait_seconds
            steps.append(playbook.finish(self.context(), target))
        return steps

    def restore(self, incident: str = INCIDENT) -> RestoreResult:
        """As the restore function: it knows the ledger alone, and writes what was seen into it."""
        known = self.ids["target"]
        found = self.record.target(incident, known.kind, known.id)
        target = Target(known.kind, found["id"], found["arn"], MEMBER, REGION)
        context = dataclasses.replace(self.context(incident=incident), finding=None)  # type: ignore[arg-type]
        got = load_restorer("iam_principal").restore(context, target)
        self.record.set_target(
            incident,
            target.kind,
            target.id,
            status=got.status,
            still_contained=got.still_contained,
            restored={"done": got.done, "restored": got.restored, "not_restored": got.not_restored},
        )
        self.told += [f"restored: {text}" for text in got.restored] + [
            f"NOT: {text}" for text in got.not_restored
        ]
        return got

    def fail(
        self,
        operation: str,
        error: str,
        when: Callable[[Json], bool] = lambda _: True,
        times: int = 10**6,
    ) -> None:
        self.faults.append(Fault(operation, error, when, times))
