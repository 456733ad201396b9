"""Provides the IAM policies of member roles as modules/member-roles fills them in, and what they
allow of calls that were made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from benchmarks.measure import Timed
from tests.support.policy_oracle import decide
from tests.support.repository import ROOT

Json = dict[str, Any]
# Access level -> actions, of AWS's service authorization reference
LEVELS: dict[str, list[str]] = json.loads(
    Path(ROOT / "tests" / "unit" / "containment" / "access_levels.json").read_text()
)
READS = {*LEVELS["Read"], *LEVELS["List"]}
# Where IAM's name of a service is not botocore's
_SERVICES = {"elbv2": "elasticloadbalancing", "sso-admin": "sso"}
_NAMES = {"UserName": "user", "RoleName": "role", "InstanceProfileName": "instance-profile"}
_SECURITY_ACCOUNT = "111111111111"
_SWITCHED = re.compile(r"^%\{ if \w+ ~\}\n(.*?)^%\{ endif ~\}\n", re.DOTALL | re.MULTILINE)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ARNS = ("PolicyArn", "InstanceArn", "PermissionSetArn")


class Call(Timed, Protocol):
    """Declares a recorded AWS call (the labs' ``Call``)."""

    service: str
    operation: str

    @property
    def params(self) -> Json:
        """Returns the call's parameters."""

    @property
    def policy(self) -> Json | None:
        """Returns the session policy that it was made under; None: with the function's role."""


def member_policy(playbook: str, kind: str, account: str) -> Json:
    """Returns the policy of a role that no switch changes."""
    text = Path(ROOT / "playbooks" / playbook / f"{kind}-policy.json").read_text()
    values = {"partition": "aws", "account_id": account, "name_prefix": "guardduty-response"}
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    found: Json = json.loads(text)
    return found


def rendered(template: Path, switched_on: bool, account: str, prefix: str) -> Json:
    """Returns a role's policy as Terraform renders it, with every switch on or every one off. It
    names the roles of every switch as the response's own in both cases.
    """
    iam, names = f"arn:aws:iam::{account}:role/", [f"{prefix}-quarantine"]
    roles = sorted({role_suffix(path) for path in template.parent.parent.glob("*/*-policy.json")})
    quarantine = [*names, f"{names[0]}-ssm"] if switched_on else names
    own = [f"{iam}{prefix}-{suffix}" for suffix in roles] + [f"{iam}{name}" for name in quarantine]
    own.append(f"arn:aws:iam::{_SECURITY_ACCOUNT}:role/{prefix}-*")
    values = {
        "partition": "aws",
        "account_id": account,
        "security_account_id": _SECURITY_ACCOUNT,
        "name_prefix": prefix,
        "group_kinds": json.dumps(["quarantine", "untrack"] if switched_on else ["quarantine"]),
        "own_role_arns": ",".join(json.dumps(arn) for arn in own),
        "quarantine_role_arns": json.dumps([f"{iam}{name}" for name in quarantine]),
    }
    text = _SWITCHED.sub(lambda found: found[1] if switched_on else "", template.read_text())
    document: Json = json.loads(_VARIABLE.sub(lambda found: values[found[1]], text))
    return document


def role_suffix(template: Path) -> str:
    """Returns how the name of the role ends that has this policy."""
    kind, playbook = template.name.removesuffix("-policy.json"), template.parent.name
    # There is one Identity Center, so these roles do not carry a playbook's name
    return kind if kind.startswith("identity-") else f"{kind}-{playbook.replace('_', '-')}"


def granted(document: Json) -> set[str]:
    """Returns the actions that a policy allows."""
    actions: set[str] = set()
    for statement in document["Statement"]:
        named = statement["Action"] if statement["Effect"] == "Allow" else []
        actions |= {named} if isinstance(named, str) else set(named)
    return actions


def in_members(calls: Iterable[Call]) -> list[Call]:
    """Returns the calls that were made with a member role."""
    return [call for call in calls if call.policy is not None]


def action_of(call: Call) -> str:
    """Returns the IAM action of a call."""
    return f"{_SERVICES.get(call.service, call.service)}:{call.operation}"


def refused(calls: Iterable[Call], document: Json, account: str) -> list[str]:
    """Returns the calls, each as action and resource, that a role's policy does not allow."""
    found = []
    for call in calls:
        action = action_of(call)
        found += [
            f"{action} on {arn}"
            for arn in _resources(call, account)
            if decide([document], action, arn) != "Allow"
        ]
    return found


def _resources(call: Call, account: str) -> list[str]:
    if call.service == "ecs":
        given = call.params
        return given.get("tasks") or [given.get("containerInstance") or given.get("cluster") or "*"]
    arns = [str(call.params[key]) for key in _ARNS if key in call.params]
    if call.service == "iam":
        arns += [
            f"arn:aws:iam::{account}:{kind}/{call.params[key]}"
            for key, kind in _NAMES.items()
            if key in call.params
        ]
    return arns or ["*"]
