"""A role on which sessions are denied, and which is not contained itself, has a tag as long as they
are: the organization's quarantine policy keeps its inline policies by that.
"""

from __future__ import annotations

from threading import Event
from typing import Any
from unittest.mock import patch

import pytest
from guardduty_response.incident.repository import IncidentRepository
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab
from tests.unit.playbooks.ec2_instance.session_trail import assume_role, denied, role_id
from tests.unit.playbooks.ec2_instance.test_session_denials import another_instance

pytestmark = pytest.mark.usefixtures("full_models")  # of the restore function
DENIED = {f"{PREFIX}-sessions": "denied"}
LOGGED = "tag_denied_role app"


@pytest.fixture
def built(lab: Lab) -> Lab:
    return lab.build()


def tags(lab: Lab, role: str = "app") -> dict[str, str]:
    found = lab.see("iam").list_role_tags(RoleName=role)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_it_comes_with_the_first_denial_and_leaves_with_the_last(built: Lab) -> None:
    built.see("iam").tag_role(RoleName="app", Tags=[{"Key": "team", "Value": "web"}])
    first = built.ids["instance"]
    assert built.respond().status is Status.CONTAINED
    assert tags(built) == {"team": "web", **DENIED}
    second = another_instance(built)
    assert built.respond().status is Status.CONTAINED
    built.ids["instance"] = first
    assert built.restore().status is Status.RESTORED
    assert tags(built) == {"team": "web", **DENIED}, "the other instance is contained still"
    built.ids["instance"] = second
    assert built.restore().status is Status.RESTORED
    assert tags(built) == {"team": "web"}


def test_a_role_of_chained_sessions_has_it_too(built: Lab) -> None:
    role_id(built, "admin")
    session = assume_role(
        built,
        "admin",
        "s1",
        "ASIA1",
    )
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [session]
    assert tags(built, "admin") == tags(built, "app") == DENIED
    assert built.restore().status is Status.RESTORED
    assert tags(built, "admin") == tags(built, "app") == {}


def test_of_a_gone_instance(built: Lab) -> None:
    target = built.plan()
    built.see("ec2").terminate_instances(InstanceIds=[built.ids["instance"]])
    assert built.respond(target).status is Status.GONE
    assert tags(built) == DENIED


@pytest.mark.parametrize("option", ["instance", "role"])
def test_whichever_way_they_are_denied(lab: Lab, option: str) -> None:
    lab.options["revoke_sessions"] = option
    lab.build()
    lab.respond()
    assert tags(lab) == DENIED
    assert lab.restore().status is Status.RESTORED
    assert tags(lab) == {}


def test_without_sessions_denied_there_is_none(lab: Lab) -> None:
    lab.options["revoke_sessions"] = "none"
    lab.build()
    lab.respond()
    assert tags(lab) == {}


def test_it_comes_after_what_denies(built: Lab) -> None:
    """Nothing waits for it but what comes after the changes."""
    built.respond()
    made = built.operations()
    for change in ("PutRolePolicy", "ModifyNetworkInterfaceAttribute", "CreateSecurityGroup"):
        assert made.index(change) < made.index("TagRole"), made


def test_sessions_of_other_roles_are_looked_for_while_it_is_put(built: Lab) -> None:
    """It is there, and logged, when the step ends: the verdict knows of it."""
    searching, waited = Event(), []
    target = built.plan()
    built.hooks += [
        ("LookupEvents", searching.set),
        ("TagRole", lambda: waited.append(searching.wait(5))),
    ]
    playbook.contain(built.context(), target)
    assert waited == [True]
    assert tags(built) == DENIED
    assert built.stored_record()["actions"][LOGGED]["status"] == "DONE"


def test_what_cannot_be_logged_of_it_fails_the_step(built: Lab) -> None:
    target, write = built.plan(), IncidentRepository.action

    def action(record: IncidentRepository, *values: Any, **named: Any) -> None:
        if LOGGED in values:
            raise RuntimeError("the table cannot be written")
        write(record, *values, **named)

    with (
        patch.object(IncidentRepository, "action", action),
        pytest.raises(RuntimeError, match="cannot be written"),
    ):
        playbook.contain(built.context(), target)
    assert tags(built) == DENIED


def test_a_role_that_cannot_be_tagged_is_contained_all_the_same(built: Lab) -> None:
    """As with the role of an earlier release. People are told, with the command."""
    built.fail("TagRole", "AccessDenied")
    assert built.respond().status is Status.CONTAINED
    assert tags(built) == {}
    logged = built.stored_record()["actions"][LOGGED]
    assert logged["status"] == "FAILED"
    assert "AccessDenied" in logged["detail"]
    assert f"aws iam tag-role --role-name app --tags Key={PREFIX}-sessions" in logged["detail"]


def test_a_tag_that_cannot_be_taken_off_does_not_keep_the_denial(built: Lab) -> None:
    built.respond()
    built.fail("UntagRole", "AccessDenied")
    assert built.restore().status is Status.RESTORED
    assert built.role_policies() == {}
    logged = built.stored_record()["actions"][LOGGED]
    assert logged["status"] == "FAILED"
    assert f"aws iam untag-role --role-name app --tag-keys {PREFIX}-sessions" in logged["detail"]


def test_a_tag_that_is_gone_is_set_again_with_the_denial(built: Lab) -> None:
    target = built.plan()
    built.respond(target)
    iam = built.see("iam")
    iam.untag_role(RoleName="app", TagKeys=list(DENIED))
    iam.delete_role_policy(RoleName="app", PolicyName=built.deny_name())
    assert built.respond(target).status is Status.CONTAINED
    assert tags(built) == DENIED
