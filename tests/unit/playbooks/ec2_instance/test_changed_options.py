"""An instance after an apply has changed the options that it was contained with."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Context
from guardduty_response.decision import planned_options
from guardduty_response.decision.planned_options import ContainedWith
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import monitor
from guardduty_response.playbooks.ec2_instance.restore import restore

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.quarantine_lab import make_group
from tests.unit.playbooks.ec2_instance.restore_lab import contained
from tests.unit.playbooks.watched_session import acting


@pytest.fixture
def own_group(lab: Lab) -> str:
    """An instance in a group that is configured, and the group."""
    lab.build(interfaces=2)
    mine = make_group(lab, "mine", kind="")
    lab.options["quarantine_security_group_ids"] = {lab.ids["vpc"]: mine}
    return mine


def _stored(lab: Lab) -> ContainedWith:
    """What the verdict stores of the lab's configuration."""
    context = lab.context()
    return planned_options.contained_with(context.config, dict(context.options))


def _later(lab: Lab, stored: ContainedWith, **changes: Any) -> Context:
    """The context of a step after an apply, as rechecks and restores have it."""
    lab.options = {**lab.options, **changes}
    context = lab.context()
    return context.as_contained(planned_options.of_containment(stored, None, context.options))


@pytest.mark.parametrize("groups", [{}, {"vpc-other": "sg-other"}], ids=["removed", "another"])
def test_a_group_that_is_configured_no_more_still_contains(
    lab: Lab, own_group: str, groups: dict[str, str]
) -> None:
    planned, stored = contained(lab), _stored(lab)
    context = _later(lab, stored, quarantine_security_group_ids=groups)
    step, _ = monitor.verify(context, planned._replace(verify_only=True))
    assert step.status is Status.CONTAINED
    step, _ = monitor.verify(lab.context(), planned._replace(verify_only=True))
    assert step.status is Status.FAILED, "by the options of now"


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_it_is_restored_out_of_a_group_that_is_configured_no_more(lab: Lab, own_group: str) -> None:
    planned, stored = contained(lab), _stored(lab)
    context = _later(lab, stored, quarantine_security_group_ids={})
    with acting(lab, "restorer"):
        restored = restore(context, planned)
    assert restored.status is Status.RESTORED
    assert list(lab.groups().values()) == [["web"]] * 2


@pytest.mark.usefixtures("full_models")  # of the restore function
def test_what_stood_by_is_brought_back_although_detaching_is_configured_by_now(lab: Lab) -> None:
    lab.options["auto_scaling"] = "standby"
    lab.options["reattach_auto_scaling"] = False
    lab.build(asg=True)
    planned, stored = contained(lab), _stored(lab)
    context = _later(lab, stored, auto_scaling="detach", reattach_auto_scaling=True)
    assert context.options["auto_scaling"] == "standby"
    assert context.options["reattach_auto_scaling"] is True, "what restoring does is decided now"
    with acting(lab, "restorer"):
        restored = restore(context, planned)
    assert restored.status is Status.RESTORED, restored.not_restored


def test_metadata_that_were_left_alone_are_no_loss(lab: Lab) -> None:
    lab.build()
    planned, stored = contained(lab), _stored(lab)
    context = _later(lab, stored, disable_metadata=True)
    step, _ = monitor.verify(context, planned._replace(verify_only=True))
    assert step.status is Status.CONTAINED
