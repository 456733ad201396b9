"""Makes the policies of member roles, which are templates of Terraform, from grants.

Actions that have the same resources and condition, and are for the same purpose, share a statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from guardduty_response.containment.control import AnyControl, Condition, Grant
from guardduty_response.containment.declared import (
    FINDS,
    READS,
    MemberRole,
    Permission,
    grants_of,
    resources_of,
)

from generator.layout import render

# The purpose's word in a statement's Sid
_WORDS = {"reads": "Read", "contains": "Contain", "restores": "Restore"}
_ALLOW, _DENY = "Allow", "Deny"


class Statement(NamedTuple):
    """Describes a statement of a policy. ``switch``: what adds it; empty: it is always there."""

    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Condition
    switch: str = ""

    def document(self) -> dict[str, object]:
        """Returns the statement as IAM takes it."""
        statement: dict[str, object] = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Action": _single(self.actions),
            "Resource": _single(self.resources),
        }
        return {**statement, "Condition": dict(self.condition)} if self.condition else statement


class _Right(NamedTuple):
    """Names a purpose, a condition as JSON, and a switch, of an action on a resource."""

    purpose: str
    condition: str
    switch: str


def statements(controls: Iterable[type[AnyControl]], role: MemberRole) -> list[Statement]:
    """Returns the statements of a role's policy: what is allowed, then what is denied. Raises
    ValueError when what is denied has no name.
    """
    controls = list(controls)
    own = [permission for permission in role.permissions if permission.sid]
    shared = [
        (READS if purpose == FINDS else purpose, grant)
        for purpose in role.uses
        for control in controls
        for grant in grants_of(control, purpose)
    ]
    for permission in role.permissions:
        actions, on, condition = permission.actions, permission.on, permission.condition
        if permission.denies and not permission.sid:
            raise ValueError(f"a permission that denies needs a Sid: {permission.why}")
        if not permission.sid:
            shared.append((READS, Grant(actions, on, condition, permission.switch)))
    return [
        *_merged(shared),
        *(_alone(permission) for permission in own if not permission.denies),
        *(_alone(permission) for permission in own if permission.denies),
    ]


def template(found: list[Statement]) -> str:
    """Returns a policy with these statements. Raises ValueError when every one has a switch."""
    always = [statement for statement in found if not statement.switch]
    if not always:
        raise ValueError("a policy needs a statement that no switch adds")
    # Every block ends with a comma, so a statement that is always there comes last.
    allowed = sum(statement.effect == _ALLOW for statement in always)
    place = min(allowed, len(always) - 1)
    blocks = [_text(statement) + ",\n" for statement in always]
    blocks[-1] = blocks[-1].removesuffix(",\n") + "\n"
    body = "".join([*blocks[:place], *_switched(found), *blocks[place:]])
    return f'{{\n  "Version": "2012-10-17",\n  "Statement": [\n{body}  ]\n}}\n'


def _switched(found: list[Statement]) -> Iterator[str]:
    for switch in dict.fromkeys(statement.switch for statement in found if statement.switch):
        yield f"%{{ if {switch} ~}}\n"
        for statement in found:
            if statement.switch == switch:
                yield _text(statement) + ",\n"
        yield "%{ endif ~}\n"


def _text(statement: Statement) -> str:
    return "    " + render(statement.document(), indent=4, expand=True)


def _alone(permission: Permission) -> Statement:
    return Statement(
        permission.sid,
        _DENY if permission.denies else _ALLOW,
        tuple(sorted(permission.actions)),
        resources_of(permission.on),
        permission.condition,
        permission.switch,
    )


def _merged(grants: Iterable[tuple[str, Grant]]) -> Iterator[Statement]:
    """Yields a statement for the actions of each purpose that have the same resources and
    condition.
    """
    used: set[str] = set()
    for right, by_action in _rights(grants).items():
        by_resources: dict[tuple[str, ...], list[str]] = {}
        for action, resources in by_action.items():
            by_resources.setdefault(tuple(sorted(resources)), []).append(action)
        condition = json.loads(right.condition)
        for patterns, actions in by_resources.items():
            sid = _unused(_sid(right.purpose, patterns, condition), used)
            used.add(sid)
            names = tuple(sorted(actions))
            yield Statement(sid, _ALLOW, names, patterns, condition, right.switch)


def _rights(grants: Iterable[tuple[str, Grant]]) -> dict[_Right, dict[str, set[str]]]:
    """Returns the resources of each action. What one purpose allows already, a later one does not
    allow again.
    """
    rights: dict[_Right, dict[str, set[str]]] = {}
    seen: set[tuple[str, str, str, str]] = set()
    for purpose, grant in grants:
        condition = json.dumps(dict(grant.condition))
        by_action = rights.setdefault(_Right(purpose, condition, grant.option), {})
        for action in grant.actions:
            for resource in resources_of(grant.on):
                allowed = (action, resource, condition, grant.option)
                if allowed not in seen:
                    seen.add(allowed)
                    by_action.setdefault(action, set()).add(resource)
    return rights


def _sid(purpose: str, resources: Iterable[str], condition: Condition) -> str:
    """Returns a Sid that says what is done to what, and what the condition asks."""
    keys = dict.fromkeys(key for tests in condition.values() for key in tests)
    names = [_word(key.partition(":")[2].partition("/")[0]) for key in keys]
    by = f"By{''.join(dict.fromkeys(names))}" if names else ""
    return _WORDS[purpose] + "".join(map(_plural, resources)) + by


def _plural(resource: str) -> str:
    """Names the resources that a pattern matches; empty for ``*``."""
    if resource == "*":
        return ""
    parts = resource.split(":", 5)
    if len(parts) < 6:  # a variable that stands for ARNs
        return _word(resource)
    service, name = parts[2], parts[5]
    kind = re.split(r"[/:*]", name, maxsplit=1)[0]
    name = re.sub("y$", "ie", _word(kind))
    return f"{name}s" if kind else _word(service)


def _word(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]", text))


def _unused(sid: str, used: set[str]) -> str:
    number = 2
    name = sid
    while name in used:
        name, number = f"{sid}{number}", number + 1
    return name


def _single(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
