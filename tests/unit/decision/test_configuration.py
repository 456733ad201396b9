"""The configuration document, its hash, and values in the table."""

from __future__ import annotations

import hashlib
import json
import random
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from guardduty_response.aws import dynamodb_types
from guardduty_response.decision import configuration
from guardduty_response.errors import ConfigError
from guardduty_response.incident.statuses import Status

from tests.unit.deployment import CONFIG, TABLE, Deployment, document


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_document_is_read(deployment: Deployment) -> None:
    sha = deployment.configure({"paused": True, "minimum_severity": {"auto": 7}})
    found = configuration.load()
    assert (found.sha256, found.paused, found.minimum_severity) == (sha, True, {"auto": 7})
    assert found.playbooks == CONFIG["playbooks"]


def test_it_is_read_once_a_container(deployment: Deployment) -> None:
    first = configuration.load()
    deployment.forget_documents()
    assert configuration.load() is first


def test_each_function_finds_the_document_it_was_deployed_with(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an apply replaces the document, and for ever after one that failed half-way."""
    old = deployment.configure({"paused": True})
    new = deployment.configure({"paused": False})
    found = {}
    for sha in (old, new):
        monkeypatch.setenv("GDR_CONFIG_SHA256", sha)
        configuration.load.cache_clear()
        found[sha] = configuration.load().paused
    assert found == {old: True, new: False}
    # what an execution began with can be read as well
    assert configuration.read(old).paused


def test_two_items_of_the_same_document(deployment: Deployment) -> None:
    """A replacement whose hash was unknown at plan, and turned out the same."""
    sha = deployment.configure({"paused": True})
    deployment.store_document(f"{sha}#2", document({"paused": True}))
    assert configuration.load().paused


def test_the_document_of_an_earlier_release_is_read_where_it_lay(deployment: Deployment) -> None:
    sha = deployment.configure({"paused": True})
    deployment.forget_documents()
    deployment.store_document("CURRENT", document({"paused": True}))
    found = configuration.load()
    assert (found.sha256, found.paused) == (sha, True)


def test_another_document_of_an_earlier_release_is_not_taken(deployment: Deployment) -> None:
    sha = deployment.configure({})
    deployment.forget_documents()
    deployment.store_document("CURRENT", document({"remediations": {"*": "auto"}}))
    with pytest.raises(ConfigError, match=f"no configuration document with SHA-256 {sha}"):
        configuration.load()


def test_who_can_write_the_table_cannot_change_the_policy(deployment: Deployment) -> None:
    changed = document({"remediations": {"*": "auto"}})
    [item] = deployment.items("CONFIG")
    deployment.store_document(item["sk"], changed)
    with pytest.raises(ConfigError, match=f"SHA-256 {_hash(changed)}.*outside Terraform"):
        configuration.load()


def test_no_document(deployment: Deployment) -> None:
    deployment.forget_documents()
    with pytest.raises(ConfigError, match=f"table {TABLE} holds no configuration document"):
        configuration.load()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", json.dumps({**CONFIG, "guardrails": None})[:-40]]
)
def test_a_broken_document(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        configuration.parse(text, _hash(text))


# -- values in the table ---------------------------------------------------------------------------


def _value(chance: random.Random, depth: int = 3) -> Any:
    kinds: list[Any] = [
        None,
        True,
        False,
        "",
        "text ü \n",
        0,
        -7,
        10**20,
        0.5,
        -1e-7,
        8.0,
        1e25,
        Status.OPEN,
    ]
    if depth and chance.random() < 0.5:
        if chance.random() < 0.5:
            return [_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
        return {f"k{n}": _value(chance, depth - 1) for n in range(chance.randint(0, 3))}
    return chance.choice(kinds)


def _numbers(value: Any) -> Any:
    """boto3 speaks Decimal where we speak int and float."""
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(repr(value))
    if isinstance(value, list):
        return [_numbers(member) for member in value]
    return (
        {key: _numbers(item) for key, item in value.items()} if isinstance(value, dict) else value
    )


def test_values_are_stored_and_read_as_boto3_does() -> None:
    chance = random.Random(20260304)  # noqa: S311
    for _ in range(1000):
        value = _value(chance)
        stored: Any = dynamodb_types.marshal(value)
        by_boto3: Any = TypeSerializer().serialize(_numbers(value))
        assert TypeDeserializer().deserialize(stored) == _numbers(value)
        assert dynamodb_types.unmarshal(stored) == value
        assert dynamodb_types.unmarshal(by_boto3) == value


def test_numbers_survive_what_dynamodb_makes_of_them() -> None:
    assert dynamodb_types.unmarshal({"N": "8"}) == 8.0
    assert isinstance(dynamodb_types.unmarshal({"N": "8"}), int)
    assert dynamodb_types.unmarshal({"N": "1E+2"}) == 100.0


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), {"a": {b""}}])
def test_what_cannot_be_stored_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be stored in the incident table"):
        dynamodb_types.marshal(value)
