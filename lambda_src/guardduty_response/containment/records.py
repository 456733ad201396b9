"""Shapes of settings that controls of several playbooks record, and of what a plan hands on.
No function imports this module: it is for the type checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument
    from guardduty_response.containment.target_context import Settings


class PlannedState(TypedDict):
    """Settings by item, as ``plan`` read them, and when (ISO 8601)."""

    before: Settings
    read_at: str


class RoleSessions(TypedDict, total=False):
    """The denials on a role: its ARN, its unique ID, the policies that deny (absent: None),
    and the moment until which issued tokens are denied, or are to be (ISO 8601). Empty: no role.
    """

    role: str
    id: str
    policies: dict[str, PolicyDocument | None]
    revoked_before: str


class DeniedSessions(TypedDict):
    """Sessions denied on another role: the name of the policy, the sessions' ``aws:userid``, and
    the moment before which they were issued (ISO 8601). ``by_date``: the policy denies every older
    session of the role.
    """

    policy: str
    userids: list[str]
    before: str
    by_date: NotRequired[bool]


class OpenSessions(TypedDict):
    """Sessions of a role that are known and not denied. ``userids`` lists the first of ``count``;
    ``why``: the reason, ``text``: the sentence with the command; ``ends``: when the last of them
    ends by itself (ISO 8601). ``late``: containing again would deny them.
    """

    role: str
    userids: list[str]
    count: int
    why: str
    text: str
    ends: str
    late: bool


class SessionSearch(TypedDict, total=False):
    """What the search for a principal's sessions came to: what is denied by role, which sessions it
    found, which of them are not denied, and what could not be looked at. The last two are absent
    from records of earlier releases.
    """

    roles: dict[str, DeniedSessions]
    found: list[dict[str, object]]
    open: list[OpenSessions]
    unsearched: list[str]


class DeniedSessionsBefore(TypedDict):
    """A role's policy before sessions were denied by it; ``document`` is None where it was
    absent.
    """

    role: str
    policy: str
    document: PolicyDocument | None
