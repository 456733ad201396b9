"""AWS calls of the lab: how each is recorded, how one fails, and what a session policy refuses."""

from __future__ import annotations

import fnmatch
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.watched_session import granted_resources

if TYPE_CHECKING:
    from tests.unit.playbooks.ec2_instance.ec2_lab import Lab

Json = dict[str, Any]
MEMBER, REGION = "222222222222", "us-east-1"


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


def watch_calls(lab: Lab, client: Any, policy: Json | None, session: int) -> None:
    """Records calls, injects faults and latency, gives the lab's own answers, and refuses what the
    session policy does not allow.
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
        for hook in [hook for hook in lab.hooks if hook[0] == model.name]:
            lab.hooks.remove(hook)
            hook[1]()
        if policy is not None:
            try:
                refuse(call, lab)
            except ClientError as error:
                lab.refused.append(str(error))
                raise
        for fault in lab.faults:
            if fault.operation == model.name and fault.times > 0 and fault.when(params):
                fault.times -= 1
                lab.calls.append(call)
                status = 500 if fault.error.startswith("Internal") else 400
                answer: Any = {
                    "Error": {"Code": fault.error, "Message": "injected"},
                    "ResponseMetadata": {"HTTPStatusCode": status},
                }
                raise ClientError(answer, model.name)
        lab.calls.append(call)
        local.call = call

    def answer(model: Any, **_: Any) -> Any:
        """Answers instead of moto, where it lacks the call or the lab models it."""
        if model.name not in lab.answers:
            return None
        asked = {**local.call.params, "Region": local.call.region}
        found = {**lab.answers[model.name](asked), "ResponseMetadata": {}}
        return AWSResponse(
            "",
            200,
            HTTPHeaders(),
            None,
        ), found

    def send(**_: Any) -> None:
        local.call.start = time.monotonic()
        time.sleep(lab.latency)

    def after(**_: Any) -> None:
        local.call.end = time.monotonic()

    client.meta.events.register_first("before-parameter-build", before)
    client.meta.events.register_first("before-call", answer)
    client.meta.events.register_first("before-send", send)
    client.meta.events.register_last("after-call", after)


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


def _iam_arn(params: Json) -> str:
    """Returns the role or policy that a changing call of IAM names."""
    if "RoleName" in params:
        return f"arn:aws:iam::{MEMBER}:role/{params['RoleName']}"
    return str(
        params.get("PolicyArn") or f"arn:aws:iam::{MEMBER}:policy/{params.get('PolicyName')}"
    )


def owner_of(lab: Lab, id: str) -> str:
    """Returns the account whose resource it is: a VPC, and what is in one, may be another's."""
    if id.startswith("vpc-"):
        return lab.vpc_owner
    backend = ec2_backends[MEMBER][lab.region]
    found = backend.get_security_group_from_id(id) or backend.enis.get(id)
    return str(found.owner_id) if found else MEMBER


def refuse(call: Call, lab: Lab) -> None:
    """Raises UnauthorizedOperation unless the session policy allows the call on each resource it
    names.

    Conditions are not evaluated (the sandbox's enforcing evaluator does that).
    """
    instance, region = lab.ids["instance"], lab.region
    action = (
        f"{_SERVICES.get(call.service, call.service)}:{_S3.get(call.operation, call.operation)}"
    )
    params = {key: value for key, value in call.params.items() if key not in _SPEAKING}
    kinds = [(id, _KINDS[id.split("-")[0]]) for id in _ID.findall(json.dumps(params, default=str))]
    named = [f"arn:aws:ec2:{region}:{owner_of(lab, id)}:{kind}/{id}" for id, kind in kinds]
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
    elif call.service == "iam" and "InstanceProfileName" not in params:
        named = [_iam_arn(params)]
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
    elif "AutoScalingGroupName" in params:
        named = [
            f"arn:aws:autoscaling:{region}:{MEMBER}:autoScalingGroup:x:autoScalingGroupName/"
            f"{params['AutoScalingGroupName']}"
        ]
    allowed = granted_resources(call.policy or {}, action)
    for arn in named or ["*"]:
        if not any(
            fnmatch.fnmatchcase(arn, pattern) or (arn.endswith("-") and pattern.startswith(arn))
            for pattern in allowed
        ):
            message = f"session policy: {action} on {arn}"
            raise ClientError(
                {"Error": {"Code": "UnauthorizedOperation", "Message": message}}, call.operation
            )
