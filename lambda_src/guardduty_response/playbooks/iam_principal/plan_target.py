"""What the plans of all kinds of principals share: targets, promises, and principals that are not
containable.
"""

from __future__ import annotations

from guardduty_response.aws import clients
from guardduty_response.aws.errors import is_transient
from guardduty_response.containment import chained_denial
from guardduty_response.containment.contract import Context, Planned, Target
from guardduty_response.containment.target_context import AWS_ERRORS, SKIPPED, allow, policy
from guardduty_response.errors import TargetGone
from guardduty_response.playbooks.iam_principal import identify, not_containable
from guardduty_response.playbooks.iam_principal.identify import Principal
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext
from guardduty_response.playbooks.iam_principal.user_action import PrincipalControl

IDENTIFY = (
    "iam:GetAccessKeyLastUsed",
    "iam:GetUser",
    "iam:GetRole",
    "sts:GetAccessKeyInfo",
    "cloudtrail:LookupEvents",
)


def make_target(context: Context, identity: Principal, arn: str, **scope: object) -> Target:
    """Returns the target of a principal. ``scope``: more for the following steps, as JSON."""
    fields = {
        "user": identity.user,
        "role": identity.role,
        "session": identity.session,
        "key": identity.key,
        "unique_id": identity.unique_id,
    }
    return Target(
        identity.kind,
        identity.id,
        arn,
        context.finding.account_id,
        context.finding.region,
        {**fields, **scope},
    )


def iam_arn(context: Context, resource: str, service: str = "iam") -> str:
    return f"arn:{context.config.partition}:{service}::{context.finding.account_id}:{resource}"


def session_arn(context: Context, identity: Principal) -> str:
    resource = f"assumed-role/{identity.role}/{identity.session or '*'}"
    return iam_arn(context, resource, "sts")


def identifying_session(context: Context) -> clients.Session:
    """Opens a session that may find out who the principal is, and nothing else."""
    return open_identifying(context, context.finding.account_id, context.finding.region)


def open_identifying(context: Context, account_id: str, region: str) -> clients.Session:
    """Opens the session of ``identifying_session`` for a place that is known before the finding."""
    return context.assume(account_id, region, policy(allow(IDENTIFY)))


def planned_actions(actions: list[PrincipalControl]) -> dict[str, str]:
    """Returns what the actions would do, by name, without those that have nothing to do."""
    intents = {action.name: action.intent() for action in actions}
    return {name: sentence for name, (status, sentence) in intents.items() if status != SKIPPED}


def following_steps(principal: PrincipalContext) -> dict[str, str]:
    """Returns what follows containment, by name."""
    options = principal.options
    sentences: dict[str, str] = {}
    if options["user_role_sessions"]:
        sentences["held_sessions"] = (
            "sessions it got of roles (AssumeRole) looked for in CloudTrail, and denied on those"
            " roles"
        )
    if options["list_actions"]:
        sentences["actions"] = "its API calls listed from CloudTrail"
        if options["repeat_minutes"]:
            sentences["actions"] += f", and again after {options['repeat_minutes']} minutes"
    if options["remediate"]:
        kinds = ", ".join(sorted(options["remediate"]))
        sentences["remediation"] = (
            f"what the finding's credential did undone where that can be undone again ({kinds})"
        )
    if options["rotate_key"] and principal.target.kind == identify.USER:
        sentences["rotate_key"] = (
            "a replacement access key made and put into Secrets Manager for its owner"
        )
    return sentences


def plan_gone(
    context: Context, identity: Principal, arn: str, why: str, namesake: bool = False
) -> Planned:
    """Plans for a user or role that no longer exists: sessions that it got of roles live on. Raises
    TargetGone where these are not to be looked for.

    ``why``: says that it is gone. ``namesake``: whether another principal has its name, and so its
    ARN, by now: its containment is another one.
    """
    if namesake:
        arn = f"{arn}#{identity.unique_id}"
    target = make_target(
        context,
        identity,
        arn,
        gone=why,
    )
    principal = PrincipalContext(context, target)
    later_actions = following_steps(principal)
    if chained_denial.NAME not in later_actions:
        from guardduty_response.containment import open_sessions

        raise TargetGone(f"{why}; {open_sessions.not_looked_for(principal)}")
    kept = (chained_denial.NAME, "actions")
    return Planned(
        target,
        principals=[arn.partition("#")[0]],
        actions={name: text for name, text in later_actions.items() if name in kept},
        consequences=f"{why}; sessions that it got of roles work on until they are denied",
    )


def plan_external(context: Context, identity: Principal) -> Planned | None:
    """Plans a key of another account, which GuardDuty reports in the account whose resources it
    was used on. None when the key is this account's, or STS does not know it.
    """
    if not identity.key.startswith(("AKIA", "ASIA")):
        return None
    sts = identifying_session(context).client("sts")
    try:
        account = str(sts.get_access_key_info(AccessKeyId=identity.key)["Account"])
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        return None
    if account == context.finding.account_id:
        return None
    external = Principal(identify.EXTERNAL, user=account, key=identity.key)
    return plan_not_containable(context, external)


def plan_not_containable(
    context: Context, identity: Principal, role_arn: str = "", **scope: object
) -> Planned:
    """Plans what a person does instead. ``scope``: ``trouble``, why what could have contained the
    principal cannot, and ``no_user``, that the identity store does not know it.
    """
    target = make_target(
        context,
        identity,
        _arn(context, identity),
        **scope,
    )
    path = not_containable.path(PrincipalContext(context, target), identity)
    commands = {f"by_hand_{number}": command for number, command in enumerate(path.commands, 1)}
    return Planned(
        target,
        principals=[arn for arn in (target.arn, role_arn) if arn],
        actions=commands,
        consequences=f"nothing can be contained automatically: {path.reason}",
    )


def _arn(context: Context, identity: Principal) -> str:
    if identity.kind == identify.ROOT:
        return iam_arn(context, "root")
    if identity.kind in (identify.IDENTITY_CENTER, identify.SERVICE_LINKED):
        return session_arn(context, identity)
    if identity.kind == identify.FEDERATED:
        return iam_arn(context, f"federated-user/{identity.id}", "sts")
    return iam_arn(context, f"{identity.kind}/{identity.id}")
