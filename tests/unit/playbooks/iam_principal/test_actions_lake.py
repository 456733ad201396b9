"""The principal's calls by CloudTrail Lake instead of LookupEvents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.stub import ANY, Stubber
from guardduty_response.aws import clients
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.playbooks.iam_principal.evidence import actions, trail_queries

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    KEY,
    MEMBER,
    USER_ID,
    names,
    user,
)
from tests.unit.playbooks.iam_principal.evidence_lab import (
    HOME,
    EvidenceLab,
)
from tests.unit.playbooks.iam_principal.trail_query_stubs import (
    EVIL,
    ID,
    LAKE,
    STORE,
    AnyText,
    lake_rows,
    lake_status,
    queried_by,
)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


@pytest.fixture
def lake(lab: EvidenceLab) -> Iterator[Stubber]:
    yield from queried_by(lab, LAKE, clients.client("cloudtrail", HOME))


def test_lake_in_the_stores_region(lab: EvidenceLab, lake: Stubber) -> None:
    made = lab.happened(
        "CreateUser", 100, HOME, requestParameters={"userName": "m", "password": "S1"}
    )
    lab.happened("CreateRole", 90)
    statement = AnyText()
    lake.add_response("start_query", {"QueryId": ID}, {"QueryStatement": statement})
    lake_status(lake, "RUNNING")
    assert lab.once(actions).outcome == "RUNNING"
    lake_status(lake, "FINISHED")
    lake_rows(lake, [made], more="page2")
    lake_rows(
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
    assert statement.text == (
        f"SELECT eventJson FROM {STORE} "  # noqa: S608
        f"WHERE recipientAccountId = '{MEMBER}' AND eventTime >= '{start}' AND eventTime < '{end}' "
        f"AND (userIdentity.accesskeyid = '{KEY}' OR userIdentity.username = 'alice') "
        "ORDER BY eventTime DESC LIMIT 20000"
    )


def test_a_name_cannot_leave_its_quotes(lab: EvidenceLab, lake: Stubber) -> None:
    lab.details = {
        "accessKeyId": "",
        "principalId": USER_ID,
        "userType": "IAMUser",
        "userName": EVIL,
    }
    lab.id = EVIL
    lab.record.put_target(evidence_lab.INCIDENT, lab.target.reference())
    statement = AnyText()
    lake.add_response("start_query", {"QueryId": ID}, {"QueryStatement": statement})
    lake_status(lake, "FINISHED")
    lake_rows(lake, [])
    lab.once(actions)
    assert "AND (userIdentity.username = 'x'' OR ''1''=''1') ORDER BY" in statement.text


def test_a_failed_lake_query_falls_back(lab: EvidenceLab, lake: Stubber) -> None:
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
