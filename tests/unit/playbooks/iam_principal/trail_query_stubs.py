"""Athena and CloudTrail Lake as botocore Stubbers, which check every parameter against the
service's model: moto runs no SQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.stub import ANY, Stubber

from tests.unit.playbooks.iam_principal.evidence_lab import HOME, EvidenceLab

Json = dict[str, Any]
ATHENA = {
    "athena": {
        "workgroup": "security",
        "database": "trails",
        "table": 'cloud"trail',
        "bucket_arns": [],
    }
}
STORE = "12345678-abcd-abcd-abcd-123456789012"
LAKE = {
    "lake": {
        "event_data_store_arn": f"arn:aws:cloudtrail:{HOME}:123456789012:eventdatastore/{STORE}"
    }
}
ID, NEXT_ID = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
EVIL = "x' OR '1'='1"


def queried_by(lab: EvidenceLab, settings: Json, client: Any) -> Iterator[Stubber]:
    """Lets the calls be listed by ``settings``, in an account whose ``client`` answers as told."""
    lab.build().options["trail_query"] = settings
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


class AnyText:
    """Any statement; what it was is kept."""

    text = ""

    def __eq__(self, other: object) -> bool:
        self.text = str(other)
        return True

    __hash__ = None  # type: ignore[assignment]


def athena_expects(
    stub: Stubber,
    statement: object = ANY,
    values: object = ANY,
    token: object = ANY,
    id: str = ID,
) -> None:
    """Expect a query to be started; ``statement``, ``values``, ``token``: what to compare with."""
    stub.add_response(
        "start_query_execution",
        {"QueryExecutionId": id},
        {
            "QueryString": statement,
            "ExecutionParameters": values,
            "WorkGroup": "security",
            "QueryExecutionContext": {"Database": "trails"},
            "ClientRequestToken": token,
        },
    )


def athena_started(stub: Stubber) -> AnyText:
    """Expect a query to be started; return its statement, once it is."""
    statement = AnyText()
    athena_expects(stub, statement)
    return statement


def athena_status(stub: Stubber, state: str, reason: str = "", id: str = ID) -> None:
    answer: Json = {
        "QueryExecution": {
            "Status": {"State": state, **({"StateChangeReason": reason} if reason else {})}
        }
    }
    stub.add_response("get_query_execution", answer, {"QueryExecutionId": id})


def table_row(record: Json) -> Json:
    """What the table has of a record: everything text, JSON columns as JSON."""
    who = record["userIdentity"]
    issuer = who.get("sessionContext", {}).get("sessionIssuer", {})
    flat = {name.lower(): value for name, value in record.items() if name != "userIdentity"}
    flat |= {
        f"who_{name.lower()}": value for name, value in who.items() if name != "sessionContext"
    }
    flat |= {f"issuer_{name.lower()}": value for name, value in issuer.items()}
    return {
        name: json.dumps(value) if isinstance(value, dict | bool) else value
        for name, value in flat.items()
    }


def athena_rows(
    stub: Stubber, records: list[Json], token: str = "", more: str = "", id: str = ID
) -> None:
    columns = sorted({name for record in records for name in table_row(record)} | {"eventid"})
    data = [
        {
            "Data": [
                {"VarCharValue": str(table_row(record)[name])}
                if table_row(record).get(name) is not None
                else {}
                for name in columns
            ]
        }
        for record in records
    ]
    head = [] if token else [{"Data": [{"VarCharValue": name} for name in columns]}]
    answer: Json = {
        "ResultSet": {
            "Rows": head + data,
            "ResultSetMetadata": {
                "ColumnInfo": [{"Name": name, "Type": "varchar"} for name in columns]
            },
        }
    }
    asked: Json = {
        "QueryExecutionId": id,
        "MaxResults": 1000,
        **({"NextToken": token} if token else {}),
    }
    stub.add_response("get_query_results", answer | ({"NextToken": more} if more else {}), asked)


def lake_rows(stub: Stubber, records: list[Json], more: str = "", token: str = "") -> None:
    answer: Json = {
        "QueryStatus": "FINISHED",
        "QueryResultRows": [[{"eventJson": json.dumps(record)}] for record in records],
    }
    asked: Json = {
        "QueryId": ID,
        "MaxQueryResults": 1000,
        **({"NextToken": token} if token else {}),
    }
    stub.add_response("get_query_results", answer | ({"NextToken": more} if more else {}), asked)


def lake_status(stub: Stubber, state: str, error: str = "") -> None:
    answer: Json = {"QueryStatus": state, **({"ErrorMessage": error} if error else {})}
    stub.add_response("get_query_results", answer, {"QueryId": ID, "MaxQueryResults": 1})
