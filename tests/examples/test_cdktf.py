"""examples/cdktf runs on cdktf and on cdktn: the same Terraform JSON, which initializes,
validates and plans.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.identity_server import identity
from tests.support.repository import ROOT, skip_or_fail
from tests.support.terraform_tools import copy_module, initialized, terraform

pytestmark = pytest.mark.terraform
Json = dict[str, Any]
LIBRARIES = ("cdktf", "cdktn")
SECURITY, MEMBER = "111111111111", "222222222222"


def _synthesised(library: str, scratch: Path, module: Path) -> Json:
    python = ROOT / f".venv-{library}" / "bin" / "python"
    if shutil.which("node") is None:
        skip_or_fail("Node.js is not on the PATH: cdktf and cdktn need it.")
    if not python.is_file():
        skip_or_fail(f"{library} is not installed (make cdktf installs it into .venv-{library}).")
    work = scratch / library
    shutil.copytree(
        ROOT / "examples" / "cdktf",
        work,
        ignore=shutil.ignore_patterns("cdktf.out"),
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "CHECKPOINT_DISABLE": "1",
        "GUARDDUTY_RESPONSE_SOURCE": str(module),
        "SECURITY_ACCOUNT_ID": SECURITY,
        "MEMBER_ACCOUNT_ID": MEMBER,
        "AWS_REGION": "us-east-1",
    }
    done = subprocess.run(
        [python, "main.py"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Json = json.loads(
        (work / "cdktf.out" / "stacks" / "guardduty-response" / "cdk.tf.json").read_text()
    )
    return found


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_module(tmp_path_factory.mktemp("cdktf") / "module")


@pytest.fixture(scope="module", params=LIBRARIES)
def synthesised(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, module: Path
) -> Json:
    return _synthesised(
        request.param,
        tmp_path_factory.mktemp("synth"),
        module,
    )


def _without_metadata(stack: Json) -> Json:
    return {name: part for name, part in stack.items() if name != "//"}


def test_what_it_says(synthesised: Json, module: Path) -> None:
    response, member = (
        synthesised["module"]["guardduty_response"],
        synthesised["module"]["responder_role"],
    )
    assert response["source"] == str(module)
    assert response["remediations"]["CryptoCurrency:EC2/BitcoinTool.B!DNS"] == "auto"
    assert member["source"] == f"{module}//modules/responder-role"
    assert member["providers"] == {"aws": "aws.member"}
    assert member["for_member_accounts"] == "${module.guardduty_response.for_member_accounts}"
    assert [provider.get("alias") for provider in synthesised["provider"]["aws"]] == [
        None,
        "member",
    ]
    assert (
        synthesised["output"]["policy_summary"]["value"]
        == "${module.guardduty_response.policy_summary}"
    )


def test_both_say_the_same(tmp_path: Path, module: Path) -> None:
    first, second = (
        _without_metadata(_synthesised(library, tmp_path, module)) for library in LIBRARIES
    )
    # Where state is kept names the library's own file.
    backends = [json.dumps(stack["terraform"].pop("backend", None)) for stack in (first, second)]
    assert all("terraform.guardduty-response.tfstate" in backend for backend in backends), backends
    assert first == second


# The other says the same, as the test before shows.
@pytest.mark.parametrize("synthesised", LIBRARIES[:1], indirect=True)
def test_initializes_validates_and_plans(synthesised: Json, tmp_path: Path) -> None:
    stack = json.loads(json.dumps(synthesised))
    stack["terraform"].pop("backend", None)
    for provider in stack["provider"]["aws"]:
        account = MEMBER if provider.pop("assume_role", None) else SECURITY
        provider |= {"access_key": account, "secret_key": "test"}
        provider |= {"skip_credentials_validation": True, "skip_metadata_api_check": "true"}
    root = tmp_path / "stack"
    root.mkdir()
    (root / "cdk.tf.json").write_text(json.dumps(stack))
    initialized(root, tmp_path)
    validated = terraform(
        root,
        tmp_path,
        "validate",
        "-no-color",
    )
    assert validated.returncode == 0, validated.stdout[-3000:]
    with identity() as endpoint:
        done = terraform(
            root,
            tmp_path,
            "plan",
            "-input=false",
            "-no-color",
            "-out=made.tfplan",
            endpoint=endpoint,
        )
    assert done.returncode == 0, done.stdout[-4000:]
    shown = json.loads(terraform(root, tmp_path, "show", "-json", "made.tfplan").stdout)
    created = [
        change["address"]
        for change in shown["resource_changes"]
        if change["change"]["actions"] == ["create"]
    ]
    assert 'module.responder_role.aws_iam_role.member["responder/ec2_instance"]' in created
    assert (
        len([address for address in created if address.startswith("module.guardduty_response.")])
        > 40
    )
    policy = shown["planned_values"]["outputs"]["policy_summary"]["value"]
    assert policy["CryptoCurrency:EC2/BitcoinTool.B!DNS"].startswith("auto by ")
