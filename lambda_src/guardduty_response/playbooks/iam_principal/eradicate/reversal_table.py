"""Which reversal undoes which change, and which changes need none. Names are CloudTrail's."""

from __future__ import annotations

from guardduty_response.playbooks.iam_principal.eradicate import manual_commands
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.table import (
    NOTEWORTHY,
    REVERSALS,
    reversal_for,
)

__all__ = ["FIRST", "REVERSALS", "noteworthy", "reversal_for"]

# Categories that are undone first: credentials may be used while the rest is undone.
FIRST = frozenset({"access_keys", "users", "login_profiles", "roles", "policies", "trust"})


def noteworthy(change: Change) -> bool:
    """Tells whether people should know of a change that cannot be undone."""
    return not manual_commands.template(change) and NOTEWORTHY.fullmatch(change.key) is not None
