"""Checks whether an instance is contained still, for the monitor function. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from guardduty_response.cloudtrail import regions
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.decision.configuration import PlaybookOptions
from guardduty_response.playbooks.ec2_instance import action_order, attribution
from guardduty_response.playbooks.ec2_instance import verify as verification

# A search for sessions that was not complete is repeated.
READ = (*action_order.READ, *attribution.READ, *regions.LOOKS_UP)
READ_ELSEWHERE: Mapping[str, tuple[str, ...]] = {}
KINDS = frozenset({"ec2_instance"})


def elsewhere(kind: str, options: PlaybookOptions) -> Mapping[str, tuple[str, str]]:
    """Returns no other role: an instance is contained in its own account alone."""
    return {}


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    """Verifies as the playbook does. A check writes nothing: what is news to the record, the
    incident machine finds and records.
    """
    return verification.verify(context, target, keeps=False)
