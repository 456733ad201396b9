"""Python values to DynamoDB attribute values and back (AWS DynamoDB API, AttributeValue).

boto3.dynamodb.types does the same, but importing it costs a fifth of the cold start; a test holds
both against each other.
"""

from __future__ import annotations

from typing import Any

Attribute = dict[str, Any]


def marshal(value: Any) -> Attribute:
    """str, int, float, bool, None, list, dict (nested). Raises TypeError for anything else."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, list | tuple):
        return {"L": [marshal(item) for item in value]}
    if isinstance(value, dict):
        return {"M": {str(key): marshal(item) for key, item in value.items()}}
    raise TypeError(f"{type(value).__name__} cannot be stored in the incident table")


def unmarshal(attribute: Attribute) -> Any:
    (kind, value), *_ = attribute.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return float(value) if any(mark in value for mark in ".eE") else int(value)
    if kind == "L":
        return [unmarshal(item) for item in value]
    if kind == "M":
        return {key: unmarshal(item) for key, item in value.items()}
    return value


def item(values: dict[str, Any]) -> dict[str, Attribute]:
    return {key: marshal(value) for key, value in values.items()}


def plain(attributes: dict[str, Attribute]) -> dict[str, Any]:
    return {key: unmarshal(value) for key, value in attributes.items()}
