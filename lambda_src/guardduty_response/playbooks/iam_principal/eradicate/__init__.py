"""Eradication: undoes what a contained principal did.

run.py has the order of things, reversal.py what happens to a single change.
"""

from guardduty_response.playbooks.iam_principal.eradicate.run import eradicate

__all__ = ["eradicate"]
