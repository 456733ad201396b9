"""The sandbox's organization in moto: its management account, its accounts, GuardDuty's trusted
access.
"""

from __future__ import annotations

from typing import Any

from . import settings
from .moto_modules import organization_models
from .patching import Original, patch, replace

_TRUSTED = ("guardduty.amazonaws.com", "malware-protection.guardduty.amazonaws.com")

replace(
    organization_models.FakeServiceAccess,
    "TRUSTED_SERVICES",
    sorted({*organization_models.FakeServiceAccess.TRUSTED_SERVICES, *_TRUSTED}),
    restores="Malware Protection for EC2 has a trusted access of its own",
)


@patch(
    organization_models.FakeAccount,
    "describe",
    restores="an account's Status was retired on 9 September 2026: State alone",
)
def _describe(original: Original, account: object) -> dict[str, Any]:
    return {name: value for name, value in original(account).items() if name != "Status"}


def found() -> None:
    """Make the organization that the sandbox's accounts are in."""
    backends = organization_models.organizations_backends
    backend = backends[settings.MANAGEMENT_ACCOUNT]["aws"]
    backend.create_organization("us-east-1", FeatureSet="ALL")
    for number in sorted(settings.ORGANIZATION_ACCOUNTS - {settings.MANAGEMENT_ACCOUNT}):
        account = organization_models.FakeAccount(
            backend.org, AccountName=f"account-{number}", Email=f"{number}@example.com"
        )
        account.id = number
        backend.accounts.append(account)
        backends.master_accounts[number] = (settings.MANAGEMENT_ACCOUNT, "aws")
    for principal in _TRUSTED:
        backend.enable_aws_service_access(ServicePrincipal=principal)
