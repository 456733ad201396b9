"""What a principal could do and what it did: see run.py for the order, actions.py for the list
of its calls.
"""

from guardduty_response.playbooks.iam_principal.evidence.items import collect, evidence, first

__all__ = ["collect", "evidence", "first"]
