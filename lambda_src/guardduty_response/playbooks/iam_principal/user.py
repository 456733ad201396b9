"""What is done to an IAM user, one class per action (common/action.py): everything is denied first,
then every credential ends.

The denial also ends what no key or password can: sessions from GetSessionToken and
GetFederationToken live on after their key is deactivated, with the user's permissions of the moment
(AWS IAM User Guide, "Disabling permissions for temporary credentials").
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment import action
from guardduty_response.containment.target_context import (
    ALREADY,
    DONE,
    FAILED,
    Json,
    Sessions,
    allow,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal import passwords
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
    each,
    pages,
    retry_on_conflict,
)
from guardduty_response.playbooks.iam_principal.tags import TagUser

READ = (
    "iam:GetUser",
    "iam:ListAttachedUserPolicies",
    "iam:ListAccessKeys",
    "iam:GetLoginProfile",
    "iam:ListMFADevices",
    "iam:ListSSHPublicKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
)
CHANGE = (
    "iam:AttachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:UpdateAccessKey",
    "iam:DeleteLoginProfile",
    "iam:UpdateLoginProfile",
    "iam:DeactivateMFADevice",
    "iam:UpdateSSHPublicKey",
    "iam:UpdateServiceSpecificCredential",
    "iam:UpdateSigningCertificate",
    "iam:TagUser",
)


class Action(action.Action[PrincipalContext, PrincipalState]):
    @property
    def iam(self) -> Any:
        return self.sessions.client("iam")

    @property
    def user(self) -> str:
        return self.target_context.who.user

    def manual_text(self) -> str:
        # IAM has no Region
        command = self.manual_command.format(
            user=self.user, prefix=self.target_context.prefix, **self._names()
        )
        return f"By hand: aws {command}"


class DenyAll(Action):
    name = item = "deny_all"
    done_text = "everything is denied to the user"

    @property
    def manual_command(self) -> str:  # type: ignore[override]
        return (
            f"iam attach-user-policy --user-name {{user}} --policy-arn "
            f"{self.target_context.deny_all}"
        )

    def read(self) -> Any:
        """{attached, boundary: ARN or None, id: AIDA…}."""
        iam = self.iam
        got = run_all(
            {
                "policies": partial(
                    pages, iam.list_attached_user_policies, "AttachedPolicies", UserName=self.user
                ),
                "user": partial(iam.get_user, UserName=self.user),
            }
        )
        user = result_or_raise(got["user"])["User"]
        attached = [one["PolicyArn"] for one in result_or_raise(got["policies"])]
        return {
            "attached": self.target_context.deny_all in attached,
            "boundary": boundary(user),
            "id": user["UserId"],
        }

    def pending_change(self) -> str:
        if self.current["attached"] or self.current["boundary"] == self.target_context.deny_all:
            return ""
        return f"everything denied to {self.user} by AWSDenyAll, its temporary credentials included"

    def first(self) -> tuple[Json, Json | Exception]:
        """Before anything is read: the plan has read how it was, which is recorded while AssumeRole
        is still under way.

        Returns how it was and IAM's answer, for ``tell``. Raises the record's error alone.
        """
        known = self.target_context.scope("deny_all") or self._seen()
        self.target_context.record_before_state(self.item, known)
        try:
            return known, self._attach(known)
        except Exception as error:
            return known, error

    def _seen(self) -> Json:
        """What cannot be read must not keep anybody from denying."""
        try:
            return dict(self.read())
        except Exception as error:
            return {"attached": False, "boundary": None, "unread": describe_error(error)}

    def tell(self, known: Json, answer: Json | Exception) -> None:
        """The ledger line, as ``run`` has it."""
        if isinstance(answer, Exception):
            self.target_context.log_action(
                self.name, FAILED, f"failed ({describe_error(answer)}). {self.manual_text()}"
            )
        elif known.get("attached") or known.get("boundary") == self.target_context.deny_all:
            self.target_context.log_action(self.name, ALREADY, self.done_text, [answer])
        else:
            how = answer.pop("how", "attached")
            self.target_context.log_action(
                self.name, DONE, f"everything denied to {self.user} by AWSDenyAll ({how})", [answer]
            )

    def _attach(self, known: Json) -> Json:
        iam = self.iam
        try:
            return dict(
                retry_on_conflict(
                    partial(
                        iam.attach_user_policy,
                        UserName=self.user,
                        PolicyArn=self.target_context.deny_all,
                    )
                )
            )
        except ClientError as error:
            if error_code(error) != "LimitExceeded":
                raise
            if known.get("unread"):
                raise ResponseError(
                    "its quota of policies is full, and its permissions boundary could not be read"
                    f" ({known['unread']}): replaced, nobody could put it back"
                ) from error
        # The quota of attached policies is full (10, or what the account was given): then as its
        # permissions boundary. The plan may be an hour old (approval), and a boundary that came
        # since is to come back.
        old = boundary(iam.get_user(UserName=self.user)["User"])
        self.target_context.record_before_state("boundary", {"boundary": old})
        done = retry_on_conflict(
            partial(
                iam.put_user_permissions_boundary,
                UserName=self.user,
                PermissionsBoundary=self.target_context.deny_all,
            )
        )
        return {
            **done,
            "how": (
                "as permissions boundary, its policy quota is full;"
                f" {f'instead of {old}' if old else 'none before'}"
            ),
        }


def boundary(user: Json) -> str | None:
    return (user.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")


class Switched(Action):
    """Credentials of a kind that IAM lists with a status and switches off and on."""

    LIST = KEY = ID = UPDATE = ""
    PARAMETER = ""  # of the update, where it is not called as in the list
    what = ""

    def read(self) -> Any:
        """{id: Active or Inactive}."""
        return {one[self.ID]: one["Status"] for one in self._listed()}

    def _listed(self) -> list[Json]:
        return pages(getattr(self.iam, self.LIST), self.KEY, UserName=self.user)

    def pending_change(self) -> str:
        active = sorted(id for id, status in (self.current or {}).items() if status == "Active")
        return (active and f"{self.what} {', '.join(active)} made inactive") or ""

    def change(self) -> list[Json]:
        return each(
            partial(self.switch, id, "Inactive")
            for id, status in sorted(self.current.items())
            if status == "Active"
        )

    def switch(self, id: str, status: str) -> Json:
        call = getattr(self.iam, self.UPDATE)
        return dict(
            retry_on_conflict(
                partial(call, UserName=self.user, Status=status, **{self.PARAMETER or self.ID: id})
            )
        )


class AccessKeys(Switched):
    name, item, what = "deactivate_access_keys", "access_keys", "access key"
    absent_text, done_text = "the user has no access key", "its access keys are inactive"
    manual_command = (
        "iam update-access-key --user-name {user} --access-key-id KEY --status Inactive"
    )
    LIST, KEY, ID, UPDATE = (
        "list_access_keys",
        "AccessKeyMetadata",
        "AccessKeyId",
        "update_access_key",
    )

    def read(self) -> Any:
        """But for the key that ``rotate_key`` has made: it is its owner's, for when the denial
        is taken away.
        """
        rotated = ((self.target_context.stored.get("evidence") or {}).get("rotation") or {}).get(
            "state"
        ) or {}
        return {id: status for id, status in super().read().items() if id != rotated.get("key")}


class SshKeys(Switched):
    name, item, option, what = "deactivate_ssh_keys", "ssh_keys", "other_credentials", "SSH key"
    absent_text, done_text = "the user has no SSH key", "its SSH keys are inactive"
    manual_command = (
        "iam update-ssh-public-key --user-name {user} --ssh-public-key-id KEY --status Inactive"
    )
    LIST, KEY, ID, UPDATE = (
        "list_ssh_public_keys",
        "SSHPublicKeys",
        "SSHPublicKeyId",
        "update_ssh_public_key",
    )


class ServiceCredentials(Switched):
    name, item = "deactivate_service_credentials", "service_credentials"
    option, what = "other_credentials", "service-specific credential"
    absent_text, done_text = (
        "the user has no service-specific credential",
        "its service-specific credentials are inactive",
    )
    manual_command = (
        "iam update-service-specific-credential --user-name {user} --service-specific-credential-id"
        " ID --status Inactive"
    )
    LIST, KEY = "list_service_specific_credentials", "ServiceSpecificCredentials"
    ID, UPDATE = "ServiceSpecificCredentialId", "update_service_specific_credential"


class Certificates(Switched):
    name, item, option, what = (
        "deactivate_certificates",
        "certificates",
        "other_credentials",
        "signing certificate",
    )
    absent_text, done_text = (
        "the user has no signing certificate",
        "its signing certificates are inactive",
    )
    manual_command = (
        "iam update-signing-certificate --user-name {user} --certificate-id ID --status Inactive"
    )
    LIST, KEY, ID, UPDATE = (
        "list_signing_certificates",
        "Certificates",
        "CertificateId",
        "update_signing_certificate",
    )


class Password(Action):
    name, item, option = "console_password", "login_profile", "console_password"
    absent_text = "the user has no console password"

    @property
    def enabled(self) -> bool:
        return bool(self.target_context.options[self.option] != "keep")

    @property
    def done_text(self) -> str:  # type: ignore[override]
        return "its console password is " + (
            "removed" if self.removes else "a random one, to be reset"
        )

    @property
    def manual_command(self) -> str:  # type: ignore[override]
        return (
            f"iam {'delete' if self.removes else 'update'}-login-profile --user-name {{user}}"
            + ("" if self.removes else " --password NEW --password-reset-required")
        )

    @property
    def removes(self) -> bool:
        return bool(self.target_context.options[self.option] == "remove")

    def read(self) -> Any:
        """{reset_required, created: ISO time}, or {} without a console password. The password
        itself is never readable.
        """
        try:
            found = self.iam.get_login_profile(UserName=self.user)["LoginProfile"]
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return {}
        return {
            "reset_required": bool(found.get("PasswordResetRequired")),
            "created": found["CreateDate"].isoformat(),
        }

    def pending_change(self) -> str:
        if not self.current:
            return ""
        if self.removes:
            return "console password removed: it cannot come back, a person sets a new one"
        if (
            self.current["reset_required"]
            and self.target_context.logged_action(self.name).get("status") == DONE
        ):
            return ""
        return (
            "console password replaced by a random one that nobody knows, to be reset at the next"
            " sign-in"
        )

    def change(self) -> list[Json]:
        iam = self.iam
        if self.removes:
            return [retry_on_conflict(partial(iam.delete_login_profile, UserName=self.user))]
        return [
            retry_on_conflict(
                partial(
                    iam.update_login_profile,
                    UserName=self.user,
                    Password=passwords.drawn(),
                    PasswordResetRequired=True,
                )
            )
        ]


class Mfa(Action):
    name, item, option = "deactivate_mfa", "mfa", "deactivate_mfa"
    absent_text, done_text = (
        "the user has no MFA device",
        "no MFA device of it was added since the finding's window began",
    )
    manual_command = "iam deactivate-mfa-device --user-name {user} --serial-number SERIAL"

    def read(self) -> Any:
        """{serial number: ISO time of when it was enabled}."""
        listed = pages(self.iam.list_mfa_devices, "MFADevices", UserName=self.user)
        return {one["SerialNumber"]: one["EnableDate"].isoformat() for one in listed}

    def _new(self) -> list[str]:
        return sorted(
            serial
            for serial, at in (self.current or {}).items()
            if datetime.fromisoformat(at) >= self.target_context.since
        )

    def pending_change(self) -> str:
        new = ", ".join(self._new())
        return (
            new
            and f"MFA device {new} deactivated: it was added since the finding's window "
            "began, and cannot be switched on again"
        )

    def change(self) -> list[Json]:
        calls = (
            partial(self.iam.deactivate_mfa_device, UserName=self.user, SerialNumber=one)
            for one in self._new()
        )
        return each(partial(retry_on_conflict, one) for one in calls)


UserAction = action.Action[PrincipalContext, PrincipalState]
# Each a branch of its own, side by side; DenyAll goes first.
TABLE: tuple[type[UserAction], ...] = (
    AccessKeys,
    Password,
    Mfa,
    SshKeys,
    ServiceCredentials,
    Certificates,
    TagUser,
)


def reading(principal: PrincipalContext, arn: str) -> Sessions:
    """Reads everything of this user, changes nothing."""
    return Sessions(principal, [allow(READ, arn)], {})


def changing(principal: PrincipalContext, arn: str) -> Sessions:
    """May change this user, and nothing else."""
    return Sessions(principal, [allow((*READ, *CHANGE), arn)], {})


def actions(
    principal: PrincipalContext, sessions: Sessions, state: PrincipalState
) -> list[UserAction]:
    """Every action, the denial first."""
    return [
        DenyAll(principal, sessions, state),
        *(kind(principal, sessions, state) for kind in TABLE),
    ]
