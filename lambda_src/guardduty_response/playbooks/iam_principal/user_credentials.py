"""Ends every credential of an IAM user, one class per kind (containment/action.py)."""

from __future__ import annotations

from functools import partial

from botocore.exceptions import ClientError

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import DONE
from guardduty_response.playbooks.iam_principal import passwords
from guardduty_response.playbooks.iam_principal.principal_context import (
    list_all,
    parse_time,
    run_each,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer, LoginProfileState
from guardduty_response.playbooks.iam_principal.user_action import UserAction


class SwitchedCredentials(UserAction):
    """Credentials that IAM lists with a status and switches off and on.

    ``LIST`` and ``UPDATE`` are its calls, ``KEY`` and ``ID`` the names in the list's answer.
    ``label`` names one credential for people.
    """

    LIST = ""
    KEY = ""
    ID = ""
    UPDATE = ""
    PARAMETER = ""  # of UPDATE, where it differs from ID
    label = ""

    def read(self) -> dict[str, str]:
        """Returns each credential's ID with Active or Inactive."""
        listed = list_all(getattr(self.iam, self.LIST), self.KEY, UserName=self.user)
        return {credential[self.ID]: credential["Status"] for credential in listed}

    def pending_change(self) -> str:
        active = self._active()
        return f"{self.label} {', '.join(active)} made inactive" if active else ""

    def change(self) -> list[AwsAnswer]:
        return run_each(partial(self.switch, id, "Inactive") for id in self._active())

    def switch(self, id: str, status: str) -> AwsAnswer:
        call = getattr(self.iam, self.UPDATE)
        named = {self.PARAMETER or self.ID: id}
        return dict(retry_on_conflict(partial(call, UserName=self.user, Status=status, **named)))

    def _active(self) -> list[str]:
        current: dict[str, str] = self.current or {}
        return sorted(id for id, status in current.items() if status == "Active")


class AccessKeys(SwitchedCredentials):
    name = "deactivate_access_keys"
    item = "access_keys"
    label = "access key"
    absent_text = "the user has no access key"
    done_text = "its access keys are inactive"
    manual_command = (
        "iam update-access-key --user-name {user} --access-key-id KEY --status Inactive"
    )
    LIST = "list_access_keys"
    KEY = "AccessKeyMetadata"
    ID = "AccessKeyId"
    UPDATE = "update_access_key"

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
    label = "SSH key"
    absent_text = "the user has no SSH key"
    done_text = "its SSH keys are inactive"
    manual_command = (
        "iam update-ssh-public-key --user-name {user} --ssh-public-key-id KEY --status Inactive"
    )
    LIST = "list_ssh_public_keys"
    KEY = "SSHPublicKeys"
    ID = "SSHPublicKeyId"
    UPDATE = "update_ssh_public_key"


class ServiceCredentials(SwitchedCredentials):
    name = "deactivate_service_credentials"
    item = "service_credentials"
    option = "other_credentials"
    label = "service-specific credential"
    absent_text = "the user has no service-specific credential"
    done_text = "its service-specific credentials are inactive"
    manual_command = (
        "iam update-service-specific-credential --user-name {user} --service-specific-credential-id"
        " ID --status Inactive"
    )
    LIST = "list_service_specific_credentials"
    KEY = "ServiceSpecificCredentials"
    ID = "ServiceSpecificCredentialId"
    UPDATE = "update_service_specific_credential"


class Certificates(SwitchedCredentials):
    name = "deactivate_certificates"
    item = "certificates"
    option = "other_credentials"
    label = "signing certificate"
    absent_text = "the user has no signing certificate"
    done_text = "its signing certificates are inactive"
    manual_command = (
        "iam update-signing-certificate --user-name {user} --certificate-id ID --status Inactive"
    )
    LIST = "list_signing_certificates"
    KEY = "Certificates"
    ID = "CertificateId"
    UPDATE = "update_signing_certificate"


class Password(UserAction):
    """The console password, by option ``remove``, ``reset`` or ``keep``. It is never readable."""

    name = "console_password"
    item = "login_profile"
    option = "console_password"
    absent_text = "the user has no console password"

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

    @property
    def manual_command(self) -> str:  # type: ignore[override]
        if self.removes:
            return "iam delete-login-profile --user-name {user}"
        return (
            "iam update-login-profile --user-name {user} --password NEW --password-reset-required"
        )

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

    def pending_change(self) -> str:
        if not self.current:
            return ""
        if self.removes:
            return "console password removed: it cannot come back, a person sets a new one"
        replaced = self.target_context.logged_action(self.name).get("status") == DONE
        if replaced and self.current["reset_required"]:
            return ""
        return (
            "console password replaced by a random one that nobody knows, to be reset at the next"
            " sign-in"
        )

    def change(self) -> list[AwsAnswer]:
        if self.removes:
            call = partial(self.iam.delete_login_profile, UserName=self.user)
        else:
            call = partial(
                self.iam.update_login_profile,
                UserName=self.user,
                Password=passwords.random_password(),
                PasswordResetRequired=True,
            )
        try:
            return [retry_on_conflict(call)]
        except ClientError as error:
            if not self.removes or error_code(error) != "NoSuchEntity":
                raise
            return []  # an earlier attempt removed it, and IAM still shows it


class Mfa(UserAction):
    """MFA devices that were added since the finding's time range began."""

    name = "deactivate_mfa"
    item = "mfa"
    option = "deactivate_mfa"
    absent_text = "the user has no MFA device"
    done_text = "no MFA device of it was added since the finding's time range began"
    manual_command = "iam deactivate-mfa-device --user-name {user} --serial-number SERIAL"

    def read(self) -> dict[str, str]:
        """Returns each device's serial number with the ISO time when it was enabled."""
        listed = list_all(self.iam.list_mfa_devices, "MFADevices", UserName=self.user)
        return {device["SerialNumber"]: device["EnableDate"].isoformat() for device in listed}

    def pending_change(self) -> str:
        added = ", ".join(self._added())
        if not added:
            return ""
        return (
            f"MFA device {added} deactivated: it was added since the finding's time range began,"
            " and cannot be switched on again"
        )

    def change(self) -> list[AwsAnswer]:
        return run_each(partial(self._deactivate, serial) for serial in self._added())

    def _deactivate(self, serial: str) -> AwsAnswer:
        call = self.iam.deactivate_mfa_device
        return dict(retry_on_conflict(partial(call, UserName=self.user, SerialNumber=serial)))

    def _added(self) -> list[str]:
        devices: dict[str, str] = self.current or {}
        since = self.target_context.since
        return sorted(serial for serial, at in devices.items() if parse_time(at) >= since)
