"""Shapes of what reversals read and record of the resources that a principal changed. No function
imports this module: it is for the type checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from guardduty_response.aws.api import PolicyDocument

    # Of a new user or role: a policy or a boundary, by its ARN, its document, or whether it is
    # attached; or the status of a key.
    Denial = bool | str | PolicyDocument | None

# A console password: whether the next sign-in must reset it, or the new one; None: not known.
Password = dict[str, bool] | str | None
Entries = list[dict[str, str]]  # of the list of who may use a snapshot or an image
PublicAccessBlock = dict[str, bool]  # of a bucket: each setting, on or off


class Entity(TypedDict):
    """A new user or role: its unique ID, and the ARN of its permissions boundary."""

    id: str
    boundary: str | None


class CreatedUser(Entity):
    """``attached``: whether AWSDenyAll is. ``keys``: access key ID -> status."""

    attached: bool
    keys: dict[str, str]


class CreatedRole(Entity):
    """``policy``: the inline policy that denies everything; None where it is absent."""

    policy: PolicyDocument | None
