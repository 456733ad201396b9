"""Checks whether an instance is contained still, for the monitor function. Changes nothing."""

from __future__ import annotations

from guardduty_response.playbooks.ec2_instance import action_order, attribution
from guardduty_response.playbooks.ec2_instance.verify import verify

__all__ = ["KINDS", "READ", "verify"]

READ = (*action_order.READ, *attribution.READ)
KINDS = frozenset({"ec2_instance"})
