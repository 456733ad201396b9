"""botocore's data as the functions load it: models with the operations in use, and endpoints that
reach the same hosts, signed the same, as botocore's own.
"""

from __future__ import annotations

import ast
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from guardduty_response.aws.clients import Loader

from tests.unit.packaging import PACKAGE, build, trim_models

# One Region of each partition, Regions whose names differ in kind, and two that no file names.
REGIONS = (
    "us-east-1",
    "eu-central-2",
    "ap-southeast-7",
    "us-gov-west-1",
    "cn-northwest-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
    "eusc-de-east-1",
    "eu-south-9",
    "us-gov-central-9",
)


@cache
def _session(trimmed: bool) -> Any:
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    if trimmed:
        models = str(PACKAGE / "aws" / "models")
        session.register_component("data_loader", Loader(extra_search_paths=[models]))
    return session


def _reached(service: str, region: str, trimmed: bool) -> dict[str, Any]:
    """Where a client would call, and what it signs with."""
    client = _session(trimmed).create_client(service, region_name=region)
    signer, rules = client._request_signer, client._ruleset_resolver
    return {
        "url": client.meta.endpoint_url,
        "partition": client.meta.partition,
        "region": signer.region_name,
        "name": signer.signing_name,
        "version": signer.signature_version,
        "given": {k: v for k, v in rules._builtins.items() if not callable(v)} if rules else {},
    }


@pytest.mark.parametrize("service", trim_models.SERVICES)
def test_every_service_is_reached_as_by_botocores_own_endpoints(service: str) -> None:
    for region in REGIONS:
        assert _reached(service, region, True) == _reached(service, region, False), region


def _assigned(node: ast.Assign | ast.AnnAssign) -> list[tuple[ast.expr, ast.expr | None]]:
    """What an assignment gives to what: the parts of tuples by themselves."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        return [*zip(target.elts, node.value.elts, strict=True)]
    return [(target, node.value)]


def _service_names(path: Path) -> set[str]:
    """Services that a module makes clients of: ``client("name")``, and ``service = "name"``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(ast.Attribute(attr="client"), [ast.Constant(str(name)), *_]):
                found.add(name)
            case ast.Assign() | ast.AnnAssign():
                for given in _assigned(node):
                    match given:
                        case ast.Name(id="service"), ast.Constant(str(name)):
                            found.add(name)
    return found


def test_the_services_are_those_that_the_functions_call() -> None:
    called = set().union(*map(_service_names, PACKAGE.rglob("*.py")))
    assert called <= set(trim_models.SERVICES), "add to trim_models.SERVICES and run 'make zips'"
    assert set(trim_models.SERVICES) <= called, "no source calls these any more: remove them"


def test_a_service_is_found_without_looking_into_the_others_folders(tmp_path: Path) -> None:
    for name in ("there", "empty"):
        (tmp_path / name / "2000-01-01").mkdir(parents=True)
    model = {"metadata": {"serviceId": "There"}}
    (tmp_path / "there" / "2000-01-01" / "service-2.json").write_text(json.dumps(model))
    loader = Loader(extra_search_paths=[str(tmp_path)])
    assert loader.load_service_model("there", "service-2") == model
    with pytest.raises(DataNotFoundError, match="empty"):
        loader.load_service_model("empty", "service-2")
    with pytest.raises(UnknownServiceError, match="absent"):
        loader.load_service_model("absent", "service-2")


def test_a_loader_knows_the_services_of_botocores_own() -> None:
    own = botocore.loaders.create_loader().list_available_services("service-2")
    assert set(own) <= set(Loader().list_available_services("service-2"))


_SESSION = botocore.session.Session()
SERVICES = (
    "autoscaling",
    "elbv2",
    "iam",
    "ec2",
    "dynamodb",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "stepfunctions",
    "sts",
)


@cache
def _operations(service: str) -> dict[str, str]:
    """A service's operations: the client's method -> the name in the model."""
    names = _SESSION.get_service_model(service).operation_names
    return {xform_name(operation): operation for operation in names}


@cache
def _names_in(path: Path) -> frozenset[str]:
    """Attributes and texts of a module: a method is called as one, or named by the other."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found)


# Reversals, and what they read, are told of there; who makes them carries botocore's own models.
TOLD = ("/reversals/", "/resource_state.py")


def _used(api: str, or_of_another: bool = False) -> set[str]:
    """Operations that the zips with this trimmed model call (methods no other service in use has
    by that name). ``or_of_another``: those too that another service has, and may be called of it.
    """
    service = api.split("/", maxsplit=1)[0]
    carrying = {
        file
        for files in build.contents().values()
        if any(f"models/{api}/" in name for name in files)
        for file in files
    }
    others = {name for other in SERVICES if other != service for name in _operations(other)}
    known = _operations(service)
    names = {
        name
        for entry in sorted(carrying)
        if entry.endswith(".py") and not any(part in entry for part in TOLD)
        for name in _names_in(PACKAGE / entry)
    }
    return {
        known[name] for name in names if name in known and (or_of_another or name not in others)
    }


@pytest.mark.parametrize("api", sorted(trim_models.OPERATIONS))
def test_a_model_holds_every_operation_in_use_and_no_other(api: str) -> None:
    used, kept = _used(api), set(trim_models.OPERATIONS[api])
    assert used
    assert used - kept == set(), "add to trim_models.OPERATIONS and run 'make zips'"
    assert kept - _used(api, or_of_another=True) == set(), (
        "no source calls these any more: remove them from OPERATIONS"
    )


def test_the_models_are_the_installed_botocores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys,
        "argv",
        ["trim_models.py", "--check"],
    )
    assert trim_models.main() == 0, capsys.readouterr().out
    for api, operations in trim_models.OPERATIONS.items():
        assert set(trim_models.trimmed(api)["operations"]) == set(operations)
