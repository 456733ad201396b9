"""The root module applied with a configuration document that changes, and what each function would
find meanwhile.

It is the module as people call it, without what the document and the functions do not need. The
functions are not run: what counts is which hash they have, and which documents there are.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.clients import Aws
from tests.support.terraform_tools import copy_module, initialized, terraform

ACCOUNT, REGION, P = "111111111111", "us-east-1", "gdr-hash"
TABLE = f"{P}-incidents"
MODULE = "module.guardduty_response"
INCIDENT = f"{MODULE}.module.incident[0]"
APPLIED = [
    f"{INCIDENT}.aws_lambda_function.this",
    f"{INCIDENT}.aws_dynamodb_table_item.document",
    f"{INCIDENT}.aws_dynamodb_table_item.config",
    f"{INCIDENT}.aws_dynamodb_table_item.control",
    f"{MODULE}.module.function",
]
FUNCTIONS = {
    f"{P}-{name}"
    for name in ("incident", "watchdog", "playbook-ec2-instance", "collect-ec2-instance")
}
# The exempt resource is known after apply whenever "again" changes, and is always the same.
CONFIGURATION = f"""
provider "aws" {{
  region                      = "{REGION}"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}}

variable "mode" {{
  type = string
}}

variable "paused" {{
  type    = bool
  default = false
}}

variable "again" {{
  type    = string
  default = "no"
}}

resource "terraform_data" "own" {{
  triggers_replace = var.again
}}

module "guardduty_response" {{
  source       = "../"
  name_prefix  = "{P}"
  paused       = var.paused
  remediations = {{ "CryptoCurrency:EC2/*" = var.mode }}
  exempt_resources = [replace(terraform_data.own.id, "/.*/", "i-0a")]
}}
"""


class Deployment:
    """The applied module: its functions' hashes, and the documents in its table."""

    def __init__(self, aws: Aws, scratch: Path) -> None:
        self.aws, self.scratch = aws, scratch
        self.root = copy_module(scratch / "module") / "root"
        self.root.mkdir()
        (self.root / "main.tf").write_text(CONFIGURATION)
        initialized(self.root, scratch)
        self.dynamodb = aws.client("dynamodb", ACCOUNT)
        self.functions = aws.client("lambda", ACCOUNT)
        self.broken: list[tuple[str, str, set[str]]] = []

    def arguments(self, mode: str, **variables: str) -> list[str]:
        chosen = {"mode": mode, **variables}
        return [
            "apply",
            "-auto-approve",
            "-input=false",
            "-no-color",
            *(f"-target={address}" for address in APPLIED),
            *(f"-var={name}={value}" for name, value in chosen.items()),
        ]

    def apply(self, mode: str, **variables: str) -> tuple[int, str]:
        done = terraform(
            self.root,
            self.scratch,
            *self.arguments(mode, **variables),
            endpoint=self.aws.endpoint,
        )
        return int(done.returncode), str(done.stdout)

    def hashes(self) -> dict[str, str]:
        """Function -> the hash that it was given."""
        found = self.functions.list_functions()["Functions"]
        return {
            function["FunctionName"]: function["Environment"]["Variables"]["GDR_CONFIG_SHA256"]
            for function in found
            if function["FunctionName"] in FUNCTIONS
        }

    def items(self, pk: str) -> dict[str, Any]:
        """Sort key -> item."""
        found = self.dynamodb.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
            ConsistentRead=True,
        )["Items"]
        return {item["sk"]["S"]: item for item in found}

    def documents(self) -> set[str]:
        """The hashes of all documents."""
        return {sk.partition("#")[0] for sk in self.items("CONFIG") if "#" in sk}

    def mode(self, sha256: str) -> str:
        """The mode that a document says."""
        [text, *_] = [
            item["document"]["S"]
            for sk, item in self.items("CONFIG").items()
            if sk.startswith(f"{sha256}#")
        ]
        return str(json.loads(text)["remediations"]["CryptoCurrency:EC2/*"])

    def modes(self) -> set[str]:
        """What the functions do, each by the document of its own hash."""
        return {self.mode(sha256) for sha256 in self.hashes().values()}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Whatever happens meanwhile, each function finds its document."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.is_set():
                before, documents, after = self.hashes(), self.documents(), self.hashes()
                for name, sha256 in before.items():
                    # read before and after: what changed meanwhile is looked at the next time
                    if after.get(name) == sha256 and sha256 not in documents:
                        self.broken.append((name, sha256, documents))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert self.broken == []


def deploy(aws: Aws, scratch: Path) -> Deployment:
    """Apply it with the mode dry_run."""
    found = Deployment(aws, scratch)
    code, output = found.apply("dry_run")
    assert code == 0, output[-4000:]
    assert set(found.hashes()) == FUNCTIONS
    assert found.modes() == {"dry_run"}
    return found
