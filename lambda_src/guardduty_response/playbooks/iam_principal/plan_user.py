"""Finds an IAM user, by name, unique ID or access key, and says what would be done."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail.actors import IAM_REGION
from guardduty_response.containment.contract import Context, Planned
from guardduty_response.containment.planned_state import planned_state
from guardduty_response.containment.target_context import AWS_ERRORS, BRANCHES, run_all
from guardduty_response.errors import NoTarget
from guardduty_response.playbooks.iam_principal import identify, user
from guardduty_response.playbooks.iam_principal.deny_all import DenyAll
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.plan_target import (
    following_steps,
    iam_arn,
    identifying_session,
    make_target,
    plan_external,
    plan_gone,
    planned_actions,
)
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.tags import tags_of

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsAnswer, AwsClient
    from guardduty_response.cloudtrail.event import CloudTrailRecord

# What IAM answers about a key that does not exist, or is another account's.
UNKNOWN_KEY = ("NoSuchEntity", "AccessDenied", "ValidationError", "ParamValidationError")


def plan_user(context: Context, identity: Principal) -> Planned:
    """Raises NoTarget when nothing names the user, TargetGone when it is deleted and nothing of it
    is looked for.
    """
    session = identifying_session(context)
    iam = session.client("iam")
    name = identity.user or _key_owner(context, session, identity)
    if not name:
        raise NoTarget(
            f"finding {context.finding.id} ({context.finding.type}) names no user, and access key"
            f" '{identity.key}' leads to none of account {context.finding.account_id}: nothing can"
            " be contained; look at the finding in the GuardDuty console"
        )
    found = _get_user(iam, name)
    if not _is_same_user(found, identity) and identity.user:
        owner = _key_owner(context, session, identity)
        if owner not in ("", name):  # renamed since
            name = owner
            found = _get_user(iam, owner)
    if found is None or not _is_same_user(found, identity):
        missing = Principal(
            identity.kind,
            name,
            key=identity.key,
            unique_id=identity.unique_id,
        )
        return _plan_missing_user(context, missing, found)
    return _plan_existing_user(context, identity, found)


def _plan_existing_user(context: Context, identity: Principal, found: AwsAnswer) -> Planned:
    arn = found["Arn"]
    identity = Principal(
        identity.kind, found["UserName"], key=identity.key, unique_id=found["UserId"]
    )
    target = make_target(
        context,
        identity,
        arn,
        user_arn=arn,
    )
    if context.expect:
        context.expect(target, identifying_session(context))
    principal = PrincipalContext(context, target)
    state = PrincipalState()
    controls = user.controls(principal, user.reading_sessions(principal, arn), state)
    run_all({control.name: control.read_current for control in controls}, BRANCHES)
    target = target._replace(scope={**target.scope, **planned_state(controls)})
    return Planned(
        target,
        tags=tags_of(found),
        principals=[arn],
        actions={**planned_actions(controls), **following_steps(principal)},
        consequences=_about_key(identity),
    )


def _about_key(identity: Principal) -> str:
    if not identity.key.startswith("ASIA"):
        return ""
    return (
        f"{identity.key} is a temporary credential: it cannot be switched off, and ends because"
        " everything is denied to its user"
    )


def _get_user(iam: AwsClient, name: str) -> AwsAnswer | None:
    try:
        return dict(iam.get_user(UserName=name)["User"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


def _is_same_user(found: AwsAnswer | None, identity: Principal) -> bool:
    """IAM names can be reused, unique IDs cannot: the ID decides."""
    if found is None:
        return False
    return not identity.unique_id or found["UserId"] == identity.unique_id


def _plan_missing_user(
    context: Context, identity: Principal, namesake: AwsAnswer | None
) -> Planned:
    """Plans for a sample finding, another account's key, or a user that was deleted. Raises
    TargetGone as ``plan_gone`` does.
    """
    account = context.finding.account_id
    if context.finding.sample:
        target = make_target(context, identity, iam_arn(context, f"user/{identity.user}"))
        sentence = (
            f"sample finding: user {identity.user} does not exist; it would be denied everything,"
            " then each credential ended"
        )
        later_actions = following_steps(PrincipalContext(context, target))
        return Planned(target, actions={DenyAll.name: sentence, **later_actions})
    if external := plan_external(context, identity):
        return external
    if namesake:
        why = (
            f"IAM user {identity.user} ({identity.unique_id}) of account {account} no longer"
            f" exists; a new user of the same name ({namesake['UserId']}) does, and is left alone"
        )
        return plan_gone(
            context,
            identity,
            namesake["Arn"],
            why,
            namesake=True,
        )
    why = (
        f"IAM user {identity.user} no longer exists in account {account}: its keys and its password"
        " do nothing any more"
    )
    return plan_gone(context, identity, iam_arn(context, f"user/{identity.user}"), why)


def _key_owner(context: Context, session: clients.Session, identity: Principal) -> str:
    """Returns the user of the access key by IAM (long-term keys), or by CloudTrail; empty when
    neither knows the key.
    """
    if name := _long_term_key_owner(session, identity.key):
        return name
    for caller in _callers_with_key(context, session, identity.key):
        same_account = caller.get("accountId") == context.finding.account_id
        if caller.get("type") == "IAMUser" and same_account:
            return str(caller.get("userName") or "")
    return ""


def _long_term_key_owner(session: clients.Session, key: str) -> str:
    if not key.startswith("AKIA"):
        return ""
    try:
        answer = session.client("iam").get_access_key_last_used(AccessKeyId=key)
    except AWS_ERRORS as error:
        if error_code(error) not in UNKNOWN_KEY:
            raise
        return ""
    return str(answer.get("UserName") or "")


def find_federating_user(context: Context, identity: Principal) -> Principal | None:
    """Returns the IAM user that made a federated session, by CloudTrail; None while no event
    shows it.
    """
    for caller in _callers_with_key(context, identifying_session(context), identity.key):
        issuer = (caller.get("sessionContext") or {}).get("sessionIssuer") or {}
        if issuer.get("type") == "IAMUser" and issuer.get("userName"):
            return Principal(
                identify.USER,
                str(issuer["userName"]),
                key=identity.key,
                unique_id=str(issuer.get("principalId") or ""),
            )
    return None


def _callers_with_key(
    context: Context, session: clients.Session, key: str
) -> list[CloudTrailRecord]:
    """Returns the ``userIdentity`` of calls with the access key, by CloudTrail in the finding's
    Region and in that of global services. Raises a transient error when neither answered.
    """
    if not key:
        return []
    region = context.finding.region
    global_region = IAM_REGION.get(context.config.partition, region)
    attributes = [{"AttributeKey": "AccessKeyId", "AttributeValue": key}]
    calls = {}
    for name in dict.fromkeys([region, global_region]):
        lookup = session.client("cloudtrail", name).lookup_events
        calls[name] = partial(lookup, LookupAttributes=attributes, MaxResults=10)
    answers = list(run_all(calls).values())
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    transient = [error for error in errors if is_transient(error)]
    if len(errors) == len(answers) and transient:
        raise transient[0]
    return [
        json.loads(event["CloudTrailEvent"]).get("userIdentity") or {}
        for answer in answers
        if not isinstance(answer, Exception)
        for event in answer["Events"]
    ]
