"""What is switched off stays as it is and is said so; what a console password becomes."""

from __future__ import annotations

import json

import pytest
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal import passwords

from tests.unit.playbooks.iam_principal.iam_account import EVERY_CREDENTIAL
from tests.unit.playbooks.iam_principal.iam_lab import DENY_ALL, IamLab


def test_a_kept_console_password_is_denied_all_the_same(iam: IamLab) -> None:
    iam.options["console_password"] = "keep"
    assert iam.user(**EVERY_CREDENTIAL).respond().status is Status.CONTAINED
    assert iam.password() == {"reset": False}
    assert iam.attached() == {DENY_ALL}
    assert "switched off (console_password)" in iam.detail("console_password")
    assert "DeleteLoginProfile" not in iam.operations()
    assert "UpdateLoginProfile" not in iam.operations()


def test_a_reset_console_password_is_known_to_nobody(iam: IamLab) -> None:
    iam.options["console_password"] = "reset"
    assert iam.user(console=True).respond().status is Status.CONTAINED
    assert iam.password() == {"reset": True}
    [given] = [
        call.params["Password"] for call in iam.calls if call.operation == "UpdateLoginProfile"
    ]
    assert len(given) == 64
    assert given != "correct horse battery"
    assert given not in json.dumps(iam.stored_target(), default=str)


def test_a_password_that_waits_for_its_reset_already_is_replaced_too(iam: IamLab) -> None:
    """Whoever knows the first password of a new user may sign in with it."""
    iam.options["console_password"] = "reset"
    iam.user(console=True)
    # moto forgets a password that is not given again.
    iam.see().update_login_profile(
        UserName="alice", Password="first day at work", PasswordResetRequired=True
    )
    iam.respond()
    assert "UpdateLoginProfile" in iam.operations()
    assert iam.actions()["console_password"] == "DONE"


def test_every_random_password_meets_every_password_policy() -> None:
    seen = {passwords.random_password() for _ in range(200)}
    assert len(seen) == 200
    for password in seen:
        assert len(password) == 64
        assert any(c.islower() for c in password)
        assert any(c.isupper() for c in password)
        assert any(c.isdigit() for c in password)
        assert set(password) & set("!@#$%^&*()_+-=[]{}|'"), "of the symbols that IAM counts"


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("deactivate_mfa", False, "mfa"),
        ("other_credentials", False, "ssh"),
        ("other_credentials", False, "service"),
        ("other_credentials", False, "certificates"),
        ("console_password", "keep", "password"),
    ],
)
def test_what_is_switched_off_is_left(iam: IamLab, option: str, value: object, shown: str) -> None:
    iam.options[option] = value
    iam.user(**EVERY_CREDENTIAL)
    before = iam.dump()
    assert iam.respond().status is Status.CONTAINED
    assert iam.dump()[shown] == before[shown]
    assert iam.dump()["keys"] != before["keys"]


def test_held_sessions_switched_off_asks_cloudtrail_nothing(iam: IamLab) -> None:
    iam.options["user_role_sessions"] = False
    iam.user().respond()
    assert "LookupEvents" not in iam.operations()
    assert "switched off (user_role_sessions)" in iam.detail("held_sessions")


def test_the_plan_says_what_follows(iam: IamLab) -> None:
    iam.options |= {
        "remediate": ["users", "trails"],
        "rotate_key": {"reader_arns": ["x"], "kms_key_id": None},
    }
    actions = iam.user().planned().actions
    assert "(trails, users)" in actions["remediation"]
    assert "Secrets Manager" in actions["rotate_key"]
    assert "again after 20 minutes" in actions["actions"]
    iam.options |= {
        "list_actions": False,
        "remediate": [],
        "rotate_key": None,
        "user_role_sessions": False,
    }
    assert {"actions", "remediation", "rotate_key", "held_sessions"}.isdisjoint(
        iam.planned().actions
    )


def test_no_more_power_than_the_user_needs(iam: IamLab) -> None:
    iam.user(**EVERY_CREDENTIAL).respond()
    for policy in iam.policies:
        for statement in policy["Statement"]:
            changes = [
                action
                for action in statement["Action"]
                if not action.split(":")[1].startswith(("Get", "List", "Lookup"))
            ]
            assert not changes or statement["Resource"] == iam.ids["arn"], changes
