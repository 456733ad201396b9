"""Checks whether a principal is contained still, for the monitor function. Changes nothing.

A person of IAM Identity Center is contained in another account, in which the monitor function has
no role: the incident machine verifies that, with the role that contained it.
"""

from __future__ import annotations

from guardduty_response.playbooks.iam_principal import identify, role, user
from guardduty_response.playbooks.iam_principal.verify import verify

__all__ = ["KINDS", "READ", "verify"]

# The last action tells whose a key is by now, where its user is gone or has another name.
READ = tuple(sorted({*user.READ, *role.READ, "iam:GetAccessKeyLastUsed"}))
KINDS = frozenset({identify.USER, identify.SESSION})
