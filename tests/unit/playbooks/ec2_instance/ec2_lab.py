"""A member account with an instance in it, a record table, and the playbook's five verbs, all on
moto in this process.

Resource state is asserted through ``Lab.see``: boto3 clients of their own, in the member account.
Where moto differs from AWS the test that meets it says so.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError
from guardduty_response.aws import clients
from guardduty_response.containment.contract import (
    Context,
    RestoreResult,
    StepResult,
    Target,
    load_restorer,
)
from guardduty_response.decision import finding
from guardduty_response.decision.configuration import Config
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.core.botocore_stubber import BotocoreStubber

from tests.unit.lambda_world import CONFIG, onlooker

Json = dict[str, Any]
MEMBER, REGION, PREFIX, INCIDENT = (
    "222222222222",
    "us-east-1",
    "guardduty-response",
    "inc-0123456789abcdef",
)
AMI = "ami-12c6146b"  # one that moto knows
OPTIONS: Json = {
    "quarantine_security_group_ids": {},
    "untrack_connections": False,
    "disassociate_elastic_ip": False,
    "auto_scaling": "detach",
    "deregister_targets": True,
    "protect_instance": True,
    "replace_instance_profile": True,
    "revoke_sessions": "instance",
    "snapshot": True,
    "finish": "none",
}


_HOOKING = threading.Lock()


def one_at_a_time() -> Callable[..., Any]:
    """moto's answer to a request, to put in its place: moto is not safe for threads; AWS is."""
    answer, lock = BotocoreStubber.process_request, threading.RLock()

    def locked(*arguments: Any) -> Any:
        with lock:
            return answer(*arguments)

    return locked


@dataclass
class Call:
    """One AWS call: seconds since the lab's clock started, and the session policy it was made
    under (None: own role).
    """

    service: str
    operation: str
    params: Json
    policy: Json | None
    session: int
    region: str = REGION
    start: float = 0.0
    end: float = 0.0


@dataclass
class Fault:
    operation: str
    error: str
    when: Callable[[Json], bool] = lambda _: True
    times: int = 10**6


@dataclass
class Lab:
    region: str = REGION  # of the finding; the functions' own is REGION
    latency: float = 0.0
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    # run once before an operation
    hooks: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    options: Json = field(default_factory=lambda: dict(OPTIONS))
    forensics: Json = field(default_factory=lambda: {"when": "off"})
    forensics_account: Json | None = None
    ids: Json = field(default_factory=dict)
    finding_type: str = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
    sample: bool = False
    instance_type: str = "t3.small"
    policies: list[Json] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    # what a session asked for beyond its policy: no test may see any
    refused: list[str] = field(default_factory=list)

    # -- looking with other eyes -------------------------------------------------------------------

    def see(self, service: str, region: str = "") -> Any:
        return onlooker(service, region or self.region)

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

    def ledger(self) -> Json:
        return self.record.target(INCIDENT, "ec2_instance", self.ids["instance"])

    def actions(self) -> dict[str, str]:
        return {name: action["status"] for name, action in self.ledger()["actions"].items()}

    def profiles(self) -> list[str]:
        found = self.see("ec2").describe_iam_instance_profile_associations(
            Filters=[{"Name": "instance-id", "Values": [self.ids["instance"]]}]
        )["IamInstanceProfileAssociations"]
        return [
            association["IamInstanceProfile"]["Arn"].rsplit("/", 1)[-1] for association in found
        ]

    def role_policies(self) -> dict[str, Json]:
        iam = self.see("iam")
        names = iam.list_role_policies(RoleName="app")["PolicyNames"]
        return {
            name: iam.get_role_policy(RoleName="app", PolicyName=name)["PolicyDocument"]
            for name in names
        }

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
            self._asg()
        if targets:
            self._targets()
        if eip:
            allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
            ec2.associate_address(AllocationId=allocation, InstanceId=self.ids["instance"])
        if stopped:
            ec2.stop_instances(InstanceIds=[self.ids["instance"]])
        return self

    def attach(self, index: int) -> str:
        ec2 = self.see("ec2")
        made = ec2.create_network_interface(
            SubnetId=self.ids["subnet"], Groups=[self.ids["group"]]
        )["NetworkInterface"]
        id = str(made["NetworkInterfaceId"])
        ec2.attach_network_interface(
            InstanceId=self.ids["instance"], NetworkInterfaceId=id, DeviceIndex=index
        )
        return id

    def _asg(self) -> None:
        client, zone = (
            self.see("autoscaling"),
            self.see("ec2").describe_subnets(SubnetIds=[self.ids["subnet"]]),
        )
        client.create_launch_configuration(
            LaunchConfigurationName="lc", ImageId=AMI, InstanceType="t3.small"
        )
        client.create_auto_scaling_group(
            AutoScalingGroupName="web",
            LaunchConfigurationName="lc",
            MinSize=0,
            MaxSize=3,
            DesiredCapacity=0,
            AvailabilityZones=[zone["Subnets"][0]["AvailabilityZone"]],
        )
        client.attach_instances(AutoScalingGroupName="web", InstanceIds=[self.ids["instance"]])

    def _targets(self) -> None:
        client = self.see("elbv2")
        for name, port in (("web", 80), ("api", 8080)):
            arn = client.create_target_group(
                Name=name, Protocol="HTTP", Port=port, VpcId=self.ids["vpc"], TargetType="instance"
            )["TargetGroups"][0]["TargetGroupArn"]
            client.register_targets(
                TargetGroupArn=arn, Targets=[{"Id": self.ids["instance"], "Port": port}]
            )
            self.ids.setdefault("target_groups", []).append(arn)
        client.create_target_group(
            Name="other", Protocol="HTTP", Port=1, VpcId=self.ids["vpc"], TargetType="instance"
        )

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
        document = dict.fromkeys((setting.name for setting in dataclasses.fields(Config)), None) | {
            "name_prefix": PREFIX,
            "partition": "aws",
            "playbooks": {"ec2_instance": self.options},
            "responder": CONFIG["responder"],
            "forensics": self.forensics,
            "evidence": {"log_window_minutes": 60, "forensics_account": self.forensics_account},
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
            lambda *_: {},
            attempt,
        )

    def assume(self, account: str, region: str, policy: Json) -> clients.Session:
        assert (account, region) == (MEMBER, self.region)
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

        return Watched(
            f"arn:aws:iam::{account}:role/{PREFIX}-responder-ec2-instance", "lab", region, policy
        )

    def hook(self, client: Any, policy: Json | None, session: int) -> None:
        """Records calls, injects faults and latency, and refuses what the session policy does
        not allow.
        """
        local = threading.local()

        def before(params: Json, model: Any, **_: Any) -> None:
            call = Call(
                client.meta.service_model.service_name,
                model.name,
                params,
                policy,
                session,
                client.meta.region_name,
            )
            for hook in [hook for hook in self.hooks if hook[0] == model.name]:
                self.hooks.remove(hook)
                hook[1]()
            if policy is not None:
                try:
                    refuse(call, self.ids["instance"], self.region)
                except ClientError as error:
                    self.refused.append(str(error))
                    raise
            for fault in self.faults:
                if fault.operation == model.name and fault.times > 0 and fault.when(params):
                    fault.times -= 1
                    self.calls.append(call)
                    status = 500 if fault.error.startswith("Internal") else 400
                    answer: Any = {
                        "Error": {"Code": fault.error, "Message": "injected"},
                        "ResponseMetadata": {"HTTPStatusCode": status},
                    }
                    raise ClientError(answer, model.name)
            self.calls.append(call)
            local.call = call

        def send(**_: Any) -> None:
            local.call.start = time.monotonic()
            time.sleep(self.latency)

        def after(**_: Any) -> None:
            local.call.end = time.monotonic()

        client.meta.events.register_first("before-parameter-build", before)
        client.meta.events.register_first("before-send", send)
        client.meta.events.register_last("after-call", after)

    def plan(self) -> Target:
        (planned,) = ec2_instance.plan(self.context())
        target = planned.target
        self.record.put_target(INCIDENT, {"kind": target.kind, "id": target.id, "arn": target.arn})
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
            self.told += [
                f"{name} {action['status']}: {action['detail']}"
                for name, action in self.ledger()["actions"].items()
            ]
            if step.done and step.again != "contain":
                assert step.status is not None
                self.record.set_target(INCIDENT, target.kind, target.id, status=step.status)
                return step
            if step.again == "contain":
                ec2_instance.contain(self.context(attempt + 1), target)
        raise AssertionError("verify never ends")

    def restore(self, incident: str = INCIDENT) -> RestoreResult:
        """As the restore function: it knows the ledger alone, and writes what was seen into it."""
        found = self.record.target(incident, "ec2_instance", self.ids["instance"])
        target = Target("ec2_instance", found["id"], found["arn"], MEMBER, self.region)
        got = load_restorer("ec2_instance").restore(self.context(incident=incident), target)
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

    def wait(
        self, verb: Callable[[Context, Target], StepResult], target: Target, most: int = 50
    ) -> list[StepResult]:
        steps: list[StepResult] = []
        for attempt in range(1, most):
            steps.append(verb(self.context(attempt), target))
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


_SERVICES = {"elbv2": "elasticloadbalancing"}  # where IAM's name of a service is not botocore's
_KINDS = {
    "i": "instance",
    "eni": "network-interface",
    "sg": "security-group",
    "vol": "volume",
    "vpc": "vpc",
}
_ID = re.compile(r"\b(?:i|eni|sg|vol|vpc)-[0-9a-f]{8,17}\b")
_S3 = {"ListObjectsV2": "ListBucket"}
# parameters that act on nothing they name
_SPEAKING = ("IpPermissions", "Filters", "TagSpecifications")


def refuse(call: Call, instance: str, region: str = REGION) -> None:
    """Raises UnauthorizedOperation unless the session policy allows the call on each resource it
    names.

    Conditions are not evaluated (the sandbox's enforcing evaluator does that).
    """
    action = (
        f"{_SERVICES.get(call.service, call.service)}:{_S3.get(call.operation, call.operation)}"
    )
    params = {key: value for key, value in call.params.items() if key not in _SPEAKING}
    named = [
        f"arn:aws:ec2:{region}:{MEMBER}:{_KINDS[id.split('-')[0]]}/{id}"
        for id in _ID.findall(json.dumps(params, default=str))
    ]
    if call.service == "ebs":
        named = [f"arn:aws:ec2:{region}::snapshot/{params['SnapshotId']}"]
    elif call.service == "s3":
        named = [
            f"arn:aws:s3:::{params['Bucket']}" + (f"/{params['Key']}" if "Key" in params else "")
        ]
    elif call.operation == "FilterLogEvents":
        named = [f"arn:aws:logs:{region}:{MEMBER}:log-group:{params['logGroupName']}"]
    elif call.operation in ("CopySnapshot", "ModifySnapshotAttribute"):
        id = params.get("SourceSnapshotId") or params["SnapshotId"]
        named = [f"arn:aws:ec2:{region}:{MEMBER}:snapshot/{id}"]
    elif call.operation.startswith("Describe") or (
        call.operation.startswith("Get") and "Console" not in call.operation
    ):
        named = []
    elif "AssociationId" in params:
        named = [
            f"arn:aws:ec2:{region}:{MEMBER}:"
            f"{'elastic-ip/eipalloc-' if 'Address' in action else f'instance/{instance}'}"
        ]
    elif call.operation in ("DeregisterTargets", "RegisterTargets"):
        named = [params["TargetGroupArn"]]
    elif call.operation == "AssociateAddress":
        named.append(f"arn:aws:ec2:{region}:{MEMBER}:elastic-ip/{params['AllocationId']}")
    elif call.operation in ("PutRolePolicy", "DeleteRolePolicy"):
        named = [f"arn:aws:iam::{MEMBER}:role/{params['RoleName']}"]
    elif "AutoScalingGroupName" in params:
        named = [
            f"arn:aws:autoscaling:{region}:{MEMBER}:autoScalingGroup:x:autoScalingGroupName/"
            f"{params['AutoScalingGroupName']}"
        ]
    allowed = [
        pattern
        for statement in (call.policy or {})["Statement"]
        if action in statement["Action"]
        for pattern in (
            [statement["Resource"]]
            if isinstance(statement["Resource"], str)
            else statement["Resource"]
        )
    ]
    for arn in named or ["*"]:
        if not any(
            fnmatch.fnmatchcase(arn, pattern) or (arn.endswith("-") and pattern.startswith(arn))
            for pattern in allowed
        ):
            message = f"session policy: {action} on {arn}"
            raise ClientError(
                {"Error": {"Code": "UnauthorizedOperation", "Message": message}}, call.operation
            )
