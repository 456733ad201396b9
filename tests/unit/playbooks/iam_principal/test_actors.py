"""Who undid a containment: the questions CloudTrail is asked, and the calls that count."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from guardduty_response.cloudtrail.event import CloudTrailRecord
from guardduty_response.containment.contract import Check, Target
from guardduty_response.incident.model import ChangeEvent
from guardduty_response.playbooks.iam_principal import actors, playbook, user
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl

from tests.support.repository import ROOT
from tests.unit.playbooks.iam_principal.cloudtrail_identities import session as identity
from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_account import REGION, Json
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME, MEMBER

DENIAL = Check("deny_all", False, "not everything denied", fatal=True)


@pytest.fixture
def contained(iam: IamLab) -> IamLab:
    target = iam.user(keys=1).plan()
    iam.respond(target)
    iam.ids["since"] = iam.record.target(
        "inc-0123456789abcdef",
        target.kind,
        target.id,
    )["actions"]["deny_all"]["at"]
    iam.clock_offset += 600
    return iam


def bob() -> CloudTrailRecord:
    return {**user_identity("bob", "AKIABOB0000000000001"), "principalId": "AIDABOB0000000000001"}


def find_actors(
    iam: IamLab, *failed_checks: Check, seen: ChangeEvent | None = None, watched: Iterable[str] = ()
) -> list[ChangeEvent]:
    target: Target = iam.ids["target"]
    return playbook.find_actors(
        iam.context(), target, list(failed_checks), iam.ids["since"], seen, list(watched)
    )


def add_event(
    iam: IamLab,
    name: str,
    caller: CloudTrailRecord | None = None,
    ago: float = 60,
    region: str = HOME,
    **more: Any,
) -> CloudTrailRecord:
    return iam.add_event(
        name,
        caller or bob(),
        ago=ago,
        region=region,
        **more,
    )


def test_who_detached_the_denial(contained: IamLab) -> None:
    trail = add_event(
        contained, "DetachUserPolicy", requestParameters={"userName": "alice", "policyArn": "x"}
    )
    [found] = find_actors(contained, DENIAL)
    assert found == {
        "who": f"arn:aws:iam::{MEMBER}:user/bob",
        "what": "DetachUserPolicy",
        "when": trail["eventTime"],
        "from": "198.51.100.7",
        "agent": "aws-cli/2",
        "event_id": trail["eventID"],
    }


def test_who_gave_the_name_in_another_case(contained: IamLab) -> None:
    """Names are not distinguished by case, as IAM has it."""
    add_event(contained, "DetachUserPolicy", requestParameters={"userName": "ALICE"})
    assert [found["what"] for found in find_actors(contained, DENIAL)] == ["DetachUserPolicy"]


def test_iams_events_are_asked_where_they_are(contained: IamLab) -> None:
    add_event(
        contained,
        "DetachUserPolicy",
        region=REGION,
        requestParameters={"userName": "alice"},
    )
    assert find_actors(contained, DENIAL) == []
    assert {
        call.region for call in contained.calls if call.operation == "LookupEvents" and call.policy
    } >= {HOME}


@pytest.mark.parametrize(
    "other", ["earlier", "refused", "another user's", "another call", "the response itself"]
)
def test_what_has_not_undone_it_is_left_out(contained: IamLab, other: str) -> None:
    more: Json = {"requestParameters": {"userName": "alice"}}
    name = "DetachUserPolicy"
    if other == "earlier":
        more["ago"] = 3600
    elif other == "refused":
        more["errorCode"] = "AccessDenied"
    elif other == "another user's":
        more["requestParameters"] = {"userName": "carol"}
    elif other == "another call":
        name = "AttachUserPolicy"
    else:
        more["caller"] = identity(
            "inc", "guardduty-response-responder-iam-principal", "AROARESPONDER00000001"
        )
    add_event(contained, name, **more)
    assert find_actors(contained, DENIAL) == []


@pytest.mark.parametrize(
    ("check", "call", "parameters"),
    [
        ("deactivate_access_keys", "UpdateAccessKey", {"accessKeyId": "KEY", "status": "Active"}),
        ("deactivate_access_keys", "CreateAccessKey", {"userName": "alice"}),
        ("console_password", "CreateLoginProfile", {"userName": "alice"}),
        ("deactivate_mfa", "EnableMFADevice", {"userName": "alice", "serialNumber": "x"}),
        ("deny_all", "PutUserPermissionsBoundary", {"userName": "alice"}),
        ("held_sessions admin", "DeleteRolePolicy", {"roleName": "admin", "policyName": "x"}),
    ],
)
def test_each_check_has_the_calls_that_undo_it(
    contained: IamLab, check: str, call: str, parameters: dict[str, str]
) -> None:
    [key] = contained.ids["keys"]
    parameters = {name: key if text == "KEY" else text for name, text in parameters.items()}
    add_event(contained, call, requestParameters=parameters)
    assert [
        change["what"]
        for change in find_actors(
            contained,
            Check(check, False, "x"),
            watched=[key],
        )
    ] == [call]


def test_who_deleted_a_roles_denial(iam: IamLab) -> None:
    target = iam.role().plan()
    iam.respond(target)
    iam.ids["since"] = iam.stored_target()["actions"]["revoke_sessions"]["at"]
    iam.clock_offset += 600
    [name] = iam.role_policies()
    add_event(
        iam,
        "DeleteRolePolicy",
        requestParameters={"roleName": "app", "policyName": name},
    )
    assert [
        change["what"]
        for change in find_actors(
            iam,
            Check(
                "revoke_sessions",
                False,
                "x",
                fatal=True,
            ),
        )
    ] == ["DeleteRolePolicy"]


def test_the_calls_are_those_that_the_event_rule_hears(iam: IamLab) -> None:
    heard = json.loads((ROOT / "playbooks" / "iam_principal" / "undoing-calls.json").read_text())
    assert {name for names in actors.CALLS.values() for name in names} == set(heard["aws.iam"])


def test_every_check_has_its_calls(iam: IamLab) -> None:
    actions: list[type[PrincipalControl]] = list(user.CONTROLS)
    names = {action.name for action in actions if not action.name.startswith("tag_")}
    assert names | {"revoke_sessions", "held_sessions"} == set(actors.CALLS)
