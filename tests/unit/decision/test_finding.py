"""A finding's fields: what is read, from where, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.decision import finding, manifests
from guardduty_response.errors import MalformedFinding, NotAFinding

from tests.support.repository import skip_or_fail

Make = Callable[..., dict[str, Any]]


def test_other_events_of_the_same_service_are_no_findings(finding_event: Make) -> None:
    with pytest.raises(NotAFinding, match="Malware Protection Object Scan Result"):
        finding.parse(finding_event("malware_object_scan_result"))


def test_the_fields_of_a_finding(finding_event: Make) -> None:
    event = finding_event()
    seen = finding.parse(event)
    assert (seen.id, seen.type, seen.region) == tuple(
        event["detail"][name] for name in ("id", "type", "region")
    )
    assert seen.account_id == event["detail"]["accountId"]
    assert (seen.partition, seen.severity, seen.severity_label) == ("aws", 8.0, "High")
    assert (seen.sample, seen.archived) == (False, False)
    assert seen.incident_id.startswith("inc-")
    assert len(seen.incident_id) == 20


def test_every_emission_has_the_same_incident_and_other_regions_another(
    finding_event: Make,
) -> None:
    first = finding.parse(finding_event()).incident_id
    assert (
        finding.parse(finding_event(updatedAt="2026-03-02T10:00:00.000Z", severity=5)).incident_id
        == first
    )
    assert finding.parse(finding_event(region="ap-south-1")).incident_id != first
    assert finding.parse(finding_event(accountId="333333333333")).incident_id != first


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        3,
        {},
        {"source": "aws.ec2", "detail-type": "GuardDuty Finding"},
        {"source": "aws.guardduty", "detail-type": "Security Hub Findings - Imported"},
    ],
)
def test_what_is_no_finding_is_refused(event: Any) -> None:
    with pytest.raises(NotAFinding):
        finding.parse(event)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id": None}, "id"),
        ({"id": "  "}, "id"),
        ({"type": 7}, "type"),
        ({"type": ""}, "type"),
        ({"accountId": "12", "arn": ""}, "accountId"),
        ({"accountId": "\uff12" * 12}, "accountId"),
        ({"severity": None}, "severity"),
        ({"severity": "high"}, "severity"),
        ({"severity": float("nan")}, "severity"),
        ({"severity": -1}, "severity"),
        ({"severity": 11}, "severity"),
        ({"severity": {}}, "severity"),
    ],
)
def test_a_finding_without_what_decides_is_malformed_and_says_what(
    finding_event: Make, changes: Any, named: str
) -> None:
    with pytest.raises(MalformedFinding, match=named) as caught:
        finding.parse(finding_event(**changes))
    assert len(str(caught.value)) < 1200


def test_a_missing_detail_is_malformed(finding_event: Make) -> None:
    details: tuple[object, ...] = (None, [], "text")
    for detail in details:
        with pytest.raises(MalformedFinding, match="no detail"):
            finding.parse({**finding_event(), "detail": detail})


def test_account_and_region_come_from_the_arn_where_they_are_missing(finding_event: Make) -> None:
    event = finding_event(accountId=None, region=None, partition=None)
    event["detail"]["arn"] = "arn:aws-cn:guardduty:cn-north-1:333333333333:detector/d/finding/f"
    seen = finding.parse(event)
    assert (seen.account_id, seen.region, seen.partition) == (
        "333333333333",
        "cn-north-1",
        "aws-cn",
    )


@pytest.mark.parametrize("missing", ["accountId", "region"])
def test_account_and_region_never_come_from_the_envelope(finding_event: Make, missing: str) -> None:
    """A member's finding comes through the administrator's account: its instance would be looked
    for there, and called gone.
    """
    event = {
        **finding_event(arn=None, **{missing: None}),
        "account": "444444444444",
        "region": "sa-east-1",
    }
    with pytest.raises(MalformedFinding, match=f"lacks a usable {missing}"):
        finding.parse(event)


def test_the_finding_says_where_it_is_whatever_the_envelope_says(finding_event: Make) -> None:
    event = {
        **finding_event(accountId="333333333333", region="eu-west-1"),
        "account": "444444444444",
        "region": "sa-east-1",
    }
    seen = finding.parse(event)
    assert (seen.account_id, seen.region) == ("333333333333", "eu-west-1")


@pytest.mark.parametrize(
    "region", ["us-east-1", "ap-southeast-5", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"]
)
def test_a_region_of_any_partition_is_one(finding_event: Make, region: str) -> None:
    assert finding.parse(finding_event(region=region)).region == region


@pytest.mark.parametrize(
    "region",
    [
        "mars",
        "us-east-1.evil.example",
        "us-east-1/",
        "us-east-",
        "US-EAST-1",
        "us_east_1",
        "-east-1",
    ],
)
def test_what_is_no_region_becomes_no_host_name(finding_event: Make, region: str) -> None:
    with pytest.raises(MalformedFinding, match="lacks a usable region"):
        finding.parse(finding_event(region=region))


def test_severity_as_a_string_is_a_number(finding_event: Make) -> None:
    assert finding.parse(finding_event(severity="7.5")).severity == 7.5


@pytest.mark.parametrize(
    ("value", "archived"),
    [(True, True), ("true", True), (False, False), ("false", False), (None, False)],
)
def test_archived_may_be_a_string(finding_event: Make, value: Any, archived: bool) -> None:
    event = finding_event()
    event["detail"]["service"]["archived"] = value
    assert finding.parse(event).archived is archived


@pytest.mark.parametrize(
    ("info", "sample"),
    [
        ({"sample": True}, True),
        ({"sample": "true"}, True),
        ({"sample": False}, False),
        ({"value": '{"sample":true}'}, True),
        ({"value": '{"sample":false}'}, False),
        ({"value": "not JSON"}, False),
        ({"value": "[true]"}, False),
        ({"value": 7}, False),
        ({"value": "[" * 100_000}, False),
        ({}, False),
        (None, False),
        ({"value": json.dumps({"padding": "x" * 5000, "sample": True})}, True),
    ],
)
def test_the_sample_flag_hides_in_two_places(finding_event: Make, info: Any, sample: bool) -> None:
    event = finding_event()
    event["detail"]["service"]["additionalInfo"] = info
    assert finding.parse(event).sample is sample


def test_text_of_the_sender_is_made_harmless(finding_event: Make) -> None:
    hostile = json.loads('"line\\nbreak \\u0000 nul \\ud800 half a character \\u202e turned"')
    title = finding.parse(finding_event(title=hostile)).title
    assert title == "line break   nul   half a character   turned"
    title.encode()
    assert len(finding.parse(finding_event(title="x" * 300_000)).title) == 1000


# -- which playbook --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "playbook"),
    [
        ("cryptocurrency_ec2_bitcointool_b_dns", "ec2_instance"),
        ("sample_cryptocurrency_ec2_bitcointool_b_dns", "ec2_instance"),
        ("unauthorizedaccess_ec2_sshbruteforce_target", None),
        ("recon_ec2_portprobeunprotectedport", None),
        ("unauthorizedaccess_iamuser_consoleloginsuccess_b", "iam_principal"),
    ],
)
def test_the_resource_and_its_role_choose_the_playbook(
    finding_event: Make, name: str, playbook: str | None
) -> None:
    found, why = manifests.playbook_for(finding.parse(finding_event(name)))
    assert found == playbook
    assert len(why) > 20


def test_a_buckets_configuration_is_no_ones_credential(finding_event: Make) -> None:
    """Policy:S3/* and Stealth:S3/* name the credential of whoever changed the bucket, often an
    administrator's.
    """
    event = finding_event(
        "unauthorizedaccess_iamuser_consoleloginsuccess_b",
        type="Policy:S3/BucketPublicAccessGranted",
    )
    event["detail"]["resource"]["s3BucketDetails"] = [{"name": "data", "type": "Destination"}]
    found, why = manifests.playbook_for(finding.parse(event))
    assert found is None and "bucket" in why


def test_an_attacking_instance_is_contained_though_the_activity_is_the_same(
    finding_event: Make,
) -> None:
    event = finding_event("unauthorizedaccess_ec2_sshbruteforce_target")
    event["detail"]["service"]["resourceRole"] = "ACTOR"
    assert manifests.playbook_for(finding.parse(event))[0] == "ec2_instance"
    event["detail"]["service"] |= {"resourceRole": "TARGET"}
    event["detail"]["service"]["action"]["networkConnectionAction"]["connectionDirection"] = (
        "OUTBOUND"
    )
    assert manifests.playbook_for(finding.parse(event))[0] == "ec2_instance"


def test_get_never_raises() -> None:
    node = {"a": [{"b": 1}], "n": None}
    assert finding.get(node, "a", 0, "b") == 1
    assert finding.get(node, "a", -1, "b") == 1
    for path in (("a", 1), ("a", "b"), ("n", "x"), ("x", 0), ("a", 0, "b", "c")):
        assert finding.get(node, *path) is None


def test_skips_are_failures_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        skip_or_fail("a tool is missing")
