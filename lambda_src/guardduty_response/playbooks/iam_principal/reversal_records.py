"""The state before each kind of reversal, as eradication records it and restoring reads it.

Every record also has ``what`` (the kind of record), ``event`` (the name of the change) and
``region``. Keys are stored names: a record of an earlier version must still be readable.
"""

from __future__ import annotations

from typing import TypedDict

from guardduty_response.playbooks.iam_principal.resource_types import IpPermission, Json


class AccessKeyRecord(TypedDict):
    user: str
    arn: str
    key: str


class UserRecord(TypedDict):
    """``attached``: whether AWSDenyAll was attached; ``keys``: access key ID -> status."""

    user: str
    arn: str
    attached: bool
    boundary: str | None
    keys: dict[str, str]


class RoleRecord(TypedDict):
    """``name``: of the inline policy that denies everything; ``policy``: what it was before."""

    role: str
    name: str
    arn: str
    policy: Json | None
    boundary: str | None


class LoginProfileRecord(TypedDict):
    user: str
    arn: str


class AttachedPolicyRecord(TypedDict):
    """``of``: ``user``, ``role`` or ``group``; ``policy``: the ARN of the managed policy."""

    of: str
    name: str
    arn: str
    policy: str


class InlinePolicyRecord(TypedDict):
    """``of``: ``user``, ``role`` or ``group``; ``policy``: the name of the inline policy."""

    of: str
    name: str
    arn: str
    policy: str
    document: Json | None


class MemberRecord(TypedDict):
    """``arn``: of the group."""

    user: str
    group: str
    arn: str


class TrustRecord(TypedDict):
    """``document``: the trust policy."""

    role: str
    arn: str
    document: Json | None


class InstancesRecord(TypedDict):
    """``instances``: the IDs of those that were stopped."""

    instances: list[str]


class RulesRecord(TypedDict):
    """``rules``: those that were revoked."""

    group: str
    egress: bool
    rules: list[IpPermission]


class FunctionRecord(TypedDict):
    function: str
    arn: str
    reserved: int | None


class SharingRecord(TypedDict):
    """``of``: ``snapshot`` or ``image``; ``entries``: [{UserId | Group | …: value}]."""

    of: str
    id: str
    arn: str
    entries: list[dict[str, str]]


class BucketRecord(TypedDict):
    """``block``: the public access block, {} when there was none."""

    bucket: str
    arn: str
    block: dict[str, bool]


class TrailRecord(TypedDict):
    trail: str
    arn: str
    logging: bool


class DetectorRecord(TypedDict):
    detector: str
    status: str
