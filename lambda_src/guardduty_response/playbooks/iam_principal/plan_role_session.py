"""Finds the role of a session, and says what would be done to its sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.contract import Context, Planned
from guardduty_response.containment.target_context import BRANCHES, result_or_raise, run_all
from guardduty_response.errors import ResponseError
from guardduty_response.incident.moments import now
from guardduty_response.playbooks.iam_principal import hand_over, identify, role
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.identity_center.plan_person import (
    plan_person,
)
from guardduty_response.playbooks.iam_principal.plan_target import (
    following_steps,
    identifying_session,
    make_target,
    plan_external,
    plan_gone,
    plan_not_containable,
    planned_actions,
    session_arn,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.role_users import (
    describe_role_users,
    trusted_principals,
)
from guardduty_response.playbooks.iam_principal.tags import tags_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer

# Paths that IAM keeps for AWS; a name alone may be anybody's.
SERVICE_LINKED_PATH = ":role/aws-service-role/"
IDENTITY_CENTER_PATH = ":role/aws-reserved/sso.amazonaws.com/"


def plan_role_session(context: Context, identity: Principal) -> Planned:
    """Raises TargetGone when the role is deleted and nothing of it is looked for."""
    try:
        found = identifying_session(context).client("iam").get_role(RoleName=identity.role)["Role"]
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return _plan_missing_role(context, identity)
    if identity.unique_id and found["RoleId"] != identity.unique_id:
        if other := _contained_person(context, identity) or plan_external(context, identity):
            return other
        why = (
            f"role {identity.role} ({identity.unique_id}) of account {context.finding.account_id}"
            " no longer exists, and its sessions can do nothing; a new role of the same name"
            f" ({found['RoleId']}) does, and is left alone"
        )
        return plan_gone(
            context,
            identity,
            session_arn(context, identity),
            why,
            namesake=True,
        )
    identity = replace(identity, unique_id=found["RoleId"])
    if SERVICE_LINKED_PATH in found["Arn"]:
        return plan_not_containable(context, replace(identity, kind=identify.SERVICE_LINKED))
    if IDENTITY_CENTER_PATH in found["Arn"]:
        person = replace(identity, kind=identify.IDENTITY_CENTER)
        return plan_person(context, person, found["Arn"])
    return _plan_existing_role(context, identity, found)


def _plan_existing_role(context: Context, identity: Principal, found: AwsAnswer) -> Planned:
    arn = session_arn(context, identity)
    target = make_target(
        context,
        identity,
        arn,
        role_arn=found["Arn"],
        planned=now(),
    )
    principal = PrincipalContext(context, target)
    sessions = role.reading_sessions(principal, found["Arn"])
    state = PrincipalState()
    controls = role.controls(principal, sessions, state)
    calls: dict[str, Callable[[], object]] = {
        control.name: control.read_current for control in controls
    }
    calls["users"] = partial(
        describe_role_users,
        principal,
        sessions,
        found,
    )
    if identity.instance:
        calls["origin"] = partial(hand_over.origin, principal, sessions, found["Arn"])
    answers = run_all(calls, BRANCHES)
    role_users = answers["users"]
    origin = result_or_raise(answers.get("origin", hand_over.Origin()))
    assert isinstance(origin, hand_over.Origin)
    consequences = _describe_credentials(identity, found, origin)
    if isinstance(role_users, str) and role_users:
        effect = "other sessions go on"
        if principal.role_wide:
            effect = "all of them need new credentials"
        consequences.append(f"{role_users}; {effect}")
    handed_over: dict[str, Callable[[], AwsAnswer]] = {}
    if origin.logged and (origin.is_shown or origin.read_error):
        target = target._replace(scope={**target.scope, "handed_over": dict(origin.logged)})
    if origin.is_sure:  # the following steps need not ask who got the session
        target = target._replace(scope={**target.scope, "instance": identity.instance})
    if origin.is_shown:
        handed_over["ec2_instance"] = partial(hand_over.instance_finding, principal, origin.region)
    elif origin.read_error:
        handed_over["ec2_instance"] = partial(hand_over.unknown, principal, origin.read_error)
    return Planned(
        target,
        tags=tags_of(found),
        principals=[found["Arn"], arn],
        actions={**planned_actions(controls), **following_steps(principal)},
        consequences="; ".join(consequences),
        hand_over=handed_over,
    )


def _plan_missing_role(context: Context, identity: Principal) -> Planned:
    """Plans for a sample finding, another account's key, or a role that was deleted. Raises
    TargetGone as ``plan_gone`` does.
    """
    if context.finding.sample:
        sentence = (
            f"sample finding: role {identity.role} does not exist; its sessions would be denied"
        )
        target = make_target(context, identity, session_arn(context, identity))
        later_actions = following_steps(PrincipalContext(context, target))
        return Planned(target, actions={role.DenySession.name: sentence, **later_actions})
    if other := _contained_person(context, identity) or plan_external(context, identity):
        return other
    reason = (
        f"role {identity.role} no longer exists in account {context.finding.account_id}: its"
        " sessions can do nothing"
    )
    if identity.role.startswith("AWSReservedSSO_"):
        reason += (
            "; if it was IAM Identity Center's (its name says so, and anybody may say so), look"
            f" what else {identity.session} holds"
        )
    return plan_gone(
        context,
        identity,
        session_arn(context, identity),
        reason,
    )


def _contained_person(context: Context, identity: Principal) -> Planned | None:
    """Plans for the person of Identity Center whom this incident has contained, if it has: without
    the role, nothing else says that it was Identity Center's.
    """
    person = replace(identity, kind=identify.IDENTITY_CENTER)
    try:
        context.record.link(context.incident_id, person.kind, person.id)
    except ResponseError:
        return None
    return plan_person(context, person, "")


def _describe_credentials(
    identity: Principal, found: AwsAnswer, origin: hand_over.Origin
) -> list[str]:
    """Says whose session it is, and why an instance that it is named after is left alone."""
    instance = identity.instance
    if origin.is_shown:
        return [
            f"credentials of instance {instance}: the instance is handed over to playbook"
            " ec2_instance too"
        ]
    owner = _describe_owner(identity, found)
    if origin.read_error:
        return [f"whether these are credentials of instance {instance} could not be read", owner]
    if instance:
        return [
            f"instance {instance}, after which the session is named, is not handed over to playbook"
            f" ec2_instance: whoever assumes a role chooses that name, and {origin.why_not}",
            owner,
        ]
    return [owner]


def _describe_owner(identity: Principal, found: AwsAnswer) -> str:
    """Says whose session it is, by its name and by whom the role trusts."""
    trusted = trusted_principals(found)
    session = identity.session
    if "lambda.amazonaws.com" in trusted:
        return (
            f"credentials of a Lambda function (session {session}): a running environment keeps"
            " failing until it is replaced"
        )
    if "ecs-tasks.amazonaws.com" in trusted:
        return (
            f"credentials of an ECS task (session {session}): stop the task, a new one gets new"
            " credentials"
        )
    by_oidc = any("oidc.eks." in name for name in trusted)
    if "pods.eks.amazonaws.com" in trusted or by_oidc:
        return (
            f"credentials of a Kubernetes pod (session {session}): delete the pod, a new one"
            " gets new credentials"
        )
    if "ec2.amazonaws.com" in trusted and not session:
        return "credentials of an instance that the finding does not name"
    return f"session {session or 'unknown'}: whoever may assume the role can sign in again"
