"""Evidence of a contained instance. items.py lists the evidence items and their order; what an item
is, and how items are collected, is in guardduty_response.evidence.
"""

from guardduty_response.playbooks.ec2_instance.evidence.items import collect, evidence, first

__all__ = ["collect", "evidence", "first"]
