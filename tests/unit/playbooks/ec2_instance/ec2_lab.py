"""A member account with an instance in it, a record table, and the playbook's steps, all on moto in
this process.

Resource state is asserted through ``Lab.see``: boto3 clients of their own, in the member account.
Where moto differs from AWS the test that meets it says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.containment.contract import (
    Context,
    RestoreResult,
    StepResult,
    Target,
    load_restorer,
)
from guardduty_response.containment.gate import Gate
from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config
from guardduty_response.incident.model import StoredObject
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from sandbox.emulator.stale_reads import StaleReads
from tests.unit.deployment import CONFIG, onlooker
from tests.unit.links import link
from tests.unit.playbooks.ec2_instance.lab_calls import (
    MEMBER,
    REGION,
    Call,
    Fault,
    watch_calls,
)
from tests.unit.playbooks.ec2_instance.lab_resources import (
    AMI,
    create_auto_scaling_group,
    create_target_groups,
)
from tests.unit.playbooks.ec2_instance.session_trail import SessionTrail
from tests.unit.playbooks.ec2_instance.trunk_moto import ASSOCIATIONS, refuse_associations
from tests.unit.playbooks.late_answers import Answer, answer_late
from tests.unit.playbooks.own_aws import create_incident_table
from tests.unit.playbooks.watched_session import (
    WatchedSession,
    acting,
    store_restored,
    watch_once,
)

Json = dict[str, Any]
PREFIX, INCIDENT = "guardduty-response", "inc-0123456789abcdef"
OPTIONS: Json = {
    "quarantine_security_group_ids": {},
    "untrack_connections": False,
    "disassociate_elastic_ip": False,
    "auto_scaling": "detach",
    "deregister_targets": True,
    "protect_instance": True,
    "replace_instance_profile": True,
    "revoke_sessions": "instance",
    "other_role_sessions": True,
    "lookup_regions": [],
    "repeat_minutes": 0,
    "disable_metadata": False,
    "snapshot": True,
    "finish": "none",
}


def deny_document(*instances: str) -> Json:
    """The policy that denies the sessions of these instances."""
    condition = {"StringLike": {"aws:userid": [f"*:{instance}" for instance in sorted(instances)]}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


@dataclass
class Lab:
    region: str = REGION  # of the finding; the functions' own is REGION
    job: str = "responder"  # whose member role is assumed
    vpc_owner: str = MEMBER
    latency: float = 0.0
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    exempt: list[str] = field(default_factory=list)  # principals
    got: SessionTrail = field(default_factory=SessionTrail)
    # instead of moto's, by operation; of their parameters and the Region
    answers: dict[str, Callable[[Json], Json]] = field(default_factory=dict)
    # run once before an operation
    hooks: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    options: Json = field(default_factory=lambda: deepcopy(OPTIONS))
    forensics: Json = field(default_factory=lambda: {"when": "off"})
    forensics_account: Json | None = None
    ids: Json = field(default_factory=dict)
    finding_type: str = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
    sample: bool = False
    instance_type: str = "t3.small"
    policies: list[Json] = field(default_factory=list)
    waited: float = 0.0  # seconds that the machine waited, and the response itself
    stale: StaleReads[Answer] | None = None  # its reads are answered late
    notified: list[str] = field(default_factory=list)
    # what a session asked for beyond its policy: no test may see any
    refused: list[str] = field(default_factory=list)
    observers: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answers |= {ASSOCIATIONS: refuse_associations}
        self.answers |= {"LookupEvents": self.got.look_up, "ListRegions": self.got.list_regions}

    def see_late(self, seconds: float) -> None:
        """Shows the response its changes only so many seconds later; waiting is put forward."""
        self.stale = StaleReads(lambda: self.waited)
        self.stale.seconds = seconds

    # -- looking with other eyes -------------------------------------------------------------------

    def see(self, service: str, region: str = "") -> Any:
        key = (service, region or self.region)
        if key not in self.observers:
            self.observers[key] = onlooker(*key)
        return self.observers[key]

    def groups(self) -> dict[str, list[str]]:
        """Interface -> names of its security groups, of everything attached to the instance."""
        found = self.see("ec2").describe_network_interfaces(
            Filters=[{"Name": "attachment.instance-id", "Values": [self.ids["instance"]]}]
        )["NetworkInterfaces"]
        return {
            described["NetworkInterfaceId"]: [group["GroupName"] for group in described["Groups"]]
            for described in found
        }

    def group(self, name: str = f"{PREFIX}-quarantine") -> Json:
        filters = [
            {"Name": "group-name", "Values": [name]},
            {"Name": "vpc-id", "Values": [self.ids["vpc"]]},
        ]
        (found,) = self.see("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        return dict(found)

    def stored_record(self) -> Json:
        return {**self.record.target(INCIDENT, "ec2_instance", self.ids["instance"])}

    def actions(self) -> dict[str, str]:
        return {name: action["status"] for name, action in self.stored_record()["actions"].items()}

    def profiles(self) -> list[str]:
        found = self.see("ec2").describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [self.ids["instance"]]}]
        )["IamInstanceProfileAssociations"]
        return [
            association["IamInstanceProfile"]["Arn"].rsplit("/", 1)[-1] for association in found
        ]

    def deny_name(self) -> str:
        """The name of the role's policy that denies the sessions of instances."""
        return f"{PREFIX}-sessions"

    def role_policies(self) -> dict[str, Json]:
        iam = self.see("iam")
        names = iam.list_role_policies(RoleName="app")["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName="app", PolicyName=name)["PolicyDocument"]
            for name in names
        }

    def forget_entries(self) -> None:
        """Leaves the record as an earlier release wrote it: it says of no role who needs what."""
        table = self.own("dynamodb")
        for found in table.scan(TableName="incidents")["Items"]:
            if found["sk"]["S"].startswith("ENTRY#"):
                key = {name: found[name] for name in ("pk", "sk")}
                table.delete_item(TableName="incidents", Key=key)

    def snapshots(self) -> list[Json]:
        return list(
            self.see("ec2").describe_snapshots(
                OwnerIds=["self"],
                Filters=[{"Name": f"tag:{PREFIX}-incident", "Values": [INCIDENT]}],
            )["Snapshots"]
        )

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    # -- building ----------------------------------------------------------------------------------

    def build(
        self,
        interfaces: int = 1,
        ipv6: bool = False,
        profile: bool = True,
        asg: bool = False,
        targets: bool = False,
        eip: bool = False,
        stopped: bool = False,
    ) -> Lab:
        create_incident_table(REGION)
        ec2, iam = self.see("ec2"), self.see("iam")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=ipv6)["Vpc"][
            "VpcId"
        ]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
        for name in ("app", f"{PREFIX}-quarantine", f"{PREFIX}-quarantine-ssm"):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
            iam.create_instance_profile(InstanceProfileName=name)
            iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        extra: Json = {"IamInstanceProfile": {"Name": "app"}} if profile else {}
        made = ec2.run_instances(
            ImageId=AMI,
            MinCount=1,
            MaxCount=1,
            InstanceType=self.instance_type,
            InstanceInitiatedShutdownBehavior="terminate",
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [group]}],
            BlockDeviceMappings=[
                {"DeviceName": name, "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}
                for name in ("/dev/sda1", "/dev/sdb")
            ],
            **extra,
        )["Instances"][0]
        self.ids = {"vpc": vpc, "subnet": subnet, "group": group, "instance": made["InstanceId"]}
        for index in range(1, interfaces):
            self.attach(index)
        if asg:
            create_auto_scaling_group(self)
        if targets:
            create_target_groups(self)
        if eip:
            allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
            ec2.associate_address(AllocationId=allocation, InstanceId=self.ids["instance"])
        if stopped:
            ec2.stop_instances(InstanceIds=[self.ids["instance"]])
        return self

    def attach(self, index: int, subnet: str = "", groups: tuple[str, ...] = ()) -> str:
        """Attaches another interface: in the instance's subnet and group, if no others are named,
        which may be of another VPC.
        """
        ec2 = self.see("ec2")
        made = ec2.create_network_interface(
            SubnetId=subnet or self.ids["subnet"], Groups=[*(groups or (self.ids["group"],))]
        )["NetworkInterface"]
        id = str(made["NetworkInterfaceId"])
        ec2.attach_network_interface(
            InstanceId=self.ids["instance"], NetworkInterfaceId=id, DeviceIndex=index
        )
        return id

    # -- running -----------------------------------------------------------------------------------

    @property
    def record(self) -> IncidentRepository:
        return IncidentRepository("incidents", self.own("dynamodb"))

    def own(self, service: str) -> Any:
        client = clients.client(service)
        watch_once(client, lambda made: self.hook(made, None, 0))
        return client

    def context(self, attempt: int = 1, incident: str = INCIDENT) -> Context:
        self.own("sts")
        detail = {"resource": {"instanceDetails": {"instanceId": self.ids.get("instance")}}}
        seen = finding.Finding(
            id="f1",
            type=self.finding_type,
            account_id=MEMBER,
            region=self.region,
            partition="aws",
            severity=8.0,
            title="t",
            resource_type="Instance",
            sample=self.sample,
            archived=False,
            count=1,
            detail=self.ids.get("detail") or detail,
        )
        document = dict.fromkeys(Config._fields) | {
            "name_prefix": PREFIX,
            "partition": "aws",
            "playbooks": {"ec2_instance": self.options},
            "responder": CONFIG["responder"],
            "forensics": self.forensics,
            "evidence": {"log_window_minutes": 60, "forensics_account": self.forensics_account},
            "guardrails": {"exempt_principals": self.exempt},
        }
        config = Config(**document)  # type: ignore[arg-type]
        return Context(
            config,
            self.options,
            seen,
            incident,
            "exec",
            self.record,
            self.assume,
            lambda *_: StoredObject(),
            attempt,
            kept=self.ids.get("kept") or {},
        )

    def assume(
        self, account: str, region: str, policy: Json, gate: Gate | None = None
    ) -> clients.Session:
        assert (account, region) == (MEMBER, self.region)
        self.policies.append(policy)
        number = len(self.policies)
        role = f"arn:aws:iam::{account}:role/{PREFIX}-{self.job}-ec2-instance"

        def hook(client: Any) -> None:
            self.hook(client, policy, number)

        return WatchedSession(hook, role, region, policy, gate)

    def hook(self, client: Any, policy: Json | None, session: int) -> None:
        """Records the client's calls, and lets them fail as the test wants."""
        watch_calls(self, client, policy, session)
        if self.stale:
            answer_late(client, self.stale)

    def plan(self) -> Target:
        (planned,) = ec2_instance.plan(self.context())
        target = link(self.record, INCIDENT, planned.target, "ec2_instance", planned.immutable_id)
        json.dumps(target.payload())  # what the machine carries
        self.ids["planned"] = planned
        return target

    def respond(self, target: Target | None = None) -> StepResult:
        """plan, then contain and verify as the machine runs them."""
        target = target or self.plan()
        ec2_instance.contain(self.context(), target)
        return self.verify(target)

    def verify(self, target: Target) -> StepResult:
        for attempt in range(1, 30):
            step, checks = ec2_instance.verify(self.context(attempt), target)
            self.ids["checks"] = {check.name: check for check in checks}
            self.notified += [
                f"{name} {action['status']}: {action['detail']}"
                for name, action in self.stored_record()["actions"].items()
            ]
            if step.done and step.again != "contain":
                assert step.status is not None
                self.record.set_target(INCIDENT, target.kind, target.id, status=step.status)
                return step
            self.waited += step.wait_seconds
            if step.again == "contain":
                ec2_instance.contain(self.context(attempt + 1), target)
        raise AssertionError("verify never ends")

    def restore(self, incident: str = INCIDENT) -> RestoreResult:
        """As the restore function: it knows the ledger alone, and writes what was seen into it."""
        found = self.record.target(incident, "ec2_instance", self.ids["instance"])
        target = Target(
            "ec2_instance",
            found["id"],
            found["arn"],
            MEMBER,
            self.region,
            generation=found["generation"],
            opened_by=found["opened_by"],
        )
        with acting(self, "restorer"):
            got = load_restorer("ec2_instance").restore(self.context(incident=incident), target)
        store_restored(self.record, incident, target.kind, target.id, got)
        self.notified += [f"restored: {text}" for text in got.restored] + [
            f"NOT: {text}" for text in got.not_restored
        ]
        return got

    def wait(
        self, step_name: Callable[[Context, Target], StepResult], target: Target, most: int = 50
    ) -> list[StepResult]:
        steps: list[StepResult] = []
        for attempt in range(1, most):
            steps.append(step_name(self.context(attempt), target))
            if steps[-1].done:
                break
        return steps

    def fail(
        self,
        operation: str,
        error: str,
        when: Callable[[Json], bool] = lambda _: True,
        times: int = 10**6,
    ) -> None:
        self.faults.append(Fault(operation, error, when, times))


__all__ = ["AMI", "INCIDENT", "MEMBER", "OPTIONS", "PREFIX", "REGION", "Call", "Fault", "Lab"]
