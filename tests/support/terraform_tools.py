"""Run Terraform in tests: the provider from disk when it is there, no account, nothing written into
the checkout.

Plans need one AWS call, sts:GetCallerIdentity, which ``identity_server`` answers; a plan that made
another would fail.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import playbook_variables
from sandbox.terraform import find_mirror
from tests.support.repository import ROOT, skip_or_fail
from tests.support.scp_plan import QUARANTINE_SCP
from tests.support.shared_provider import SharedProvider

Json = dict[str, Any]
ACCOUNT = "111111111111"
_DOWNLOADED = ROOT / ".cache" / "terraform-plugins"
NOWHERE = "http://127.0.0.1:9"  # nobody listens there
# What the root of sandbox/terraform has no default for.
FIXED = {
    "security_account_id": ACCOUNT,
    "member_account_id": "222222222222",
    "second_member_account_id": "333333333333",
    "region": "us-east-1",
    "second_region": "eu-west-1",
}
PARTS = (
    "catalogue",
    "examples",
    "modules",
    "playbooks",
    "schema",
    "lambda_src/dist",
    "sandbox/terraform",
    "tests/terraform",
)


class PlanError(RuntimeError):
    """Terraform made no plan; the text is what it printed."""


def _aws_environment(endpoint: str) -> dict[str, str]:
    """Return this shell's environment without its AWS and Terraform settings, for ``endpoint``."""
    rest = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))
    }
    return {
        **rest,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def _alone(command: str) -> Iterator[None]:
    """Let one ``terraform init`` at a time fill the directory of downloads: it keeps no lock."""
    if command != "init" or not _DOWNLOADED.is_dir():
        yield
        return
    with (_DOWNLOADED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@functools.cache
def _installation() -> str:
    """Return Terraform's setting that takes the provider from disk: from a mirror when there is
    one, else from where the first download of it is kept.
    """
    mirror = find_mirror()  # looks through directories, so only once
    if mirror is None:
        _DOWNLOADED.mkdir(parents=True, exist_ok=True)
        return (
            f'plugin_cache_dir = "{_DOWNLOADED}"\n'
            "plugin_cache_may_break_dependency_lock_file = true\n"
        )
    return (
        f'provider_installation {{\n filesystem_mirror {{\n path = "{mirror}"\n'
        ' include = ["hashicorp/aws"]\n }\n direct {\n exclude = ["hashicorp/aws"]\n }\n}\n'
    )


def environment(scratch: Path, endpoint: str = NOWHERE) -> dict[str, str]:
    """Return the environment of a terraform process: nothing of this shell's AWS or Terraform
    settings, every call to ``endpoint``.
    """
    settings_file = scratch / "terraform.rc"
    settings_file.write_text(_installation())
    return {
        **_aws_environment(endpoint),
        "TF_CLI_CONFIG_FILE": str(settings_file),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }


def copy_module(target: Path) -> Path:
    """The module's files in a directory of their own, so that no .terraform lands in the
    checkout.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, target)
    for part in PARTS:
        ignored = shutil.ignore_patterns(
            ".terraform", ".terraform.lock.hcl", "*.tfstate*", "__pycache__"
        )
        shutil.copytree(ROOT / part, target / part, dirs_exist_ok=True, ignore=ignored)
    playbook_variables.write(target / "sandbox" / "terraform", target)
    return target


_providers: dict[str, SharedProvider] = {}  # by endpoint
_initialized: list[Path] = []  # where ``terraform init`` has installed the provider
_PROVIDERS, _LOCK = Path(".terraform", "providers"), ".terraform.lock.hcl"
# To ``terraform init``, a provider that runs already needs no installation; it is not called.
_INSTALLED = json.dumps(
    {
        "registry.terraform.io/hashicorp/aws": {
            "Protocol": "grpc",
            "ProtocolVersion": 5,
            "Pid": 1,
            "Test": True,
            "Addr": {"Network": "unix", "String": "/nowhere"},
        }
    }
)


def _shared_provider(endpoint: str) -> SharedProvider:
    return _providers.setdefault(endpoint, SharedProvider(_aws_environment(endpoint)))


def end_shared_provider(endpoint: str) -> None:
    """End the provider process of an endpoint that is no more, if there is one."""
    provider = _providers.pop(endpoint, None)
    if provider is not None:
        provider.stop()


def _provider_blocks(directory: Path) -> int:
    """Count the provider blocks of a root module."""
    found = 0
    for file in directory.glob("*.tf"):
        found += len(re.findall(r'^provider "aws"', file.read_text(), flags=re.MULTILINE))
    for file in directory.glob("*.tf.json"):
        blocks = json.loads(file.read_text()).get("provider", {}).get("aws", [])
        found += len(blocks) if isinstance(blocks, list) else 1
    return found


def _may_share(directory: Path, command: str) -> bool:
    """Whether a command gives the same with the shared provider as with several of its own.

    ``terraform test`` mocks the provider, ``show`` and ``validate`` ask for its schema alone. The
    plan configures it: the last of several provider blocks would decide for all. ``apply`` reads
    files (a function's zip) by paths that start from the directory Terraform runs in.
    """
    if command in ("test", "show", "validate"):
        return True
    return command == "plan" and _provider_blocks(directory) <= 1


def terraform(
    directory: Path,
    scratch: Path,
    *arguments: str,
    endpoint: str = NOWHERE,
    share_provider: bool = True,
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command there; the completed process, its output as text.

    Where it makes no difference, Terraform uses the one provider process that this process has
    for ``endpoint``: commands of one endpoint must follow each other then. Where time is measured,
    ``share_provider=False`` lets it start its own, as a user's does. ``more``: further environment
    variables.
    """
    if shutil.which("terraform") is None:
        skip_or_fail("Terraform is not on the PATH. Install Terraform 1.9 or newer.")
    variables = {**environment(scratch, endpoint), **(more or {})}
    if share_provider and _may_share(directory, arguments[0]):
        variables |= _shared_provider(endpoint).reattach(directory)
    with _alone(arguments[0]):
        return subprocess.run(
            ["terraform", *arguments],
            cwd=directory,
            env=variables,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def plan_of(
    directory: Path, scratch: Path, *arguments: str, endpoint: str = NOWHERE
) -> dict[str, Any]:
    """Plan an initialized directory, as ``terraform show -json`` prints it.

    PlanError has Terraform's message when there is no plan.
    """
    file = "made.tfplan"
    done = terraform(
        directory,
        scratch,
        "plan",
        "-input=false",
        "-no-color",
        f"-out={file}",
        *arguments,
        endpoint=endpoint,
    )
    if done.returncode:
        raise PlanError(done.stdout)
    shown = terraform(directory, scratch, "show", "-json", file, endpoint=endpoint)
    if shown.returncode:
        raise PlanError(shown.stdout)
    found: dict[str, Any] = json.loads(shown.stdout[shown.stdout.index("{") :])
    return found


def init(
    directory: Path, scratch: Path, *arguments: str, endpoint: str = NOWHERE
) -> subprocess.CompletedProcess[str]:
    """``terraform init`` there.

    Most of its time goes into the sum over the provider, which has 700 MB. So it installs the
    provider once for a test process; later ones get the link to it, and the lock file with the sum.
    """
    command = ("init", "-input=false", "-no-color", *arguments)
    first = next((known for known in _initialized if (known / _PROVIDERS).is_dir()), None)
    if first is None:
        done = terraform(directory, scratch, *command, endpoint=endpoint)
        if done.returncode == 0 and (directory / _PROVIDERS).is_dir():
            _initialized.append(directory)
        return done
    done = terraform(
        directory,
        scratch,
        *command,
        endpoint=endpoint,
        more={"TF_REATTACH_PROVIDERS": _INSTALLED},
    )
    if done.returncode == 0 and not (directory / _PROVIDERS).exists():
        shutil.copytree(first / _PROVIDERS, directory / _PROVIDERS, symlinks=True)
        shutil.copy(first / _LOCK, directory / _LOCK)
    return done


def initialized(directory: Path, scratch: Path, *more: str) -> Path:
    """``terraform init`` there. Where the provider cannot be had, the test is skipped (fails in
    CI).
    """
    done = init(directory, scratch, "-backend=false", *more)
    if done.returncode:
        skip_or_fail(
            "terraform init failed (the AWS provider could not be"
            f" installed?):\n{done.stdout[-2000:]}"
        )
    return directory


_INCIDENT = "module.security.module.incident[0]"


class Plan:
    """One plan of the module and of modules/responder-role (root: sandbox/terraform)."""

    def __init__(self, shown: Any) -> None:
        self.shown = shown
        self.resources: dict[str, Json] = {
            resource["address"]: resource
            for resource in _resources(shown["planned_values"]["root_module"])
            if resource["mode"] == "managed"
        }
        self.outputs: Json = {
            name: output.get("value") for name, output in shown["planned_values"]["outputs"].items()
        }

    def values(self, address: str) -> Json:
        """A resource's planned attributes (those known before apply)."""
        found: Json = self.resources[address]["values"]
        return found

    def of_type(self, kind: str) -> dict[str, Json]:
        """Address -> planned attributes, of every resource of a type."""
        return {
            address: resource["values"]
            for address, resource in self.resources.items()
            if resource["type"] == kind
        }

    @property
    def policy(self) -> dict[str, Json]:
        """effective_policy."""
        found: dict[str, Json] = self.outputs["effective_policy"]
        return found

    @property
    def document(self) -> str:
        """The config document, as the table will hold it."""
        return str(self.values(f"{_INCIDENT}.terraform_data.config")["triggers_replace"])

    @property
    def patterns(self) -> dict[str, str]:
        """Rule -> event pattern: notice, changes, changes-2, act, act[1], …; all but notice are
        missing when nothing acts.
        """
        prefix = f"{_INCIDENT}.aws_cloudwatch_event_rule."
        return {
            re.sub(r"\[0]$", "", address.removeprefix(prefix)).replace(
                "changes[1]", "changes-2"
            ): rule["event_pattern"]
            for address, rule in self.of_type("aws_cloudwatch_event_rule").items()
            if address.startswith((f"{prefix}act[", f"{prefix}changes[", f"{prefix}notice"))
        }

    def acts(self, matches: Callable[[str], bool]) -> bool:
        """Whether an event reaches the state machine that acts, through a rule whose pattern
        ``matches``. Fails when several rules take it: each would start an execution.
        """
        rules = [
            name
            for name, pattern in self.patterns.items()
            if name.startswith("act") and matches(pattern)
        ]
        assert len(rules) <= 1, rules
        return bool(rules)


def _resources(module: Json) -> list[Json]:
    found = list(module.get("resources", []))
    for child in module.get("child_modules", []):
        found += _resources(child)
    return found


class Planner:
    """Plans with given variables; the same ones only once."""

    def __init__(self, scratch: Path, endpoint: str) -> None:
        self.scratch = scratch
        self.root = copy_module(scratch / "module") / "sandbox" / "terraform"
        # member B and the second Region: more providers to start, nothing these tests look at
        (self.root / "elsewhere.tf").unlink()
        # Single outputs: Terraform shows a whole module's as unknown while any of them is.
        shown = {
            "security": ("effective_policy", "for_member_accounts", "for_member_accounts_json"),
            "member": ("policies", "trust_policies"),
        }
        (self.root / "shown.tf").write_text(
            "".join(
                f'output "{name}" {{\n  value = module.{module}.{name}\n}}\n'
                for module, names in shown.items()
                for name in names
            )
        )
        # Of the management account, planned beside the others: the policies that keep a quarantine.
        (self.root / "scp.tf").write_text(QUARANTINE_SCP)
        initialized(self.root, scratch)
        self._endpoint = endpoint
        self._known: dict[str, Plan] = {}

    def key(self, variables: Mapping[str, Any]) -> str:
        """Return what a plan with these variables is known by: them all, as JSON."""
        return json.dumps({**FIXED, **variables}, sort_keys=True)

    def __call__(self, **variables: Any) -> Plan:
        text = self.key(variables)
        if text not in self._known:
            file = self.scratch / f"{len(self._known)}.tfvars.json"
            file.write_text(text)
            shown = plan_of(
                self.root,
                self.scratch,
                "-refresh=false",
                f"-var-file={file}",
                endpoint=self._endpoint,
            )
            self._known[text] = Plan(shown)
        return self._known[text]
