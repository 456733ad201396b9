"""Checks whether an instance is contained still, for the monitor function. Changes nothing."""

from __future__ import annotations

from guardduty_response.playbooks.ec2_instance.actions import READ as ACTIONS
from guardduty_response.playbooks.ec2_instance.state import LOOK
from guardduty_response.playbooks.ec2_instance.verify import verify

__all__ = ["KINDS", "READ", "verify"]

READ = (*LOOK, *ACTIONS)
KINDS = frozenset({"ec2_instance"})
