"""The README's Terraform is planned as it stands, with this checkout in place of the published
address.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.support.identity_server import identity
from tests.support.repository import ROOT
from tests.support.terraform_tools import ACCOUNT, copy_module, initialized, terraform

pytestmark = pytest.mark.terraform
PUBLISHED = re.compile(
    r'source\s*=\s*"github\.com/[\w-]+/terraform-aws-guardduty-response(?:/(/[\w/'
    r'-]+))?(?:\?ref=[\w.]+)?"'
)
PROVIDER = """
provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""


def _blocks(document: Path) -> list[str]:
    return re.findall(
        r"```hcl\n(.*?)```",
        document.read_text(),
        flags=re.DOTALL,
    )


BLOCKS = [
    pytest.param(block, id=f"{document.relative_to(ROOT)} {number}")
    for pattern in ("*.md", "docs/*.md", "modules/*/*.md", "playbooks/*/*.md", "examples/**/*.md")
    for document in sorted(ROOT.glob(pattern))
    for number, block in enumerate(_blocks(document), 1)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory beside a copy of the module."""
    home = tmp_path_factory.mktemp("readme")
    copy_module(home / "module")
    return home


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("block", BLOCKS)
def test_example_plans(place: Path, block: str) -> None:
    root = place / "example"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    text = PUBLISHED.sub(lambda found: f'source = "../module{found.group(1) or ""}"', block)
    assert 'source = "../module' in text, "the example uses this module"
    (root / "main.tf").write_text(PROVIDER + text)
    # What the security account gives (tests/terraform/members.tftest.hcl)
    shutil.copy(ROOT / "examples" / "stackset" / "for_member_accounts.json", root)
    initialized(root, place)
    with identity() as endpoint:
        done = terraform(
            root, place, "plan", "-input=false", "-no-color", "-refresh=false", endpoint=endpoint
        )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy", done.stdout)
    assert ACCOUNT in done.stdout
