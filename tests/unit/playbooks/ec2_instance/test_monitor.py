"""What the monitor function reads of an instance: as much as verify, and nothing but reading."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from guardduty_response.containment import session_policy
from guardduty_response.containment.contract import Context, Target
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import monitor
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import Lab
from tests.unit.playbooks.ec2_instance.restore_lab import contained
from tests.unit.playbooks.watched_session import acting

READING = ("Describe", "Get", "List", "Query", "AssumeRole")


def _checked(lab: Lab) -> tuple[Context, Target]:
    """Returns what the monitor function passes to verify: the record's target, its own session.

    The lab notes every call that the session's policy does not allow.
    """
    planned = contained(lab)
    context = lab.context()

    def assume(account: str, region: str, _: Any) -> Any:
        with acting(lab, "monitor"):
            return lab.assume(account, region, policy(allow(monitor.READ)))

    context.assume = partial(assume)
    bare = planned._replace(scope={"unique_id": planned.id}, verify_only=True)
    lab.calls.clear()
    return context, bare


@pytest.mark.parametrize(
    "traits", [{}, {"asg": True}, {"targets": True, "eip": True}], ids=["plain", "asg", "targets"]
)
def test_a_check_only_reads_and_sees_what_verify_sees(lab: Lab, traits: Any) -> None:
    lab.build(**traits)
    context, target = _checked(lab)
    step, checks = monitor.verify(context, target)
    operations = {call.operation for call in lab.calls}
    assert operations
    assert [name for name in operations if not name.startswith(READING)] == []
    assert step.status is Status.CONTAINED
    [planned] = ec2_instance.plan(lab.context())
    whole = planned.target._replace(verify_only=True, generation=target.generation)
    expected, expected_checks = ec2_instance.verify(lab.context(), whole)
    assert checks == expected_checks
    assert step == expected


def test_an_opened_interface_is_seen(lab: Lab) -> None:
    lab.build()
    context, target = _checked(lab)
    interface = next(iter(lab.groups()))
    lab.see("ec2").modify_network_interface_attribute(
        NetworkInterfaceId=interface, Groups=[lab.ids["group"]]
    )
    _, checks = monitor.verify(context, target)
    assert [check.name for check in checks if not check.ok] == [f"interface {interface}"]


def test_its_actions_are_reading_ones() -> None:
    assert [action for action in monitor.READ if not session_policy.reads(action)] == []
