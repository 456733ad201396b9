"""Finds the principal and how it is now, and says what would be done. Changes nothing."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from guardduty_response.aws import clients
from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.cloudtrail.actors import IAM_REGION
from guardduty_response.containment.contract import Context, Planned, Target
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    SKIPPED,
    Json,
    allow,
    describe_error,
    policy,
    run_all,
)
from guardduty_response.errors import NoTarget, TargetGone
from guardduty_response.incident.repository import now
from guardduty_response.playbooks.iam_principal import (
    identify,
    not_containable,
    regions,
    role,
    user,
)
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.identity_center import plan as people
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)

IDENTIFY = (
    "iam:GetAccessKeyLastUsed",
    "iam:GetUser",
    "iam:GetRole",
    "sts:GetAccessKeyInfo",
    "cloudtrail:LookupEvents",
)


def plan(context: Context) -> Planned:
    """The finding's principal. Raises NoTarget, TargetGone, RoleUnavailable."""
    who = identify.principal_in(context.finding)
    if who.kind == identify.FEDERATED:
        who = _behind(context, who) or who
    if who.kind == identify.UNKNOWN and context.finding.sample:
        # some samples say GeneratedFindingUserType
        who = Principal(identify.USER, who.user or "unnamed", key=who.key)
    if who.kind == identify.USER:
        return _user(context, who)
    if who.kind == identify.SESSION:
        return _session(context, who)
    return _unreachable(context, who)


def _target(context: Context, who: Principal, arn: str, **scope: Any) -> Target:
    account, region = context.finding.account_id, context.finding.region
    fields = {
        "user": who.user,
        "role": who.role,
        "session": who.session,
        "key": who.key,
        "unique_id": who.unique_id,
    }
    return Target(who.kind, who.id, arn, account, region, {**fields, **scope})


def _iam_arn(context: Context, resource: str, service: str = "iam") -> str:
    return f"arn:{context.config.partition}:{service}::{context.finding.account_id}:{resource}"


def _look(context: Context) -> clients.Session:
    return context.assume(
        context.finding.account_id, context.finding.region, policy(allow(IDENTIFY))
    )


# -- users -----------------------------------------------------------------------------------------


def _user(context: Context, who: Principal) -> Planned:
    session = _look(context)
    iam = session.client("iam")
    named = who.user or _owner(context, session, who)
    if not named:
        raise NoTarget(
            f"finding {context.finding.id} ({context.finding.type}) names no user, and access key"
            f" '{who.key}' leads to none of account {context.finding.account_id}: nothing can be"
            " contained; look at the finding in the GuardDuty console"
        )
    found = _found(iam, named)
    if (
        not _is(found, who)
        and who.user
        and (owner := _owner(context, session, who)) not in ("", named)
    ):
        named, found = owner, _found(iam, owner)  # renamed since
    if not found or not _is(found, who):
        return _no_user(
            context, Principal(who.kind, named, key=who.key, unique_id=who.unique_id), found
        )
    who = Principal(who.kind, found["UserName"], key=who.key, unique_id=found["UserId"])
    target = _target(context, who, found["Arn"], user_arn=found["Arn"])
    principal = PrincipalContext(context, target)
    state, sessions = PrincipalState(), user.reading(principal, found["Arn"])
    actions = user.actions(principal, sessions, state)
    run_all({one.name: one.read_current for one in actions}, BRANCHES)
    if "deny_all" in state.settings:
        target.scope["deny_all"] = state.settings["deny_all"]
    said = {
        one.name: text for one in actions for status, text in [one.intent()] if status != SKIPPED
    }
    tags = {one["Key"]: one["Value"] for one in found.get("Tags") or []}
    return Planned(target, tags, [found["Arn"]], {**said, **_promises(principal)}, _about_key(who))


def _about_key(who: Principal) -> str:
    if who.key.startswith("ASIA"):
        return (
            f"{who.key} is a temporary credential: it cannot be switched off, and dies by the"
            " denial of everything to its user"
        )
    return ""


def _promises(principal: PrincipalContext) -> dict[str, str]:
    """What follows containment."""
    out = {}
    if principal.options["user_role_sessions"]:
        out["held_sessions"] = (
            "sessions it got of roles (AssumeRole) looked for in CloudTrail, and denied on those"
            " roles"
        )
    if principal.options["list_actions"]:
        late = (
            f", and again after {principal.options['repeat_minutes']} minutes"
            if principal.options["repeat_minutes"]
            else ""
        )
        out["actions"] = f"its API calls listed from CloudTrail{late}"
    if principal.options["remediate"]:
        out["remediation"] = (
            "what it did undone where that can be undone again"
            f" ({', '.join(sorted(principal.options['remediate']))})"
        )
    if principal.options["rotate_key"] and principal.target.kind == identify.USER:
        out["rotate_key"] = (
            "a replacement access key made and put into Secrets Manager for its owner"
        )
    return out


def _found(iam: Any, name: str) -> Json | None:
    try:
        return dict(iam.get_user(UserName=name)["User"])
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


def _is(found: Json | None, who: Principal) -> bool:
    """Names are given again; unique ids are not."""
    return bool(found) and (not who.unique_id or found["UserId"] == who.unique_id)  # type: ignore[index]


def _owner(context: Context, session: clients.Session, who: Principal) -> str:
    """The user of the access key by IAM (long-term keys), or by CloudTrail; empty when neither
    knows one.
    """
    name = ""
    if who.key.startswith("AKIA"):
        try:
            name = str(
                session.client("iam").get_access_key_last_used(AccessKeyId=who.key).get("UserName")
                or ""
            )
        except AWS_ERRORS as error:
            if error_code(error) not in (
                "NoSuchEntity",
                "AccessDenied",
                "ValidationError",
                "ParamValidationError",
            ):
                raise
    for identity in [] if name else _identities(context, session, who.key):
        if (
            identity.get("type") == "IAMUser"
            and identity.get("accountId") == context.finding.account_id
        ):
            return str(identity.get("userName") or "")
    return name


def _foreign(context: Context, who: Principal) -> Planned | None:
    """A key of another account: GuardDuty tells of it in the account whose resources it was used
    on.
    """
    if not who.key.startswith(("AKIA", "ASIA")):
        return None
    try:
        account = str(
            _look(context).client("sts").get_access_key_info(AccessKeyId=who.key)["Account"]
        )
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        return None
    return (
        _unreachable(context, Principal(identify.FOREIGN, user=account, key=who.key))
        if account != context.finding.account_id
        else None
    )


def _no_user(context: Context, who: Principal, found: Json | None) -> Planned:
    """No such user: a sample, another account's key, or deleted meanwhile. Raises TargetGone."""
    if context.finding.sample:
        target = _target(context, who, _iam_arn(context, f"user/{who.user}"))
        text = (
            f"sample finding: user {who.user} does not exist; it would be denied everything, then"
            " each credential ended"
        )
        return Planned(
            target,
            actions={user.DenyAll.name: text, **_promises(PrincipalContext(context, target))},
        )
    if foreign := _foreign(context, who):
        return foreign
    if found:
        raise TargetGone(
            f"IAM user {who.user} ({who.unique_id}) of account {context.finding.account_id} "
            "no longer"
            f" exists; a new user of the same name ({found['UserId']}) does, and is left alone"
        )
    raise TargetGone(
        f"IAM user {who.user} no longer exists in account {context.finding.account_id}: its keys,"
        " password and sessions are dead"
    )


def _behind(context: Context, who: Principal) -> Principal | None:
    """The IAM user that made a federated session, by CloudTrail; None when no event shows it
    (yet).
    """
    for identity in _identities(context, _look(context), who.key):
        issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
        if issuer.get("type") == "IAMUser" and issuer.get("userName"):
            return Principal(
                identify.USER,
                str(issuer["userName"]),
                key=who.key,
                unique_id=str(issuer.get("principalId") or ""),
            )
    return None


def _identities(context: Context, session: clients.Session, key: str) -> list[Json]:
    """Who used the access key, by CloudTrail in the finding's Region and in the one of global
    services.
    """
    if not key:
        return []
    regions = dict.fromkeys(
        [context.finding.region, IAM_REGION.get(context.config.partition, context.finding.region)]
    )
    attribute = [{"AttributeKey": "AccessKeyId", "AttributeValue": key}]
    got = run_all(
        {
            region: partial(
                session.client("cloudtrail", region).lookup_events,
                LookupAttributes=attribute,
                MaxResults=10,
            )
            for region in regions
        }
    )
    answers = [one for one in got.values() if not isinstance(one, Exception)]
    if not answers and (again := next((one for one in got.values() if is_transient(one)), None)):
        raise again
    return [
        json.loads(event["CloudTrailEvent"]).get("userIdentity") or {}
        for one in answers
        for event in one["Events"]
    ]


# -- role sessions ---------------------------------------------------------------------------------


def _session(context: Context, who: Principal) -> Planned:
    arn = _iam_arn(context, f"assumed-role/{who.role}/{who.session or '*'}", "sts")
    try:
        found = _look(context).client("iam").get_role(RoleName=who.role)["Role"]
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return _no_role(context, who, arn)
    if who.unique_id and found["RoleId"] != who.unique_id:
        if foreign := _foreign(context, who):
            return foreign
        raise TargetGone(
            f"role {who.role} ({who.unique_id}) of account {context.finding.account_id} no longer"
            " exists, and its sessions can do nothing; a new role of the same name"
            f" ({found['RoleId']}) does, and is left alone"
        )
    who = replace(who, unique_id=found["RoleId"])
    # Paths that IAM keeps for AWS; a name alone may be anybody's.
    if ":role/aws-service-role/" in found["Arn"]:
        return _unreachable(context, replace(who, kind=identify.SERVICE_LINKED))
    if ":role/aws-reserved/sso.amazonaws.com/" in found["Arn"]:
        return _center(context, replace(who, kind=identify.IDENTITY_CENTER), arn, found["Arn"])
    target = _target(context, who, arn, role_arn=found["Arn"], planned=now())
    principal = PrincipalContext(context, target)
    state, sessions = PrincipalState(), role.reading(principal, found["Arn"])
    actions = [kind(principal, sessions, state) for kind in role.TABLE]
    calls: Json = {one.name: one.read_current for one in actions}
    got = run_all({**calls, "others": partial(role.users_of, principal, sessions, found)}, BRANCHES)
    said = {
        one.name: text for one in actions for status, text in [one.intent()] if status != SKIPPED
    }
    others = got["others"] if isinstance(got["others"], str) else ""
    effect = "all of them need new credentials" if principal.role_wide else "other sessions go on"
    told = [_kind_of(who, found), f"{others}; {effect}" if others else ""]
    tags = {one["Key"]: one["Value"] for one in found.get("Tags") or []}
    other = {"ec2_instance": partial(_of_instance, principal, who)} if who.instance else {}
    return Planned(
        target,
        tags,
        [found["Arn"], arn],
        {**said, **_promises(principal)},
        "; ".join(filter(None, told)),
        other,
    )


def _no_role(context: Context, who: Principal, arn: str) -> Planned:
    if context.finding.sample:
        text = f"sample finding: role {who.role} does not exist; its sessions would be denied"
        target = _target(context, who, arn)
        return Planned(
            target,
            actions={"revoke_sessions": text, **_promises(PrincipalContext(context, target))},
        )
    if foreign := _foreign(context, who):
        return foreign
    text = (
        f"role {who.role} no longer exists in account {context.finding.account_id}: its "
        "sessions can do"
        " nothing"
    )
    if who.role.startswith("AWSReservedSSO_"):
        text += (
            "; if it was IAM Identity Center's (its name says so, and anybody may say so), look"
            f" what else {who.session} holds"
        )
    raise TargetGone(text)


def _kind_of(who: Principal, found: Json) -> str:
    """Whose session it is, by its name and by whom the role trusts."""
    trusted = role.trusted(found)
    if who.instance:
        return (
            f"credentials of instance {who.instance}: the instance is handed to playbook"
            " ec2_instance too"
        )
    if "lambda.amazonaws.com" in trusted:
        return (
            f"credentials of a Lambda function (session {who.session}): a running environment keeps"
            " failing until it is replaced"
        )
    if "ecs-tasks.amazonaws.com" in trusted:
        return (
            f"credentials of an ECS task (session {who.session}): stop the task, a new one gets new"
            " credentials"
        )
    if "pods.eks.amazonaws.com" in trusted or any("oidc.eks." in one for one in trusted):
        return (
            f"credentials of a Kubernetes pod (session {who.session}): delete the pod, a new one"
            " gets new credentials"
        )
    if "ec2.amazonaws.com" in trusted and not who.session:
        return "credentials of an instance that the finding does not name"
    return f"session {who.session or 'unknown'}: whoever may assume the role can sign in again"


def _of_instance(principal: PrincipalContext, who: Principal) -> Json:
    """The finding as one about the instance whose credentials were used, for playbook ec2_instance:
    in the instance's Region, which need not be the one where they were used. Raises ResponseError
    when nobody can say where it is.

    An id of its own, so that it is an incident of its own; everything else as GuardDuty said it.
    """
    context, detail = principal.context, copy.deepcopy(principal.context.finding.detail)
    known = (detail.get("resource") or {}).get("instanceDetails") or {}
    same = known if known.get("instanceId") == who.instance else {}
    # us-west-2a, us-west-2-lax-1a
    zone = re.match(r"[a-z]{2,4}(?:-[a-z]+)+?-[0-9]{1,2}", str(same.get("availabilityZone")))
    region = zone[0] if zone else regions.of_instance(principal, who.instance)
    detail["resource"] = {
        "resourceType": "Instance",
        "instanceDetails": {**same, "instanceId": who.instance},
    }
    detail |= {
        "id": f"{context.finding.id}-{who.instance}",
        "accountId": context.finding.account_id,
        "region": region,
    }
    detail["title"] = f"Credentials of instance {who.instance} were used ({context.finding.title})"[
        :500
    ]
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "handedOverBy": context.incident_id,
        "detail": detail,
    }


# -- IAM Identity Center ---------------------------------------------------------------------------


def _center(context: Context, who: Principal, arn: str, role_arn: str) -> Planned:
    """A person who signed in: denied in the Identity Center account, where that is configured
    and answers.
    """
    if not context.options.get("identity_center"):
        return _unreachable(context, who, role_arn)
    target = _target(context, who, arn, role_arn=role_arn)
    principal = PrincipalContext(context, target)
    try:
        target.scope.update(people.find(principal))
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        return _unreachable(
            context,
            who,
            role_arn,
            trouble=describe_error(error),
            no_user=isinstance(error, people.NoUser),
        )
    sets = ", ".join(one["name"] for one in target.scope["sets"])
    told = [
        f"provisioning again also applies what somebody changed in {sets} and did not provision",
        target.scope["unlisted"],
    ]
    person = f"arn:{context.config.partition}:identitystore:::user/{target.scope['user_id']}"
    said = {**people.promises(principal), **_promises(principal)}
    return Planned(target, {}, [role_arn, arn, person], said, "; ".join(filter(None, told)))


# -- out of reach ----------------------------------------------------------------------------------


def _unreachable(context: Context, who: Principal, role_arn: str = "", **scope: Any) -> Planned:
    """``scope``: ``trouble``, why what could have contained it cannot, ``no_user``."""
    arns = {
        identify.ROOT: _iam_arn(context, "root"),
        identify.IDENTITY_CENTER: _iam_arn(
            context, f"assumed-role/{who.role}/{who.session or '*'}", "sts"
        ),
        identify.SERVICE_LINKED: _iam_arn(
            context, f"assumed-role/{who.role}/{who.session or '*'}", "sts"
        ),
        identify.FEDERATED: _iam_arn(context, f"federated-user/{who.id}", "sts"),
    }
    target = _target(
        context, who, arns.get(who.kind, _iam_arn(context, f"{who.kind}/{who.id}")), **scope
    )
    path = not_containable.path(PrincipalContext(context, target), who)
    said = {f"by_hand_{number}": command for number, command in enumerate(path.commands, 1)}
    return Planned(
        target,
        principals=list(filter(None, [target.arn, role_arn])),
        actions=said,
        consequences=f"nothing can be contained by itself: {path.why}",
    )
