"""Brings back what was reverted in IAM: credentials, identities, policies, trust."""

from __future__ import annotations

import json
from functools import partial

from guardduty_response.containment.restoration import RestoreItem, RestoreStatus
from guardduty_response.playbooks.iam_principal import resource_state
from guardduty_response.playbooks.iam_principal.principal_context import retry_on_conflict
from guardduty_response.playbooks.iam_principal.recorded_reversal import Reverted
from guardduty_response.playbooks.iam_principal.resource_state import Json

# -- credentials and identities --------------------------------------------------------------------


def access_key(one: Reverted) -> list[RestoreItem]:
    user, key = one.was["user"], one.was["key"]
    return _switched(one, user, key, (resource_state.keys(one.read(), user) or {}).get(key))


def _key_back(one: Reverted, user: str, key: str) -> Json:
    iam = one.change("iam:UpdateAccessKey", one.was["arn"])
    return dict(
        retry_on_conflict(
            partial(iam.update_access_key, UserName=user, AccessKeyId=key, Status="Active")
        )
    )


def user(one: Reverted) -> list[RestoreItem]:
    user, iam = one.was["user"], one.read()
    found = resource_state.identity(iam, "user", user)
    if found is None:
        return one.gone(f"user {user}")
    deny_all = f"arn:{one.target_context.context.config.partition}:iam::aws:policy/AWSDenyAll"
    attached, out = deny_all in (resource_state.attached(iam, "user", user) or []), []
    item = f"AWSDenyAll on user {user}"
    if attached and not one.was["attached"]:
        hand = one.command("iam detach-user-policy", "--user-name", user, "--policy-arn", deny_all)
        out += one.todo(
            item, f"AWSDenyAll detached from user {user}", hand, lambda: [_let(one, user, deny_all)]
        )
    else:
        out += one.before(
            item, f"AWSDenyAll is {'' if attached else 'not '}attached to user {user}, as before"
        )
    out += _boundary(one, "user", user, found["boundary"], deny_all)
    keys = resource_state.keys(iam, user) or {}
    for key in (key for key, status in one.was["keys"].items() if status == "Active"):
        out += _switched(one, user, key, keys.get(key))
    return out


def _let(one: Reverted, user: str, deny_all: str) -> Json:
    iam = one.change("iam:DetachUserPolicy", one.was["arn"])
    return dict(
        retry_on_conflict(partial(iam.detach_user_policy, UserName=user, PolicyArn=deny_all))
    )


def _switched(one: Reverted, user: str, key: str, now: str | None) -> list[RestoreItem]:
    item = f"access key {key} of user {user}"
    if now is None:
        return one.gone(item)
    if now == "Active":
        return one.before(item, f"{item} is active, as before")
    hand = one.command(
        "iam update-access-key --status Active", "--user-name", user, "--access-key-id", key
    )
    return one.todo(item, f"{item} active again", hand, lambda: [_key_back(one, user, key)])


def _boundary(
    one: Reverted, of: str, name: str, now: str | None, deny_all: str
) -> list[RestoreItem]:
    """Where policies were at their quota, everything was denied by a permissions boundary."""
    old, item = one.was["boundary"], f"permissions boundary of {of} {name}"
    if now == old:
        return one.before(item, f"the {item} is {now or 'none'}, as before")
    if now != deny_all:
        return one.changed_since(item, f"the {item} is {now or 'none'}")
    if old:
        hand = one.command(
            f"iam put-{of}-permissions-boundary --{of}-name", name, "--permissions-boundary", old
        )
    else:
        hand = one.command(f"iam delete-{of}-permissions-boundary --{of}-name", name)
    return one.todo(
        item,
        f"{item} {f'{old} again' if old else 'taken away'}",
        hand,
        lambda: [_bound(one, of, name, old)],
    )


def _bound(one: Reverted, of: str, name: str, old: str | None) -> Json:
    title, verb = of.title(), "put" if old else "delete"
    iam = one.change(f"iam:{verb.title()}{title}PermissionsBoundary", one.was["arn"])
    more = {"PermissionsBoundary": old} if old else {}
    return dict(
        retry_on_conflict(
            partial(
                getattr(iam, f"{verb}_{of}_permissions_boundary"), **{f"{title}Name": name}, **more
            )
        )
    )


def role(one: Reverted) -> list[RestoreItem]:
    role, name, iam = one.was["role"], one.was["name"], one.read()
    found = resource_state.identity(iam, "role", role)
    if found is None:
        return one.gone(f"role {role}")
    now, old, item = (
        resource_state.inline(iam, "role", role, name),
        one.was["policy"],
        f"policy {name} of role {role}",
    )
    out = _boundary(
        one,
        "role",
        role,
        found["boundary"],
        f"arn:{one.target_context.context.config.partition}:iam::aws:policy/AWSDenyAll",
    )
    if now == old:
        return [*out, *one.before(item, f"{item} is as before")]
    if not _denies_all(now):
        return [*out, *one.changed_since(item, f"{item} is {'another one' if now else 'gone'}")]
    hand = one.command("iam delete-role-policy", "--role-name", role, "--policy-name", name)
    text = f"{item} {'put back as it was' if old else 'deleted'}: its sessions work again"
    return [*out, *one.todo(item, text, hand, lambda: [_inline_back(one, "role", role, name, old)])]


def _denies_all(document: Json | None) -> bool:
    statements = (document or {}).get("Statement")
    return statements == [{"Effect": "Deny", "Action": "*", "Resource": "*"}]


def _inline_back(
    one: Reverted, of: str, name: str, policy_name: str, document: Json | None
) -> Json:
    title, verb = of.title(), "delete" if document is None else "put"
    iam = one.change(f"iam:{verb.title()}{title}Policy", one.was["arn"])
    more = {} if document is None else {"PolicyDocument": json.dumps(document)}
    call = partial(
        getattr(iam, f"{verb}_{of}_policy"),
        **{f"{title}Name": name, "PolicyName": policy_name},
        **more,
    )
    return dict(retry_on_conflict(call))


def login_profile(one: Reverted) -> list[RestoreItem]:
    user = one.was["user"]
    text = (
        f"the console password of user {user} was replaced by a random one kept nowhere: a person"
        " sets a new one"
    )
    hand = one.command(
        "iam update-login-profile --password NEW --password-reset-required --user-name", user
    )
    return one.stays(RestoreStatus.MANUAL, f"console password of {user}", text, hand)


# -- grants ----------------------------------------------------------------------------------------


def attached(one: Reverted) -> list[RestoreItem]:
    of, name, arn = one.was["of"], one.was["name"], one.was["policy"]
    now, item = resource_state.attached(one.read(), of, name), f"policy {arn} of {of} {name}"
    if now is None:
        return one.gone(f"{of} {name}")
    if arn in now:
        return one.before(item, f"{item} is attached, as before")
    hand = one.command(f"iam attach-{of}-policy --{of}-name", name, "--policy-arn", arn)
    return one.todo(item, f"{item} attached again", hand, lambda: [_attach(one, of, name, arn)])


def _attach(one: Reverted, of: str, name: str, arn: str) -> Json:
    iam = one.change(f"iam:Attach{of.title()}Policy", one.was["arn"])
    return dict(
        retry_on_conflict(
            partial(
                getattr(iam, f"attach_{of}_policy"), **{f"{of.title()}Name": name, "PolicyArn": arn}
            )
        )
    )


def inline(one: Reverted) -> list[RestoreItem]:
    of, name, policy_name, old = (one.was[field] for field in ("of", "name", "policy", "document"))
    if resource_state.identity(one.read(), of, name) is None:
        return one.gone(f"{of} {name}")
    now, item = (
        resource_state.inline(one.read(), of, name, policy_name),
        f"inline policy {policy_name} of {of} {name}",
    )
    if now == old:
        return one.before(item, f"{item} is as it was")
    if now is not None:
        return one.changed_since(item, f"{item} is another one")
    hand = one.command(
        f"iam put-{of}-policy --{of}-name",
        name,
        "--policy-name",
        policy_name,
        "--policy-document",
        json.dumps(old),
    )
    return one.todo(
        item, f"{item} put back", hand, lambda: [_inline_back(one, of, name, policy_name, old)]
    )


def member(one: Reverted) -> list[RestoreItem]:
    user, group = one.was["user"], one.was["group"]
    now, item = resource_state.groups(one.read(), user), f"user {user} in group {group}"
    if now is None or resource_state.identity(one.read(), "group", group) is None:
        return one.gone(item)
    if group in now:
        return one.before(item, f"{item}, as before")
    hand = one.command("iam add-user-to-group", "--user-name", user, "--group-name", group)
    return one.todo(item, f"{item} again", hand, lambda: [_add(one, user, group)])


def _add(one: Reverted, user: str, group: str) -> Json:
    iam = one.change("iam:AddUserToGroup", one.was["arn"])
    return dict(retry_on_conflict(partial(iam.add_user_to_group, UserName=user, GroupName=group)))


def trust(one: Reverted) -> list[RestoreItem]:
    role, old = one.was["role"], one.was["document"]
    found, item = resource_state.identity(one.read(), "role", role), f"trust policy of role {role}"
    if found is None:
        return one.gone(f"role {role}")
    if found["trust"] == old:
        return one.before(item, f"the {item} is as it was")
    if not resource_state.is_denied(
        found["trust"], old, resource_state.outside_sid(one.target_context.prefix)
    ):
        return one.changed_since(item, f"the {item} is another one")
    hand = one.command(
        "iam update-assume-role-policy --role-name", role, "--policy-document", json.dumps(old)
    )
    return one.todo(
        item,
        f"the {item} is as it was: other accounts may assume it again",
        hand,
        lambda: [_trust_back(one, role, old)],
    )


def _trust_back(one: Reverted, role: str, old: Json) -> Json:
    iam = one.change("iam:UpdateAssumeRolePolicy", one.was["arn"])
    return dict(
        retry_on_conflict(
            partial(iam.update_assume_role_policy, RoleName=role, PolicyDocument=json.dumps(old))
        )
    )
