"""Reverts of new credentials and new identities: access keys, console passwords, users, roles."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import ALREADY, Json
from guardduty_response.playbooks.iam_principal import passwords, resource_state
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    Job,
    Revert,
    Settled,
)

DENY_DOCUMENT: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}


def own_user(change: Change) -> str:
    """The user who called: IAM leaves the name out when a call is about oneself."""
    return change.who.rsplit("/", 1)[-1] if ":user/" in change.who else ""


class Key(Revert):
    kind, what = "access_keys", "access_key"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.user = (
            change.made("accessKey", "userName") or change.asked("userName") or own_user(change)
        )
        self.key = change.made("accessKey", "accessKeyId") or change.asked("accessKeyId")
        self.good = f"access key {self.key} of user {self.user} is inactive"

    @classmethod
    def applies(cls, change: Change) -> bool:
        return change.name == "CreateAccessKey" or change.asked("status") == "Active"

    def read(self) -> Any:
        if not self.user or not self.key:
            raise Settled(MANUAL, "the event does not say which key of which user")
        found = resource_state.identity(self.client(), "user", self.user)
        listed = found and resource_state.keys(self.client(), self.user)
        if not found or self.key not in (listed or {}):
            raise Settled(ALREADY, f"access key {self.key} of user {self.user} is gone")
        return {"arn": found["arn"], "status": (listed or {})[self.key]}

    def names(self, now: Any) -> list[str]:
        return [now["arn"], self.user]

    def todo(self, now: Any) -> str:
        return (
            f"access key {self.key} of user {self.user} made inactive"
            if now["status"] == "Active"
            else ""
        )

    def before(self, now: Any) -> Json:
        return {"user": self.user, "arn": now["arn"], "key": self.key}

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing(("iam:UpdateAccessKey",), now["arn"])
        return [iam.update_access_key(UserName=self.user, AccessKeyId=self.key, Status="Inactive")]

    def by_hand(self) -> str:
        return self.command(
            "iam update-access-key --status Inactive",
            "--user-name",
            self.user,
            "--access-key-id",
            self.key,
        )


class Created(Revert):
    """A new user or role: everything is denied to it."""

    of = ""

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.name = change.made(self.of, f"{self.of}Name") or change.asked(f"{self.of}Name")

    def _found(self) -> Json:
        found = resource_state.identity(self.client(), self.of, self.name) if self.name else None
        if not found:
            raise Settled(ALREADY, f"{self.of} {self.name} is gone")
        made = self.change.made(self.of, f"{self.of}Id")
        if made and made != found["id"]:
            raise Settled(
                MANUAL,
                f"{self.of} {self.name} is not the one that was created: it was created anew since",
            )
        return found

    def names(self, now: Any) -> list[str]:
        return [now["arn"], self.name]

    def _bound(self, iam: Any) -> Json:
        """Where policies are at their quota, which an intruder can see to: a permissions
        boundary has no quota.
        """
        call = getattr(iam, f"put_{self.of}_permissions_boundary")
        return dict(
            call(**{f"{self.of.title()}Name": self.name, "PermissionsBoundary": self.job.deny_all})
        )


class User(Created):
    kind, what, of = "users", "user", "user"

    @property
    def good(self) -> str:  # type: ignore[override]
        return f"everything is denied to user {self.name}, and its keys are inactive"

    def read(self) -> Any:
        found, iam = self._found(), self.client()
        policies = resource_state.attached(iam, "user", self.name) or []
        return {
            **found,
            "attached": self.job.deny_all in policies,
            "keys": resource_state.keys(iam, self.name) or {},
        }

    def _denied(self, now: Json) -> bool:
        return bool(now["attached"] or now["boundary"] == self.job.deny_all)

    def _active(self, now: Json) -> list[str]:
        return sorted(key for key, status in now["keys"].items() if status == "Active")

    def todo(self, now: Any) -> str:
        done = [] if self._denied(now) else [f"everything denied to user {self.name} by AWSDenyAll"]
        return ", ".join([*done, *(f"its key {key} made inactive" for key in self._active(now))])

    def before(self, now: Any) -> Json:
        return {
            "user": self.name,
            **{name: now[name] for name in ("arn", "attached", "boundary", "keys")},
        }

    def undo(self, now: Any) -> list[Json]:
        answers: list[Json] = []
        if not self._denied(now):
            iam = self.changing(
                ("iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary"), now["arn"]
            )
            try:
                answers.append(
                    iam.attach_user_policy(UserName=self.name, PolicyArn=self.job.deny_all)
                )
            except ClientError as error:
                if error_code(error) != "LimitExceeded":
                    raise
                answers.append(self._bound(iam))
        for key in self._active(now):
            iam = self.changing(("iam:UpdateAccessKey",), now["arn"])
            answers.append(
                iam.update_access_key(UserName=self.name, AccessKeyId=key, Status="Inactive")
            )
        return answers

    def by_hand(self) -> str:
        return self.command(
            "iam attach-user-policy --policy-arn", self.job.deny_all, "--user-name", self.name
        )


class Role(Created):
    kind, what, of = "roles", "role", "role"

    @property
    def policy(self) -> str:
        return f"{self.target_context.prefix}-deny-all"

    @property
    def good(self) -> str:  # type: ignore[override]
        return f"everything is denied to role {self.name}, its sessions included"

    def read(self) -> Any:
        found = self._found()
        return {
            **found,
            "policy": resource_state.inline(self.client(), "role", self.name, self.policy),
        }

    def todo(self, now: Any) -> str:
        if now["policy"] == DENY_DOCUMENT or now["boundary"] == self.job.deny_all:
            return ""
        return (
            f"everything denied to role {self.name} by its policy {self.policy}: sessions it has"
            " issued are dead with it"
        )

    def before(self, now: Any) -> Json:
        return {
            "role": self.name,
            "name": self.policy,
            **{name: now[name] for name in ("arn", "policy", "boundary")},
        }

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing(("iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"), now["arn"])
        try:
            return [
                iam.put_role_policy(
                    RoleName=self.name,
                    PolicyName=self.policy,
                    PolicyDocument=json.dumps(DENY_DOCUMENT),
                )
            ]
        except ClientError as error:
            if error_code(error) != "LimitExceeded":
                raise
        return [self._bound(iam)]

    def by_hand(self) -> str:
        document = json.dumps(DENY_DOCUMENT, separators=(",", ":"))
        return self.command(
            "iam put-role-policy",
            "--role-name",
            self.name,
            "--policy-name",
            self.policy,
            "--policy-document",
            document,
        )


class LoginProfile(Revert):
    """The password that was set is known to whoever set it: it gives way to a random one that is
    kept nowhere.
    """

    kind, what = "login_profiles", "login_profile"

    def __init__(self, job: Job, change: Change) -> None:
        super().__init__(job, change)
        self.user = (
            change.made("loginProfile", "userName") or change.asked("userName") or own_user(change)
        )
        self.good = f"the console password of user {self.user} is a random one, to be reset"

    def read(self) -> Any:
        if not self.user:
            raise Settled(MANUAL, "the event does not say whose password it was")
        if self.user == self.target_context.id and self.target_context.target.kind == "iam_user":
            raise Settled(
                ALREADY, "its own console password: containment deals with it (console_password)"
            )
        found = resource_state.identity(self.client(), "user", self.user)
        profile = found and resource_state.login(self.client(), self.user)
        if not found or not profile:
            raise Settled(ALREADY, f"user {self.user} has no console password any more")
        return {**found, **profile}

    def names(self, now: Any) -> list[str]:
        return [now["arn"], self.user]

    def todo(self, now: Any) -> str:
        # No password can be read: whether it is the random one is told by the record alone.
        if now["reset"] and (self.part in self.job.recorded):
            return ""
        return (
            f"console password of user {self.user} replaced by a random one that is kept nowhere,"
            " to be reset; a person gives a new one, and sign-ins already made last up to 12 hours"
        )

    def before(self, now: Any) -> Json:
        return {"user": self.user, "arn": now["arn"]}

    def undo(self, now: Any) -> list[Json]:
        iam = self.changing(("iam:UpdateLoginProfile",), now["arn"])
        return [
            iam.update_login_profile(
                UserName=self.user, Password=passwords.random_password(), PasswordResetRequired=True
            )
        ]

    def by_hand(self) -> str:
        return self.command("iam delete-login-profile", "--user-name", self.user)
