"""Judges by IAM's own evaluation what a session of a role may still do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from guardduty_response.aws.api import PolicyDocument

from tests.support.policy_oracle import decide
from tests.unit.playbooks.iam_principal.iam_lab import IamLab
from tests.unit.playbooks.iam_principal.iam_moto import MEMBER

INSTANCE = "i-0123456789abcdef0"
EXFILTRATION = "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
ALLOW_EVERYTHING: PolicyDocument = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "*",
            "Resource": "*",
        }
    ],
}


def moment(seconds: float) -> str:
    """So many seconds from now, as IAM's policies have it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_allowed(iam: IamLab, session: str, issued: float, name: str = "app") -> bool:
    """Whether the session, issued so many seconds from now, may still do what the role allows."""
    keys = {
        "aws__userid": f"{iam.ids['roles'][name]}:{session}",
        "aws__TokenIssueTime": moment(issued),
    }
    policies: list[str | PolicyDocument] = [ALLOW_EVERYTHING, *iam.role_policies(name).values()]
    principal = f"arn:aws:sts::{MEMBER}:assumed-role/{name}/{session}"
    decision = decide(policies, "s3:GetObject", "arn:aws:s3:::b/k", principal, **keys)
    return bool(decision == "Allow")
