"""The principal's calls by Athena instead of LookupEvents; an attacker chose the names in them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from botocore.stub import Stubber
from guardduty_response.aws import clients
from guardduty_response.cloudtrail.time_range import iso
from guardduty_response.playbooks.iam_principal.evidence import actions, trail_queries

from tests.unit.links import forget
from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    KEY,
    MEMBER,
    ROLE_ID,
    USER_ID,
    names,
    session,
)
from tests.unit.playbooks.iam_principal.evidence_lab import (
    HOME,
    EvidenceLab,
)
from tests.unit.playbooks.iam_principal.trail_query_stubs import (
    ATHENA,
    EVIL,
    NEXT_ID,
    AnyText,
    athena_expects,
    athena_rows,
    athena_started,
    athena_status,
    queried_by,
)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


@pytest.fixture
def athena(lab: EvidenceLab) -> Iterator[Stubber]:
    yield from queried_by(lab, ATHENA, clients.client("athena"))


def test_the_list_is_the_same_as_by_lookup_events(lab: EvidenceLab, athena: Stubber) -> None:
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
    statement = athena_started(athena)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [other, read, failed, made])
    part = lab.once(actions)
    by_athena, detail = lab.changes(), part.detail
    assert (part.outcome, lab.asked) == ("COMPLETE", [])
    assert "3 events of iam_user alice, 1 of them changes that succeeded, by Athena" in detail
    assert 'FROM "trails"."cloud""trail"' in statement.text
    assert statement.text.count("?") == 5
    forget(lab.record, evidence_lab.INCIDENT, lab.target.payload())
    lab.options["trail_query"] = None
    lab.once(actions)
    assert by_athena == lab.changes()
    assert names(by_athena[0]) == ["CreateUser"]


def test_what_is_asked_are_literals_apart_from_the_statement(
    lab: EvidenceLab, athena: Stubber
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
    lab.record.put_target(evidence_lab.INCIDENT, lab.target.reference())
    start, end = int(time.time()) - 600 - 86400, int(time.time())
    statement = AnyText()
    values = AnyText()
    athena_expects(athena, statement=statement, values=values)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [])
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
    assert values.text == str(expected)
    assert "OR '1" not in statement.text
    assert statement.text.endswith(
        "(useridentity.accesskeyid = ? OR useridentity.username = ?) ORDER BY eventtime DESC LIMIT"
        " 20000"
    )


def test_a_session_is_asked_for_by_its_role(lab: EvidenceLab, athena: Stubber) -> None:
    lab.stolen(name=EVIL)
    lab.record.put_target(evidence_lab.INCIDENT, lab.target.reference())
    values = AnyText()
    athena_expects(athena, values=values)
    athena_status(athena, "SUCCEEDED")
    own = lab.happened("CreateUser", who=session(EVIL))
    athena_rows(athena, [own, lab.happened("CreateUser", who=session("other", key="ASIAELSE"))])
    lab.once(actions)
    assert [event["eventID"] for event in lab.events("athena")] == [own["eventID"]]
    assert f"'{ROLE_ID}:x'' OR ''1''=''1'" in values.text.replace('"', "")


def test_a_session_whose_roles_id_the_finding_lacks(lab: EvidenceLab, athena: Stubber) -> None:
    lab.stolen(unique_id="")
    lab.details["principalId"] = ":i-0123456789abcdef0"
    lab.record.put_target(evidence_lab.INCIDENT, lab.target.reference())
    own = lab.happened("CreateUser", who=session("i-0123456789abcdef0", key="ASIARENEWED"))
    other = lab.happened("CreateUser", who=session("i-0123456789abcdef0", "other", key="ASIAOTHER"))
    values = AnyText()
    athena_expects(athena, values=values)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [own, other])
    lab.once(actions)
    assert [event["eventID"] for event in lab.events("athena")] == [own["eventID"]]
    assert f"'arn:aws:sts::{MEMBER}:assumed-role/app/i-0123456789abcdef0'" in values.text


def test_polled_over_calls_and_pages(lab: EvidenceLab, athena: Stubber) -> None:
    events = [lab.happened("CreateUser", 60 + index) for index in range(4)]
    athena_started(athena)
    athena_status(athena, "QUEUED")
    first = lab.once(actions)
    assert (first.outcome, first.wait_seconds) == ("RUNNING", trail_queries.POLL_SECONDS)
    athena_status(athena, "RUNNING")
    assert lab.once(actions).outcome == "RUNNING"
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, events[:2], more="page2")
    athena_rows(athena, events[2:], token="page2")
    assert lab.once(actions).outcome == "COMPLETE"
    assert len(lab.changes()[0]) == 4


def test_assumed_sessions_are_asked_for_by_a_further_query(
    lab: EvidenceLab, athena: Stubber
) -> None:
    athena_started(athena)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [lab.assumed("ASIAFOLLOWED")])
    values = AnyText()
    athena_expects(athena, id=NEXT_ID, values=values)
    athena_status(athena, "SUCCEEDED", id=NEXT_ID)
    athena_rows(
        athena,
        [lab.happened("DeleteTrail", who=session("s", "admin", "AROAADMIN", "ASIAFOLLOWED"))],
        id=NEXT_ID,
    )
    assert lab.once(actions).outcome == "COMPLETE"
    assert names(lab.changes()[0]) == ["DeleteTrail"]
    assert "'ASIAFOLLOWED'" in values.text


def test_a_second_pass_asks_for_what_is_new(lab: EvidenceLab, athena: Stubber) -> None:
    lab.options["repeat_minutes"] = 20
    first = lab.happened("CreateUser", 60)
    athena_started(athena)
    athena_status(athena, "SUCCEEDED")
    athena_rows(athena, [first])
    waiting = lab.once(actions)
    assert (waiting.outcome, waiting.state["listed"]) == ("RUNNING", 1)
    lab.ahead = 1201
    values = AnyText()
    athena_expects(athena, id=NEXT_ID, values=values)
    athena_status(athena, "SUCCEEDED", id=NEXT_ID)
    athena_rows(athena, [lab.happened("CreateRole", 30), first], id=NEXT_ID)
    assert lab.once(actions).outcome == "COMPLETE"
    assert [names(change) for change in lab.changes()] == [["CreateUser"], ["CreateRole"]]
    assert f"'{iso(waiting.state['window'][1] - 900)}'" in values.text
