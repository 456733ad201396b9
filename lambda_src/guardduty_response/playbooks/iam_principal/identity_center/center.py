"""The Identity Center account, and the statement that denies one person everything in a permission
set.

IAM Identity Center User Guide, "Deny user access": a statement in the permission set's inline
policy that denies everything where ``identitystore:userId`` is the person's id. It names no time,
so that it meets the sessions there are and every sign-in to come, and nobody else of the permission
set. It reaches the accounts when the permission set is provisioned.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code
from guardduty_response.containment.role_policies import statements
from guardduty_response.containment.target_context import Json, allow, policy
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

# of the before-state, PART/<permission set>, and of what is kept of the provisioning
PART = "identity_center"
DENY = "deny_user"  # action and check, "DENY <permission set>"
ROLE = "GDR_IDENTITY_CENTER_ROLE"
# the name that Identity Center gives a permission set's inline policy in an account's role
INLINE = "AwsSSOInlinePolicy"
# bytes of an inline policy, white space not counted (IAM Identity Center User Guide, "Quotas")
LIMIT = 10_240
# A permission set's name has at most 32 characters (CreatePermissionSet), so the role's 64 hold all
# of it.
ROLE_NAME = re.compile(r"AWSReservedSSO_(.+)_[0-9a-f]{16}")


class Center:
    """``playbooks.iam_principal.identity_center``; false where it is not set."""

    def __init__(self, principal: PrincipalContext) -> None:
        option: Json = principal.options.get("identity_center") or {}
        self.target_context, self.on = principal, bool(option)
        self.account, self.region = str(option.get("account_id", "")), str(option.get("region", ""))
        self.instance, self.store = (
            str(option.get("instance_arn", "")),
            str(option.get("identity_store_id", "")),
        )
        self.sso = f"arn:{principal.context.config.partition}:sso:::"

    def __bool__(self) -> bool:
        return self.on

    def open(self, *granted: Json) -> clients.Session:
        return self.target_context.context.assume(
            self.account, self.region, policy(*granted), role=ROLE
        )

    @property
    def every_set(self) -> str:
        return f"{self.sso}permissionSet/{self.instance.rsplit('/', 1)[-1]}/*"

    def admin(self, permission_set: str, *actions: str) -> Any:
        """A client that may do this to one permission set, in whichever accounts it is."""
        names = tuple(f"sso:{action}" for action in actions)
        return self.open(
            allow(names, [self.instance, permission_set, f"{self.sso}account/*"])
        ).client("sso-admin")

    def named(self, permission_set: str) -> Json:
        """The parameters that name a permission set."""
        return {"InstanceArn": self.instance, "PermissionSetArn": permission_set}


def statement(principal: PrincipalContext, user_id: str) -> Json:
    """Each incident's own, so that undoing one leaves another's."""
    incident = principal.target.attach or principal.context.incident_id
    prefix = "".join(word.title() for word in re.findall("[a-z0-9]+", principal.prefix.lower()))
    sid = f"{prefix}Deny{hashlib.sha256(f'{incident} {user_id}'.encode()).hexdigest()[:16]}"
    condition = {"StringEquals": {"identitystore:userId": user_id}}
    return {"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}


def inline(sso: Any, center: Center, permission_set: str) -> str:
    """The inline policy as it is written, or empty."""
    return str(
        sso.get_inline_policy_for_permission_set(**center.named(permission_set)).get("InlinePolicy")
        or ""
    )


def document(text: str) -> Json:
    """Raises ResponseError: what cannot be read must not be written over."""
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise ResponseError(f"its inline policy is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ResponseError("its inline policy is no policy document")
    return found


def has(text: str, mine: Json) -> bool:
    return mine in statements(document(text))


def merged(text: str, mine: Json) -> str:
    return _written(document(text), [*others(text, mine), mine])


def without(text: str, mine: Json) -> str:
    """Empty when nothing else is left of it."""
    left = others(text, mine)
    return _written(document(text), left) if left else ""


def others(text: str, mine: Json) -> list[Json]:
    return [one for one in statements(document(text)) if one.get("Sid") != mine["Sid"]]


def _written(old: Json, left: list[Json]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", **old, "Statement": left},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def size(text: str) -> int:
    return len("".join(text.split()).encode())


def lagging(sso: Any, center: Center, permission_set: str) -> list[str]:
    """Accounts that do not have the permission set as it is now."""
    pages = sso.get_paginator("list_accounts_for_provisioned_permission_set").paginate(
        **center.named(permission_set), ProvisioningStatus="LATEST_PERMISSION_SET_NOT_PROVISIONED"
    )
    return [str(one) for page in pages for one in page.get("AccountIds") or []]


def gone(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error) == "ResourceNotFoundException"
