"""Provides what speaks against the session policies that the labs open sessions with: AWS's service
authorization reference, the policy of the role that is assumed, and what AWS STS takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from guardduty_response.containment.session_policy import CHARACTERS

from sandbox.emulator.policy_sizes import packed_percent
from tests.support.authorization_data import remarks
from tests.support.member_policies import rendered, role_suffix
from tests.support.repository import ROOT

Json = dict[str, Any]
PREFIX = "guardduty-response"
# What cannot be split over sessions may be larger than what is held for safe (91 %)
MOST_PERCENT = 96
_ROLE = re.compile(rf"arn:aws:iam::(?P<account>\d+):role/(?:.+/)?{PREFIX}-(?P<suffix>.+)")
TEMPLATES = tuple((ROOT / "playbooks").glob("*/*-policy.json"))
_COPYING = ROOT / "modules" / "forensics-account" / "copy-policy.json"
_ID = re.compile(r"\b(?!\d{12}\b)[0-9a-f]{8,}\b")  # an account is no such id
_EC2 = "tests/unit/playbooks/ec2_instance"
_IAM = "tests/unit/playbooks/iam_principal"


class Excuse(NamedTuple):
    """Why a remark about session policies stands, and the test that opens such a session.

    ``needed_by``: the test's node id. It fails when nothing that it opens needs the excuse.
    """

    reason: str
    needed_by: str


_REFUSED = "the role's policy keeps such roles out of reach, and the refusal is in the action log"
# What is found of a session policy -> why it stands
EXCUSED: dict[str, Excuse] = {
    "ec2:ModifyInstanceAttribute needs a resource of type instance": Excuse(
        "a further session of the same step: each has what all need beside the resources that it"
        " names, here volumes",
        f"{_EC2}/test_aws_manners.py::test_every_session_of_a_large_instance_can_be_packed[15]",
    ),
    "ec2:ModifyNetworkInterfaceAttribute needs a resource of type network-interface": Excuse(
        "no interface of the instance may be changed: the session looks, and takes rules from"
        " groups",
        f"{_EC2}/test_shared_networks.py"
        "::test_of_a_node_that_another_service_manages_the_service_is_named",
    ),
    **{
        f"ec2:AuthorizeSecurityGroup{way} depends on ec2:CreateTags": Excuse(
            "only a call with TagSpecifications creates tags; rules are given back without",
            f"{_IAM}/test_reversal_security_groups.py"
            "::test_rules_are_closed_and_opened_again[ingress-True]",
        )
        for way in ("Egress", "Ingress")
    },
    "ec2:CreateSnapshots needs a resource of type volume": Excuse(
        "the session that finds out which volumes there are makes no snapshot",
        f"{_EC2}/test_snapshots.py::test_a_target_without_its_scope_has_its_volumes_too",
    ),
    **{
        f"the role denies iam:PutRolePolicy on arn:aws:iam::222222222222:role/{name}": Excuse(
            _REFUSED, f"{_EC2}/{test}"
        )
        for name, test in (
            (
                f"{PREFIX}-quarantine",
                "test_network.py::test_already_quarantined_changes_nothing",
            ),
            *(
                (
                    f"{path}owned",
                    f"test_credentials.py::test_a_role_of_aws_is_not_touched_and_said[/{path}]",
                )
                for path in ("aws-service-role/x.amazonaws.com/", "aws-reserved/sso.amazonaws.com/")
            ),
        )
    },
}


def objections(role_arn: str, document: Json) -> list[str]:
    """Returns what speaks against a session of this role with this policy, sorted."""
    found = [why for why in _remarks(role_arn, document) if why not in EXCUSED]
    text = json.dumps(document, separators=(",", ":"))
    percent = packed_percent(text)
    if len(text) > CHARACTERS or percent > MOST_PERCENT:
        found.append(
            f"AWS STS takes {CHARACTERS} characters and here {MOST_PERCENT} % packed, not"
            f" {len(text)} and {percent} %: {text}"
        )
    return sorted(found)


def excused(role_arn: str, document: Json) -> set[str]:
    """Returns the remarks about a session that are excused: keys of ``EXCUSED``."""
    return EXCUSED.keys() & set(_remarks(role_arn, document))


def unneeded(test: str, needed: set[str]) -> list[str]:
    """Returns what is excused for the sake of a test and not among what it ``needed``, sorted.

    ``test``: its node id; ``needed``: what ``excused`` said of all sessions that it opened.
    """
    return sorted(
        why for why, excuse in EXCUSED.items() if excuse.needed_by == test and why not in needed
    )


def shape(document: Json) -> Json:
    """Returns the policy with every id in its ARNs the same, and each ARN once."""
    return {
        **document,
        "Statement": [
            {
                **statement,
                "Resource": sorted(set(map(_without_ids, _listed(statement, "Resource")))),
            }
            for statement in document["Statement"]
        ],
    }


def beyond(document: Json, role: Json) -> Iterator[str]:
    """Yields what a session policy allows and the role's policy does not.

    A session may do what both allow, so ``*`` is as narrow as the role's own resources, and the
    role's conditions hold in any case.
    """
    for statement in document["Statement"]:
        for action in _listed(statement, "Action"):
            granting = [own for own in role["Statement"] if _names(own, action)]
            allows = [own for own in granting if own["Effect"] == "Allow"]
            if not allows:
                yield f"the role does not allow {action}"
                continue
            denies = [own for own in granting if own["Effect"] == "Deny" and "Condition" not in own]
            for arn in _listed(statement, "Resource"):
                if arn != "*" and not any(_covers(own, arn) for own in allows):
                    yield f"the role does not allow {action} on {arn}"
                if any(_covers(own, arn) for own in denies):
                    yield f"the role denies {action} on {arn}"


def _remarks(role_arn: str, document: Json) -> tuple[str, ...]:
    return _of_shape(role_arn, json.dumps(shape(document)), TEMPLATES)


@cache
def _of_shape(role_arn: str, text: str, templates: tuple[Path, ...]) -> tuple[str, ...]:
    document = json.loads(text)
    role = _role_policy(role_arn, templates)
    if role is None:
        return ("that is no role of the response",)
    return (*remarks(document), *beyond(document, role))


@cache
def _role_policy(role_arn: str, templates: tuple[Path, ...]) -> Json | None:
    """Returns the policy of a member role, with every option switched on."""
    named = _ROLE.fullmatch(role_arn)
    if named is None:
        return None
    if named["suffix"] == "vault":
        text = _COPYING.read_text().replace("${partition}", "aws")
        copying: Json = json.loads(text.replace("${key_arn}", "arn:aws:kms:*:*:key/*"))
        return copying
    found = [path for path in templates if role_suffix(path) == named["suffix"]]
    return rendered(found[0], True, named["account"], PREFIX) if found else None


def _names(statement: Json, action: str) -> bool:
    return any(
        fnmatchcase(action.lower(), pattern.lower()) for pattern in _listed(statement, "Action")
    )


def _covers(statement: Json, arn: str) -> bool:
    # A wildcard of the session's is text here: only a wildcard of the role's matches it
    return any(fnmatchcase(arn, pattern) for pattern in _listed(statement, "Resource"))


def _without_ids(arn: str) -> str:
    *head, resource = arn.split(":", 5)
    return ":".join([*head, _ID.sub("0", resource)])


def _listed(statement: Json, key: str) -> list[str]:
    found = statement[key]
    return [found] if isinstance(found, str) else list(found)
