"""Declares what a playbook says of itself for documents and policies: lambda_src/generate.py reads
it, no function does, and so it is in no zip.

``playbooks/<name>/permissions`` has CONTROLS, the classes of every control, ROLES, a ``MemberRole``
for each policy that is generated, and WHY: (a control's name, an action of it) -> what it is for,
where the control's own sentence does not say it. ``playbooks/<name>/examples.py`` has
``examples(context)``, which returns an ``Example`` for each control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from guardduty_response.containment.contract import NOTHING
from guardduty_response.containment.control import AnyControl, Condition, Grant, actions_of
from guardduty_response.containment.role_policy_control import ROLES

# What a role does with controls: these are the names of their grants.
READS, FINDS, CONTAINS, RESTORES = "reads", "finds", "contains", "restores"

# The response's own roles, and those that IAM lets nobody of the account change.
PROTECTED_ROLES = (
    "${own_role_arns}",
    "arn:${partition}:iam::${account_id}:role/aws-reserved/*",
    "arn:${partition}:iam::${account_id}:role/aws-service-role/*",
)


class Permission(NamedTuple):
    """Allows or denies what belongs to no control.

    ``why``: a sentence without its subject, the role ("finds whose key it is"). ``on``: the
    resource, or several of them, as in a Grant. ``sid``: names a statement of its own; without it,
    the actions join what the controls need for reading. ``switch``: the variable of
    a policy (modules/member-roles) that adds the statement; empty: always there.
    """

    why: str
    actions: tuple[str, ...]
    on: str | tuple[str, ...] = "*"
    condition: Condition = NOTHING
    sid: str = ""
    switch: str = ""
    denies: bool = False


class MemberRole(NamedTuple):
    """Describes one role of a playbook in a member account.

    ``kind``: the policy's file is ``<kind>-policy.json``. ``uses``: which grants of the controls it
    has.
    """

    kind: str
    uses: tuple[str, ...]
    permissions: tuple[Permission, ...]


class Example(NamedTuple):
    """Shows a control with placeholders for names, for the runbook.

    ``control`` knows the setting before containment (``state.settings``). ``after``: the setting as
    ``read`` returns it once it is contained, where a command depends on it. ``option``: the option
    that switches it, where the control names none. ``contained``: what containment gives each value
    where that is not what the control has pending, and ``text`` says it. ``restored``: what is
    said where there is nothing to give back.
    """

    resource: str
    control: AnyControl
    after: object = None
    option: str = ""
    contained: Mapping[str, object] = NOTHING
    text: str = ""
    restored: str = ""


def resources_of(on: str | tuple[str, ...]) -> tuple[str, ...]:
    """Returns the resources of a grant, or of a permission."""
    return (on,) if isinstance(on, str) else tuple(on)


def grants_of(control: type[AnyControl], purpose: str) -> tuple[Grant, ...]:
    """Returns what a control needs for a purpose (READS, FINDS, CONTAINS, RESTORES)."""
    grants: tuple[Grant, ...] = getattr(control, purpose)
    return grants


def changing_roles(controls: Iterable[type[AnyControl]], purpose: str) -> tuple[str, ...]:
    """Returns the actions by which controls change roles for a purpose."""
    return actions_of(
        grant
        for control in controls
        for grant in grants_of(control, purpose)
        if ROLES in resources_of(grant.on)
    )


def never_its_own(actions: Iterable[str]) -> Permission:
    """Denies what the role may do to other roles."""
    return Permission(
        "never changes the response's own roles, AWS's own or those of Identity Center: who"
        " controls a function cannot widen what it may do",
        tuple(actions),
        PROTECTED_ROLES,
        sid="NeverTheResponseItself",
        denies=True,
    )
