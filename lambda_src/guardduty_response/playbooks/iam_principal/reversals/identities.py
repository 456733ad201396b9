"""Reversals of new credentials and identities: access keys, console passwords, users, roles."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.role_policy_control import ROLES
from guardduty_response.containment.session_policy import compact
from guardduty_response.containment.target_context import ALREADY
from guardduty_response.playbooks.iam_principal import passwords, resource_state
from guardduty_response.playbooks.iam_principal.reversals.changes import Change
from guardduty_response.playbooks.iam_principal.reversals.reversal import (
    MANUAL,
    NotReversed,
    Reversal,
    ReversalRecord,
    fixed,
    on,
)
from guardduty_response.playbooks.iam_principal.user_action import USERS

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, PolicyDocument
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.iam_principal.reversals.records import (
        CreatedRole,
        CreatedUser,
        Denial,
        Entity,
        Password,
    )

DENY_DOCUMENT: PolicyDocument = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}
BOUNDARY = "boundary"  # the field of a permissions boundary


EntityType = TypeVar("EntityType", bound="Entity")


def key_call(user: str, key: str, status: str) -> AwsCall:
    request = {"Status": status, "UserName": user, "AccessKeyId": key}
    return AwsCall("iam", "update_access_key", request)


def attachment_call(of: str, name: str, policy: str, attached: bool) -> AwsCall:
    request = {"PolicyArn": policy, f"{of.title()}Name": name}
    return AwsCall("iam", f"{'attach' if attached else 'detach'}_{of}_policy", request)


def inline_call(of: str, name: str, policy: str, document: PolicyDocument | None) -> AwsCall:
    request = {f"{of.title()}Name": name, "PolicyName": policy}
    if document is None:
        return AwsCall("iam", f"delete_{of}_policy", request)
    return AwsCall("iam", f"put_{of}_policy", {**request, "PolicyDocument": compact(document)})


class AccessKey(Reversal[dict[str, str], str]):
    """The record has ``user`` and ``key``. A key that is switched on may have been on before."""

    category, what = "access_keys", "access_key"
    undoes = ("iam:CreateAccessKey", "iam:UpdateAccessKey")
    named_by = fixed(
        user="r.accessKey.userName p.userName caller", key="r.accessKey.accessKeyId p.accessKeyId"
    )
    implied = fixed(status="Active")
    wants = "Inactive"
    title = "access key {key} of user {user}"
    done_text = "access key {key} of user {user} is inactive"
    contained_as = "access key {key} of user {user} made inactive"
    unnamed = "which key of which user"
    unknown = (
        "not undone: whether the key was active before is not known. Make it inactive if it was not"
    )
    reads = on(USERS, "iam:GetUser", "iam:ListAccessKeys")
    contains = restores = on(USERS, "iam:UpdateAccessKey")

    @classmethod
    def applies(cls, change: Change) -> bool:
        return change.name == "CreateAccessKey" or change.request_text("status") == "Active"

    @classmethod
    def replaced(cls, change: Change) -> tuple[str, ...]:
        if change.name == "CreateAccessKey":
            return ()
        user = change.request_text("userName") or change.value("caller")
        return f"access_key/{change.request_text('accessKeyId')}", f"user/{user}"

    def read(self) -> dict[str, str]:
        user, key = self.record["user"], self.record["key"]
        self.identity("user", user)
        keys = resource_state.keys(self.client, user) or {}
        if key not in keys:
            raise NotReversed(ALREADY, f"{self.named('status')} no longer exists")
        self.read_ids.add(key)
        return {"status": keys[key]}

    def call(self, name: str, value: str) -> AwsCall:
        return key_call(self.record["user"], self.record["key"], value)


class LoginProfile(Reversal["dict[str, Password]", "Password"]):
    """The record has ``user``. Whoever set the password knows it: a random password that is kept
    nowhere replaces it, and nothing brings the old one back.
    """

    category, what = "login_profiles", "login_profile"
    undoes = ("iam:CreateLoginProfile", "iam:UpdateLoginProfile")
    named_by = fixed(user="r.loginProfile.userName p.userName caller")
    implied = fixed(password=None)
    wants = "NEW"  # stands for the random password
    title = "console password of user {user}"
    done_text = "the console password of user {user} is a random password that must be reset"
    contained_as = (
        "console password of user {user} replaced by a random password, which is kept nowhere and"
        " must be reset; a person sets a new password; sign-ins already made last up to 12 hours"
    )
    unnamed = "whose password it was"
    reads = on(USERS, "iam:GetUser", "iam:GetLoginProfile")
    contains = on(USERS, "iam:UpdateLoginProfile")

    def read(self) -> dict[str, Password]:
        user = self.record["user"]
        self.identity("user", user)
        call = partial(self.client.get_login_profile, UserName=user)
        found = resource_state.unless_gone(call)
        if not found:
            raise NotReversed(ALREADY, f"user {user} has no console password any more")
        return {"password": {"reset": bool(found["LoginProfile"].get("PasswordResetRequired"))}}

    def refuse(self) -> None:
        own = self.target_context.target.kind == "iam_user"
        if own and self.record["user"] == self.target_context.id:
            text = "it is its own console password: containment handles it (console_password)"
            raise NotReversed(ALREADY, text)

    def wanted(self, name: str, value: Password | None) -> Password:
        """A password cannot be read: the record alone tells whether it is the random password."""
        random = isinstance(value, dict) and value["reset"]
        return value if self.was_recorded and random else self.wants

    def call(self, name: str, value: Password) -> AwsCall:
        password = value or self.wants
        request = {
            "UserName": self.record["user"],
            "Password": password,
            "PasswordResetRequired": True,
        }
        return AwsCall("iam", "update_login_profile", request)

    def write(self, name: str, value: Password) -> AwsAnswer:
        return super().write(name, passwords.random_password())

    def instead(self) -> str:
        return self.shown("delete_login_profile", UserName=self.record["user"])

    def as_before(self, name: str, before: Password, now: Password | None) -> bool:
        return False

    def left(self, name: str, before: Password, now: Password | None) -> bool:
        return True

    def irreversible(self, name: str, before: Password, now: Password | None) -> str:
        return (
            f"the {self.named(name)} was replaced by a random password kept nowhere: a person sets"
            " a new password"
        )


class Created(Reversal[EntityType, "Denial"]):
    """A new user or role: everything is denied to it by a policy, or by a permissions boundary,
    which has no quota: an intruder can fill the quotas of policies.

    ``entity``: ``user`` or ``role``, the key of its name in the record. ``denial``: the field of
    the policy; ``wants``: its value when everything is denied.
    """

    entity = denial = ""

    @property
    def name_of_it(self) -> str:
        return str(self.record[self.entity])

    def found(self) -> Entity:
        found = self.identity(self.entity, self.name_of_it)
        return {"id": found["id"], "boundary": found["boundary"]}

    def refuse(self) -> None:
        made = self.event.response_text(self.entity, f"{self.entity}Id")
        if made and made != self.present["id"]:
            text = (
                f"{self.entity} {self.name_of_it} was deleted and created again since: the ID"
                " differs"
            )
            raise NotReversed(MANUAL, text)

    def call(self, name: str, value: Denial) -> AwsCall:
        """Returns the call for the permissions boundary, which users and roles have alike."""
        request: dict[str, object] = {f"{self.entity.title()}Name": self.name_of_it}
        if not value:
            return AwsCall("iam", f"delete_{self.entity}_permissions_boundary", request)
        request["PermissionsBoundary"] = value
        return AwsCall("iam", f"put_{self.entity}_permissions_boundary", request)

    def wanted(self, name: str, value: Denial | None) -> Denial:
        denied = self.present["boundary"] == self.deny_all
        return self.wants if name == self.denial and not denied else value

    def write(self, name: str, value: Denial) -> AwsAnswer:
        try:
            return super().write(name, value)
        except ClientError as error:
            if error_code(error) != "LimitExceeded" or value != self.wants:
                raise
        return super().write(BOUNDARY, self.deny_all)

    def instead(self) -> str:
        return self.full_command(self.denial, self.wants)

    def left(self, name: str, before: Denial, now: Denial | None) -> bool:
        return bool(now == (self.deny_all if name == BOUNDARY else self.wants))


class User(Created["CreatedUser"]):
    """The record has ``user``, ``attached`` (whether AWSDenyAll was), ``boundary``, and ``keys``
    (access key ID -> status).
    """

    category, what, entity, denial = "users", "user", "user", "attached"
    undoes = ("iam:CreateUser",)
    named_by = fixed(user="r.user.userName p.userName")
    fields = ("attached", BOUNDARY, "keys")
    wants = True
    words = ("detached", "attached")
    title = "access key {item} of user {user}"
    titles = fixed(
        attached="AWSDenyAll on user {user}", boundary="permissions boundary of user {user}"
    )
    done_text = "everything is denied to user {user}, and its keys are inactive"
    reads = on(
        USERS,
        "iam:GetUser",
        "iam:ListAttachedUserPolicies",
        "iam:ListAccessKeys",
    )
    contains = on(
        USERS, "iam:AttachUserPolicy", "iam:PutUserPermissionsBoundary", "iam:UpdateAccessKey"
    )
    restores = on(
        USERS,
        "iam:DetachUserPolicy",
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutUserPermissionsBoundary",
        "iam:UpdateAccessKey",
    )

    def read(self) -> CreatedUser:
        user = self.name_of_it
        policies = resource_state.attached(self.client, "user", user) or []
        keys = resource_state.keys(self.client, user) or {}
        return {**self.found(), "attached": self.deny_all in policies, "keys": keys}

    def values(self, stored: CreatedUser | None) -> Values[Denial]:
        if not stored:
            return {}
        return {
            "attached": stored["attached"],
            "boundary": stored["boundary"],
            **stored["keys"],
        }

    def to_restore(self) -> Values[Denial]:
        """Leaves out the keys that were not active."""
        values = super().to_restore()
        return {
            name: value
            for name, value in values.items()
            if name in self.titles or value == "Active"
        }

    def wanted(self, name: str, value: Denial | None) -> Denial:
        return super().wanted(name, value) if name in self.titles else "Inactive"

    def contained_text(self, pending: Values[Denial]) -> str:
        sentences = [f"its key {key} made inactive" for key in pending if key not in self.titles]
        if self.denial in pending:
            sentences.insert(0, self.text("everything denied to user {user} by AWSDenyAll"))
        return ", ".join(sentences)

    def call(self, name: str, value: Denial) -> AwsCall:
        if name == BOUNDARY:
            return super().call(name, value)
        if name == self.denial:
            return attachment_call("user", self.name_of_it, self.deny_all, bool(value))
        return key_call(self.name_of_it, name, str(value))

    def as_before(self, name: str, before: Denial, now: Denial | None) -> bool:
        return bool(now == before or (name == self.denial and not now))

    def left(self, name: str, before: Denial, now: Denial | None) -> bool:
        return super().left(name, before, now) if name in self.titles else now == "Inactive"


class Role(Created["CreatedRole"]):
    """The record has ``role``, ``name`` (of the inline policy that denies everything), ``policy``
    (what it was before), and ``boundary``.
    """

    category, what, entity, denial = "roles", "role", "role", "policy"
    undoes = ("iam:CreateRole",)
    named_by = fixed(role="r.role.roleName p.roleName")
    fields = ("policy", BOUNDARY)
    wants = DENY_DOCUMENT
    titles = fixed(
        policy="policy {name} of role {role}", boundary="permissions boundary of role {role}"
    )
    done_text = "everything is denied to role {role}, its sessions included"
    contained_as = (
        "everything denied to role {role} by its policy {name}: sessions it has issued are dead"
        " with it"
    )
    then = ": its sessions work again"
    reads = on(ROLES, "iam:GetRole", "iam:GetRolePolicy")
    contains = on(ROLES, "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")
    restores = (
        *contains,
        *on(ROLES, "iam:DeleteRolePolicy", "iam:DeleteRolePermissionsBoundary"),
    )

    def names(self, change: Change) -> ReversalRecord:
        return {**super().names(change), "name": f"{self.target_context.prefix}-deny-all"}

    def read(self) -> CreatedRole:
        found = self.found()
        policy = resource_state.inline(
            self.client,
            "role",
            self.name_of_it,
            self.record["name"],
        )
        return {**found, "policy": policy}

    def call(self, name: str, value: Denial) -> AwsCall:
        if name == BOUNDARY:
            return super().call(name, value)
        document = cast("PolicyDocument | None", value)
        return inline_call("role", self.name_of_it, self.record["name"], document)
