"""The instance metadata endpoint: switched off, verified once EC2 has applied it, given back."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance
from moto.ec2.models import ec2_backends

from tests.unit.playbooks.ec2_instance import metadata_moto
from tests.unit.playbooks.ec2_instance.ec2_lab import MEMBER, PREFIX, REGION, Lab
from tests.unit.playbooks.ec2_instance.metadata_moto import Delay

NAME, CALL = "disable_metadata", "ModifyInstanceMetadataOptions"
BEFORE = {
    "HttpEndpoint": "enabled",
    "HttpTokens": "required",
    "HttpPutResponseHopLimit": 2,
    "HttpProtocolIpv6": "enabled",
    "InstanceMetadataTags": "enabled",
}
OFF = {**BEFORE, "HttpEndpoint": "disabled"}


@pytest.fixture
def delay(monkeypatch: pytest.MonkeyPatch) -> Delay:
    """How late EC2 applies a change of metadata options."""
    return metadata_moto.extend(monkeypatch)


@pytest.fixture
def metadata(lab: Lab, delay: Delay) -> Lab:
    """A lab in which the option is on."""
    lab.options[NAME] = True
    return lab


def build(lab: Lab, **traits: Any) -> None:
    lab.build(**traits)
    modify(lab, **BEFORE)
    options(lab)
    assert options(lab) == BEFORE


def modify(lab: Lab, **wanted: Any) -> None:
    """Changes the options as somebody else."""
    lab.see("ec2").modify_instance_metadata_options(InstanceId=lab.ids["instance"], **wanted)


def options(lab: Lab) -> dict[str, Any]:
    found = lab.see("ec2").describe_instances(InstanceIds=[lab.ids["instance"]])
    shown = dict(found["Reservations"][0]["Instances"][0]["MetadataOptions"])
    shown.pop("State")
    return shown


def detail(lab: Lab) -> str:
    return str(lab.stored_record()["actions"][NAME]["detail"])


def test_the_endpoint_is_off_and_nothing_else_is_changed(metadata: Lab) -> None:
    build(metadata)
    assert metadata.respond().status is Status.CONTAINED
    assert options(metadata) == OFF
    assert metadata.actions()[NAME] == "DONE"
    assert "instance metadata endpoint disabled" in detail(metadata)
    assert metadata.stored_record()["before"]["metadata_options"] == BEFORE


def test_a_second_containment_changes_nothing(metadata: Lab) -> None:
    build(metadata)
    metadata.respond()
    metadata.calls.clear()
    assert metadata.respond().status is Status.CONTAINED
    assert CALL not in metadata.operations()
    assert metadata.stored_record()["before"]["metadata_options"] == BEFORE


def test_a_refused_call_is_reported_with_the_command_and_stops_nothing_else(metadata: Lab) -> None:
    build(metadata)
    metadata.fail(CALL, "UnauthorizedOperation")
    assert metadata.respond().status is Status.PARTIAL
    assert options(metadata) == BEFORE
    assert metadata.actions()[NAME] == "FAILED"
    assert (
        "By hand: aws ec2 modify-instance-metadata-options --instance-id"
        f" {metadata.ids['instance']} --http-endpoint disabled" in detail(metadata)
    )
    assert set(map(tuple, metadata.groups().values())) == {(f"{PREFIX}-quarantine",)}
    assert metadata.profiles() == [f"{PREFIX}-quarantine"]
    others = {name: status for name, status in metadata.actions().items() if name != NAME}
    assert "FAILED" not in others.values()


def test_what_ec2_does_not_apply_is_not_called_contained(metadata: Lab, delay: Delay) -> None:
    build(metadata)
    delay.looks = 100
    step = metadata.respond()
    assert step.status is Status.PARTIAL
    assert "HttpEndpoint is disabled, and EC2 has not applied it yet (its State is pending" in (
        step.detail
    )
    check = metadata.ids["checks"][NAME]
    assert (check.ok, check.read) == (False, False), "it is no loss of containment either"


def test_a_stopped_instance_need_not_have_applied_it(metadata: Lab, delay: Delay) -> None:
    build(metadata, stopped=True)
    delay.looks = 100
    assert metadata.respond().status is Status.CONTAINED
    assert options(metadata) == OFF


def test_what_cannot_be_read_is_not_taken_for_contained(metadata: Lab) -> None:
    build(metadata)
    found: Any = ec2_backends[MEMBER][REGION].get_instance(metadata.ids["instance"])
    found.metadata_options = None
    assert metadata.respond().status is Status.PARTIAL
    check = metadata.ids["checks"][NAME]
    assert (check.ok, check.read) == (False, False)


def test_switched_off_it_changes_nothing(metadata: Lab) -> None:
    metadata.options[NAME] = False
    build(metadata)
    assert metadata.respond().status is Status.CONTAINED
    assert options(metadata) == BEFORE


def test_a_sample_finding_says_what_would_be_done(metadata: Lab) -> None:
    metadata.build()
    metadata.sample, metadata.ids["instance"] = True, "i-99999999"
    [planned] = ec2_instance.plan(metadata.context())
    assert "instance metadata endpoint disabled" in planned.actions[NAME]


# -- undone, and given back ------------------------------------------------------------------------


def test_an_endpoint_that_is_on_again_fails_its_check(metadata: Lab) -> None:
    build(metadata)
    target = metadata.plan()
    metadata.respond(target)
    modify(metadata, HttpEndpoint="enabled")
    _, checks = ec2_instance.verify(metadata.context(), target._replace(verify_only=True))
    assert [(check.name, check.read) for check in checks if not check.ok] == [(NAME, True)]


@pytest.mark.usefixtures("full_models")
def test_restore_gives_the_endpoint_back(metadata: Lab) -> None:
    build(metadata)
    metadata.respond()
    got = metadata.restore()
    assert (got.status, got.not_restored) == (Status.RESTORED, [])
    assert options(metadata) == BEFORE
    assert any("HttpEndpoint=enabled, HttpTokens=required" in text for text in got.restored)


@pytest.mark.usefixtures("full_models")
def test_an_endpoint_that_was_off_before_stays_off(metadata: Lab) -> None:
    build(metadata)
    modify(metadata, HttpEndpoint="disabled")
    assert metadata.respond().status is Status.CONTAINED
    assert metadata.actions()[NAME] == "ALREADY"
    assert metadata.restore().status is Status.RESTORED
    assert options(metadata) == OFF


@pytest.mark.usefixtures("full_models")
def test_what_somebody_changed_since_is_left_alone(metadata: Lab) -> None:
    build(metadata)
    metadata.respond()
    modify(metadata, HttpEndpoint="enabled", HttpTokens="optional")
    metadata.calls.clear()
    got = metadata.restore()
    assert CALL not in metadata.operations()
    assert options(metadata)["HttpTokens"] == "optional"
    [text] = got.not_restored
    assert "HttpTokens=optional" in text
    assert "somebody changed it since, left as it is" in text
