"""The principal's calls by Athena or CloudTrail Lake instead of LookupEvents; names in them are an
attacker's choice.

moto runs no SQL: both services are botocore Stubbers here, which check every parameter against the
service's model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from guardduty_response.aws import clients
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.playbooks.iam_principal.evidence import actions, trail_queries

from tests.unit.playbooks.iam_principal import collect_lab
from tests.unit.playbooks.iam_principal.collect_lab import (
    HOME,
    KEY,
    MEMBER,
    REGION,
    ROLE_ID,
    USER_ID,
    CollectLab,
    names,
    session,
    user,
)

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


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectLab]:
    yield from collect_lab.account(monkeypatch)


@pytest.fixture
def athena(lab: CollectLab) -> Iterator[Stubber]:
    lab.build().options["trail_query"] = ATHENA
    with Stubber(clients.client("athena")) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def lake(lab: CollectLab) -> Iterator[Stubber]:
    lab.build().options["trail_query"] = LAKE
    with Stubber(clients.client("cloudtrail", HOME)) as stub:
        yield stub
        stub.assert_no_pending_responses()


# -- Athena ----------------------------------------------------------------------------------------


class Question:
    """Any statement; what it was is kept."""

    text = ""

    def __eq__(self, other: object) -> bool:
        self.text = str(other)
        return True

    __hash__ = None  # type: ignore[assignment]


def started(stub: Stubber, values: list[str] | None, id: str = ID) -> Question:
    question = Question()
    stub.add_response(
        "start_query_execution",
        {"QueryExecutionId": id},
        {
            "QueryString": question,
            "ExecutionParameters": values or ANY,
            "WorkGroup": "security",
            "QueryExecutionContext": {"Database": "trails"},
            "ClientRequestToken": ANY,
        },
    )
    return question


def status(stub: Stubber, state: str, reason: str = "", id: str = ID) -> None:
    answer: Json = {
        "QueryExecution": {
            "Status": {"State": state, **({"StateChangeReason": reason} if reason else {})}
        }
    }
    stub.add_response("get_query_execution", answer, {"QueryExecutionId": id})


def row(record: Json) -> Json:
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


def rows(stub: Stubber, records: list[Json], token: str = "", more: str = "", id: str = ID) -> None:
    columns = sorted({name for one in records for name in row(one)} | {"eventid"})
    data = [
        {
            "Data": [
                {"VarCharValue": str(row(one)[name])} if row(one).get(name) is not None else {}
                for name in columns
            ]
        }
        for one in records
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


def test_the_list_is_the_same_as_by_lookup_events(lab: CollectLab, athena: Stubber) -> None:
    made = lab.happened(
        "CreateUser",
        100,
        HOME,
        requestParameters={"userName": "m"},
        responseElements={"user": {"userId": "AIDAM"}},
    )
    failed = lab.happened("DeleteUser", 90, HOME, errorCode="AccessDenied")
    read = lab.happened("ListUsers", 80, HOME)
    # as the table may answer it: of the same name
    other = lab.happened("CreateUser", 70, HOME, session("alice"))
    question = started(athena, None)
    status(athena, "SUCCEEDED")
    rows(athena, [other, read, failed, made])
    part = lab.once(actions)
    by_athena, said = lab.changes(), part.detail
    assert (part.outcome, lab.asked) == ("COMPLETE", [])
    assert "3 events of iam_user alice, 1 of them changes that succeeded, by Athena" in said
    assert 'FROM "trails"."cloud""trail"' in question.text
    assert question.text.count("?") == 5
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload(), reset=True)
    lab.options["trail_query"] = None
    lab.once(actions)
    assert by_athena == lab.changes()
    assert names(by_athena[0]) == ["CreateUser"]


def test_what_is_asked_are_literals_apart_from_the_statement(
    lab: CollectLab, athena: Stubber
) -> None:
    """The window, the account, the key and the name, in that order; a quote in a name is
    doubled.
    """
    lab.details = {
        "accessKeyId": KEY,
        "principalId": USER_ID,
        "userType": "IAMUser",
        "userName": EVIL,
    }
    lab.id = EVIL
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload())
    start, end = int(collect_lab.time.time()) - 600 - 86400, int(collect_lab.time.time())
    question = Question()
    asked = Question()
    athena.add_response(
        "start_query_execution",
        {"QueryExecutionId": ID},
        {
            "QueryString": question,
            "ExecutionParameters": asked,
            "WorkGroup": "security",
            "QueryExecutionContext": {"Database": "trails"},
            "ClientRequestToken": ANY,
        },
    )
    status(athena, "SUCCEEDED")
    rows(athena, [])
    part = lab.once(actions)
    window = part.state["window"]
    assert abs(window[0] - start) <= 2 and abs(window[1] - end) <= 2
    expected = [
        f"'{MEMBER}'",
        f"'{iso(window[0])}'",
        f"'{iso(window[1])}'",
        f"'{KEY}'",
        "'x'' OR ''1''=''1'",
    ]
    assert asked.text == str(expected)
    assert "OR '1" not in question.text
    assert question.text.endswith(
        "(useridentity.accesskeyid = ? OR useridentity.username = ?) ORDER BY eventtime DESC LIMIT"
        " 20000"
    )


def test_a_session_is_asked_for_by_its_role(lab: CollectLab, athena: Stubber) -> None:
    lab.stolen(name=EVIL)
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload())
    asked = Question()
    athena.add_response(
        "start_query_execution",
        {"QueryExecutionId": ID},
        {
            "QueryString": ANY,
            "ExecutionParameters": asked,
            "WorkGroup": "security",
            "QueryExecutionContext": ANY,
            "ClientRequestToken": ANY,
        },
    )
    status(athena, "SUCCEEDED")
    own = lab.happened("CreateUser", who=session(EVIL))
    rows(athena, [own, lab.happened("CreateUser", who=session("other", key="ASIAELSE"))])
    lab.once(actions)
    assert [one["eventID"] for one in lab.events("athena")] == [own["eventID"]]
    assert f"'{ROLE_ID}:x'' OR ''1''=''1'" in asked.text.replace('"', "")


def test_a_session_whose_roles_id_the_finding_lacks(lab: CollectLab, athena: Stubber) -> None:
    lab.stolen(unique_id="")
    lab.details["principalId"] = ":i-0123456789abcdef0"
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload())
    own = lab.happened("CreateUser", who=session("i-0123456789abcdef0", key="ASIARENEWED"))
    other = lab.happened("CreateUser", who=session("i-0123456789abcdef0", "other", key="ASIAOTHER"))
    asked = Question()
    athena.add_response(
        "start_query_execution",
        {"QueryExecutionId": ID},
        {
            "QueryString": ANY,
            "ExecutionParameters": asked,
            "WorkGroup": ANY,
            "QueryExecutionContext": ANY,
            "ClientRequestToken": ANY,
        },
    )
    status(athena, "SUCCEEDED")
    rows(athena, [own, other])
    lab.once(actions)
    assert [one["eventID"] for one in lab.events("athena")] == [own["eventID"]]
    assert f"'arn:aws:sts::{MEMBER}:assumed-role/app/i-0123456789abcdef0'" in asked.text


def test_polled_over_calls_and_pages(lab: CollectLab, athena: Stubber) -> None:
    events = [lab.happened("CreateUser", 60 + index) for index in range(4)]
    started(athena, None)
    status(athena, "QUEUED")
    first = lab.once(actions)
    assert (first.outcome, first.wait_seconds) == ("RUNNING", trail_queries.POLL_SECONDS)
    status(athena, "RUNNING")
    assert lab.once(actions).outcome == "RUNNING"
    status(athena, "SUCCEEDED")
    rows(athena, events[:2], more="page2")
    rows(athena, events[2:], token="page2")
    assert lab.once(actions).outcome == "COMPLETE"
    assert len(lab.changes()[0]) == 4


def test_assumed_sessions_are_asked_for_by_a_further_query(
    lab: CollectLab, athena: Stubber
) -> None:
    started(athena, None)
    status(athena, "SUCCEEDED")
    rows(athena, [lab.assumed("ASIAFOLLOWED")])
    asked = Question()
    athena.add_response(
        "start_query_execution",
        {"QueryExecutionId": NEXT_ID},
        {
            "QueryString": ANY,
            "ExecutionParameters": asked,
            "WorkGroup": ANY,
            "QueryExecutionContext": ANY,
            "ClientRequestToken": ANY,
        },
    )
    status(athena, "SUCCEEDED", id=NEXT_ID)
    rows(
        athena,
        [lab.happened("DeleteTrail", who=session("s", "admin", "AROAADMIN", "ASIAFOLLOWED"))],
        id=NEXT_ID,
    )
    assert lab.once(actions).outcome == "COMPLETE"
    assert names(lab.changes()[0]) == ["DeleteTrail"]
    assert "'ASIAFOLLOWED'" in asked.text


def test_a_second_round_asks_for_what_is_new(lab: CollectLab, athena: Stubber) -> None:
    lab.options["repeat_minutes"] = 20
    first = lab.happened("CreateUser", 60)
    started(athena, None)
    status(athena, "SUCCEEDED")
    rows(athena, [first])
    waiting = lab.once(actions)
    assert (waiting.outcome, waiting.state["listed"]) == ("RUNNING", 1)
    lab.ahead = 1201
    asked = Question()
    athena.add_response(
        "start_query_execution",
        {"QueryExecutionId": NEXT_ID},
        {
            "QueryString": ANY,
            "ExecutionParameters": asked,
            "WorkGroup": ANY,
            "QueryExecutionContext": ANY,
            "ClientRequestToken": ANY,
        },
    )
    status(athena, "SUCCEEDED", id=NEXT_ID)
    rows(athena, [lab.happened("CreateRole", 30), first], id=NEXT_ID)
    assert lab.once(actions).outcome == "COMPLETE"
    assert [names(one) for one in lab.changes()] == [["CreateUser"], ["CreateRole"]]
    assert f"'{iso(waiting.state['window'][1] - 900)}'" in asked.text


def test_a_query_that_fails_falls_back_to_lookup_events(lab: CollectLab, athena: Stubber) -> None:
    lab.happened("CreateUser")
    started(athena, None)
    status(athena, "FAILED", "TABLE_NOT_FOUND: line 1:8")
    part = lab.once(actions)
    assert part.outcome == "PARTIAL"
    assert names(lab.changes()[0]) == ["CreateUser"]
    assert {one["region"] for one in lab.asked} >= {REGION, HOME}
    assert (
        f"trail_query failed (query {ID} of Athena is FAILED TABLE_NOT_FOUND: line 1:8)"
        in part.detail
    )
    assert "repair playbooks.iam_principal.trail_query" in part.task


def test_a_query_that_failed_is_not_asked_again(lab: CollectLab, athena: Stubber) -> None:
    lab.options["repeat_minutes"] = 20
    started(athena, None)
    status(athena, "FAILED", "TABLE_NOT_FOUND")
    lab.once(actions)
    lab.ahead = 1201
    lab.happened("CreateUser", 5)
    part = lab.once(actions)
    assert (part.outcome, part.state["listed"]) == ("PARTIAL", 2)
    assert "TABLE_NOT_FOUND" in part.state["fell_back"] and "TABLE_NOT_FOUND" in part.detail
    assert names(lab.changes()[0]) == ["CreateUser"]


def test_a_query_that_is_refused_falls_back(lab: CollectLab, athena: Stubber) -> None:
    lab.happened("CreateUser")
    athena.add_client_error("start_query_execution", "AccessDeniedException", "not authorized")
    part = lab.once(actions)
    assert "Athena refused: AccessDeniedException: not authorized" in part.detail
    assert names(lab.changes()[0]) == ["CreateUser"]


def test_throttling_is_asked_again_before_falling_back(lab: CollectLab, athena: Stubber) -> None:
    athena.add_client_error("start_query_execution", "TooManyRequestsException", "slow down", 400)
    assert lab.once(actions).outcome == "RUNNING"
    assert lab.asked == []
    started(athena, None)
    status(athena, "SUCCEEDED")
    rows(athena, [])
    assert lab.once(actions).outcome == "COMPLETE"


def test_a_query_that_never_ends_is_given_up(lab: CollectLab, athena: Stubber) -> None:
    started(athena, None)
    status(athena, "RUNNING")
    lab.once(actions)
    lab.ahead = trail_queries.GIVE_UP_SECONDS + 1
    status(athena, "RUNNING")
    assert "is RUNNING" in lab.once(actions).detail
    assert lab.asked


def test_a_call_that_died_goes_on_with_the_query_it_had_begun(
    lab: CollectLab, athena: Stubber
) -> None:
    """Athena gives the same query for the same token, so the token must be the same."""
    athena.add_client_error("start_query_execution", "TooManyRequestsException", "slow down", 400)
    lab.once(actions)
    tokens = []
    for keep in (False, True):
        token = Question()
        athena.add_response(
            "start_query_execution",
            {"QueryExecutionId": ID},
            {
                "QueryString": ANY,
                "ExecutionParameters": ANY,
                "WorkGroup": ANY,
                "QueryExecutionContext": ANY,
                "ClientRequestToken": token,
            },
        )
        status(athena, "RUNNING")
        lab.ahead += 10
        lab.once(actions, keep=keep)
        tokens.append(token.text)
    assert tokens[0] == tokens[1]
    assert 32 <= len(tokens[0]) <= 128


def test_what_the_bound_cuts_off_is_said(
    lab: CollectLab, athena: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_queries, "MOST_EVENTS", 2)
    started(athena, None)
    status(athena, "SUCCEEDED")
    rows(athena, [lab.happened("CreateUser", 60 + index) for index in range(2)])
    part = lab.once(actions)
    assert (part.outcome, len(lab.changes()[0])) == ("PARTIAL", 2)
    assert "Athena: cut off after 2 events" in part.detail


def test_what_fills_the_bound_but_for_the_columns_names_is_whole(
    lab: CollectLab, athena: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_queries, "MOST_EVENTS", 2)
    started(athena, None)
    status(athena, "SUCCEEDED")
    rows(athena, [lab.happened("CreateUser")])
    assert lab.once(actions).outcome == "COMPLETE"


# -- CloudTrail Lake -------------------------------------------------------------------------------


def answered(stub: Stubber, records: list[Json], more: str = "", token: str = "") -> None:
    answer: Json = {
        "QueryStatus": "FINISHED",
        "QueryResultRows": [[{"eventJson": json.dumps(one)}] for one in records],
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


def test_lake_in_the_stores_region(lab: CollectLab, lake: Stubber) -> None:
    made = lab.happened(
        "CreateUser", 100, HOME, requestParameters={"userName": "m", "password": "S1"}
    )
    lab.happened("CreateRole", 90)
    question = Question()
    lake.add_response("start_query", {"QueryId": ID}, {"QueryStatement": question})
    lake_status(lake, "RUNNING")
    assert lab.once(actions).outcome == "RUNNING"
    lake_status(lake, "FINISHED")
    answered(lake, [made], more="page2")
    answered(
        lake,
        [lab.trail[1]["record"], lab.happened("CreateUser", who=user("bob", "AKIABOB"))],
        token="page2",
    )
    part = lab.once(actions)
    assert (part.outcome, lab.asked) == ("COMPLETE", [])
    assert names(lab.changes()[0]) == ["CreateUser", "CreateRole"]
    assert lab.changes()[0][0]["parameters"] == {"userName": "m"}
    assert lab.events("cloudtrail-lake")[0]["eventID"] == made["eventID"]
    start, end = (
        iso(at).replace("T", " ").removesuffix("Z")
        for at in (part.state["window"][0], part.state["window"][1] + 1)
    )
    assert question.text == (
        f"SELECT eventJson FROM {STORE} "  # noqa: S608
        f"WHERE recipientAccountId = '{MEMBER}' AND eventTime >= '{start}' AND eventTime < '{end}' "
        f"AND (userIdentity.accesskeyid = '{KEY}' OR userIdentity.username = 'alice') "
        "ORDER BY eventTime DESC LIMIT 20000"
    )


def test_a_name_cannot_leave_its_quotes(lab: CollectLab, lake: Stubber) -> None:
    lab.details = {
        "accessKeyId": "",
        "principalId": USER_ID,
        "userType": "IAMUser",
        "userName": EVIL,
    }
    lab.id = EVIL
    lab.record.put_target(collect_lab.INCIDENT, lab.target.payload())
    question = Question()
    lake.add_response("start_query", {"QueryId": ID}, {"QueryStatement": question})
    lake_status(lake, "FINISHED")
    answered(lake, [])
    lab.once(actions)
    assert "AND (userIdentity.username = 'x'' OR ''1''=''1') ORDER BY" in question.text


def test_a_failed_lake_query_falls_back(lab: CollectLab, lake: Stubber) -> None:
    lab.happened("CreateUser")
    lake.add_response("start_query", {"QueryId": ID}, {"QueryStatement": ANY})
    lake_status(lake, "FAILED", "column not found")
    part = lab.once(actions)
    assert (
        f"trail_query failed (query {ID} of CloudTrail Lake is FAILED column not found)"
        in part.detail
    )
    assert names(lab.changes()[0]) == ["CreateUser"]


@pytest.mark.parametrize(
    "text", ["", "'", "''", "a'b", "\\'", "'; DROP TABLE x --", "\N{FULLWIDTH APOSTROPHE}"]
)
def test_a_literal_ends_only_where_it_ends(text: str) -> None:
    """Read back by SQL's rule: a quote within is two quotes."""
    made = trail_queries.literal(text)
    assert made[0] == made[-1] == "'"
    inner, index, read = made[1:-1], 0, ""
    while index < len(inner):
        if inner[index] == "'":
            assert inner[index + 1 : index + 2] == "'", "the literal ends early"
            index += 1
        read, index = read + inner[index], index + 1
    assert read == text
