"""Every statement of the member roles' policies, asked of AWS's service authorization reference
(tests/support/authorization_data.py), and how long the policies are.
"""

from __future__ import annotations

import json

import pytest

from sandbox.emulator.policy_sizes import INLINE
from tests.support.authorization_data import Json, remarks
from tests.support.member_policies import rendered
from tests.support.repository import ROOT

MEMBER, PREFIX = "222222222222", "guardduty-response"
LONGEST_PREFIX = "g" * 26  # variables.tf takes no longer one
TEMPLATES = {
    f"{path.parent.name}/{path.name.removesuffix('-policy.json')}": path
    for path in sorted((ROOT / "playbooks").glob("*/*-policy.json"))
}
NO_TAGS = (
    "only a call with TagSpecifications creates tags; rules are given back without (IAM User Guide,"
    " reference_policies_examples_ec2_securitygroups-vpc, grants none either)"
)
IMAGES_SHARED = (
    "AWS has this key for snapshots only, so the condition is always true of an image; no other key"
    " tells sharing an image from taking that back, and ResetImageAttribute would take back what"
    " the principal did not share too (docs/evidence.md, Not seen on AWS)"
)
# Document -> remark -> why it stands
EXCUSED: dict[str, dict[str, str]] = {
    "ec2_instance/collector": {
        "CopiesOfOwnSnapshots: ec2:CopySnapshot has no condition key"
        f" aws:ResourceTag/{PREFIX}-incident": "the reference has only the keys of the new snapshot"
        " in one row for both; AWS checks the source and its tags too (AWS Storage Blog, Enhancing"
        " resource-level permissions for copying Amazon EBS snapshots)",
    },
    "iam_principal/remediator": {
        "ShareNoLonger: ec2:ModifyImageAttribute has no condition key ec2:Add/group": IMAGES_SHARED,
        "ShareNoLonger: ec2:ModifyImageAttribute has no condition key ec2:Add/userId": (
            IMAGES_SHARED
        ),
    },
    "iam_principal/restorer": {
        "ec2:AuthorizeSecurityGroupEgress depends on ec2:CreateTags": NO_TAGS,
        "ec2:AuthorizeSecurityGroupIngress depends on ec2:CreateTags": NO_TAGS,
    },
}


def _policy(name: str, switched_on: bool = True, prefix: str = PREFIX) -> Json:
    return rendered(TEMPLATES[name], switched_on, MEMBER, prefix)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_reference_says_nothing_against_a_policy_but_what_is_excused(name: str) -> None:
    found = {why for switched_on in (True, False) for why in remarks(_policy(name, switched_on))}

    assert sorted(found) == sorted(EXCUSED.get(name, {}))


def test_only_policies_that_exist_are_excused() -> None:
    assert set(EXCUSED) <= set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_policy_fits_into_its_role(name: str) -> None:
    compact = json.dumps(_policy(name, prefix=LONGEST_PREFIX), separators=(",", ":"))

    assert len(compact) < INLINE["role"], f"{len(compact)} characters"


EC2, IAM = f"arn:aws:ec2:*:{MEMBER}", f"arn:aws:iam::{MEMBER}"
# Policy, what is changed in it (text, instead of it), what the reference says then and not before
SEEDED = {
    "a misspelt action": (
        "ec2_instance/responder",
        ('"ec2:StopInstances"', '"ec2:StopInstance"'),
        {"Stop: no action is ec2:StopInstance"},
    ),
    "a service that does not exist": (
        "ec2_instance/responder",
        ('"ec2:StopInstances"', '"ecc:StopInstances"'),
        {"Stop: no action is ecc:StopInstances"},
    ),
    "a wildcard that matches no action": (
        "iam_principal/remediator",
        ('"iam:Attach*"', '"iam:Atach*"'),
        {"NeverTheResponseItself: no action is iam:Atach*"},
    ),
    "the wrong resource type": (
        "ec2_instance/terminator",
        (f"{EC2}:volume/*", f"{EC2}:vpc/*"),
        {
            "VolumesAtTermination: ec2:ModifyInstanceAttribute takes instance or security-group or"
            " volume, none of the resources",
            f"VolumesAtTermination: no action takes {EC2}:vpc/*",
        },
    ),
    "an action without resource types on a resource": (
        "iam_principal/identity-center-responder",
        (
            '"Action": "cloudtrail:LookupEvents", "Resource": "*"',
            f'"Action": "cloudtrail:LookupEvents", "Resource": "{EC2}:instance/*"',
        ),
        {
            "WhoUndidIt: cloudtrail:LookupEvents takes only *, none of the resources",
            f"WhoUndidIt: no action takes {EC2}:instance/*",
        },
    ),
    "an account in an ARN that has none": (
        "ec2_instance/terminator",
        ("arn:aws:ec2:*::snapshot/*", f"{EC2}:snapshot/*"),
        {
            "AreTheSnapshotsReadable: ebs:GetSnapshotBlock takes snapshot, none of the resources",
            "AreTheSnapshotsReadable: ebs:ListSnapshotBlocks takes snapshot, none of the resources",
            f"AreTheSnapshotsReadable: no action takes {EC2}:snapshot/*",
            "ebs:GetSnapshotBlock needs a resource of type snapshot",
            "ebs:ListSnapshotBlocks needs a resource of type snapshot",
        },
    ),
    "objects in place of a bucket": (
        "ec2_instance/collector",
        ('"arn:aws:s3:::*", "Cond', '"arn:aws:s3:::*/*", "Cond'),
        {
            "LogBuckets: s3:ListBucket takes accesspoint or bucket, none of the resources",
            "LogBuckets: no action takes arn:aws:s3:::*/*",
        },
    ),
    "a condition key of another action": (
        "iam_principal/responder",
        ('"iam:PermissionsBoundary"', '"iam:PolicyARN"'),
        {
            "ContainUsersByPermissionsBoundary: iam:PutUserPermissionsBoundary has no condition key"
            " iam:PolicyARN",
        },
    ),
    "a tag of a request that tags nothing": (
        "ec2_instance/terminator",
        (f'"aws:ResourceTag/{PREFIX}": ', f'"aws:RequestTag/{PREFIX}": '),
        {
            "OnlyWhatWasContained: ec2:ModifyInstanceAttribute has no condition key"
            f" aws:RequestTag/{PREFIX}",
            "OnlyWhatWasContained: ec2:TerminateInstances has no condition key"
            f" aws:RequestTag/{PREFIX}",
        },
    ),
    "a required resource type that is missing": (
        "ec2_instance/collector",
        (f'"{EC2}:instance/*", "{EC2}:volume/*"', f'"{EC2}:instance/*"'),
        {"ec2:CreateSnapshots needs a resource of type volume"},
    ),
    "an action that another depends on is missing": (
        "ec2_instance/restorer",
        ('"Allow", "Action": "iam:PassRole"', '"Deny", "Action": "iam:PassRole"'),
        {
            "ec2:AssociateIamInstanceProfile depends on iam:PassRole",
            "ec2:ReplaceIamInstanceProfileAssociation depends on iam:PassRole",
        },
    ),
}


@pytest.mark.parametrize("fault", SEEDED)
def test_the_reference_finds(fault: str) -> None:
    name, (text, instead), expected = SEEDED[fault]
    policy = json.dumps(_policy(name))
    assert text in policy
    changed = json.loads(policy.replace(text, instead))

    assert set(remarks(changed)) - set(remarks(_policy(name))) == expected
