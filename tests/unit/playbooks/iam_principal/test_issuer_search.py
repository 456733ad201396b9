"""A search for who got the session that was not made to its end: never CONTAINED, told with the
command, and repeated.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from guardduty_response.cloudtrail import query, regions
from guardduty_response.containment import chained_sessions
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.errors import ResponseError
from guardduty_response.incident.statuses import Status

from tests.unit.playbooks.iam_principal.iam_account import REGION, THIRD, Json
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.test_issuer import KEY, NAME, _contain_alice, alice, issued
from tests.unit.playbooks.iam_principal.test_open_sessions import monitored, rechecked, responded


@pytest.fixture
def world(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> IamLab:
    """Carol's session of role app; alice is somebody else."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    return iam.user().role("app", session="carol")


def asks_by(key: str, params: Json) -> bool:
    return bool(params["LookupAttributes"][0]["AttributeKey"] == key)


by_resource = partial(asks_by, "ResourceName")


def in_third(params: Json) -> bool:
    return by_resource(params) and params["region"] == THIRD


@pytest.mark.parametrize("error", ["AccessDeniedException", "ThrottlingException"])
@pytest.mark.parametrize("when", [by_resource, in_third])
def test_a_lookup_that_failed_is_partial_with_the_command(
    world: IamLab, error: str, when: Any
) -> None:
    world.fail("LookupEvents", error, when=when)
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert error in result.detail
    assert f"AttributeKey=ResourceName,AttributeValue={KEY} --region {THIRD}" in result.detail
    check = world.checks[NAME]
    assert (check.ok, check.fatal, check.read) == (False, False, True)
    assert world.actions()[NAME] == "FAILED"
    assert error in world.stored_target()["evidence"][NAME]["task"]


def test_what_was_throttled_is_repeated_before_the_verdict(world: IamLab) -> None:
    issued(world, alice(world), region=THIRD)
    _contain_alice(world)
    world.fail(
        "LookupEvents",
        "ThrottlingException",
        when=in_third,
        times=1,
    )
    assert world.respond().status is Status.CONTAINED
    assert "user/alice" in world.detail(NAME)


def test_a_verification_repeats_it_until_it_is_complete(world: IamLab) -> None:
    world.fail(
        "LookupEvents",
        "AccessDeniedException",
        when=in_third,
    )
    target, status = responded(world)
    assert status is Status.PARTIAL
    assert not monitored(world, target)[NAME].ok
    assert rechecked(world, target) is Status.PARTIAL
    world.faults.clear()
    assert monitored(world, target)[NAME].ok
    assert rechecked(world, target) is Status.CONTAINED
    assert world.actions()[NAME] == "SKIPPED"
    assert world.stored_target()["evidence"][NAME]["task"] == ""
    assert rechecked(world, target) is Status.CONTAINED


def test_whom_a_verification_finds_is_named_and_is_no_loss(world: IamLab) -> None:
    issued(world, alice(world), region=THIRD)
    world.fail(
        "LookupEvents",
        "AccessDeniedException",
        when=in_third,
    )
    target, status = responded(world)
    assert status is Status.PARTIAL
    world.faults.clear()
    seen = monitored(world, target)
    assert [name for name in seen if name.startswith(NAME) and "user/alice" in name], (
        "a name of its own has the incident machine look"
    )
    assert "issuers" in str(world.stored_target()["evidence"][NAME]["state"])
    assert "user/alice" not in str(world.stored_target()["evidence"][NAME]), "a check only reads"
    assert rechecked(world, target) is Status.PARTIAL
    assert "user/alice" in world.checks[NAME].detail
    assert "session issued to" in world.timeline()
    assert [name for name in monitored(world, target) if name.startswith(NAME)] == [NAME]


def test_somebody_of_the_same_name_does_not_answer_for_the_finding_key(world: IamLab) -> None:
    """Who got an earlier session of that name is contained; the key's own event was not read."""
    issued(world, alice(world), "ASIAEARLIER", ago=1800)
    _contain_alice(world)
    world.fail(
        "LookupEvents",
        "AccessDeniedException",
        when=in_third,
    )
    assert world.respond().status is Status.PARTIAL
    assert "not known for sure" in world.checks[NAME].detail


def test_the_event_of_the_key_answers_whatever_failed_elsewhere(world: IamLab) -> None:
    issued(world, alice(world))
    _contain_alice(world)
    world.fail(
        "LookupEvents",
        "AccessDeniedException",
        when=in_third,
    )
    assert world.respond().status is Status.CONTAINED


def test_regions_that_could_not_be_listed_are_partial(
    world: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search for sessions listed them; that for who got this one asks anew."""
    listed, calls = regions._list_enabled, []

    def refused(principal: TargetContext, session: Any) -> list[str]:
        calls.append(session)
        if len(calls) == 1:
            return listed(principal, session)
        raise ResponseError("no answer")

    monkeypatch.setattr(
        regions,
        "_list_enabled",
        refused,
    )
    result = world.respond()
    assert result.status is Status.PARTIAL
    assert "the enabled Regions could not be listed (no answer)" in result.detail


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading all AssumeRole events takes longer than it may."""
    complete = query.records

    def records(
        client: Any, attributes: list[tuple[str, str]], *more: Any
    ) -> tuple[list[Any], str]:
        found, trouble = complete(client, attributes, *more)
        if client.meta.region_name == REGION and ("EventName", "AssumeRole") in attributes:
            return [], "not answered to its end within 15 s"
        return found, trouble

    monkeypatch.setattr(query, "records", records)


def test_a_whole_search_that_was_cut_off_says_so(
    world: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, status = responded(world)
    assert status is Status.CONTAINED, "nobody has looked at all events yet"
    with monkeypatch.context() as limited:
        cut_off(limited)
        world.finish(target)
        said = world.detail(NAME)
        assert "does not show by now" not in said
        assert f"not all AssumeRole events of {REGION} were read (not answered to its" in said
        assert "AttributeKey=EventName,AttributeValue=AssumeRole" in said
        assert rechecked(world, target) is Status.PARTIAL, "no loss, and not contained"
    assert rechecked(world, target) is Status.CONTAINED, "read to its end by now"


def test_a_whole_search_adds_nothing_where_the_session_names_somebody(
    world: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A console session signs with keys that no event issued (docs/unverified-on-aws.md)."""
    issued(world, alice(world), "ASIACONSOLE", ago=1800)
    _contain_alice(world)
    target, status = responded(world)
    cut_off(monkeypatch)
    world.finish(target)
    assert (status, rechecked(world, target)) == (Status.CONTAINED, Status.CONTAINED)


def test_verifications_share_their_seconds(world: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitoring reserves so much for a check: searching for sessions comes first."""
    world.fail(
        "LookupEvents",
        "AccessDeniedException",
        when=by_resource,
    )
    target, _ = responded(world)
    asked = len(world.calls)
    monkeypatch.setattr(
        chained_sessions,
        "AGAIN_SECONDS",
        0,
    )
    world.faults.clear()
    assert rechecked(world, target) is Status.PARTIAL
    assert "LookupEvents" not in [call.operation for call in world.calls[asked:]]
