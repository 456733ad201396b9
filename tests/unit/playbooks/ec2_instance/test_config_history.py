"""What AWS Config recorded of an instance, its interfaces and security groups, and what its
recorder does.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest
from guardduty_response.evidence import config_recorders

from tests.unit.playbooks.config_stand_in import ALL, DAY
from tests.unit.playbooks.ec2_instance.config_history_lab import (
    GROUP,
    INSTANCE,
    INTERFACE,
    collected,
    contained,
    kept,
    lines,
    of,
    recorded,
    resources,
    summary,
)
from tests.unit.playbooks.ec2_instance.ec2_lab import REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab

Json = dict[str, Any]


def test_of_the_range_and_what_held_when_it_began(evidence: EvidenceLab) -> None:
    """Newest first for each resource; the oldest line is what it was when the range began."""
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600, 2 * DAY, 60 * DAY)
    recorded(evidence, 90 * DAY)  # was not so any more when the range began
    item = collected(evidence, target)
    assert (item.outcome, item.task) == ("COMPLETE", "")
    assert kept(evidence) == of(made)
    assert (
        "9 configuration items of 1 AWS::EC2::Instance, 1 AWS::EC2::NetworkInterface,"
        " 1 AWS::EC2::SecurityGroup, from 20" in item.detail
    )
    assert [stored["key"].rsplit("/", 1)[-1] for stored in item.objects] == [
        "items-001.jsonl.gz",
        "summary.json",
    ]
    assert summary(evidence)["gaps"] == []
    assert lines(evidence)[0]["configuration"] == '{"state":"3600"}'


def test_before_the_first_event_of_the_finding(evidence: EvidenceLab) -> None:
    """The range begins so many days before it, and not before now."""
    target = contained(evidence)
    first = datetime.fromtimestamp(time.time() - 5 * DAY).astimezone().isoformat()
    evidence.ids["detail"] = {"service": {"eventFirstSeen": first}}
    evidence.options["config_history_days"] = 2
    evidence.config.recorder(REGION)
    made = recorded(evidence, 6 * DAY, 8 * DAY)
    recorded(evidence, 9 * DAY)
    assert collected(evidence, target).outcome == "COMPLETE"
    assert kept(evidence) == of(made)


def test_the_groups_of_now_and_not_the_quarantine(evidence: EvidenceLab) -> None:
    """Somebody put it into another group meanwhile: that one's history is read, too."""
    target = contained(evidence)
    ec2 = evidence.see("ec2")
    quarantine = evidence.group()["GroupId"]
    other = ec2.create_security_group(
        GroupName="other",
        Description="o",
        VpcId=evidence.ids["vpc"],
    )["GroupId"]
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=evidence.ids["interface"], Groups=[quarantine, other]
    )
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600) + evidence.config.recorded(GROUP, other, REGION, 60)
    assert collected(evidence, target).outcome == "COMPLETE"
    assert sorted(kept(evidence)) == sorted(of(made))
    assert evidence.config.ids_asked() == {id for _, id in resources(evidence)} | {other}


def test_of_an_instance_that_is_gone(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    made = recorded(evidence, 3600)
    evidence.see("ec2").modify_instance_attribute(
        InstanceId=evidence.ids["instance"], DisableApiTermination={"Value": False}
    )
    evidence.see("ec2").terminate_instances(InstanceIds=[evidence.ids["instance"]])
    assert collected(evidence, target).outcome == "COMPLETE"
    assert kept(evidence) == of(made)


# -- the recorder ----------------------------------------------------------------------------------


def test_without_a_recorder(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    item = collected(evidence, target)
    assert (item.outcome, item.task) == ("NOT_POSSIBLE", "")
    assert f"{evidence.ids['instance']}, " in item.detail
    assert f"AWS Config has no recorder in {REGION}" in item.detail
    assert evidence.config.ids_asked() == {id for _, id in resources(evidence)}
    assert lines(evidence) == []


def test_what_a_deleted_recorder_left_is_read(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    made = recorded(evidence, 3600)
    item = collected(evidence, target)
    assert (item.outcome, kept(evidence)) == ("PARTIAL", of(made))
    assert f"AWS Config has no recorder in {REGION} now" in item.detail
    assert "AttributeValue=DeleteConfigurationRecorder " in item.task


def test_a_stopped_recorder(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION, stopped=7200)
    made = recorded(evidence, 3 * 3600)
    item = collected(evidence, target)
    assert (item.outcome, kept(evidence)) == ("PARTIAL", of(made))
    assert f"the recorder of AWS Config in {REGION} is stopped since 20" in item.detail
    assert "AttributeValue=StopConfigurationRecorder " in item.task


def test_a_recorder_that_was_started_within_the_range(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION, started=7200)
    recorded(evidence, 3600)
    item = collected(evidence, target)
    assert item.outcome == "PARTIAL"
    assert "what changed before may be missing" in item.detail
    assert "AttributeValue=StopConfigurationRecorder " in item.task


def test_a_recorder_whose_last_recording_failed(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION, lastStatus="FAILURE", lastErrorCode="AccessDenied")
    recorded(evidence, 3600)
    item = collected(evidence, target)
    assert item.outcome == "PARTIAL"
    assert f"the last recording of AWS Config in {REGION} failed (AccessDenied)" in item.detail


def test_a_type_that_is_not_recorded(evidence: EvidenceLab) -> None:
    """It is named; what CloudTrail has of it stands in for the history."""
    target = contained(evidence)
    evidence.config.recorder(REGION, {"allSupported": False, "resourceTypes": [INSTANCE, GROUP]})
    for type, id in resources(evidence):
        if type != INTERFACE:
            evidence.config.recorded(type, id, REGION, 3600)
    item = collected(evidence, target)
    assert item.outcome == "PARTIAL"
    assert f"AttributeKey=ResourceName,AttributeValue={evidence.ids['interface']} " in item.task
    assert evidence.ids["group"] not in item.task
    assert (
        f"{INTERFACE} {evidence.ids['interface']}: AWS Config does not record it in {REGION}"
        in item.detail
    )


def test_no_type_is_recorded(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION, {"allSupported": False, "resourceTypes": ["AWS::S3::Bucket"]})
    item = collected(evidence, target)
    assert (item.outcome, item.task) == ("NOT_POSSIBLE", "")
    assert f"does not record {INSTANCE}, {INTERFACE}, {GROUP}" in item.detail


def test_recorded_once_a_day(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    override = {"resourceTypes": [INSTANCE], "recordingFrequency": "CONTINUOUS"}
    mode = {"recordingFrequency": "DAILY", "recordingModeOverrides": [override]}
    evidence.config.recorder(REGION, mode=mode)
    recorded(evidence, 3600)
    item = collected(evidence, target)
    assert item.outcome == "COMPLETE"
    assert f"{REGION} records {INTERFACE}, {GROUP} once a day" in item.detail


def test_not_discovered_yet(evidence: EvidenceLab) -> None:
    target = contained(evidence)
    evidence.config.recorder(REGION)
    evidence.config.recorded(INSTANCE, evidence.ids["instance"], REGION, 3600)
    item = collected(evidence, target)
    assert item.outcome == "PARTIAL"
    assert f"{evidence.ids['interface']}, {GROUP} {evidence.ids['group']}: not dis" in item.detail
    assert f"--resource-id {evidence.ids['interface']} --earlier-time 20" in item.task


IAM_USER = "AWS::IAM::User"


@pytest.mark.parametrize(
    ("group", "type", "expected"),
    [
        (ALL, INSTANCE, True),
        (ALL, IAM_USER, False),
        (ALL | {"includeGlobalResourceTypes": True}, IAM_USER, True),
        ({"recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}}, INSTANCE, True),
        ({"allSupported": False, "resourceTypes": [IAM_USER]}, IAM_USER, True),
        ({"allSupported": False, "resourceTypes": [IAM_USER]}, INSTANCE, False),
        ({}, INSTANCE, False),
        (
            {
                "includeGlobalResourceTypes": False,
                "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
                "exclusionByResourceTypes": {"resourceTypes": [INSTANCE]},
            },
            IAM_USER,
            True,
        ),
        (
            {
                "allSupported": True,
                "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
                "exclusionByResourceTypes": {"resourceTypes": [INSTANCE]},
            },
            INSTANCE,
            False,
        ),
    ],
)
def test_what_a_recording_group_records(group: Json, type: str, expected: bool) -> None:
    assert config_recorders.records(group, type) is expected
