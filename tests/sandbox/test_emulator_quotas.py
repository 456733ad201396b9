"""AWS's quotas and names in the emulators: policies, groups of an interface, rules of a group."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.containment.session_policy import accepted, packed_bytes

from sandbox import seed
from sandbox.clients import Aws
from sandbox.emulator import policy_sizes
from tests.sandbox.emulator_helpers import ALLOW_ALL, MEMBER, Identity, allow

Make = Callable[..., seed.Victim]


def code(call: Callable[[], object]) -> str:
    """The error a call ends with; an empty text when it is done."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.fixture
def group(aws: Aws) -> Iterator[str]:
    iam, name = aws.client("iam"), f"group-{secrets.token_hex(4)}"
    iam.create_group(GroupName=name)
    yield name


@pytest.fixture
def make(aws: Aws, network: seed.Network) -> Callable[[str], str]:
    """Makes a security group of that name in the shared VPC; its id."""

    def create(name: str) -> str:
        ec2 = aws.client("ec2")
        created = ec2.create_security_group(GroupName=name, Description="d", VpcId=network.vpc)
        return str(created["GroupId"])

    return create


def test_inline_policies_of_a_group_have_a_size(aws: Aws, group: str) -> None:
    put, big = aws.client("iam").put_group_policy, allow([f"s3:Get{n}" for n in range(190)])
    document = json.dumps(big, indent=4)
    size = policy_sizes.inline_size([document])
    assert 5120 / 3 < size < 5120 / 2 < len(document)
    for name in ("one", "two"):
        put(GroupName=group, PolicyName=name, PolicyDocument=document)
    refused = {"GroupName": group, "PolicyName": "three", "PolicyDocument": document}
    assert code(lambda: put(**refused)) == "LimitExceeded"
    assert code(lambda: put(**{**refused, "PolicyName": "one"})) == "", "it takes its own place"


def test_a_group_holds_ten_policies_that_exist(aws: Aws, group: str) -> None:
    iam = aws.client("iam")
    made = [
        iam.create_policy(PolicyName=f"{group}-{n}", PolicyDocument=json.dumps(ALLOW_ALL))
        for n in range(11)
    ]
    arns = [created["Policy"]["Arn"] for created in made]
    attach = partial(iam.attach_group_policy, GroupName=group)
    codes = [code(partial(attach, PolicyArn=arn)) for arn in arns]
    assert codes == [""] * 10 + ["LimitExceeded"]
    missing = "arn:aws:iam::aws:policy/NoSuch"
    assert code(lambda: attach(PolicyArn=missing)) == "NoSuchEntity"


@pytest.mark.smoke
def test_session_policies_have_a_length_and_a_packed_size(aws: Aws, identity: Identity) -> None:
    trust = allow(["sts:AssumeRole", "sts:TagSession"])
    [statement] = trust["Statement"]
    statement["Principal"] = {"AWS": f"arn:aws:iam::{MEMBER}:root"}
    del statement["Resource"]
    role = identity.role(ALLOW_ALL, trust=trust)
    arns = [f"arn:aws:ec2:us-east-1:222222222222:network-interface/eni-{n:017x}" for n in range(22)]
    assert code(lambda: identity.session(role, policy=allow("ec2:Describe*", arns))) == ""
    longer = allow("ec2:Describe*", arns * 2)
    assert code(lambda: identity.session(role, policy=longer)) == "ValidationError"
    # Letters of chance cannot be compressed by much: what the response holds for safe, and a little
    # more than AWS is assumed to take.
    safe = next(policy for policy in _longer_and_longer() if packed_bytes(policy) > 410)
    assert accepted(safe)
    assume = partial(
        aws.client("sts").assume_role,
        RoleArn=role,
        RoleSessionName="test",
        Policy=json.dumps(safe, separators=(",", ":")),
    )
    assert code(assume) == ""
    tags = [{"Key": "chance", "Value": secrets.token_urlsafe(60)}]
    assert code(partial(assume, Tags=tags)) == "PackedPolicyTooLarge"
    larger = next(policy for policy in _longer_and_longer() if packed_bytes(policy) > 460)
    assert len(json.dumps(larger)) < 2048
    assert code(lambda: identity.session(role, policy=larger)) == "PackedPolicyTooLarge"


def _longer_and_longer() -> Iterator[Any]:
    """Session policies whose packed sizes grow by a few bytes."""
    name = secrets.token_urlsafe(600)
    yield from (allow(f"s3:{name[:length]}") for length in range(100, len(name), 5))


def test_the_packed_size_is_no_smaller_than_that_of_the_examples_of_aws() -> None:
    """STS API Reference: AssumeRole and GetFederationToken, 8 % each (docs/decisions/0002)."""
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Sid":"Stmt1","Effect":"Allow",'
        '"Action":"s3:ListAllMyBuckets","Resource":"*"}]}'
    )
    tags = ["Project", "Unicorn", "Team", "Automation", "Cost-Center", "12345"]
    assert policy_sizes.packed_percent(policy, tags) == 32
    tags = ["Project", "Pegasus", "Cost-Center", "98765"]
    assert policy_sizes.packed_percent(policy, tags) == 30
    assert policy_sizes.packed_percent("") == 0


@pytest.mark.smoke
def test_names_of_security_groups(make: Callable[[str], str]) -> None:
    name = f"Web-{secrets.token_hex(4)}"
    make(name)
    assert code(lambda: make(name.upper())) == "InvalidGroup.Duplicate"
    for wrong in ("sg-web", "SG-web", "grüezi", "a" * 256, 'quote"'):
        assert code(partial(make, wrong)) == "InvalidParameterValue", wrong
    assert make(f"{secrets.token_hex(4)} ._-:/()#,@[]+=&;{{}}!$*")


def test_an_interface_has_five_groups(aws: Aws, victim: Make, make: Callable[[str], str]) -> None:
    found, ec2 = victim(), aws.client("ec2")
    groups = [make(f"g-{secrets.token_hex(4)}") for _ in range(6)]
    modify = ec2.modify_network_interface_attribute
    interface = found.interfaces[0]
    assert code(lambda: modify(NetworkInterfaceId=interface, Groups=groups[:5])) == ""
    exceeded = "SecurityGroupsPerInterfaceLimitExceeded"
    assert code(lambda: modify(NetworkInterfaceId=interface, Groups=groups)) == exceeded
    create = ec2.create_network_interface
    assert code(lambda: create(SubnetId=found.subnets[0], Groups=groups)) == exceeded


def _permission(source: str, addresses: list[str]) -> list[dict[str, Any]]:
    kind = "Ipv6Ranges" if source == "CidrIpv6" else "IpRanges"
    ranges = [{source: address} for address in addresses]
    return [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, kind: ranges}]


def test_a_group_has_sixty_rules_of_each_family_and_direction(
    aws: Aws, make: Callable[[str], str]
) -> None:
    ec2, group = aws.client("ec2"), make(f"g-{secrets.token_hex(4)}")
    for call in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        room = 60 if call == ec2.authorize_security_group_ingress else 59  # one lets everything out
        for source, addresses in (
            ("CidrIp", [f"10.0.0.{n}/32" for n in range(61)]),
            ("CidrIpv6", [f"2001:db8::{n:x}/128" for n in range(61)]),
        ):
            full = {"GroupId": group, "IpPermissions": _permission(source, addresses[:room])}
            assert code(partial(call, **full)) == "", source
            more = {"GroupId": group, "IpPermissions": _permission(source, addresses[60:])}
            exceeded = "RulesPerSecurityGroupLimitExceeded"
            assert code(partial(call, **more)) == exceeded, source
