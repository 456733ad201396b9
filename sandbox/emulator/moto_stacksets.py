"""Delegation of StackSets, in moto's process."""

from __future__ import annotations

from .moto_modules import organization_models
from .patching import replace

SERVICE = "member.org.stacksets.cloudformation.amazonaws.com"

replace(
    organization_models.FakeDelegatedAdministrator,
    "SUPPORTED_SERVICES",
    [*organization_models.FakeDelegatedAdministrator.SUPPORTED_SERVICES, SERVICE],
    restores="StackSets can be delegated to a member account",
)
