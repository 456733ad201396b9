"""moto answers the same, sooner: half of its time went into working out, again and again, what a
shape's member may be called, and into looking for one resource's tags among all tags.

Not in ``patching``: nothing of AWS is restored here. tests/sandbox/test_emulator_speed.py compares
the answers.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

_serialize: Any = importlib.import_module("moto.core.serialize")
_utils: Any = importlib.import_module("moto.core.utils")
_sns: Any = importlib.import_module("moto.sns.models")
_ec2: Any = importlib.import_module("moto.ec2.models.core")
_tags: Any = importlib.import_module("moto.ec2.models.tags")
_responses: Any = importlib.import_module("moto.core.responses")
_get_value = _utils.get_value
_MISSING = _utils.MISSING
_as_moto_has_it = _serialize.ResponseSerializer.get_value
_private_key = _sns.Subscription.private_key
_get_tags = _ec2.TaggedEC2Resource.get_tags
_names_of_methods = _responses.method_names_from_class
_method_names: dict[type, tuple[int, list[str]]] = {}


def _value(self: Any, value: Any, key: str, shape: object) -> Any:
    """The names to try depend on the shape, its parent and the value's class: they are kept with
    the shape, and live as long.
    """
    picker = self._value_picker
    if (
        type(picker) is not _serialize.XFormedAttributePicker
        or picker.response_transformers
        or picker.alias_providers is not _serialize.DEFAULT_ALIAS_PROVIDERS
        or "Meta" in getattr(value, "__dict__", ())
    ):
        return _as_moto_has_it(self, value, key, shape)
    kind = type(value)
    known = shape.__dict__.setdefault("_names_to_try", {})
    asked = (kind, key, id(getattr(shape, "parent", None)))
    names = known.get(asked)
    if names is None:
        context = _serialize.AttributePickerContext(obj=value, key=key, shape=shape)
        names = known[asked] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    if kind is dict:
        for name in names:
            if name in value:
                return value[name]
        if "." not in key:
            return None
    for name in names:
        found = _get_value(value, name, _MISSING)
        if found is not _MISSING:
            return found
    return None


@cache
def _one_key() -> Any:
    """SNS signs with one key here, not with a new one of each subscription: 0.2 s of a core
    each.
    """
    return _private_key.__wrapped__(None)


def _tags_of(resource: Any) -> list[dict[str, str]]:
    """Return a resource's tags. moto compiles a pattern of its ID and tries all resources."""
    if not resource.id:
        return []
    kind = _tags.EC2_PREFIX_TO_RESOURCE.get(_tags.get_prefix(resource.id), "")
    tags = resource.ec2_backend.tags.get(resource.id, {})
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind}
        for key, value in tags.items()
    ]


def _method_names_of(kind: type) -> list[str]:
    """Return the names of a class's methods, listed anew when one of its classes got another."""
    size = sum(len(each.__dict__) for each in kind.__mro__)
    known = _method_names.get(kind)
    if known is None or known[0] != size:
        known = _method_names[kind] = (size, _names_of_methods(kind))
    return known[1]


def hasten() -> None:
    """Put all of it in place, in this process."""
    _serialize.ResponseSerializer.get_value = _value
    _sns.Subscription.private_key = lambda _self: _one_key()
    _ec2.TaggedEC2Resource.get_tags = _tags_of
    _responses.method_names_from_class = _method_names_of


def slow() -> None:
    """As moto has it."""
    _serialize.ResponseSerializer.get_value = _as_moto_has_it
    _sns.Subscription.private_key = _private_key
    _ec2.TaggedEC2Resource.get_tags = _get_tags
    _responses.method_names_from_class = _names_of_methods


hasten()
