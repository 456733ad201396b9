"""What each example needs to be planned and applied here. An example that is not named has the defaults: see Needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repository import ROOT

SECURITY = "111111111111"
EXAMPLES = ROOT / "examples"


@dataclass(frozen=True)
class Needs:
    """``accounts``: provider alias ("" the default provider) => account id, or an expression such as var.account_id; one that is
    not named is the security account. ``variables``: what the example has no default for. ``plan``: "identity", a server that
    only knows who is calling, or "sandbox", where data sources ask for more. ``apply``: "always", or "proof" (make proof).
    ``before``: calls (service, account, Region, operation, arguments) made before the first apply. ``left``: what destroy leaves
    on purpose, as example_lab.inventory words it => why."""

    accounts: dict[str, str] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    plan: str = "identity"
    apply: str = "proof"
    before: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = ()
    left: dict[str, str] = field(default_factory=dict)


NEEDS = {
    "per-account-tfvars": Needs(accounts={"": "var.account_id"}),
    "standalone": Needs(apply="always"),
}

# What the emulators, not the module, make differ between two plans: {address: {attribute, …}}. Empty: nothing does.
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
    """Every directory with .tf files, and with variable files in or below it, one for each of them."""
    found = []
    for directory in sorted({path.parent for path in EXAMPLES.rglob("*.tf") if ".terraform" not in path.parts}):
        files = sorted(directory.rglob("*.tfvars"))
        found += [Example(directory, file) for file in files] or [Example(directory)]
    return found


ALL = _examples()
