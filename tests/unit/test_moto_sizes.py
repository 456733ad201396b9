"""moto's table, hastened, counts an item as moto does, and refuses one that is too large."""

from __future__ import annotations

import random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.dynamo_type import DynamoType

from tests.support import moto_dynamodb
from tests.unit.deployment import TABLE, Deployment


def value(draw: random.Random, depth: int) -> dict[str, Any]:
    """Returns an attribute value as JSON."""
    plain: list[dict[str, Any]] = [
        {"S": draw.choice(["", "plain", "schön", "日本"])},
        {"N": str(draw.randrange(10**9))},
        {"BOOL": draw.choice([True, False])},
        {"NULL": True},
        {"SS": ["a", "bc"]},
        {"NS": ["1", "23"]},
        {"B": "AAEC"},
    ]
    if depth and draw.random() < 0.5:
        nested = [value(draw, depth - 1) for _ in range(draw.randrange(4))]
        return draw.choice(
            [{"L": nested}, {"M": {f"ä{number}": each for number, each in enumerate(nested)}}]
        )
    return draw.choice(plain)


def as_moto_has_it(attribute: DynamoType) -> int:
    """Returns the size by moto's own method, also of what is nested."""
    hastened = DynamoType.size
    DynamoType.size = moto_dynamodb.SIZE  # type: ignore[method-assign]
    try:
        return attribute.size()
    finally:
        DynamoType.size = hastened  # type: ignore[method-assign]


def test_sizes_are_those_of_moto() -> None:
    draw = random.Random(1)  # noqa: S311 - the same values each time
    for _ in range(300):
        attribute = DynamoType(value(draw, 3))
        assert attribute.size() == as_moto_has_it(attribute), attribute.to_json()


@pytest.mark.parametrize(("size", "taken"), [(399_000, True), (410_000, False)])
def test_an_item_that_is_too_large_is_refused(
    deployment: Deployment, size: int, taken: bool
) -> None:
    parts = {f"part{number}": {"S": "x" * (size // 4)} for number in range(4)}
    item: dict[str, Any] = {"pk": {"S": "a"}, "sk": {"S": "b"}, **parts}
    try:
        deployment.dynamodb.put_item(TableName=TABLE, Item=item)
    except ClientError as error:
        assert not taken, error
        assert "size" in str(error)
    else:
        assert taken
