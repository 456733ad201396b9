"""Shapes of settings that controls of several playbooks record, and of what a plan hands on.
No function imports this module: it is for the type checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.target_context import Settings


class PlannedState(TypedDict):
    """Settings by item, as ``plan`` read them, and when (ISO 8601)."""

    before: Settings
    read_at: str


class RoleSessions(TypedDict, total=False):
    """The denials on a role: its ARN, its unique ID (AROA…), the policies that deny (absent: None),
    and the moment until which issued tokens are denied, or are to be (ISO 8601). Empty: no role.
    """

    role: str
    id: str
    policies: dict[str, PolicyDocument | None]
    revoked_before: str
