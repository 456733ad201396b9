"""Converts Python values to DynamoDB attribute values and back (DynamoDB API, AttributeValue).

boto3.dynamodb.types does the same, but importing it costs a fifth of the cold start; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Attribute = dict[str, Any]


def marshal(value: Any) -> Attribute:
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
    (kind, value), *_ = attribute.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return float(value) if any(mark in value for mark in ".eE") else int(value)
    if kind == "L":
        return [unmarshal(member) for member in value]
    if kind == "M":
        return {key: unmarshal(member) for key, member in value.items()}
    return value


def item(values: Mapping[str, Any], prefix: str = "") -> dict[str, Attribute]:
    """Marshals every value of an item. ``prefix``: what every key then begins with."""
    return {f"{prefix}{key}": marshal(value) for key, value in values.items()}


def plain(attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    """Unmarshals every value of an item."""
    return {key: unmarshal(value) for key, value in attributes.items()}
