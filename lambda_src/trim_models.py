"""Trims botocore's largest models to the operations the functions call, and its endpoints to the
services they call: ``python lambda_src/trim_models.py``.

Parsing the full models (EC2: 3.6 MB, 700 operations) is the largest part of a cold start; the
endpoints of all services (1.3 MB) take 11 ms. How a Region that the trimmed endpoints do not name
is reached, botocore's rules for each service say, as they do beside the full ones.
``--check`` compares the committed file with what the installed botocore gives. Model data only:
request signing, endpoints and parsing stay botocore's own, and when the runtime's botocore knows a
newer API version it simply ignores this file.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import botocore.session

MODELS = Path(__file__).resolve().parent / "guardduty_response" / "aws" / "models"
DATA = Path(botocore.__file__).parent / "data"
OPERATIONS: dict[str, list[str]] = {
    "dynamodb/2012-08-10": [
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ],
    "ec2/2016-11-15": [
        "AssociateAddress",
        "AssociateIamInstanceProfile",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateSecurityGroup",
        "CreateTags",
        "DescribeAddresses",
        "DescribeIamInstanceProfileAssociations",
        "DescribeInstanceAttribute",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeManagedPrefixLists",
        "DescribeNetworkInterfaces",
        "DescribeRouteTables",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTrunkInterfaceAssociations",
        "DisassociateAddress",
        "DisassociateIamInstanceProfile",
        "ModifyInstanceAttribute",
        "ModifyInstanceMetadataOptions",
        "ModifyNetworkInterfaceAttribute",
        "ReplaceIamInstanceProfileAssociation",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "StopInstances",
    ],
    "iam/2010-05-08": [
        "AttachRolePolicy",
        "AttachUserPolicy",
        "CreatePolicy",
        "CreatePolicyVersion",
        "DeactivateMFADevice",
        "DeleteLoginProfile",
        "DeletePolicy",
        "DeletePolicyVersion",
        "DeleteRolePolicy",
        "DeleteUserPermissionsBoundary",
        "DetachRolePolicy",
        "DetachUserPolicy",
        "GetAccessKeyLastUsed",
        "GetInstanceProfile",
        "GetLoginProfile",
        "GetPolicy",
        "GetPolicyVersion",
        "GetRole",
        "GetRolePolicy",
        "GetUser",
        "ListAccessKeys",
        "ListAttachedRolePolicies",
        "ListAttachedUserPolicies",
        "ListInstanceProfilesForRole",
        "ListMFADevices",
        "ListPolicyVersions",
        "ListSSHPublicKeys",
        "ListServiceSpecificCredentials",
        "ListSigningCertificates",
        "PutRolePolicy",
        "PutUserPermissionsBoundary",
        "TagRole",
        "TagUser",
        "UntagRole",
        "UpdateAccessKey",
        "UpdateLoginProfile",
        "UpdateSSHPublicKey",
        "UpdateServiceSpecificCredential",
        "UpdateSigningCertificate",
    ],
    "s3/2006-03-01": ["GetObject", "PutObject"],
}

MEMBERS = {  # large answers: what is read of them
    "Instance": (
        "BlockDeviceMappings",
        "IamInstanceProfile",
        "InstanceId",
        "InstanceLifecycle",
        "InstanceType",
        "MetadataOptions",
        "NetworkInterfaces",
        "OutpostArn",
        "RootDeviceType",
        "State",
        "Tags",
    ),
    "InstanceTypeInfo": ("InstanceType", "InstanceStorageSupported"),
    "Subnet": ("EnableLniAtDeviceIndex", "SubnetId"),
}

# Services whose endpoints stay, also where a function uses the full model.
SERVICES = (
    "account",
    "athena",
    "autoscaling",
    "cloudtrail",
    "config",
    "dynamodb",
    "ebs",
    "ec2",
    "ecs",
    "elbv2",
    "guardduty",
    "iam",
    "identitystore",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "sso-admin",
    "stepfunctions",
    "sts",
)
ENDPOINTS = "endpoints.json.gz"


def _without_documentation(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            k: _without_documentation(v)
            for k, v in node.items()
            if not (k == "documentation" and isinstance(v, str))
        }
    return [_without_documentation(item) for item in node] if isinstance(node, list) else node


def target(api: str) -> Path:
    return MODELS / api / "service-2.json.gz"


def trimmed(api: str) -> dict[str, Any]:
    """The installed botocore's model of ``api`` (service/version) with its OPERATIONS and the
    shapes they reach.
    """
    full = json.loads(gzip.decompress((DATA / api / "service-2.json.gz").read_bytes()))
    for name, kept in MEMBERS.items():
        if shape := full["shapes"].get(name):
            shape["members"] = {member: shape["members"][member] for member in kept}
    shapes: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            name = node.get("shape")
            if isinstance(name, str) and name in full["shapes"] and name not in shapes:
                shapes.add(name)
                walk(full["shapes"][name])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    operations = {name: full["operations"][name] for name in OPERATIONS[api]}
    walk(operations)
    model = {
        **full,
        "operations": operations,
        "shapes": {name: full["shapes"][name] for name in sorted(shapes)},
    }
    result: dict[str, Any] = _without_documentation(model)
    for parameter in result.get("clientContextParams", {}).values():
        parameter["documentation"] = ""  # botocore insists on this one
    return result


def trimmed_endpoints() -> dict[str, Any]:
    """The installed botocore's endpoints of SERVICES, with every partition and Region."""
    session = botocore.session.Session()
    prefixes = {session.get_service_model(name).endpoint_prefix for name in SERVICES}
    endpoints: dict[str, Any] = json.loads((DATA / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in prefixes}
    return endpoints


def main() -> int:
    wrong = False
    files = {target(api): (api, trimmed(api)) for api in OPERATIONS}
    files[MODELS / ENDPOINTS] = "endpoints", trimmed_endpoints()
    for path, (name, data) in files.items():
        if "--check" in sys.argv:
            same = path.is_file() and json.loads(gzip.decompress(path.read_bytes())) == data
            wrong = wrong or not same
            print(
                f"{name}: {'as the installed botocore gives' if same else 'differs: run make zips'}"
            )
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        packed = gzip.compress(
            json.dumps(data, sort_keys=True, separators=(",", ":")).encode(), mtime=0
        )
        path.write_bytes(packed)
        print(f"{name}: {len(packed)} bytes")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
