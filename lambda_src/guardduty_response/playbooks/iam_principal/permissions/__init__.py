"""Says what the member roles of this playbook may do: what its controls need, and the rest with
the reason. lambda_src/generate.py writes the policies from it.
"""

from __future__ import annotations

from guardduty_response.containment.declared import MemberRole
from guardduty_response.playbooks.iam_principal.permissions.containing import (
    CONTROLS,
    MONITOR,
    RESPONDER,
    RESTORER,
    WHY,
)
from guardduty_response.playbooks.iam_principal.permissions.eradicating import REMEDIATOR
from guardduty_response.playbooks.iam_principal.permissions.evidence import COLLECTOR
from guardduty_response.playbooks.iam_principal.permissions.identity_center import (
    IDENTITY_CENTER_MONITOR,
    IDENTITY_CENTER_RESPONDER,
    IDENTITY_CENTER_RESTORER,
)

__all__ = ["CONTROLS", "ROLES", "WHY"]

ROLES: tuple[MemberRole, ...] = (
    RESPONDER,
    MONITOR,
    RESTORER,
    COLLECTOR,
    REMEDIATOR,
    IDENTITY_CENTER_RESPONDER,
    IDENTITY_CENTER_MONITOR,
    IDENTITY_CENTER_RESTORER,
)
