"""Plans the module and the responder role in one account, which takes half the time."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.terraform_tools import (
    FIXED,
    Json,
    Plan,
    Planner,
    initialized,
    plan_of,
    terraform,
)


class OneAccountPlanner(Planner):
    """Plans the member's roles in the security account: their policies name that account,
    everything else is the same. With a single provider block, the shared provider process serves
    the plan.
    """

    def __init__(self, scratch: Path, endpoint: str) -> None:
        super().__init__(scratch, endpoint)
        providers, main = self.root / "providers.tf", self.root / "main.tf"
        head, block, _ = providers.read_text().split("provider ")[:3]
        providers.write_text(f"{head}provider {block}")
        main.write_text(main.read_text().replace("  providers = { aws = aws.member }\n", ""))
        self._several: Path | None = None

    def prepare(self, *cases: Mapping[str, Any]) -> None:
        """Plans several sets of variables in one run of Terraform, for the calls that follow.

        Reading the provider's schema takes longer than planning a module. Raises PlanError when
        one of them cannot be planned.
        """
        unknown = {self.key(case): case for case in cases if self.key(case) not in self._known}
        if not unknown:
            return
        names = {f"case{number}": key for number, key in enumerate(unknown)}
        root = self._root_of_several({name: json.loads(key) for name, key in names.items()})
        shown = plan_of(root, self.scratch, "-refresh=false", endpoint=self._endpoint)
        for name, key in names.items():
            self._known[key] = Plan(_alone(shown["planned_values"], name))

    def _root_of_several(self, cases: dict[str, Json]) -> Path:
        """Returns an initialized root module that calls the sandbox's once for each case."""
        several = self.root.with_name("several")
        if self._several is None:
            shutil.copytree(self.root, several / "case", ignore=shutil.ignore_patterns(".*"))
            (several / "case" / "providers.tf").rename(several / "providers.tf")
            for name in ("variables.tf", "playbooks.tf.json"):
                shutil.copy(self.root / name, several)
            (several / "fixed.auto.tfvars.json").write_text(json.dumps(FIXED))
            for file in (several / "case").glob("*.tf"):
                file.write_text(file.read_text().replace('"../../', '"../../../'))
        outputs = re.findall(r'^output "(\w+)"', (self.root / "shown.tf").read_text(), re.M)
        text = {
            "module": {
                name: {"source": "./case", **_literal(variables)}
                for name, variables in cases.items()
            },
            "output": {
                f"{name}-{output}": {"value": f"${{module.{name}.{output}}}"}
                for name in cases
                for output in [*outputs, "scp", "scp_ec2"]
            },
        }
        (several / "main.tf.json").write_text(json.dumps(text))
        if self._several is None:
            self._several = initialized(several, self.scratch)
        else:
            terraform(several, self.scratch, "get")
        return self._several


def _literal(value: Any) -> Any:
    """Returns a value as it is written in a JSON configuration: no text in it is a template."""
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    if isinstance(value, dict):
        return {_literal(key): _literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return value


def _alone(planned: Json, name: str) -> Json:
    """Returns of several cases' plan what the plan of one alone would be."""
    [module] = [
        child
        for child in planned["root_module"]["child_modules"]
        if child["address"] == f"module.{name}"
    ]
    outputs = {
        label.removeprefix(f"{name}-"): output
        for label, output in planned["outputs"].items()
        if label.startswith(f"{name}-")
    }
    root = json.loads(json.dumps(module).replace(f'"module.{name}.', '"'))
    return {"planned_values": {"root_module": root, "outputs": outputs}}
