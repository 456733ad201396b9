"""What the instance is and shows is read once, each piece failing alone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import state
from guardduty_response.playbooks.ec2_instance.evidence import instance_description
from moto.ec2.models import ec2_backends

from sandbox.emulator.moto_evidence import SCREEN
from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, REGION
from tests.unit.playbooks.ec2_instance.evidence_lab import EvidenceLab, short


def names(lab: EvidenceLab) -> list[str]:
    return sorted(name.removeprefix(f"{lab.ids['instance']}/") for name in lab.stored)


def metadata(lab: EvidenceLab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.stored[f"{lab.ids['instance']}/metadata.json"])
    return found


def test_everything_there_is(evidence: EvidenceLab) -> None:
    evidence.build(interfaces=2)
    (part,) = evidence.collect(instance_description, evidence.plan())
    assert part.outcome == "COMPLETE"
    assert names(evidence) == ["console.txt", "metadata.json", "screenshot.jpg"]
    assert {stored["key"].rsplit("/", 1)[-1] for stored in part.objects} == set(names(evidence))
    assert all(len(stored["sha256"]) == 64 and stored["what"] for stored in part.objects)
    seen = metadata(evidence)
    assert seen["instance"]["InstanceId"] == evidence.ids["instance"]
    assert len(seen["interfaces"]) == 2
    assert len(seen["volumes"]) == 2
    assert [group["GroupName"] for group in seen["security_groups"]] == ["web"]
    assert seen["security_groups"][0]["IpPermissionsEgress"]
    assert seen["profile"][0]["IamInstanceProfile"]["Arn"].endswith("/app")
    assert seen["image"][0]["ImageId"] == seen["instance"]["ImageId"]
    behavior = seen["attributes"]["instanceInitiatedShutdownBehavior"]
    assert behavior["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    assert seen["missing"] == []
    assert evidence.stored[f"{evidence.ids['instance']}/screenshot.jpg"] == SCREEN
    assert b"Linux version" in evidence.stored[f"{evidence.ids['instance']}/console.txt"]
    assert "no user data" in part.detail
    assert short(evidence.policies)


def _groups(seen: dict[str, Any]) -> dict[str, Any]:
    return {group["GroupName"]: group for group in seen["security_groups"]}


def test_after_containment_the_groups_and_rules_of_before_are_kept(evidence: EvidenceLab) -> None:
    """A cold collector reads what containment has made of it already."""
    evidence.build(interfaces=2)
    target = evidence.plan()
    assert evidence.respond(target).status is Status.CONTAINED
    (part,) = evidence.collect(instance_description, target)
    assert part.outcome == "COMPLETE", part.detail
    seen = metadata(evidence)
    now = {group["GroupName"] for eni in seen["interfaces"] for group in eni["Groups"]}
    assert now == {"guardduty-response-quarantine"}, "what it is now"
    assert set(_groups(seen)) == {"web", "guardduty-response-quarantine"}
    web = _groups(seen)["web"]
    assert web["IpPermissionsEgress"]
    before = seen["before_containment"]["network"]["interfaces"]
    assert {id: eni["groups"] for id, eni in before.items()} == {
        eni["NetworkInterfaceId"]: [web["GroupId"]] for eni in seen["interfaces"]
    }
    assert seen["before_containment"].keys() > {"network"}, "all that was recorded"


def test_what_is_contained_while_it_is_read_is_kept_as_it_was(
    evidence: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is read after the instance: what shows the change was recorded before it."""
    evidence.build()
    target = evidence.plan()

    def contained_first(*arguments: Any) -> Any:
        evidence.respond(target)
        return state.describe(*arguments)

    monkeypatch.setattr(instance_description, "describe", contained_first)
    evidence.collect(instance_description, target)
    assert "web" in _groups(metadata(evidence))


def test_a_group_of_before_that_was_deleted_since_is_named(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.respond(target)
    web = metadata_group(evidence)
    evidence.see("ec2").delete_security_group(GroupId=web)
    (part,) = evidence.collect(instance_description, target)
    assert part.outcome == "PARTIAL"
    assert f"security group {web}" in part.detail
    assert set(_groups(metadata(evidence))) == {"guardduty-response-quarantine"}


def metadata_group(lab: EvidenceLab) -> str:
    """Returns the group that the instance's interface was in before containment."""
    (interface,) = lab.stored_record()["before"]["network"]["interfaces"].values()
    return str(interface["groups"][0])


def test_the_screen_is_not_woken(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.collect(instance_description, evidence.plan())
    (asked,) = [call.params for call in evidence.calls if call.operation == "GetConsoleScreenshot"]
    assert asked == {"InstanceId": evidence.ids["instance"]}


def test_user_data_is_kept_apart_and_flagged(evidence: EvidenceLab) -> None:
    evidence.build()
    secret = base64.b64encode(b"#!/bin/sh\nPASSWORD=hunter2").decode()
    made: Any = ec2_backends[MEMBER][REGION].get_instance(evidence.ids["instance"])
    made.user_data = secret
    (part,) = evidence.collect(instance_description, evidence.plan())
    assert (
        evidence.stored[f"{evidence.ids['instance']}/user-data.txt"]
        == b"#!/bin/sh\nPASSWORD=hunter2"
    )
    (flagged,) = [
        stored["what"] for stored in part.objects if stored["key"].endswith("user-data.txt")
    ]
    assert "treat as a secret" in flagged
    notified = f"{part.detail} {evidence.kept('instance')} {metadata(evidence)}"
    assert "hunter2" not in notified
    assert secret not in notified


def test_no_screen_on_bare_metal(evidence: EvidenceLab) -> None:
    evidence.build()
    ec2_backends[MEMBER][REGION].get_instance(evidence.ids["instance"]).instance_type = "m5.metal"
    (part,) = evidence.collect(instance_description, evidence.plan())
    assert part.outcome == "COMPLETE", "nothing is missing that there could be"
    assert (
        "no screenshot: AWS does not offer it for this instance (UnsupportedOperation"
        in part.detail
    )
    assert names(evidence) == ["console.txt", "metadata.json"]
    assert metadata(evidence)["missing"] == []


def test_console_without_the_latest_output(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.fail(
        "GetConsoleOutput", "UnsupportedOperation", lambda params: params.get("Latest", False)
    )
    (part,) = evidence.collect(instance_description, evidence.plan())
    assert part.outcome == "COMPLETE"
    assert "console.txt" in names(evidence)


@pytest.mark.parametrize(
    ("operation", "missing"),
    [
        ("GetConsoleScreenshot", "screenshot"),
        ("GetConsoleOutput", "console output"),
        ("DescribeVolumes", "volumes"),
        ("DescribeSecurityGroups", "security_groups"),
        ("DescribeImages", "image"),
        ("DescribeIamInstanceProfileAssociations", "profile"),
        ("DescribeNetworkInterfaces", "interfaces"),
    ],
)
def test_each_fails_alone(evidence: EvidenceLab, operation: str, missing: str) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.fail(operation, "UnauthorizedOperation")
    (part,) = evidence.collect(instance_description, target)
    assert part.outcome == "PARTIAL"
    assert f"{missing} (UnauthorizedOperation" in part.detail
    assert metadata(evidence)["missing"] == [f"{missing} (UnauthorizedOperation: injected)"]
    assert metadata(evidence)["instance"]["InstanceId"] == evidence.ids["instance"]


@pytest.mark.parametrize(
    ("operation", "picked"),
    [
        ("GetConsoleScreenshot", {}),
        ("DescribeVolumes", {}),
        ("DescribeInstanceAttribute", {"Attribute": "userData"}),
        ("DescribeInstanceAttribute", {"Attribute": "disableApiStop"}),
    ],
)
def test_what_was_throttled_is_asked_for_again_and_nothing_else(
    evidence: EvidenceLab, operation: str, picked: dict[str, str]
) -> None:
    """Beyond what the SDK repeats: asking for all of it once more would be throttled again."""
    evidence.build()
    refusals = len(instance_description.PAUSES)
    evidence.fail(
        operation,
        "RequestLimitExceeded",
        lambda params: picked.items() <= params.items(),
        times=refusals,
    )
    target = evidence.plan()
    evidence.calls.clear()
    (part,) = evidence.collect(instance_description, target)
    assert part.outcome == "COMPLETE", part.detail
    assert metadata(evidence)["missing"] == []
    asked = evidence.operations()
    assert asked.count("DescribeImages") == 1
    others = len(instance_description.ATTRIBUTES) if picked else 0  # each in a call of its own
    assert asked.count(operation) == 1 + others + refusals


def test_what_is_throttled_for_longer_is_read_by_a_later_look(evidence: EvidenceLab) -> None:
    """The collection asks again what raises a passing error."""
    evidence.build()
    refusals = 1 + len(instance_description.PAUSES)
    evidence.fail("DescribeVolumes", "RequestLimitExceeded", times=refusals)
    target = evidence.plan()
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        evidence.collect(instance_description, target)
    (part,) = evidence.collect(instance_description, target)
    assert part.outcome == "COMPLETE"
    assert metadata(evidence)["missing"] == []


def test_an_attribute_that_cannot_be_read_is_named(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.fail(
        "DescribeInstanceAttribute",
        "UnauthorizedOperation",
        lambda params: params["Attribute"] == "disableApiStop",
    )
    (part,) = evidence.collect(instance_description, evidence.plan())
    assert part.outcome == "PARTIAL"
    assert "attribute disableApiStop (UnauthorizedOperation" in part.detail
    seen = metadata(evidence)
    assert seen["attributes"].keys() == set(instance_description.ATTRIBUTES)
    assert seen["attributes"]["disableApiStop"] == {"unread": "UnauthorizedOperation: injected"}
    assert "Value" in seen["attributes"]["sourceDestCheck"]["SourceDestCheck"]


def test_console_switched_off(evidence: EvidenceLab) -> None:
    evidence.build()
    evidence.options["capture_console"] = False
    (part,) = evidence.collect(instance_description, evidence.plan())
    assert part.outcome == "COMPLETE"
    assert names(evidence) == ["metadata.json"]
    assert not [operation for operation in evidence.operations() if "Console" in operation]


def test_gone(evidence: EvidenceLab) -> None:
    evidence.build()
    target = evidence.plan()
    evidence.see("ec2").terminate_instances(InstanceIds=[evidence.ids["instance"]])
    assert evidence.collect(instance_description, target)[-1].outcome == "NOT_POSSIBLE"
    assert evidence.stored == {}
