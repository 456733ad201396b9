"""What restoring the items of a principal shares: its ARN, sessions, and whether it exists."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import allow
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext
from guardduty_response.playbooks.iam_principal.records import (
    AwsAnswer,
    AwsClient,
    RoleSessionsState,
)


def role_arn(principal: PrincipalContext) -> str:
    """Returns the role's ARN; its path is not in the record's target of a role session."""
    before: RoleSessionsState | None = principal.before_state("sessions")
    if before and before.get("role"):
        return before["role"]
    return principal.arn(f"role/{principal.identity.role}", "iam")


def changing_client(principal: PrincipalContext, arn: str, *actions: str) -> AwsClient:
    """Opens a client of IAM that may do this to one entity."""
    return principal.open_session(allow(actions, arn)).client("iam")


def unique_id(call: Callable[..., AwsAnswer], what: str, **name: str) -> str:
    """Returns the unique ID of the entity that ``call`` reads, or an empty string without one.

    ``what``: User or Role, as IAM's answers name it. Raises IAM's other errors.
    """
    try:
        return str(call(**name)[what][f"{what}Id"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return ""
