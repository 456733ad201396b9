"""Evidence of a principal: what it could do and what it did; items.py has the order."""

from guardduty_response.playbooks.iam_principal.evidence.items import collect, evidence, first

__all__ = ["collect", "evidence", "first"]
