"""Reads and writes items of the incident table, conditionally where writes may race."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.dynamodb_types import Item, Values, item, marshal, plain
from guardduty_response.aws.errors import error_code, is_conflict

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient

# Parameters of a call of DynamoDB, by name.
Request = dict[str, Any]
# A member of TransactWriteItems: Put, Update, Delete or ConditionCheck, and its parameters.
Write = dict[str, Request]
# Before a write is repeated that met a transaction on the same item. botocore repeats none.
CONFLICT_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
SHARDS = 8  # values of a sparse index's hash key: what comes in a burst is spread over them


def incident_key(incident_id: str) -> str:
    """Returns the partition key of an incident's items."""
    return f"INCIDENT#{incident_id}"


def number_of(name: str) -> int:
    """Returns a number below 2**32 that is the same for a name, and spreads many of them."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


def shard_of(name: str) -> str:
    """Returns the hash key of an index, "0" to "7", for what has this name (an id or an ARN)."""
    return str(number_of(name) % SHARDS)


def condition_failed(error: ClientError) -> bool:
    """Tells whether a conditional write was refused because its condition was not met."""
    return error_code(error) == "ConditionalCheckFailedException"


class Table:
    """A deployment's incident table. Methods raise botocore ClientError for service errors."""

    def __init__(self, name: str, client: AwsClient = None) -> None:
        self.name = name
        self.client = client or clients.client("dynamodb")

    def get(self, pk: str, sk: str) -> Item | None:
        """Returns the item with these keys, read consistently, or None."""
        answer = self.client.get_item(
            TableName=self.name,
            Key=item({"pk": pk, "sk": sk}),
            ConsistentRead=True,
        )
        return plain(answer["Item"]) if answer.get("Item") else None

    def write(self, call: Callable[..., object], **request: object) -> None:
        """Makes a write of the client, again while a transaction on the same item is under way."""
        for pause in CONFLICT_PAUSES:
            try:
                call(**request)
            except ClientError as error:
                if not is_conflict(error):
                    raise
                time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  (spreads retries)
            else:
                return
        call(**request)

    def put(self, values: Values) -> None:
        """Writes the item, whatever was there before."""
        self.write(self.client.put_item, TableName=self.name, Item=item(values))

    def put_if(
        self,
        values: Values,
        condition: str,
        names: dict[str, str] | None = None,
        condition_values: Values | None = None,
    ) -> bool:
        """Writes the item if ``condition`` is met; returns whether it was."""
        request: Request = {"ConditionExpression": condition}
        if names:
            request["ExpressionAttributeNames"] = names
        if condition_values:
            request["ExpressionAttributeValues"] = item(condition_values)
        try:
            self.write(self.client.put_item, TableName=self.name, Item=item(values), **request)
        except ClientError as error:
            if condition_failed(error):
                return False
            raise
        return True

    def query(self, **request: object) -> list[Item]:
        """Returns every item that a Query finds, page after page."""
        items: list[Item] = []
        while True:
            page = self.client.query(TableName=self.name, **request)
            items += [plain(attributes) for attributes in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return items
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def pages(self, size: int, **request: object) -> Iterator[tuple[list[Item], bool]]:
        """Yields what a Query finds: ``size`` items, then twice as many as before, page by page.

        Each page comes with whether it is the last. For who may stop early: a page without a size
        has up to 1 MB, which DynamoDB counts however little of it was needed.
        """
        while True:
            page = self.client.query(TableName=self.name, Limit=size, **request)
            is_last = "LastEvaluatedKey" not in page
            yield [plain(attributes) for attributes in page["Items"]], is_last
            if is_last:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            size *= 2

    def scan(self, pages: int, **request: object) -> tuple[list[Item], bool]:
        """Returns what a Scan finds in so many pages of 1 MB, and whether that was all."""
        items: list[Item] = []
        for _ in range(pages):
            page = self.client.scan(TableName=self.name, **request)
            items += [plain(attributes) for attributes in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return items, True
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return items, False

    def set_in_map(
        self, pk: str, sk: str, map_name: str, name: str, value: object, first_only: bool = False
    ) -> None:
        """Sets ``map_name[name]`` of an item; ``first_only``: a value that is there stays."""
        request: Request = {}
        if first_only:
            request["ConditionExpression"] = "attribute_not_exists(#map.#name)"
        try:
            self.write(
                self.client.update_item,
                TableName=self.name,
                Key=item({"pk": pk, "sk": sk}),
                UpdateExpression="SET #map.#name = :value",
                ExpressionAttributeNames={"#map": map_name, "#name": name},
                ExpressionAttributeValues={":value": marshal(value)},
                **request,
            )
        except ClientError as error:
            if not (first_only and condition_failed(error)):
                raise

    def transact(self, writes: list[Write]) -> list[int]:
        """Makes all writes or none of them (DynamoDB TransactWriteItems, at most 100).

        Returns the positions of the writes whose condition was not met; empty: all were made.
        """
        named = [
            {kind: {"TableName": self.name, **request} for kind, request in write.items()}
            for write in writes
        ]
        try:
            self.write(self.client.transact_write_items, TransactItems=named)
        except ClientError as error:
            if error_code(error) != "TransactionCanceledException":
                raise
            codes = [
                reason.get("Code") or "None"
                for reason in error.response.get("CancellationReasons") or []
            ]
            failed = [i for i, code in enumerate(codes) if code == "ConditionalCheckFailed"]
            if not failed:  # too many conflicts, or throttling: the step is repeated
                raise
            return failed
        return []

    def update(
        self,
        pk: str,
        sk: str,
        changes: Values,
        add: Values | None = None,
        remove: list[str] | None = None,
        only_if: Values | None = None,
    ) -> bool:
        """Sets, adds to and removes attributes of an existing item.

        Returns False when an attribute named in ``only_if`` had another value.
        """
        request = self.update_request({"pk": pk, "sk": sk}, changes, add, remove, only_if)
        try:
            self.write(self.client.update_item, TableName=self.name, **request)
        except ClientError as error:
            if only_if and condition_failed(error):
                return False
            raise
        return True

    def count(self, pk: str, sk: str, name: str, by: int, changes: Values | None = None) -> int:
        """Adds to a number of an item, which is made if need be; returns the new number."""
        request = self.update_request({"pk": pk, "sk": sk}, changes or {}, add={name: by})
        del request["ConditionExpression"]
        answer = self.client.update_item(TableName=self.name, **request, ReturnValues="UPDATED_NEW")
        return int(plain(answer["Attributes"])[name])

    def update_request(
        self,
        key: Values,
        changes: Values,
        add: Values | None = None,
        remove: list[str] | None = None,
        only_if: Values | None = None,
    ) -> Request:
        """Returns the parameters of ``update``, without the table's name."""
        add, remove, only_if = add or {}, remove or [], only_if or {}
        assignments = ", ".join(f"#{name} = :{name}" for name in changes)
        additions = ", ".join(f"#{name} :add_{name}" for name in add)
        removals = ", ".join(f"#{name}" for name in remove)
        clauses = {"SET": assignments, "ADD": additions, "REMOVE": removals}
        expression = " ".join(f"{clause} {text}" for clause, text in clauses.items() if text)
        conditions = ["attribute_exists(pk)", *(f"#{name} = :if_{name}" for name in only_if)]
        values = {
            **{f":{name}": value for name, value in changes.items()},
            **{f":add_{name}": value for name, value in add.items()},
            **{f":if_{name}": value for name, value in only_if.items()},
        }
        request: Request = {
            "Key": item(key),
            "UpdateExpression": expression,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": {
                f"#{name}": name for name in (*changes, *add, *remove, *only_if)
            },
        }
        return request | ({"ExpressionAttributeValues": item(values)} if values else {})
