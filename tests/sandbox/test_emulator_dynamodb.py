"""IAM is enforced on DynamoDB by the partition keys that a call names (dynamodb:LeadingKeys)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.clients import Aws
from tests.sandbox.emulator_helpers import MEMBER, Identity

TABLE = "leading-keys"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": "dynamodb:DeleteItem",
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": "FREE#*"},
                "Null": {"dynamodb:LeadingKeys": "false"},
            },
        },
        {
            "Effect": "Deny",
            "Action": "dynamodb:*",
            "Resource": "*",
            "Condition": {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": "CLOSED"}},
        },
    ],
}


@pytest.fixture(scope="module")
def client(aws: Aws) -> Iterator[Any]:
    root = aws.client("dynamodb", MEMBER)
    root.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    yield Identity(aws).client("dynamodb", POLICY)
    root.delete_table(TableName=TABLE)


def _key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "1"}}


def _refused(call: Callable[..., Any], **request: Any) -> bool:
    try:
        call(**request)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDeniedException", error
        return True
    return False


@pytest.mark.smoke
def test_items_have_their_leading_keys(client: Any) -> None:
    for pk, put, delete in (("FREE#1", True, True), ("A", True, False), ("CLOSED", False, False)):
        key = {"TableName": TABLE, "Key": _key(pk)}
        assert _refused(client.put_item, TableName=TABLE, Item=_key(pk)) is not put
        update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
        assert _refused(client.update_item, **key, **update) is not put
        assert _refused(client.delete_item, **key) is not delete


def test_a_query_has_the_key_it_asks_for(client: Any) -> None:
    for pk, allowed in (("A", True), ("CLOSED", False)):
        request = {
            "TableName": TABLE,
            "KeyConditionExpression": "#k = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeNames": {"#k": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":sk": {"S": "CLOSED"}},
        }
        assert _refused(client.query, **request) is not allowed


def test_each_item_of_a_transaction_counts(client: Any) -> None:
    def refused(*items: dict[str, Any]) -> bool:
        return _refused(client.transact_write_items, TransactItems=list(items))

    def delete(pk: str) -> dict[str, Any]:
        return {"Delete": {"TableName": TABLE, "Key": _key(pk)}}

    def put(pk: str) -> dict[str, Any]:
        return {"Put": {"TableName": TABLE, "Item": _key(pk)}}

    assert not refused(put("A"), put("FREE#1"))
    assert not refused(delete("FREE#1"))
    assert refused(put("A"), put("CLOSED"))
    assert refused(put("A"), delete("FREE#1")), "what AWS does is not documented: the strict way"
