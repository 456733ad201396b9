"""Reversals of new credentials and identities: access keys, console passwords, users, roles."""

from __future__ import annotations

import json
from typing import TypedDict, TypeVar

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import ALREADY
from guardduty_response.playbooks.iam_principal import passwords, resource_state, resource_types
from guardduty_response.playbooks.iam_principal.eradicate.changes import Change
from guardduty_response.playbooks.iam_principal.eradicate.eradication_context import (
    EradicationContext,
)
from guardduty_response.playbooks.iam_principal.eradicate.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, AwsClient, PolicyDocument
from guardduty_response.playbooks.iam_principal.reversal_records import (
    AccessKeyRecord,
    LoginProfileRecord,
    RoleRecord,
    UserRecord,
)


class KeyState(TypedDict):
    arn: str
    status: str


class UserState(resource_types.Identity):
    """``attached``: whether AWSDenyAll is attached; ``keys``: access key ID -> status."""

    attached: bool
    keys: dict[str, str]


class RoleState(resource_types.Identity):
    """``policy``: the inline policy that denies everything, or what stands in its place."""

    policy: PolicyDocument | None


class ProfileState(resource_types.Identity, resource_types.LoginProfile):
    """The user, and its console password as far as IAM shows it."""


CreatedState = TypeVar("CreatedState", UserState, RoleState)
DENY_DOCUMENT: PolicyDocument = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}


def own_user(change: Change) -> str:
    """Return the user who called: IAM leaves the name out when a call is about oneself."""
    return change.actor.rsplit("/", 1)[-1] if ":user/" in change.actor else ""


class AccessKey(Reversal[KeyState]):
    category, record_type = "access_keys", "access_key"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.user = (
            change.response_text("accessKey", "userName")
            or change.request_text("userName")
            or own_user(change)
        )
        self.key = change.response_text("accessKey", "accessKeyId") or change.request_text(
            "accessKeyId"
        )
        self.done_text = f"access key {self.key} of user {self.user} is inactive"

    @classmethod
    def applies(cls, change: Change) -> bool:
        return change.name == "CreateAccessKey" or change.request_text("status") == "Active"

    def read(self) -> KeyState:
        if not self.user or not self.key:
            raise NotReversed(MANUAL, "the event does not say which key of which user")
        found = resource_state.identity(self.client(), "user", self.user)
        listed = found and resource_state.keys(self.client(), self.user)
        if not found or self.key not in (listed or {}):
            raise NotReversed(ALREADY, f"access key {self.key} of {self.user} no longer exists")
        return {"arn": found["arn"], "status": (listed or {})[self.key]}

    def touched_names(self, current: KeyState) -> list[str]:
        return [current["arn"], self.user]

    def pending_change(self, current: KeyState) -> str:
        return (
            f"access key {self.key} of user {self.user} made inactive"
            if current["status"] == "Active"
            else ""
        )

    def before_state(self, current: KeyState) -> AccessKeyRecord:
        return {"user": self.user, "arn": current["arn"], "key": self.key}

    def undo(self, current: KeyState) -> list[AwsAnswer]:
        iam = self.changing(("iam:UpdateAccessKey",), current["arn"])
        return [iam.update_access_key(UserName=self.user, AccessKeyId=self.key, Status="Inactive")]

    def manual_command(self) -> str:
        return self.command(
            "iam update-access-key --status Inactive",
            "--user-name",
            self.user,
            "--access-key-id",
            self.key,
        )


class Created(Reversal[CreatedState]):
    """A new user or role: everything is denied to it. ``entity``: ``user`` or ``role``."""

    entity = ""

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.name = change.response_text(self.entity, f"{self.entity}Name") or change.request_text(
            f"{self.entity}Name"
        )

    def _identity(self) -> resource_types.Identity:
        found = (
            resource_state.identity(self.client(), self.entity, self.name) if self.name else None
        )
        if not found:
            raise NotReversed(ALREADY, f"{self.entity} {self.name} no longer exists")
        made = self.change.response_text(self.entity, f"{self.entity}Id")
        if made and made != found["id"]:
            raise NotReversed(
                MANUAL,
                f"{self.entity} {self.name} was deleted and created again since: the ID differs",
            )
        return found

    def touched_names(self, current: CreatedState) -> list[str]:
        return [current["arn"], self.name]

    def _bound(self, iam: AwsClient) -> AwsAnswer:
        """Deny everything by a permissions boundary, which has no quota: an intruder can fill the
        quotas of policies.
        """
        call = getattr(iam, f"put_{self.entity}_permissions_boundary")
        return dict(
            call(
                **{
                    f"{self.entity.title()}Name": self.name,
                    "PermissionsBoundary": self.eradication.deny_all,
                }
            )
        )


class User(Created[UserState]):
    category, record_type, entity = "users", "user", "user"

    @property
    def done_text(self) -> str:  # type: ignore[override]
        return f"everything is denied to user {self.name}, and its keys are inactive"

    def read(self) -> UserState:
        found, iam = self._identity(), self.client()
        policies = resource_state.attached(iam, "user", self.name) or []
        return {
            **found,
            "attached": self.eradication.deny_all in policies,
            "keys": resource_state.keys(iam, self.name) or {},
        }

    def _denied(self, current: UserState) -> bool:
        return bool(current["attached"] or current["boundary"] == self.eradication.deny_all)

    def _active(self, current: UserState) -> list[str]:
        return sorted(key for key, status in current["keys"].items() if status == "Active")

    def pending_change(self, current: UserState) -> str:
        done = (
            []
            if self._denied(current)
            else [f"everything denied to user {self.name} by AWSDenyAll"]
        )
        return ", ".join(
            [*done, *(f"its key {key} made inactive" for key in self._active(current))]
        )

    def before_state(self, current: UserState) -> UserRecord:
        return {
            "user": self.name,
            "arn": current["arn"],
            "attached": current["attached"],
            "boundary": current["boundary"],
            "keys": current["keys"],
        }

    def undo(self, current: UserState) -> list[AwsAnswer]:
        answers: list[AwsAnswer] = []
        if not self._denied(current):
            iam = self.changing(
                ("iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary"), current["arn"]
            )
            try:
                answers.append(
                    iam.attach_user_policy(UserName=self.name, PolicyArn=self.eradication.deny_all)
                )
            except ClientError as error:
                if error_code(error) != "LimitExceeded":
                    raise
                answers.append(self._bound(iam))
        for key in self._active(current):
            iam = self.changing(("iam:UpdateAccessKey",), current["arn"])
            answers.append(
                iam.update_access_key(UserName=self.name, AccessKeyId=key, Status="Inactive")
            )
        return answers

    def manual_command(self) -> str:
        return self.command(
            "iam attach-user-policy --policy-arn",
            self.eradication.deny_all,
            "--user-name",
            self.name,
        )


class Role(Created[RoleState]):
    category, record_type, entity = "roles", "role", "role"

    @property
    def policy(self) -> str:
        return f"{self.target_context.prefix}-deny-all"

    @property
    def done_text(self) -> str:  # type: ignore[override]
        return f"everything is denied to role {self.name}, its sessions included"

    def read(self) -> RoleState:
        found = self._identity()
        return {
            **found,
            "policy": resource_state.inline(self.client(), "role", self.name, self.policy),
        }

    def pending_change(self, current: RoleState) -> str:
        if current["policy"] == DENY_DOCUMENT or current["boundary"] == self.eradication.deny_all:
            return ""
        return (
            f"everything denied to role {self.name} by its policy {self.policy}: sessions it has"
            " issued are dead with it"
        )

    def before_state(self, current: RoleState) -> RoleRecord:
        return {
            "role": self.name,
            "name": self.policy,
            "arn": current["arn"],
            "policy": current["policy"],
            "boundary": current["boundary"],
        }

    def undo(self, current: RoleState) -> list[AwsAnswer]:
        iam = self.changing(("iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"), current["arn"])
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

    def manual_command(self) -> str:
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


class LoginProfile(Reversal[ProfileState]):
    """Whoever set the password knows it: a random password that is kept nowhere replaces it."""

    category, record_type = "login_profiles", "login_profile"

    def __init__(self, eradication: EradicationContext, change: Change) -> None:
        super().__init__(eradication, change)
        self.user = (
            change.response_text("loginProfile", "userName")
            or change.request_text("userName")
            or own_user(change)
        )
        self.done_text = (
            f"the console password of user {self.user} is a random password that must be reset"
        )

    def read(self) -> ProfileState:
        if not self.user:
            raise NotReversed(MANUAL, "the event does not name the user of the password")
        if self.user == self.target_context.id and self.target_context.target.kind == "iam_user":
            raise NotReversed(
                ALREADY, "it is its own console password: containment handles it (console_password)"
            )
        found = resource_state.identity(self.client(), "user", self.user)
        profile = found and resource_state.login_profile(self.client(), self.user)
        if not found or not profile:
            raise NotReversed(ALREADY, f"user {self.user} has no console password any more")
        return {**found, **profile}

    def touched_names(self, current: ProfileState) -> list[str]:
        return [current["arn"], self.user]

    def pending_change(self, current: ProfileState) -> str:
        # A password cannot be read: the record alone tells whether it is the random password.
        if current["reset"] and self.recorded:
            return ""
        return (
            f"console password of user {self.user} replaced by a random password, which is kept"
            " nowhere and must be reset; a person sets a new password; sign-ins already made last"
            " up to 12 hours"
        )

    def before_state(self, current: ProfileState) -> LoginProfileRecord:
        return {"user": self.user, "arn": current["arn"]}

    def undo(self, current: ProfileState) -> list[AwsAnswer]:
        iam = self.changing(("iam:UpdateLoginProfile",), current["arn"])
        return [
            iam.update_login_profile(
                UserName=self.user, Password=passwords.random_password(), PasswordResetRequired=True
            )
        ]

    def manual_command(self) -> str:
        return self.command("iam delete-login-profile", "--user-name", self.user)
