"""Every example plans as it stands; standalone and organization (with make proof: all) are applied twice and destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from example_lab import Root, emulators, lived
from example_table import ALL, NEEDS, Example
from terraform_tools import identity

pytestmark = pytest.mark.terraform
Json = dict[str, Any]
FILES = ("main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md")
AT_ONCE = 3


def _applied(example: Example) -> Any:
    marks = [pytest.mark.sandbox, *([] if example.needs.apply == "always" else [pytest.mark.proof])]
    return pytest.param(example, id=example.id, marks=marks)


@pytest.fixture(scope="module", autouse=True)
def lives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Json]]]:
    """Example => how it lived. All that will be asked for begin at once: an apply is mostly waiting."""
    wanted = [
        item.callspec.params["lived_by"] for item in request.session.items
        if item.path == Path(__file__) and "lived_by" in getattr(getattr(item, "callspec", None), "params", {})
    ]  # fmt: skip
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {one.id: pool.submit(lived, one, tmp_path_factory.mktemp(one.directory.name)) for one in wanted}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of emulators for plans that ask AWS for more than who is calling."""
    with emulators(tmp_path_factory.mktemp("plans")) as aws:
        yield aws.endpoint


def test_every_example_is_named_rightly() -> None:
    assert set(NEEDS) <= {one.name for one in ALL}, "the table names examples that exist"
    assert len({one.name for one in ALL}) >= 1


@pytest.mark.parametrize("example", [pytest.param(one, id=one.id) for one in ALL])
def test_planned(example: Example, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It makes something in the account it says, and nothing in it is changed or destroyed."""
    if example.needs.plan == "sandbox":
        shown = Root(example, tmp_path, request.getfixturevalue("local")).plan()
    else:
        with identity() as endpoint:
            shown = Root(example, tmp_path, endpoint).plan()
    actions = [tuple(one["change"]["actions"]) for one in shown["resource_changes"] if one["mode"] == "managed"]
    assert len(actions) >= 2
    assert set(actions) == {("create",)}
    assert shown["planned_values"]["outputs"], "its outputs say what to look at"
    assert not shown.get("checks") or all(one["status"] != "fail" for one in shown["checks"] if one["address"]["kind"] != "check")


@pytest.mark.parametrize("example", [pytest.param(one, id=one.id) for one in {one.name: one for one in ALL}.values()])
def test_has_all_its_files(example: Example) -> None:
    for name in FILES:
        assert (example.directory / name).is_file(), f"examples/{example.name}/{name} is missing"
    text = (example.directory / "README.md").read_text()
    for word in ("terraform init", "terraform apply", "terraform destroy"):
        assert word in text, f"examples/{example.name}/README.md does not say {word}"


@pytest.mark.parametrize("lived_by", [_applied(one) for one in ALL])
def test_applied_twice_and_destroyed(lives: dict[str, Future[Json]], lived_by: Example) -> None:
    """The second plan is empty; after destroying, nothing is left of it."""
    seen = lives[lived_by.id].result()
    assert len(seen["made"]) >= 2
    if (
        len(seen["made"]) >= 5
    ):  # a StackSet's two are not in the inventory; tests/sandbox/test_member_stacks.py looks at its roles
        assert {one.split()[0] for one in seen["up"]} & set(seen["accounts"]), "another client sees it where the providers say"
    assert seen["second"] == []
    # An invocation under way while its function goes makes the log group anew here; on AWS its role may make none.
    left = [one for one in seen["left"] if " logs /aws/lambda/" not in one]
    assert [one for one in left if not one.startswith(tuple(lived_by.needs.left))] == []
