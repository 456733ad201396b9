"""What is found of a session policy; conftest.py asks about those of every session that a test of
the playbooks opens.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.containment.session_policy import PACKED_BYTES, packed_bytes
from guardduty_response.containment.target_context import allow, policy

from tests.support.session_policies import objections, shape

Json = dict[str, Any]
MEMBER, EC2 = "222222222222", "arn:aws:ec2:us-east-1:222222222222"
ROLE = f"arn:aws:iam::{MEMBER}:role/guardduty-response"
RESPONDER = f"{ROLE}-responder-ec2-instance"
INSTANCE = f"{EC2}:instance/i-0123456789abcdef0"
OWN = f"{ROLE}-restorer-ec2-instance"
# What is wrong -> role, statement, what is found
FAULTS: dict[str, tuple[str, Json, list[str]]] = {
    "nothing": (RESPONDER, allow(("ec2:StopInstances",), INSTANCE), []),
    "a misspelt action": (
        RESPONDER,
        allow(("ec2:StopInstance",), INSTANCE),
        [
            "statement 0: no action is ec2:StopInstance",
            "the role does not allow ec2:StopInstance",
        ],
    ),
    "the wrong resource type": (
        RESPONDER,
        allow(("ec2:StopInstances",), f"{EC2}:volume/vol-0123456789abcdef0"),
        [
            "ec2:StopInstances needs a resource of type instance",
            "statement 0: ec2:StopInstances takes instance, none of the resources",
            f"statement 0: no action takes {EC2}:volume/vol-0",
            f"the role does not allow ec2:StopInstances on {EC2}:volume/vol-0",
        ],
    ),
    "a condition key of another action": (
        RESPONDER,
        allow(("ec2:StopInstances",), INSTANCE, **{"iam:PassedToService": "ec2.amazonaws.com"}),
        ["statement 0: ec2:StopInstances has no condition key iam:PassedToService"],
    ),
    "an action that another depends on": (
        RESPONDER,
        allow(("ec2:AssociateIamInstanceProfile",), INSTANCE),
        ["ec2:AssociateIamInstanceProfile depends on iam:PassRole"],
    ),
    "an action of another role": (
        RESPONDER,
        allow(("ec2:TerminateInstances",), INSTANCE),
        ["the role does not allow ec2:TerminateInstances"],
    ),
    "a resource of another account": (
        RESPONDER,
        allow(("ec2:StopInstances",), INSTANCE.replace(MEMBER, "333333333333")),
        [
            "the role does not allow ec2:StopInstances on"
            " arn:aws:ec2:us-east-1:333333333333:instance/i-0"
        ],
    ),
    "wider than the role": (
        RESPONDER,
        allow(("ec2:StopInstances",), "arn:aws:ec2:us-east-1:*:instance/*"),
        [
            "the role does not allow ec2:StopInstances on arn:aws:ec2:us-east-1:*:instance/*",
        ],
    ),
    "what the role denies": (
        RESPONDER,
        allow(("iam:PutRolePolicy",), OWN),
        [f"the role denies iam:PutRolePolicy on {OWN}"],
    ),
    "a role of nobody": (
        f"arn:aws:iam::{MEMBER}:role/somebody",
        allow(("ec2:StopInstances",), INSTANCE),
        ["that is no role of the response"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_finds(fault: str) -> None:
    role, statement, expected = FAULTS[fault]
    assert objections(role, policy(statement)) == expected


def test_it_finds_what_sts_does_not_take() -> None:
    many = [f"{EC2}:instance/i-{number:017x}" for number in range(40)]
    [why] = objections(RESPONDER, policy(allow(("ec2:StopInstances",), many)))
    assert why.startswith("AWS STS takes 2048 characters and here 440 bytes packed, not 2")


def test_policies_are_one_when_only_their_ids_differ() -> None:
    first, second = (
        policy(allow(("ec2:StopInstances",), f"{EC2}:instance/i-{digits}"))
        for digits in ("0123456789abcdef0", "0fedcba9876543210")
    )
    assert first != second and shape(first) == shape(second)
    assert MEMBER in json.dumps(shape(first))


# A policy that AWS STS refused, because it consumed 118 % of the space:
# https://github.com/apache/polaris/issues/3243
PATH = "/".join(
    f"{number:032x}"
    for number in (
        0xF5A4D86558ED1F7FDDEC42CE11D8EE3A,
        0xE3FA7FD44796B949FCE728CB334F3C15,
        0xF031EB9DC709150A3E1E9A76E9AF550A,
        0x5598924229ADEE97260CDA483D70674C,
        0x0857633D48470F538D1FC4CDC789C753,
        0xC4C06B9B673A710F7CE865690FF8797B,
        0x9594C7F9E8A1CD28054FF71B933FDC3B,
        0x0018C223E978D13AEEC87488BC333C70,
        0xD4C484CA41745B69286372286F3F30AA,
        0x362F8D6579892AF8A9C5F38B4E664B07,
        0xF28F3A8B846271C68BDBC09992D88D28,
        0x915107073E394E3471173EC4633137FA,
        0x5EAC9DAC6DD84AFCB35F4805AF9D8B34,
        0xE1A24630CBF9CED9DFFCC123B70B2E43,
        0xAB4FFA55F688360E0C12AEF543C18351,
    )
)
BUCKET = "arn:aws:s3:::my-very-long-s3-bucket"
OBJECTS = f"{BUCKET}/catalog/{PATH}/*"
LISTING: Json = {
    **allow(("s3:ListBucket",), BUCKET),
    "Condition": {"StringLike": {"s3:prefix": f"catalog/{PATH}/*"}},
}
REFUSED = policy(
    allow(("s3:PutObject", "s3:DeleteObject"), OBJECTS),
    LISTING,
    allow(("s3:GetBucketLocation",), BUCKET),
    allow(("s3:GetObject", "s3:GetObjectVersion"), OBJECTS),
)
# One that it took at 82 %, with three session tags (the design document of VM-Poppy, an extension
# of AgentsPoppy)
OWN_TAG = {"aws:ResourceTag/agentspoppy:connection": "conn-0123456789ab"}
READS = "DescribeInstances DescribeImages DescribeSecurityGroups DescribeVpcs DescribeSubnets"
CREATES = "RunInstances CreateSecurityGroup CreateKeyPair CreateTags"
CHANGES = (
    "TerminateInstances StopInstances StartInstances AuthorizeSecurityGroupIngress"
    " RevokeSecurityGroupEgress DeleteSecurityGroup DeleteKeyPair GetConsoleOutput GetPasswordData"
)
TAKEN = policy(
    *(allow([f"ec2:{name}" for name in names.split()]) for names in (READS, CREATES)),
    allow([f"ec2:{name}" for name in CHANGES.split()], **OWN_TAG),
)


def test_the_estimate_agrees_with_what_sts_answered() -> None:
    assert packed_bytes(REFUSED) / 4.6 == pytest.approx(118, abs=5)
    assert 60 < packed_bytes(TAKEN) / 4.6 < 82
    assert packed_bytes(TAKEN) <= PACKED_BYTES < packed_bytes(REFUSED)
