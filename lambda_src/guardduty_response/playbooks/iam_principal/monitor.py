"""Checks whether a principal is contained still, for the monitor function. Changes nothing.

A person of IAM Identity Center is contained in another account, in which the monitor function has
no role: the incident machine verifies that, with the role that contained it.
"""

from __future__ import annotations

from guardduty_response.cloudtrail import regions
from guardduty_response.containment.contract import Check, Context, StepResult, Target
from guardduty_response.playbooks.iam_principal import identify, role, user
from guardduty_response.playbooks.iam_principal import verify as verification

# GetAccessKeyLastUsed tells whose a key is by now, where its user is gone or has another name. A
# search for sessions that was not complete is repeated.
READ = tuple(sorted({*user.READ, *role.READ, "iam:GetAccessKeyLastUsed", *regions.LOOKS_UP}))
KINDS = frozenset({identify.USER, identify.SESSION})


def verify(context: Context, target: Target) -> tuple[StepResult, list[Check]]:
    """Verifies as the playbook does. A check writes nothing: what is news to the record, the
    incident machine finds and records.
    """
    return verification.verify(context, target, keeps=False)
