"""Who got the session that a finding names: looked up by the event that issued its key, named,
and escalated while it is not contained itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from guardduty_response.containment.contract import Target
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from tests.unit.playbooks.iam_principal.cloudtrail_identities import session as identity
from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_account import THIRD
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import HOME
from tests.unit.playbooks.iam_principal.session_judge import EXFILTRATION, INSTANCE
from tests.unit.playbooks.iam_principal.test_open_sessions import monitored, rechecked, responded

NAME = "issued_by"
KEY = "ASIAFINDING000000001"  # the finding's


@pytest.fixture
def world(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> IamLab:
    """Carol's session of role app; alice is somebody else."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    return iam.user().role("app", session="carol")


def alice(iam: IamLab, **more: Any) -> dict[str, Any]:
    return {**user_identity(), "principalId": iam.ids["user"], **more}


def issued(iam: IamLab, caller: dict[str, Any], key: str = KEY, **more: Any) -> str:
    return iam.add_assume_role(
        caller,
        "app",
        "carol",
        key,
        **more,
    )


@pytest.mark.parametrize("region", [HOME, THIRD])
def test_the_user_whose_key_got_the_session_is_named_and_escalated(
    world: IamLab, region: str
) -> None:
    issued(
        world,
        alice(world),
        region=region,
        ago=1800,
    )
    world.add_assume_role(
        alice(world),
        "app",
        "mallory",
        "ASIAMALLORY",
        region=region,
        ago=60,
    )
    result = world.respond()
    assert result.status is Status.PARTIAL, "who got it can assume the role again"
    event = world.trail[0]["record"]["eventID"]
    for said in (result.detail, world.detail(NAME), world.checks[NAME].detail):
        assert "arn:aws:iam::222222222222:user/alice" in said
        assert "AKIAALICE00000000001" in said
        assert event in said
    assert "aws iam attach-user-policy --user-name alice" in result.detail
    assert world.actions()[NAME] == "FAILED"
    [recorded] = world.stored_target()["evidence"][NAME]["state"]["issuers"]
    assert (recorded["kind"], recorded["name"], recorded["issued"]) == ("IAMUser", "alice", KEY)
    assert "session issued to" in world.timeline()
    assert not world.checks[NAME].fatal


def test_the_issuer_of_the_findings_key_comes_before_the_latest(world: IamLab) -> None:
    issued(world, alice(world), ago=1800)
    issued(world, alice(world, userName="dave", arn="arn:aws:iam::222222222222:user/dave"), "ASIAX")
    world.respond()
    assert "user/alice" in world.detail(NAME)
    assert "user/dave" not in world.detail(NAME)


def test_without_the_keys_event_the_sessions_name_tells(world: IamLab) -> None:
    issued(
        world,
        alice(world),
        "ASIAEARLIER",
        ago=1800,
    )
    assert world.respond().status is Status.PARTIAL
    assert "user/alice" in world.detail(NAME)


CALLERS: dict[str, tuple[dict[str, Any], str]] = {
    "session": (
        identity(
            "ci",
            "deploy",
            "AROADEPLOY0000000001",
            "ASIACI",
        ),
        "aws iam put-role-policy --role-name deploy",
    ),
    "another account": (
        {
            "type": "AWSAccount",
            "principalId": "AROAELSEWHERE0000001:eve",
            "accountId": "999999999999",
        },
        "it is of account 999999999999: take it out of the trust policy of app",
    ),
    "web identity": (
        {
            "type": "WebIdentityUser",
            "principalId": "arn:aws:iam::222222222222:oidc-provider/x:aud:repo",
            "userName": "repo:org/name:ref:refs/heads/main",
        },
        "take it out of the trust policy of app, or end it at its identity provider",
    ),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_whoever_got_it_is_named_with_what_to_do(world: IamLab, caller: str) -> None:
    who, command = CALLERS[caller]
    issued(world, who)
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert command in result.detail
    assert str(who.get("arn") or who.get("userName") or who["principalId"]) in result.detail


def test_a_federated_call_is_an_issuing_event_too(world: IamLab) -> None:
    issued(world, CALLERS["web identity"][0])
    world.trail[0]["record"]["eventName"] = "AssumeRoleWithWebIdentity"
    assert world.respond().status is Status.PARTIAL
    assert "repo:org/name" in world.detail(NAME)


def test_a_workloads_session_is_the_services(world: IamLab) -> None:
    issued(world, {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"})
    assert world.respond().status is Status.CONTAINED
    assert "lambda.amazonaws.com" in world.detail(NAME)
    assert world.actions()[NAME] == "SKIPPED"


def test_a_session_that_got_itself_anew_leads_to_who_got_it_first(world: IamLab) -> None:
    unique_id = world.ids["roles"]["app"]
    issued(
        world,
        alice(world),
        "ASIAFIRST",
        ago=1800,
    )
    issued(
        world,
        identity(
            "carol",
            "app",
            unique_id,
            "ASIAFIRST",
        ),
        KEY,
        ago=900,
    )
    world.respond()
    assert "user/alice" in world.detail(NAME)


@pytest.mark.parametrize("error", [None, "AccessDenied"])
def test_an_event_that_is_not_there_names_nobody(world: IamLab, error: str | None) -> None:
    if error:
        issued(world, alice(world), errorCode=error)
    issued(world, alice(world), "ASIAELSE")
    world.trail[-1]["record"]["responseElements"]["assumedRoleUser"]["assumedRoleId"] = "AROAX:dave"
    assert world.respond().status is Status.CONTAINED
    assert world.actions()[NAME] == "SKIPPED"


def test_an_instances_session_is_handed_over_instead(iam: IamLab) -> None:
    iam.finding_type = EXFILTRATION
    iam.role("app", session=INSTANCE)
    iam.respond()
    assert NAME not in iam.actions()


def test_a_lookup_that_is_refused_is_said_with_the_command(world: IamLab) -> None:
    world.fail("LookupEvents", "AccessDeniedException")
    assert world.respond().status is Status.PARTIAL
    assert "AccessDeniedException" in world.detail(NAME)
    assert f"AttributeKey=ResourceName,AttributeValue={KEY}" in world.detail(NAME)


def test_contained_once_who_got_it_is(world: IamLab) -> None:
    issued(world, alice(world))
    target, status = responded(world)
    assert status is Status.PARTIAL
    assert not monitored(world, target)[NAME].ok
    assert rechecked(world, target) is Status.PARTIAL
    _contain_alice(world)
    assert monitored(world, target)[NAME].ok
    assert rechecked(world, target) is Status.CONTAINED


def _contain_alice(world: IamLab) -> None:
    """Another incident contains alice."""
    arn = "arn:aws:iam::222222222222:user/alice"
    own = Target(
        "iam_user",
        "alice",
        arn,
        "222222222222",
        "eu-central-1",
    )
    joined = world.record.containments.join(own.reference(), "inc-other", "iam_principal")
    world.record.containments.set(arn, joined.generation, status=Status.CONTAINED)


def test_the_keys_own_event_is_added_when_it_is_shown(world: IamLab) -> None:
    """Until then the last session of the same name tells, which somebody else may have got."""
    dave = alice(world, userName="dave", arn="arn:aws:iam::222222222222:user/dave")
    issued(
        world,
        dave,
        "ASIAEARLIER",
        ago=1800,
    )
    issued(world, alice(world), shown=600)
    target, status = responded(world)
    assert status is Status.PARTIAL
    assert "user/dave" in world.detail(NAME)
    world.finish(target)
    recorded = world.stored_target()["evidence"][NAME]["state"]["issuers"]
    assert [issuer["name"] for issuer in recorded] == ["dave", "alice"]
    assert rechecked(world, target) is Status.PARTIAL
    assert "user/alice" in world.checks[NAME].detail
    assert "user/dave" in world.checks[NAME].detail


def test_a_finding_that_is_late_asks_for_the_time_before_it(world: IamLab) -> None:
    """GuardDuty may tell hours later; the session was issued up to twelve hours before its use."""
    issued(world, alice(world), ago=12 * 3600 + 300)
    assert world.respond().status is Status.PARTIAL


@pytest.mark.parametrize("by_name", [True, False])
def test_finish_names_who_is_shown_late_and_it_is_no_loss(world: IamLab, by_name: bool) -> None:
    """Without an answer by the session, all AssumeRole events are read."""
    issued(world, alice(world), shown=600)
    if not by_name:
        world.fail("LookupEvents", "AccessDeniedException", when=_asks_for_a_resource)
    target, status = responded(world)
    assert status is (Status.CONTAINED if by_name else Status.PARTIAL), "unless nobody could look"
    world.finish(target)
    assert "user/alice" in world.detail(NAME)
    assert rechecked(world, target) is Status.PARTIAL
    assert "user/alice" in world.checks[NAME].detail
    assert playbook.verify(world.context(2), target)[0].status is Status.PARTIAL


def _asks_for_a_resource(params: dict[str, Any]) -> bool:
    return bool(params["LookupAttributes"][0]["AttributeKey"] == "ResourceName")
