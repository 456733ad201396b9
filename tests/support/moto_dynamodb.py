"""Lets moto's DynamoDB answer a single request at a time, and not look at every item for it.

For a transaction, moto copies all tables without a lock, and puts the copy back when a condition
fails: a write of another thread then breaks the copying, or is lost. DynamoDB does neither. The
copy is also made once for each write, with every item of the table, and a query sorts them all.
An attribute's value is JSON already, so that it is not looked through again for an answer.
An item's size is added up as its attributes are set, and not anew for each of them. Values that are
never changed in place are not copied, and neither are items that are only read.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import threading
from collections import defaultdict
from typing import Any

from botocore.parsers import BaseJSONParser
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

Json = dict[str, Any]
_LOCK = threading.RLock()
_CALL = DynamoHandler.call_action
_CAST: Any = DynamoType.__dict__["cast_value"].fget
_ITEM_SIZE = Item.size
_COPY_ITEM: Any = Item.__deepcopy__
_responses: Any = importlib.import_module("moto.dynamodb.responses")
_TO_DICT = _responses.dynamo_to_dict
_QUERY = Table.query
_STRUCTURE = BaseJSONSerializer._serialize_type_structure
_SIGNATURE = inspect.signature(_QUERY)
_TRANSACT = DynamoDBBackend.transact_write_items
_SET_ATTRIBUTE = LimitedSizeDict.__setitem__
_COPY: Any = DynamoType.__deepcopy__
_PARSE: Any = BaseJSONParser._handle_structure  # type: ignore[attr-defined]
_SCALARS = frozenset({"S", "N", "B", "BOOL", "NULL"})
_AS_IT_IS = frozenset({"S", "N", "BOOL", "NULL"})
SIZE = DynamoType.size
ANSWER_BYTES = 1_000_000
ITEM_BYTES = 400_000  # moto refuses an item a little above
_written: dict[str, list[Json]] = {}  # table -> what the transaction under way may change
_copies: dict[str, Table] = {}
_IN_PLACE = frozenset(".[")  # in an update of a part of an attribute
_ways_to_copy: list[Any] = [_COPY_ITEM]
_sizes: list[bool] = [False]  # whether the sizes of items decide nothing in the query under way


def _call_alone(self: DynamoHandler) -> Any:
    with _LOCK:
        _ways_to_copy.append(_way_to_copy(self))
        try:
            return _CALL(self)
        finally:
            _ways_to_copy.pop()


def _way_to_copy(handler: DynamoHandler) -> Any:
    """Returns how items are copied for a call: one that changes none, or whole attributes alone,
    needs less.
    """
    action = handler.headers["X-Amz-Target"].rpartition(".")[2]
    if action in ("Query", "Scan"):
        return lambda item, _memo: item
    if action == "UpdateItem":
        update = handler._get_param("UpdateExpression") or "."
        if _IN_PLACE.isdisjoint(update) and "DELETE" not in update:
            return _copy_attributes
    return _COPY_ITEM


def _copy_attributes(item: Item, _memo: Any) -> Item:
    """Copies an item, and shares the values of its attributes."""
    copied = copy.copy(item)
    copied.attrs = LimitedSizeDict.__new__(LimitedSizeDict)
    dict.update(copied.attrs, item.attrs)
    return copied


def _copy_item(item: Item, memo: Any) -> Item:
    copied: Item = _ways_to_copy[-1](item, memo)
    return copied


def _transact(self: DynamoDBBackend, transact_items: list[Json]) -> None:
    with _LOCK:
        for write in transact_items:
            for request in write.values():
                written = request.get("Item") or request.get("Key") or {}
                _written.setdefault(str(request.get("TableName")), []).append(written)
        try:
            _TRANSACT(self, transact_items)
        finally:
            _written.clear()
            _copies.clear()


def _copy(table: Table, _: Any) -> Table:
    """Copies the items that the transaction under way may change, and shares the others."""
    if table.name not in _copies:
        copied = copy.copy(table)
        copied.items = copy.copy(table.items)
        for written in _written[table.name]:
            hash_key = DynamoType(written[table.hash_key_attr])
            if hash_key in table.items and table.range_key_attr:
                range_key = DynamoType(written[table.range_key_attr])
                if copied.items[hash_key] is table.items[hash_key]:
                    copied.items[hash_key] = copy.copy(table.items[hash_key])
                if range_key in copied.items[hash_key]:
                    item = copied.items[hash_key][range_key]
                    copied.items[hash_key][range_key] = copy.deepcopy(item)
            elif hash_key in table.items:
                copied.items[hash_key] = copy.deepcopy(table.items[hash_key])
        _copies[table.name] = copied
    return _copies[table.name]


def _query(table: Table, hash_key: DynamoType | None, *arguments: Any, **named: Any) -> Any:
    """Queries the items alone that have the hash key, of the table or of the index."""
    bound = _SIGNATURE.bind(
        table,
        hash_key,
        *arguments,
        **named,
    ).arguments
    with _LOCK:
        items = table.items
        if not bound.get("index_name"):
            table.items = defaultdict(dict, {hash_key: items.get(hash_key, {})})
        else:
            wanted = [(name, key.value) for name, key in bound["hash_key_conditions"]]
            table.items = _matching(items, wanted)
        _sizes.append(bool(table.range_key_attr) and _fits(table.items))
        try:
            return _QUERY(table, hash_key, *arguments, **named)
        finally:
            _sizes.pop()
            table.items = items


def _fits(items: Any) -> bool:
    """Tells whether all items fit into an answer, so that their exact sizes decide nothing."""
    attributes = [item.attrs for ranges in items.values() for item in ranges.values()]
    sizes = [getattr(each, "size_at_most", None) or ANSWER_BYTES for each in attributes]
    return sum(sizes) < ANSWER_BYTES


def _size_of_item(item: Item) -> int:
    return 0 if _sizes[-1] else _ITEM_SIZE(item)


def _matching(items: Any, wanted: list[tuple[str, Any]]) -> Any:
    found: Any = defaultdict(dict)
    for hash_key, ranges in items.items():
        for range_key, item in ranges.items():
            values = [(name, item.attrs[name].value) for name, _ in wanted if name in item.attrs]
            if values == wanted:
                found[hash_key][range_key] = item
    return found


def _structure(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.name == "AttributeValue" and key and type(value) in (dict, DynamoType):
        serialized[key] = value if type(value) is dict else value.to_regular_json()
    else:
        _STRUCTURE(self, serialized, value, shape, key)


def size(value: Any) -> int:
    """Returns the size of a DynamoType, or of an attribute value as JSON, as moto counts it."""
    if type(value) is dict:
        [(kind, content)] = value.items()
    else:
        kind, content = value.type, value.value
    if kind == "M":
        return sum(len(name.encode()) + size(each) for name, each in content.items())
    if kind == "L":
        return sum(map(size, content))
    if kind in ("SS", "NS", "BS"):
        return sum(size({kind[0]: each}) for each in content)
    return 1 if isinstance(content, bool) else _length(content)


def _length(content: Any) -> int:
    if isinstance(content, bytes):
        return len(content)
    text = content if isinstance(content, str) else str(content)
    return len(text) if text.isascii() else len(text.encode())


def _size_of_any(value: Any) -> int:
    return size(value) if type(value) is DynamoType else _length(str(value))


def _set_attribute(self: Any, name: str, value: Any) -> None:
    """Sets an attribute. Near the limit, moto itself adds up the size and decides."""
    total = self.__dict__.get("size_at_most")
    if total is None:
        total = sum(len(key.encode()) + _size_of_any(each) for key, each in self.items())
    total += len(name.encode()) + _size_of_any(value)
    if total < ITEM_BYTES:
        self.size_at_most = total
        dict.__setitem__(self, name, value)
    else:
        self.size_at_most = None
        _SET_ATTRIBUTE(self, name, value)


def _copy_value(value: DynamoType, memo: dict[int, Any]) -> DynamoType:
    """Copies a list, a map or a set; moto replaces any other value by a new one."""
    return value if value.type in _SCALARS else _COPY(value, memo)


def _parse_structure(parser: BaseJSONParser, shape: Any, value: Any) -> Any:
    """Takes an attribute's text or number as it is in the answer, which is what it becomes."""
    is_value = shape.name == "AttributeValue" and type(value) is dict and len(value) == 1
    if is_value and not _AS_IT_IS.isdisjoint(value):
        return dict(value)
    return _PARSE(parser, shape, value)


def _cast_value(value: DynamoType) -> Any:
    return value.value if value.type == "S" else _CAST(value)


def _to_dict(answer: Any) -> Any:
    """Makes an answer of what moto found. Of a text or number it asks not what else it may be."""
    kind = type(answer)
    if kind is DynamoType and answer.type in _AS_IT_IS:
        return {answer.type: answer.value}
    if kind is DynamoType and answer.type in ("M", "L"):
        return {answer.type: _to_dict(answer.value)}
    if kind is dict or kind is LimitedSizeDict:
        return {key: _to_dict(value) for key, value in answer.items()}
    if kind is list:
        return [_to_dict(value) for value in answer]
    return answer if kind in (str, int) else _TO_DICT(answer)


def take_turns() -> None:
    DynamoHandler.call_action = _call_alone  # type: ignore[method-assign]
    DynamoDBBackend.transact_write_items = _transact  # type: ignore[method-assign]
    Table.__deepcopy__ = _copy  # type: ignore[attr-defined]
    BaseJSONSerializer._serialize_type_structure = _structure  # type: ignore[method-assign]
    Table.query = _query  # type: ignore[method-assign,assignment]
    DynamoType.__deepcopy__ = _copy_value  # type: ignore[assignment,method-assign]
    BaseJSONParser._handle_structure = _parse_structure  # type: ignore[attr-defined]
    DynamoType.cast_value = property(_cast_value)  # type: ignore[method-assign,assignment]
    Item.__deepcopy__ = _copy_item  # type: ignore[method-assign,assignment]
    _responses.dynamo_to_dict = _to_dict
    Item.size = _size_of_item  # type: ignore[method-assign,assignment]
    DynamoType.size = size  # type: ignore[assignment,method-assign]
    LimitedSizeDict.__setitem__ = _set_attribute  # type: ignore[method-assign]
