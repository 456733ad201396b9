"""Every example plans as it stands. With make proof all are applied twice and destroyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox.clients import Aws
from tests.examples.example_lab import Root, emulators, lived
from tests.examples.example_table import ALL, MANAGEMENT, NEEDS, SECURITY, Example
from tests.support.identity_server import identity

pytestmark = pytest.mark.terraform
Json = dict[str, Any]
FILES = ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md")
AT_ONCE = 3


@pytest.fixture(scope="module", autouse=True)
def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Json]]]:
    """Example => how it lived. All that will be asked for begin at once: an apply is mostly
    waiting.
    """
    wanted = []
    for item in request.session.items:
        parameters = getattr(
            getattr(item, "callspec", None),
            "params",
            {},
        )
        if item.path == Path(__file__) and "lived_by" in parameters:
            wanted.append(parameters["lived_by"])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            example.id: pool.submit(lived, example, tmp_path_factory.mktemp(example.directory.name))
            for example in wanted
        }
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of emulators for plans that ask AWS for more than who is calling."""
    with emulators(tmp_path_factory.mktemp("plans")) as aws:
        yield aws.endpoint


def test_every_example_is_named_rightly() -> None:
    assert set(NEEDS) <= {example.name for example in ALL}, "the table names examples that exist"
    assert len({example.name for example in ALL}) >= 1


def _planned(example: Example) -> Any:
    """Of one root with several variable files, the first is planned each time, with all switches
    of the others (test_the_roles_of_an_account_follow_its_switches); make proof plans all.
    """
    first = next(other for other in ALL if other.directory == example.directory)
    marks = [] if example == first else [pytest.mark.proof]
    if example == ALL[0]:  # whatever is recorded
        marks.append(pytest.mark.smoke)
    return pytest.param(
        example,
        id=example.id,
        marks=marks,
    )


@pytest.mark.parametrize("example", [_planned(example) for example in ALL])
def test_planned(example: Example, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It makes something in the account it says, and nothing in it is changed or destroyed."""
    if example.needs.plan == "sandbox":
        endpoint = request.getfixturevalue("local")
        given = example.needs.hello(Aws(endpoint)) if example.needs.hello else {}
        shown = Root(example, tmp_path, endpoint, **given).plan()
    else:
        with identity() as endpoint:
            shown = Root(example, tmp_path, endpoint).plan()
    actions = [
        tuple(change["change"]["actions"])
        for change in shown["resource_changes"]
        if change["mode"] == "managed"
    ]
    assert len(actions) >= 2
    assert set(actions) == {("create",)}
    assert shown["planned_values"]["outputs"], "its outputs say what to look at"
    assert unanswered(shown) == set(), "a function may assume roles that this example does not make"
    assert not shown.get("checks") or all(
        check["status"] != "fail"
        for check in shown["checks"]
        if check["address"]["kind"] != "check"
    )


def roles(shown: Json) -> list[Json]:
    """Every planned IAM role, wherever it is."""
    found, modules = [], [shown["planned_values"]["root_module"]]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        found += [
            resource
            for resource in module.get("resources", [])
            if resource["type"] == "aws_iam_role"
        ]
    return found


def unanswered(shown: Json) -> set[str]:
    """Functions that act and that no planned role of an account trusts: what they are switched
    on for would fail.
    """
    planned = roles(shown)
    functions = {
        f"{resource['values']['path']}{resource['values']['name']}"
        for resource in planned
        if ".module.function[" in resource["address"]
    }
    # others may be unknown yet
    trusting = " ".join(resource["values"].get("assume_role_policy", "") for resource in planned)
    return {name for name in functions if f':role{name}"' not in trusting}


SWITCHES = {
    "ec2_instance": {"restore": True, "finish": "terminate", "untrack_connections": True},
    "iam_principal": {
        "restore": True,
        "rotate_key": {"reader_arns": [f"arn:aws:iam::{SECURITY}:role/owner"]},
        "identity_center": {
            "account_id": SECURITY,
            "region": "us-east-1",
            "identity_store_id": "d-1234567890",
            "instance_arn": "arn:aws:sso:::instance/ssoins-1234567890abcdef",
        },
    },
}


def test_the_roles_of_an_account_follow_its_switches(tmp_path: Path) -> None:
    """Also those that no file of variables here switches on, each without the others that go
    with it.
    """
    [example] = [
        example
        for example in ALL
        if example.name == "per-account-tfvars"
        and example.var_file
        and example.var_file.stem == "production"
    ]
    with identity() as endpoint:
        root = Root(
            Example(example.directory),
            tmp_path,
            endpoint,
            account_id=SECURITY,
            region="us-east-1",
            remediations={"*:EC2/*": "auto", "*:IAMUser/*": "auto"},
            **SWITCHES,
        )
        shown = root.plan()
    assert unanswered(shown) == set()
    names = {role["values"]["name"].removeprefix("guardduty-response-") for role in roles(shown)}
    assert names >= {
        "remediator-iam-principal",
        "terminator-ec2-instance",
        "identity-center-responder",
        "identity-center-restorer",
    }
    policies = json.dumps(
        [change["change"]["after"].get("policy") for change in shown["resource_changes"]]
    )
    assert "secretsmanager:CreateSecret" in policies, "rotate_key lets the remediator make a key"
    assert "ec2:AuthorizeSecurityGroupIngress" in policies, "connections may be flushed"


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=example.id)
        for example in {example.name: example for example in ALL}.values()
    ],
)
def test_has_all_its_files(example: Example) -> None:
    for name in FILES:
        assert (example.directory / name).is_file(), f"examples/{example.name}/{name} is missing"
    text = (example.directory / "README.md").read_text()
    for word in ("terraform init", "terraform apply", "terraform destroy"):
        assert word in text, f"examples/{example.name}/README.md does not say {word}"


@pytest.mark.proof
@pytest.mark.sandbox
@pytest.mark.parametrize("lived_by", [pytest.param(example, id=example.id) for example in ALL])
def test_applied_twice_and_destroyed(lives: dict[str, Future[Json]], lived_by: Example) -> None:
    """The second plan is empty; after destroying, nothing is left of it but GuardDuty."""
    seen = lives[lived_by.id].result()
    assert len(seen["made"]) >= 2
    # StackSets are not in the inventory; tests/sandbox/test_member_stacks.py looks at their roles
    unlisted = ("aws_cloudformation_", "terraform_data.")
    listed = [made for made in seen["made"] if not any(kind in made for kind in unlisted)]
    if len(listed) >= 5:
        assert {listed_item.split()[0] for listed_item in seen["up"]} & set(seen["accounts"]), (
            "another client sees it where the providers say"
        )
    assert seen["second"] == []
    # An invocation under way while its function goes makes the log group anew here; on AWS its role
    # may make none.
    left = [
        listed_item
        for listed_item in seen["left"]
        if " logs /aws/lambda/" not in listed_item and " guardduty " not in listed_item
    ]
    before, after = seen["detection"]
    # The management account's detector belongs to the registration, and goes with it.
    assert {where: detector for where, detector in before.items() if MANAGEMENT not in where} == {
        where: detector for where, detector in after.items() if MANAGEMENT not in where
    }, "A destroy leaves GuardDuty as it was."
    assert left == []
