"""Sessions that a principal holds in other roles: found in CloudTrail wherever they were got,
and denied on the roles.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.cloudtrail import session_search
from guardduty_response.cloudtrail.event import CloudTrailRecord
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from tests.unit.playbooks.iam_principal.cloudtrail_identities import session as identity
from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_account import REGION, THIRD
from tests.unit.playbooks.iam_principal.iam_lab import PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME
from tests.unit.playbooks.iam_principal.session_judge import is_allowed

OTHER = "999999999999"


def alice(iam: IamLab, **more: Any) -> CloudTrailRecord:
    return {**user_identity(), "principalId": iam.ids["user"], **more}


def role_session(iam: IamLab, role: str, name: str, key: str) -> CloudTrailRecord:
    return identity(name, role, iam.ids["roles"][role], key)


@pytest.fixture
def world(iam: IamLab) -> IamLab:
    iam.user()
    for name in ("admin", "batch", "deploy"):
        iam.role(name, session=None)
    return iam


def denied(iam: IamLab) -> dict[str, list[str]]:
    """Role -> sessions denied on it."""
    return {
        role: sorted(
            userid
            for document in iam.role_policies(role).values()
            for userid in document["Statement"][0]["Condition"]["StringEquals"]["aws:userid"]
        )
        for role in iam.ids["roles"]
        if iam.role_policies(role)
    }


def test_found_in_two_regions_and_denied(world: IamLab) -> None:
    first = world.add_assume_role(
        alice(world),
        "admin",
        "alice-1",
        "ASIA1",
        region=HOME,
    )
    second = world.add_assume_role(
        alice(world),
        "batch",
        "alice-2",
        "ASIA2",
        region=THIRD,
    )
    assert world.respond().status is Status.CONTAINED
    assert denied(world) == {"admin": [first], "batch": [second]}
    assert not is_allowed(world, "alice-1", -60, "admin")
    assert is_allowed(world, "bob", -60, "admin")
    assert world.checks["held_sessions admin"].ok
    assert world.checks["held_sessions batch"].ok
    assert "admin (1), batch (1)" in world.detail("held_sessions")


def test_a_session_that_a_session_got_is_followed_through_the_regions(world: IamLab) -> None:
    world.add_assume_role(
        alice(world),
        "admin",
        "alice-1",
        "ASIA1",
        region=HOME,
        ago=600,
    )
    world.add_assume_role(
        role_session(world, "admin", "alice-1", "ASIA1"),
        "batch",
        "chained",
        "ASIA2",
        region=THIRD,
        ago=500,
    )
    world.add_assume_role(
        role_session(world, "batch", "chained", "ASIA2"),
        "deploy",
        "further",
        "ASIA3",
        region=REGION,
        ago=400,
    )
    world.add_assume_role(
        role_session(world, "admin", "somebody-else", "ASIA9"),
        "deploy",
        "not-hers",
        "ASIA8",
        region=REGION,
        ago=400,
    )
    world.respond()
    roles = world.ids["roles"]
    assert denied(world) == {
        "admin": [f"{roles['admin']}:alice-1"],
        "batch": [f"{roles['batch']}:chained"],
        "deploy": [f"{roles['deploy']}:further"],
    }


def test_every_key_of_a_session_of_one_name_is_followed(world: IamLab) -> None:
    world.add_assume_role(
        alice(world),
        "admin",
        "alice-1",
        "ASIA1",
        ago=600,
    )
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA2", ago=500)
    last = world.add_assume_role(
        role_session(world, "admin", "alice-1", "ASIA1"), "batch", "chained", "ASIA3", ago=400
    )
    world.respond()
    assert denied(world)["batch"] == [last]


def test_a_session_that_is_over_is_left_and_what_it_got_is_not(world: IamLab) -> None:
    # an hour, where nobody says how long
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1", ago=2 * 3600)
    last = world.add_assume_role(
        role_session(world, "admin", "alice-1", "ASIA1"),
        "batch",
        "chained",
        "ASIA2",
        ago=3700,
        seconds=2 * 3600,
    )
    long = world.add_assume_role(
        alice(world), "deploy", "long", "ASIA3", ago=11 * 3600, seconds=12 * 3600
    )
    world.respond()
    assert denied(world) == {"batch": [last], "deploy": [long]}


@pytest.mark.parametrize(
    "other", ["another account's alice", "a session named alice", "a former alice", "refused"]
)
def test_who_only_bears_the_name_is_left(world: IamLab, other: str) -> None:
    caller = {
        "another account's alice": alice(
            world, accountId=OTHER, principalId="AIDAELSEWHERE00000001"
        ),
        "a session named alice": role_session(world, "admin", "alice", "ASIA7"),
        "a former alice": alice(world, principalId="AIDAFORMER00000000001"),
        "refused": alice(world),
    }[other]
    more: CloudTrailRecord = {"errorCode": "AccessDenied"} if other == "refused" else {}
    world.add_assume_role(caller, "batch", "x", "ASIA1", **more)
    world.respond()
    assert denied(world) == {}
    assert world.actions()["held_sessions"] == "SKIPPED"


def test_a_role_of_another_account_is_told_with_the_command(world: IamLab) -> None:
    userid = world.add_assume_role(alice(world), "elsewhere", "alice-1", "ASIA1", account=OTHER)
    assert world.respond().status is Status.PARTIAL
    assert world.actions()["held_sessions"] == "FAILED"
    detail = world.detail("held_sessions")
    assert f"arn:aws:iam::{OTHER}:role/elsewhere (another account)" in detail
    assert "aws iam put-role-policy --role-name elsewhere" in detail
    assert userid in detail
    recorded = world.stored_target()["evidence"]["held_sessions"]
    assert recorded["outcome"] == "PARTIAL"
    assert "aws iam put-role-policy" in recorded["task"]


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        (f"{PREFIX}-responder-ec2-instance", "a role of the response itself"),
        ("terraform", "exempt (exempt_principals: arn:aws:iam::*:role/terraform)"),
    ],
)
def test_the_responses_own_and_exempt_roles_are_spared(
    world: IamLab, role: str, reason: str
) -> None:
    world.guardrails = {"exempt_principals": ["arn:aws:iam::*:role/terraform"]}
    world.role(role, session=None)
    first = world.add_assume_role(alice(world), role, "alice-1", "ASIA1")
    second = world.add_assume_role(alice(world), "admin", "alice-2", "ASIA2")
    world.respond()
    assert denied(world) == {"admin": [second]}
    assert first in world.detail("held_sessions")
    assert reason in world.detail("held_sessions")


def test_a_role_that_takes_no_policy_is_told(world: IamLab) -> None:
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1")
    last = world.add_assume_role(alice(world), "batch", "alice-2", "ASIA2")
    world.fail(
        "PutRolePolicy", "UnmodifiableEntity", when=lambda params: params["RoleName"] == "admin"
    )
    world.respond()
    assert denied(world) == {"batch": [last]}
    assert (
        "sessions in arn:aws:iam::222222222222:role/admin not denied (UnmodifiableEntity"
        in world.detail("held_sessions")
    )


def test_cloudtrail_refused_is_said_with_the_command(world: IamLab) -> None:
    world.fail("LookupEvents", "AccessDeniedException")
    assert world.respond().status is Status.PARTIAL
    assert world.actions()["held_sessions"] == "FAILED"
    detail = world.detail("held_sessions")
    assert "CloudTrail could not be queried (" in detail
    assert "AccessDeniedException" in detail
    assert (
        "aws cloudtrail lookup-events --lookup-attributes"
        " AttributeKey=Username,AttributeValue=alice" in detail
    )


def test_one_region_refused_is_said_and_the_others_count(world: IamLab) -> None:
    userid = world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1", region=HOME)
    world.fail(
        "LookupEvents", "AccessDeniedException", when=lambda params: params["region"] == THIRD
    )
    world.respond()
    assert denied(world) == {"admin": [userid]}
    assert world.actions()["held_sessions"] == "FAILED"
    assert f"{THIRD} not looked at" in world.detail("held_sessions")
    assert f"--region {THIRD}" in world.detail("held_sessions")


def test_what_many_sessions_got_is_found_in_one_lookup_of_each_region(world: IamLab) -> None:
    count = session_search.QUERIES + 5
    for number in range(count):
        world.add_assume_role(alice(world), "admin", f"s{number}", f"ASIA{number}", ago=900)
    first = world.add_assume_role(
        role_session(world, "admin", "s3", "ASIA3"),
        "batch",
        "chained",
        "ASIACHAINED",
        region=THIRD,
        ago=800,
    )
    second = world.add_assume_role(
        role_session(world, "batch", "chained", "ASIACHAINED"),
        "deploy",
        "further",
        "ASIAFURTHER",
        region=HOME,
        ago=700,
    )
    world.add_assume_role(
        role_session(world, "batch", "somebody-else", "ASIAELSE"),
        "deploy",
        "not-hers",
        "ASIANOTHERS",
        ago=700,
    )
    assert world.respond().status is Status.CONTAINED
    assert len(denied(world)["admin"]) == count
    assert denied(world)["batch"] == [first]
    assert denied(world)["deploy"] == [second]
    asked = [call for call in world.calls if call.operation == "LookupEvents"]
    # her own calls, all AssumeRoot and all AssumeRole events
    assert len(asked) == 3 * len(world.regions)


def test_the_first_key_of_a_name_is_followed_through_all_events_too(world: IamLab) -> None:
    """The session that ends last of a name is denied; what its earlier keys got counts as well."""
    world.add_assume_role(alice(world), "admin", "s0", "ASIAEARLY", ago=3000)
    chained = world.add_assume_role(
        role_session(world, "admin", "s0", "ASIAEARLY"), "batch", "chained", "ASIAX", ago=2900
    )
    for number in range(session_search.QUERIES + 5):
        world.add_assume_role(alice(world), "admin", f"s{number}", f"ASIA{number}", ago=900)
    assert world.respond().status is Status.CONTAINED
    assert denied(world)["batch"] == [chained]


def test_the_late_look_finds_what_cloudtrail_showed_late(world: IamLab) -> None:
    first = world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1")
    second = world.add_assume_role(alice(world), "admin", "alice-2", "ASIA2", shown=600)
    third = world.add_assume_role(alice(world), "batch", "alice-3", "ASIA3", shown=600)
    target = world.plan()
    world.respond(target)
    assert denied(world) == {"admin": [first]}
    [waits, done] = world.finish(target)
    assert (waits.done, done.done) == (False, True)
    assert 1100 < waits.wait_seconds <= 1200
    assert denied(world) == {"admin": sorted([first, second]), "batch": [third]}
    recorded = world.stored_target()["before"]
    assert recorded["held_sessions/admin"]["document"] is None, "as it was before the first change"
    _, checks = playbook.verify(world.context(2), target)
    assert {check.name for check in checks if check.name.startswith("held")} == {
        "held_sessions admin",
        "held_sessions batch",
    }


def test_a_newer_session_of_a_denied_name_is_denied_too(world: IamLab) -> None:
    """IAM shows a denial late, and until then the user gets the same name again."""
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1", ago=60)
    target = world.plan()
    assert world.respond(target).status is Status.CONTAINED
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA2", ago=-3)
    assert is_allowed(world, "alice-1", 3, "admin")
    world.finish(target)
    assert not is_allowed(world, "alice-1", 3, "admin")


def test_a_role_sessions_own_sessions_are_found_by_its_name(iam: IamLab) -> None:
    """Its key changes with every AssumeRole; the one of the finding is the last that GuardDuty
    saw.
    """
    iam.role("app", session="carol").role("batch", session=None)
    found = iam.add_assume_role(
        role_session(iam, "app", "carol", "ASIAEARLIER"), "batch", "chained", "ASIA1"
    )
    iam.add_assume_role(
        role_session(iam, "app", "dave", "ASIAEARLIER2"), "batch", "not-hers", "ASIA2"
    )
    assert iam.respond().status is Status.CONTAINED
    documents = list(iam.role_policies("batch").values())
    assert [
        document["Statement"][0]["Condition"]["StringEquals"]["aws:userid"]
        for document in documents
    ] == [[found]]


def test_many_roles_are_read_back(world: IamLab) -> None:
    """More ARNs than one session policy has room for."""
    for number in range(30):
        name = f"a-role-with-quite-a-long-name-to-fill-a-session-policy-{number:02}"
        world.role(name, session=None)
        world.add_assume_role(alice(world), name, "alice-1", f"ASIA{number}")
    assert world.respond().status is Status.CONTAINED
    assert len([name for name in world.checks if name.startswith("held_sessions")]) == 30
    assert all(check.ok for check in world.checks.values())


def test_a_denial_on_a_role_that_is_taken_away_is_undone(world: IamLab) -> None:
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1")
    target = world.plan()
    world.respond(target)
    [name] = world.role_policies("admin")
    world.see().delete_role_policy(RoleName="admin", PolicyName=name)
    _, checks = playbook.verify(world.context(8), target)
    [check] = [check for check in checks if check.name == "held_sessions admin"]
    assert not check.ok
    assert check.read
    assert "NOT denied" in check.detail


def test_a_denial_on_a_role_that_was_taken_away_is_written_again(world: IamLab) -> None:
    userid = world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1")
    target = world.plan()
    world.respond(target)
    [name] = world.role_policies("admin")
    world.see().delete_role_policy(RoleName="admin", PolicyName=name)
    playbook.contain(world.context(), target)
    assert denied(world) == {"admin": [userid]}


def test_the_policy_names_no_other_principal(world: IamLab) -> None:
    world.add_assume_role(alice(world), "admin", "alice-1", "ASIA1")
    world.respond()
    changing = [p for p in world.policies if "iam:PutRolePolicy" in json.dumps(p)]
    assert changing
    assert all(
        "role/admin" in json.dumps(p) and "role/batch" not in json.dumps(p) for p in changing
    )


def test_nothing_is_looked_for_when_only_reading_back(world: IamLab) -> None:
    target = world.plan()
    linked = target._replace(attach="inc-other")
    world.calls.clear()
    playbook.contain(world.context(), linked)
    playbook.finish(world.context(), linked)
    assert [call.operation for call in world.calls if call.service != "sts"] == []
