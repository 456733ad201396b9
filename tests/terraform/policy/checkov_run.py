"""checkov, from its own virtual environment; its report as it writes it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.repository import ROOT, skip_or_fail

# A module that is called for each of several keys is looked at once, not once for each key: checkov
# takes half the time then, and what it finds is the same.
_EACH_MODULE_ONCE = {"CHECKOV_ENABLE_MODULES_FOREACH_HANDLING": "False"}
CHECKOV = ROOT / ".venv-checkov" / "bin" / "checkov"


def checkov(directory: Path, out: Path, *options: str | Path) -> dict[str, Any]:
    """Run it in ``directory``. {"summary": {}, "results": {}} where it found nothing to look at."""
    if not CHECKOV.is_file():
        skip_or_fail("checkov is not installed (make checkov installs it into .venv-checkov).")
    done = subprocess.run(
        [CHECKOV, *options, "--output", "json", "--output-file-path", out],
        cwd=directory,
        env={**os.environ, **_EACH_MODULE_ONCE},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    files = list(out.glob("*.json"))
    assert files, f"checkov wrote no report: {done.stdout[-1000:]} {done.stderr[-2000:]}"
    found = json.loads(files[0].read_text())
    return found if isinstance(found, dict) else {"summary": {}, "results": {}}
