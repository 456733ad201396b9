"""What each example needs to be planned and applied here. An example that is not named has the
defaults: see Needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.clients import Aws
from tests.support.repository import ROOT

SECURITY, MEMBER, MANAGEMENT = "111111111111", "222222222222", "999999999999"
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Needs:
    """``accounts``: provider alias ("" the default provider) => account id, or an expression such
    as var.account_id; one that is not named is the security account. ``variables``: what the
    example has no default for. ``plan``: "identity", a server that only knows who is calling, or
    "sandbox", where data sources ask for more. ``hello``: makes what the example expects to be
    there, and gives the variables that name it; for applies, and for plans in the sandbox.
    ``last``: variables of a last apply before destroying, ``goodbye``: what a person does after it
    (docs/off-boarding.md).
    """

    accounts: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    plan: str = "identity"
    hello: Callable[[Aws], dict[str, Any]] | None = None
    last: dict[str, Any] = field(default_factory=dict)
    goodbye: Callable[[Aws], None] | None = None


def a_detector(aws: Aws) -> dict[str, Any]:
    """GuardDuty, as somebody switched it on before."""
    made = aws.client("guardduty", SECURITY, region="eu-central-1").create_detector(Enable=True)
    return {"detector_id": made["DetectorId"]}


def a_unit(aws: Aws) -> dict[str, Any]:
    """An organizational unit with one account, in an organization that StackSets may reach."""
    organizations = aws.client("organizations", MANAGEMENT)
    [root] = organizations.list_roots()["Roots"]
    unit = organizations.create_organizational_unit(ParentId=root["Id"], Name="workloads")[
        "OrganizationalUnit"
    ]["Id"]
    account = organizations.create_account(AccountName="one", Email="one@example.com")[
        "CreateAccountStatus"
    ]["AccountId"]
    organizations.move_account(
        AccountId=account, SourceParentId=root["Id"], DestinationParentId=unit
    )
    aws.client("cloudformation", MANAGEMENT, region="eu-central-1").activate_organizations_access()
    return {"organizational_units": {"workloads": unit}}


def let_members_go(aws: Aws) -> None:
    """The commands of docs/off-boarding.md: members that auto-enable brought in are not
    Terraform's to remove.
    """
    guardduty = aws.client("guardduty", SECURITY)
    [detector] = guardduty.list_detectors()["DetectorIds"]
    members = [
        member["AccountId"]
        for member in guardduty.list_members(DetectorId=detector, OnlyAssociated="false")["Members"]
    ]
    answer = guardduty.disassociate_members(DetectorId=detector, AccountIds=members)
    assert answer["UnprocessedAccounts"] == []
    assert (
        guardduty.delete_members(DetectorId=detector, AccountIds=members)["UnprocessedAccounts"]
        == []
    )


NEEDS = {
    "per-account-tfvars": Needs(accounts={"": "var.account_id"}),
    "standalone": Needs(),
    "organization": Needs(
        accounts={"": SECURITY, "management": MANAGEMENT, "workloads": MEMBER},
        variables={
            "management_account_id": MANAGEMENT,
            "security_account_id": SECURITY,
            "workloads_account_id": MEMBER,
            "region": "us-east-1",
            "member_features": {MEMBER: {"LAMBDA_NETWORK_LOGS": "DISABLED"}},
        },
        plan="sandbox",
        last={"auto_enable_members": "NONE"},
        goodbye=let_members_go,
    ),
    "multi-region": Needs(
        accounts={
            "forensics": MEMBER,
            "forensics_eu_west_1": MEMBER,
            "forensics_us_east_1": MEMBER,
        },
    ),
    "adopt-detector": Needs(plan="sandbox", hello=a_detector),
    "stackset": Needs(
        accounts={"": MANAGEMENT},
        variables={
            "organizational_units": {"workloads": "ou-ab12-cdef3456"},
        },
        hello=a_unit,
    ),
}

# What the emulators, not the module, make differ between two plans: {address: {attribute, …}}.
# Empty: nothing does.
EMULATOR_DRIFT: dict[str, set[str]] = {}


@dataclass(frozen=True)
class Example:
    """A root under examples/ with one of its variable files, or none."""

    directory: Path
    var_file: Path | None = None

    @property
    def name(self) -> str:
        return str(self.directory.relative_to(EXAMPLES))

    @property
    def id(self) -> str:
        return f"{self.name} {self.var_file.stem}" if self.var_file else self.name

    @property
    def needs(self) -> Needs:
        return NEEDS.get(self.name, Needs())


def _examples() -> list[Example]:
    """Every directory with .tf files, and with variable files in or below it, one for each of
    them.
    """
    found = []
    for directory in sorted(
        {path.parent for path in EXAMPLES.rglob("*.tf") if ".terraform" not in path.parts}
    ):
        files = sorted(directory.rglob("*.tfvars"))
        found += [Example(directory, file) for file in files] or [Example(directory)]
    return found


ALL = _examples()
