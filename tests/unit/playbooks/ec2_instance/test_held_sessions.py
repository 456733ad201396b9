"""Sessions that the instance's credentials got of other roles: found in CloudTrail wherever they
were got, and denied on these roles; what is not denied is named.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from guardduty_response.cloudtrail import session_search
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.ec2_instance import playbook as ec2_instance

from tests.unit.playbooks.ec2_instance.ec2_lab import PREFIX, Lab
from tests.unit.playbooks.ec2_instance.session_trail import (
    ELSEWHERE,
    assume_role,
    denied,
    of_instance,
    of_session,
    policies,
    role_id,
)

Json = dict[str, Any]
NAME = "held_sessions"
ADMIN = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


@pytest.fixture
def built(lab: Lab) -> Lab:
    return lab.build()


def detail(lab: Lab) -> str:
    return str(lab.stored_record()["actions"][NAME]["detail"])


# -- found and denied ------------------------------------------------------------------------------


def test_found_in_two_regions_and_denied(built: Lab) -> None:
    first = assume_role(built, "admin", "s1", "ASIA1")
    second = assume_role(built, "batch", "s2", "ASIA2", region=ELSEWHERE)
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [first]
    assert denied(built, "batch") == [second]
    [statement] = policies(built, "admin")[f"{PREFIX}-sessions"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert built.ids["checks"]["held_sessions admin"].ok
    assert built.ids["checks"]["held_sessions batch"].ok
    assert detail(built) == "sessions denied in admin (1), batch (1)"


@pytest.mark.usefixtures("full_models")
def test_a_restore_takes_the_denial_back_and_nothing_else(built: Lab) -> None:
    role_id(built, "admin")
    built.see("iam").put_role_policy(
        RoleName="admin", PolicyName="own", PolicyDocument=json.dumps(ADMIN)
    )
    assume_role(built, "admin", "s1", "ASIA1")
    before = policies(built, "admin"), policies(built, "app")
    built.respond()
    assert policies(built, "admin") != before[0]
    assert built.restore().status is Status.RESTORED
    assert (policies(built, "admin"), policies(built, "app")) == before


def test_a_session_that_a_session_got_is_followed_through_the_regions(built: Lab) -> None:
    first = assume_role(built, "admin", "s1", "ASIA1", ago=3000)
    second = assume_role(
        built,
        "batch",
        "s2",
        "ASIA2",
        of_session(built, "admin", "s1", "ASIA1"),
        region=ELSEWHERE,
        ago=2000,
    )
    third = assume_role(
        built, "deploy", "s3", "ASIA3", of_session(built, "batch", "s2", "ASIA2"), ago=1000
    )
    assume_role(
        built, "deploy", "not-its", "ASIA8", of_session(built, "admin", "else", "ASIA9"), ago=1000
    )
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [first]
    assert denied(built, "batch") == [second]
    assert denied(built, "deploy") == [third]


def test_what_a_session_got_in_the_console_is_denied(built: Lab) -> None:
    """The console signs with a key that no AssumeRole event issued."""
    first = assume_role(built, "admin", "s1", "ASIAISSUED", ago=2000)
    in_console = of_session(built, "admin", "s1", "ASIACONSOLE")
    second = assume_role(built, "batch", "s2", "ASIA2", in_console, region=ELSEWHERE, ago=1000)
    assert built.respond().status is Status.CONTAINED
    assert (denied(built, "admin"), denied(built, "batch")) == ([first], [second])


def test_what_a_session_got_that_is_over_is_denied(built: Lab) -> None:
    assume_role(built, "admin", "s1", "ASIA1", ago=5000)
    last = assume_role(
        built, "batch", "s2", "ASIA2", of_session(built, "admin", "s1", "ASIA1"), ago=1800
    )
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == []
    assert denied(built, "batch") == [last]


def test_the_answer_says_when_it_ends(built: Lab) -> None:
    """Nothing of the request says it here: an hour would be assumed."""
    assume_role(built, "admin", "short", "ASIA1", ago=1800, seconds=900)
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == []


@pytest.mark.parametrize("other", ["another role", "a former role", "another session", "refused"])
def test_who_only_bears_a_name_is_left(built: Lab, other: str) -> None:
    instance = built.ids["instance"]
    caller = {
        "another role": of_session(built, "batch", instance, "ASIA7"),
        "a former role": {
            **of_instance(built),
            "principalId": f"AROAFORMER000000001:{instance}",
        },
        "another session": of_session(built, "app", f"{instance}0", "ASIA7"),
        "refused": of_instance(built),
    }[other]
    more: Json = {"errorCode": "AccessDenied"} if other == "refused" else {}
    assume_role(built, "admin", "s1", "ASIA1", caller, **more)
    assert built.respond().status is Status.CONTAINED
    assert policies(built, "admin") == {}
    assert built.actions()[NAME] == "SKIPPED"


def test_where_the_unique_id_cannot_be_read_the_roles_arn_decides(built: Lab) -> None:
    found = assume_role(built, "admin", "s1", "ASIA1")
    other = of_session(built, "batch", built.ids["instance"], "ASIA7")
    assume_role(built, "deploy", "s2", "ASIA2", other)
    built.fail("GetRole", "AccessDenied")
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "admin") == [found]
    assert policies(built, "deploy") == {}


@pytest.mark.usefixtures("full_models")
def test_a_session_of_its_own_role_is_denied_beside_its_own(built: Lab) -> None:
    found = assume_role(built, "app", "s1", "ASIA1")
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "app") == [found]
    document = json.dumps(policies(built, "app")[f"{PREFIX}-sessions"])
    assert f"*:{built.ids['instance']}" in document
    assert built.restore().status is Status.RESTORED
    assert policies(built, "app") == {}


@pytest.mark.parametrize("why", ["its name", "all revoked"])
def test_a_session_of_its_own_role_that_is_denied_already_is_not_twice(
    built: Lab, why: str
) -> None:
    if why == "all revoked":
        built.options["revoke_sessions"] = "role"
    assume_role(built, "app", built.ids["instance"] if why == "its name" else "s1", "ASIA1")
    assert built.respond().status is Status.CONTAINED
    assert denied(built, "app") == []
    assert built.actions()[NAME] == "SKIPPED"


def test_what_many_sessions_got_is_found_in_one_lookup_of_each_region(built: Lab) -> None:
    count = session_search.QUERIES + 20
    for number in range(count):
        assume_role(built, "admin", f"s{number}", f"ASIA{number}", ago=900)
    last = assume_role(
        built,
        "batch",
        "chained",
        "ASIACHAINED",
        of_session(built, "admin", "s3", "ASIA3"),
        region=ELSEWHERE,
        ago=800,
    )
    assert built.respond().status is Status.CONTAINED
    assert len(denied(built, "admin")) == count
    assert denied(built, "batch") == [last]
    # its own calls, all AssumeRoot and all AssumeRole events
    assert built.operations().count("LookupEvents") == 3 * len(built.got.regions)


def test_sessions_in_many_roles_fit_into_session_policies(built: Lab) -> None:
    for number in range(25):
        assume_role(
            built,
            f"a-role-with-quite-a-long-name-to-fill-a-session-policy-{number:02}",
            "s1",
            f"ASIA{number}",
        )
    assert built.respond().status is Status.CONTAINED
    assert len([name for name in built.ids["checks"] if name.startswith(NAME)]) == 25


# -- when ------------------------------------------------------------------------------------------


def test_it_comes_after_everything_else_of_containment(lab: Lab) -> None:
    lab.build(interfaces=2, asg=True, targets=True)
    assume_role(lab, "admin", "s1", "ASIA1")
    target = lab.plan()
    lab.calls.clear()
    ec2_instance.contain(lab.context(), target)
    changed = (
        "ModifyNetworkInterfaceAttribute",
        "ReplaceIamInstanceProfileAssociation",
        "DetachInstances",
        "DeregisterTargets",
    )
    names = lab.operations()
    last = max(number for number, name in enumerate(names) if name in changed)
    own = min(number for number, name in enumerate(names) if name == "PutRolePolicy")
    assert max(last, own) < names.index("LookupEvents")
    [chained] = [
        number
        for number, call in enumerate(lab.calls)
        if call.operation == "PutRolePolicy" and call.params["RoleName"] == "admin"
    ]
    assert chained > names.index("LookupEvents")


def test_planning_says_what_will_be_looked_for_and_changes_nothing(built: Lab) -> None:
    assume_role(built, "admin", "s1", "ASIA1")
    built.plan()
    assert "looked for in CloudTrail" in built.ids["planned"].actions[NAME]
    assert "LookupEvents" not in built.operations()
    assert policies(built, "admin") == {}


def test_without_a_role_there_is_nothing_to_look_for(lab: Lab) -> None:
    lab.build(profile=False)
    target = lab.plan()
    assert NAME not in lab.ids["planned"].actions
    assert lab.respond(target).status is Status.CONTAINED
    assert lab.actions()[NAME] == "SKIPPED"
    assert "it has no role" in detail(lab)
    assert "LookupEvents" not in lab.operations()


@pytest.mark.parametrize(
    "options", [{"other_role_sessions": False}, {"revoke_sessions": "none"}], ids=str
)
def test_switched_off_nothing_is_looked_for(built: Lab, options: Json) -> None:
    built.options |= options
    assume_role(built, "admin", "s1", "ASIA1")
    target = built.plan()
    assert NAME not in built.ids["planned"].actions
    assert built.respond(target).status is Status.CONTAINED
    assert built.actions()[NAME] == "SKIPPED"
    assert f"switched off ({next(iter(options))}" in detail(built)
    assert policies(built, "admin") == {}
    assert "LookupEvents" not in built.operations()


def test_a_linked_incident_looks_for_nothing(built: Lab) -> None:
    target = built.plan()._replace(attach="inc-other")
    built.calls.clear()
    ec2_instance.contain(built.context(), target)
    ec2_instance.finish(built.context(), target)
    assert "LookupEvents" not in built.operations()
