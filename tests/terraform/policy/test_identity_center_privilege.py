"""What the three roles of the Identity Center account may do, and that they give nobody anything:
asked of an IAM evaluator.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from guardduty_response.containment.session_policy import accepted
from guardduty_response.containment.target_context import allow, policy
from guardduty_response.playbooks.iam_principal import monitor
from guardduty_response.playbooks.iam_principal.identity_center import (
    center as identity_center,
)
from guardduty_response.playbooks.iam_principal.identity_center import (
    contain,
    plan,
    restore,
    verify,
)

from tests.support.policy_oracle import decide
from tests.support.repository import ROOT

CENTER, MEMBER, P = "999999999999", "222222222222", "guardduty-response"
SSO = "arn:aws:sso:::"
INSTANCE, SET, ACCOUNT = (
    f"{SSO}instance/ssoins-0123456789abcdef",
    f"{SSO}permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef",
    f"{SSO}account/{MEMBER}",
)
STORE, USER = (
    f"arn:aws:identitystore::{CENTER}:identitystore/d-0123456789",
    "arn:aws:identitystore:::user/0-1",
)
GROUP, MEMBERSHIP = "arn:aws:identitystore:::group/0-1", "arn:aws:identitystore:::membership/0-1"
RESERVED = (
    f"arn:aws:iam::{MEMBER}:role/aws-reserved/sso.amazonaws.com/eu-west-1/"
    "AWSReservedSSO_Admin_0123456789abcdef"
)
JOBS = ("responder", "monitor", "restorer")


def filled(name: str) -> str:
    """The policy as the member roles' module fills it in."""
    text = Path(ROOT / "playbooks" / "iam_principal" / f"{name}-policy.json").read_text()
    text = re.sub(r"%\{ if remediates ~\}\n(.*?)%\{ endif ~\}\n", "", text, flags=re.DOTALL)
    own = json.dumps(f"arn:aws:iam::{MEMBER}:role/{P}-responder-iam-principal")
    for variable, value in {
        "partition": "aws",
        "account_id": MEMBER,
        "name_prefix": P,
        "own_role_arns": own,
    }.items():
        text = text.replace(f"${{{variable}}}", value)
    return json.dumps(json.loads(text))  # what is no JSON would allow nothing, and deny nothing


def center(job: str) -> str:
    return filled(f"identity-center-{job}")


def names(actions: tuple[str, ...]) -> list[str]:
    return [action if ":" in action else f"sso:{action}" for action in actions]


# What the Service Authorization Reference says that each of these calls needs, all of it.
NEEDS = {
    "identitystore:GetUserId": (STORE, USER),
    "identitystore:ListGroupMembershipsForMember": (STORE, USER, MEMBERSHIP),
    "cloudtrail:LookupEvents": ("*",),
    "sso:ProvisionPermissionSet": (INSTANCE, SET, ACCOUNT),
    "sso:ListPermissionSetsProvisionedToAccount": (INSTANCE, ACCOUNT),
    "sso:ListAccountAssignmentsForPrincipal": (INSTANCE,),
    "sso:ListAccountAssignments": (INSTANCE, SET, ACCOUNT),
    "sso:DescribePermissionSetProvisioningStatus": (INSTANCE,),
}
ASKED = {
    "responder": {
        *plan.READ,
        *plan.WHO,
        *names(contain.CHANGE),
        *names(verify.READ),
        *names(verify.POLL),
        "cloudtrail:LookupEvents",
    },
    "monitor": {*monitor.READ_ELSEWHERE[identity_center.ROLE]} - {*identity_center.KEY_USE},
    "restorer": {*names(restore.READ), *names(restore.CHANGE)},
}


@pytest.mark.parametrize(
    ("job", "action"), [(job, action) for job in JOBS for action in sorted(ASKED[job])]
)
def test_what_the_code_asks_for_is_allowed(job: str, action: str) -> None:
    for resource in NEEDS.get(action, (INSTANCE, SET)):
        assert decide([center(job)], action, resource) == "Allow", resource


@pytest.mark.parametrize("job", JOBS)
def test_it_has_no_action_that_the_code_does_not_ask_for(job: str) -> None:
    statements: list[dict[str, Any]] = json.loads(center(job))["Statement"]
    granted = {
        action
        for part in statements
        for action in ([part["Action"]] if isinstance(part["Action"], str) else part["Action"])
    }
    assert granted == ASKED[job] | set(identity_center.KEY_USE)
    for part in statements:
        assert part["Resource"] != "*" or part["Action"] == "cloudtrail:LookupEvents", part["Sid"]


NEVER = [
    # nothing that gives anybody access
    ("sso:CreateAccountAssignment", SET),
    ("sso:CreatePermissionSet", INSTANCE),
    ("sso:UpdatePermissionSet", SET),
    ("sso:AttachManagedPolicyToPermissionSet", SET),
    ("sso:AttachCustomerManagedPolicyReferenceToPermissionSet", SET),
    ("sso:DeletePermissionsBoundaryFromPermissionSet", SET),
    ("sso:DetachManagedPolicyFromPermissionSet", SET),
    ("identitystore:CreateUser", STORE),
    ("identitystore:UpdateUser", USER),
    ("identitystore:CreateGroupMembership", GROUP),
    ("sso:CreateInstanceAccessControlAttributeConfiguration", INSTANCE),
    ("sso:StartSSO", "*"),
    # nothing that destroys, and nothing of the rest of the account
    ("sso:DeletePermissionSet", SET),
    ("sso:DeleteAccountAssignment", SET),
    ("identitystore:DeleteUser", USER),
    ("identitystore:ListUsers", USER),
    ("identitystore:DescribeUser", USER),
    ("organizations:AttachPolicy", "*"),
    ("iam:PutRolePolicy", f"arn:aws:iam::{CENTER}:role/app"),
    ("iam:PassRole", f"arn:aws:iam::{CENTER}:role/app"),
    ("sts:AssumeRole", f"arn:aws:iam::{MEMBER}:role/app"),
    ("cloudtrail:StopLogging", "*"),
]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("action", "resource"), NEVER)
def test_may_not(job: str, action: str, resource: str) -> None:
    assert decide([center(job)], action, resource) != "Allow"


def test_none_can_do_anothers_work() -> None:
    assert decide([center("responder")], "sso:DeleteInlinePolicyFromPermissionSet", SET) != "Allow"
    assert decide([center("restorer")], "identitystore:GetUserId", USER) != "Allow"
    assert decide([center("restorer")], "cloudtrail:LookupEvents", "*") != "Allow"
    for action in (*names(contain.CHANGE), *names(restore.CHANGE), "cloudtrail:LookupEvents"):
        if action not in ASKED["monitor"]:
            assert decide([center("monitor")], action, SET) != "Allow"
    changing = {*names(contain.CHANGE), *names(restore.CHANGE)} - {
        "sso:GetInlinePolicyForPermissionSet"
    }
    assert not changing & ASKED["monitor"]


@pytest.mark.parametrize("job", ["responder", "monitor", "restorer"])
def test_in_the_findings_account_the_role_is_read_and_never_written(job: str) -> None:
    for action in ("iam:GetRole", "iam:GetRolePolicy"):
        assert decide([filled(job)], action, RESERVED) == "Allow"
    for action in ("iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:TagRole"):
        assert decide([filled(job)], action, RESERVED) != "Allow"


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("through", "answer"),
    [("sso.eu-west-1", "Allow"), ("identitystore.eu-west-1", "Allow"), ("s3.eu-west-1", "")],
)
def test_keys_are_used_through_identity_center_alone(job: str, through: str, answer: str) -> None:
    """Of the account that administers Identity Center, and of the management account."""
    for account in (CENTER, MEMBER):
        key, via = f"arn:aws:kms:eu-west-1:{account}:key/k", f"{through}.amazonaws.com"
        decision = decide([center(job)], "kms:Decrypt", key, kms__ViaService=via)
        assert (decision == "Allow") == bool(answer)
        assert decide([center(job)], "kms:Decrypt", key) != "Allow"


def test_the_largest_session_policies_fit() -> None:
    every, stores = (
        f"{SSO}permissionSet/ssoins-0123456789abcdef/*",
        [STORE, "arn:aws:identitystore:::membership/*", USER],
    )
    for document in (
        policy(allow(monitor.READ_ELSEWHERE[identity_center.ROLE])),
        policy(allow(plan.READ, [INSTANCE, every, ACCOUNT]), allow(plan.WHO, stores)),
        policy(allow(names(restore.CHANGE), [INSTANCE, SET, f"{SSO}account/*"])),
    ):
        assert accepted(document)


@pytest.mark.parametrize("job", JOBS)
def test_it_fits_a_role(job: str) -> None:
    assert len(json.dumps(json.loads(center(job)), separators=(",", ":"))) < 6144
