"""Run Terraform against the sandbox, in a directory of its own, with the provider from disk when
there is one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import playbook_variables, settings
from .settings import SandboxError
from .stack import Say
from .terraform_progress import TerraformProgress

_PROVIDER = Path("registry.terraform.io") / "hashicorp" / "aws"
# Where provider mirrors usually lie, before the whole of the upper directory levels is looked
# through.
_LIKELY = (
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
)
_SKIPPED = {"proc", "sys", "dev", "run", "tmp", "snap", "node_modules", "site-packages"}
_DEPTH = 3
_ELSEWHERE = "elsewhere.tf"
_DETECTION = re.compile(
    r"\.aws_guardduty_(detector|detector_feature|organization_configuration|member"
    r"|member_detector_feature)\.this\b"
)


def _walk(root: Path, depth: int) -> Iterator[Path]:
    """Directories below ``root`` to a depth, without links, hidden directories and system trees."""
    yield root
    if depth == 0:
        return
    try:
        with os.scandir(root) as entries:
            below = [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for directory in sorted(below):
        if not directory.name.startswith(".") and directory.name not in _SKIPPED:
            yield from _walk(directory, depth - 1)


def find_mirror() -> Path | None:
    """Return an unpacked provider mirror on this machine that holds hashicorp/aws, or None.

    ``TF_PLUGIN_MIRROR`` names one; else the usual places and then the upper directory levels are
    looked through.
    """
    named = os.environ.get("TF_PLUGIN_MIRROR")
    candidates = ([Path(named)] if named else []) + [Path(name).expanduser() for name in _LIKELY]
    for directory in candidates:
        if (directory / _PROVIDER).is_dir():
            return directory
    return next(
        (directory for directory in _walk(Path("/"), _DEPTH) if (directory / _PROVIDER).is_dir()),
        None,
    )


def detection(state_list: str) -> list[str]:
    """Return the addresses that carry prevent_destroy, of what ``terraform state list`` prints.

    A destroy stops at them. Taken out of the state, they stay as they are (docs/off-boarding.md).
    """
    return [line for line in state_list.splitlines() if _DETECTION.search(line)]


class Terraform:
    """Terraform in ``.sandbox/terraform``: a copy of sandbox/terraform, its state and its logs."""

    def __init__(self, endpoint: str) -> None:
        self.directory = settings.STATE_DIRECTORY / "terraform"
        self._endpoint = endpoint
        self._binary = shutil.which("terraform")

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "TF_VAR_", "TF_CLI_ARGS")) and name != "TF_WORKSPACE"
        }
        return {
            # A short run collects garbage less often: a quarter of the processor's time
            "GOGC": "400",
            **kept,
            "AWS_ENDPOINT_URL": self._endpoint,
            # One attempt: the emulator does not throttle, and its refusals are final.
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TF_CLI_CONFIG_FILE": str(settings.STATE_DIRECTORY / "terraform.rc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def _write_configuration(self) -> None:
        mirror = find_mirror()
        lines = ["provider_installation {"]
        if mirror:
            lines += [
                "  filesystem_mirror {",
                f'    path    = "{mirror}"',
                '    include = ["hashicorp/aws"]',
                "  }",
            ]
            lines += ["  direct {", '    exclude = ["hashicorp/aws"]', "  }"]
        else:
            lines += ["  direct {}"]
        (settings.STATE_DIRECTORY / "terraform.rc").write_text("\n".join([*lines, "}", ""]))

    def _copy_root(self, elsewhere: bool) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        home = os.path.relpath(settings.ROOT, self.directory)
        for source in settings.TERRAFORM_ROOT.glob("*.tf"):
            if source.name == _ELSEWHERE and not elsewhere:
                continue  # what an earlier apply made of it stays
            text = source.read_text().replace('"../../', f'"{home}/')
            (self.directory / source.name).write_text(text)
        playbook_variables.write(self.directory, settings.ROOT)
        variables = {
            "security_account_id": settings.SECURITY_ACCOUNT,
            "member_account_id": settings.MEMBER_ACCOUNT,
            "second_member_account_id": settings.SECOND_MEMBER_ACCOUNT,
            "region": settings.REGION,
            "second_region": settings.SECOND_REGION,
            "organization_id": settings.ORGANIZATION_ID,
        }
        (self.directory / "sandbox.auto.tfvars.json").write_text(json.dumps(variables, indent=1))

    def _run(
        self, log: str, *arguments: str, say: Say | None = None, codes: tuple[int, ...] = (0,)
    ) -> int:
        """Run a command; its output goes to a log, its progress to ``say``. SandboxError quotes
        Terraform's error.
        """
        if self._binary is None:
            raise SandboxError("Terraform is not on the PATH. Install Terraform 1.9 or newer.")
        path = settings.STATE_DIRECTORY / "logs" / f"terraform-{log}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines: list[str] = []
        progress = TerraformProgress(say) if say else None
        with path.open("w") as target:
            process = subprocess.Popen(
                [self._binary, *arguments],
                cwd=self.directory,
                env=self._environment(),
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            try:
                for line in process.stdout or []:
                    target.write(line)
                    lines.append(line.rstrip())
                    if progress:
                        progress.read(line)
                code = process.wait()
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if code not in codes:
            raise SandboxError(
                f"terraform {arguments[0]} failed (log: {path}).\n{_error_of(lines)}"
            )
        return code

    def init(self, *, elsewhere: bool = True) -> None:
        """Copy the root and initialize it (about a second with a mirror). ``elsewhere``: with
        member B and the second Region.
        """
        self._write_configuration()
        self._copy_root(elsewhere)
        self._run("init", "init", "-input=false", "-no-color")

    def _var_files(self, files: list[Path]) -> list[str]:
        for file in files:
            if not file.is_file():
                raise SandboxError(f"There is no variable file {file}.")
        return [f"-var-file={file.resolve()}" for file in files]

    def apply(self, files: list[Path], say: Say) -> dict[str, Any]:
        """Apply; returns the outputs."""
        self._run(
            "apply",
            "apply",
            "-auto-approve",
            "-input=false",
            "-no-color",
            "-parallelism=30",
            *self._var_files(files),
            say=say,
        )
        return self.outputs()

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the last apply."""
        shown = subprocess.run(
            [str(self._binary), "output", "-json", "-no-color"],
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return {name: item["value"] for name, item in json.loads(shown.stdout).items()}

    def drift(self, files: list[Path]) -> list[dict[str, Any]]:
        """Return what a second plan would change: ``[{"address", "actions", "changed": [attribute,
        ...]}]``.
        """
        plan = "second.tfplan"
        self._run(
            "plan",
            "plan",
            "-input=false",
            "-no-color",
            "-parallelism=30",
            "-detailed-exitcode",
            f"-out={plan}",
            *self._var_files(files),
            codes=(0, 2),
        )
        shown = subprocess.run(
            [str(self._binary), "show", "-json", plan],
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        changes = []
        for resource in json.loads(shown.stdout).get("resource_changes", []):
            change = resource["change"]
            if change["actions"] in (["no-op"], ["read"]):
                continue
            before = change.get("before") or {}
            after = change.get("after") or {}
            changed = sorted(
                name for name in {*before, *after} if before.get(name) != after.get(name)
            )
            changes.append(
                {"address": resource["address"], "actions": change["actions"], "changed": changed}
            )
        return changes

    def _leave_detection(self) -> None:
        """Take GuardDuty's detectors and their settings out of the state."""
        listed = subprocess.run(
            [str(self._binary), "state", "list"],
            cwd=self.directory,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        if addresses := detection(listed.stdout):
            self._run("state-rm", "state", "rm", *addresses)

    def destroy(self, files: list[Path], say: Say) -> None:
        """Destroy everything but GuardDuty's detectors and their settings, which stay."""
        self._leave_detection()
        self._run(
            "destroy",
            "destroy",
            "-auto-approve",
            "-input=false",
            "-no-color",
            "-parallelism=30",
            *self._var_files(files),
            say=say,
        )

    def forget(self) -> None:
        """Remove the copied root, the state and the provider link."""
        shutil.rmtree(self.directory, ignore_errors=True)
        (settings.STATE_DIRECTORY / "terraform.rc").unlink(missing_ok=True)


def _error_of(lines: list[str]) -> str:
    """Terraform's error messages, without the drawing around them."""
    text = [re.sub(r"^[│╷╵]\s?", "", line) for line in lines]
    starts = [index for index, line in enumerate(text) if line.startswith("Error:")]
    if not starts:
        return "\n".join(text[-15:])
    return "\n".join(text[starts[0] :])[:6000]
