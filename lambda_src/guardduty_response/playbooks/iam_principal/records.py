"""Shapes of what this playbook stores in the incident's record and keeps between its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyStatement


class DenyAllState(TypedDict, total=False):
    """How a user stood towards AWSDenyAll. ``boundary`` is the ARN of its permissions boundary,
    ``id`` the user's unique ID, ``unread`` the reason why nothing could be read.
    """

    attached: bool
    boundary: str | None
    id: str
    unread: str


class LoginProfileState(TypedDict, total=False):
    """A console password: whether the next sign-in must replace it, and when it was set (ISO
    8601). Empty without a console password.
    """

    reset_required: bool
    created: str


class SeenSession(TypedDict):
    """A call by a session issued after the denial: when it was issued, and the call's time, name
    and source address.
    """

    issued: str
    at: str
    name: str
    source: str


class SessionIssuer(TypedDict):
    """Who got the session with the access key ``issued``, by CloudTrail's ``userIdentity``: its
    ``type``, name, ARN, principal ID, the role's ARN where it is a session, account and access key;
    and the event that issued the session.
    """

    issued: str
    kind: str
    name: str
    arn: str
    unique_id: str
    role: str
    account: str
    key: str
    source: str
    at: str
    event: str
    region: str


class IssuerSearch(TypedDict, total=False):
    """What the search for who got a session came to. ``unsearched``: what could not be looked at;
    ``whole``: whether reading all AssumeRole events is a part of that. Both are absent from records
    of earlier releases. ``late``: the ARN of one that a check found and may not record.
    """

    issuers: list[SessionIssuer]
    unsearched: list[str]
    whole: bool
    late: str


class PermissionSet(TypedDict):
    """A permission set of IAM Identity Center."""

    arn: str
    name: str


class DeniedPermissionSet(PermissionSet):
    """``role``: the ARN of the role that the finding is about, of the finding's own set alone."""

    role: str


class PermissionSetBefore(TypedDict):
    """A permission set before it was changed: its inline policy as text, and the statement that
    was added. ``role`` as in DeniedPermissionSet.
    """

    arn: str
    policy: str
    statement: PolicyStatement
    role: str


class ProvisioningState(TypedDict, total=False):
    """How a permission set's provisioning stands: the request's ID, its status and failure, and
    how often, in which execution and when it was last tried.
    """

    request: str
    status: str
    reason: str
    tries: int
    execution: str
    at: str


class HeldPermissionSets(TypedDict):
    """What is known of a person: the identity store's user ID, the permission sets with the
    finding's first, and why others may be missing (empty: none are).
    """

    user_id: str
    sets: list[PermissionSet]
    unlisted: str


class FindingTrouble(TypedDict):
    """Why it is not known what a person holds; ``no_user``: the identity store has no such user."""

    trouble: str
    no_user: bool


class HandedOut(TypedDict):
    """A temporary key that a successful call handed out, and the call: with which key it was made,
    when, and from which address.
    """

    key: str
    by: str
    at: str
    origin: str
