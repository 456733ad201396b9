"""Restores the tags of a contained user or role."""

from __future__ import annotations

from functools import partial

from guardduty_response.aws.conflicts import retry_on_conflict
from guardduty_response.containment.restoration import RestoreItem, RestoreStatus, changed_since
from guardduty_response.containment.target_context import Sessions
from guardduty_response.incident.target_repository import Place
from guardduty_response.playbooks.iam_principal import identify
from guardduty_response.playbooks.iam_principal.principal_context import (
    PrincipalContext,
    PrincipalState,
)
from guardduty_response.playbooks.iam_principal.records import AwsAnswer
from guardduty_response.playbooks.iam_principal.restore_access import changing_client, role_arn
from guardduty_response.playbooks.iam_principal.tags import (
    SETTING,
    Tag,
    TagRole,
    TagUser,
)

Tags = dict[str, str | None]


def make_tag(principal: PrincipalContext, sessions: Sessions) -> Tag:
    """Returns the action that tags this principal."""
    action = TagUser if principal.target.kind == identify.USER else TagRole
    return action(principal, sessions, PrincipalState())


def tag_items(principal: PrincipalContext, sessions: Sessions) -> list[RestoreItem]:
    """Every tag that containment sets, as it is now."""
    tag = make_tag(principal, sessions)
    before: Tags = principal.before_state("tags")
    current = tag.read()
    place = principal.target.place
    if place and isinstance(tag, TagRole):
        shared = principal.context.record.shared.read(role_arn(principal), SETTING)
        if others := shared.others(place):
            return [_shared_item(principal, others, key, current.get(key)) for key in before]
        if place in shared.known:  # its own may be what another containment made of the tags
            before = shared.before
    return [_tag_item(principal, tag, key, old, current.get(key)) for key, old in before.items()]


def _shared_item(
    principal: PrincipalContext, others: dict[Place, Tags], key: str, present: str | None
) -> RestoreItem:
    """Says of a tag that other containments need: it stays, and names the incident of one."""
    (arn, _), wanted = next(iter(others.items()))
    role = principal.identity.role
    sentence = f"tag {key} of role {role} stays, because {arn} is contained, too"
    if present in {value.get(key) for value in others.values()}:
        return RestoreItem(RestoreStatus.UNCHANGED, "tags", key, sentence)
    command = (
        f"aws iam tag-role --role-name {principal.iam_name} --tags Key={key},Value={wanted[key]}"
    )
    name_other = partial(_name_other, principal, key, wanted[key])
    return RestoreItem(RestoreStatus.TODO, "tags", key, sentence, command, name_other)


def _name_other(principal: PrincipalContext, key: str, value: str | None) -> list[AwsAnswer]:
    """Makes a tag name another containment of the role."""
    with principal.hold(role_arn(principal), SETTING, key):
        return _write_tag(principal, "Role", role_arn(principal), key, value)


def _tag_item(
    principal: PrincipalContext, tag: Tag, key: str, old: str | None, present: str | None
) -> RestoreItem:
    if present == old:
        sentence = f"tag {key} is {'gone' if old is None else old}"
        return RestoreItem(RestoreStatus.UNCHANGED, "tags", key, sentence)
    if present != tag.wanted().get(key):
        return changed_since("tags", key, f"tag {key} is {present}")
    kind = tag.WHAT.lower()
    if old is None:
        sentence = f"tag {key} removed"
        command = f"untag-{kind} --{kind}-name {principal.iam_name} --tag-keys {key}"
    else:
        sentence = f"tag {key}={old} again"
        command = f"tag-{kind} --{kind}-name {principal.iam_name} --tags Key={key},Value={old}"
    return RestoreItem(
        RestoreStatus.TODO,
        "tags",
        key,
        sentence,
        f"aws iam {command}",
        partial(_restore_tag, principal, tag.WHAT, key, old),
    )


def _restore_tag(
    principal: PrincipalContext, what: str, key: str, old: str | None
) -> list[AwsAnswer]:
    """``what``: User or Role. A role's tag stays when another containment has entered meanwhile."""
    if what == "User":
        return _write_tag(principal, what, principal.target.arn, key, old)
    arn, place = role_arn(principal), principal.target.place
    with principal.hold(arn, SETTING, key):
        if place and principal.context.record.shared.read(arn, SETTING).others(place):
            return []
        return _write_tag(principal, what, arn, key, old)


def _write_tag(
    principal: PrincipalContext, what: str, arn: str, key: str, old: str | None
) -> list[AwsAnswer]:
    name = {f"{what}Name": principal.iam_name}
    if old is None:
        iam = changing_client(principal, arn, f"iam:Untag{what}")
        untag = getattr(iam, f"untag_{what.lower()}")
        return [retry_on_conflict(partial(untag, **name, TagKeys=[key]))]
    iam = changing_client(principal, arn, f"iam:Tag{what}")
    tag = getattr(iam, f"tag_{what.lower()}")
    return [retry_on_conflict(partial(tag, **name, Tags=[{"Key": key, "Value": old}]))]
