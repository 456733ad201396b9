"""Says who else uses a role, for the people whom its containment may meet."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from guardduty_response.containment.role_policies import statements
from guardduty_response.containment.target_context import Sessions, name_of, run_all
from guardduty_response.errors import ResponseError
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient

SHOWN = 10  # names; the rest is counted


def describe_role_users(principal: PrincipalContext, sessions: Sessions, role: AwsAnswer) -> str:
    """Names the principals that the role (as GetRole has it) trusts, and the instances and
    functions with it; says what could not be read. Empty when nobody else uses it.
    """
    instances = partial(_instances, sessions.client("iam"), sessions.client("ec2"), role["Arn"])
    functions = partial(_functions, sessions.client("lambda"), role["Arn"])
    answers = run_all(
        {
            "instance": partial(_names_or_reason, instances),
            "function": partial(_names_or_reason, functions),
        }
    )
    remarks = []
    if trusted_by := trusted_principals(role):
        remarks.append(f"may be assumed by {', '.join(trusted_by)}")
    for kind, names in answers.items():
        if isinstance(names, Exception):
            remarks.append(f"{kind}s with it could not be listed")
        elif names:
            remarks.append(f"{kind} {_shortened(names)} in {principal.target.region}")
    return f"role {name_of(role['Arn'])}: {'; '.join(remarks)}" if remarks else ""


def _shortened(names: list[str]) -> str:
    shown = ", ".join(sorted(names)[:SHOWN])
    more = len(names) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _instances(iam: AwsClient, ec2: AwsClient, role_arn: str) -> list[str]:
    answer = iam.list_instance_profiles_for_role(RoleName=name_of(role_arn))
    profiles = [profile["Arn"] for profile in answer["InstanceProfiles"]]
    if not profiles:
        return []
    filters = [{"Name": "iam-instance-profile.arn", "Values": profiles}]
    reservations = ec2.describe_instances(Filters=filters)["Reservations"]
    return [
        instance["InstanceId"]
        for reservation in reservations
        for instance in reservation["Instances"]
    ]


def _functions(client: AwsClient, role_arn: str) -> list[str]:
    names: list[str] = []
    request: dict[str, str] = {}
    while True:
        page = client.list_functions(**request)
        for function in page["Functions"]:
            if function.get("Role") == role_arn:
                names.append(function["FunctionName"])
        if not page.get("NextMarker"):
            return names
        request = {"Marker": page["NextMarker"]}


def _names_or_reason(call: Callable[[], list[str]]) -> list[str]:
    """Raises ResponseError, whatever goes wrong: this is for people to know, and stops nothing."""
    try:
        return call()
    except Exception as error:
        raise ResponseError(str(error)[:200]) from error


def trusted_principals(role: AwsAnswer) -> list[str]:
    """Returns the principals that the trust policy allows, as it names them."""
    document = role.get("AssumeRolePolicyDocument") or {}
    if isinstance(document, str):
        document = json.loads(document)
    names: set[str] = set()
    for statement in statements(document):
        allowed = statement.get("Principal")
        if statement.get("Effect") != "Allow" or not allowed:
            continue
        groups = allowed.values() if isinstance(allowed, dict) else [allowed]
        for group in groups:
            names |= {group} if isinstance(group, str) else set(group)
    return sorted(names)
