"""What is read back, when it counts, and what the verdict is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from guardduty_response.containment.contract import StepResult, Target
from guardduty_response.incident.model import TargetRecord
from guardduty_response.incident.statuses import Status
from guardduty_response.monitoring import drift
from guardduty_response.playbooks.iam_principal import playbook, verify
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.records import DenyAllState

from tests.unit.playbooks.iam_principal.iam_account import EVERY_CREDENTIAL
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, INCIDENT, IamLab
from tests.unit.playbooks.iam_principal.iam_moto import managed


def test_it_counts_only_when_seen_again_ten_seconds_later(iam: IamLab) -> None:
    target = iam.user(keys=2).plan()
    playbook.contain(iam.context(), target)
    early, _ = playbook.verify(iam.context(1), target)
    assert (early.done, early.status) == (False, None)
    assert 8 <= early.wait_seconds <= 10
    iam.clock_offset += early.wait_seconds
    settled, checks = playbook.verify(iam.context(2), target)
    assert settled.status is Status.CONTAINED
    assert "s after the last change" in settled.detail
    assert int(settled.detail.split(", ")[1].split(" ")[0]) >= verify.SETTLE_SECONDS
    assert all(check.ok for check in checks)


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
    result, _ = playbook.verify(iam.context(), target)
    assert result.status is Status.CONTAINED
    assert "nothing had to be changed" in result.detail


def test_a_denial_taken_away_between_the_two_reads_is_put_back_and_recorded(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    first, _ = playbook.verify(iam.context(1), target)
    assert not first.done
    assert not first.again
    iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
    iam.see().update_access_key(
        UserName="alice",
        AccessKeyId=iam.ids["keys"][0],
        Status="Active",
    )
    iam.clock_offset += first.wait_seconds
    second, _ = playbook.verify(iam.context(2), target)
    assert (second.done, second.again) == (False, "contain")
    assert "not seen after containing" in iam.timeline()
    playbook.contain(iam.context(3), target)
    assert iam.attached() == {DENY_ALL}
    assert set(iam.key_states().values()) == {"Inactive"}
    assert iam.verify(target).status is Status.CONTAINED


def test_a_key_made_meanwhile_ends_too(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    created = iam.see().create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    assert iam.verify(target).status is Status.CONTAINED
    assert iam.key_states()[created] == "Inactive"


def test_iams_late_view_is_read_again(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is not to be seen yet: done once more (harmless), read once more."""
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    seen = {"left": 2}
    read = DenyAll.read

    def early(self: DenyAll) -> DenyAllState:
        found = read(self)
        if seen["left"]:
            seen["left"] -= 1
            found["attached"] = False
        return found

    monkeypatch.setattr(DenyAll, "read", early)
    assert iam.verify(target).status is Status.CONTAINED
    assert iam.attached() == {DENY_ALL}
    assert seen["left"] == 0


def test_what_somebody_takes_away_again_and_again_is_failed_in_the_end(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    for attempt in range(1, verify.ATTEMPTS + 1):
        iam.see().detach_user_policy(UserName="alice", PolicyArn=DENY_ALL)
        result, _ = playbook.verify(iam.context(attempt), target)
        if result.done:
            break
        assert result.again == "contain"
        playbook.contain(iam.context(attempt + 1), target)
    assert attempt == verify.ATTEMPTS
    assert result.status is Status.FAILED


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
    target = iam.user(**EVERY_CREDENTIAL).plan()
    playbook.contain(iam.context(), target)
    iam.fail(operation, "AccessDenied")
    result = iam.verify(target)
    assert result.status is Status.PARTIAL
    assert (iam.checks[check].ok, iam.checks[check].read) == (False, False)
    assert "could not be read" in iam.checks[check].detail


def test_a_denial_that_cannot_be_read_back_is_failed(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    iam.fail("ListAttachedUserPolicies", "AccessDenied")
    assert iam.verify(target).status is Status.FAILED


def test_a_boundary_counts_as_the_denial(iam: IamLab) -> None:
    iam.user(policies=10)
    assert iam.respond().status is Status.CONTAINED
    assert iam.checks["deny_all"].ok
    assert iam.checks["deny_all"].fatal


@pytest.mark.parametrize("kind", ["user", "role"])
def test_deleted_meanwhile_is_gone(iam: IamLab, kind: str) -> None:
    (iam.user if kind == "user" else iam.role)()
    target = iam.plan()
    playbook.contain(iam.context(), target)
    delete(iam, kind)
    result = iam.verify(target)
    assert result.status is Status.GONE
    assert "no longer exists" in result.detail


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
    make: Callable[[], IamLab] = iam.user if kind == "user" else iam.role
    make()
    target = iam.plan()
    playbook.contain(iam.context(), target)
    delete(iam, kind)
    make()
    result = iam.verify(target)
    assert result.status is Status.GONE
    assert "has its name by now" in result.detail


def test_a_renamed_user_is_not_gone(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    iam.rename("alice", "mallory")
    result = iam.verify(target)
    assert result.status is Status.FAILED
    assert "was renamed to mallory" in result.detail
    assert iam.attached("mallory") == {DENY_ALL}


def test_throttling_while_reading_back_calls_nobody_gone(iam: IamLab) -> None:
    target = iam.user().plan()
    playbook.contain(iam.context(), target)
    delete(iam, "user")
    iam.fail("GetAccessKeyLastUsed", "Throttling")
    with pytest.raises(Exception, match="Throttling"):
        playbook.verify(iam.context(), target)


# -- read back only --------------------------------------------------------------------------------


def changed_target(target: Target, **more: Any) -> Target:
    return target._replace(**more)


def test_reading_back_only_changes_nothing(iam: IamLab) -> None:
    target = iam.user(**EVERY_CREDENTIAL).plan()
    before = iam.dump()
    for linked in (
        changed_target(target, verify_only=True),
        changed_target(target, attach="inc-1111111111111111"),
    ):
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
    target = changed_target(iam.user().plan(), attach=other)
    iam.record.put_target(
        other,
        {
            "kind": target.kind,
            "id": target.id,
            "arn": target.arn,
        },
    )
    result, _ = playbook.verify(iam.context(), target)
    assert (result.done, result.wait_seconds) == (False, 5)
    assert other in result.detail
    result, _ = playbook.verify(iam.context(verify.OWNER_ATTEMPTS), target)
    assert result.status is Status.FAILED


def test_linked_to_an_incident_that_has_contained_it_is_contained(iam: IamLab) -> None:
    target = iam.user(**EVERY_CREDENTIAL).plan()
    iam.respond(target)
    linked = changed_target(target, attach=INCIDENT)
    result, _ = playbook.verify(iam.context(incident="inc-1111111111111111"), linked)
    assert result.status is Status.CONTAINED


def check(iam: IamLab, monkeypatch: pytest.MonkeyPatch) -> tuple[StepResult, TargetRecord]:
    """As a check does: planned anew, read twice where something is wrong."""
    monkeypatch.setenv("GDR_PLAYBOOK", "iam_principal")
    monkeypatch.setattr(
        playbook,
        "find_actors",
        lambda *_: [],
    )
    [planned] = playbook.plan(iam.context())
    target = changed_target(planned.target, verify_only=True)
    result = StepResult()
    more: TargetRecord = {}
    for attempt in (1, 2):
        context = iam.context(attempt)
        result, checks = playbook.verify(context, target)
        result, more = drift.assess(
            context,
            target,
            result,
            checks,
        )
        if result.done:
            break
    return result, more


@pytest.fixture
def contained(iam: IamLab) -> IamLab:
    iam.options["console_password"] = "reset"
    target = iam.user(**EVERY_CREDENTIAL).plan()
    assert iam.respond(target).status is Status.CONTAINED
    result, checks = playbook.verify(iam.context(), target)
    iam.record.set_target(
        INCIDENT,
        target.kind,
        target.id,
        **drift.baseline(
            iam.context(),
            target,
            result,
            checks,
        ),
    )
    return iam


def test_what_stands_is_contained(contained: IamLab, monkeypatch: pytest.MonkeyPatch) -> None:
    contained.clock_offset += 7 * 24 * 3600
    assert check(contained, monkeypatch)[0].status is Status.CONTAINED


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
def test_whatever_is_undone_is_containment_lost(
    contained: IamLab, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    UNDONE[name](contained)
    result, more = check(contained, monkeypatch)
    assert result.status is Status.CONTAINMENT_LOST
    assert more["breach"]["checks"] == [name]


def test_another_policy_beside_undoes_nothing(
    contained: IamLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    contained.see().attach_user_policy(UserName="alice", PolicyArn=managed("PowerUserAccess"))
    assert check(contained, monkeypatch)[0].status is Status.CONTAINED


def test_every_name_that_a_call_undoing_it_would_give_is_kept(contained: IamLab) -> None:
    assert set(contained.stored_target()["watched"]) == {"alice", *contained.ids["keys"]}
