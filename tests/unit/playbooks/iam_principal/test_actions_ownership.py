"""Whose events the list holds, which sessions are listed with it, and what is kept of a change."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from guardduty_response.playbooks.iam_principal import condense
from guardduty_response.playbooks.iam_principal.evidence import actions, event_collection

from tests.unit.playbooks.iam_principal import evidence_lab
from tests.unit.playbooks.iam_principal.cloudtrail_identities import (
    KEY,
    MEMBER,
    admin,
    names,
    session,
    user,
)
from tests.unit.playbooks.iam_principal.evidence_lab import (
    HOME,
    OTHER,
    PREFIX,
    REGION,
    EvidenceLab,
)

Json = dict[str, Any]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[EvidenceLab]:
    yield from evidence_lab.account(monkeypatch)


# -- whose events ----------------------------------------------------------------------------------


def test_a_users_calls_in_every_region_once_each(lab: EvidenceLab) -> None:
    lab.build()
    here = lab.happened("RunInstances", 300)
    lab.happened("GetCallerIdentity", 200, HOME)
    lab.happened("CreateUser", 100, HOME, user(key="ASIATEMPORARY"))
    lab.happened("DeleteTrail", 90, OTHER)
    lab.happened("DeleteTrail", 90, "eu-north-1")  # not asked: lookup_regions names another
    [part] = lab.collect(actions)
    assert part.outcome == "COMPLETE"
    assert lab.events(REGION) == [here]
    assert names(lab.events()) == ["RunInstances", "GetCallerIdentity", "CreateUser", "DeleteTrail"]
    assert [names(changes) for changes in lab.changes()] == [
        ["RunInstances", "CreateUser", "DeleteTrail"]
    ]
    assert {request["region"] for request in lab.asked} == {REGION, HOME, OTHER}
    assert {(request["key"], request["value"]) for request in lab.asked} == {
        ("AccessKeyId", KEY),
        ("Username", "alice"),
    }
    assert (
        "4 events of iam_user alice, 3 of them changes that succeeded, by LookupEvents in 3 Regions"
        in part.detail
    )


def test_events_of_others_that_bear_the_name_are_not_the_users(lab: EvidenceLab) -> None:
    lab.build()
    lab.happened("CreateUser", who=session("alice"))  # a session that somebody called so
    # a user of another account
    lab.happened("CreateUser", who=user(key="AKIAOTHER", accountId="999999999999"))
    mine = lab.happened("CreateRole", who=user(key=""))  # by the console, without a key
    lab.collect(actions)
    assert lab.events() == [mine]


def test_a_session_alone(lab: EvidenceLab) -> None:
    """By the role's unique id: another role's session may bear the same name, and the name may
    be used again.
    """
    lab.stolen().build()
    own = lab.happened("CreateUser", who=session("i-0123456789abcdef0"))
    renewed = lab.happened("CreateRole", 30, who=session("i-0123456789abcdef0", key="ASIARENEWED"))
    lab.happened(
        "CreateUser",
        who=session(
            "i-0123456789abcdef0",
            "other",
            "AROAOTHER00000000001",
            key="ASIAOTHER",
        ),
    )
    lab.happened("CreateUser", who=session("i-99999999999999999", key="ASIAELSE"))
    [part] = lab.collect(actions)
    assert lab.events() == [own, renewed]
    assert [change["session"] for change in lab.changes()[0]] == ["i-0123456789abcdef0"] * 2
    assert part.outcome == "COMPLETE"


def test_a_session_whose_roles_id_the_finding_lacks(lab: EvidenceLab) -> None:
    lab.stolen(unique_id="").build()
    lab.details = {**lab.details, "principalId": ":i-0123456789abcdef0"}
    own = lab.happened("CreateUser", who=session("i-0123456789abcdef0", key="ASIARENEWED"))
    lab.happened("CreateUser", who=session("i-0123456789abcdef0", "other", key="ASIAOTHER"))
    lab.collect(actions)
    assert lab.events() == [own]


def test_root_and_a_federated_user(lab: EvidenceLab) -> None:
    lab.build()
    lab.kind, lab.id, lab.details = (
        "root",
        "root",
        {"userType": "Root", "userName": "Root", "accessKeyId": ""},
    )
    lab.record.put_target(evidence_lab.INCIDENT, lab.target.reference())
    root = lab.happened(
        "CreateUser",
        who={"type": "Root", "principalId": MEMBER, "arn": f"arn:aws:iam::{MEMBER}:root"},
    )
    lab.happened("CreateUser", who=user("root", "AKIAELSE"))  # a user of that name
    lab.collect(actions)
    assert lab.events() == [root]
    lab.kind, lab.id, lab.details = (
        "federated_user",
        "bob",
        {"userType": "FederatedUser", "principalId": f"{MEMBER}:bob"},
    )
    lab.record.put_target(evidence_lab.INCIDENT, lab.target.reference())
    bob = lab.happened(
        "CreateUser",
        who={"type": "FederatedUser", "principalId": f"{MEMBER}:bob", "accessKeyId": "ASIABOB"},
    )
    lab.happened("CreateUser", who=session("bob"))
    lab.collect(actions)
    assert lab.events() == [bob]


def test_nothing_to_ask_by(lab: EvidenceLab) -> None:
    lab.kind, lab.id, lab.details = "unknown_principal", "unknown_principal", {}
    lab.build()
    [part] = lab.collect(actions)
    assert (part.outcome, lab.asked) == ("NOT_POSSIBLE", [])
    assert "aws cloudtrail lookup-events" in part.task


def test_switched_off(lab: EvidenceLab) -> None:
    lab.build().options["list_actions"] = False
    [part] = lab.collect(actions)
    assert (part.outcome, lab.asked, lab.stored()) == ("SKIPPED", [], {})


# -- changes ---------------------------------------------------------------------------------------


def test_what_is_a_change_and_what_is_kept_of_it(lab: EvidenceLab) -> None:
    lab.build()
    made = lab.happened(
        "CreateAccessKey",
        100,
        HOME,
        requestParameters={"userName": "mallory"},
        responseElements={"accessKey": {"accessKeyId": "AKIANEW", "userName": "mallory"}},
    )
    lab.happened("DeleteUser", 90, HOME, errorCode="AccessDenied")
    lab.happened(
        "ConsoleLogin",
        80,
        HOME,
        errorMessage="Failed authentication",
    )
    lab.happened("ListUsers", 70, HOME)
    lab.happened("StopInstances", 60, readOnly="false")
    lab.happened("DescribeInstances", 50, readOnly="true")
    lab.collect(actions)
    first, second = lab.changes()[0]
    assert first == {
        "id": made["eventID"],
        "at": made["eventTime"],
        "name": "CreateAccessKey",
        "source": "iam.amazonaws.com",
        "region": HOME,
        "account": MEMBER,
        "who": f"arn:aws:iam::{MEMBER}:user/alice",
        "key": KEY,
        "session": "",
        "from": "198.51.100.7",
        "agent": "aws-cli/2",
        "parameters": {"userName": "mallory"},
        "response": {"accessKey": {"accessKeyId": "AKIANEW", "userName": "mallory"}},
    }
    assert second["name"] == "StopInstances"
    assert len(lab.events()) == 6


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"readOnly": False}, True),
        ({"readOnly": "false"}, True),
        ({"readOnly": True}, False),
        ({"readOnly": "true"}, False),
        ({"readOnly": False, "errorCode": "AccessDenied"}, False),
        ({"readOnly": False, "errorMessage": "Failed authentication"}, False),
        ({"eventName": "DescribeInstances"}, False),
        ({"eventName": "RunInstances"}, True),
    ],
)
def test_what_counts_as_a_change(more: Json, expected: bool) -> None:
    assert condense.mutating({"eventName": "X", **more}) is expected


def test_what_the_response_itself_did_is_no_change(lab: EvidenceLab) -> None:
    role = f"{PREFIX}-responder-iam-principal"
    lab.stolen(role, "inc-1").build()
    lab.happened("AttachUserPolicy", who=session("inc-1", role))
    [part] = lab.collect(actions)
    assert (len(lab.events()), lab.changes(), part.state["mutating"]) == (1, [], 0)


def test_secrets_are_in_nothing_that_is_written(lab: EvidenceLab) -> None:
    lab.build()
    lab.happened(
        "CreateAccessKey",
        50,
        HOME,
        responseElements={"accessKey": {"accessKeyId": "AKIANEW", "secretAccessKey": "S1"}},
    )
    lab.happened(
        "CreateLoginProfile",
        40,
        HOME,
        requestParameters={"userName": "m", "password": "S1", "passwordResetRequired": False},
    )
    lab.happened(
        "ModifyDBInstance",
        30,
        requestParameters={"masterUserPassword": "S1", "list": [{"newPassword": "S1"}]},
    )
    lab.happened(
        "PutSecretValue",
        20,
        requestParameters={"secretId": "arn:x", "secretString": "S1", "secretBinary": "S1"},
    )
    lab.assumed("ASIAFOLLOWED")
    lab.collect(actions)
    written = {
        name: gzip.decompress(content) if name.endswith("gz") else content
        for name, content in lab.stored().items()
    }
    assert len(written) > 4
    for name, content in written.items():
        assert b'"S1"' not in content and b"TOKEN-IN-CLEAR" not in content, name
    profile = {change["name"]: change["parameters"] for change in lab.changes()[0]}
    assert profile["CreateLoginProfile"] == {"userName": "m", "passwordResetRequired": False}
    assert profile["PutSecretValue"] == {"secretId": "arn:x"}
    assert json.dumps(lab.kept("actions")).count("S1") == 0


def test_parameters_are_bounded(lab: EvidenceLab) -> None:
    lab.build()
    deep: Json = {"end": 1}
    for _ in range(60):
        deep = {"in": deep}
    lab.happened(
        "CreateFunction",
        50,
        requestParameters={
            "name": "f",
            "deep": deep,
            "many": list(range(5000)),
            "text": "x" * 90_000,
        },
    )
    lab.happened(
        "CreatePolicy",
        40,
        requestParameters={f"p{index}": "y" * 11_000 for index in range(150)} | {"name": "p"},
    )
    lab.collect(actions)
    long, short = lab.changes()[0]
    assert (long["parameters"]["name"], len(long["parameters"]["many"])) == ("f", 200)
    assert len(json.dumps(long)) < 70_000
    assert '"in"' in json.dumps(long["parameters"]["deep"]) and '"end"' not in json.dumps(
        long["parameters"]["deep"]
    )
    assert short["parameters"] == {"name": "p"}


def test_too_many_changes_are_counted_and_said(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.build()
    monkeypatch.setattr(event_collection, "MOST_CHANGES", 3)
    for index in range(5):
        lab.happened("CreateUser", 60 + index)
    [part] = lab.collect(actions)
    assert (len(lab.changes()[0]), len(lab.events()), part.outcome) == (3, 5, "PARTIAL")
    assert "2 changes beyond" in part.detail
    assert "actions/round-N" in part.task


# -- followed sessions -----------------------------------------------------------------------------


def test_sessions_that_a_user_assumed_are_listed_too(lab: EvidenceLab) -> None:
    lab.build()
    lab.assumed("ASIAFIRST", ago=500)
    # from one role into the next
    lab.assumed(
        "ASIASECOND",
        ago=400,
        region=OTHER,
        who=admin("ASIAFIRST"),
    )
    lab.happened("CreateUser", 300, HOME, admin("ASIAFIRST"))
    lab.happened("DeleteTrail", 200, REGION, admin("ASIASECOND"))
    # the same role and session name, by somebody else
    lab.happened("DeleteTrail", 100, REGION, admin("ASIAELSE"))
    [part] = lab.collect(actions)
    assert part.outcome == "COMPLETE"
    assert [(change["name"], change["key"], change["session"]) for change in lab.changes()[0]] == [
        ("CreateUser", "ASIAFIRST", "s"),
        ("DeleteTrail", "ASIASECOND", "s"),
    ]
    assert "with the calls of 2 sessions that it assumed" in part.detail
    assert [session["key"] for session in part.state["issued"]] == ["ASIAFIRST", "ASIASECOND"]
    links = {handed["key"]: handed["by"] for handed in part.state["handed_out"]}
    assert links == {"ASIAFIRST": lab.details["accessKeyId"], "ASIASECOND": "ASIAFIRST"}
    assert {handed["origin"] for handed in part.state["handed_out"]} == {"198.51.100.7"}


def test_a_session_of_another_account_is_said_with_the_command(lab: EvidenceLab) -> None:
    lab.build()
    lab.assumed("ASIAABROAD", "arn:aws:iam::999999999999:role/admin")
    [part] = lab.collect(actions)
    assert part.outcome == "PARTIAL"
    assert "in account 999999999999: aws cloudtrail lookup-events" in part.task
    assert "AttributeValue=ASIAABROAD" in part.task
    assert "ASIAABROAD" not in {request["value"] for request in lab.asked}


def test_what_a_session_assumed_is_said_and_not_followed(lab: EvidenceLab) -> None:
    """It is contained alone, so what it went on as is a person's question."""
    lab.stolen().build()
    lab.assumed("ASIANEXT", who=session("i-0123456789abcdef0"))
    lab.happened("CreateUser", who=admin("ASIANEXT"))
    [part] = lab.collect(actions)
    assert (part.outcome, names(lab.events())) == ("PARTIAL", ["AssumeRole"])
    assert "AttributeValue=ASIANEXT" in part.task


def test_only_so_many_sessions_are_followed(
    lab: EvidenceLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_collection, "MOST_FOLLOWED", 2)
    lab.build()
    for index in range(3):
        lab.assumed(f"ASIA{index}", ago=60 + index)
        lab.happened("CreateUser", 10 + index, who=admin(f"ASIA{index}"))
    [part] = lab.collect(actions)
    assert len(lab.changes()[0]) == 2
    assert part.outcome == "PARTIAL"
    assert "in this account: aws cloudtrail lookup-events" in part.task


def test_an_assumerole_that_failed_is_not_followed(lab: EvidenceLab) -> None:
    lab.build()
    lab.happened(
        "AssumeRole",
        errorCode="AccessDenied",
        requestParameters={"roleArn": "arn:aws:iam::1:role/x"},
    )
    [part] = lab.collect(actions)
    assert (part.outcome, part.state["issued"]) == ("COMPLETE", [])
