"""Evidence of a contained instance: see run.py for how its parts are collected, part.py for what
a part is.
"""

from guardduty_response.playbooks.ec2_instance.evidence.items import collect, evidence, first

__all__ = ["collect", "evidence", "first"]
