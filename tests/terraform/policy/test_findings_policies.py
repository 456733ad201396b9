"""Who may use what the modules around the findings make: their policies as planned, asked of an IAM
evaluator.

GuardDuty, Budgets and Scheduler are service principals: what tells this account's from another's
are the source keys.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.findings_plan import ACCOUNT, DETECTOR, KEY, REGION, TOPIC
from tests.support.policy_oracle import decide

pytestmark = pytest.mark.terraform
OTHER = "333333333333"
OTHER_KEY = f"arn:aws:kms:{REGION}:{OTHER}:key/k"
EXPORT, UPLOADS = f"arn:aws:s3:::gdr-findings-{ACCOUNT}-{REGION}", "arn:aws:s3:::uploads"
FINDING = f"{EXPORT}/gd/AWSLogs/{ACCOUNT}/GuardDuty/{REGION}/x.jsonl.gz"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"


@pytest.fixture(scope="module")
def planned(findings_policies: dict[str, str]) -> dict[str, str]:
    """Address of a resource => its policy."""
    return findings_policies


def as_service(
    policy: str, service: str, action: str, resource: str, *, secure: bool = True, **context: Any
) -> str:
    """What a resource's policy says to an AWS service: allow, deny or neither."""
    from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

    keys = {
        name.replace("___", "/").replace("__", ":").replace("_", "-"): value
        for name, value in context.items()
    }
    asked = EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=REGION,
        secure_transport=secure,
        service_context={**keys, **{name.lower(): value for name, value in keys.items()}},
    )
    return str(evaluate_resource_policy(policy, asked, service=service).decision)


def sourced(arn: str, account: str) -> dict[str, Any]:
    return {"aws__SourceArn": arn, "aws__SourceAccount": account}


OURS = sourced(DETECTOR, ACCOUNT)
ENCRYPTED: dict[str, Any] = {
    "s3__x_amz_server_side_encryption": "aws:kms",
    "s3__x_amz_server_side_encryption_aws_kms_key_id": KEY,
}
THEIR_DETECTOR = sourced(DETECTOR.replace(ACCOUNT, OTHER), OTHER)


@pytest.mark.parametrize(
    ("context", "secure", "answer"),
    [
        ({**OURS, **ENCRYPTED}, True, "Allow"),
        ({**OURS, **ENCRYPTED}, False, "Deny"),
        ({**THEIR_DETECTOR, **ENCRYPTED}, True, "ImplicitDeny"),
        ({**sourced(DETECTOR.replace("/0a", "/0b"), ACCOUNT), **ENCRYPTED}, True, "ImplicitDeny"),
        ({**sourced(DETECTOR, OTHER), **ENCRYPTED}, True, "ImplicitDeny"),
        (ENCRYPTED, True, "ImplicitDeny"),
        ({**OURS, **ENCRYPTED, "s3__x_amz_server_side_encryption": "AES256"}, True, "Deny"),
        (
            {**OURS, **ENCRYPTED, "s3__x_amz_server_side_encryption_aws_kms_key_id": OTHER_KEY},
            True,
            "Deny",
        ),
        (OURS, True, "Deny"),
    ],
    ids=[
        "ours",
        "plain HTTP",
        "another account's",
        "another detector",
        "confused account",
        "no source",
        "SSE-S3",
        "another key",
        "no header",
    ],
)
def test_guardduty_writes_findings_of_this_detector_only(
    planned: dict[str, str], context: dict[str, Any], secure: bool, answer: str
) -> None:
    policy = planned["module.bucket.aws_s3_bucket_policy.this[0]"]
    assert (
        as_service(
            policy, "guardduty.amazonaws.com", "s3:PutObject", FINDING, secure=secure, **context
        )
        == answer
    )


def test_the_rest_of_the_bucket_is_closed(planned: dict[str, str]) -> None:
    policy = planned["module.bucket.aws_s3_bucket_policy.this[0]"]
    service = "guardduty.amazonaws.com"
    assert as_service(policy, service, "s3:GetBucketLocation", EXPORT, **OURS) == "Allow"
    assert (
        as_service(policy, service, "s3:GetBucketLocation", EXPORT, **THEIR_DETECTOR)
        == "ImplicitDeny"
    )
    assert (
        as_service(policy, service, "s3:PutObject", f"{EXPORT}/elsewhere", **OURS, **ENCRYPTED)
        == "ImplicitDeny"
    )
    for action in ("s3:GetObject", "s3:DeleteObject"):
        assert as_service(policy, service, action, FINDING, **OURS, **ENCRYPTED) == "ImplicitDeny"
    assert (
        as_service(policy, "logging.s3.amazonaws.com", "s3:PutObject", FINDING, **OURS, **ENCRYPTED)
        == "ImplicitDeny"
    )


def test_the_key_encrypts_for_this_detector_only(planned: dict[str, str]) -> None:
    policy = planned["module.key.aws_kms_key.this[0]"]
    service = "guardduty.amazonaws.com"
    assert as_service(policy, service, "kms:GenerateDataKey", KEY, **OURS) == "Allow"
    assert (
        as_service(policy, service, "kms:GenerateDataKey", KEY, **THEIR_DETECTOR) == "ImplicitDeny"
    )
    assert as_service(policy, service, "kms:Decrypt", KEY, **OURS) == "ImplicitDeny", (
        "GuardDuty writes and never reads"
    )


def test_lists_are_reached_over_tls_only(planned: dict[str, str]) -> None:
    policy, bucket = (
        planned["module.lists.module.files.aws_s3_bucket_policy.lists[0]"],
        f"arn:aws:s3:::gdr-lists-{ACCOUNT}-{REGION}",
    )
    service = "guardduty.amazonaws.com"
    assert (
        as_service(policy, service, "s3:GetObject", f"{bucket}/threat/seen.txt", secure=False)
        == "Deny"
    )
    assert (
        as_service(policy, service, "s3:GetObject", f"{bucket}/threat/seen.txt") == "ImplicitDeny"
    ), "its role is allowed, not it"


def test_budgets_of_this_account_reach_the_topic(planned: dict[str, str]) -> None:
    policy = planned['module.notifications.aws_sns_topic.this["notifications"]']
    service, budget = "budgets.amazonaws.com", f"arn:aws:budgets::{ACCOUNT}:budget/gdr-guardduty"
    assert as_service(policy, service, "sns:Publish", TOPIC, **sourced(budget, ACCOUNT)) == "Allow"
    assert (
        as_service(policy, service, "sns:Publish", TOPIC, secure=False, **sourced(budget, ACCOUNT))
        == "Deny"
    )
    assert (
        as_service(
            policy, service, "sns:Publish", TOPIC, **sourced(budget.replace(ACCOUNT, OTHER), OTHER)
        )
        == "ImplicitDeny"
    )
    assert (
        as_service(policy, service, "sns:Subscribe", TOPIC, **sourced(budget, ACCOUNT))
        == "ImplicitDeny"
    )


VIA = {"kms__ViaService": f"s3.{REGION}.amazonaws.com"}
MANAGED = {"events__ManagedBy": "malware-protection-plan.guardduty.amazonaws.com"}
ITS_RULE = f"{RULE}/DO-NOT-DELETE-AmazonGuardDutyMalwareProtectionS3-0a"
SCANS: list[tuple[str, str, dict[str, Any], str]] = [
    ("s3:GetObject", f"{UPLOADS}/in/x", {}, "Allow"),
    ("s3:GetObjectVersion", f"{UPLOADS}/in/x", {}, "Allow"),
    ("s3:PutObjectTagging", f"{UPLOADS}/in/x", {}, "Allow"),
    ("s3:PutObject", f"{UPLOADS}/malware-protection-resource-validation-object", {}, "Allow"),
    ("s3:PutBucketNotification", UPLOADS, {}, "Allow"),
    ("events:PutRule", ITS_RULE, MANAGED, "Allow"),
    ("events:DescribeRule", ITS_RULE, {}, "Allow"),
    ("kms:Decrypt", KEY, VIA, "Allow"),
    ("s3:GetObject", f"{UPLOADS}/private/x", {}, "ImplicitDeny"),
    ("s3:GetObject", "arn:aws:s3:::other/in/x", {}, "ImplicitDeny"),
    ("s3:PutObject", f"{UPLOADS}/in/x", {}, "ImplicitDeny"),
    ("s3:DeleteObject", f"{UPLOADS}/in/x", {}, "ImplicitDeny"),
    ("s3:PutBucketPolicy", UPLOADS, {}, "ImplicitDeny"),
    ("events:PutRule", f"{RULE}/guardduty-response-act", MANAGED, "ImplicitDeny"),
    ("events:PutRule", ITS_RULE, {}, "ImplicitDeny"),
    ("kms:Decrypt", KEY, {}, "ImplicitDeny"),
    ("kms:Decrypt", OTHER_KEY, VIA, "ImplicitDeny"),
]


@pytest.mark.parametrize(("action", "resource", "context", "answer"), SCANS)
def test_malware_protection_reads_its_bucket_only(
    planned: dict[str, str], action: str, resource: str, context: dict[str, Any], answer: str
) -> None:
    assert (
        decide(
            [planned['module.malware.aws_iam_role_policy.this["uploads"]']],
            action,
            resource,
            **context,
        )
        == answer
    )


def test_malware_protection_reads_no_bucket_of_another_account(planned: dict[str, str]) -> None:
    """A bucket's ARN has no account: the evaluator takes it to be the caller's."""
    policy, theirs = (
        planned['module.malware.aws_iam_role_policy.this["uploads"]'],
        f"arn:aws:sts::{OTHER}:assumed-role/r/s",
    )
    assert decide([policy], "s3:GetObject", f"{UPLOADS}/in/x", principal=theirs) == "ImplicitDeny"


def test_the_notice_publishes_to_one_topic(planned: dict[str, str]) -> None:
    policy = planned["module.spend.aws_iam_role_policy.notice[0]"]
    for_topic = {"kms__EncryptionContext__aws__sns__topicArn": TOPIC}
    assert decide([policy], "sns:Publish", TOPIC) == "Allow"
    assert decide([policy], "kms:GenerateDataKey", KEY, **for_topic) == "Allow"
    assert (
        decide([policy], "sns:Publish", TOPIC.replace("notifications", "escalations"))
        == "ImplicitDeny"
    )
    assert decide([policy], "kms:GenerateDataKey", KEY) == "ImplicitDeny"
    [trust] = json.loads(planned["module.spend.aws_iam_role.notice[0]"])["Statement"]
    assert trust["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT


def test_every_policy_was_asked(planned: dict[str, str]) -> None:
    """A policy that these modules gain must be asked of here too."""
    roles = ['module.malware.aws_iam_role.this["uploads"]', "module.spend.aws_iam_role.notice[0]"]
    asked = [
        "module.bucket.aws_s3_bucket_policy.this[0]",
        "module.key.aws_kms_key.this[0]",
        "module.lists.module.files.aws_s3_bucket_policy.lists[0]",
        'module.malware.aws_iam_role_policy.this["uploads"]',
        'module.notifications.aws_sns_topic.this["notifications"]',
        "module.spend.aws_iam_role_policy.notice[0]",
    ]
    assert sorted(planned) == sorted(roles + asked)
