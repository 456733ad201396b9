"""Roles that an instance had before, which CloudTrail alone shows, and those of an instance that is
gone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from guardduty_response.errors import TargetGone
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab
from tests.unit.playbooks.ec2_instance.profiles_lab import (
    disassociate,
    failed,
    give,
    is_denied,
    make_anew,
    make_profile,
    name_profile,
    quarantine,
    replace,
    take_role_out,
    terminate,
)
from tests.unit.playbooks.ec2_instance.session_trail import (
    assume_role,
    denied,
    of_instance,
    policies,
)
from tests.unit.playbooks.ec2_instance.test_expired_denials import hours_on, take_out

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
NAME, UNKNOWN = "former_sessions app", "former_role"


@pytest.fixture
def built(lab: Lab) -> Lab:
    return name_profile(lab.build())


# -- shown by CloudTrail ---------------------------------------------------------------------------


def swap_role(lab: Lab) -> None:
    make_profile(lab, "other")
    take_role_out(lab)
    lab.see("iam").add_role_to_instance_profile(InstanceProfileName="app", RoleName="other")


def by_ec2(lab: Lab, **more: str) -> Json:
    """The credentials of app, as CloudTrail shows them where EC2 gave them to the instance."""
    caller = of_instance(lab)
    caller["sessionContext"]["ec2RoleDelivery"] = "2.0"
    return {**caller, **more}


@pytest.mark.parametrize("change", [swap_role, take_role_out])
def test_a_role_that_cloudtrail_shows_is_denied(built: Lab, change: Callable[[Lab], None]) -> None:
    got = assume_role(built, "admin", "s1", "ASIA1", by_ec2(built))
    change(built)
    step = built.respond()
    assert is_denied(built)
    assert denied(built, "admin") == [got]
    assert built.ids["checks"][NAME].ok
    if change is swap_role:
        assert step.status is Status.CONTAINED
        assert is_denied(built, "other")
    else:  # what CloudTrail shows need not be all
        assert failed(built) == [UNKNOWN]


@pytest.mark.parametrize("more", [{}, {"errorCode": "AccessDenied"}])
def test_any_call_shows_a_role(built: Lab, more: Json) -> None:
    built.got.call("ListBuckets", by_ec2(built), **more)
    swap_role(built)
    assert built.respond().status is Status.CONTAINED
    assert is_denied(built)
    assert is_denied(built, "other")
    assert built.ids["checks"][NAME].ok


@pytest.mark.parametrize("why", ["name", "account"])
def test_who_names_a_session_like_the_instance_is_left(built: Lab, why: str) -> None:
    swap_role(built)
    caller = of_instance(built)
    if why == "account":
        caller = by_ec2(built)
        caller["sessionContext"]["sessionIssuer"]["arn"] = "arn:aws:iam::999999999999:role/app"
    assume_role(built, "admin", "s1", "ASIA1", caller)
    assert built.respond().status is Status.CONTAINED
    assert policies(built, "app") == policies(built, "admin") == {}


def test_what_cloudtrail_shows_late_is_found_by_the_second_look(
    built: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.options["repeat_minutes"] = 20
    swap_role(built)
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    assert policies(built, "app") == {}
    assume_role(built, "admin", "s1", "ASIA1", by_ec2(built))
    later = time.time() + 21 * 60
    monkeypatch.setattr(time, "time", lambda: later)
    again = target._replace(verify_only=True, scope={})
    _, checks = ec2_instance.verify(built.context(), again)
    assert NAME in [check.name for check in checks if not check.ok]
    assert built.respond(target).status is Status.CONTAINED
    assert is_denied(built)


# -- made anew -------------------------------------------------------------------------------------


def made_anew_and_taken(lab: Lab) -> None:
    make_anew(lab)
    disassociate(lab)


def made_anew_and_terminated(lab: Lab) -> None:
    make_anew(lab)
    terminate(lab)


@pytest.mark.parametrize("change", [make_anew, made_anew_and_taken, made_anew_and_terminated])
def test_a_profile_made_anew_by_the_same_name_is_another(
    built: Lab, change: Callable[[Lab], None]
) -> None:
    change(built)
    target = built.plan()
    step = built.respond(target)
    assert step.status is Status.PARTIAL
    assert UNKNOWN in failed(built)
    assert "instance profile app was deleted, and another made by that name" in step.detail
    again = target._replace(verify_only=True, scope={})
    assert built.verify(again).status is Status.PARTIAL, "the record tells it, too"


def test_a_profile_made_anew_after_the_plan_is_another(built: Lab) -> None:
    """The plan knew the role of the first."""
    target = built.plan()
    make_anew(built)
    assert built.respond(target).status is Status.CONTAINED
    assert is_denied(built)
    assert is_denied(built, "other")


def test_a_role_that_a_profile_made_anew_had_is_not_that_of_the_finding(built: Lab) -> None:
    make_anew(built)
    target = built.plan()
    make_profile(built, "third")
    give(built, "third")
    assert built.respond(target).status is Status.PARTIAL
    assert failed(built) == [UNKNOWN]
    assert is_denied(built, "other")


# -- gone ------------------------------------------------------------------------------------------


def test_gone_since_it_was_contained_both_denials_are_read(built: Lab) -> None:
    replace(built)
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    terminate(built)
    again = target._replace(verify_only=True, scope={})
    assert built.verify(again).status is Status.GONE
    built.see("iam").delete_role_policy(RoleName="app", PolicyName=f"{PREFIX}-sessions")
    assert built.verify(again).status is Status.PARTIAL


def test_gone_after_the_plan_both_are_denied(built: Lab) -> None:
    replace(built)
    target = built.plan()
    terminate(built)
    assert built.respond(target).status is Status.GONE
    assert is_denied(built)
    assert is_denied(built, "other")
    assert built.restore().status is Status.GONE
    assert policies(built, "app") == policies(built, "other") == {}


@pytest.mark.usefixtures("full_models")
def test_both_denials_leave_with_the_last_credentials(built: Lab) -> None:
    replace(built)
    target = built.plan()
    terminate(built)
    assert built.respond(target).status is Status.GONE
    with hours_on(13):
        assert [take_out(built, role) for role in ("app", "other")] == ["", ""]
    assert policies(built, "app") == policies(built, "other") == {}


def test_gone_without_any_profile_nothing_is_to_be_done(lab: Lab) -> None:
    lab.build(profile=False)
    terminate(lab)
    with pytest.raises(TargetGone):
        lab.plan()


def test_no_role_of_containment_is_denied(lab: Lab) -> None:
    lab.build()
    quarantine(lab)
    target = lab.plan()
    terminate(lab)
    assert lab.respond(target).status is Status.GONE
    assert policies(lab, f"{PREFIX}-quarantine") == {}
