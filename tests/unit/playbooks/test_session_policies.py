"""What is found of a session policy; conftest.py asks about those of every session that a test of
the playbooks opens.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest
from guardduty_response.containment.session_policy import PACKED_BYTES, accepted, packed_bytes
from guardduty_response.containment.target_context import allow, policy

from sandbox.emulator import policy_sizes
from tests.support.repository import ROOT
from tests.support.session_policies import EXCUSED, objections, shape, unneeded

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
    assert why.startswith("AWS STS takes 2048 characters and here 96 % packed, not 2")


def test_every_excuse_names_a_test_that_there_is() -> None:
    tests = sorted({excuse.needed_by for excuse in EXCUSED.values()})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", *tests]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_an_excuse_that_its_test_does_not_need_is_named() -> None:
    by_test: dict[str, set[str]] = {}
    for why, excuse in EXCUSED.items():
        by_test.setdefault(excuse.needed_by, set()).add(why)
    for test, needed in by_test.items():
        assert unneeded(test, needed) == []
        for why in needed:
            assert unneeded(test, needed - {why}) == [why]


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


# What session policies name, by kind: ARNs without what tells one resource from another
NAMED = {
    "interfaces": f"{EC2}:network-interface/eni-0",
    "volumes": f"{EC2}:volume/vol-0",
    "target groups": f"{EC2.replace('ec2', 'elasticloadbalancing')}:targetgroup/{'n' * 32}/",
    "roles": f"arn:aws:iam::{MEMBER}:role/team/with/a/path/",
    "objects": "arn:aws:s3:::guardduty-response-evidence/2026/",
}


def _of_so_many(kind: str, count: int) -> Json:
    """A session policy that names so many resources, whose ids nothing compresses."""
    ids = (hashlib.sha256(f"{kind} {number}".encode()).hexdigest() for number in range(count))
    named = [f"{NAMED[kind]}{name[:16]}" for name in ids]
    return policy(allow(("ec2:DescribeInstances",)), allow(("ec2:CreateTags",), named))


@pytest.mark.parametrize("kind", NAMED)
def test_what_is_held_for_safe_the_emulator_takes(kind: str) -> None:
    """Of every number of resources up to where the characters alone are too many."""
    safe, packed = [], []
    for count in range(1, 40):
        document = _of_so_many(kind, count)
        text = _compact(document)
        safe.append(accepted(document))
        packed.append(policy_sizes.packed_percent(text))
        assert not safe[-1] or (packed[-1] <= 100 and len(text) <= 2048), text
    assert safe == sorted(safe, reverse=True) and True in safe and False in safe
    assert max(packed) > 100, "the emulator refuses some"


def test_the_decision_states_what_both_assume() -> None:
    text = (ROOT / "docs/decisions/0002-session-policies-of-discovered-arns.md").read_text()
    assert PACKED_BYTES < policy_sizes.PACKED_BYTES
    for stated in (PACKED_BYTES, policy_sizes.PACKED_BYTES):
        assert f"{stated} bytes" in text.replace("\n", " ")


def test_the_estimate_agrees_with_what_sts_answered() -> None:
    """What STS refused is refused; of what it took at 82 %, the tags are a part."""
    assert 100 < policy_sizes.packed_percent(_compact(REFUSED)) <= 118
    assert 60 < policy_sizes.packed_percent(_compact(TAKEN)) < 82
    assert packed_bytes(TAKEN) <= PACKED_BYTES < packed_bytes(REFUSED)


def _compact(document: Json) -> str:
    return json.dumps(document, separators=(",", ":"))
