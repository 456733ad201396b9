"""An example as its user runs it, with the sandbox's credentials in its providers: planned,
applied twice, destroyed.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import settings, stack
from sandbox.clients import Aws
from sandbox.terraform import detection
from tests.examples.example_table import EMULATOR_DRIFT, SECURITY, Example
from tests.support.repository import ROOT
from tests.support.terraform_tools import copy_module, end_shared_provider, init, terraform

Json = dict[str, Any]
_STARTING = threading.Lock()
_BLOCK = re.compile(r'^provider "aws" \{', flags=re.MULTILINE)


# -- a copy that speaks to the local AWS -----------------------------------------------------------
def copied(example: Example, scratch: Path, variables: Json) -> Path:
    """The example in a copy of the module: its provider blocks with 12-digit access keys, its
    state on disk.
    """
    root = (
        copy_module(scratch / "module")
        / "examples"
        / example.directory.relative_to(ROOT / "examples")
    )
    blocks = []
    for path in root.glob("*.tf"):
        kept, found = _without_providers(path.read_text())
        path.write_text(kept)
        blocks += found
    (root / "local_providers.tf").write_text(
        "\n".join(_local(block, example) for block in blocks or [""])
    )
    (root / "local_override.tf").write_text(
        'terraform {\n  backend "local" {}\n}\n' + _to_be_destroyed(root)
    )
    (root / "local.auto.tfvars.json").write_text(
        json.dumps({**example.needs.variables, **variables})
    )
    return root


def _to_be_destroyed(root: Path) -> str:
    """What somebody applies before a destroy (docs/off-boarding.md), for the module's own block."""
    text = "".join(path.read_text() for path in root.glob("*.tf"))
    names = re.findall(
        r'^module "(\w+)" \{\n\s+source\s+= "../.."$',
        text,
        flags=re.MULTILINE,
    )
    return "".join(f'module "{name}" {{\n  deletion_protection = false\n}}\n' for name in names)


def _without_providers(text: str) -> tuple[str, list[str]]:
    """The text without its provider blocks, and what stood in each."""
    found = []
    while match := _BLOCK.search(text):
        # terraform fmt: the closing brace of a top-level block stands alone
        end = text.index("\n}", match.end() - 1)
        found.append(text[match.end() : end])
        text = text[: match.start()] + text[end + 2 :]
    return text, found


def _local(body: str, example: Example) -> str:
    """A provider block with a root user's key instead of a profile or a role to assume."""
    alias = next(iter(re.findall(r'^\s*alias\s*=\s*"([^"]+)"', body, flags=re.MULTILINE)), "")
    if "assume_role" in body and alias not in example.needs.accounts:
        raise LookupError(
            f'{example.name}: whose account is provider "{alias}"? Name it in accounts, in'
            " example_table.py."
        )
    account = example.needs.accounts.get(alias, SECURITY)
    body = re.sub(
        r"^\s*profile\s*=.*$",
        "",
        body,
        flags=re.MULTILINE,
    )
    body = re.sub(
        r"^\s*assume_role(_with_web_identity)? \{.*?^\s*\}$",
        "",
        body,
        flags=re.MULTILINE | re.DOTALL,
    )
    key = f'"{account}"' if account.isdigit() else account
    return (
        f'provider "aws" {{{body}\n  access_key = {key}\n  secret_key = "test"\n '
        " skip_credentials_validation = true\n  skip_metadata_api_check = true\n "
        " s3_use_path_style = true\n}\n"
    )


class Root:
    """Terraform in a copied example."""

    def __init__(self, example: Example, scratch: Path, endpoint: str, **variables: Any) -> None:
        self.example, self.scratch, self.endpoint = example, scratch, endpoint
        self.directory = copied(
            example,
            scratch,
            variables,
        )
        done = init(
            self.directory,
            scratch,
            endpoint=endpoint,
        )
        assert done.returncode == 0, f"terraform init of {example.id}:\n{done.stdout[-5000:]}"

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """One command's output; AssertionError with its end when it fails."""
        done = terraform(self.directory, self.scratch, *arguments, endpoint=self.endpoint)
        assert done.returncode in codes, (
            f"terraform {arguments[0]} of {self.example.id}:\n{done.stdout[-5000:]}"
        )
        return str(done.stdout)

    def _files(self) -> list[str]:
        file = self.example.var_file
        return (
            [f"-var-file={self.directory / file.relative_to(self.example.directory)}"]
            if file
            else []
        )

    def plan(self) -> Json:
        """The plan, as terraform show -json prints it."""
        self.run(
            "plan",
            "-input=false",
            "-no-color",
            "-parallelism=15",
            "-out=made.tfplan",
            *self._files(),
        )
        found: Json = json.loads(self.run("show", "-json", "made.tfplan"))
        return found

    def apply(self, more: Json | None = None) -> None:
        self._change("apply", more)

    def destroy(self, more: Json | None = None) -> None:
        """Destroy, and leave GuardDuty on: what the examples' READMEs say."""
        if addresses := detection(self.run("state", "list")):
            self.run("state", "rm", *addresses)
        self._change("destroy", more)

    def _change(self, command: str, more: Json | None) -> None:
        file = self.scratch / "more.tfvars.json"
        file.write_text(json.dumps(more or {}))
        self.run(
            command,
            "-auto-approve",
            "-input=false",
            "-no-color",
            "-parallelism=15",
            *self._files(),
            f"-var-file={file}",
        )

    def resources(self) -> list[str]:
        return [
            line
            for line in self.run("state", "list").splitlines()
            if not re.search(r"(^|\.)data\.", line)
        ]


def changes(shown: Json) -> list[Json]:
    """What a plan would change, without what the emulators alone make differ."""
    found = []
    for resource in shown.get("resource_changes", []):
        change = resource["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        before, after = change.get("before") or {}, change.get("after") or {}
        differ = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        if change["actions"] != ["update"] or not differ <= EMULATOR_DRIFT.get(
            resource["address"], set()
        ):
            found.append(
                {
                    "address": resource["address"],
                    "actions": change["actions"],
                    "changed": sorted(differ),
                }
            )
    for name, change in shown.get("output_changes", {}).items():
        if change["actions"] != ["no-op"]:
            found.append({"address": f"output.{name}", "actions": change["actions"], "changed": []})
    return found


# -- a local AWS of its own ------------------------------------------------------------------------
@contextmanager
def emulators(scratch: Path) -> Iterator[Aws]:
    """A local AWS for this alone. Several may run at the same time: only starting and stopping
    is one by one.
    """

    def within(work: Any) -> Any:
        with _STARTING:
            before, settings.STATE_DIRECTORY = settings.STATE_DIRECTORY, scratch / "sandbox"
            try:
                return work()
            finally:
                settings.STATE_DIRECTORY = before

    known = within(stack.start)
    try:
        yield Aws(known.endpoint)
    finally:
        end_shared_provider(known.endpoint)
        within(lambda: stack.stop(known))


# service => (operation, where the list is, the name in it); what the module and its examples make
LISTED = {
    "dynamodb": ("list_tables", "TableNames", ""),
    "events": ("list_rules", "Rules", "Name"),
    "guardduty": ("list_detectors", "DetectorIds", ""),
    "iam": ("list_roles", "Roles", "RoleName"),
    "kms": ("list_aliases", "Aliases", "AliasName"),
    "lambda": ("list_functions", "Functions", "FunctionName"),
    "logs": ("describe_log_groups", "logGroups", "logGroupName"),
    "s3": ("list_buckets", "Buckets", "Name"),
    "sns": ("list_topics", "Topics", "TopicArn"),
    "sqs": ("list_queues", "QueueUrls", ""),
    "ssm": ("list_documents", "DocumentIdentifiers", "Name"),
    "stepfunctions": ("list_state_machines", "stateMachines", "name"),
}


FILTERS: dict[str, Json] = {
    "ssm": {"Filters": [{"Key": "Owner", "Values": ["Self"]}]},
}


def inventory(aws: Aws, accounts: set[str], regions: set[str]) -> set[str]:
    """What exists: "account region service name"."""
    found = set()
    for account in accounts:
        for region in regions:
            for service, (operation, where, name) in LISTED.items():
                more = FILTERS.get(service, {})
                listed = getattr(Aws(aws.endpoint, region).client(service, account), operation)(
                    **more
                ).get(where, [])
                found |= {
                    f"{account} {region} {service} {listed_item[name] if name else listed_item}"
                    for listed_item in listed
                }
    return {
        listed_item
        for listed_item in found
        if " kms alias/aws/" not in listed_item and "/aws-service-role/" not in listed_item
    }


def detectors(aws: Aws, accounts: set[str], regions: set[str]) -> dict[str, Json]:
    """ "account region" => its detector, as GuardDuty describes it."""
    found = {}
    for account in accounts:
        for region in regions:
            guardduty = Aws(aws.endpoint, region).client("guardduty", account)
            for detector in guardduty.list_detectors()["DetectorIds"]:
                answer = guardduty.get_detector(DetectorId=detector)
                found[f"{account} {region}"] = {
                    "id": detector,
                    "frequency": answer["FindingPublishingFrequency"],
                    "features": {each["Name"]: each["Status"] for each in answer["Features"]},
                }
    return found


def lived(example: Example, scratch: Path) -> Json:
    """Applied, planned again, applied again, destroyed; what was seen on the way."""
    scratch.mkdir(parents=True, exist_ok=True)
    with emulators(scratch) as aws:
        given = example.needs.hello(aws) if example.needs.hello else {}
        root = Root(example, scratch, aws.endpoint, **given)
        accounts, regions = _world(root)
        before = inventory(
            aws,
            accounts,
            regions,
        )
        root.apply()
        made = root.resources()
        while_up = inventory(
            aws,
            accounts,
            regions,
        )
        second = changes(root.plan())
        root.apply()
        if example.needs.last:
            root.apply(example.needs.last)
        if example.needs.goodbye:
            example.needs.goodbye(aws)
        detection_before = detectors(
            aws,
            accounts,
            regions,
        )
        root.destroy(example.needs.last)
        detection_after = detectors(
            aws,
            accounts,
            regions,
        )
        after = inventory(
            aws,
            accounts,
            regions,
        )
    shutil.rmtree(scratch / "module", ignore_errors=True)
    return {
        "accounts": sorted(accounts),
        "made": made,
        "up": sorted(while_up - before),
        "second": second,
        "left": sorted(after - before),
        "detection": (detection_before, detection_after),
    }


def _world(root: Root) -> tuple[set[str], set[str]]:
    """The accounts and Regions that a plan's providers name; what cannot be told from it is
    where the sandbox lives.
    """
    configured = root.plan()
    providers = configured["configuration"]["provider_config"].values()
    values = {
        name: variable.get("value") for name, variable in configured.get("variables", {}).items()
    }

    def notified(expression: Json) -> list[str]:
        names = [name.removeprefix("var.") for name in expression.get("references", [])]
        found = [expression.get("constant_value"), *(values.get(name) for name in names)]
        return [expression for expression in found if isinstance(expression, str)]

    accounts = {
        name
        for provider in providers
        for name in notified(provider.get("expressions", {}).get("access_key", {}))
    }
    regions = {
        name
        for provider in providers
        for name in notified(provider.get("expressions", {}).get("region", {}))
    }
    return accounts or {SECURITY}, regions or {settings.REGION}
