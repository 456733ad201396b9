"""What containment changed is as it was again, or the reason is said; judged by how it is, not
by what the ledger believes.
"""

from __future__ import annotations

import json

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook
from moto.iam.models import iam_backends

from tests.unit.playbooks.iam_principal.cloudtrail_identities import user as user_identity
from tests.unit.playbooks.iam_principal.iam_account import EVERY_CREDENTIAL, Json, UserTraits
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER, managed
from tests.unit.playbooks.iam_principal.session_judge import ALLOW_EVERYTHING, is_allowed

pytestmark = pytest.mark.usefixtures("untrimmed_models")


def differences(before: Json, after: Json) -> dict[str, tuple[object, object]]:
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def changes(iam: IamLab) -> list[str]:
    """Calls of the response that change IAM."""
    own = [call for call in iam.calls if call.service == "iam"]
    return [call.operation for call in own if not call.operation.startswith(("Get", "List"))]


def test_everything_is_as_it_was_but_what_cannot_be(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL)
    before = iam.dump()
    iam.respond()
    result = iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert differences(before, iam.dump()) == {
        "password": (before["password"], None),
        "mfa": (before["mfa"], [iam.ids["mfa_old"]]),
    }
    assert len(result.not_restored) == 2
    [password] = [text for text in result.not_restored if "console password" in text]
    assert "a person sets a new one" in password
    assert "aws iam create-login-profile --user-name alice" in password
    [device] = [text for text in result.not_restored if "MFA" in text]
    assert iam.ids["mfa_new"] in device
    assert "aws iam enable-mfa-device --user-name alice" in device
    assert sorted(result.still_contained) == ["login_profile", "mfa"]


@pytest.mark.parametrize(
    "traits",
    [
        {"keys": 0},
        {"keys": 1},
        {"keys": 2, "ssh": True, "service": True, "certificate": True},
        {"keys": 2, "policies": 10},
        {"policies": 10, "boundary": "PowerUserAccess"},
        {"policies": 3, "path": "/people/"},
        {"keys": 1, "mfa": ("old",)},
    ],
)
def test_restored_means_iam_is_what_it_was(iam: IamLab, traits: UserTraits) -> None:
    if "boundary" in traits:
        traits = {**traits, "boundary": managed(traits["boundary"])}
    iam.user(**traits)
    before = iam.dump()
    iam.respond()
    assert iam.dump() != before
    result = iam.restore()
    assert (result.status, result.not_restored, result.still_contained) == (Status.RESTORED, [], [])
    assert iam.dump() == before


def test_a_boundary_that_came_after_the_plan_comes_back(iam: IamLab) -> None:
    target = iam.user(policies=10).plan()
    new_boundary = managed("PowerUserAccess")
    iam.see().put_user_permissions_boundary(UserName="alice", PermissionsBoundary=new_boundary)
    iam.respond(target)
    assert iam.restore().status is Status.RESTORED
    assert iam.boundary() == new_boundary


def test_what_was_inactive_stays_inactive(iam: IamLab) -> None:
    iam.user(keys=2)
    iam.see().update_access_key(
        UserName="alice",
        AccessKeyId=iam.ids["keys"][1],
        Status="Inactive",
    )
    before = iam.dump()
    iam.respond()
    assert iam.restore().status is Status.RESTORED
    assert iam.dump() == before
    assert iam.key_states()[iam.ids["keys"][1]] == "Inactive"


def test_what_was_inactive_and_somebody_activated_is_left(iam: IamLab) -> None:
    iam.user(keys=2)
    first, second = iam.ids["keys"]
    iam.see().update_access_key(
        UserName="alice",
        AccessKeyId=second,
        Status="Inactive",
    )
    iam.respond()
    iam.see().update_access_key(
        UserName="alice",
        AccessKeyId=second,
        Status="Active",
    )
    iam.calls.clear()
    [text] = iam.restore().not_restored
    assert f"access key {second} is Active" in text
    assert "somebody changed it since" in text
    assert [
        call.params["AccessKeyId"] for call in iam.calls if call.operation == "UpdateAccessKey"
    ] == [first]


def test_a_reset_password_is_a_persons_to_set(iam: IamLab) -> None:
    iam.options["console_password"] = "reset"
    iam.user(console=True).respond()
    result = iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert "a random one that nobody knows" in result.not_restored[0]
    assert "aws iam update-login-profile --user-name alice" in result.not_restored[0]


@pytest.mark.parametrize("mode", ["remove", "reset"])
def test_a_password_that_a_person_has_set_since_is_fine(iam: IamLab, mode: str) -> None:
    iam.options["console_password"] = mode
    iam.user(console=True).respond()
    client = iam.see()
    if mode == "remove":
        client.create_login_profile(
            UserName="alice", Password="a new day at work", PasswordResetRequired=True
        )
    else:
        client.update_login_profile(
            UserName="alice", Password="a new day at work", PasswordResetRequired=False
        )
    result = iam.restore()
    assert result.status is Status.RESTORED
    assert iam.password() is not None


def test_a_second_time_there_is_nothing_to_do(iam: IamLab) -> None:
    iam.user(keys=2, ssh=True).respond()
    iam.restore()
    iam.see().update_access_key(
        UserName="alice",
        AccessKeyId=iam.ids["keys"][0],
        Status="Inactive",
    )
    iam.calls.clear()
    result = iam.restore()
    assert result.status is Status.RESTORED
    assert changes(iam) == []
    assert iam.key_states()[iam.ids["keys"][0]] == "Inactive", (
        "what happens after a restore is not this incident's"
    )


def test_half_contained_is_restored_as_far_as_it_was_changed(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL)
    before, target = iam.dump(), iam.plan()
    for operation in ("AttachUserPolicy", "UpdateSSHPublicKey"):
        iam.fail(operation, "AccessDenied")
    playbook.contain(iam.context(), target)
    iam.faults.clear()
    assert DENY_ALL not in iam.attached()
    assert iam.dump()["keys"] != before["keys"]
    assert iam.dump()["ssh"] == before["ssh"]
    iam.restore()
    assert set(differences(before, iam.dump())) <= {"password", "mfa"}


# -- changed since ---------------------------------------------------------------------------------


def test_what_somebody_changed_since_is_left_and_said(iam: IamLab) -> None:
    iam.user(keys=2, policies=2)
    iam.respond()
    client, [first, second] = iam.see(), iam.ids["keys"]
    client.delete_access_key(UserName="alice", AccessKeyId=first)
    client.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    client.put_user_permissions_boundary(
        UserName="alice", PermissionsBoundary=managed("PowerUserAccess")
    )
    client.tag_user(UserName="alice", Tags=[{"Key": PREFIX, "Value": "ours"}])
    result = iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    text = " ".join(result.not_restored)
    assert f"access key {first} no longer exists" in text
    assert f"tag {PREFIX} is ours" in text
    assert "the permissions boundary of alice is arn:aws:iam::aws:policy/PowerUserAccess" in text
    assert iam.key_states() == {second: "Active"}
    assert iam.dump()["tags"][PREFIX] == "ours"
    assert iam.boundary() == managed("PowerUserAccess")
    assert result.still_contained == []


def test_a_deleted_user_is_gone(iam: IamLab) -> None:
    iam.user(keys=0).respond()
    iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    iam.see().delete_user(UserName="alice")
    result = iam.restore()
    assert result.status is Status.GONE
    assert "IAM user alice no longer exists" in result.not_restored[0]


def test_what_cannot_be_brought_back_is_said_with_the_command(iam: IamLab) -> None:
    iam.user(keys=1).respond()
    iam.fail("DetachUserPolicy", "AccessDenied")
    result = iam.restore()
    assert result.status is Status.RESTORE_PARTIAL
    assert iam.attached() == {DENY_ALL}
    assert set(iam.key_states().values()) == {"Active"}, "one that fails keeps no other"
    manual_command = f"aws iam detach-user-policy --user-name alice --policy-arn {DENY_ALL}"
    assert any("AccessDenied" in text and manual_command in text for text in result.not_restored)
    iam.faults.clear()
    assert iam.restore().status is Status.RESTORED
    assert iam.attached() == set()


def test_a_key_that_cannot_be_brought_back_is_said_with_its_command(iam: IamLab) -> None:
    iam.user(keys=1).respond()
    iam.fail("UpdateAccessKey", "AccessDenied")
    [text] = iam.restore().not_restored
    key = iam.ids["keys"][0]
    assert (
        f"aws iam update-access-key --user-name alice --access-key-id {key} --status Active" in text
    )


def test_somebody_changing_it_at_the_same_time_is_waited_for(iam: IamLab) -> None:
    iam.user(keys=2).respond()
    iam.fail("DetachUserPolicy", "ConcurrentModification", times=3)
    assert iam.restore().status is Status.RESTORED
    assert iam.attached() == set()


def test_the_power_to_restore_is_the_users_alone(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL).respond()
    iam.policies.clear()
    iam.restore()
    for policy in iam.policies:
        assert [statement["Resource"] for statement in policy["Statement"]] == [iam.ids["arn"]]


# -- roles -----------------------------------------------------------------------------------------


def test_a_role_is_as_it_was(iam: IamLab) -> None:
    iam.role()
    iam.see().put_role_policy(
        RoleName="app", PolicyName="work", PolicyDocument=json.dumps(ALLOW_EVERYTHING)
    )
    before = iam.role_dump()
    iam.respond()
    assert not is_allowed(iam, "carol", -60)
    result = iam.restore()
    assert (result.status, result.not_restored) == (Status.RESTORED, [])
    assert iam.role_dump() == before
    assert is_allowed(iam, "carol", -60)


def test_a_policy_that_another_has_written_since_is_left(iam: IamLab) -> None:
    iam.role().respond()
    [name] = iam.role_policies()
    iam.see().put_role_policy(
        RoleName="app", PolicyName=name, PolicyDocument=json.dumps(ALLOW_EVERYTHING)
    )
    result = iam.restore()
    assert iam.role_policies() == {name: ALLOW_EVERYTHING}
    assert any("another policy" in text for text in result.not_restored)


def test_another_user_under_the_same_name_is_left_alone(iam: IamLab) -> None:
    """Deleted and made anew, with what denies everything: that is not this containment's."""
    iam.user().respond()
    was = iam.ids["user"]
    del iam_backends[MEMBER]["aws"].users["alice"]
    iam.user()
    iam.see().attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    before = iam.dump()
    result = iam.restore()
    assert result.status is Status.GONE
    assert f"IAM user alice ({was}) no longer exists; {iam.ids['user']} has" in "".join(
        result.not_restored
    )
    assert iam.dump() == before


def test_another_role_under_the_same_name_is_left_alone(iam: IamLab) -> None:
    iam.role().respond()
    policies = iam.role_policies()
    for name in policies:
        iam.see().delete_role_policy(RoleName="app", PolicyName=name)
    iam.see().delete_role(RoleName="app")
    iam.role()
    for name, document in policies.items():
        iam.see().put_role_policy(
            RoleName="app", PolicyName=name, PolicyDocument=json.dumps(document)
        )
    assert iam.restore().status is Status.GONE
    assert iam.role_policies() == policies


def test_a_role_with_a_path_is_restored_by_the_record_alone(iam: IamLab) -> None:
    iam.role(path="/team/web/").respond()
    assert iam.restore().status is Status.RESTORED
    assert iam.role_policies() == {}


def test_a_deleted_role_is_gone(iam: IamLab) -> None:
    iam.role().respond()
    for name in iam.role_policies():
        iam.see().delete_role_policy(RoleName="app", PolicyName=name)
    iam.see().delete_role(RoleName="app")
    assert iam.restore().status is Status.GONE


def test_held_sessions_are_let_go(iam: IamLab) -> None:
    iam.user().role("admin", session=None)
    iam.add_assume_role(
        {**user_identity(), "principalId": iam.ids["user"]}, "admin", "alice-1", "ASIA1"
    )
    before = iam.dump(), iam.role_dump("admin")
    iam.respond()
    assert not is_allowed(
        iam,
        "alice-1",
        -60,
        "admin",
    )
    assert iam.restore().status is Status.RESTORED
    assert (iam.dump(), iam.role_dump("admin")) == before
    assert iam.stored_target()["actions"]["restore_held_sessions"]["status"] == "DONE"


# -- contained again -------------------------------------------------------------------------------


def test_contained_again_and_restored_it_is_as_before_the_first_time(iam: IamLab) -> None:
    iam.user(keys=1)
    before = iam.dump()
    iam.respond()
    client = iam.see()
    client.detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    client.update_access_key(
        UserName="alice",
        AccessKeyId=iam.ids["keys"][0],
        Status="Active",
    )
    assert iam.respond(iam.plan()).status is Status.CONTAINED
    assert iam.restore().status is Status.RESTORED
    assert iam.dump() == before


def test_a_key_that_came_before_it_was_contained_again_is_not_forgotten(iam: IamLab) -> None:
    """The record keeps how it was the first time: of a key that came later it knows nothing."""
    iam.user(keys=1).respond()
    new_key = iam.see().create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    iam.respond(iam.plan())
    assert iam.key_states()[new_key] == "Inactive"
    result = iam.restore()
    assert iam.key_states() == {iam.ids["keys"][0]: "Active", new_key: "Inactive"}
    [text] = result.not_restored
    assert new_key in text
    assert (
        f"aws iam update-access-key --user-name alice --access-key-id {new_key} --status Active"
        in text
    )
    assert result.status is Status.RESTORE_PARTIAL
