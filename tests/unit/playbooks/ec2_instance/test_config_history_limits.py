"""AWS Config's history where it is refused, throttled, or larger than what is read."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from guardduty_response.evidence import config_history as history
from guardduty_response.playbooks.ec2_instance.evidence import config_history

from tests.unit.playbooks.config_stand_in import DAY
from tests.unit.playbooks.ec2_instance.config_history_lab import (
    GROUP,
    INTERFACE,
    collected,
    contained,
    kept,
    lines,
    of,
    recorded,
    resources,
)
from tests.unit.playbooks.ec2_instance.ec2_lab import REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab


def test_denied(evidence: EvidenceLab) -> None:
    """Also where the member role is of an earlier release."""
    target = contained(evidence)
    evidence.config.recorder(REGION)
    for operation in ("DescribeConfigurationRecorders", "GetResourceConfigHistory"):
        evidence.fail(operation, "AccessDeniedException")
    item = collected(evidence, target)
    assert (item.outcome, lines(evidence)) == ("FAILED", [])
    assert f"{evidence.ids['group']}: AccessDeniedException: injected in {REGION}" in item.detail
    for type, id in resources(evidence):
        assert (
            "aws configservice get-resource-config-history --resource-type"
            f" {type} --resource-id {id} " in item.task
        )
    assert evidence.operations().count("GetResourceConfigHistory") == 1


def test_a_recorder_that_cannot_be_described(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    made = recorded(evidence, 3600)
    evidence.fail("DescribeConfigurationRecorders", "AccessDeniedException")
    item = collected(evidence, target)
    assert (item.outcome, kept(evidence)) == ("PARTIAL", of(made))
    assert f"whether AWS Config records in {REGION} could not be read (AccessDenied" in item.detail
    assert f"describe-configuration-recorders --region {REGION}" in item.task


def test_a_resource_that_is_refused_stops_no_other(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600)
    refused = evidence.ids["interface"]
    evidence.fail(
        "GetResourceConfigHistory",
        "ValidationException",
        lambda params: params["resourceId"] == refused,
    )
    item = collected(evidence, target)
    assert item.outcome == "PARTIAL"
    assert kept(evidence) == [entry for entry in of(made) if entry[0] != refused]
    assert f"{INTERFACE} {refused}: ValidationException: injected in {REGION}" in item.detail
    assert f"--resource-id {refused} " in item.task
    assert evidence.ids["group"] not in item.task


def test_an_error_after_the_first_page(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    recorded(evidence, 3600, 60 * DAY)
    evidence.fail(
        "GetResourceConfigHistory",
        "InvalidNextTokenException",
        lambda params: "nextToken" in params and params["resourceId"] == evidence.ids["group"],
    )
    item = collected(evidence, target)
    assert item.outcome == "PARTIAL"
    assert f"{evidence.ids['group']}: reading stopped (InvalidNextTokenException" in item.detail
    assert "--later-time 20" in item.task
    assert len(lines(evidence)) == 5


def test_interfaces_that_cannot_be_listed(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600)
    evidence.fail("DescribeNetworkInterfaces", "UnauthorizedOperation")
    item = collected(evidence, target)
    assert (item.outcome, kept(evidence)) == ("PARTIAL", of(made)), "as containment recorded them"
    assert "its interfaces of now could not be read (UnauthorizedOperation" in item.detail


def test_pages_are_bounded(evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGES_BEFORE", 3)
    target = contained(evidence)
    evidence.config.recorder(REGION)
    recorded(evidence, 3600, 60 * DAY)
    item = collected(evidence, target)
    assert (item.outcome, len(lines(evidence))) == ("PARTIAL", 3)
    assert "truncated after 3 pages: what it was when the range began was not" in item.detail
    assert "--max-items 1" in item.task


def test_pages_of_the_range_are_bounded(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_PAGES", 2)
    monkeypatch.setattr(history, "PAGE", 1)
    target = contained(evidence)
    evidence.config.recorder(REGION)
    recorded(evidence, 60, 3600, 7200)
    item = collected(evidence, target)
    assert (item.outcome, len(lines(evidence))) == ("PARTIAL", 6)
    assert "truncated after 2 pages: the oldest item was not" in item.detail
    assert "--earlier-time 20" in item.task


def test_pages_of_all_resources_are_bounded(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGES_OF_ALL", 3)
    target = contained(evidence)
    evidence.config.recorder(REGION)
    recorded(evidence, 3600, 8 * DAY)
    item = collected(evidence, target)
    assert (item.outcome, len(lines(evidence))) == ("PARTIAL", 3)
    assert f"{evidence.ids['group']}: truncated after 3 pages of all resources" in item.detail
    assert f"--resource-id {evidence.ids['group']} " in item.task


def test_bytes_are_bounded(evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600, 7200)
    size = len(json.dumps(made[0], separators=(",", ":"), default=str))
    monkeypatch.setattr(history, "MOST_BYTES", 3 * size + 20)
    item = collected(evidence, target)
    assert (item.outcome, len(lines(evidence))) == ("PARTIAL", 3)
    assert "all items together are larger than" in item.detail


def test_resources_are_bounded(evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_RESOURCES", 2)
    target = contained(evidence)
    evidence.config.recorder(REGION)
    recorded(evidence, 3600)
    item = collected(evidence, target)
    assert (item.outcome, len(lines(evidence))) == ("PARTIAL", 2)
    assert f"{GROUP} {evidence.ids['group']}: beyond 2 resources" in item.detail
    assert f"--resource-id {evidence.ids['group']} " in item.task


def test_over_several_calls_nothing_is_lost_or_doubled(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CALL_SECONDS", 0.0)
    monkeypatch.setattr(history, "PAGE", 2)
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 60, 3600, 7200, DAY, 20 * DAY)
    parts = evidence.collect(config_history, target)
    assert (parts[-1].outcome, kept(evidence)) == ("COMPLETE", of(made))
    assert len(parts) > 10
    assert "still being read" in parts[0].detail


def test_throttling_keeps_what_there_is(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600, 60 * DAY)
    throttled = evidence.ids["interface"]
    evidence.fail(
        "GetResourceConfigHistory",
        "ThrottlingException",
        lambda params: params["resourceId"] == throttled,
        times=1,
    )
    first = evidence.once(config_history, target)
    assert (first.outcome, first.wait_seconds) == ("RUNNING", 15)
    assert evidence.collect(config_history, target)[-1].outcome == "COMPLETE"
    assert kept(evidence) == of(made)


@pytest.mark.parametrize(
    "operation",
    ["DescribeConfigurationRecorders", "DescribeNetworkInterfaces", "GetResourceConfigHistory"],
)
def test_throttled_from_the_start_is_left_to_the_collector(
    evidence: EvidenceLab, operation: str
) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    evidence.fail(operation, "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        evidence.once(config_history, target)


def test_switched_off(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    evidence.options["config_history_days"] = 0
    assert collected(evidence, target).outcome == "SKIPPED"
    assert evidence.config.asked == []
