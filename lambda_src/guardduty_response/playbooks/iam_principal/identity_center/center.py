"""The Identity Center account, and the statement that denies a person everything in a permission
set.

IAM Identity Center User Guide, "Deny user access": a statement in the permission set's inline
policy that denies everything where ``identitystore:userId`` is the person's ID. It names no time,
so that it meets the sessions there are and every sign-in to come, and nobody else of the permission
set. It reaches the accounts when the permission set is provisioned.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.role_policies import statements
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.errors import ResponseError
from guardduty_response.incident.containments import ENDED
from guardduty_response.incident.shared_settings import Held
from guardduty_response.incident.statuses import Status
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient, PolicyDocument
    from guardduty_response.playbooks.iam_principal.records import PermissionSetBefore

# of the before-state, PART/<permission set>, and of what is kept of the provisioning
PART = "identity_center"
DENY = "deny_user"  # action and check, "DENY <permission set>"
ROLE = "GDR_IDENTITY_CENTER_ROLE"
KEY_USE = ("kms:Decrypt",)
# the name that Identity Center gives a permission set's inline policy in an account's role
INLINE = "AwsSSOInlinePolicy"
_ENCRYPTED = ("identitystore:", "sso:")
# bytes of an inline policy, white space not counted (IAM Identity Center User Guide, "Quotas")
LIMIT = 10_240
PROVISION = "ProvisionPermissionSet"
ASK = "ListPermissionSetsProvisionedToAccount"
EVERY_ACCOUNT = "ALL_PROVISIONED_ACCOUNTS"
# A permission set's name has at most 32 characters (CreatePermissionSet), so the role's 64 hold all
# of it.
ROLE_NAME = re.compile(r"AWSReservedSSO_(.+)_[0-9a-f]{16}")


class Center:
    """``playbooks.iam_principal.identity_center``; false where it is not set."""

    def __init__(self, principal: PrincipalContext) -> None:
        option: dict[str, str] = principal.options.get("identity_center") or {}
        self.target_context = principal
        self.configured = bool(option)
        self.account = str(option.get("account_id", ""))
        self.region = str(option.get("region", ""))
        self.instance = str(option.get("instance_arn", ""))
        self.store = str(option.get("identity_store_id", ""))
        self.sso = f"arn:{principal.context.config.partition}:sso:::"

    def __bool__(self) -> bool:
        return self.configured

    def open(self, *granted: PolicyDocument) -> clients.Session:
        """Opens a session in the Identity Center account, narrowed to these statements."""
        if any(name.startswith(_ENCRYPTED) for part in granted for name in part["Action"]):
            granted = (*granted, self._key_use())
        return self.target_context.context.assume(
            self.account, self.region, policy(*granted), role=ROLE
        )

    def _key_use(self) -> PolicyDocument:
        """Allows the use of the customer managed key that Identity Center may be encrypted with:
        it asks the key in the name of who calls (IAM Identity Center User Guide, Encryption at
        rest).
        """
        partition = self.target_context.context.config.partition
        through = {"kms:ViaService": [name.replace(":", ".*") for name in _ENCRYPTED]}
        return {
            **allow(KEY_USE, f"arn:{partition}:kms:*:*:key/*"),
            "Condition": {"StringLike": through},
        }

    @property
    def every_set(self) -> str:
        """The ARN pattern of every permission set."""
        return f"{self.sso}permissionSet/{self.instance.rsplit('/', 1)[-1]}/*"

    def admin(self, permission_set: str, *actions: str) -> AwsClient:
        """Opens a client that may do this to a permission set, and provision it where it is."""
        names = [f"sso:{action}" for action in actions if action != PROVISION]
        resources = [self.instance, permission_set]
        granted = [allow(names, resources)] if names else []
        if PROVISION in actions:
            granted.append(allow((f"sso:{PROVISION}",), [*resources, f"{self.sso}account/*"]))
        return self.open(*granted).client("sso-admin")

    def ask(self) -> None:
        """Has Identity Center answer for the instance: raises botocore's error where it is the
        instance that is not found.
        """
        account = self.target_context.target.account_id
        granted = allow((f"sso:{ASK}",), [self.instance, f"{self.sso}account/{account}"])
        self.open(granted).client("sso-admin").list_permission_sets_provisioned_to_account(
            InstanceArn=self.instance, AccountId=account
        )

    def parameters(self, permission_set: str) -> dict[str, str]:
        """Returns the parameters that name a permission set, by its ARN."""
        return {"InstanceArn": self.instance, "PermissionSetArn": permission_set}


def deny_statement(principal: PrincipalContext, user_id: str) -> PolicyDocument:
    """Returns the statement with a Sid of this containment's own, so that undoing it leaves that
    of another deployment.
    """
    place = principal.target.place
    owner = f"{place[0]} {place[1]}" if place else principal.context.incident_id
    words = re.findall("[a-z0-9]+", principal.prefix.lower())
    prefix = "".join(word.title() for word in words)
    digest = hashlib.sha256(f"{owner} {user_id}".encode()).hexdigest()[:16]
    return {
        "Sid": f"{prefix}Deny{digest}",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"identitystore:userId": user_id}},
    }


def recorded_statement(principal: PrincipalContext, name: str) -> PolicyDocument:
    """Returns the statement as it was written, also when the person can no longer be looked up;
    else the one to be written.
    """
    before: PermissionSetBefore | None = principal.before_state(f"{PART}/{name}")
    if before and before.get("statement"):
        return before["statement"]
    return deny_statement(principal, principal.scope("user_id"))


def recorded_user(principal: PrincipalContext) -> str:
    """Returns the ID of the user whom this containment denies, by what was written; empty: nobody
    yet, or it has ended. A name may be another user's by now.
    """
    try:
        stored = principal.read_stored()
    except ResponseError:  # the incident has no such target
        return ""
    if Status(stored["status"]) in ENDED:
        return ""
    for item, state in (stored.get("before") or {}).items():
        if item.startswith(f"{PART}/") and state.get("statement"):
            return str(state["statement"]["Condition"]["StringEquals"]["identitystore:userId"])
    return ""


def read_inline_policy(sso: AwsClient, center: Center, permission_set: str) -> str:
    """Returns the inline policy as it is written, or an empty string."""
    answer = sso.get_inline_policy_for_permission_set(**center.parameters(permission_set))
    return str(answer.get("InlinePolicy") or "")


def parse_document(text: str) -> PolicyDocument:
    """Raises ResponseError: what cannot be read must not be written over."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise ResponseError(f"its inline policy is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ResponseError("its inline policy is no policy document")
    return found


def hold_policy(principal: PrincipalContext, permission_set: str) -> AbstractContextManager[Held]:
    """Holds a permission set's inline policy, in which other containments have statements too.

    Raises SettingBusy.
    """
    return principal.hold(permission_set, "inline policy")


def has_statement(text: str, statement: PolicyDocument) -> bool:
    return statement in statements(parse_document(text))


def with_statement(text: str, statement: PolicyDocument) -> str:
    """Returns the policy with the statement added, in place of an earlier form of it."""
    return _write(parse_document(text), [*other_statements(text, statement), statement])


def without_statement(text: str, statement: PolicyDocument) -> str:
    """Returns the policy without the statement, empty when nothing else is left of it."""
    others = other_statements(text, statement)
    return _write(parse_document(text), others) if others else ""


def other_statements(text: str, statement: PolicyDocument) -> list[PolicyDocument]:
    """Returns the policy's statements with another Sid."""
    return [
        other for other in statements(parse_document(text)) if other.get("Sid") != statement["Sid"]
    ]


def _write(old: PolicyDocument, remaining: list[PolicyDocument]) -> str:
    document = {"Version": "2012-10-17", **old, "Statement": remaining}
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def policy_size(text: str) -> int:
    """Returns the bytes that count towards LIMIT."""
    return len("".join(text.split()).encode())


def outdated_accounts(sso: AwsClient, center: Center, permission_set: str) -> list[str]:
    """Returns the accounts that do not have the permission set as it is now."""
    pages = sso.get_paginator("list_accounts_for_provisioned_permission_set").paginate(
        **center.parameters(permission_set),
        ProvisioningStatus="LATEST_PERMISSION_SET_NOT_PROVISIONED",
    )
    return [str(account) for page in pages for account in page.get("AccountIds") or []]


def provision(sso: AwsClient, center: Center, arn: str) -> AwsAnswer:
    """Has the permission set provisioned to all its accounts."""
    call = partial(sso.provision_permission_set, **center.parameters(arn), TargetType=EVERY_ACCOUNT)
    return dict(retry_on_conflict(call))


def is_not_found(error: Exception) -> bool:
    """Tells whether what was asked for is not there; a key that is not found has a Reason."""
    if not isinstance(error, ClientError) or error.response.get("Reason"):
        return False
    return error_code(error) == "ResourceNotFoundException"


def is_no_user(error: Exception) -> bool:
    """Tells whether it is the user that is not there, and not the identity store."""
    kind = error.response.get("ResourceType") if isinstance(error, ClientError) else None
    return is_not_found(error) and kind in (None, "USER")
