"""Checks whether an instance is contained still, for the monitor function. Changes nothing."""

from __future__ import annotations

from guardduty_response.playbooks.ec2_instance.action_order import READ
from guardduty_response.playbooks.ec2_instance.verify import verify

__all__ = ["KINDS", "READ", "verify"]

KINDS = frozenset({"ec2_instance"})
