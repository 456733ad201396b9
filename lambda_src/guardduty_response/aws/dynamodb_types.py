"""Converts Python values to DynamoDB attribute values and back (DynamoDB API, AttributeValue).

boto3.dynamodb.types does the same, but importing it costs a fifth of the cold start; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TypedDict

    class Attribute(TypedDict, total=False):
        """Declares an attribute value. It has one key, which names the type."""

        S: str
        N: str
        BOOL: bool
        NULL: bool
        L: list[Attribute]
        M: dict[str, Attribute]


# An item of a table in Python's values, by attribute. Its readers know its TypedDict.
Item = dict[str, Any]
Values = Mapping[str, object]  # what of an item is written, or compared with it


def marshal(value: object) -> Attribute:
    """Marshals str, int, float, bool, None, and lists and dicts of these.

    Raises TypeError for anything else.
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, list | tuple):
        return {"L": [marshal(member) for member in value]}
    if isinstance(value, dict):
        return {"M": {str(key): marshal(member) for key, member in value.items()}}
    raise TypeError(f"{type(value).__name__} cannot be stored in the incident table")


def unmarshal(attribute: Attribute) -> Any:
    """Reverses ``marshal``. Numbers with a point or an exponent become float, others int."""
    if "NULL" in attribute:
        return None
    if "N" in attribute:
        number = attribute["N"]
        return float(number) if any(mark in number for mark in ".eE") else int(number)
    if "L" in attribute:
        return [unmarshal(member) for member in attribute["L"]]
    if "M" in attribute:
        return plain(attribute["M"])
    return next(iter(attribute.values()))


def item(values: Values, prefix: str = "") -> dict[str, Attribute]:
    """Marshals every value of an item. ``prefix``: what every key then begins with."""
    return {f"{prefix}{key}": marshal(value) for key, value in values.items()}


def plain(attributes: Mapping[str, Attribute]) -> Item:
    """Unmarshals every value of an item."""
    return {key: unmarshal(value) for key, value in attributes.items()}
