"""A user is denied everything first, then each of its credentials ends; read back with other
eyes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import playbook

from tests.unit.playbooks.iam_principal.iam_account import EVERY_CREDENTIAL
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, PREFIX, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER, managed


@pytest.mark.parametrize("keys", [0, 1, 2])
def test_every_access_key_is_inactive_and_everything_denied(iam: IamLab, keys: int) -> None:
    result = iam.user(keys=keys).respond()
    assert result.status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}
    assert list(iam.key_states().values()) == ["Inactive"] * keys
    assert iam.actions()["deny_all"] == "DONE"
    assert iam.actions()["deactivate_access_keys"] == ("DONE" if keys else "SKIPPED")


def test_everything_a_user_has_ends(iam: IamLab) -> None:
    result = iam.user(**EVERY_CREDENTIAL).respond()
    assert result.status is Status.CONTAINED
    found = iam.dump()
    assert set(found["keys"].values()) == set(found["ssh"].values()) == {"Inactive"}
    assert set(found["service"].values()) == set(found["certificates"].values()) == {"Inactive"}
    assert found["password"] is None
    assert found["mfa"] == [iam.ids["mfa_old"]], (
        "only what was added since the finding's time range began"
    )
    assert found["tags"][PREFIX] == "quarantined"
    assert found["tags"][f"{PREFIX}-incident"].startswith("inc-")
    assert found["tags"]["team"] == "web"
    assert set(iam.actions().values()) == {"DONE", "SKIPPED"}
    assert iam.actions()["held_sessions"] == "SKIPPED"


def test_a_user_without_a_console_password_is_said_so(iam: IamLab) -> None:
    iam.user().respond()
    assert iam.password() is None
    assert (iam.actions()["console_password"], iam.detail("console_password")) == (
        "SKIPPED",
        "the user has no console password",
    )


def test_a_path_belongs_to_the_arn(iam: IamLab) -> None:
    target = iam.user(path="/people/web/").plan()
    assert target.arn == f"arn:aws:iam::{MEMBER}:user/people/web/alice"
    assert iam.respond(target).status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}


@pytest.mark.parametrize("old", [None, "PowerUserAccess"])
def test_a_full_quota_takes_the_boundary_instead(iam: IamLab, old: str | None) -> None:
    recorded = managed(old) if old else ""
    iam.user(policies=10, boundary=recorded)
    assert iam.respond().status is Status.CONTAINED
    assert DENY_ALL not in iam.attached()
    assert len(iam.attached()) == 10
    assert iam.boundary() == DENY_ALL
    assert iam.stored_target()["before"]["boundary"] == {"boundary": recorded or None}
    assert "as permissions boundary" in iam.detail("deny_all")
    assert (f"instead of {recorded}" if old else "none before") in iam.detail("deny_all")


def test_a_boundary_that_came_after_the_plan_is_what_is_recorded(iam: IamLab) -> None:
    """A plan may be an hour old: somebody approved it."""
    target = iam.user(policies=10).plan()
    boundary = managed("PowerUserAccess")
    iam.see().put_user_permissions_boundary(UserName="alice", PermissionsBoundary=boundary)
    assert iam.respond(target).status is Status.CONTAINED
    assert iam.stored_target()["before"]["boundary"] == {"boundary": boundary}


def test_a_temporary_key_dies_by_the_denial(iam: IamLab) -> None:
    iam.user()
    iam.details["accessKeyId"] = "ASIATEMPORARY0000001"
    target = iam.plan()
    assert "cannot be switched off" in iam.ids["planned"].consequences
    assert iam.respond(target).status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}
    assert set(iam.key_states().values()) == {"Inactive"}


def test_the_plan_promises_what_is_done_and_changes_nothing(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL)
    before = iam.dump()
    planned = iam.planned()
    assert iam.dump() == before
    promised = {name for name in planned.actions if name not in ("held_sessions", "actions")}
    iam.respond(iam.plan())
    done = {name for name, status in iam.actions().items() if status == "DONE"}
    assert done == promised
    for name in done - {"deny_all"}:
        assert iam.detail(name) == planned.actions[name]
    assert iam.ids["planned"].tags == {"team": "web"}


# -- order, and what is lost when a function dies --------------------------------------------------


def test_the_denial_comes_before_anything_else(iam: IamLab) -> None:
    target = iam.user(**EVERY_CREDENTIAL).plan()
    iam.calls.clear()
    playbook.contain(iam.context(), target)
    own = [call for call in iam.calls if call.service == "iam"]
    assert own[0].operation == "AttachUserPolicy"
    assert min(call.start for call in own[1:]) >= own[0].end > 0


def test_the_denial_takes_no_reading_once_planned(iam: IamLab) -> None:
    """One call after AssumeRole; the before-state is written while the role is being assumed."""
    target = iam.user(**EVERY_CREDENTIAL).plan()
    iam.own("sts")
    iam.latency = 0.3  # far above what a busy machine adds to a call: rounds are told by the clock
    iam.calls.clear()
    playbook.contain(iam.context(), target)
    [add_assume_role] = [call for call in iam.calls if call.operation == "AssumeRole"][:1]
    [attach] = [call for call in iam.calls if call.operation == "AttachUserPolicy"]
    writes = [call for call in iam.calls if "#BEFORE#" in str(call.params.get("Item"))]
    # What the plan has read is written side by side, in no order.
    [recorded] = [call for call in writes if call.params["Item"]["name"] == {"S": "deny_all"}]
    assert recorded.start < add_assume_role.end
    assert recorded.end <= attach.start, "beside AssumeRole, before the denial"
    between = [call for call in iam.calls if add_assume_role.end <= call.start < attach.start]
    assert [call.operation for call in between if call.service != "dynamodb"] == []
    assert attach.end - add_assume_role.end < 2 * iam.latency


@pytest.mark.parametrize(
    ("operation", "item", "unchanged"),
    [
        ("AttachUserPolicy", "deny_all", lambda iam: iam.attached() == set()),
        (
            "UpdateAccessKey",
            "access_keys",
            lambda iam: set(iam.key_states().values()) == {"Active"},
        ),
        ("DeleteLoginProfile", "login_profile", lambda iam: iam.password() is not None),
        ("DeactivateMFADevice", "mfa", lambda iam: len(iam.dump()["mfa"]) == 2),
        (
            "UpdateSSHPublicKey",
            "ssh_keys",
            lambda iam: set(iam.dump()["ssh"].values()) == {"Active"},
        ),
        (
            "UpdateServiceSpecificCredential",
            "service_credentials",
            lambda iam: set(iam.dump()["service"].values()) == {"Active"},
        ),
        (
            "UpdateSigningCertificate",
            "certificates",
            lambda iam: set(iam.dump()["certificates"].values()) == {"Active"},
        ),
        ("TagUser", "tags", lambda iam: PREFIX not in iam.dump()["tags"]),
    ],
)
def test_how_it_was_is_in_the_record_before_it_is_changed(
    iam: IamLab, operation: str, item: str, unchanged: Callable[[IamLab], bool]
) -> None:
    target = iam.user(**EVERY_CREDENTIAL).plan()
    seen: list[bool] = []

    def observe() -> None:
        seen.append(item in iam.stored_target()["before"])
        seen.append(unchanged(iam))
        raise KeyboardInterrupt  # the function dies here

    iam.hooks.append((operation, observe))
    with pytest.raises(KeyboardInterrupt):
        playbook.contain(iam.context(), target)
    assert seen == [True, True], "recorded, and not changed yet"


def test_a_function_that_died_is_gone_on_from_where_it_was(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL)
    before, target = iam.dump(), iam.plan()

    def die() -> None:
        raise KeyboardInterrupt

    iam.hooks.append(("UpdateSigningCertificate", die))
    with pytest.raises(KeyboardInterrupt):
        playbook.contain(iam.context(), target)
    assert iam.dump()["keys"] != before["keys"], "the others were at work"
    assert iam.respond(target).status is Status.CONTAINED
    recorded = iam.stored_target()["before"]
    assert recorded["access_keys"] == before["keys"], "as it was the first time"
    assert recorded["deny_all"]["attached"] is False
    assert recorded["certificates"] == before["certificates"]


# -- what goes wrong -------------------------------------------------------------------------------


def test_somebody_changing_it_at_the_same_time_is_waited_for(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL)
    for operation in (
        "AttachUserPolicy",
        "DeleteLoginProfile",
        "UpdateServiceSpecificCredential",
        "TagUser",
    ):
        iam.fail(operation, "ConcurrentModification", times=2)
    iam.fail("UpdateAccessKey", "EntityTemporarilyUnmodifiable", times=2)
    assert iam.respond().status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}
    assert set(iam.key_states().values()) == {"Inactive"}
    assert iam.password() is None


def test_without_the_denial_it_is_not_contained(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL).fail("AttachUserPolicy", "AccessDenied")
    result = iam.respond()
    assert result.status is Status.FAILED
    assert "NOT contained" in result.detail
    assert iam.attached() == set()
    assert set(iam.key_states().values()) == {"Inactive"}, "the rest was done all the same"
    assert iam.password() is None
    assert f"aws iam attach-user-policy --user-name alice --policy-arn {DENY_ALL}" in iam.detail(
        "deny_all"
    )


def test_one_key_that_cannot_be_changed_makes_it_partial(iam: IamLab) -> None:
    iam.user(keys=2)
    failing, other = sorted(iam.ids["keys"])
    iam.fail(
        "UpdateAccessKey", "AccessDenied", when=lambda params: params["AccessKeyId"] == failing
    )
    result = iam.respond()
    assert result.status is Status.PARTIAL
    assert failing in result.detail
    assert iam.key_states()[failing] == "Active"
    assert iam.attached() == {DENY_ALL}
    assert "aws iam update-access-key --user-name alice" in iam.detail("deactivate_access_keys")
    assert iam.key_states()[other] == "Inactive", "one that fails keeps no other"


def test_what_cannot_be_read_keeps_nobody_from_denying(iam: IamLab) -> None:
    iam.user().fail("ListAttachedUserPolicies", "ServiceFailure")
    target = iam.plan()
    playbook.contain(iam.context(), target)
    assert iam.attached() == {DENY_ALL}
    assert iam.stored_target()["before"]["deny_all"]["unread"].startswith("ServiceFailure")


def test_a_boundary_that_cannot_be_read_is_not_replaced(iam: IamLab) -> None:
    """Nobody could put it back, and without it the user may do more than before."""
    recorded = managed("PowerUserAccess")
    iam.user(policies=10, boundary=recorded).fail("ListAttachedUserPolicies", "ServiceFailure")
    target = iam.plan()
    playbook.contain(iam.context(), target)
    assert iam.boundary() == recorded
    assert iam.actions()["deny_all"] == "FAILED"
    assert "could not be read" in iam.detail("deny_all")


def test_a_denial_that_was_there_already_is_not_claimed(iam: IamLab) -> None:
    iam.user()
    iam.see().attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    assert iam.respond().status is Status.CONTAINED
    assert iam.actions()["deny_all"] == "ALREADY"
    assert iam.stored_target()["before"]["deny_all"]["attached"] is True
