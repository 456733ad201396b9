"""Eradication: undoes what a contained principal did.

run.py has the order of things, revert.py what happens to a single change; reversals/ declares the
kinds of changes.
"""

from guardduty_response.playbooks.iam_principal.eradicate.run import eradicate

__all__ = ["eradicate"]
