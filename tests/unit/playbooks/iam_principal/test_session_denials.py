"""The one policy of a role that denies sessions: what containments of the role share, and what each
takes out again.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.aws.api import PolicyDocument
from guardduty_response.containment.role_policies import OLDER, revoke_document
from guardduty_response.containment.session_denials import policy_name
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_lab import INCIDENT, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.session_judge import ALLOW_EVERYTHING, is_allowed, moment
from tests.unit.playbooks.iam_principal.test_shared_roles import restore, session, two_sessions

pytestmark = pytest.mark.usefixtures("untrimmed_models")
SESSIONS = f"{PREFIX}-sessions"
OLD = policy_name(PREFIX, "app/carol")  # as an earlier release named it


def put(iam: IamLab, name: str, policy: PolicyDocument, role_name: str = "app") -> None:
    text = json.dumps(policy)
    iam.see().put_role_policy(
        RoleName=role_name,
        PolicyName=name,
        PolicyDocument=text,
    )


# -- one policy of a role --------------------------------------------------------------------------


def test_two_sessions_of_a_role_share_a_policy_until_the_last_restore(iam: IamLab) -> None:
    first, second = two_sessions(iam)
    assert set(iam.role_policies()) == {SESSIONS}
    assert not is_allowed(
        iam,
        "carol",
        -60,
    )
    assert not is_allowed(
        iam,
        "dave",
        -60,
    )
    assert restore(iam, first) is Status.RESTORED
    assert is_allowed(
        iam,
        "carol",
        -60,
    )
    assert not is_allowed(
        iam,
        "dave",
        -60,
    )
    assert restore(iam, second) is Status.RESTORED
    assert iam.role_policies() == {}


def test_a_session_that_two_containments_deny_is_denied_until_both_are_restored(
    iam: IamLab,
) -> None:
    """The finding of the session itself, and that of the user who holds it."""
    iam.user().role("app", session=None)
    caller = {**user_identity(), "principalId": iam.ids["user"]}
    iam.add_assume_role(
        caller,
        "app",
        "carol",
        "ASIA1",
    )
    assert iam.respond().status is Status.CONTAINED
    of_user = iam.plan()
    iam.details["userType"] = "AssumedRole"
    iam.details["userName"] = "app"
    iam.ids["arn"] = "arn:aws:iam::222222222222:role/app"
    of_session = session(
        iam,
        "carol",
        INCIDENT,
    )
    playbook.contain(iam.context(), of_session)
    for target in (of_session, of_user):
        assert not is_allowed(
            iam,
            "carol",
            -60,
        )
        assert restore(iam, target) is Status.RESTORED
    assert is_allowed(
        iam,
        "carol",
        -60,
    )


def test_what_an_ended_containment_denied_leaves_with_the_next_writing(iam: IamLab) -> None:
    first, _ = two_sessions(iam)
    iam.record.containments.set(*first.place or ("", 0), status=Status.RESTORE_PARTIAL)
    third = session(
        iam,
        "erin",
        INCIDENT,
    )
    playbook.contain(iam.context(), third)
    assert is_allowed(
        iam,
        "carol",
        -60,
    )
    assert not is_allowed(
        iam,
        "dave",
        -60,
    )
    assert not is_allowed(
        iam,
        "erin",
        -60,
    )


def test_what_of_a_role_is_gone_leaves_when_its_sessions_are_over(
    iam: IamLab,
) -> None:
    first, _ = two_sessions(iam)
    iam.record.containments.set(*first.place or ("", 0), status=Status.GONE)
    playbook.contain(
        iam.context(),
        session(
            iam,
            "erin",
            INCIDENT,
        ),
    )
    assert not is_allowed(
        iam,
        "carol",
        -60,
    ), "its sessions may live for hours"
    thirteen = 13 * 3600
    iam.clock_offset += thirteen
    playbook.contain(
        iam.context(),
        session(
            iam,
            "frank",
            INCIDENT,
        ),
    )
    [statement] = iam.role_policies()[SESSIONS]["Statement"]
    named = statement["Condition"]["StringEquals"]["aws:userid"]
    assert [userid.partition(":")[2] for userid in named] == ["frank"], "the others are over, too"


def test_sessions_that_are_over_are_not_missed(iam: IamLab) -> None:
    """A role session lives twelve hours at most: another containment's writing takes it out."""
    target = iam.role().plan()
    assert iam.respond(target).status is Status.CONTAINED
    iam.see().delete_role_policy(RoleName="app", PolicyName=SESSIONS)
    check = iam.planned().target._replace(verify_only=True, generation=target.generation)
    assert playbook.verify(iam.context(), check)[0].status is Status.FAILED
    iam.clock_offset += 13 * 3600
    assert playbook.verify(iam.context(), check)[0].status is Status.CONTAINED


def test_a_statement_that_somebody_added_stays(iam: IamLab) -> None:
    iam.role().respond()
    policy = iam.role_policies()[SESSIONS]
    own = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    put(
        iam,
        SESSIONS,
        {**policy, "Statement": [own, *policy["Statement"]]},
    )
    assert iam.restore().status is Status.RESTORED
    assert iam.role_policies()[SESSIONS]["Statement"] == [own]


# -- AWSRevokeOlderSessions ------------------------------------------------------------------------


@pytest.mark.parametrize("old", ["", "2024-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_what_it_added_to_older_sessions_is_taken_back(iam: IamLab, old: str) -> None:
    iam.options["revoke_sessions"] = "role"
    iam.role()
    policies = {}
    if old:
        statement = {**ALLOW_EVERYTHING["Statement"][0], "Action": "s3:*", "Effect": "Deny"}
        policies[OLDER] = revoke_document({"Statement": [statement]}, old)
        text = json.dumps(policies[OLDER])
        iam.see().put_role_policy(
            RoleName="app",
            PolicyName=OLDER,
            PolicyDocument=text,
        )
    assert iam.respond().status is Status.CONTAINED
    assert not is_allowed(
        iam,
        "dave",
        -60,
    )
    assert iam.restore().status is Status.RESTORED
    assert iam.role_policies() == policies


def test_a_revocation_that_a_person_made_since_stays(iam: IamLab) -> None:
    iam.options["revoke_sessions"] = "role"
    iam.role().respond()
    later = revoke_document(None, moment(600))
    text = json.dumps(later)
    iam.see().put_role_policy(
        RoleName="app",
        PolicyName=OLDER,
        PolicyDocument=text,
    )
    assert iam.restore().status is Status.RESTORED
    assert iam.role_policies() == {OLDER: later}


def test_older_sessions_that_an_earlier_release_denied_stay_dead(iam: IamLab) -> None:
    """It recorded nothing of who else needs it."""
    iam.options["revoke_sessions"] = "role"
    iam.role().respond()
    iam.forget_entries()
    result = iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert OLDER in iam.role_policies()
    [text] = result.not_restored
    assert "stay dead by design" in text
    assert f"aws iam delete-role-policy --role-name app --policy-name {OLDER}" in text
    assert result.still_contained == ["sessions"]


@pytest.mark.parametrize("reverse", [False, True])
def test_older_sessions_are_denied_as_long_as_one_containment_needs_it(
    iam: IamLab, reverse: bool
) -> None:
    iam.options["revoke_sessions"] = "role"
    first, second = two_sessions(iam)
    leaves, stays = (second, first) if reverse else (first, second)
    assert restore(iam, leaves) is Status.RESTORED
    assert not is_allowed(
        iam,
        "frank",
        -60,
    )
    assert restore(iam, stays) is Status.RESTORED
    assert iam.role_policies() == {}


# -- what an earlier release contained -------------------------------------------------------------


@pytest.fixture
def old(iam: IamLab) -> IamLab:
    """A session that an earlier release denied, in a policy of the containment's own."""
    iam.role().respond()
    iam.forget_entries()
    put(
        iam,
        OLD,
        iam.role_policies()[SESSIONS],
    )
    iam.see().delete_role_policy(RoleName="app", PolicyName=SESSIONS)
    target = iam.ids["target"]
    at = {"pk": {"S": f"CONTAINMENT#{target.arn}"}, "sk": {"S": "0001#BEFORE#sessions"}}
    table = iam.own("dynamodb")
    stored = table.get_item(TableName="incidents", Key=at)["Item"]
    text = json.dumps(stored).replace(SESSIONS, OLD)
    table.put_item(TableName="incidents", Item=json.loads(text))
    assert OLD in json.dumps(iam.stored_target()["before"]["sessions"])
    return iam


def test_what_an_earlier_release_denied_is_checked_under_its_name(old: IamLab) -> None:
    check = old.planned().target._replace(verify_only=True, generation=1)
    assert playbook.verify(old.context(), check)[0].status is Status.CONTAINED
    old.see().delete_role_policy(RoleName="app", PolicyName=OLD)
    assert playbook.verify(old.context(), check)[0].status is Status.FAILED
    assert old.respond(old.plan()).status is Status.CONTAINED
    assert set(old.role_policies()) == {OLD}


def test_what_an_earlier_release_denied_is_restored(old: IamLab) -> None:
    assert old.restore().status is Status.RESTORED
    assert old.role_policies() == {}
