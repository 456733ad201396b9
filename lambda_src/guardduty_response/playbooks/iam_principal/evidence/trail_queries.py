"""The principal's calls by a query over a trail's table (Athena) or an event data store (CloudTrail
Lake).

The query replaces LookupEvents and runs with the function's own role, in the security account.
Whoever made the calls chose the names of users and sessions: every value is a quoted SQL string.
Athena takes the values apart from the statement (``ExecutionParameters``, each a literal: Athena
User Guide, "EXECUTE"). Lake's ``QueryParameters`` serve its dashboards alone (CloudTrail API
Reference, StartQuery): there the values stand in the statement.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, TypedDict

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail.time_range import TimeRange, iso
from guardduty_response.containment.target_context import AWS_ERRORS, TargetContext, describe_error
from guardduty_response.playbooks.iam_principal.evidence.event_collection import (
    MOST_EVENTS,
    EventCollection,
)
from guardduty_response.playbooks.iam_principal.evidence.records import TrailQuery

if TYPE_CHECKING:
    from guardduty_response.cloudtrail.event import CloudTrailRecord

BATCH = 8  # values of one query
GIVE_UP_SECONDS = 30 * 60  # of one query
POLL_SECONDS = 5
TRIES = 5  # throttled answers in a row
ENDED = ("SUCCEEDED", "FINISHED")
RUNNING = ("QUEUED", "RUNNING")
# The columns of the table that Amazon Athena User Guide, "Create a table for CloudTrail logs",
# makes.
_IDENTITY_COLUMNS = (
    "type",
    "principalid",
    "arn",
    "accountid",
    "accesskeyid",
    "username",
    "invokedby",
)
_ISSUER_COLUMNS = ("type", "principalid", "arn", "accountid", "username")
# As CloudTrail writes them; the table has them in lower case.
_RECORD_FIELDS = (
    "eventID",
    "eventTime",
    "eventName",
    "eventSource",
    "eventType",
    "awsRegion",
    "recipientAccountId",
    "sourceIPAddress",
    "userAgent",
    "errorCode",
    "errorMessage",
    "readOnly",
    "requestID",
    "requestParameters",
    "responseElements",
    "additionalEventData",
)
_IDENTITY_FIELDS = ("principalId", "accountId", "accessKeyId", "userName", "invokedBy")
_RECORD_COLUMNS = tuple(name.lower() for name in _RECORD_FIELDS)
_SPELLING = {name.lower(): name for name in (*_RECORD_FIELDS, *_IDENTITY_FIELDS)}
_JSON_COLUMNS = ("requestparameters", "responseelements", "additionaleventdata")


class QueryFailed(Exception):
    """A query failed; the text says which query, and why."""


def literal(value: str) -> str:
    """Return a SQL string: only a quote ends it, and a doubled quote stands for a quote (Trino,
    which both services speak).
    """
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


class AthenaSettings(TypedDict):
    """Where Athena finds the trail's table, and the workgroup that pays."""

    database: str
    table: str
    workgroup: str


class LakeSettings(TypedDict):
    """The event data store of CloudTrail Lake."""

    event_data_store_arn: str


class TrailQueryOption(TypedDict, total=False):
    """The option ``trail_query``: one of the two."""

    athena: AthenaSettings
    lake: LakeSettings


class Athena:
    """Queries a table that Athena User Guide's statement for CloudTrail logs created."""

    name = "Athena"

    def __init__(self, settings: AthenaSettings) -> None:
        self.settings = settings
        self.client = clients.client("athena")

    def start(
        self, account: str, time_range: TimeRange, columns: list[tuple[str, str]], token: str
    ) -> str:
        """Start a query for any of ``columns``; return its ID."""
        settings = self.settings
        table = f"{identifier(settings['database'])}.{identifier(settings['table'])}"
        either = " OR ".join(f"useridentity.{column} = ?" for column, _ in columns)
        statement = (
            f"SELECT {', '.join(_selected_fields())} FROM {table} "  # noqa: S608  (quoted)
            "WHERE recipientaccountid = ? AND eventtime >= ? AND eventtime <= ? "
            f"AND ({either}) ORDER BY eventtime DESC LIMIT {MOST_EVENTS}"
        )
        values = [account, iso(time_range.start), iso(time_range.end)]
        values += [value for _, value in columns]
        answer = self.client.start_query_execution(
            QueryString=statement,
            ExecutionParameters=[literal(value) for value in values],
            WorkGroup=settings["workgroup"],
            QueryExecutionContext={"Database": settings["database"]},
            ClientRequestToken=token,
        )
        return str(answer["QueryExecutionId"])

    def status(self, id: str) -> tuple[str, str]:
        """Return (state, reason) of a query."""
        status = self.client.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        return str(status["State"]), str(status.get("StateChangeReason") or "")

    def page(self, id: str, token: str) -> tuple[list[CloudTrailRecord], str]:
        """Return (CloudTrail records, token of the next page or empty)."""
        request: dict[str, object] = {"QueryExecutionId": id, "MaxResults": 1000}
        if token:
            request["NextToken"] = token
        answer = self.client.get_query_results(**request)
        results = answer["ResultSet"]
        names = [column["Name"] for column in results["ResultSetMetadata"]["ColumnInfo"]]
        rows = [[cell.get("VarCharValue") for cell in row["Data"]] for row in results["Rows"]]
        if not token and rows and rows[0] == names:
            rows = rows[1:]  # the first page begins with the columns' names
        records = [record(dict(zip(names, row, strict=False))) for row in rows]
        return records, str(answer.get("NextToken") or "")


def _selected_fields() -> list[str]:
    identity = [f"useridentity.{column} AS who_{column}" for column in _IDENTITY_COLUMNS]
    issuer = [
        f"useridentity.sessioncontext.sessionissuer.{column} AS issuer_{column}"
        for column in _ISSUER_COLUMNS
    ]
    return [*_RECORD_COLUMNS, *identity, *issuer]


class Lake:
    """Queries an event data store of CloudTrail Lake."""

    name = "CloudTrail Lake"

    def __init__(self, settings: LakeSettings) -> None:
        arn = str(settings["event_data_store_arn"])
        self.store = arn.rsplit("/", 1)[-1]
        self.client = clients.client("cloudtrail", arn.split(":")[3])

    def start(
        self, account: str, time_range: TimeRange, columns: list[tuple[str, str]], token: str
    ) -> str:
        """Start a query for any of ``columns``; return its ID. Lake takes no token."""
        either = " OR ".join(
            f"userIdentity.{column} = {literal(value)}" for column, value in columns
        )
        start, end = _timestamp(time_range.start), _timestamp(time_range.end + 1)
        statement = (
            f"SELECT eventJson FROM {self.store} "  # noqa: S608  (every value is a literal)
            f"WHERE recipientAccountId = {literal(account)} AND eventTime >= {literal(start)} "
            f"AND eventTime < {literal(end)} AND ({either}) "
            f"ORDER BY eventTime DESC LIMIT {MOST_EVENTS}"
        )
        return str(self.client.start_query(QueryStatement=statement)["QueryId"])

    def status(self, id: str) -> tuple[str, str]:
        """Return (state, reason) of a query."""
        answer = self.client.get_query_results(QueryId=id, MaxQueryResults=1)
        return str(answer["QueryStatus"]), str(answer.get("ErrorMessage") or "")

    def page(self, id: str, token: str) -> tuple[list[CloudTrailRecord], str]:
        """Return (CloudTrail records, token of the next page or empty)."""
        request: dict[str, object] = {"QueryId": id, "MaxQueryResults": 1000}
        if token:
            request["NextToken"] = token
        answer = self.client.get_query_results(**request)
        cells = [cell for row in answer.get("QueryResultRows", []) for cell in row]
        parsed = [_object(str(value)) for cell in cells for value in cell.values()]
        return [found for found in parsed if found], str(answer.get("NextToken") or "")


def _timestamp(seconds: int) -> str:
    return iso(seconds).replace("T", " ").removesuffix("Z")


def _object(text: str | None) -> dict[str, object]:
    """Return the JSON object in ``text``, {} for anything else."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def record(row: dict[str, str | None]) -> CloudTrailRecord:
    """Return the CloudTrail record that a row of the table was made of."""
    made: CloudTrailRecord = {}
    for column in _RECORD_COLUMNS:
        if value := row.get(column):
            is_json = column in _JSON_COLUMNS
            made[_SPELLING[column]] = (_object(value) or None) if is_json else value
    identity: dict[str, object] = {**_fields(row, "who_", _IDENTITY_COLUMNS)}
    if issuer := _fields(row, "issuer_", _ISSUER_COLUMNS):
        identity["sessionContext"] = {"sessionIssuer": issuer}
    return {**made, "userIdentity": identity}


def _fields(row: dict[str, str | None], prefix: str, columns: tuple[str, ...]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for column in columns:
        if value := row.get(f"{prefix}{column}"):
            fields[_SPELLING.get(column, column)] = value
    return fields


def source(settings: TrailQueryOption | None) -> Athena | Lake | None:
    """Return the service that the option ``trail_query`` names, or None."""
    if not settings:
        return None
    if settings.get("athena"):
        return Athena(settings["athena"])
    return Lake(settings["lake"])


def begin(
    columns: list[tuple[str, str]], keys: list[str], time_range: TimeRange, since: int
) -> TrailQuery:
    """Return a query for ``columns`` and the followed ``keys``, newer than ``since``."""
    values = list(dict.fromkeys([*columns, *(("accesskeyid", key) for key in keys)]))
    return {
        "left": [(column, value, since) for column, value in values],
        "known": [value for _, value in values],
        "whole": [time_range.start, time_range.end],
        "tries": 0,
        "pages": 0,
        "rows": 0,
    }


def advance(
    principal: TargetContext,
    source: Athena | Lake,
    query: TrailQuery,
    collection: EventCollection,
    until: float,
) -> int:
    """Do one function call's share; ``until``: of ``time.monotonic``.

    Returns the seconds after which to go on, 0 when everything is read. Raises QueryFailed.
    """
    try:
        while time.monotonic() < until:
            if not query.get("id") and not _start(principal, source, query, collection):
                return 0
            state, reason = source.status(query["id"])
            if state in RUNNING and time.time() - query["began"] < GIVE_UP_SECONDS:
                return POLL_SECONDS
            if state not in ENDED:
                text = f"query {query['id']} of {source.name} is {state} {reason}"
                raise QueryFailed(text[:400].strip())
            _read(source, query, collection, until)
            query["tries"] = 0
        return 1
    except AWS_ERRORS as error:
        query["tries"] += 1
        if not is_transient(error) or query["tries"] >= TRIES:
            id = f" (query {query['id']})" if query.get("id") else ""
            raise QueryFailed(f"{source.name} refused{id}: {describe_error(error)}") from error
        return POLL_SECONDS


def _start(
    principal: TargetContext, source: Athena | Lake, query: TrailQuery, collection: EventCollection
) -> bool:
    """Start the query for the next values; return False when there are none."""
    start, end = query["whole"]
    new_keys = [key for key in collection.followed if key not in query["known"]]
    query["left"] += [("accesskeyid", key, start) for key in new_keys]
    query["known"] += new_keys
    if not query["left"]:
        return False
    since = query["left"][0][2]
    batch = [value for value in query["left"] if value[2] == since][:BATCH]
    # The same token again after a lost answer: Athena returns the query that it has begun.
    identity = json.dumps([principal.context.incident_id, end, batch])
    token = hashlib.sha256(identity.encode()).hexdigest()
    columns = [(str(column), str(value)) for column, value, _ in batch]
    time_range = TimeRange(int(since), end)
    query["id"] = source.start(principal.target.account_id, time_range, columns, token)
    query["token"] = ""
    query["rows"] = 0
    query["began"] = int(time.time())
    query["left"] = [value for value in query["left"] if value not in batch]
    return True


def _read(
    source: Athena | Lake, query: TrailQuery, collection: EventCollection, until: float
) -> None:
    """Read the pages of the running query's answer."""
    file = source.name.lower().replace(" ", "-")
    while time.monotonic() < until:
        records, token = source.page(query["id"], query["token"])
        for found in records:
            collection.add(found, file)
        query["pages"] += 1
        query["rows"] += len(records)
        query["token"] = token
        if not token:
            if query["rows"] >= MOST_EVENTS or collection.progress["full"]:
                query["cut"] = f"truncated after {MOST_EVENTS} events, older events are missing"
            query["id"] = ""
            return
