"""The principal's calls by a query over a trail's table (Athena) or an event data store (CloudTrail
Lake).

Asked with the function's own role, in the security account, instead of LookupEvents. Names of users
and sessions are chosen by whoever made the calls: every value is a quoted SQL string. Athena takes
them apart from the statement (``ExecutionParameters``, each a literal: Athena User Guide,
"EXECUTE"); Lake's ``QueryParameters`` serve its dashboards alone (CloudTrail API Reference,
StartQuery), so they stand in the statement.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.cloudtrail.time_range import TimeRange, iso
from guardduty_response.containment.target_context import AWS_ERRORS, TargetContext, describe_error
from guardduty_response.evidence.items import Json
from guardduty_response.playbooks.iam_principal.evidence.event_collection import MOST_EVENTS, Found

BATCH = 8  # values a query asks for
GIVE_UP_SECONDS = 30 * 60  # of one query
POLL_SECONDS = 5
TRIES = 5  # throttled answers in a row
ENDED = ("SUCCEEDED", "FINISHED")
RUNNING = ("QUEUED", "RUNNING")
# The columns of the table that Amazon Athena User Guide, "Create a table for CloudTrail logs",
# makes.
_WHO = ("type", "principalid", "arn", "accountid", "accesskeyid", "username", "invokedby")
_ISSUER = ("type", "principalid", "arn", "accountid", "username")
_PLAIN = (
    "eventid",
    "eventtime",
    "eventname",
    "eventsource",
    "eventtype",
    "awsregion",
    "recipientaccountid",
    "sourceipaddress",
    "useragent",
    "errorcode",
    "errormessage",
    "readonly",
    "requestid",
    "requestparameters",
    "responseelements",
    "additionaleventdata",
)
# CloudTrail's own spelling of what the table has in lower case.
_SPELT = {
    "eventid": "eventID",
    "eventtime": "eventTime",
    "eventname": "eventName",
    "eventsource": "eventSource",
    "eventtype": "eventType",
    "awsregion": "awsRegion",
    "recipientaccountid": "recipientAccountId",
    "sourceipaddress": "sourceIPAddress",
    "useragent": "userAgent",
    "errorcode": "errorCode",
    "errormessage": "errorMessage",
    "readonly": "readOnly",
    "requestid": "requestID",
    "requestparameters": "requestParameters",
    "responseelements": "responseElements",
    "additionaleventdata": "additionalEventData",
    "principalid": "principalId",
    "accountid": "accountId",
    "accesskeyid": "accessKeyId",
    "username": "userName",
    "invokedby": "invokedBy",
}
_JSON = ("requestparameters", "responseelements", "additionaleventdata")


class QueryFailed(Exception):
    """The text says which query, and why."""


def literal(value: str) -> str:
    """A SQL string: only a quote ends one, and two stand for one of its own (Trino, which both
    services speak).
    """
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Athena:
    name = "Athena"

    def __init__(self, settings: Json) -> None:
        self.settings, self.client = settings, clients.client("athena")

    def start(
        self, account: str, window: TimeRange, asked: list[tuple[str, str]], token: str
    ) -> str:
        fields = [
            *_PLAIN,
            *(f"useridentity.{one} AS who_{one}" for one in _WHO),
            *(
                f"useridentity.sessioncontext.sessionissuer.{one} AS issuer_{one}"
                for one in _ISSUER
            ),
        ]
        table = f"{identifier(self.settings['database'])}.{identifier(self.settings['table'])}"
        either = " OR ".join(f"useridentity.{column} = ?" for column, _ in asked)
        statement = (
            f"SELECT {', '.join(fields)} FROM {table} "  # noqa: S608
            "WHERE recipientaccountid = ? AND eventtime >= ? AND eventtime <= ? "
            f"AND ({either}) ORDER BY eventtime DESC LIMIT {MOST_EVENTS}"
        )
        values = [account, iso(window.start), iso(window.end), *(value for _, value in asked)]
        return str(
            self.client.start_query_execution(
                QueryString=statement,
                ExecutionParameters=[literal(value) for value in values],
                WorkGroup=self.settings["workgroup"],
                QueryExecutionContext={"Database": self.settings["database"]},
                ClientRequestToken=token,
            )["QueryExecutionId"]
        )

    def status(self, id: str) -> tuple[str, str]:
        got = self.client.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]
        return str(got["State"]), str(got.get("StateChangeReason") or "")

    def page(self, id: str, token: str) -> tuple[list[Json], str]:
        got = self.client.get_query_results(
            QueryExecutionId=id, MaxResults=1000, **({"NextToken": token} if token else {})
        )
        names = [one["Name"] for one in got["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
        rows = [
            [cell.get("VarCharValue") for cell in row["Data"]] for row in got["ResultSet"]["Rows"]
        ]
        if not token and rows and rows[0] == names:
            rows = rows[1:]  # the first page begins with the columns' names
        return [record(dict(zip(names, row, strict=False))) for row in rows], str(
            got.get("NextToken") or ""
        )


class Lake:
    name = "CloudTrail Lake"

    def __init__(self, settings: Json) -> None:
        arn = str(settings["event_data_store_arn"])
        self.store, self.client = (
            arn.rsplit("/", 1)[-1],
            clients.client("cloudtrail", arn.split(":")[3]),
        )

    def start(
        self, account: str, window: TimeRange, asked: list[tuple[str, str]], token: str
    ) -> str:
        either = " OR ".join(f"userIdentity.{column} = {literal(value)}" for column, value in asked)
        start, end = (
            iso(at).replace("T", " ").removesuffix("Z") for at in (window.start, window.end + 1)
        )
        statement = (
            f"SELECT eventJson FROM {self.store} "  # noqa: S608
            f"WHERE recipientAccountId = {literal(account)} AND eventTime >= {literal(start)} "
            f"AND eventTime < {literal(end)} AND ({either}) "
            f"ORDER BY eventTime DESC LIMIT {MOST_EVENTS}"
        )
        return str(self.client.start_query(QueryStatement=statement)["QueryId"])

    def status(self, id: str) -> tuple[str, str]:
        got = self.client.get_query_results(QueryId=id, MaxQueryResults=1)
        return str(got["QueryStatus"]), str(got.get("ErrorMessage") or "")

    def page(self, id: str, token: str) -> tuple[list[Json], str]:
        more = {"NextToken": token} if token else {}
        got = self.client.get_query_results(QueryId=id, MaxQueryResults=1000, **more)
        rows = [
            str(value)
            for row in got.get("QueryResultRows", [])
            for cell in row
            for value in cell.values()
        ]
        return [one for one in map(_object, rows) if one], str(got.get("NextToken") or "")


def _object(text: Any) -> Json:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def record(row: Json) -> Json:
    """A row of the table as the CloudTrail record it was made of."""
    made: Json = {
        _SPELT[name]: _object(row[name]) or None if name in _JSON else row[name]
        for name in _PLAIN
        if row.get(name)
    }
    who = {_SPELT.get(name, name): row[f"who_{name}"] for name in _WHO if row.get(f"who_{name}")}
    if issuer := {
        _SPELT.get(name, name): row[f"issuer_{name}"]
        for name in _ISSUER
        if row.get(f"issuer_{name}")
    }:
        who["sessionContext"] = {"sessionIssuer": issuer}
    return {**made, "userIdentity": who}


def source(settings: Json | None) -> Athena | Lake | None:
    """What ``trail_query`` names, or None."""
    if not settings:
        return None
    return Athena(settings["athena"]) if settings.get("athena") else Lake(settings["lake"])


def begin(asked: list[tuple[str, str]], keys: list[str], whole: TimeRange, since: int) -> Json:
    """{left: [[column, value, since]], known: values, whole: the window, id?, token?, began?,
    tries, pages, rows, cut?}

    ``asked`` and the followed ``keys`` are asked for what is newer than ``since``.
    """
    values = list(dict.fromkeys([*asked, *(("accesskeyid", key) for key in keys)]))
    return {
        "left": [[column, value, since] for column, value in values],
        "known": [value for _, value in values],
        "whole": [whole.start, whole.end],
        "tries": 0,
        "pages": 0,
        "rows": 0,
    }


def ask(
    principal: TargetContext, source: Athena | Lake, query: Json, found: Found, until: float
) -> int:
    """One function call's share. Returns the seconds after which to go on, 0 when all is
    answered. Raises QueryFailed.
    """
    try:
        while time.monotonic() < until:
            if not query.get("id") and not _start(principal, source, query, found):
                return 0
            state, reason = source.status(query["id"])
            if state in RUNNING and time.time() - query["began"] < GIVE_UP_SECONDS:
                return POLL_SECONDS
            if state not in ENDED:
                raise QueryFailed(
                    f"query {query['id']} of {source.name} is {state} {reason}"[:400].strip()
                )
            _read(source, query, found, until)
            query["tries"] = 0
        return 1
    except AWS_ERRORS as error:
        query["tries"] += 1
        if not is_transient(error) or query["tries"] >= TRIES:
            at = f" (query {query['id']})" if query.get("id") else ""
            raise QueryFailed(f"{source.name} refused{at}: {describe_error(error)}") from error
        return POLL_SECONDS


def _start(principal: TargetContext, source: Athena | Lake, query: Json, found: Found) -> bool:
    """Starts the query for the next values; False when there are none left."""
    start, end = query["whole"]
    fresh = [key for key in found.followed if key not in query["known"]]
    query["left"] += [["accesskeyid", key, start] for key in fresh]
    query["known"] += fresh
    batch = [one for one in query["left"] if one[2] == query["left"][0][2]][:BATCH]
    if not batch:
        return False
    # Repeated after a lost answer, Athena gives the query it has begun.
    token = hashlib.sha256(
        json.dumps([principal.context.incident_id, end, batch]).encode()
    ).hexdigest()
    asked = [(str(column), str(value)) for column, value, _ in batch]
    id = source.start(principal.target.account_id, TimeRange(int(batch[0][2]), end), asked, token)
    left = [one for one in query["left"] if one not in batch]
    query |= {"id": id, "token": "", "rows": 0, "began": int(time.time()), "left": left}
    return True


def _read(source: Athena | Lake, query: Json, found: Found, until: float) -> None:
    while time.monotonic() < until:
        records, token = source.page(query["id"], query["token"])
        for one in records:
            found.take(one, source.name.lower().replace(" ", "-"))
        query["pages"] += 1
        query |= {"rows": query["rows"] + len(records), "token": token}
        if not token:
            if query["rows"] >= MOST_EVENTS or found.progress["full"]:
                query["cut"] = f"cut off after {MOST_EVENTS} events, older ones were left"
            query["id"] = ""
            return
