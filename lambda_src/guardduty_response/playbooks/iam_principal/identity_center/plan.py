"""Finds who signed in, and every permission set that this person holds. Changes nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from guardduty_response.aws.errors import error_code, is_transient
from guardduty_response.containment.target_context import (
    AWS_ERRORS,
    BRANCHES,
    allow,
    describe_error,
    result_or_raise,
    run_all,
)
from guardduty_response.errors import ResponseError, RoleUnavailable
from guardduty_response.playbooks.iam_principal.identity_center.center import (
    DENY,
    LIMIT,
    ROLE_NAME,
    Center,
    deny_statement,
    has_statement,
    is_no_user,
    policy_size,
    read_inline_policy,
    recorded_user,
    with_statement,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

if TYPE_CHECKING:
    from guardduty_response.aws.api import AwsClient, PolicyDocument
    from guardduty_response.playbooks.iam_principal.records import (
        FindingTrouble,
        HeldPermissionSets,
        PermissionSet,
    )

READ = (
    "sso:DescribePermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:ListAccountAssignments",
    "sso:ListAccountAssignmentsForPrincipal",
    "sso:ListPermissionSetsProvisionedToAccount",
)
WHO = ("identitystore:GetUserId", "identitystore:ListGroupMembershipsForMember")


class NoUser(ResponseError):
    """The identity store knows nobody of the session's name."""


class _Reading(NamedTuple):
    """Clients that read, and what they read of."""

    sso: AwsClient
    store: AwsClient
    center: Center


def find(principal: PrincipalContext) -> HeldPermissionSets:
    """Returns what joins the scope of the target. Raises ResponseError, or botocore's error:
    nothing can be contained then.
    """
    session = principal.identity.session
    role = principal.identity.role
    if not session:
        raise ResponseError("the finding does not name the session, and so not the user")
    matched = ROLE_NAME.fullmatch(role)
    if not matched:
        raise ResponseError(f"the name of role {role} does not say its permission set")
    reading = _open(Center(principal))
    try:
        user_id = recorded_user(principal) or _find_user(reading, session)
    except RoleUnavailable as error:
        raise ResponseError(
            f"{error} It is the Identity Center account: identity_center = true there"
        ) from error
    arns, unlisted = _assigned_sets(reading, user_id)
    sets = _describe(reading, arns)
    of_finding = _named(sets, matched[1])
    if not of_finding:  # it is no longer assigned to the user, whose session goes on
        unassigned = [arn for arn in _provisioned_here(reading) if arn not in arns]
        of_finding = _named(_describe(reading, unassigned), matched[1])
    if not of_finding:
        raise ResponseError(
            f"account {principal.target.account_id} has no permission set {matched[1]} of instance"
            f" {reading.center.instance}"
        )
    others = [permission_set for permission_set in sets if permission_set not in of_finding]
    return {"user_id": user_id, "sets": of_finding + others, "unlisted": unlisted}


def find_or_trouble(principal: PrincipalContext) -> HeldPermissionSets | FindingTrouble:
    """Returns what ``find`` does, or why it finds nothing; raises only errors that may pass."""
    try:
        return find(principal)
    except AWS_ERRORS as error:
        if is_transient(error):
            raise
        return {"trouble": describe_error(error), "no_user": isinstance(error, NoUser)}


def _named(sets: list[PermissionSet], name: str) -> list[PermissionSet]:
    return [permission_set for permission_set in sets if permission_set["name"] == name]


# -- what would be done ----------------------------------------------------------------------------


def planned_denials(principal: PrincipalContext) -> dict[str, str]:
    """Returns each action's name with what is to be done about its permission set."""
    reading = _open(Center(principal))
    statement = deny_statement(principal, principal.scope("user_id"))
    sets: list[PermissionSet] = principal.scope("sets")
    calls = {}
    for permission_set in sets:
        arn = permission_set["arn"]
        calls[permission_set["name"]] = partial(
            read_inline_policy, reading.sso, reading.center, arn
        )
    sentences = {}
    for name, answer in run_all(calls, BRANCHES).items():
        if isinstance(answer, Exception):
            sentence = f"permission set {name} could not be read ({describe_error(answer)})"
        else:
            sentence = _planned_denial(principal, name, answer, statement)
        sentences[f"{DENY} {name}"] = sentence
    return sentences


def _planned_denial(
    principal: PrincipalContext, name: str, text: str, statement: PolicyDocument
) -> str:
    try:
        if has_statement(text, statement):
            session = principal.identity.session
            return f"{session} is denied everything in permission set {name} already"
        size = policy_size(with_statement(text, statement))
    except ResponseError as error:
        return f"permission set {name} cannot be changed: {error}"
    if size > LIMIT:
        return (
            f"permission set {name} cannot be changed: its inline policy would have {size} bytes of"
            f" at most {LIMIT}"
        )
    return denial_sentence(principal, name)


def denial_sentence(principal: PrincipalContext, name: str) -> str:
    """Says what is done about a permission set, as a promise or once it is done."""
    return (
        f"everything denied to {principal.identity.session} ({principal.scope('user_id')}) in"
        f" permission set {name}, which is provisioned again in all its accounts; others who hold"
        " it go on"
    )


# -- reading ---------------------------------------------------------------------------------------


def _open(center: Center) -> _Reading:
    principal = center.target_context
    account = f"{center.sso}account/{principal.target.account_id}"
    store = f"arn:{principal.context.config.partition}:identitystore::"
    stores = [f"{store}*:identitystore/{center.store}"]
    stores += [f"{store}:{kind}/*" for kind in ("user", "membership")]
    session = center.open(
        allow(READ, [center.instance, center.every_set, account]), allow(WHO, stores)
    )
    return _Reading(session.client("sso-admin"), session.client("identitystore"), center)


def _find_user(reading: _Reading, name: str) -> str:
    """Returns the ID of the user whose name the session has. Raises NoUser."""
    store = reading.center.store
    identifier = {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": name}}
    try:
        answer = reading.store.get_user_id(IdentityStoreId=store, AlternateIdentifier=identifier)
    except Exception as error:
        if not is_no_user(error):
            raise
        raise NoUser(
            f"identity store {store} has no user named {name} (renamed or deleted since, or"
            " another store's)"
        ) from error
    return str(answer["UserId"])


def _assigned_sets(reading: _Reading, user_id: str) -> tuple[list[str], str]:
    """Returns the ARNs of the permission sets assigned to the user or a group of it, and why some
    may be missing (empty: none are).
    """
    kinds = {user_id: "USER", **dict.fromkeys(_groups_of(reading, user_id), "GROUP")}
    calls = {id: partial(_assigned_to, reading, kind, id) for id, kind in kinds.items()}
    answers = list(run_all(calls, BRANCHES).values())
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    if not errors:
        arns = (arn for found in answers if isinstance(found, list) for arn in found)
        return list(dict.fromkeys(arns)), ""
    if error_code(errors[0]) != "AccessDeniedException":
        raise errors[0]
    # Answered in the management account alone: from a delegated administrator, this account's
    # assignments are asked for.
    account = reading.center.target_context.target.account_id
    remark = (
        f"permission sets held in other accounts than {account} could not be listed"
        f" ({describe_error(errors[0])}): ListAccountAssignmentsForPrincipal is answered in the"
        " management account alone"
    )
    return _assigned_here(reading, set(kinds)), remark


def _groups_of(reading: _Reading, user_id: str) -> list[str]:
    """Returns the IDs of a user's groups. Raises NoUser."""
    store = reading.center.store
    pages = reading.store.get_paginator("list_group_memberships_for_member").paginate(
        IdentityStoreId=store, MemberId={"UserId": user_id}
    )
    try:
        return [found["GroupId"] for page in pages for found in page["GroupMemberships"]]
    except ClientError as error:
        if not is_no_user(error):
            raise
        raise NoUser(f"identity store {store} has no user {user_id} any more") from error


def _assigned_to(reading: _Reading, kind: str, id: str) -> list[str]:
    """``kind``: USER or GROUP."""
    pages = reading.sso.get_paginator("list_account_assignments_for_principal").paginate(
        InstanceArn=reading.center.instance, PrincipalId=id, PrincipalType=kind
    )
    return [
        assignment["PermissionSetArn"]
        for page in pages
        for assignment in page["AccountAssignments"]
    ]


def _assigned_here(reading: _Reading, ids: set[str]) -> list[str]:
    """Returns the permission sets assigned to a user or group in this account."""
    calls = {arn: partial(_is_assigned, reading, ids, arn) for arn in _provisioned_here(reading)}
    return [arn for arn, answer in run_all(calls, BRANCHES).items() if result_or_raise(answer)]


def _is_assigned(reading: _Reading, ids: set[str], arn: str) -> bool:
    pages = reading.sso.get_paginator("list_account_assignments").paginate(
        **reading.center.parameters(arn),
        AccountId=reading.center.target_context.target.account_id,
    )
    return any(
        assignment["PrincipalId"] in ids
        for page in pages
        for assignment in page["AccountAssignments"]
    )


def _provisioned_here(reading: _Reading) -> list[str]:
    pages = reading.sso.get_paginator("list_permission_sets_provisioned_to_account").paginate(
        InstanceArn=reading.center.instance,
        AccountId=reading.center.target_context.target.account_id,
    )
    return [str(arn) for page in pages for arn in page.get("PermissionSets") or []]


def _describe(reading: _Reading, arns: list[str]) -> list[PermissionSet]:
    describe = reading.sso.describe_permission_set
    calls = {arn: partial(describe, **reading.center.parameters(arn)) for arn in arns}
    return [
        {"arn": arn, "name": str(result_or_raise(answer)["PermissionSet"]["Name"])}
        for arn, answer in run_all(calls, BRANCHES).items()
    ]
