"""Containing the network while somebody pauses: no interface is left more open than it was."""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.gate import VALID_SECONDS
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.containment.gates import Clock, PausableGate
from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX, Lab


def test_a_pause_while_connections_are_flushed_leaves_no_interface_all_open(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call may take longer than a permission lasts: EC2 throttles, and it is repeated."""
    lab.build()
    lab.options["untrack_connections"] = True
    target, context, clock = lab.plan(), lab.context(), Clock(monkeypatch)
    gate = PausableGate.of(lab, context, target, INCIDENT)

    def between_the_two(params: Any) -> bool:
        all_open = [lab.group(f"{PREFIX}-untrack")["GroupId"]]
        if params.get("Groups") not in (None, all_open):
            clock.now += VALID_SECONDS + 1
            gate.refuses = "the response is paused by ada"
        return False

    lab.fail("ModifyNetworkInterfaceAttribute", "Never", when=between_the_two)
    ec2_instance.contain(context, target)
    assert gate.refuses
    assert list(lab.groups().values()) == [[f"{PREFIX}-quarantine"]]
