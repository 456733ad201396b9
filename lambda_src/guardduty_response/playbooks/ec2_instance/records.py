"""Shapes of an instance's settings, as the controls read and record them. No function imports this
module: it is for the type checker.
"""

from __future__ import annotations

from typing import TypedDict

# Of the instance, or of a volume; None: of a sample finding's instance, which cannot be read.
Attribute = bool | str | None
MetadataOptions = dict[str, str | int]  # as DescribeInstances has them


class InterfaceBefore(TypedDict, total=False):
    """An interface: its VPC, its security groups, and which AWS service owns it (else empty). What
    is written of it, are the groups.
    """

    vpc: str
    groups: list[str]
    managed: str


class NetworkBefore(TypedDict):
    """The instance's state and interfaces."""

    state: str
    interfaces: dict[str, InterfaceBefore]


class InstanceProfile(TypedDict, total=False):
    """An instance profile: its association, its name, its unique ID (which records of earlier
    releases lack), and the ARN of its role, which is empty where it could not be read, as ``error``
    says. Empty without a live profile.
    """

    association: str
    name: str
    id: str
    role: str
    error: str


class ScalingState(TypedDict, total=False):
    """The instance's Auto Scaling group and its lifecycle state there; empty: it is in none."""

    group: str
    state: str


class RegisteredTarget(TypedDict):
    """A registration in a target group: its ARN, and the target's id, port and zone."""

    arn: str
    id: str
    port: int | None
    zone: str | None


class Protection(TypedDict, total=False):
    """Attributes of the instance, those that it has, and of each volume, by its device."""

    DisableApiTermination: bool
    InstanceInitiatedShutdownBehavior: str
    DeleteOnTermination: dict[str, bool]


class AssociatedAddress(TypedDict, total=False):
    """An Elastic IP: IDs of its association and allocation, and where it was associated."""

    association: str
    allocation: str
    ip: str
    interface: str | None
    private: str | None
