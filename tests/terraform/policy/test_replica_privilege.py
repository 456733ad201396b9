"""What the replication role of the security account may do, by its own policy and by those of the
bucket and the key in the forensics account: what replicating needs, and nothing that reads, deletes
or opens a replica. Nobody else of the security account may do even that.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from tests.support.planned_policies import Json, planned_policies
from tests.support.policy_oracle import decide

pytestmark = pytest.mark.terraform
# Each end is planned by itself, in the account of the mocked provider; the other end is elsewhere.
MOCKED, SECURITY, VAULT = "111111111111", "999999999999", "333333333333"
ORGANIZATION = "o-sandbox001"
SOURCE = f"arn:aws:s3:::guardduty-response-evidence-{MOCKED}-eu-central-1"
REPLICA = f"arn:aws:s3:::guardduty-response-evidence-replica-{MOCKED}"
SOURCE_KEY = f"arn:aws:kms:eu-central-1:{MOCKED}:key/00000000-0000-0000-0000-000000000000"
KEY = f"arn:aws:kms:eu-central-1:{SECURITY}:key/00000000-0000-0000-0000-000000000000"
KEY = f"arn:aws:kms:eu-central-1:{VAULT}:key/mrk-0123456789abcdef0123456789abcdef"
ROLE = f"arn:aws:iam::{SECURITY}:role/guardduty-response-evidence-replication"
OBJECT = "incidents/i/manifest.json"
REPLICATED: Json = {
    "remediations": {"CryptoCurrency:EC2/*": "auto"},
    "evidence": {
        "object_lock": {"days": 30},
        "replica": {
            "bucket_arn": REPLICA,
            "account_id": VAULT,
            "kms_key_arn": KEY,
            "object_lock": True,
        },
    },
}
RECEIVES: Json = {"security_account_id": SECURITY, "organization_id": ORGANIZATION}


class Policies(NamedTuple):
    """As planned: the role's own, and of the other account's bucket and key."""

    role: Json
    bucket: Json
    key: Json


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Policies:
    found = planned_policies(
        tmp_path_factory.mktemp("replica"),
        {"replicated": ("", REPLICATED), "vault": ("forensics-account", RECEIVES)},
    )
    own = "replicated: module.incident[0].aws_iam_role_policy.replication[0]"
    return Policies(
        found[own].document,
        found["vault: aws_s3_bucket_policy.evidence_replica[0]"].document,
        found["vault: aws_kms_key.evidence"].document,
    )


def allowed(
    policy: Json,
    action: str,
    resource: str,
    principal: str,
    context: dict[str, str],
    secure: bool = True,
) -> str:
    """What a policy of a resource says to somebody."""
    from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

    keys = {name.replace("__", ":"): value for name, value in context.items()}
    asked = EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=principal.split(":")[4],
        action=action,
        resource_arn=resource,
        region="eu-central-1",
        secure_transport=secure,
        service_context={**keys, **{name.lower(): value for name, value in keys.items()}},
    )
    return str(evaluate_resource_policy(json.dumps(policy), asked).decision)


def through_s3(arn: str, region: str = "eu-central-1") -> dict[str, str]:
    return {
        "kms__ViaService": f"s3.{region}.amazonaws.com",
        "kms__EncryptionContext__aws__s3__arn": arn,
    }


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("s3:GetReplicationConfiguration", SOURCE, {}),
        ("s3:ListBucket", SOURCE, {}),
        ("s3:GetObjectVersionForReplication", f"{SOURCE}/{OBJECT}", {}),
        ("s3:GetObjectVersionAcl", f"{SOURCE}/{OBJECT}", {}),
        ("s3:GetObjectVersionTagging", f"{SOURCE}/{OBJECT}", {}),
        ("s3:GetObjectRetention", f"{SOURCE}/{OBJECT}", {}),
        ("s3:GetObjectLegalHold", f"{SOURCE}/{OBJECT}", {}),
        ("kms:Decrypt", SOURCE_KEY, through_s3(SOURCE)),
        ("kms:Decrypt", SOURCE_KEY, through_s3(f"{SOURCE}/{OBJECT}")),
    ],
)
def test_may_read_what_it_replicates(
    policies: Policies, action: str, resource: str, context: dict[str, str]
) -> None:
    assert decide([policies.role], action, resource, ROLE, **context) == "Allow"


@pytest.mark.parametrize(
    "action", ["s3:ReplicateObject", "s3:ReplicateTags", "s3:ObjectOwnerOverrideToBucketOwner"]
)
def test_may_replicate_and_both_accounts_say_so(policies: Policies, action: str) -> None:
    there = f"{REPLICA}/{OBJECT}"
    assert decide([policies.role], action, there, ROLE) == "Allow"
    context = {"aws__PrincipalOrgID": ORGANIZATION}
    assert allowed(policies.bucket, action, there, ROLE, context) == "Allow"
    assert allowed(policies.bucket, action, there, ROLE, context, secure=False) == "Deny"


@pytest.mark.parametrize("action", ["kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"])
@pytest.mark.parametrize("arn", [REPLICA, f"{REPLICA}/{OBJECT}"])
def test_may_encrypt_replicas_through_s3(policies: Policies, action: str, arn: str) -> None:
    context = through_s3(arn)
    assert decide([policies.role], action, KEY, ROLE, **context) == "Allow"
    organization = {"aws__PrincipalOrgID": ORGANIZATION}
    assert allowed(policies.key, action, KEY, ROLE, context | organization) == "Allow"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:ReplicateDelete", f"{REPLICA}/{OBJECT}"),
        ("s3:DeleteObject", f"{REPLICA}/{OBJECT}"),
        ("s3:DeleteObjectVersion", f"{REPLICA}/{OBJECT}"),
        ("s3:GetObject", f"{REPLICA}/{OBJECT}"),
        ("s3:GetObjectVersion", f"{REPLICA}/{OBJECT}"),
        ("s3:PutObject", f"{REPLICA}/{OBJECT}"),
        ("s3:PutObjectRetention", f"{REPLICA}/{OBJECT}"),
        ("s3:BypassGovernanceRetention", f"{REPLICA}/{OBJECT}"),
        ("s3:ReplicateObject", f"{REPLICA}/tools/avml"),
        ("s3:PutBucketVersioning", REPLICA),
        ("s3:PutBucketPolicy", REPLICA),
        ("s3:PutLifecycleConfiguration", REPLICA),
        ("s3:PutBucketObjectLockConfiguration", REPLICA),
        ("s3:DeleteBucket", REPLICA),
        ("s3:ListBucket", REPLICA),
    ],
)
def test_neither_account_lets_it_read_delete_or_open(
    policies: Policies, action: str, resource: str
) -> None:
    assert decide([policies.role], action, resource, ROLE) == "ImplicitDeny"
    context = {"aws__PrincipalOrgID": ORGANIZATION}
    assert allowed(policies.bucket, action, resource, ROLE, context) == "ImplicitDeny"


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("s3:GetObject", f"{SOURCE}/{OBJECT}", {}),
        ("s3:PutObject", f"{SOURCE}/{OBJECT}", {}),
        ("s3:DeleteObjectVersion", f"{SOURCE}/{OBJECT}", {}),
        ("s3:PutReplicationConfiguration", SOURCE, {}),
        ("s3:GetObjectVersionForReplication", f"{SOURCE}/tools/avml", {}),
        ("kms:Decrypt", SOURCE_KEY, {}),
        ("kms:Decrypt", SOURCE_KEY, through_s3("arn:aws:s3:::other")),
        ("kms:Decrypt", SOURCE_KEY, through_s3(SOURCE, "us-east-1")),
        ("kms:Encrypt", SOURCE_KEY, through_s3(SOURCE)),
        ("kms:Encrypt", KEY, {}),
    ],
)
def test_may_do_nothing_else_at_home(
    policies: Policies, action: str, resource: str, context: dict[str, str]
) -> None:
    assert decide([policies.role], action, resource, ROLE, **context) == "ImplicitDeny"


@pytest.mark.parametrize(
    ("principal", "organization"),
    [
        (f"arn:aws:iam::{SECURITY}:role/admin", ORGANIZATION),
        (f"arn:aws:iam::{SECURITY}:role/x/guardduty-response-evidence-replication", ORGANIZATION),
        ("arn:aws:iam::222222222222:role/guardduty-response-evidence-replication", ORGANIZATION),
        (ROLE, "o-another001"),
    ],
)
def test_nobody_else_may_replicate_or_encrypt(
    policies: Policies, principal: str, organization: str
) -> None:
    context = {"aws__PrincipalOrgID": organization}
    there = f"{REPLICA}/{OBJECT}"
    assert allowed(policies.bucket, "s3:ReplicateObject", there, principal, context) != "Allow"
    for action in ("kms:Encrypt", "kms:Decrypt"):
        asked = allowed(policies.key, action, KEY, principal, through_s3(REPLICA) | context)
        assert asked != "Allow"


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"kms__ViaService": "s3.eu-central-1.amazonaws.com"},
        through_s3("arn:aws:s3:::other"),
        through_s3(f"{REPLICA}/tools/avml"),
        {**through_s3(REPLICA), "kms__ViaService": "ec2.eu-central-1.amazonaws.com"},
    ],
)
def test_the_key_serves_that_bucket_alone(policies: Policies, context: dict[str, str]) -> None:
    organization = {"aws__PrincipalOrgID": ORGANIZATION}
    for action in ("kms:Encrypt", "kms:GenerateDataKey", "kms:Decrypt"):
        assert allowed(policies.key, action, KEY, ROLE, context | organization) != "Allow"
