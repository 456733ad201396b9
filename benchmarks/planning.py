"""What the switches cost at plan time: one finding type against all, one account with exceptions
against two hundred.

``python -m benchmarks.planning`` measures this alone. Plans of the module in one account, nothing
refreshed, against a server that only knows who is calling. Measured is the processor time of
Terraform and its provider, which other work on the machine changes little; each pair in turns, the
best of each.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

from tests.support import terraform_tools
from tests.support.catalogue import finding_types, playbook_of
from tests.support.identity_server import identity

from .measure import Figure, table


class Variables(TypedDict, total=False):
    """The module's variables that a case sets."""

    remediations: dict[str, str]
    account_remediations: dict[str, dict[str, str]]


SLOWER_ALL, SLOWER_ACCOUNTS, MORE_RESOURCES = 1.2, 1.5, 4
ACCOUNTS = 200
INSTANCE_TYPE = "CryptoCurrency:EC2/BitcoinTool.B!DNS"
CREDENTIAL_TYPE = "UnauthorizedAccess:IAMUser/MaliciousIPCaller"
ROOT_MODULE = """
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

variable "remediations" {
  type = map(string)
}

variable "account_remediations" {
  type    = map(map(string))
  default = {}
}

module "guardduty_response" {
  source = "./module"

  remediations         = var.remediations
  account_remediations = var.account_remediations
}

output "effective_policy" {
  value = module.guardduty_response.effective_policy
}
"""


def types(playbook: str | None = None) -> list[str]:
    """List the catalogue's finding types; those of a playbook, where it is named."""
    return sorted(
        name for name in finding_types() if playbook is None or playbook_of(name) == playbook
    )


def exceptions(accounts: int) -> dict[str, dict[str, str]]:
    """Make exceptions for so many accounts, each with keys of its own: a glob, a milder type inside
    it, and a type that is off.
    """
    return {
        str(100000000001 + number): {
            "CryptoCurrency:EC2/*": "approve",
            "CryptoCurrency:EC2/BitcoinTool.B": "off",
            "*:S3/*": ("notify", "off")[number % 2],
            types()[number % 100]: "notify",
        }
        for number in range(accounts)
    }


CASES: dict[str, Variables] = {
    "one type": {"remediations": {INSTANCE_TYPE: "auto"}},
    "all types of its playbook": {"remediations": dict.fromkeys(types("ec2_instance"), "auto")},
    "one type of each playbook": {"remediations": {INSTANCE_TYPE: "auto", CREDENTIAL_TYPE: "auto"}},
    "all types": {"remediations": dict.fromkeys(types(), "auto")},
    "one account": {"remediations": {"*:EC2/*": "auto"}, "account_remediations": exceptions(1)},
    "200 accounts": {
        "remediations": {"*:EC2/*": "auto"},
        "account_remediations": exceptions(ACCOUNTS),
    },
}


def _processor() -> float:
    """Return the processor time of everything that was started here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Plans:
    """Plans of the module with given switches: seconds, and the resources it would make."""

    def __init__(self, scratch: Path, endpoint: str) -> None:
        self.scratch, self.endpoint = scratch, endpoint
        self.root = scratch / "root"
        terraform_tools.copy_module(self.root / "module")
        (self.root / "main.tf").write_text(ROOT_MODULE)
        terraform_tools.initialized(self.root, scratch)

    def _run(self, *arguments: str) -> str:
        done = terraform_tools.terraform(
            self.root, self.scratch, *arguments, endpoint=self.endpoint, share_provider=False
        )
        if done.returncode:
            raise RuntimeError(f"terraform {arguments[0]} failed:\n{done.stdout[-3000:]}")
        return str(done.stdout)

    def seconds(self, case: str) -> float:
        (self.root / "case.tfvars.json").write_text(json.dumps(CASES[case]))
        start = _processor()
        self._run(
            "plan",
            "-input=false",
            "-no-color",
            "-refresh=false",
            "-var-file=case.tfvars.json",
            "-out=case.tfplan",
        )
        return _processor() - start

    def resources(self, case: str) -> int:
        self.seconds(case)
        changes = json.loads(self._run("show", "-json", "case.tfplan"))["resource_changes"]
        return sum(change["change"]["actions"] == ["create"] for change in changes)

    def slower(self, case: str, than: str, runs: int) -> tuple[float, float, float]:
        """Return best run of ``case`` / best run of ``than``, and both in seconds; run in turns."""
        taken: dict[str, list[float]] = {case: [], than: []}
        for _ in range(runs):
            for name, times in taken.items():
                times.append(self.seconds(name))
        first, second = min(taken[case]), min(taken[than])
        return first / second, first, second


def planning(runs: int = 5, resources_only: bool = False) -> list[Figure]:
    """Measure the plans; ``resources_only``: only how many resources they have."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        identity() as endpoint,
    ):
        plans = Plans(Path(directory), endpoint)
        counted = {
            case: plans.resources(case) for case in ("one type", "all types of its playbook")
        }
        more = counted["all types of its playbook"] - counted["one type"]
        figures = [
            Figure(
                "plan: resources, all types of one playbook / one type",
                more,
                "more",
                MORE_RESOURCES,
                f"{counted['one type']} with one",
            )
        ]
        if resources_only:
            return figures
        for case, than, limit in (
            ("all types of its playbook", "one type", SLOWER_ALL),
            ("all types", "one type of each playbook", SLOWER_ALL),
            ("200 accounts", "one account", SLOWER_ACCOUNTS),
        ):
            ratio, slow, fast = plans.slower(case, than, runs)
            figures.append(
                Figure(
                    f"plan: {case} / {than}",
                    ratio,
                    "×",
                    limit,
                    f"{slow:.2f} s / {fast:.2f} s, best of {runs} in turns",
                )
            )
    return figures


if __name__ == "__main__":
    measured = planning(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    print(table(measured))
    raise SystemExit(0 if all(figure.within_limit for figure in measured) else 1)
