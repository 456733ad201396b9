"""The modules around the findings, applied: filters one after another, lists, export, malware plan,
spend watch; then changed and destroyed.

The emulator knows GuardDuty's calls, MiniStack those of AWS Budgets and EventBridge Scheduler. It
tries no policy when a destination or a plan is made (AWS does): tests/policy asks an evaluator. A
budget never alerts there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from sandbox.clients import Aws
from tests.sandbox.findings_modules_lab import ACCOUNT, REGION, Applied, P, suppress
from tests.support.repository import ROOT

pytestmark = pytest.mark.terraform


@pytest.fixture(scope="module")
def applied(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Applied, str]]:
    """Return the modules applied, and what Terraform said."""
    made = Applied(aws, tmp_path_factory.mktemp("findings"))
    yield made, made.apply()
    if "aws_" in made.run("state", "list"):
        made.run("destroy", "-auto-approve", "-input=false")


def steps(text: str) -> list[tuple[int, str]]:
    """(rank, Creating | Creation complete | Destroying | Destruction complete) of filters, in
    Terraform's order.
    """
    found = re.findall(
        r"module\.rank_(\d\d)\.aws_guardduty_filter\.this\[0\]: (Creating|Creation"
        r" complete|Destroying|Destruction complete)",
        text,
    )
    return [(int(rank), what) for rank, what in found]


def test_filters_are_made_one_after_another(applied: tuple[Applied, str]) -> None:
    """GuardDuty takes rank n only once n-1 is there: each creation begins when the one before is
    complete.
    """
    modules, output = applied
    assert steps(output) == [
        (rank, what) for rank in range(1, 6) for what in ("Creating", "Creation complete")
    ]
    assert modules.ranks() == {
        "first": 1,
        "second": 2,
        "third": 3,
        "fourth": 4,
        "fifth": 5,
    }
    kept = modules.client("guardduty").get_filter(DetectorId=modules.detector, FilterName="second")
    assert kept["Action"] == "ARCHIVE"
    assert kept["Description"] == "Known: second"
    criteria = kept["FindingCriteria"]["Criterion"]
    assert criteria["type"]["Equals"] == ["Recon:EC2/Portscan"]
    assert criteria["severity"]["LessThan"] == 4
    assert criteria["service.serviceName"]["NotEquals"] == ["second"]


def test_guardduty_reads_the_lists(applied: tuple[Applied, str]) -> None:
    modules, _ = applied
    guardduty = modules.client("guardduty")
    detector = modules.detector
    [trusted] = guardduty.list_ip_sets(DetectorId=detector)["IpSetIds"]
    kept = guardduty.get_ip_set(DetectorId=detector, IpSetId=trusted)
    assert kept["Name"] == "office"
    assert kept["Format"] == "TXT"
    assert kept["Status"] == "ACTIVE"
    assert _read(modules, kept["Location"]) == "198.51.100.7\n203.0.113.0/24\n"
    threats = {}
    for name in guardduty.list_threat_intel_sets(DetectorId=detector)["ThreatIntelSetIds"]:
        threat_set = guardduty.get_threat_intel_set(DetectorId=detector, ThreatIntelSetId=name)
        threats[threat_set["Name"]] = threat_set["Location"]
    assert threats["feed"] == "s3://feeds/list.txt"
    assert _read(modules, threats["seen"]) == "192.0.2.66\n"


def _read(modules: Applied, location: str) -> str:
    bucket, key = location.removeprefix("s3://").split("/", 1)
    return str(modules.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def test_findings_are_exported(applied: tuple[Applied, str]) -> None:
    modules, _ = applied
    guardduty = modules.client("guardduty")
    detector = modules.detector
    s3 = modules.client("s3")
    [destination] = guardduty.list_publishing_destinations(DetectorId=detector)["Destinations"]
    kept = guardduty.describe_publishing_destination(
        DetectorId=detector, DestinationId=destination["DestinationId"]
    )
    bucket = f"{P}-findings-{ACCOUNT}-{REGION}"
    properties = kept["DestinationProperties"]
    assert properties["DestinationArn"] == f"arn:aws:s3:::{bucket}/security/guardduty"
    policy = {
        statement["Sid"]: statement
        for statement in json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    }
    arn = f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{detector}"
    assert policy["GuardDutyWritesFindings"]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": arn}
    }
    key = policy["UnderThisKeyOnly"]["Condition"]["StringNotEquals"][
        "s3:x-amz-server-side-encryption-aws-kms-key-id"
    ]
    assert key == properties["KmsKeyArn"]
    statements = json.loads(
        modules.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    )["Statement"]
    assert statements[1]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": arn}
    }
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 30}
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [
        "security/guardduty/"
    ]
    assert "ObjectLockMode" not in s3.head_object(Bucket=bucket, Key="security/guardduty/"), (
        "the placeholder can be deleted"
    )


def test_uploads_are_scanned(applied: tuple[Applied, str]) -> None:
    modules, _ = applied
    guardduty = modules.client("guardduty")
    [plan] = guardduty.list_malware_protection_plans()["MalwareProtectionPlans"]
    kept = guardduty.get_malware_protection_plan(
        MalwareProtectionPlanId=plan["MalwareProtectionPlanId"]
    )
    assert kept["ProtectedResource"]["S3Bucket"] == {
        "BucketName": f"{P}-uploads",
        "ObjectPrefixes": ["in/"],
    }
    assert kept["Actions"] == {"Tagging": {"Status": "ENABLED"}}
    role = modules.client("iam").get_role(RoleName=kept["Role"].rsplit("/", 1)[1])["Role"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "malware-protection-plan.guardduty.amazonaws.com"}


def test_spending_is_watched(applied: tuple[Applied, str]) -> None:
    modules, _ = applied
    budgets = modules.client("budgets")
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:{P}-notifications"
    budget = budgets.describe_budget(AccountId=ACCOUNT, BudgetName=f"{P}-guardduty")["Budget"]
    assert float(budget["BudgetLimit"]["Amount"]) == 250
    assert budget["CostFilters"] == {"Service": ["Amazon GuardDuty"]}
    alerts = budgets.describe_notifications_for_budget(
        AccountId=ACCOUNT, BudgetName=budget["BudgetName"]
    )["Notifications"]
    assert {(alert["NotificationType"], alert["Threshold"]) for alert in alerts} == {
        ("ACTUAL", 80),
        ("ACTUAL", 100),
        ("FORECASTED", 100),
    }
    for alert in alerts:
        asked = {
            name: alert[name]
            for name in ("NotificationType", "ComparisonOperator", "Threshold", "ThresholdType")
        }
        notified = budgets.describe_subscribers_for_notification(
            AccountId=ACCOUNT, BudgetName=budget["BudgetName"], Notification=asked
        )
        assert {who["Address"] for who in notified["Subscribers"]} == {topic, "finance@example.org"}
    schedule = modules.client("scheduler").get_schedule(Name=f"{P}-trial-notice")
    assert schedule["ScheduleExpression"] == "at(2099-12-26T09:00:00)"
    assert schedule["Target"]["Arn"] == topic
    assert "ends on 2099-12-31" in schedule["Target"]["Input"]


def test_a_second_plan_moves_files_of_lists_alone(applied: tuple[Applied, str]) -> None:
    """They were resources of modules/ip-lists, and are those of modules/list-files in it."""
    modules, _ = applied
    state = modules.root / "terraform.tfstate"
    now = state.read_text()
    assert ".module.files" in now
    state.write_text(now.replace(".module.files", ""))
    planned = modules.second_plan()
    state.write_text(now)
    assert "Plan: 0 to add, 0 to change, 0 to destroy." in planned, planned[-4000:]
    moved = set(
        re.findall(r"# module\.lists\.(\S+) has moved to module\.lists\.module\.files\.\1", planned)
    )
    assert moved == {
        'aws_s3_object.list["threat/seen"]',
        'aws_s3_object.list["trusted/office"]',
        "aws_s3_bucket.lists[0]",
        "aws_s3_bucket_ownership_controls.lists[0]",
        "aws_s3_bucket_policy.lists[0]",
        "aws_s3_bucket_public_access_block.lists[0]",
        "aws_s3_bucket_server_side_encryption_configuration.lists[0]",
    }
    # No emulator has lists of entities. Their files have the same names, and move alike.
    of_entities, of_addresses = (
        (ROOT / "modules" / name / "moved.tf").read_text() for name in ("entity-lists", "ip-lists")
    )
    assert of_entities == of_addresses


def test_changes(applied: tuple[Applied, str]) -> None:
    """A filter at the end disturbs no other; one out of the middle moves those behind it; a
    changed list is read anew.
    """
    modules, _ = applied
    before = _trusted(modules)
    added = modules.apply(
        filters=suppress("first", "second", "third", "fourth", "fifth", "sixth"),
        addresses=["198.51.100.8"],
    )
    assert steps(added) == [(6, "Creating"), (6, "Creation complete")]
    assert modules.ranks() == {
        "first": 1,
        "second": 2,
        "third": 3,
        "fourth": 4,
        "fifth": 5,
        "sixth": 6,
    }
    after = _trusted(modules)
    assert after != before
    assert _read(modules, after) == "198.51.100.8\n"
    listed = modules.client("s3").list_objects_v2(Bucket=after.split("/")[2])["Contents"]
    assert before.split("/", 3)[3] not in [item["Key"] for item in listed], (
        "the list before is gone"
    )

    removed = modules.apply(
        filters=suppress("first", "third", "fourth", "fifth", "sixth"), trial_ends_on="2020-01-31"
    )
    assert modules.ranks() == {
        "first": 1,
        "third": 2,
        "fourth": 3,
        "fifth": 4,
        "sixth": 5,
    }
    assert steps(removed) == [
        *(
            (rank, what)
            for rank in (6, 5, 4, 3, 2)
            for what in ("Destroying", "Destruction complete")
        ),
        *((rank, what) for rank in (2, 3, 4, 5) for what in ("Creating", "Creation complete")),
    ]
    assert modules.client("scheduler").list_schedules()["Schedules"] == [], (
        "the day is past: nothing to tell"
    )
    assert modules.second_plan() == ""


def _scanned(modules: Applied) -> tuple[str, list[str]]:
    """(id of the only plan, its prefixes)."""
    guardduty = modules.client("guardduty")
    [plan] = guardduty.list_malware_protection_plans()["MalwareProtectionPlans"]
    kept = guardduty.get_malware_protection_plan(
        MalwareProtectionPlanId=plan["MalwareProtectionPlanId"]
    )
    return (
        plan["MalwareProtectionPlanId"],
        kept["ProtectedResource"]["S3Bucket"].get("ObjectPrefixes") or [],
    )


def test_prefixes_taken_away_let_the_whole_bucket_be_scanned(applied: tuple[Applied, str]) -> None:
    """Other prefixes change the plan; none at all make it anew, as the provider sees no
    difference there.
    """
    modules, _ = applied
    first, _ = _scanned(modules)
    modules.apply(prefixes=["in/", "mail/"])
    assert _scanned(modules)[0] == first
    assert sorted(_scanned(modules)[1]) == ["in/", "mail/"]
    modules.apply(prefixes=[])
    whole, prefixes = _scanned(modules)
    assert (whole != first, prefixes) == (
        True,
        [],
    ), "what is uploaded elsewhere must be scanned from now on"
    assert modules.second_plan() == ""
    modules.apply(prefixes=["in/"])
    assert _scanned(modules)[1] == ["in/"]


def _trusted(modules: Applied) -> str:
    guardduty = modules.client("guardduty")
    detector = modules.detector
    [trusted] = guardduty.list_ip_sets(DetectorId=detector)["IpSetIds"]
    return str(guardduty.get_ip_set(DetectorId=detector, IpSetId=trusted)["Location"])


def test_destroyed_from_the_last_rank_to_the_first(applied: tuple[Applied, str]) -> None:
    modules, _ = applied
    output = modules.run("destroy", "-auto-approve", "-input=false", "-parallelism=30")
    assert steps(output) == [
        (rank, what) for rank in (5, 4, 3, 2, 1) for what in ("Destroying", "Destruction complete")
    ]
    assert modules.client("guardduty").list_detectors()["DetectorIds"] == []
    assert (
        modules.client("guardduty").list_malware_protection_plans()["MalwareProtectionPlans"] == []
    )
    assert modules.client("budgets").describe_budgets(AccountId=ACCOUNT).get("Budgets", []) == []
    assert [
        bucket["Name"]
        for bucket in modules.client("s3").list_buckets()["Buckets"]
        if bucket["Name"].startswith(P)
    ] == []
    assert [
        role["RoleName"]
        for role in modules.client("iam").list_roles()["Roles"]
        if role["RoleName"].startswith(P)
    ] == []
