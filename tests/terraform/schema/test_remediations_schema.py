"""schema/remediations.schema.json and Terraform say the same of a remediation_config_file,
accepted or refused.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.support.catalogue import manifests
from tests.support.repository import ROOT
from tests.support.terraform_tools import initialized, terraform

pytestmark = pytest.mark.terraform
SCHEMA = json.loads((ROOT / "schema" / "remediations.schema.json").read_text())
MINING = '"CryptoCurrency:EC2/*"'

GOOD = {
    "every mode": (
        f"remediations:\n  {MINING}: auto\n  Backdoor:EC2/*: approve\n  Trojan:EC2/*: dry_run\n "
        " '*:S3/*': notify\n  Recon:EC2/*: off\n"
    ),
    "off in quotes": f'remediations:\n  {MINING}: "off"\n',
    "exact type": 'remediations:\n  "CryptoCurrency:EC2/BitcoinTool.B!DNS": auto\n',
    "everything": 'remediations:\n  "*": notify\n',
    "accounts alone": f'account_remediations:\n  "012345678901":\n    {MINING}: off\n',
    "an account without keys": 'account_remediations:\n  "111122223333": {}\n',
    "empty maps": "remediations: {}\naccount_remediations: {}\n",
    "nothing below a key": "remediations:\naccount_remediations:\n",
    "no keys": "{}\n",
}
BAD = {
    "unknown top-level key": f"remediation:\n  {MINING}: auto\n",
    "unknown mode": f"remediations:\n  {MINING}: automatic\n",
    "mode in capitals": f"remediations:\n  {MINING}: AUTO\n",
    "true": f"remediations:\n  {MINING}: on\n",
    "number": f"remediations:\n  {MINING}: 7\n",
    "no mode": f"remediations:\n  {MINING}:\n",
    "map for a mode": f"remediations:\n  {MINING}: {{ mode: auto }}\n",
    "list": f"remediations:\n  - {MINING}\n",
    "account id of 11 digits": f'account_remediations:\n  "11112222333":\n    {MINING}: auto\n',
    "account alias": f"account_remediations:\n  production:\n    {MINING}: auto\n",
    "account without a map": 'account_remediations:\n  "111122223333": auto\n',
    "account with nothing": 'account_remediations:\n  "111122223333":\n',
    "**": 'remediations:\n  "CryptoCurrency:**": auto\n',
    "neither type nor glob": "remediations:\n  CryptoCurrency: auto\n",
    "not a map": "- remediations\n",
    "empty": "",
}
# Only the plan knows these: a schema that refused them would refuse extra_finding_types and valid
# globs with them.
PLAN_ALONE = {
    "misspelt type": 'remediations:\n  "CryptoCurency:EC2/BitcoinTool.B": auto\n',
    "glob that matches nothing": 'remediations:\n  "CryptoCurency:EC2/*": auto\n',
    "tie": 'remediations:\n  "CryptoCurrency:EC*": auto\n  "*yptoCurrency:EC2/*": notify\n',
}


def accepted(text: str) -> bool:
    """By the schema, as an editor sees the document: keys are text."""
    document = yaml.safe_load(text)
    return bool(Draft202012Validator(SCHEMA).is_valid(json.loads(json.dumps(document))))


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The plan of the module's own policy files alone, with a given file: no provider, no
    account.
    """
    root = tmp_path_factory.mktemp("policy")
    variables = [f"variables-{name.replace('_', '-')}.tf" for name in manifests()]
    for name in (
        "playbooks.tf",
        "policy.tf",
        "variables-policy.tf",
        "variables-guardrails.tf",
        *variables,
    ):
        shutil.copy(ROOT / name, root)
    checks, found, _ = (
        (ROOT / "policy-checks.tf").read_text().partition("# Whoever applies this module")
    )
    assert found, "the part that asks who is calling is left out here"
    (root / "policy-checks.tf").write_text(checks)
    output = re.search(
        r'output "effective_policy" \{.*?\n\}\n', (ROOT / "outputs.tf").read_text(), flags=re.DOTALL
    )
    assert output
    (root / "outputs.tf").write_text(output.group())
    for part in ("catalogue", "modules/playbook-options", "modules/typed-options", "playbooks"):
        shutil.copytree(ROOT / part, root / part)
    initialized(root, root)

    def plan(text: str, *more: str) -> Any:
        (root / "switches.yaml").write_text(text)
        return terraform(
            root,
            root,
            "plan",
            "-input=false",
            "-no-color",
            "-var",
            "remediation_config_file=switches.yaml",
            *more,
        )

    return plan


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_known_types_are_the_catalogues() -> None:
    assert SCHEMA["$defs"]["known"]["enum"] == sorted(
        json.loads((ROOT / "catalogue" / "finding_types.json").read_text())
    )


@pytest.mark.parametrize("name", GOOD)
def test_both_accept(planned: Callable[[str], Any], name: str) -> None:
    assert accepted(GOOD[name])
    done = planned(GOOD[name])
    assert done.returncode == 0, done.stdout[-1500:]


@pytest.mark.parametrize("name", BAD)
def test_both_refuse(planned: Callable[[str], Any], name: str) -> None:
    assert not accepted(BAD[name])
    assert planned(BAD[name]).returncode == 1


@pytest.mark.parametrize("name", PLAN_ALONE)
def test_what_the_plan_alone_refuses(planned: Callable[[str], Any], name: str) -> None:
    assert accepted(PLAN_ALONE[name])
    assert planned(PLAN_ALONE[name]).returncode == 1


def test_types_of_custom_rules_can_act_on_the_credential(planned: Callable[..., Any]) -> None:
    """Nobody knows their resource: what the finding names decides, and the plan says so."""
    kinds = ("Persistence:IAM/AccountManipulation", "Persistence:Quantum/SyntheticTechnique")
    keys = "".join(f'  "{kind}": approve\n' for kind in (*kinds, "Impact:S3/DataDestruction"))
    done = planned(
        f"remediations:\n{keys}",
        "-var",
        f'extra_finding_types=["{kinds[1]}"]',
    )
    shown = re.sub(
        r"\s+",
        " ",
        done.stdout,
    )
    assert done.returncode == 0
    for kind in kinds:
        said = shown.partition(f'"{kind}" = {{')[2].partition("scope")[0]
        assert 'mode = "approve"' in said and 'playbook = "iam_principal"' in said, said
        assert "Acts where the finding names a resource that iam_principal answers" in said
    of_a_bucket = shown.partition('"Impact:S3/DataDestruction" = {')[2].partition("scope")[0]
    assert "no playbook answers this type yet" in of_a_bucket


def test_files_of_the_examples(planned: Callable[[str], Any]) -> None:
    """Each names the schema, by a path that is right, and both accept it."""
    files = [
        path for path in (ROOT / "examples").rglob("*.y*ml") if "remediations:" in path.read_text()
    ]
    assert files
    for path in files:
        text = path.read_text()
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
        assert (
            named
            and (path.parent / named.group(1)).resolve()
            == ROOT / "schema" / "remediations.schema.json"
        ), path
        assert accepted(text)
        assert planned(text).returncode == 0


def test_catalogue_keys_pass_the_shapes_alone() -> None:
    """Also a type that the catalogue does not have yet, and every glob over one."""
    shapes = [
        re.compile(form["pattern"]) for form in SCHEMA["$defs"]["key"]["anyOf"] if "pattern" in form
    ]
    for name in SCHEMA["$defs"]["known"]["enum"]:
        assert shapes[0].search(name), name
        assert shapes[1].search(f"{name[:-2]}*"), name
