"""Undoes what a contained principal did: see run.py for the order of things, revert.py for what
happens to one change.
"""

from guardduty_response.playbooks.iam_principal.eradicate.run import remediate

__all__ = ["remediate"]
