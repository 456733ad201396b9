"""Who signed in, and every permission set that this person holds. Changes nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

from guardduty_response.aws.errors import error_code
from guardduty_response.containment.target_context import (
    BRANCHES,
    Json,
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
    gone,
    has,
    inline,
    merged,
    size,
    statement,
)
from guardduty_response.playbooks.iam_principal.principal_context import PrincipalContext

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


def find(principal: PrincipalContext) -> Json:
    """The scope of the target: {user_id, sets: [{arn, name}, …] with the finding's first, unlisted:
    why others may be missing}.

    Raises ResponseError, or botocore's error: nothing can be contained then.
    """
    center, session = Center(principal), principal.who.session
    if not session:
        raise ResponseError("the finding does not name the session, and so not the user")
    matched = ROLE_NAME.fullmatch(principal.who.role)
    if not matched:
        raise ResponseError(
            f"the name of role {principal.who.role} does not say its permission set"
        )
    clients = _reading(center)
    try:
        user_id = _user(clients, center, session)
    except RoleUnavailable as error:
        raise ResponseError(
            f"{error} It is the Identity Center account: identity_center = true there"
        ) from error
    arns, unlisted = _held(clients, center, user_id)
    sets = _named(clients, center, arns)
    mine = [one for one in sets if one["name"] == matched[1]]
    if not mine:  # it is no longer assigned to the user, whose session goes on
        known = _provisioned(clients, center)
        mine = [
            one
            for one in _named(clients, center, [one for one in known if one not in arns])
            if one["name"] == matched[1]
        ]
    if not mine:
        raise ResponseError(
            f"account {principal.target.account_id} has no permission set {matched[1]} of instance"
            f" {center.instance}"
        )
    return {
        "user_id": user_id,
        "sets": mine + [one for one in sets if one not in mine],
        "unlisted": unlisted,
    }


def promises(principal: PrincipalContext) -> dict[str, str]:
    """Action -> what is to be done about each permission set."""
    center, (sso, _) = Center(principal), _reading(Center(principal))
    sets, mine = principal.scope("sets"), statement(principal, principal.scope("user_id"))
    got = run_all({one["name"]: partial(inline, sso, center, one["arn"]) for one in sets}, BRANCHES)
    return {f"{DENY} {name}": _promise(principal, name, text, mine) for name, text in got.items()}


def _promise(principal: PrincipalContext, name: str, text: Any, mine: Json) -> str:
    if isinstance(text, Exception):
        return f"permission set {name} could not be read ({describe_error(text)})"
    try:
        if has(text, mine):
            return f"{principal.who.session} is denied everything in permission set {name} already"
        full = size(merged(text, mine))
    except ResponseError as error:
        return f"permission set {name} cannot be changed: {error}"
    if full > LIMIT:
        return (
            f"permission set {name} cannot be changed: its inline policy would have {full} bytes of"
            f" at most {LIMIT}"
        )
    return sentence(principal, name)


def sentence(principal: PrincipalContext, name: str) -> str:
    return (
        f"everything denied to {principal.who.session} ({principal.scope('user_id')}) in "
        "permission set"
        f" {name}, which is provisioned again in all its accounts; others who hold it go on"
    )


def _reading(center: Center) -> tuple[Any, Any]:
    account = f"{center.sso}account/{center.target_context.target.account_id}"
    store = f"arn:{center.target_context.context.config.partition}:identitystore::"
    session = center.open(
        allow(READ, [center.instance, center.every_set, account]),
        allow(
            WHO,
            [
                f"{store}*:identitystore/{center.store}",
                *(f"{store}:{kind}/*" for kind in ("user", "group", "membership")),
            ],
        ),
    )
    return session.client("sso-admin"), session.client("identitystore")


def _user(clients: tuple[Any, Any], center: Center, name: str) -> str:
    """A session is named by the user's name, of which an identity store has one."""
    asked = {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": name}}
    try:
        return str(
            clients[1].get_user_id(IdentityStoreId=center.store, AlternateIdentifier=asked)[
                "UserId"
            ]
        )
    except Exception as error:
        if not gone(error):
            raise
        raise NoUser(
            f"identity store {center.store} has no user named {name} (renamed or deleted since, or"
            " another store's)"
        ) from error


def _held(clients: tuple[Any, Any], center: Center, user_id: str) -> tuple[list[str], str]:
    """(ARNs of the permission sets assigned to the user or a group of it, why some may be
    missing).
    """
    sso, store = clients
    pages = store.get_paginator("list_group_memberships_for_member").paginate(
        IdentityStoreId=center.store, MemberId={"UserId": user_id}
    )
    principals = [
        ("USER", user_id),
        *(("GROUP", one["GroupId"]) for page in pages for one in page["GroupMemberships"]),
    ]

    def assigned(kind: str, id: str) -> list[Json]:
        found = sso.get_paginator("list_account_assignments_for_principal").paginate(
            InstanceArn=center.instance, PrincipalId=id, PrincipalType=kind
        )
        return [one for page in found for one in page["AccountAssignments"]]

    got = run_all({id: partial(assigned, kind, id) for kind, id in principals}, BRANCHES)
    bad = next((one for one in got.values() if isinstance(one, Exception)), None)
    if bad is None:
        return (
            list(dict.fromkeys(one["PermissionSetArn"] for some in got.values() for one in some)),
            "",
        )
    if error_code(bad) != "AccessDeniedException":
        raise bad
    # Answered in the management account alone: from a delegated administrator, this account's
    # assignments are asked for.
    return (
        _here(sso, center, {id for _, id in principals}),
        (
            "permission sets held in other accounts than "
            f"{center.target_context.target.account_id} could not"
            f" be listed ({describe_error(bad)}): ListAccountAssignmentsForPrincipal is "
            "answered in the management account alone"
        ),
    )


def _here(sso: Any, center: Center, ids: set[str]) -> list[str]:
    def assigned(arn: str) -> bool:
        pages = sso.get_paginator("list_account_assignments").paginate(
            **center.named(arn), AccountId=center.target_context.target.account_id
        )
        return any(
            one["PrincipalId"] in ids for page in pages for one in page["AccountAssignments"]
        )

    got = run_all(
        {arn: partial(assigned, arn) for arn in _provisioned((sso, None), center)}, BRANCHES
    )
    return [arn for arn, one in got.items() if result_or_raise(one)]


def _provisioned(clients: tuple[Any, Any], center: Center) -> list[str]:
    pages = (
        clients[0]
        .get_paginator("list_permission_sets_provisioned_to_account")
        .paginate(InstanceArn=center.instance, AccountId=center.target_context.target.account_id)
    )
    return [str(one) for page in pages for one in page.get("PermissionSets") or []]


def _named(clients: tuple[Any, Any], center: Center, arns: list[str]) -> list[Json]:
    calls = {arn: partial(clients[0].describe_permission_set, **center.named(arn)) for arn in arns}
    return [
        {"arn": arn, "name": str(result_or_raise(got)["PermissionSet"]["Name"])}
        for arn, got in run_all(calls, BRANCHES).items()
    ]
