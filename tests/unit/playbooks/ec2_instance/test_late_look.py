"""The second look at CloudTrail for sessions of other roles: by finish, for an instance that is
gone too, and by the scheduled verification.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
from guardduty_response.containment.contract import Check, Target, finishes_gone
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.ec2_instance import monitor
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import INCIDENT, PREFIX, Lab
from tests.unit.playbooks.ec2_instance.finish_lab import keep_snapshots, read_events, state_of
from tests.unit.playbooks.ec2_instance.session_trail import (
    OTHER,
    assume_role,
    denied,
    policies,
)
from tests.unit.playbooks.ec2_instance.test_gone import APP, details, terminate
from tests.unit.playbooks.watched_session import acting

NAME = "held_sessions"
pytestmark = pytest.mark.usefixtures("full_models")  # the restore has no trimmed model


@pytest.fixture
def built(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An instance whose profile the finding names."""
    monkeypatch.setenv("GDR_PLAYBOOK", "ec2_instance")
    lab.build()
    read_events(lab)  # which opens the incident
    details(lab, iamInstanceProfile={"arn": APP})
    return lab


def responded(lab: Lab) -> tuple[Target, Status | None]:
    """Contains, and stores the verdict as the state machine does."""
    target = lab.plan()
    step = lab.respond(target)
    checks = list(lab.ids["checks"].values())
    fields = drift.baseline(lab.context(), target, step, checks)
    stored = [check.record() for check in checks]
    lab.record.set_target(
        INCIDENT, target.kind, target.id, verdict=step.detail, checks=stored, **fields
    )
    return target._replace(scope={}), step.status


def rechecked(lab: Lab, target: Target) -> Status | None:
    """Verifies again, as the incident machine does, and stores what it comes to."""
    again = target._replace(verify_only=True)
    context = lab.context(drift.READS)
    step, checks = ec2_instance.verify(context, again)
    step, checks, fields = drift.recheck(context, again, step, checks)
    lab.ids["checks"] = {check.name: check for check in checks}
    stored = [check.record() for check in checks]
    lab.record.set_target(
        INCIDENT, target.kind, target.id, status=step.status, checks=stored, **fields
    )
    return step.status


def monitored(lab: Lab, target: Target) -> dict[str, Check]:
    """Verifies as the monitoring function does, with its role."""
    context = lab.context()

    def assume(account: str, region: str, _: Any) -> Any:
        with acting(lab, "monitor"):
            return lab.assume(account, region, policy(allow(monitor.READ)))

    context.assume = partial(assume)
    again = target._replace(scope={"unique_id": target.id}, verify_only=True)
    _, checks = monitor.verify(context, again)
    return {check.name: check for check in checks}


def finished(lab: Lab, target: Target) -> None:
    assert ec2_instance.finish(lab.context(), target).done


# -- finish ----------------------------------------------------------------------------------------


def test_it_waits_until_cloudtrail_has_its_late_events(
    built: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.options["repeat_minutes"] = 20
    target, _ = responded(built)
    late = assume_role(built, "admin", "s1", "ASIA1")
    step = ec2_instance.finish(built.context(), target)
    assert not step.done
    assert 1100 < step.wait_seconds <= 1200
    assert policies(built, "admin") == {}
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step.wait_seconds + 1)
    assert ec2_instance.finish(built.context(2), target).done
    assert denied(built, "admin") == [late]
    assert rechecked(built, target) is Status.CONTAINED
    assert built.ids["checks"]["held_sessions admin"].ok
    assert built.restore().status is Status.RESTORED
    assert policies(built, "admin") == {}


def test_the_instance_is_stopped_before_the_second_look_is_waited_for(built: Lab) -> None:
    built.options |= {"repeat_minutes": 20, "finish": "stop"}
    target, _ = responded(built)
    keep_snapshots(built)
    steps = [ec2_instance.finish(built.context(attempt), target) for attempt in (1, 2, 3)]
    assert [step.wait_seconds > 1000 for step in steps] == [False, True, True]
    assert state_of(built) == "stopped"
    assert built.actions()["stop_instance"] == "DONE"


def test_a_later_execution_says_of_the_stop_what_it_has_seen(built: Lab) -> None:
    """What the first execution said of it, that the set was missing, counts no more."""
    built.options |= {"repeat_minutes": 20, "finish": "stop"}
    target, _ = responded(built)
    ec2_instance.finish(built.context(), target)
    assert (state_of(built), built.actions()["stop_instance"]) == ("running", "SKIPPED")
    keep_snapshots(built)
    for attempt in (1, 2, 3):
        context = built.context(attempt)
        context.execution = "a-later-execution"
        ec2_instance.finish(context, target)
    assert (state_of(built), built.actions()["stop_instance"]) == ("stopped", "DONE")


def test_switched_off_nothing_is_waited_for(built: Lab) -> None:
    built.options |= {"repeat_minutes": 20, "other_role_sessions": False}
    target, _ = responded(built)
    finished(built, target)
    assert "LookupEvents" not in built.operations()


def test_without_a_role_nothing_is_waited_for(lab: Lab) -> None:
    lab.build(profile=False).options["repeat_minutes"] = 20
    target, _ = responded(lab)
    finished(lab, target)


def test_a_search_that_failed_is_tried_again(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    built.fail("LookupEvents", "AccessDeniedException")
    target, status = responded(built)
    assert status is Status.PARTIAL
    built.faults.clear()
    finished(built, target)
    assert denied(built, "admin") == [userid]
    assert rechecked(built, target) is Status.CONTAINED


def test_what_is_found_late_and_not_denied_is_partial_and_no_loss(built: Lab) -> None:
    target, status = responded(built)
    assert status is Status.CONTAINED
    userid = assume_role(built, "elsewhere", "s1", "ASIA1", account=OTHER)
    finished(built, target)
    assert rechecked(built, target) is Status.PARTIAL
    assert userid in built.ids["checks"][NAME].detail


def test_a_second_look_that_is_throttled_is_repeated(
    built: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, _ = responded(built)
    userid = assume_role(built, "admin", "s1", "ASIA1")
    built.fail("LookupEvents", "ThrottlingException", times=len(built.got.regions))
    step = ec2_instance.finish(built.context(), target)
    assert (step.done, step.wait_seconds) == (False, 30)
    finished(built, target)
    assert denied(built, "admin") == [userid]
    assert rechecked(built, target) is Status.CONTAINED
    built.fail("LookupEvents", "ThrottlingException")
    assert not ec2_instance.finish(built.context(), target).done
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 11 * 60)
    finished(built, target)
    assert rechecked(built, target) is Status.PARTIAL


def test_a_later_search_that_fails_forgets_no_session(built: Lab) -> None:
    userid = assume_role(built, "elsewhere", "s1", "ASIA1", account=OTHER)
    target, _ = responded(built)
    built.fail("LookupEvents", "AccessDeniedException")
    finished(built, target)
    line = str(built.stored_record()["actions"][NAME]["detail"])
    assert userid in line and "could not be queried" in line
    assert rechecked(built, target) is Status.PARTIAL


# -- scheduled checks ------------------------------------------------------------------------------


def test_a_scheduled_check_searches_again_and_changes_nothing(built: Lab) -> None:
    built.fail("LookupEvents", "AccessDeniedException")
    target, status = responded(built)
    assert status is Status.PARTIAL
    assert not monitored(built, target)[NAME].ok
    built.faults.clear()
    before = built.stored_record()
    assert monitored(built, target)[NAME].ok
    assert built.stored_record() == before
    assert rechecked(built, target) is Status.CONTAINED
    assert NAME not in monitored(built, target)


def test_what_a_scheduled_check_finds_is_contained_again(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    built.fail("LookupEvents", "AccessDeniedException")
    target, _ = responded(built)
    built.faults.clear()
    found = monitored(built, target)["held_sessions admin"]
    assert not found.ok
    assert userid in found.detail
    assert policies(built, "admin") == {}
    assert rechecked(built, target) is Status.CONTAINMENT_LOST
    ec2_instance.contain(built.context(), target)
    assert denied(built, "admin") == [userid]
    assert rechecked(built, target) is Status.CONTAINED


def test_a_session_that_ends_by_itself_ends_as_contained(
    built: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assume_role(built, "elsewhere", "s1", "ASIA1", account=OTHER)
    target, status = responded(built)
    assert status is Status.PARTIAL
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 3600)
    assert rechecked(built, target) is Status.CONTAINED


def test_a_record_of_an_earlier_release_is_no_loss(built: Lab) -> None:
    built.options["other_role_sessions"] = False
    target, _ = responded(built)
    built.options["other_role_sessions"] = True
    assert rechecked(built, target) is Status.CONTAINED
    assert NAME not in monitored(built, target)
    finished(built, target)


# -- an instance that is gone ----------------------------------------------------------------------


def test_what_an_instance_got_that_is_gone_is_denied(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    terminate(built)
    target, status = responded(built)
    assert status is Status.GONE
    assert denied(built, "admin") == [userid]
    tags = {f"tag_denied_role {role}": "DONE" for role in ("app", "admin")}
    assert built.actions() == {"revoke_sessions": "DONE", NAME: "DONE", **tags}
    assert list(built.ids["planned"].actions) == ["revoke_sessions", NAME]
    verdict = str(built.stored_record()["verdict"])
    assert "sessions denied in admin (1)" in verdict
    assert "One that CloudTrail shows later may live until 20" in verdict
    late = assume_role(built, "batch", "s2", "ASIA2")
    assert finishes_gone(ec2_instance), "else finish is not called"
    finished(built, target)
    assert denied(built, "batch") == [late]
    assert built.stored_record()["status"] == Status.GONE
    assert built.restore().status is Status.GONE
    assert policies(built, "admin") == policies(built, "batch") == policies(built, "app") == {}


def test_of_one_that_is_gone_a_session_that_is_not_denied_is_partial(built: Lab) -> None:
    userid = assume_role(built, "elsewhere", "s1", "ASIA1", account=OTHER)
    terminate(built)
    _, status = responded(built)
    assert status is Status.PARTIAL
    assert userid in built.ids["checks"][NAME].detail


def test_of_one_that_is_gone_what_is_found_late_and_not_denied_is_told(built: Lab) -> None:
    terminate(built)
    target, status = responded(built)
    assert status is Status.GONE
    userid = assume_role(built, "elsewhere", "s1", "ASIA1", account=OTHER)
    finished(built, target)
    stored = built.stored_record()
    assert stored["status"] == Status.PARTIAL
    assert "CloudTrail showed later" in stored["verdict"]
    assert userid in stored["verdict"]


def test_of_one_that_is_gone_a_search_that_failed_is_partial(built: Lab) -> None:
    terminate(built)
    built.fail("LookupEvents", "AccessDeniedException")
    _, status = responded(built)
    assert status is Status.PARTIAL
    assert not built.ids["checks"][NAME].ok
    assert built.role_policies()[f"{PREFIX}-sessions"]


def test_a_role_that_is_deleted_got_sessions_too(built: Lab) -> None:
    userid = assume_role(built, "admin", "s1", "ASIA1")
    target = built.plan()
    terminate(built)
    iam = built.see("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="app", RoleName="app")
    iam.delete_role(RoleName="app")
    step = built.respond(target)
    assert step.status is Status.GONE
    assert "role app no longer exists" in step.detail
    assert denied(built, "admin") == [userid]
    tag = {"tag_denied_role admin": "DONE"}
    assert built.actions() == {"revoke_sessions": "SKIPPED", NAME: "DONE", **tag}
