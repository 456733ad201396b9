"""What denies sessions on a role leaves it once no session that is denied can live, and nothing of
that is a loss of containment; what another containment needs stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.exceptions import ClientError
from guardduty_response.containment.contract import Target
from guardduty_response.containment.expired_denials import ExpiredDenials
from guardduty_response.containment.role_policies import OLDER
from guardduty_response.containment.target_context import TargetContext
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from sandbox.emulator.policy_sizes import INLINE
from tests.unit.playbooks.ec2_instance.ec2_lab import (
    INCIDENT,
    MEMBER,
    PREFIX,
    REGION,
    Lab,
    deny_document,
)
from tests.unit.playbooks.ec2_instance.session_trail import assume_role, denied, policies, role_id
from tests.unit.playbooks.ec2_instance.test_denied_role_tag import DENIED, tags
from tests.unit.playbooks.ec2_instance.test_session_denials import another_instance

pytestmark = pytest.mark.usefixtures("full_models")  # of the restore function
ROLE = f"arn:aws:iam::{MEMBER}:role/app"
LOGGED = "sessions_expired app"


@pytest.fixture
def built(lab: Lab) -> Lab:
    return lab.build()


@contextmanager
def hours_on(hours: float) -> Iterator[None]:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        yield


def take_out(lab: Lab, role: str = "app") -> str:
    """As the playbook's function does. Returns when it is looked next."""
    id = lab.ids["instance"]
    arn = f"arn:aws:ec2:{REGION}:{MEMBER}:instance/{id}"
    named = ("ec2_instance", id, arn, MEMBER, REGION)
    target = Target(*named, generation=1, opened_by=INCIDENT)
    role_arn = f"arn:aws:iam::{MEMBER}:role/{role}"
    return ExpiredDenials(TargetContext(lab.context(), target), role_arn).take_out()


def gone(lab: Lab) -> Target:
    target = lab.plan()
    lab.see("ec2").terminate_instances(InstanceIds=[lab.ids["instance"]])
    assert lab.respond(target).status is Status.GONE
    return target


def in_hours(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)) / timedelta(hours=1)


def entries(lab: Lab) -> set[str]:
    known = lab.record.shared.read(ROLE, OLDER).known
    return {arn.rpartition("/")[2] for arn, _ in known}


def test_that_of_a_gone_instance_leaves_after_its_last_credentials(built: Lab) -> None:
    gone(built)
    with hours_on(11):
        assert 1 < in_hours(take_out(built)) < 1.2
        assert built.role_policies() == {built.deny_name(): deny_document(built.ids["instance"])}
        assert tags(built) == DENIED
    with hours_on(12.2):
        assert take_out(built) == ""
        assert built.role_policies() == {}, "no empty policy is left"
        assert tags(built) == {}
        assert entries(built) == set()
        logged = built.stored_record()["actions"][LOGGED]
        assert (
            logged["status"] == "DONE" and "no credentials of it live any more" in logged["detail"]
        )
        assert take_out(built) == "", "a second time changes nothing"


def test_after_that_a_check_and_a_restore_hold(built: Lab) -> None:
    target = gone(built)
    with hours_on(13):
        take_out(built)
        got = built.restore()
        assert not [text for text in got.not_restored if "app" in text]
        assert built.role_policies() == {} and tags(built) == {}
    assert target.id


def test_that_of_a_contained_instance_stays(built: Lab) -> None:
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    with hours_on(24 * 30):
        assert 5.9 < in_hours(take_out(built)) < 6.1, "it is looked again whether it is gone"
        assert built.role_policies() == {built.deny_name(): deny_document(built.ids["instance"])}
        assert tags(built) == DENIED
        assert built.verify(target).status is Status.CONTAINED


def test_whether_an_instance_is_gone_that_nobody_watches_is_asked(built: Lab) -> None:
    target = built.plan()
    assert ec2_instance.why_gone(built.context(), target) == ""
    built.see("ec2").terminate_instances(InstanceIds=[target.id])
    assert f"instance {target.id} is terminated" in ec2_instance.why_gone(built.context(), target)
    built.fail("DescribeInstances", "UnauthorizedOperation")
    with pytest.raises(ClientError):
        ec2_instance.why_gone(built.context(), target)


def test_what_another_containment_needs_stays(built: Lab) -> None:
    gone(built)
    first = built.ids["instance"]
    second = another_instance(built)
    assert built.respond().status is Status.CONTAINED
    with hours_on(13):
        built.ids["instance"] = first
        assert take_out(built) != ""
        assert built.role_policies() == {built.deny_name(): deny_document(second)}
        assert entries(built) == {second}
        assert tags(built) == DENIED


def test_somebody_elses_statements_stay(built: Lab) -> None:
    gone(built)
    theirs = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    found = built.role_policies()[built.deny_name()]
    both = {**found, "Statement": [theirs, *found["Statement"]]}
    named = {"RoleName": "app", "PolicyName": built.deny_name()}
    built.see("iam").put_role_policy(**named, PolicyDocument=json.dumps(both))
    with hours_on(13):
        take_out(built)
        assert built.role_policies()[built.deny_name()]["Statement"] == [theirs]


def test_named_sessions_of_a_contained_instance_leave_and_nothing_is_lost(built: Lab) -> None:
    role_id(built, "admin")
    assume_role(
        built,
        "admin",
        "s1",
        "ASIA1",
    )
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    with hours_on(11):
        take_out(built, "admin")
        assert denied(built, "admin"), "the session may live for another hour"
    with hours_on(13):
        assert take_out(built, "admin") == ""
        assert policies(built, "admin") == {} and tags(built, "admin") == {}
        assert built.stored_record()["actions"]["sessions_expired admin"]["status"] == "DONE"
        assert built.verify(target).status is Status.CONTAINED
        assert built.ids["checks"]["held_sessions admin"].ok
        assert denied(built, "app") == [] and built.role_policies(), "its own stay denied"
        assert built.restore().status is Status.RESTORED
        assert built.role_policies() == {} and policies(built, "admin") == {}
        assert tags(built) == tags(built, "admin") == {}


def test_the_date_for_all_older_sessions_leaves(lab: Lab) -> None:
    """A date that somebody had there before is there again."""
    lab.options["revoke_sessions"] = "role"
    lab.build()
    theirs: Any = deny_before("2026-01-01T00:00:00Z")
    named = {"RoleName": "app", "PolicyName": OLDER}
    lab.see("iam").put_role_policy(**named, PolicyDocument=json.dumps(theirs))
    target = lab.plan()
    assert lab.respond(target).status is Status.CONTAINED
    assert lab.role_policies()[OLDER] != theirs
    with hours_on(13):
        take_out(lab)
        assert lab.role_policies()[OLDER] == theirs
        assert lab.verify(target).status is Status.CONTAINED
        assert lab.restore().status is Status.RESTORED
        assert lab.role_policies() == {OLDER: theirs}


def deny_before(date: str) -> dict[str, Any]:
    condition = {"DateLessThan": {"aws:TokenIssueTime": date}}
    denial = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [denial]}


def test_a_managed_policy_leaves_too(built: Lab) -> None:
    action = "s3:Get" + "x" * (INLINE["role"] - 120)
    own = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
    }
    iam = built.see("iam")
    iam.put_role_policy(
        RoleName="app",
        PolicyName="own",
        PolicyDocument=json.dumps(own),
    )
    gone(built)
    assert iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
    with hours_on(13):
        take_out(built)
        assert iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"] == []
        mine = iam.list_policies(Scope="Local")["Policies"]
        assert not [policy for policy in mine if PREFIX in policy["PolicyName"]]
        assert set(built.role_policies()) == {"own"}
        assert tags(built) == {}


def test_what_is_refused_is_left_for_the_next_attempt(built: Lab) -> None:
    gone(built)
    with hours_on(13):
        built.fail(
            "DeleteRolePolicy",
            "AccessDenied",
            times=1,
        )
        with pytest.raises(ClientError):
            take_out(built)
        assert entries(built) == {built.ids["instance"]}
        assert LOGGED not in built.stored_record()["actions"]
        take_out(built)
        assert built.role_policies() == {} and entries(built) == set()


def test_a_role_that_was_deleted_is_settled(built: Lab) -> None:
    gone(built)
    iam = built.see("iam")
    iam.delete_role_policy(RoleName="app", PolicyName=built.deny_name())
    iam.remove_role_from_instance_profile(InstanceProfileName="app", RoleName="app")
    iam.delete_role(RoleName="app")
    with hours_on(13):
        assert take_out(built) == ""
        assert entries(built) == set()


def test_a_date_that_stands_for_the_names_leaves_and_nothing_is_lost(built: Lab) -> None:
    """Where neither the role nor a managed policy has room for the names."""
    named = f"{PREFIX}-sessions"
    built.fail(
        "PutRolePolicy",
        "LimitExceeded",
        lambda params: params["PolicyName"] == named,
    )
    built.fail("CreatePolicy", "LimitExceeded")
    target = built.plan()
    assert built.respond(target).status is Status.CONTAINED
    assert set(built.role_policies()) == {OLDER} and tags(built) == DENIED
    with hours_on(11):
        take_out(built)
        assert set(built.role_policies()) == {OLDER}
    with hours_on(13):
        take_out(built)
        assert built.role_policies() == {} and tags(built) == {}
        assert built.verify(target).status is Status.CONTAINED
