"""What is read back, when it counts, and what the verdict is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from guardduty_response.containment.contract import StepResult, Target
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import playbook, verify

from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, INCIDENT, IamLab, managed
from tests.unit.playbooks.iam_principal.test_user_contained import EVERYTHING


def test_it_counts_only_when_seen_again_ten_seconds_later(iam: IamLab) -> None:
    target = iam.user(keys=2).plan()
    playbook.contain(iam.context(), target)
    early, _ = playbook.verify(iam.context(1), target)
    assert (early.done, early.status) == (False, None) and 8 <= early.wait_seconds <= 10
    iam.ahead += early.wait_seconds
    late, checks = playbook.verify(iam.context(2), target)
    assert late.status is Status.CONTAINED and "s after the last change" in late.detail
    assert int(late.detail.split(", ")[1].split(" ")[0]) >= verify.SETTLE_SECONDS
    assert all(one.ok for one in checks)


def test_nothing_changed_is_waited_for_by_nobody(iam: IamLab) -> None:
    iam.user(keys=0)
    iam.see().attach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    tags = [
        {"Key": key, "Value": value}
        for key, value in (
            ("guardduty-response", "quarantined"),
            ("guardduty-response-incident", INCIDENT),
        )
    ]
    iam.see().tag_user(UserName="alice", Tags=tags)
    target = iam.plan()
    playbook.contain(iam.context(), target)
    step, _ = playbook.verify(iam.context(), target)
    assert step.status is Status.CONTAINED and "nothing had to be changed" in step.detail


def test_a_denial_taken_away_between_the_two_reads_is_put_back_and_recorded(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    first, _ = playbook.verify(iam.context(1), target)
    assert not first.done and not first.again
    iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    iam.see().update_access_key(UserName="alice", AccessKeyId=iam.ids["keys"][0], Status="Active")
    iam.ahead += first.wait_seconds
    second, _ = playbook.verify(iam.context(2), target)
    assert (second.done, second.again) == (False, "contain")
    assert "not seen after containing" in iam.timeline()
    playbook.contain(iam.context(3), target)
    assert iam.attached() == {DENY_ALL} and set(iam.key_states().values()) == {"Inactive"}
    assert iam.verify(target).status is Status.CONTAINED


def test_a_key_made_meanwhile_ends_too(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    made = iam.see().create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    assert iam.verify(target).status is Status.CONTAINED
    assert iam.key_states()[made] == "Inactive"


def test_iams_late_view_is_read_again(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is not to be seen yet: done once more (harmless), read once more."""
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    seen = {"left": 2}
    read = playbook.user.DenyAll.read

    def early(self: Any) -> Any:
        found = read(self)
        if seen["left"]:
            seen["left"] -= 1
            found["attached"] = False
        return found

    monkeypatch.setattr(playbook.user.DenyAll, "read", early)
    assert iam.verify(target).status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL} and seen["left"] == 0


def test_what_somebody_takes_away_again_and_again_is_failed_in_the_end(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    for attempt in range(1, verify.ATTEMPTS + 1):
        iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
        step, _ = playbook.verify(iam.context(attempt), target)
        if step.done:
            break
        assert step.again == "contain"
        playbook.contain(iam.context(attempt + 1), target)
    assert attempt == verify.ATTEMPTS and step.status is Status.FAILED


# -- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "check"),
    [
        ("ListAccessKeys", "deactivate_access_keys"),
        ("ListMFADevices", "deactivate_mfa"),
        ("GetLoginProfile", "console_password"),
        ("ListServiceSpecificCredentials", "deactivate_service_credentials"),
    ],
)
def test_what_cannot_be_read_back_is_not_taken_for_done(
    iam: IamLab, operation: str, check: str
) -> None:
    target = iam.user(**EVERYTHING).plan()
    playbook.contain(iam.context(), target)
    iam.fail(operation, "AccessDenied")
    step = iam.verify(target)
    assert step.status is Status.PARTIAL
    assert (iam.checks[check].ok, iam.checks[check].read) == (
        False,
        False,
    ) and "could not be read" in iam.checks[check].detail


def test_a_denial_that_cannot_be_read_back_is_failed(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    iam.fail("ListAttachedUserPolicies", "AccessDenied")
    assert iam.verify(target).status is Status.FAILED


def test_a_boundary_counts_as_the_denial(iam: IamLab) -> None:
    iam.user(policies=10)
    assert iam.respond().status is Status.CONTAINED
    assert iam.checks["deny_all"].ok and iam.checks["deny_all"].fatal


@pytest.mark.parametrize("kind", ["user", "role"])
def test_deleted_meanwhile_is_gone(iam: IamLab, kind: str) -> None:
    (iam.user if kind == "user" else iam.role)()  # type: ignore[operator]
    target = iam.plan()
    playbook.contain(iam.context(), target)
    delete(iam, kind)
    step = iam.verify(target)
    assert step.status is Status.GONE and "no longer exists" in step.detail


def delete(iam: IamLab, kind: str) -> None:
    client = iam.see()
    if kind == "role":
        for name in iam.role_policies():
            client.delete_role_policy(RoleName="app", PolicyName=name)
        client.delete_role(RoleName="app")
        return
    for key in iam.key_states():
        client.delete_access_key(UserName="alice", AccessKeyId=key)
    for arn in iam.attached():
        client.detach_user_policy(UserName="alice", PolicyArn=arn)
    client.delete_user(UserName="alice")


@pytest.mark.parametrize("kind", ["user", "role"])
def test_another_principal_of_the_name_is_not_taken_for_it(iam: IamLab, kind: str) -> None:
    make: Any = iam.user if kind == "user" else iam.role
    make()
    target = iam.plan()
    playbook.contain(iam.context(), target)
    delete(iam, kind)
    make()
    step = iam.verify(target)
    assert step.status is Status.GONE and "has its name by now" in step.detail


def test_a_renamed_user_is_not_gone(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    iam.rename("alice", "mallory")
    step = iam.verify(target)
    assert step.status is Status.FAILED and "was renamed to mallory" in step.detail
    assert iam.attached("mallory") == {DENY_ALL}


def test_throttling_while_reading_back_calls_nobody_gone(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    delete(iam, "user")
    iam.fail("GetAccessKeyLastUsed", "Throttling")
    with pytest.raises(Exception, match="Throttling"):
        playbook.verify(iam.context(), target)


# -- read back only --------------------------------------------------------------------------------


def only(target: Target, **more: Any) -> Target:
    return dataclasses.replace(target, **more)


def test_reading_back_only_changes_nothing(iam: IamLab) -> None:
    target = iam.user(**EVERYTHING).plan()
    before = iam.dump()
    for linked in (only(target, verify_only=True), only(target, attach="inc-1111111111111111")):
        assert "nothing was changed" in playbook.contain(iam.context(), linked).detail
    assert iam.dump() == before


def test_linked_to_an_incident_at_work_it_waits_for_it(iam: IamLab) -> None:
    other = "inc-1111111111111111"
    iam.record.open(
        {
            "incident_id": other,
            "execution": "other",
            "mode": "auto",
            "severity": 8,
            "config_sha256": "",
        }
    )
    target = only(iam.user().plan(), attach=other)
    iam.record.put_target(other, {"kind": target.kind, "id": target.id, "arn": target.arn})
    step, _ = playbook.verify(iam.context(), target)
    assert (step.done, step.wait_seconds) == (False, 5) and other in step.detail
    step, _ = playbook.verify(iam.context(verify.OWNER_ATTEMPTS), target)
    assert step.status is Status.FAILED


def test_linked_to_an_incident_that_has_contained_it_is_contained(iam: IamLab) -> None:
    target = iam.user(**EVERYTHING).plan()
    iam.respond(target)
    linked = only(target, attach=INCIDENT)
    step, _ = playbook.verify(iam.context(incident="inc-1111111111111111"), linked)
    assert step.status is Status.CONTAINED


def check(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> tuple[StepResult, Any]:
    """As a check does: planned anew, read twice where something is wrong."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    monkeypatch.setattr(playbook, "find_actors", lambda *_: [])
    [planned] = playbook.plan(iam.context())
    target = only(planned.target, verify_only=True)
    step, more = StepResult(), {}
    for attempt in (1, 2):
        context = iam.context(attempt)
        step, checks = playbook.verify(context, target)
        step, more = drift.assess(context, target, step, checks)
        if step.done:
            break
    return step, more


@pytest.fixture
def held(iam: IamLab) -> IamLab:
    iam.options["console_password"] = "reset"
    target = iam.user(**EVERYTHING).plan()
    assert iam.respond(target).status is Status.CONTAINED
    step, checks = playbook.verify(iam.context(), target)
    iam.record.set_target(
        INCIDENT, target.kind, target.id, **drift.baseline(iam.context(), target, step, checks)
    )
    return iam


def test_what_stands_is_contained(held: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    held.ahead += 7 * 24 * 3600
    assert check(held, monkeypatch)[0].status is Status.CONTAINED


UNDONE: dict[str, Any] = {
    "deny_all": lambda iam: iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL),
    "deactivate_access_keys": lambda iam: iam.see().create_access_key(UserName="bob"),
    "console_password": (
        lambda iam: iam.see().update_login_profile(
            UserName="alice", Password="known to the intruder", PasswordResetRequired=False
        )
    ),
    "deactivate_mfa": (
        lambda iam: iam.see().enable_mfa_device(
            UserName="alice",
            SerialNumber=iam.ids["mfa_new"],
            AuthenticationCode1="123456",
            AuthenticationCode2="654321",
        )
    ),
    "deactivate_ssh_keys": (
        lambda iam: iam.see().update_ssh_public_key(
            UserName="alice", SSHPublicKeyId=iam.ids["ssh"], Status="Active"
        )
    ),
    "deactivate_service_credentials": (
        lambda iam: iam.see().update_service_specific_credential(
            UserName="alice", ServiceSpecificCredentialId=iam.ids["service"], Status="Active"
        )
    ),
    "deactivate_certificates": (
        lambda iam: iam.see().update_signing_certificate(
            UserName="alice", CertificateId=iam.ids["certificate"], Status="Active"
        )
    ),
}
UNDONE["deactivate_access_keys"] = lambda iam: iam.see().update_access_key(
    UserName="alice", AccessKeyId=iam.ids["keys"][0], Status="Active"
)


@pytest.mark.parametrize("name", list(UNDONE))
def test_whatever_is_undone_is_a_breach(
    held: IamLab, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    UNDONE[name](held)
    step, more = check(held, monkeypatch)
    assert step.status is Status.CONTAINMENT_LOST
    assert more["breach"]["checks"] == [name]


def test_another_policy_beside_undoes_nothing(
    held: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.see().attach_user_policy(UserName="alice", PolicyArn=managed("PowerUserAccess"))
    assert check(held, monkeypatch)[0].status is Status.CONTAINED


def test_every_name_that_a_call_undoing_it_would_give_is_kept(held: IamLab) -> None:
    assert set(held.ledger()["watched"]) == {"alice", *held.ids["keys"]}
