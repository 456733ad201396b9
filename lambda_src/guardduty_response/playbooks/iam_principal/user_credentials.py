"""Ends every credential of an IAM user: a control for each kind (containment/control.py)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.aws_call import AwsCall
from guardduty_response.containment.control import Grant
from guardduty_response.containment.session_entries import parse_time
from guardduty_response.containment.target_context import DONE
from guardduty_response.playbooks.iam_principal import passwords
from guardduty_response.playbooks.iam_principal.principal_context import list_all
from guardduty_response.playbooks.iam_principal.user_action import USERS, UserControl

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer
    from guardduty_response.containment.control import Values
    from guardduty_response.playbooks.iam_principal.records import LoginProfileState

REPLACED: LoginProfileState = {"reset_required": True}  # the password, by a random one


class SwitchedCredentials(UserControl[dict[str, str], str]):
    """Credentials that IAM lists with a status, Active or Inactive, and switches off and on.

    ``LIST`` and ``UPDATE`` are its calls, ``KEY`` and ``ID`` the names in the list's answer.
    ``THING`` names one credential for people.
    """

    LIST = KEY = ID = UPDATE = THING = ""
    later_stays = "came after the first containment and is Inactive: left so, a person decides"
    later_value = "Active"

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"{self.THING} {{name}}"

    def read(self) -> dict[str, str]:
        """Returns each credential's ID with its status."""
        listed = list_all(getattr(self.iam, self.LIST), self.KEY, UserName=self.user)
        return {credential[self.ID]: credential["Status"] for credential in listed}

    def wanted(self, name: str, value: str | None) -> str:
        return "Inactive"

    def call(self, name: str, value: str) -> AwsCall:
        return AwsCall("iam", self.UPDATE, {"UserName": self.user, self.ID: name, "Status": value})

    def contained_text(self, pending: Values[str]) -> str:
        return f"{self.THING} {', '.join(pending)} made inactive"


class AccessKeys(SwitchedCredentials):
    name = "deactivate_access_keys"
    item = "access_keys"
    THING = "access key"
    absent_text = "the user has no access key"
    done_text = "its access keys are inactive"
    placeholder = "KEY"
    LIST, KEY, ID = "list_access_keys", "AccessKeyMetadata", "AccessKeyId"
    UPDATE = "update_access_key"
    reads = (Grant(("iam:ListAccessKeys",), USERS),)
    contains = restores = (Grant(("iam:UpdateAccessKey",), USERS),)
    undone_by = ("UpdateAccessKey", "CreateAccessKey")

    def read(self) -> dict[str, str]:
        """Leaves out the key that ``rotate_key`` made: it is its owner's, for when the denial is
        taken away.
        """
        replacement = self.target_context.evidence_state("rotation").get("key")
        return {id: status for id, status in super().read().items() if id != replacement}


class SshKeys(SwitchedCredentials):
    name = "deactivate_ssh_keys"
    item = "ssh_keys"
    option = "other_credentials"
    THING = "SSH key"
    absent_text = "the user has no SSH key"
    done_text = "its SSH keys are inactive"
    placeholder = "KEY"
    LIST, KEY, ID = "list_ssh_public_keys", "SSHPublicKeys", "SSHPublicKeyId"
    UPDATE = "update_ssh_public_key"
    reads = (Grant(("iam:ListSSHPublicKeys",), USERS),)
    contains = restores = (Grant(("iam:UpdateSSHPublicKey",), USERS),)
    undone_by = ("UpdateSSHPublicKey", "UploadSSHPublicKey")


class ServiceCredentials(SwitchedCredentials):
    name = "deactivate_service_credentials"
    item = "service_credentials"
    option = "other_credentials"
    THING = "service-specific credential"
    absent_text = "the user has no service-specific credential"
    done_text = "its service-specific credentials are inactive"
    placeholder = "ID"
    LIST, KEY = "list_service_specific_credentials", "ServiceSpecificCredentials"
    ID = "ServiceSpecificCredentialId"
    UPDATE = "update_service_specific_credential"
    reads = (Grant(("iam:ListServiceSpecificCredentials",), USERS),)
    contains = restores = (Grant(("iam:UpdateServiceSpecificCredential",), USERS),)
    undone_by = ("UpdateServiceSpecificCredential", "CreateServiceSpecificCredential")


class Certificates(SwitchedCredentials):
    name = "deactivate_certificates"
    item = "certificates"
    option = "other_credentials"
    THING = "signing certificate"
    absent_text = "the user has no signing certificate"
    done_text = "its signing certificates are inactive"
    placeholder = "ID"
    LIST, KEY, ID = "list_signing_certificates", "Certificates", "CertificateId"
    UPDATE = "update_signing_certificate"
    reads = (Grant(("iam:ListSigningCertificates",), USERS),)
    contains = restores = (Grant(("iam:UpdateSigningCertificate",), USERS),)
    undone_by = ("UpdateSigningCertificate", "UploadSigningCertificate")


class Password(UserControl["LoginProfileState", "LoginProfileState | None"]):
    """The console password, by option ``remove``, ``reset`` or ``keep``. It is never readable:
    its value is when it was set, and whether the next sign-in must replace it.
    """

    name = "console_password"
    item = "login_profile"
    option = "console_password"
    absent_text = "the user has no console password"
    reads = (Grant(("iam:GetLoginProfile",), USERS),)
    contains = (Grant(("iam:DeleteLoginProfile", "iam:UpdateLoginProfile"), USERS),)
    undone_by = ("CreateLoginProfile", "UpdateLoginProfile")

    @property
    def enabled(self) -> bool:
        return bool(self.target_context.options[self.option] != "keep")

    @property
    def removes(self) -> bool:
        return bool(self.target_context.options[self.option] == "remove")

    @property
    def done_text(self) -> str:  # type: ignore[override]
        outcome = "removed" if self.removes else "a random one, to be reset"
        return f"its console password is {outcome}"

    def read(self) -> LoginProfileState:
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

    def values(self, stored: LoginProfileState | None) -> Values[LoginProfileState | None]:
        return {"": stored} if stored else {}

    def wanted(self, name: str, value: LoginProfileState | None) -> LoginProfileState | None:
        """A password that this containment has replaced is as wanted."""
        if self.removes or not value:
            return None
        return value if self._replaced and value["reset_required"] else REPLACED

    @property
    def _replaced(self) -> bool:
        return bool(self.target_context.logged_action(self.name).get("status") == DONE)

    def contained_text(self, pending: Values[LoginProfileState | None]) -> str:
        if self.removes:
            return "console password removed: it cannot come back, a person sets a new one"
        return (
            "console password replaced by a random one that nobody knows, to be reset at the next"
            " sign-in"
        )

    def write(self, name: str, value: LoginProfileState | None) -> AwsAnswer:
        if value is None:
            call = partial(self.iam.delete_login_profile, UserName=self.user)
        else:
            call = partial(
                self.iam.update_login_profile,
                UserName=self.user,
                Password=passwords.random_password(),
                PasswordResetRequired=True,
            )
        try:
            return dict(retry_on_conflict(call))
        except ClientError as error:
            if value is not None or error_code(error) != "NoSuchEntity":
                raise
            return {}  # an earlier attempt removed it, and IAM still shows it

    def command(self, name: str, value: LoginProfileState | None) -> str:
        if value is None:
            return f"iam delete-login-profile --user-name {self.user}"
        call = "update" if self.current or not self.removes else "create"
        new = f"--user-name {self.user} --password NEW --password-reset-required"
        return f"iam {call}-login-profile {new}"

    def as_before(
        self, name: str, before: LoginProfileState | None, now: LoginProfileState | None
    ) -> bool:
        return bool(now and (not self._replaced or self._set_since(before, now)))

    def _set_since(self, before: LoginProfileState | None, now: LoginProfileState) -> bool:
        created = str((before or {}).get("created") or "")
        return bool(now["created"] > created or not now["reset_required"])

    def left(
        self, name: str, before: LoginProfileState | None, now: LoginProfileState | None
    ) -> bool:
        return True

    def state_text(self, name: str, value: LoginProfileState | None) -> str:
        since = " that was set since" if self._replaced else ""
        return f"{self.user} has {'a' if since else 'its'} console password{since}"

    def irreversible(
        self, name: str, before: LoginProfileState | None, now: LoginProfileState | None
    ) -> str:
        if now:
            return (
                f"the console password of {self.user} was replaced by a random one that nobody"
                " knows: a person sets a new one"
            )
        return (
            f"the console password of {self.user} was removed and cannot come back: a person sets"
            " a new one"
        )


class Mfa(UserControl[dict[str, str], str | None]):
    """MFA devices, by serial number, with the ISO time when each was enabled. What was added since
    the finding's time range began is deactivated.
    """

    name = "deactivate_mfa"
    item = "mfa"
    option = "deactivate_mfa"
    title = "MFA device {name}"
    placeholder = "SERIAL"
    absent_text = "the user has no MFA device"
    done_text = "no MFA device of it was added since the finding's time range began"
    reads = (Grant(("iam:ListMFADevices",), USERS),)
    contains = (Grant(("iam:DeactivateMFADevice",), USERS),)
    undone_by = ("EnableMFADevice",)

    def read(self) -> dict[str, str]:
        listed = list_all(self.iam.list_mfa_devices, "MFADevices", UserName=self.user)
        return {device["SerialNumber"]: device["EnableDate"].isoformat() for device in listed}

    def wanted(self, name: str, value: str | None) -> str | None:
        added = value is None or parse_time(value) >= self.target_context.since
        return None if added else value

    def contained_text(self, pending: Values[str | None]) -> str:
        return (
            f"MFA device {', '.join(pending)} deactivated: it was added since the finding's time"
            " range began, and cannot be switched on again"
        )

    def call(self, name: str, value: str | None) -> AwsCall:
        named = {"UserName": self.user, "SerialNumber": name}
        return AwsCall("iam", "deactivate_mfa_device", named)

    def command(self, name: str, value: str | None) -> str:
        """Who holds a device enables it again: the command says which codes that takes."""
        if value is None:
            return super().command(name, value)
        codes = "--authentication-code1 CODE --authentication-code2 NEXT_CODE"
        return f"iam enable-mfa-device --user-name {self.user} --serial-number {name} {codes}"

    def as_before(self, name: str, before: str | None, now: str | None) -> bool:
        return now is not None

    def left(self, name: str, before: str | None, now: str | None) -> bool:
        return True

    def state_text(self, name: str, value: str | None) -> str:
        return f"{self.named(name)} is active"

    def irreversible(self, name: str, before: str | None, now: str | None) -> str:
        return f"{self.named(name)} was deactivated: only who holds it can enable it again"
