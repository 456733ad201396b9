"""Cloud Custodian's function for the same finding: the policy of mode ``guard-duty`` that its
documentation gives for isolation, in the archive that it would deploy.
"""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from .lambda_process import Function, Json
from .measure import ROOT, environment

PYTHON = ROOT / ".venv-c7n" / "bin" / "python"
MEMBER_ROLE = "arn:aws:iam::{account_id}:role/custodian"
# Written in Custodian's own environment, by its own code.
_ARCHIVE = """
import json, sys
from c7n.config import Config
from c7n.loader import PolicyLoader
from c7n.mu import PolicyLambda
config = Config.empty(account_id="123456789012", region=sys.argv[1], output_dir="/tmp")
[policy] = PolicyLoader(config).load_data(json.load(sys.stdin), "memory://")
policy.validate()
archive = PolicyLambda(policy).get_archive()
sys.stdout.buffer.write(archive.get_bytes())
"""


def is_installed() -> bool:
    """Tell whether make bench has made its virtual environment."""
    return PYTHON.with_name("..").joinpath(".installed").resolve().is_file() and PYTHON.exists()


def policy(group: str) -> Json:
    """Return the policies file: every interface of the instance gets ``group`` alone."""
    isolate = {"type": "modify-security-groups", "remove": "all", "isolation-group": group}
    mode = {
        "type": "guard-duty",
        "role": "arn:aws:iam::123456789012:role/custodian",
        "member-role": MEMBER_ROLE,
    }
    named = {"name": "isolate-instance", "resource": "ec2", "mode": mode, "actions": [isolate]}
    return {"policies": [named]}


def function(folder: Path, group: str, region: str, variables: Mapping[str, str]) -> Function:
    """Unpack the archive into ``folder`` and return its function.

    Raises CalledProcessError when Custodian refuses the policy.
    """
    made = subprocess.run(
        [str(PYTHON), "-c", _ARCHIVE, region],
        input=json.dumps(policy(group)).encode(),
        env=environment(),
        check=True,
        stdout=subprocess.PIPE,
    )
    packed = folder / "archive.zip"
    packed.write_bytes(made.stdout)
    code = folder / "code"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(code)
    return Function(code, "custodian_policy.run", variables, python=str(PYTHON))
